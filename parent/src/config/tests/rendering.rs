//! The exact text of diagnostics.

use super::super::{check, load};
use super::{SHORTEST, refused};

/// The manual's example, to the letter.
#[test]
fn the_manuals_example() {
    let text =
        format!("{SHORTEST}\n\n\n[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\nhold_time = 2\n");
    let text = text.replacen("\n\n\n", "\n", 1);
    let expected = "\
error: invalid hold_time 2: must be 0 or >= 3
  --> /etc/rustbgpd/config.toml:10:13
   |
10 | hold_time = 2
   |             ^ must be 0 or >= 3";
    assert_eq!(refused(&text), expected);
}

#[test]
fn a_duplicate_points_at_both_places() {
    let text = format!(
        "{SHORTEST}[[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65002\n\
         [[neighbors]]\naddress = \"10.0.0.2\"\nremote_asn = 65003\n"
    );
    let expected = "\
error: duplicate neighbor address \"10.0.0.2\"
  --> /etc/rustbgpd/config.toml:10:11
   |
10 | address = \"10.0.0.2\"
   |           ^^^^^^^^^^ must be unique
   |
note: the first neighbor address \"10.0.0.2\" is here
  --> /etc/rustbgpd/config.toml:7:11
   |
 7 | address = \"10.0.0.2\"
   |           ^^^^^^^^^^";
    assert_eq!(refused(&text), expected);
}

#[test]
fn all_errors_are_told_in_the_order_of_the_file() {
    let text = "\
[global]
asn = \"65001\"
router_id = \"10.0.0\"
listen_port = 1790000
[[neighbors]]
adress = \"10.0.0.2\"
";
    let expected = "\
error: missing telemetry in [global]
 --> /etc/rustbgpd/config.toml:1:1
  |
1 | [global]
  | ^^^^^^^^ telemetry is required

error: invalid asn \"65001\": must be an integer
 --> /etc/rustbgpd/config.toml:2:7
  |
2 | asn = \"65001\"
  |       ^^^^^^^ must be an integer

error: invalid router_id \"10.0.0\": must be an IPv4 address
 --> /etc/rustbgpd/config.toml:3:13
  |
3 | router_id = \"10.0.0\"
  |             ^^^^^^^^ must be an IPv4 address

error: invalid listen_port 1790000: must be at most 65535
 --> /etc/rustbgpd/config.toml:4:15
  |
4 | listen_port = 1790000
  |               ^^^^^^^ must be at most 65535

error: missing address in [[neighbors]]
 --> /etc/rustbgpd/config.toml:5:1
  |
5 | [[neighbors]]
  | ^^^^^^^^^^^^^ address is required

error: missing remote_asn in [[neighbors]]
 --> /etc/rustbgpd/config.toml:5:1
  |
5 | [[neighbors]]
  | ^^^^^^^^^^^^^ remote_asn is required

error: unknown key \"adress\" in [[neighbors]]
 --> /etc/rustbgpd/config.toml:6:1
  |
6 | adress = <set>
  | ^^^^^^ unknown key
  |
  = help: did you mean `address`?";
    assert_eq!(refused(text), expected);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("config.toml");
    let text = load(&missing).unwrap_err().to_string();
    assert_eq!(
        text,
        format!("error: cannot read {}: No such file or directory (os error 2)", missing.display())
    );
    let text = load(dir.path()).unwrap_err().to_string();
    assert!(text.contains("Is a directory"), "{text}");
    std::fs::write(&missing, b"[global]\nasn = \xff\n").unwrap();
    let text = load(&missing).unwrap_err().to_string();
    assert_eq!(text, format!("error: cannot read {}: line 2 is not valid UTF-8", missing.display()));
}

/// `rustbgpd --check`.
#[test]
fn check_answers_with_a_status() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, SHORTEST).unwrap();
    let good = check(&path);
    assert_eq!((good.status, good.stdout.as_str(), good.stderr.as_str()), (0, "config OK\n", ""));
    std::fs::write(&path, format!("{SHORTEST}[mrt]\noutput_dir = \"/var/lib/mrt\"\n")).unwrap();
    let warned = check(&path);
    assert_eq!((warned.status, warned.stdout.as_str()), (0, "config OK\n"));
    assert_eq!(warned.stderr, "warning: these settings have no effect in this version: mrt\n");
    std::fs::write(&path, "").unwrap();
    let bad = check(&path);
    assert_eq!((bad.status, bad.stdout.as_str()), (1, ""));
    assert!(bad.stderr.contains("error: missing global in the file"), "{}", bad.stderr);
}

/// Files from other systems: a byte order mark, and CR LF at the ends of lines.
#[test]
fn other_systems_line_ends() {
    let text = format!("\u{feff}{}", SHORTEST.replace('\n', "\r\n"));
    super::accepted(&text);
    let expected = "\
error: invalid listen_port 70000: must be at most 65535
 --> /etc/rustbgpd/config.toml:4:15
  |
4 | listen_port = 70000
  |               ^^^^^ must be at most 65535";
    assert_eq!(refused(&text.replace("179", "70000")), expected);
}
