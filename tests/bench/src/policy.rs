//! Policies for the daemons that are measured with some, and `reevaluate`: one becomes another.

use crate::engine::Engine;
use crate::probes::Prober;
use crate::run::{QUIET, Run, secs};
use std::fmt::Write;
use std::fs;
use std::time::Instant;

/// What routes go through on their way in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    None,
    /// What a careful operator asks of an upstream: twenty statements, and all routes that pass are changed by the last.
    Transit,
    /// The same, and a part of the addresses is not taken.
    Without(Part),
}

/// A part of the IPv4 addresses: an eighth of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Part;

impl Part {
    pub const TEXT: &'static str = "64.0.0.0/3";

    pub fn contains(self, bits: u64) -> bool {
        bits >> 61 == 2
    }
}

/// Prefixes that nobody has, none of which the generated tables have either.
const BOGONS: [&str; 8] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
];

/// AS numbers that are nobody's; those that the generated tables have are left out.
const NOBODYS: [u32; 6] = [0, 4_200_000_000, 4_200_000_004, 4_200_000_005, 4_294_967_294, 4_294_967_295];

/// Communities that set LOCAL_PREF, and to what.
const PREFERENCES: [(u16, u32); 8] =
    [(70, 70), (80, 80), (90, 90), (95, 95), (105, 105), (110, 110), (120, 120), (130, 130)];

/// For our configuration file; the chain is called `in`.
pub fn ours(policy: Policy) -> String {
    if policy == Policy::None {
        return String::new();
    }
    let mut c = String::from("\n[policy]\nimport_chain = [\"in\"]\n");
    let longer: Vec<String> = BOGONS.iter().map(|p| format!("\"{p} le 32\"")).collect();
    writeln!(c, "[policy.prefix_sets.bogons]\nprefixes = [{}]", longer.join(", ")).unwrap();
    let nobodys: Vec<String> = NOBODYS.iter().map(u32::to_string).collect();
    writeln!(c, "[policy.as_sets.nobodys]\nasns = [{}]", nobodys.join(", ")).unwrap();
    let mut statement = |keys: &str| writeln!(c, "[[policy.definitions.in.statements]]\n{keys}").unwrap();
    if let Policy::Without(_) = policy {
        statement(&format!("action = \"deny\"\nprefix = \"{}\"\nle = 32", Part::TEXT));
    }
    for deny in [
        "match_prefix_set = \"bogons\"",
        "prefix = \"0.0.0.0/0\"\nge = 25",
        "prefix = \"0.0.0.0/0\"",
        "match_origin_as_set = \"nobodys\"",
        "match_as_path = \"_4200000010_\"",
        "match_as_path = \"_4200000011_\"",
        "match_as_path = \"_(4200000001|4200000002|4200000003)_\"",
        "match_as_path_length_ge = 200",
        "match_community = [\"65000:666\"]",
        "match_community = [\"LC:65000:666:*\"]",
        "match_med_ge = 4000000000",
    ] {
        statement(&format!("action = \"deny\"\n{deny}"));
    }
    for (community, preference) in PREFERENCES {
        let keys = format!("match_community = [\"65000:{community}\"]\nset_local_pref = {preference}");
        statement(&format!("action = \"permit\"\n{keys}"));
    }
    statement(
        "action = \"permit\"\nmatch_as_path_length_ge = 1\nset_local_pref = 100\n\
         set_community_remove = [\"65000:*\"]\nset_community_add = [\"65000:1000\"]",
    );
    c
}

/// For BIRD; the filter is called `transit_in`.
pub fn bird(policy: Policy) -> String {
    if policy == Policy::None {
        return String::new();
    }
    let mut c = String::from("filter transit_in {\n");
    if let Policy::Without(_) = policy {
        writeln!(c, "if net ~ [ {}+ ] then reject;", Part::TEXT).unwrap();
    }
    let longer: Vec<String> = BOGONS.iter().map(|p| format!("{p}+")).collect();
    writeln!(c, "if net ~ [ {} ] then reject;", longer.join(", ")).unwrap();
    writeln!(c, "if net.len > 24 then reject;\nif net.len = 0 then reject;").unwrap();
    let nobodys: Vec<String> = NOBODYS.iter().map(u32::to_string).collect();
    writeln!(c, "if bgp_path.last ~ [ {} ] then reject;", nobodys.join(", ")).unwrap();
    for asns in ["4200000010", "4200000011", "[4200000001, 4200000002, 4200000003]"] {
        writeln!(c, "if bgp_path ~ [= * {asns} * =] then reject;").unwrap();
    }
    c += "if bgp_path.len >= 200 then reject;\nif (65000, 666) ~ bgp_community then reject;\n\
          if bgp_large_community ~ [(65000, 666, *)] then reject;\nif bgp_med >= 4000000000 then reject;\n";
    for (community, preference) in PREFERENCES {
        let act = format!("bgp_local_pref = {preference}; accept;");
        writeln!(c, "if (65000, {community}) ~ bgp_community then {{ {act} }}").unwrap();
    }
    c + "bgp_local_pref = 100;\nbgp_community.delete([(65000, *)]);\nbgp_community.add((65000, 1000));\naccept;\n}\n"
}

/// `reevaluate`: the import policy becomes one that does not take a part of the table, and then what it was, while single
/// changes are timed. `gone`: how many prefixes that concerns.
pub fn run(r: &mut Run, gone: u32) -> Result<(), String> {
    // Others are told of another configuration in other ways.
    if r.name != "ours" {
        return Ok(());
    }
    let path = r.dir.join("daemon.conf");
    let with = fs::read_to_string(&path).map_err(|e| e.to_string())?;
    let without = with.replace(&ours(Policy::Transit), &ours(Policy::Without(Part)));
    let all = r.plan.peers[1].expects.unwrap_or(0);
    let mut p = Prober::new(r)?;
    // How fast they are when nothing else goes on.
    let quiet = Instant::now() + QUIET;
    let limit = r.o.limit;
    r.turn("probing", limit, &mut p.during(&mut |_| Instant::now() >= quiet))?;
    let before = p.sent();
    for (text, left, name) in [(&without, all - gone, "reject_s"), (&with, all, "accept_s")] {
        fs::write(&path, text).map_err(|e| e.to_string())?;
        let began = Instant::now();
        unsafe { libc::kill(r.pid as i32, libc::SIGHUP) };
        let mut done = move |e: &mut Engine| e.peers[1].rx.present.count == left;
        let result = r.turn("evaluating again", limit, &mut p.during(&mut done));
        let has = r.e.peers[1].rx.present.count;
        result.map_err(|x| format!("{x} ({has} prefixes instead of {left})"))?;
        let end = r.e.peers[1].rx.last_change.unwrap_or(began);
        r.note(name, secs(began, end));
    }
    let during = before..p.sent();
    p.finish(r)?;
    let quiet = 0..before;
    p.report(r, &[quiet], "idle_probe");
    p.report(r, &[during], "probe");
    r.note("changed", gone);
    Ok(())
}
