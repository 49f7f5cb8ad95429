//! One case for each rule of `[policy]`, `[rpki]`, `[bmp]` and `[mrt]`.

use super::SHORTEST;
use super::rules::{after_shortest, table};

/// A statement with these lines, from line 7.
fn statement(lines: &str) -> String {
    format!("{SHORTEST}[[policy.import]]\n{lines}\n")
}

#[test]
fn policy_rules() {
    table(
        statement,
        &[
            ("action = \"permit\"\nprefix = \"10.0.0.0/8\"\nge = 9\nle = 24\nset_med = 5", &[]),
            ("prefix = \"10.0.0.0/8\"", &["6:1 missing action in [[policy.import]]"]),
            (
                "action = \"allow\"\nprefix = \"10.0.0.0/8\"",
                &["7:10 invalid action \"allow\": must be \"permit\" or \"deny\""],
            ),
            (
                "action = \"deny\"",
                &["6:1 [[policy.import]] matches nothing: it needs a prefix or a match_ key"],
            ),
            (
                "action = \"deny\"\nmatch_community = []",
                &["6:1 [[policy.import]] matches nothing: it needs a prefix or a match_ key"],
            ),
            (
                "action = \"deny\"\nmatch_med_ge = 1\nset_med = 5",
                &["9:1 invalid set_med: is for statements with action = \"permit\" only"],
            ),
            (
                "action = \"deny\"\nprefix = \"10.0.0.0/8\"\nge = 7\nle = 33",
                &[
                    "9:6 invalid ge 7: must be 8 to 32, as the prefix is",
                    "10:6 invalid le 33: must be 8 to 32, as the prefix is",
                ],
            ),
            (
                "action = \"deny\"\nprefix = \"::/0\"\nge = 64\nle = 48",
                &["10:6 invalid le 48: must not be less than ge"],
            ),
            ("action = \"deny\"\nmatch_med_le = 1\nge = 64", &["9:6 invalid ge 64: needs a prefix"]),
            (
                "action = \"deny\"\nprefix = \"10.0.0.0\"",
                &["8:10 invalid prefix \"10.0.0.0\": must be a prefix, like 192.0.2.0/24"],
            ),
            (
                "action = \"deny\"\nmatch_med_ge = 5\nmatch_med_le = 4",
                &["9:16 invalid match_med_le 4: must not be less than match_med_ge"],
            ),
            (
                "action = \"permit\"\nmatch_community = [\"65001:*\"]\nset_community_add = [\"65001:*\"]",
                &[
                    "9:22 invalid set_community_add \"65001:*\": must have no `*`: it is for matching and removing",
                ],
            ),
            (
                "action = \"permit\"\nmatch_as_path = \"_65002_\"\nset_as_path_prepend = { asn = 0, count = 11 }",
                &["9:31 invalid asn 0: must not be 0", "9:42 invalid count 11: must be 1 to 10"],
            ),
            (
                "action = \"deny\"\nmatch_as_path = \"_65002_(\"",
                &["8:25 invalid match_as_path \"_65002_(\": unclosed group"],
            ),
            (
                "name = \"\"\naction = \"deny\"\nmatch_as_path = '_[9-0]_'",
                &[
                    "7:8 invalid name \"\": must not be empty",
                    "9:20 invalid match_as_path '_[9-0]_': invalid character class range, the start must be <= the end",
                ],
            ),
            // With escapes the place inside is not the place in the file.
            (
                "action = \"deny\"\nmatch_as_path = \"\\u005f(\"",
                &["8:17 invalid match_as_path \"\\u005f(\": unclosed group"],
            ),
            (
                "action = \"permit\"\nmatch_rpki_validation = \"unknown\"\nset_next_hop = \"me\"",
                &[
                    "8:25 invalid match_rpki_validation \"unknown\": must be \"valid\", \"invalid\" or \"not_found\"",
                    "9:16 invalid set_next_hop \"me\": must be \"self\" or an IP address",
                ],
            ),
            (
                "action = \"deny\"\nmatch_prefix_set = \"bogons\"\nmatch_neighbor_set = \"a\"",
                &[
                    "8:20 invalid match_prefix_set \"bogons\": there is no such prefix set",
                    "9:22 invalid match_neighbor_set \"a\": there is no such neighbor set",
                ],
            ),
        ],
    );
    table(
        after_shortest,
        &[
            ("[policy]\nimport_chain = [\"a\"]\n[policy.definitions.a]\ndefault_action = \"deny\"", &[]),
            (
                "[policy]\nexport_chain = [\"a\"]",
                &["7:17 invalid export_chain \"a\": there is no such policy"],
            ),
            (
                "[policy.definitions.a]\ndefault_action = \"drop\"\n[[policy.definitions.a.statements]]\naction = \"deny\"",
                &[
                    "7:18 invalid default_action \"drop\": must be \"permit\" or \"deny\"",
                    "8:1 [[policy.definitions.a.statements]] matches nothing: it needs a prefix or a match_ key",
                ],
            ),
            (
                "[policy.prefix_sets.a]\nprefixes = [\"10.0.0.0/8 le 24\", \"10.0.0.0/8-24\", \"10.0.0.0/8 ge 7\"]",
                &[
                    "7:33 invalid prefixes \"10.0.0.0/8-24\": must be a prefix, like 192.0.2.0/24, and may have ge and \
                     le after it, like 10.0.0.0/8 ge 9 le 24",
                    "7:50 invalid prefixes \"10.0.0.0/8 ge 7\": must have ge and le from 8 to 32, as the prefix is, \
                     and ge not above le",
                ],
            ),
            (
                "[policy.neighbor_sets.a]\naddresses = [\"x\"]\nremote_asns = [0]\npeer_groups = [\"b\"]",
                &[
                    "7:14 invalid addresses \"x\": must be an IP address",
                    "8:16 invalid remote_asns 0: must not be 0",
                    "9:16 invalid peer_groups \"b\": there is no such peer group",
                ],
            ),
        ],
    );
}

#[test]
fn exporter_rules() {
    const HOST: &str = "must be a host and a port, like rtr.example.net:3323 or [2001:db8::1]:3323";
    table(
        after_shortest,
        &[
            ("[[rpki.cache_servers]]\naddress = \"rtr_1.example.net:3323\"", &[]),
            ("[[rpki.cache_servers]]\naddress = \"[2001:db8::1]:3323\"\nrefresh_interval = 7200", &[]),
            (
                "[[rpki.cache_servers]]\naddress = \"rtr.example.net\"",
                &[&format!("7:11 invalid address \"rtr.example.net\": {HOST}")],
            ),
            (
                "[[rpki.cache_servers]]\naddress = \"2001:db8::1:3323\"",
                &[&format!("7:11 invalid address \"2001:db8::1:3323\": {HOST}")],
            ),
            (
                "[[rpki.cache_servers]]\naddress = \"a:1\"\nrefresh_interval = 0\nretry_interval = 0\nexpire_interval = 9",
                &[
                    "8:20 invalid refresh_interval 0: must be > 0",
                    "9:18 invalid retry_interval 0: must be > 0",
                    "10:19 invalid expire_interval 9: must not be less than refresh_interval",
                ],
            ),
            (
                "[[rpki.cache_servers]]\naddress = \"a:1\"\nrefresh_interval = 7201",
                &["8:1 invalid refresh_interval 7201: must not be more than expire_interval, which is 7200"],
            ),
            (
                "[[rpki.local_vrps]]\nprefix = \"10.0.0.0/8\"\nasn = 0\nmax_length = 7",
                &["9:14 invalid max_length 7: must be 8 to 32, as the prefix is"],
            ),
            (
                "[[bmp.collectors]]\naddress = \"10.0.0.1:5000\"\nreconnect_interval = 0\nmonitor = [\"rib\"]",
                &[
                    "8:22 invalid reconnect_interval 0: must be > 0",
                    "9:12 invalid monitor \"rib\": must be \"adj_rib_in_pre\", \"adj_rib_in_post\", \
                 \"adj_rib_out_pre\", \"adj_rib_out_post\" or \"loc_rib\"",
                ],
            ),
            (
                "[[bmp.collectors]]\naddress = \"10.0.0.1:5000\"\n[[bmp.collectors]]\naddress = \"10.0.0.1:5000\"",
                &[
                    "9:11 duplicate address \"10.0.0.1:5000\" | the first address \"10.0.0.1:5000\" is here 7:11",
                ],
            ),
            ("[mrt]", &["6:1 missing output_dir in [mrt]"]),
            (
                "[mrt]\noutput_dir = \"\"\ndump_interval = 0\nfile_prefix = \"../rib\"",
                &[
                    "7:14 invalid output_dir \"\": must not be empty",
                    "8:17 invalid dump_interval 0: must be > 0",
                    "9:15 invalid file_prefix \"../rib\": must not contain a `/`",
                ],
            ),
        ],
    );
}
