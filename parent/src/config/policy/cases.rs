//! `[[policy.tests]]`: a route, the peer that it is from or for, and what shall become of it. `rustbgpd --check` runs
//! them on the policies of the file; an expectation that is not met is shown like any other mistake.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use bgp::attr::PathAttribute;
use bgp::attr::canonical::Builder;
use bgp::community::{Community, ExtendedCommunity, LargeCommunity};
use ipc::object::{Covered, TestMismatch, TestOutcome, TestReport};
use ipnet::IpNet;
use policy::{
    Action, Assigned, Assignment, Chain, CompileError, Coverage, Expected, Mismatch, NextHopChange, Peer,
    Policies, RouteBuf, RouteType, parse_path, resolve, run_test,
};

use super::statement::{ACTIONS, ASPA_STATES, ROUTE_TYPES, RPKI_STATES, next_hop};
use super::{Names, chain, communities, exact_communities};
use crate::config::keys;
use crate::config::reader::{At, Reader, Table};
use crate::config::schema::{Config, Neighbor};

/// A test that can be run.
#[derive(Debug)]
pub(crate) struct Case {
    name: At<String>,
    direction: Direction,
    /// A neighbor of the file: its policy applies, and it is the peer.
    neighbor: Option<IpAddr>,
    /// The policies to test in place of those that apply.
    chain: Option<Vec<String>>,
    peer: Peer,
    route: RouteBuf,
    expected: Expected,
    /// Where each field of the expectation is.
    places: BTreeMap<&'static str, Range<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Import,
    Export,
}

/// Reads `[[policy.tests]]`; `asn` is ours, if it is known.
pub(crate) fn read<'s>(
    r: &mut Reader<'s>,
    root: &Table<'s>,
    names: &Names<'s>,
    neighbors: &[Neighbor],
    asn: Option<u32>,
) -> Vec<Case> {
    let Some(policy) = root.peek("policy") else { return Vec::new() };
    let mut cases = Vec::new();
    for t in r.tables(&policy, "tests", "[[policy.tests]]") {
        cases.extend(case(r, &t, names, neighbors, asn));
    }
    cases
}

fn case<'s>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
    names: &Names<'s>,
    neighbors: &[Neighbor],
    asn: Option<u32>,
) -> Option<Case> {
    r.check_keys(t, &[keys::POLICY_TEST], None);
    r.require(t, &["name", "direction", "route", "expect"]);
    let name = r.text(t, "name").map(|n| At { value: n.value.to_owned(), span: n.span });
    let directions = [("import", Direction::Import), ("export", Direction::Export)];
    let direction = r.choice(t, "direction", &directions).map(|d| d.value);
    let chain = chain(r, t, "chain", names).map(|c| c.value);
    let (neighbor, peer) = peer(r, t, names, neighbors);
    let route_table = r.table(t, "route", "[policy.tests.route]");
    let usual = match (direction, asn) {
        (Some(Direction::Import), Some(asn)) if asn == peer.remote_asn => RouteType::Internal,
        _ => RouteType::External,
    };
    let route = route_table.and_then(|t| route(r, &t, peer.address, usual));
    let expect_table = r.table(t, "expect", "[policy.tests.expect]");
    let (expected, places) = expect_table.and_then(|t| expected(r, &t))?;
    let (name, direction, route) = (name?, direction?, route?);
    Some(Case { name, direction, neighbor, chain, peer, route, expected, places })
}

/// The peer, and whether it is a neighbor of the file.
fn peer<'s>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
    names: &Names<'s>,
    neighbors: &[Neighbor],
) -> (Option<IpAddr>, Peer) {
    let address: Option<At<IpAddr>> = r.parse(t, "neighbor", "an IP address");
    let remote_asn = r.positive::<u32>(t, "remote_asn");
    let group = r.string(t, "peer_group");
    let Some(address) = address else {
        let remote_asn = remote_asn.map_or(0, |n| n.value);
        let peer_group = group.as_ref().map(|g| g.value.to_owned());
        if let Some(group) = group {
            super::exists(r, "peer_group", group, "peer group", &names.peer_groups);
        }
        return (None, Peer { address: Ipv4Addr::UNSPECIFIED.into(), remote_asn, peer_group });
    };
    for (key, span) in [("remote_asn", remote_asn.map(|n| n.span)), ("peer_group", group.map(|g| g.span))] {
        if let Some(span) = span {
            r.invalid(key, span, "is that of the neighbor");
        }
    }
    let Some(found) = neighbors.iter().find(|n| n.address == address.value) else {
        r.invalid("neighbor", address.span, "there is no such neighbor");
        return (None, Peer { address: address.value, remote_asn: 0, peer_group: None });
    };
    let peer =
        Peer { address: found.address, remote_asn: found.remote_asn, peer_group: found.peer_group.clone() };
    (Some(found.address), peer)
}

fn route<'s>(r: &mut Reader<'s>, t: &Table<'s>, peer: IpAddr, usual: RouteType) -> Option<RouteBuf> {
    r.check_keys(t, &[keys::TEST_ROUTE], None);
    r.require(t, &["prefix"]);
    let prefix: Option<At<IpNet>> = r.parse(t, "prefix", "a prefix, like 192.0.2.0/24");
    let next_hop: Option<At<IpAddr>> = r.parse(t, "next_hop", "an IP address");
    let mut attributes = Builder::new();
    if let Some(path) = as_path(r, t) {
        attributes.set(PathAttribute::AsPath(parse_path(&path.value).unwrap_or_default()));
    }
    if let Some(n) = r.number(t, "local_pref") {
        attributes.set(PathAttribute::LocalPref(n.value));
    }
    if let Some(n) = r.number(t, "med") {
        attributes.set(PathAttribute::MultiExitDisc(n.value));
    }
    let listed = exact_communities(r, t, "communities");
    let octets: Vec<Vec<u8>> = listed.iter().filter_map(|c| c.octets()).collect();
    for attribute in carried(&octets) {
        attributes.set(attribute);
    }
    let route_type = r.choice(t, "route_type", &ROUTE_TYPES).map_or(usual, |t| t.value);
    let rpki = r.choice(t, "rpki_validation", &RPKI_STATES).map(|s| s.value).unwrap_or_default();
    let aspa = r.choice(t, "aspa_validation", &ASPA_STATES).map(|s| s.value).unwrap_or_default();
    let prefix = prefix?.value.trunc();
    let usual_hop = match (prefix, peer) {
        (IpNet::V4(_), IpAddr::V4(_)) | (IpNet::V6(_), IpAddr::V6(_)) => peer,
        (IpNet::V4(_), _) => Ipv4Addr::UNSPECIFIED.into(),
        (IpNet::V6(_), _) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let next_hop = next_hop.map_or(usual_hop, |n| n.value).into();
    Some(RouteBuf { prefix, attributes: attributes.build(), next_hop, route_type, rpki, aspa })
}

/// Communities of all kinds as attributes.
fn carried(octets: &[Vec<u8>]) -> [PathAttribute; 3] {
    fn of_length<const N: usize>(octets: &[Vec<u8>]) -> impl Iterator<Item = [u8; N]> {
        octets.iter().filter_map(|o| o.as_slice().try_into().ok())
    }
    let word = |c: &[u8; 12], n: usize| c.as_chunks::<4>().0.get(n).map_or(0, |w| u32::from_be_bytes(*w));
    [
        PathAttribute::Communities(of_length(octets).map(|c| Community(u32::from_be_bytes(c))).collect()),
        PathAttribute::ExtendedCommunities(
            of_length(octets).map(|c| ExtendedCommunity(u64::from_be_bytes(c))).collect(),
        ),
        PathAttribute::LargeCommunities(
            of_length(octets).map(|c| LargeCommunity(word(&c, 0), word(&c, 1), word(&c, 2))).collect(),
        ),
    ]
}

fn as_path<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<At<String>> {
    let text = r.string(t, "as_path")?;
    match parse_path(text.value) {
        Ok(path) => Some(At { value: path.to_string(), span: text.span }),
        Err(rule) => {
            r.invalid("as_path", text.span, rule);
            None
        }
    }
}

fn expected<'s>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
) -> Option<(Expected, BTreeMap<&'static str, Range<usize>>)> {
    r.check_keys(t, &[keys::TEST_EXPECT], None);
    r.require(t, &["action"]);
    let action = r.choice(t, "action", &ACTIONS);
    let local_pref = r.number(t, "local_pref");
    let med = r.number(t, "med");
    let next_hop: Option<At<NextHopChange>> = next_hop(r, t, "next_hop");
    let as_path = as_path(r, t);
    let all = communities(r, t, "communities");
    let expected = Expected {
        action: action.as_ref().map(|a| a.value),
        local_pref: local_pref.map(|n| n.value),
        med: med.map(|n| n.value),
        next_hop: next_hop.map(|n| n.value),
        as_path: as_path.map(|p| p.value),
        communities: t.has("communities").then_some(all),
        with_communities: communities(r, t, "with_communities"),
        without_communities: communities(r, t, "without_communities"),
    };
    let place = |k: &keys::Key| Some((k.name, t.value_span(k.name)?));
    let places: BTreeMap<_, _> = keys::TEST_EXPECT.iter().filter_map(place).collect();
    if expected.action == Some(Action::Deny) {
        for (key, span) in places.iter().filter(|(key, _)| **key != "action") {
            let rule = "is for action = \"permit\" only";
            r.problem(format!("invalid {key}: {rule}"), rule.to_owned(), span.clone());
        }
    }
    action.map(|_| (expected, places))
}

/// Runs the tests on the policies of the file. What is not as expected is noted as a mistake of the file, too; `None` where
/// the policies do not compile.
pub(crate) fn run(r: &mut Reader<'_>, config: &Config, cases: &[Case]) -> Option<TestReport> {
    let policies = match Policies::compile(&config.policy.definitions) {
        Ok(policies) => policies,
        Err(errors) => {
            // Each of these has been found with its place, or the reader is wrong.
            for error in errors {
                r.problem(error.to_string(), String::new(), 0..0);
            }
            return None;
        }
    };
    let mut coverage = Coverage::of(policies.all());
    let mut tests = Vec::new();
    for case in cases {
        match chain_of(case, config, &policies) {
            Ok(tested) => tests.push(run_one(r, case, tested.as_ref(), &policies, &mut coverage)),
            Err(error) => _ = r.problem(error.to_string(), String::new(), case.name.span.clone()),
        }
    }
    let coverage = coverage.statements().iter().map(|s| Covered {
        policy: s.policy.clone(),
        number: s.number,
        name: s.name.clone(),
        line: s.line,
        hits: s.hits,
    });
    Some(TestReport { tests, coverage: coverage.collect(), diagnostics: String::new() })
}

fn chain_of(case: &Case, config: &Config, policies: &Policies) -> Result<Option<Chain>, CompileError> {
    if let Some(names) = &case.chain {
        return policies.chain(names.iter().map(String::as_str)).map(Some);
    }
    let neighbor = config.neighbors.iter().find(|n| Some(n.address) == case.neighbor);
    let nothing = Assignment::default();
    let (own, global) = match case.direction {
        Direction::Import => (neighbor.map(|n| &n.import_policy), &config.policy.import),
        Direction::Export => (neighbor.map(|n| &n.export_policy), &config.policy.export),
    };
    // What a neighbor has of its group is in its own already.
    let assigned: Assigned = resolve(own.unwrap_or(&nothing), None, global);
    policies.assigned(&assigned)
}

fn run_one(
    r: &mut Reader<'_>,
    case: &Case,
    chain: Option<&Chain>,
    policies: &Policies,
    coverage: &mut Coverage,
) -> TestOutcome {
    let result = run_test(chain, &policies.context(&case.peer), &case.route, &case.expected, coverage);
    let who = result.explanation.decided_by();
    let why = who.as_ref().map_or_else(|| "no policy applies".to_owned(), |who| format!("decided by {who}"));
    let mut mismatches = Vec::new();
    for Mismatch { field, expected, found } in result.mismatches {
        let span = case.places.get(field).cloned().unwrap_or_else(|| case.name.span.clone());
        let message =
            format!("policy test {:?}: expected {field} {expected}, found {found}", case.name.value);
        r.problem(message, format!("found {found}"), span).help = Some(why.clone());
        mismatches.push(TestMismatch { field: field.to_owned(), expected, found });
    }
    TestOutcome {
        name: case.name.value.clone(),
        line: r.line(case.name.span.start),
        mismatches,
        decided_by: who.map(|who| who.to_string()).unwrap_or_default(),
    }
}

/// What `--check` tells of tests that have passed; nothing where there are none.
pub(crate) fn summary(report: &TestReport) -> Option<String> {
    const NAMED: usize = 5;
    if report.tests.is_empty() {
        return None;
    }
    let all = &report.coverage;
    let mut missed: Vec<u32> = all.iter().filter(|s| s.hits == 0).map(|s| s.line).collect();
    missed.sort_unstable();
    let (tests, reached) = (report.tests.len(), all.len() - missed.len());
    let mut text = format!("policy tests: {tests} passed, {reached} of {} statements decided", all.len());
    if !missed.is_empty() {
        let mut lines: Vec<String> = missed.iter().take(NAMED).map(u32::to_string).collect();
        if missed.len() > NAMED {
            lines.push(format!("{} more", missed.len() - NAMED));
        }
        text += &format!(" (not those on lines {})", lines.join(", "));
    }
    Some(text)
}
