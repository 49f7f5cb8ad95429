//! Whatever the text: the loader answers.

use proptest::prelude::*;

use super::{SHORTEST, load_text};

/// Pieces of configuration files, so that random texts reach further than the parser.
fn piece() -> impl Strategy<Value = String> {
    let keys = super::super::keys::TABLES.iter().flat_map(|t| t.keys).copied().flatten().map(|k| k.name);
    let keys: Vec<&str> = keys.collect();
    let headers = [
        "[global]",
        "[global.telemetry]",
        "[global.telemetry.grpc_uds]",
        "[global.telemetry.grpc_tcp]",
        "[[neighbors]]",
        "[neighbors.add_path]",
        "[[neighbors.import_policy]]",
        "[peer_groups.a]",
        "[[dynamic_neighbors]]",
        "[policy]",
        "[policy.definitions.a]",
        "[[policy.import]]",
        "[[rpki.cache_servers]]",
        "[[bmp.collectors]]",
        "[mrt]",
    ];
    let values = [
        "0",
        "2",
        "65001",
        "0xffff_ffff_ffff",
        "-1",
        "1.5",
        "true",
        "\"\"",
        "\"a\"",
        "\"10.0.0.1\"",
        "\"10.0.0.0/8\"",
        "\"::1\"",
        "\"[::1]:1\"",
        "\"deny\"",
        "[\"a\", 1]",
        "[]",
        "{}",
        "{ asn = 1, count = 2 }",
        "1979-05-27",
        "\"é\u{1b}[31m\"",
        "'''\nx'''",
    ];
    prop_oneof![
        2 => prop::sample::select(headers.to_vec()).prop_map(|h| format!("{h}\n")),
        6 => (prop::sample::select(keys), prop::sample::select(values.to_vec()))
            .prop_map(|(k, v)| format!("{k} = {v}\n")),
        1 => "\\PC{0,20}\n",
    ]
}

proptest! {
    #[test]
    fn any_text_gets_an_answer(text in "\\PC{0,200}") {
        if let Err(diagnostics) = load_text(&text) {
            prop_assert!(diagnostics.to_string().starts_with("error: "));
        }
    }

    #[test]
    fn any_mix_of_settings_gets_an_answer(pieces in prop::collection::vec(piece(), 0..40), whole in any::<bool>()) {
        let text = if whole { SHORTEST.to_owned() + &pieces.concat() } else { pieces.concat() };
        match load_text(&text) {
            Ok(loaded) => prop_assert!(loaded.warnings.iter().all(|w| !w.is_empty())),
            Err(diagnostics) => {
                let printed = diagnostics.to_string();
                prop_assert_eq!(printed.matches("error: ").count(), diagnostics.count());
                prop_assert!(!printed.contains('\u{1b}'), "{}", printed);
            }
        }
    }

    /// More lines are never fewer errors: one mistake hides no other.
    #[test]
    fn mistakes_do_not_hide_each_other(holds in prop::collection::vec(0u16..6, 1..30)) {
        let mut text = SHORTEST.to_owned();
        for (n, hold) in holds.iter().enumerate() {
            text += &format!("[[neighbors]]\naddress = \"10.0.0.{}\"\nremote_asn = 65002\nhold_time = {hold}\n", n + 1);
        }
        let wrong = holds.iter().filter(|h| (1..3).contains(*h)).count();
        prop_assert_eq!(load_text(&text).map_or_else(|d| d.count(), |_| 0), wrong);
    }
}
