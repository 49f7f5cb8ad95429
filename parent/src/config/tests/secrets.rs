//! No secret shows, whatever is wrong with the file.

use proptest::prelude::*;

use super::{SHORTEST, accepted, load_text, refused};

const SECRET: &str = "Xq7-hunter2-Zv";

fn neighbor(lines: &str) -> String {
    format!("{SHORTEST}[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\n{lines}\n")
}

#[test]
fn a_loaded_secret_is_not_printed() {
    let config = accepted(&neighbor(&format!("md5_password = \"{SECRET}\"")));
    let printed = format!("{config:?}");
    assert!(printed.contains("md5_password: Some(<set>)"), "{printed}");
    assert!(!printed.contains("hunter"), "{printed}");
    let secret = config.neighbors[0].md5_password.as_ref().unwrap();
    assert_eq!(secret.expose(), SECRET.as_bytes());
}

/// Every way to be wrong that has the secret on the line that is shown.
#[test]
fn a_refused_secret_is_not_printed() {
    let inline = format!(
        "{SHORTEST}[peer_groups]\na = {{ md5_password = \"{SECRET}\", hold_time = 2 }}\nb = {{ md5_password = \"{SECRET}\", }}"
    );
    assert!(refused(&inline).contains("a = { md5_password = <set>, hold_time = 2 }"), "{}", refused(&inline));
    for lines in [
        "md5_password = [\"Xq7-hunter2-Zv\"]",
        "md5_password = { text = \"Xq7-hunter2-Zv\" }",
        "md5_password.text = \"Xq7-hunter2-Zv\"",
        "md5_password = \"Xq7-hunter2-Zv\"\nmd5_password = \"Xq7-hunter2-Zv\"",
        "md5_pasword = \"Xq7-hunter2-Zv\"",
        "password = 'Xq7-hunter2-Zv'",
        "psk = \"\"\"\nXq7-hunter2-Zv\"\"\"",
        "\"md5\\u005fpasword\" = \"Xq7-hunter2-Zv\"",
        "hold_time = 2 # md5_password = \"Xq7-hunter2-Zv\"",
        "md5_password = \"Xq7-hunter2-Zv",
        "md5_password = Xq7-hunter2-Zv",
        "md5_password = \nXq7-hunter2-Zv",
        "md5_password = \n\"Xq7-hunter2-Zv\"",
        "md5_password = \"\nXq7-hunter2-Zv\"",
        "md5_password = \"\"\"\nXq7-hunter2-Zv",
        "md5_password = \"\"\"\n\nXq7-hunter2-Zv\"\"\" x",
        "md5_password \"Xq7-hunter2-Zv\"",
        "md5_password: Xq7-hunter2-Zv",
        "md5_password = 'Xq7-hunter2-Zv' 'Xq7-hunter2-Zv'",
        "{ md5_password = \"Xq7-hunter2-Zv\"",
    ] {
        let printed = refused(&neighbor(lines));
        assert!(!printed.contains("hunter"), "{lines}\n{printed}");
    }
    let table = neighbor(&format!("[neighbors.md5_password]\nhold_time = \"{SECRET}\""));
    assert!(!refused(&table).contains("hunter"), "{}", refused(&table));
    let long = neighbor(&format!("md5_password = \"{SECRET}{}\"", "é".repeat(40)));
    assert!(!refused(&long).contains("hunter"), "{}", refused(&long));
}

/// The places of what follows a hidden secret on its line stay right.
#[test]
fn the_marker_stays_under_the_value() {
    let text = format!("{SHORTEST}[peer_groups]\na = {{ md5_password = \"{SECRET}\", hold_time = 2 }}");
    let lines: Vec<String> = refused(&text).lines().map(str::to_owned).collect();
    let (source, marker) = (&lines[3], &lines[4]);
    assert_eq!(marker.find('^'), source.find("2 }"), "{source}\n{marker}");
}

/// What happens to one character: `None` = it goes, else this one takes its place or comes before it.
#[derive(Debug, Clone)]
struct Damage {
    at: usize,
    with: Option<char>,
    replace: bool,
}

fn damage() -> impl Strategy<Value = Damage> {
    let with = prop_oneof![
        Just(None),
        any::<char>().prop_map(Some),
        "[\\]\\[\n\"'=#{}., ]".prop_map(|s| s.chars().next()),
    ];
    (0usize..400, with, any::<bool>()).prop_map(|(at, with, replace)| Damage { at, with, replace })
}

proptest! {
    /// A file that has an MD5 key, and one or two damaged characters anywhere outside of it.
    #[test]
    fn damage_brings_no_secret_to_light(damages in prop::collection::vec(damage(), 1..3)) {
        let mut text: Vec<char> =
            neighbor(&format!("hold_time = 2\nmd5_password = \"{SECRET}\"\ndescription = \"x\"")).chars().collect();
        for damage in damages {
            let line: String = text.iter().collect();
            let secret = line.chars().count() - line.rsplit(SECRET).next().unwrap_or_default().chars().count();
            let mut at = damage.at % text.len();
            if (secret - SECRET.len()..secret).contains(&at) {
                at = secret;
            }
            if damage.replace || damage.with.is_none() {
                text.remove(at);
            }
            if let Some(c) = damage.with {
                text.insert(at, c);
            }
        }
        let text: String = text.into_iter().collect();
        prop_assert!(text.contains(SECRET));
        if let Err(diagnostics) = load_text(&text) {
            let printed = diagnostics.to_string();
            prop_assert!(!printed.contains("hunter"), "{}\n{}", text, printed);
        }
    }
}
