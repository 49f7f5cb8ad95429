//! Changes of a configuration in several files: each is made in the file that holds what it is about.

use std::fs;
use std::path::{Path, PathBuf};

use ipc::edit::{Edit, EditError, Refusal, Way};
use ipc::object::{Keys, Kind, Object, Plain};

use super::{apply, check_all, holder};
use crate::config::{self, Files};

const MAIN: &str = "include = [\"conf.d/*\"]\n[global]\nasn = 65001\nrouter_id = \"10.0.0.1\"\nlisten_port = 179\n[global.telemetry]\n";
const A: &str = "# of the generator\n[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\n";
const B: &str = "[policy] # ours\nimport_chain = [\"p\"]\n[policy.definitions.p]\n";

fn folder() -> (tempfile::TempDir, PathBuf, Files) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    for (name, text) in [("config.toml", MAIN), ("conf.d/a", A), ("conf.d/b", B)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let main = folder.path().join("config.toml");
    let files = config::load(&main).unwrap().text;
    (folder, main, files)
}

/// Which file is changed, and its new text.
fn change(main: &Path, files: &Files, edit: &Edit) -> Result<(String, String), EditError> {
    let config = config::load(main).unwrap().config;
    let (path, text) =
        holder(files, edit).map_or((main, files.main()), |(path, text)| (path.as_path(), text));
    let text = apply(text.expose(), &files.whole(), &config, edit)?;
    let loaded = check_all(main, files, (path, &text), edit)?;
    let own = loaded.text.included().iter().find(|(p, _)| p == path);
    assert_eq!(own.map_or(loaded.text.expose(), |(_, t)| t.expose()), text.as_bytes());
    Ok((path.file_name().unwrap().to_str().unwrap().to_owned(), text))
}

fn chain(neighbor: Option<&str>, policies: &[&str]) -> Edit {
    let neighbor = neighbor.map(|n| n.parse().unwrap());
    let policies = policies.iter().map(|p| (*p).to_owned()).collect();
    Edit::SetChain { neighbor, way: Way::Import, policies }
}

#[test]
fn the_file_that_holds_it_is_changed() {
    let (_folder, main, files) = folder();
    let changed = change(&main, &files, &chain(Some("10.0.0.2"), &["p"])).unwrap();
    assert_eq!(changed, ("a".into(), format!("{A}import_policy_chain = [\"p\"]\n")));
    let changed = change(&main, &files, &chain(None, &["p", "p"])).unwrap();
    assert_eq!(changed, ("b".into(), B.replace("[\"p\"]", "[\"p\", \"p\"]")));
    let gone = change(&main, &files, &Edit::DeleteNeighbor { address: "10.0.0.2".parse().unwrap() }).unwrap();
    assert_eq!((gone.0.as_str(), gone.1.contains("neighbors")), ("a", false));
    // The rules hold over all files.
    let error = change(&main, &files, &chain(Some("10.0.0.2"), &["q"])).unwrap_err();
    assert_eq!((error.kind, error.field.as_str()), (Refusal::Invalid, "import_policy_chain"));
    let missing = chain(Some("10.0.0.9"), &["p"]);
    assert_eq!(change(&main, &files, &missing).unwrap_err().kind, Refusal::NotFound);
}

#[test]
fn named_things_are_changed_where_they_are_and_used_from_everywhere() {
    let (folder, main, _) = folder();
    let more = "[peer_groups.g]\nfamilies = [\"ipv6_unicast\"]\n[[dynamic_neighbors]]\nprefix = \"10.9.0.0/16\"\npeer_group = \"g\"\n";
    fs::write(folder.path().join("conf.d/c"), more).unwrap();
    let files = config::load(&main).unwrap().text;
    let delete = |kind, name: &str| Edit::DeleteObject { kind, name: name.into() };
    // What refers to it is in another file than the thing.
    let error = change(&main, &files, &delete(Kind::Policy, "p")).unwrap_err();
    assert_eq!(error.kind, Refusal::Precondition);
    assert!(error.message.contains("the import chain of all neighbors"), "{}", error.message);
    fs::write(&main, format!("{MAIN}[[dynamic_neighbors]]\nprefix = \"10.8.0.0/16\"\npeer_group = \"g\"\n"))
        .unwrap();
    fs::write(folder.path().join("conf.d/c"), "[peer_groups.g]\nfamilies = [\"ipv6_unicast\"]\n").unwrap();
    let files = config::load(&main).unwrap().text;
    let error = change(&main, &files, &delete(Kind::PeerGroup, "g")).unwrap_err();
    assert_eq!(error.kind, Refusal::Precondition);
    assert!(error.message.contains("10.8.0.0/16"), "{}", error.message);
    // In the file that has it.
    let mut keys = Keys::default();
    keys.add("hold_time", Plain::Number(30));
    let object = Object { keys, ..Object::default() };
    let set = Edit::SetObject { kind: Kind::PeerGroup, name: "g".into(), object, knows_all: true };
    assert_eq!(
        change(&main, &files, &set).unwrap(),
        ("c".into(), "[peer_groups.g]\nhold_time = 30\n".into())
    );
    let range = Edit::DeleteRange { prefix: "10.8.0.0/16".parse().unwrap() };
    assert_eq!(change(&main, &files, &range).unwrap(), ("config.toml".into(), MAIN.into()));
    let group = Edit::SetNeighborGroup { neighbor: "10.0.0.2".parse().unwrap(), group: Some("g".into()) };
    let changed = change(&main, &files, &group).unwrap();
    assert_eq!((changed.0.as_str(), changed.1.contains("peer_group = \"g\"")), ("a", true));
}

#[test]
fn a_file_that_was_edited_by_hand_keeps_all_of_them_as_they_are() {
    let edit = chain(Some("10.0.0.2"), &["p"]);
    let cases: [(&str, Option<&str>); 4] = [
        ("config.toml", Some("# by hand\n")),
        ("conf.d/b", Some("# by hand\n")),
        ("conf.d/c", Some("[mrt]\noutput_dir = \"/tmp\"\n")),
        ("conf.d/b", None),
    ];
    for (name, text) in cases {
        let (folder, main, files) = folder();
        let path = folder.path().join(name);
        match text {
            Some(text) => {
                let before = fs::read_to_string(&path).unwrap_or_default();
                fs::write(&path, format!("{before}{text}")).unwrap();
            }
            // What it had is not missed otherwise.
            None => fs::remove_file(&path).unwrap(),
        }
        let edit = if text.is_none() { chain(Some("10.0.0.2"), &[]) } else { edit.clone() };
        let error = change(&main, &files, &edit).unwrap_err();
        assert_eq!(error.kind, Refusal::Precondition, "{name}: {}", error.message);
        assert!(
            error.message.contains("was edited since it was read") && error.message.contains(name),
            "{}",
            error.message
        );
    }
}
