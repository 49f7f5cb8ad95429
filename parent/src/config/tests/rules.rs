//! One case for each rule of `[global]` and its tables: what is written, and what is said of it.

use super::{SHORTEST, TLS, accepted, errors};

/// `[global]` with these lines, from line 2.
fn global(lines: &str) -> String {
    let given = |key: &str| lines.lines().any(|l| l.starts_with(key));
    let mut text = format!("[global]\n{lines}\n");
    for (key, value) in [("asn", "65001"), ("router_id", "\"10.0.0.1\""), ("listen_port", "179")] {
        if !given(key) {
            text += &format!("{key} = {value}\n");
        }
    }
    text + "[global.telemetry]\n"
}

/// Asserts what is said of a text that `wrap` makes of each case; nothing = accepted.
pub(super) fn table(wrap: fn(&str) -> String, cases: &[(&str, &[&str])]) {
    for (lines, expected) in cases {
        let text = wrap(lines);
        if expected.is_empty() {
            accepted(&text);
        } else {
            assert_eq!(&errors(&text), expected, "{text}");
        }
    }
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

pub(super) fn after_shortest(text: &str) -> String {
    format!("{SHORTEST}{text}\n")
}

#[test]
fn global_rules() {
    const ASN: &str = "must not be 0, 23456, 65535 or 4294967295";
    table(
        global,
        &[
            ("asn = 0", &[&format!("2:7 invalid asn 0: {ASN}")]),
            ("asn = 23456", &[&format!("2:7 invalid asn 23456: {ASN}")]),
            ("asn = 65535", &[&format!("2:7 invalid asn 65535: {ASN}")]),
            ("asn = 0xffff_ffff", &[&format!("2:7 invalid asn 0xffff_ffff: {ASN}")]),
            ("asn = 4294967296", &["2:7 invalid asn 4294967296: must be at most 4294967295"]),
            ("asn = -1", &[&format!("2:7 invalid asn -1: {ASN}")]),
            (
                "asn = 99999999999999999999999999999999999999999",
                &["2:7 invalid asn 99999999999999999999999999999999999999999: must be at most 4294967295"],
            ),
            ("asn = 0xfde9", &[]),
            ("asn = 4200000000", &[]),
            ("asn = 1.5", &["2:7 invalid asn 1.5: must be an integer"]),
            ("router_id = \"0.0.0.0\"", &["2:13 invalid router_id \"0.0.0.0\": must not be 0.0.0.0"]),
            ("router_id = \"::1\"", &["2:13 invalid router_id \"::1\": must be an IPv4 address"]),
            ("router_id = 1", &["2:13 invalid router_id 1: must be a string"]),
            ("listen_port = 0", &[]),
            ("listen_port = 65536", &["2:15 invalid listen_port 65536: must be at most 65535"]),
            ("listen_addresses = [\"127.0.0.1\", \"::1\"]", &[]),
            (
                "listen_addresses = []",
                &["2:20 invalid listen_addresses: must not be empty: listen_port = 0 turns listening off"],
            ),
            (
                "listen_addresses = \"::\"",
                &["2:20 invalid listen_addresses \"::\": must be a list of strings"],
            ),
            (
                "listen_addresses = [1, \"x\", \"ff02::1\"]",
                &[
                    "2:21 invalid listen_addresses 1: must be a string",
                    "2:24 invalid listen_addresses \"x\": must be an IP address",
                    "2:29 invalid listen_addresses \"ff02::1\": must not be a multicast address",
                ],
            ),
            (
                "listen_addresses = [\"::1\", \"0::1\"]",
                &[
                    "2:28 duplicate listen_addresses \"0::1\" | the first listen_addresses \"0::1\" is here 2:21",
                ],
            ),
            ("dynamic_neighbor_limit = 0", &["2:26 invalid dynamic_neighbor_limit 0: must be 1 to 5000"]),
            (
                "dynamic_neighbor_limit = 5001",
                &["2:26 invalid dynamic_neighbor_limit 5001: must be 1 to 5000"],
            ),
            ("dynamic_neighbor_limit = 5000", &[]),
            ("runtime_state_dir = \"\"", &["2:21 invalid runtime_state_dir \"\": must not be empty"]),
            ("cluster_id = \"0.0.0.0\"", &["2:14 invalid cluster_id \"0.0.0.0\": must not be 0.0.0.0"]),
            ("user = \"no-such-user\"", &["2:8 invalid user \"no-such-user\": there is no such account"]),
            ("group = \"no-such-group\"", &["2:9 invalid group \"no-such-group\": there is no such group"]),
            ("user = \"root\"\ngroup = \"root\"", &[]),
            ("rde_threads = 0", &["2:15 invalid rde_threads 0: must be 1 to 64"]),
            ("rde_threads = 65", &["2:15 invalid rde_threads 65: must be 1 to 64"]),
            ("rde_threads = -1", &["2:15 invalid rde_threads -1: must be 1 to 64"]),
            ("rde_threads = \"4\"", &["2:15 invalid rde_threads \"4\": must be an integer"]),
            ("rde_threads = 1", &[]),
            ("engine_memory_limit = 64", &[]),
            (
                "engine_memory_limit = 63",
                &["2:23 invalid engine_memory_limit 63: must be 64 to 1048576 (MiB)"],
            ),
            ("rde_threads = 64", &[]),
            ("med_always_compare = 1", &["2:22 invalid med_always_compare 1: must be true or false"]),
            (
                "ebgp_requires_policy = \"yes\"",
                &["2:24 invalid ebgp_requires_policy \"yes\": must be true or false"],
            ),
        ],
    );
}

#[test]
fn the_file_itself() {
    table(
        as_it_is,
        &[
            (SHORTEST, &[]),
            ("", &["1:1 missing global in the file"]),
            ("global = 1", &["1:10 invalid global 1: must be a table: [global]"]),
            (
                "[global]\n[globl]",
                &[
                    "1:1 missing asn in [global]",
                    "1:1 missing router_id in [global]",
                    "1:1 missing listen_port in [global]",
                    "1:1 missing telemetry in [global]",
                    "2:2 unknown key \"globl\" in the file | did you mean `global`?",
                ],
            ),
        ],
    );
    table(
        after_shortest,
        &[
            ("neighbours = 1", &["6:1 unknown key \"neighbours\" in [global.telemetry]"]),
            (
                "hold_time = 9",
                &[
                    "6:1 unknown key \"hold_time\" in [global.telemetry] | `hold_time` belongs to: [[neighbors]]",
                ],
            ),
            ("[[neighbours]]", &["6:3 unknown key \"neighbours\" in the file | did you mean `neighbors`?"]),
            ("[neighbors]", &["6:1 invalid neighbors: must be a list of tables: [[neighbors]]"]),
            ("[unheard_of]", &["6:2 unknown key \"unheard_of\" in the file"]),
        ],
    );
}

#[test]
fn syntax_errors() {
    table(
        as_it_is,
        &[
            ("[global]\nasn = 1\nasn = 2\n", &["3:1 duplicate key asn | the first one is here 2:1"]),
            ("[global\nasn = 1\n", &["1:8 unclosed table"]),
            ("[global]\nasn = \n", &["2:7 string values must be quoted"]),
            (
                "[global]\nasn = 01\nhold = 1_\n",
                &["2:7 unexpected leading zero", "3:8 `_` may only go between digits"],
            ),
        ],
    );
}

#[test]
fn telemetry_rules() {
    const ADDR: &str = "must be an IP address and a port, like 127.0.0.1:9179 or [::1]:9179";
    const NONE: &str = "no gRPC listener is enabled: at least one of grpc_uds and grpc_tcp must be";
    table(
        after_shortest,
        &[
            ("prometheus_addr = \"0.0.0.0:9179\"\nlog_format = \"text\"\nlog_level = \"trace\"", &[]),
            ("prometheus_addr = \"9179\"", &[&format!("6:19 invalid prometheus_addr \"9179\": {ADDR}")]),
            ("log_format = \"xml\"", &["6:14 invalid log_format \"xml\": must be \"json\" or \"text\""]),
            (
                "log_level = \"warning\"",
                &[
                    "6:13 invalid log_level \"warning\": must be \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
                ],
            ),
            ("looking_glass = { addr = \"[::1]:8080\" }", &[]),
            ("[global.telemetry.looking_glass]", &["6:1 missing addr in [global.telemetry.looking_glass]"]),
            ("looking_glass = { addr = \"x\" }", &[&format!("6:26 invalid addr \"x\": {ADDR}")]),
            ("[global.telemetry.grpc_uds]\nmode = 0o660\naccess_mode = \"read_only\"\ngroup = \"root\"", &[]),
            (
                "[global.telemetry.grpc_uds]\nmode = 0o1777",
                &["7:8 invalid mode 0o1777: must be at most 0o777"],
            ),
            (
                "[global.telemetry.grpc_uds]\nmode = \"0600\"",
                &["7:8 invalid mode \"0600\": must be an integer"],
            ),
            (
                "[global.telemetry.grpc_uds]\npath = \"grpc.sock\"",
                &["7:8 invalid path \"grpc.sock\": must be an absolute path"],
            ),
            (
                "[global.telemetry.grpc_uds]\naccess_mode = \"read\"",
                &["7:15 invalid access_mode \"read\": must be \"read_write\" or \"read_only\""],
            ),
            (
                "[global.telemetry.grpc_uds]\nallow_uids = [0, -1, \"root\"]",
                &[
                    "7:18 invalid allow_uids -1: must be a user id",
                    "7:22 invalid allow_uids \"root\": must be an integer",
                ],
            ),
            (
                "[global.telemetry.grpc_uds]\nenabled = false",
                &[&format!("7:11 {NONE}").replace("7:11", "7:1")],
            ),
            ("[global.telemetry.grpc_tcp]\nenabled = false", &[&format!("7:1 {NONE}")]),
            (
                "[global.telemetry.grpc_uds]\nenabled = false\n[global.telemetry.grpc_tcp]\nenabled = false",
                &[&format!("7:1 {NONE}")],
            ),
            ("[global.telemetry.grpc_uds]\n[global.telemetry.grpc_tcp]\nenabled = false", &[]),
            ("[global.telemetry.grpc_tcp]", &["6:1 missing address in [global.telemetry.grpc_tcp]"]),
            (
                "[global.telemetry.grpc_tcp]\naddress = \"localhost:1\"",
                &[&format!("7:11 invalid address \"localhost:1\": {ADDR}")],
            ),
            (
                "[global.telemetry.grpc_tcp]\naddress = \"[::1]:50051\"\ntoken_file = \"/no/such\"",
                &[
                    "8:14 invalid token_file \"/no/such\": cannot read it: No such file or directory (os error 2)",
                ],
            ),
            (
                "[global.telemetry.grpc_tcp]\naddress = \"[::1]:50051\"\ntoken_file = \"/dev/null\"",
                &["8:14 invalid token_file \"/dev/null\": must be a regular file"],
            ),
        ],
    );
    table(
        after_shortest,
        &[
            (
                "[global.telemetry.grpc_uds]\nallow_uids = []",
                &["7:14 invalid allow_uids: must not be empty: leave the key out to allow everybody"],
            ),
            (
                "[global.telemetry.grpc_uds]\nallow_gids = [4294967295]",
                &["7:14 invalid allow_gids: must be group ids"],
            ),
        ],
    );
    let long = format!("[global.telemetry.grpc_uds]\npath = \"/{}\"", "x".repeat(107));
    assert_eq!(errors(&after_shortest(&long)), ["7:8 invalid path: must be at most 107 octets long"]);
}

#[test]
fn tls_rules() {
    let said = |lines: &str| {
        let head = "[global.telemetry.grpc_tcp]\naddress = \"[::1]:50051\"\n";
        errors(&after_shortest(&format!("{head}{}", lines.replace("TLS", TLS)))).join("\n")
    };
    let pair = "tls_cert = \"TLS/server.pem\"\ntls_key = \"TLS/server.key\"\n";
    accepted(&after_shortest(
        &format!("[global.telemetry.grpc_tcp]\naddress = \"[::1]:50051\"\n{pair}").replace("TLS", TLS),
    ));
    for half in
        ["tls_cert = \"TLS/server.pem\"", "tls_key = \"TLS/server.key\"", "tls_client_ca = \"TLS/ca.pem\""]
    {
        assert!(said(half).starts_with("8:"), "{half}");
        assert!(said(half).ends_with("tls_cert and tls_key belong together, and tls_client_ca needs both"));
    }
    for (lines, place, says) in [
        ("tls_cert = \"/no/such\"\ntls_key = \"TLS/server.key\"", "8:12", "cannot read it: No such file"),
        ("tls_cert = \"TLS\"\ntls_key = \"TLS/server.key\"", "8:12", "must be a regular file"),
        ("tls_cert = \"TLS/make.sh\"\ntls_key = \"TLS/server.key\"", "8:12", "must hold certificates in PEM"),
        ("tls_cert = \"TLS/server.pem\"\ntls_key = \"TLS/ca.pem\"", "9:11", "must hold a private key in PEM"),
        (
            "tls_cert = \"TLS/server.pem\"\ntls_key = \"TLS/client.key\"",
            "9:11",
            "is not the key of the first certificate in tls_cert",
        ),
        (&format!("{pair}tls_client_ca = \"TLS/server.key\""), "10:17", "must hold certificates in PEM"),
    ] {
        let said = said(lines);
        assert!(said.starts_with(place) && said.contains(says), "{lines}\n{said}");
    }
}
