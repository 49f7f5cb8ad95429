//! Chains in the text of a file.

use std::net::IpAddr;
use std::path::Path;

use ipc::edit::{Chains, Edit, EditError, Refusal, Way};

use super::{apply, chains, check};
use crate::config;

const GLOBAL: &str =
    "[global]\nasn = 65001\nrouter_id = \"10.0.0.1\"\nlisten_port = 179\n[global.telemetry]\n";

const POLICIES: &str = "
# what customers may send
[policy.definitions.a]
default_action = \"deny\"

[policy.definitions.\"b c\"]
";

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// The text with another chain, which must be right before and after; and what it says then.
fn change(text: &str, neighbor: Option<IpAddr>, way: Way, policies: &[&str]) -> Result<String, EditError> {
    let path = Path::new("c.toml");
    let config = match config::from_text(path, text) {
        Ok(loaded) => loaded.config,
        Err(diagnostics) => panic!("{text}\n{diagnostics}"),
    };
    let policies: Vec<String> = policies.iter().map(|&p| p.to_owned()).collect();
    let edit = Edit::SetChain { neighbor, way, policies: policies.clone() };
    let changed = apply(text.as_bytes(), text.as_bytes(), &config, &edit)?;
    check(path, &changed, &edit)?;
    let (before, after) = (chains(text.as_bytes(), neighbor)?, chains(changed.as_bytes(), neighbor)?);
    let expected = match way {
        Way::Import => Chains { import: policies, ..before },
        Way::Export => Chains { export: policies, ..before },
    };
    assert_eq!(after, expected, "{changed}");
    Ok(changed)
}

#[test]
fn a_chain_for_all_is_set_changed_and_cleared() {
    let text = format!("{GLOBAL}{POLICIES}");
    // Written out where there was no header for it.
    let set = change(&text, None, Way::Import, &["a", "b c"]).unwrap();
    let line = "import_chain = [\"a\", \"b c\"]\n";
    assert!(set.contains(&format!("[policy]\n{line}")), "{set}");
    for kept in text.lines() {
        assert!(set.lines().any(|l| l == kept), "{kept} in {set}");
    }
    let both = change(&set, None, Way::Export, &["b c"]).unwrap();
    assert_eq!(both, set.replace(line, &format!("{line}export_chain = [\"b c\"]\n")));
    let other = change(&both, None, Way::Import, &["b c"]).unwrap();
    assert_eq!(other, both.replace(line, "import_chain = [\"b c\"]\n"));
    assert_eq!(change(&both, None, Way::Export, &[]).unwrap(), set);

    // What is written there stays.
    let text = format!(
        "{GLOBAL}{POLICIES}\n[policy] # all\n# ours\n\nimport_chain =  ['a']   # until may\n# rest\n"
    );
    let set = change(&text, None, Way::Import, &["b c"]).unwrap();
    assert_eq!(set, text.replace("['a']", "[\"b c\"]"));
    assert_eq!(change(&text, None, Way::Import, &[]).unwrap(), text.replace("['a']", "[]"));
    let set = change(&text, None, Way::Export, &["a"]).unwrap();
    assert_eq!(set, text.replace("# until may\n", "# until may\nexport_chain = [\"a\"]\n"));

    // Nothing to clear: nothing is written.
    assert_eq!(change(GLOBAL, None, Way::Import, &[]).unwrap(), GLOBAL);
}

#[test]
fn a_neighbors_chain_stands_with_its_settings() {
    let neighbors = "
[[neighbors]]
  address = \"2001:DB8::2\" # core
  remote_asn = 65002
  # hold_time = 30

  [neighbors.add_path]
  receive = true

[[neighbors]]
address = \"10.0.0.3\"
remote_asn = 1
export_policy_chain = [
  \"a\",
]
";
    let text = format!("{GLOBAL}{neighbors}{POLICIES}");
    let core = address("2001:db8::2");
    let set = change(&text, core, Way::Import, &["a"]).unwrap();
    assert_eq!(set, text.replace("= 65002\n", "= 65002\n  import_policy_chain = [\"a\"]\n"));
    assert_eq!(change(&set, core, Way::Import, &[]).unwrap(), text);
    let edge = address("10.0.0.3");
    let set = change(&text, edge, Way::Export, &["b c"]).unwrap();
    assert_eq!(set, text.replace("[\n  \"a\",\n]", "[\"b c\"]"));
    assert_eq!(chains(text.as_bytes(), core).unwrap(), Chains::default());

    let text = format!(
        "neighbors = [{{ address = \"10.0.0.3\", remote_asn = 1 }}]\npolicy = {{ definitions = {{ a = {{}} }} }}\n{GLOBAL}"
    );
    let set = change(&text, edge, Way::Import, &["a"]).unwrap();
    assert!(set.contains("import_policy_chain = [\"a\"]") && set.ends_with(GLOBAL), "{set}");
    change(&text, None, Way::Import, &["a"]).unwrap();
}

#[test]
fn a_chain_that_breaks_a_rule_or_is_nobodys_is_refused() {
    let inline = "\n[[neighbors]]\naddress = \"10.0.0.3\"\nremote_asn = 1\n[[neighbors.import_policy]]\naction = \"permit\"\nprefix = \"10.0.0.0/8\"\n";
    let text = format!("{GLOBAL}{inline}{POLICIES}");
    let neighbor = address("10.0.0.3");
    let error = change(&text, None, Way::Export, &["b"]).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Refusal::Invalid, "export_chain"));
    assert!(error.message.contains("there is no such policy"), "{error:?}");
    let error = change(&text, neighbor, Way::Import, &["a"]).unwrap_err();
    assert_eq!(error.kind, Refusal::Invalid);
    assert!(error.message.contains("cannot be combined with import_policy"), "{error:?}");
    change(&text, neighbor, Way::Export, &["a"]).unwrap();
    let error = change(&text, address("10.0.0.9"), Way::Export, &["a"]).unwrap_err();
    assert_eq!((error.kind, error.value.as_str()), (Refusal::NotFound, "10.0.0.9"));
    assert_eq!(chains(text.as_bytes(), address("10.0.0.9")).unwrap_err().kind, Refusal::NotFound);
}
