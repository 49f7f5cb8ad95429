//! `include`: what may be in several files, and that what is wrong is shown where it is.

use std::fs;
use std::path::PathBuf;

use super::super::{Loaded, check, load};
use super::SHORTEST;

struct Folder(tempfile::TempDir);

impl Folder {
    /// A main file that includes `conf.d/*.toml`, and these there.
    fn new(main: &str, files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("conf.d")).unwrap();
        fs::write(folder.main(), format!("include = [\"conf.d/*.toml\"]\n{SHORTEST}{main}")).unwrap();
        for (name, text) in files {
            fs::write(folder.path("conf.d").join(name), text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn main(&self) -> PathBuf {
        self.path("config.toml")
    }

    fn accepted(&self) -> Loaded {
        load(&self.main()).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
    }

    /// What is said, with the folder's name left out.
    fn refused(&self) -> String {
        let said = load(&self.main()).unwrap_err().to_string();
        said.replace(&format!("{}/", self.0.path().display()), "")
    }
}

const A: &str = "[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\npeer_group = \"g\"\n";
const B: &str = "# generated\n\n[peer_groups.g]\nhold_time = 30\n[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 65003\n";

#[test]
fn files_count_as_one_in_their_order() {
    let hidden = ".c.toml.new";
    let folder = Folder::new(
        "[[neighbors]]\naddress = \"10.0.0.1\"\nremote_asn = 65001\n",
        &[("b.toml", B), ("a.toml", A), ("other.txt", "x"), (hidden, "["), (".hidden.toml", "[")],
    );
    let loaded = folder.accepted();
    let addresses: Vec<String> = loaded.config.neighbors.iter().map(|n| n.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert_eq!(loaded.config.neighbors[1].hold_time, 30);
    let files: Vec<PathBuf> = loaded.text.included().iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(files, [folder.path("conf.d/a.toml"), folder.path("conf.d/b.toml")]);
    assert_eq!(loaded.text.included()[1].1.expose(), B.as_bytes());
    // A pattern that matches nothing is none.
    fs::write(folder.main(), format!("include = [\"none.d/*.toml\", \"no.toml\"]\n{SHORTEST}")).unwrap();
    assert_eq!(folder.accepted().text.included().len(), 0);
}

#[test]
fn what_is_wrong_is_shown_in_its_file() {
    let folder = Folder::new(
        "[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65009\n",
        &[("a.toml", A), ("b.toml", &B.replace("hold_time = 30", "hold_time = 2"))],
    );
    let expected = "\
error: duplicate neighbor address \"10.0.0.2\"
 --> conf.d/a.toml:2:11
  |
2 | address = \"10.0.0.2\"
  |           ^^^^^^^^^^ must be unique
  |
note: the first neighbor address \"10.0.0.2\" is here
 --> config.toml:8:11
  |
8 | address = \"10.0.0.2\"
  |           ^^^^^^^^^^

error: invalid hold_time 2: must be 0 or >= 3
 --> conf.d/b.toml:4:13
  |
4 | hold_time = 2
  |             ^ must be 0 or >= 3";
    assert_eq!(folder.refused(), expected);
    let checked = check(&folder.main());
    assert_eq!((checked.status, checked.stderr.matches("error:").count()), (1, 2));
}

#[test]
fn what_an_included_file_cannot_have() {
    for (text, says) in [
        ("[peer_groups.h\n", "error: unclosed table\n --> conf.d/a.toml:1:"),
        ("include = [\"x\"]\n", "error: include in an included file\n --> conf.d/a.toml:1:1"),
        ("[global]\nasn = 1\n", "error: global in an included file\n --> conf.d/a.toml:1:2"),
        (
            "# c\nneighbors = []\n",
            "error: an included file must begin with the header of a table, like [[neighbors]]\n --> conf.d/a.toml:2:1",
        ),
        (
            "[neighbors.add_path]\nsend = true\n",
            "error: a part of [[neighbors]] without its beginning in an included file\n --> conf.d/a.toml:1:2",
        ),
        (
            "[[policy.definitions.p.statements]]\naction = \"deny\"\nmatch_med_ge = 1\n",
            "error: duplicate policy \"p\"\n --> conf.d/a.toml:1:22",
        ),
        ("[peer_groups.g]\n", "error: duplicate peer group \"g\"\n --> conf.d/a.toml:1:14"),
        ("[policy]\n", "error: duplicate key\n --> conf.d/a.toml:1:2"),
        ("[unheard_of]\n", "error: unknown key \"unheard_of\" in the file\n --> conf.d/a.toml:1:2"),
    ] {
        let main = "[peer_groups.g]\n[policy]\nimport_chain = [\"p\"]\n[policy.definitions.p]\n";
        // The arrow stands further right where a line of two digits is shown.
        let said = Folder::new(main, &[("a.toml", text)]).refused().replace("\n  -->", "\n -->");
        assert!(said.contains(says), "{text}\n{said}");
    }
    let folder = Folder::new("", &[]);
    fs::create_dir(folder.path("conf.d/a.toml")).unwrap();
    assert!(folder.refused().contains("error: cannot read conf.d/a.toml: Is a directory"));
    for (include, says) in [
        ("[\"a[\"]", "invalid include \"a[\": must be a pattern of file names"),
        ("[\"\"]", "invalid include \"\": must not be empty"),
        ("\"a.toml\"", "invalid include \"a.toml\": must be a list of strings"),
    ] {
        fs::write(folder.main(), format!("include = {include}\n{SHORTEST}")).unwrap();
        let said = folder.refused();
        assert!(said.contains(says) && said.contains("config.toml:1:1"), "{said}");
    }
}

/// A secret of any of the files is shown nowhere.
#[test]
fn secrets_of_included_files_are_not_shown() {
    let secret = "[[neighbors]]\naddress = \"10.0.0.9\"\nmd5_password = \"hunter2\"\nremote_asn = 0\nmd5_pasword = \"hunter3\"\n";
    for text in [secret.to_owned(), format!("{secret}[")] {
        let said = Folder::new("", &[("a.toml", &text)]).refused();
        assert!(said.contains("conf.d/a.toml:") && !said.contains("hunter"), "{said}");
    }
}
