//! Statements: what they match, what they change.

use std::net::IpAddr;

use ipnet::IpNet;
use policy::{
    Action, AsPathTest, AspaState, Change, Match, NextHopChange, PrefixRange, RouteType, RpkiState,
    StatementDef,
};

use super::{Names, communities, exact_communities, exists};
use crate::config::keys;
use crate::config::reader::{At, Reader, Table};

/// The names of actions.
pub(super) const ACTIONS: [(&str, Action); 2] = [("permit", Action::Permit), ("deny", Action::Deny)];
/// The names of route types.
pub(super) const ROUTE_TYPES: [(&str, RouteType); 3] =
    [("local", RouteType::Local), ("internal", RouteType::Internal), ("external", RouteType::External)];
/// The names of the outcomes of origin validation.
pub(super) const RPKI_STATES: [(&str, RpkiState); 3] =
    [("valid", RpkiState::Valid), ("invalid", RpkiState::Invalid), ("not_found", RpkiState::NotFound)];
/// The names of the outcomes of path verification.
pub(super) const ASPA_STATES: [(&str, AspaState); 3] =
    [("valid", AspaState::Valid), ("invalid", AspaState::Invalid), ("unknown", AspaState::Unknown)];

/// Reads a list of statements.
pub(super) fn list<'s>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
    key: &str,
    title: &str,
    names: &Names<'s>,
) -> Vec<StatementDef> {
    let mut statements = Vec::new();
    for t in r.tables(t, key, title) {
        statements.push(statement(r, &t, title, names));
    }
    statements
}

fn statement<'s>(r: &mut Reader<'s>, t: &Table<'s>, title: &str, names: &Names<'s>) -> StatementDef {
    r.check_keys(t, &[keys::STATEMENT, keys::MATCHES, keys::CHANGES], None);
    r.require(t, &["action"]);
    let action = r.choice(t, "action", &ACTIONS).map(|a| a.value);
    let name = r.text(t, "name").map(|n| n.value.to_owned());
    let mut matches: Vec<Match> = prefix(r, t).into_iter().collect();
    matches.extend(references(r, t, names));
    matches.extend(values(r, t));
    matches.extend(bounds(r, t));
    let changes = changes(r, t);
    if !keys::MATCHES.iter().any(|k| t.says_something(k.name)) {
        let message = format!("{title} matches nothing: it needs a prefix or a match_ key");
        r.problem(message, "at least one match is required".to_owned(), t.span.clone());
    }
    let deny = action == Some(Action::Deny);
    for change in keys::CHANGES.iter().filter(|k| deny && t.says_something(k.name)) {
        let rule = "is for statements with action = \"permit\" only";
        let span = t.key_span(change.name).unwrap_or_else(|| t.span.clone());
        r.problem(format!("invalid {}: {rule}", change.name), rule.to_owned(), span);
    }
    StatementDef { name, line: r.line(t.span.start), action: action.unwrap_or_default(), matches, changes }
}

/// `prefix`, `ge` and `le`: prefix length <= ge <= le <= length of an address.
fn prefix<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<Match> {
    let prefix: Option<At<IpNet>> = r.parse(t, "prefix", "a prefix, like 192.0.2.0/24");
    let ge = r.number::<u8>(t, "ge");
    let le = r.number::<u8>(t, "le");
    let Some(prefix) = prefix else {
        for (key, bound) in [("ge", ge), ("le", le)] {
            if let (Some(bound), false) = (bound, t.has("prefix")) {
                r.invalid(key, bound.span, "needs a prefix");
            }
        }
        return None;
    };
    let (least, most) = (prefix.value.prefix_len(), prefix.value.max_prefix_len());
    let rule = format!("must be {least} to {most}, as the prefix is");
    let ge = r.keep("ge", ge, &rule, |n| (least..=most).contains(n));
    let mut le = r.keep("le", le, &rule, |n| (least..=most).contains(n));
    if let Some(ge) = &ge {
        le = r.keep("le", le, "must not be less than ge", |le| *le >= ge.value);
    }
    let range = PrefixRange::new(prefix.value, ge.map(|n| n.value), le.map(|n| n.value));
    range.ok().map(Match::Prefix)
}

/// What refers to a set.
fn references<'s>(r: &mut Reader<'s>, t: &Table<'s>, names: &Names<'s>) -> Vec<Match> {
    type Make = fn(String) -> Match;
    let mut matches = Vec::new();
    let kinds: [(&str, &str, _, Make); 4] = [
        ("match_neighbor_set", "neighbor set", &names.neighbor_sets, Match::NeighborSet),
        ("match_prefix_set", "prefix set", &names.prefix_sets, Match::PrefixSet),
        ("match_origin_as_set", "AS set", &names.as_sets, Match::OriginAsSet),
        ("match_community_set", "community set", &names.community_sets, Match::CommunitySet),
    ];
    for (key, what, known, make) in kinds {
        if let Some(name) = r.string(t, key) {
            matches.push(make(name.value.to_owned()));
            exists(r, key, name, what, known);
        }
    }
    matches
}

/// What has a value of its own.
fn values<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Vec<Match> {
    let listed = communities(r, t, "match_community");
    let next_hop: Option<At<IpAddr>> = r.parse(t, "match_next_hop", "an IP address");
    [
        (!listed.is_empty()).then_some(Match::Communities(listed)),
        expression(r, t).map(Match::AsPath),
        r.choice(t, "match_route_type", &ROUTE_TYPES).map(|s| Match::RouteType(s.value)),
        r.choice(t, "match_rpki_validation", &RPKI_STATES).map(|s| Match::Rpki(s.value)),
        r.choice(t, "match_aspa_validation", &ASPA_STATES).map(|s| Match::Aspa(s.value)),
        next_hop.map(|a| Match::NextHop(a.value)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `match_as_path`: compiled to see whether it is an expression.
fn expression<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<String> {
    const KEY: &str = "match_as_path";
    let text = r.text(t, KEY)?;
    match AsPathTest::new(text.value) {
        Ok(_) => Some(text.value.to_owned()),
        Err(error) => {
            let place = r.inside(&text, error.at);
            let written = r.shown(text.span);
            r.problem(format!("invalid {KEY}{written}: {}", error.message), error.message, place);
            None
        }
    }
}

/// What has a least and a most.
fn bounds<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Vec<Match> {
    type Make = fn(u32) -> Match;
    let pairs: [(&str, Make, &str, Make); 3] = [
        ("match_as_path_length_ge", Match::AsPathLengthGe, "match_as_path_length_le", Match::AsPathLengthLe),
        ("match_local_pref_ge", Match::LocalPrefGe, "match_local_pref_le", Match::LocalPrefLe),
        ("match_med_ge", Match::MedGe, "match_med_le", Match::MedLe),
    ];
    let mut matches = Vec::new();
    for (ge, at_least, le, at_most) in pairs {
        let least = r.number::<u32>(t, ge);
        let most = r.number::<u32>(t, le);
        let rule = format!("must not be less than {ge}");
        let most = r.keep(le, most, rule, |most| least.as_ref().is_none_or(|least| least.value <= *most));
        matches.extend(least.map(|n| at_least(n.value)));
        matches.extend(most.map(|n| at_most(n.value)));
    }
    matches
}

fn changes<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Vec<Change> {
    let local_pref = r.number::<u32>(t, "set_local_pref").map(|n| Change::LocalPref(n.value));
    let med = r.number::<u32>(t, "set_med").map(|n| Change::Med(n.value));
    let next_hop = next_hop(r, t, "set_next_hop").map(|n| Change::NextHop(n.value));
    let added = exact_communities(r, t, "set_community_add");
    let removed = communities(r, t, "set_community_remove");
    let prepend = prepend(r, t);
    let some = |list: &Vec<_>| !list.is_empty();
    let removed = Some(removed).filter(some).map(Change::RemoveCommunities);
    let added = Some(added).filter(some).map(Change::AddCommunities);
    [local_pref, med, next_hop, removed, added, prepend].into_iter().flatten().collect()
}

/// `"self"` or an address.
pub(super) fn next_hop<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str) -> Option<At<NextHopChange>> {
    let text = r.string(t, key)?;
    if text.value == "self" {
        return Some(At { value: NextHopChange::OurAddress, span: text.span });
    }
    let address: At<IpAddr> = r.parse_text(key, text, "\"self\" or an IP address")?;
    Some(At { value: NextHopChange::Address(address.value), span: address.span })
}

fn prepend<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<Change> {
    let t = r.table(t, "set_as_path_prepend", "set_as_path_prepend = { asn, count }")?;
    r.check_keys(&t, &[keys::PREPEND], None);
    r.require(&t, &["asn", "count"]);
    let asn = r.number_where(&t, "asn", "must not be 0", |n: u32| n != 0);
    let count = r.number_where(&t, "count", "must be 1 to 10", |n: u8| (1..=10).contains(&n));
    Some(Change::Prepend { asn: asn?.value, count: count?.value })
}
