//! `[policy]` and the policies written at neighbors and groups. They are checked for what can be told from
//! the file alone; compiling them is rde's part.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::communities::{self, Wildcard};
use super::keys;
use super::reader::{At, Reader, Table, nearest};

/// The names that statements and neighbors may refer to.
#[derive(Debug, Default)]
pub(super) struct Names<'s> {
    policies: HashSet<&'s str>,
    neighbor_sets: HashSet<&'s str>,
    prefix_sets: HashSet<&'s str>,
    as_sets: HashSet<&'s str>,
    community_sets: HashSet<&'s str>,
    peer_groups: HashSet<&'s str>,
}

impl<'s> Names<'s> {
    /// The names that the file defines.
    pub(super) fn collect(root: &Table<'s>) -> Names<'s> {
        let policy = root.peek("policy");
        let under = |key: &str| -> HashSet<&'s str> {
            policy.as_ref().map_or_else(HashSet::new, |t| t.names_in(key).into_iter().collect())
        };
        Names {
            policies: under("definitions"),
            neighbor_sets: under("neighbor_sets"),
            prefix_sets: under("prefix_sets"),
            as_sets: under("as_sets"),
            community_sets: under("community_sets"),
            peer_groups: root.names_in("peer_groups").into_iter().collect(),
        }
    }
}

/// Checks `[policy]`.
pub(super) fn check<'s>(r: &mut Reader<'s>, root: &Table<'s>, names: &Names<'s>) {
    let Some(t) = r.table(root, "policy", "[policy]") else { return };
    r.check_keys(&t, &[keys::POLICY], None);
    for (inline, chain) in [("import", "import_chain"), ("export", "export_chain")] {
        let title = format!("[[policy.{inline}]]");
        statements(r, &t, inline, &title, names);
        check_chain(r, &t, chain, names);
    }
    if let Some(definitions) = r.table(&t, "definitions", "[policy.definitions.<name>]") {
        for (name, t) in r.named(&definitions, "policy.definitions") {
            r.check_keys(&t, &[keys::DEFINITION], None);
            r.choice(&t, "default_action", &[("permit", ()), ("deny", ())]);
            let title = format!("[[policy.definitions.{}.statements]]", name.value);
            statements(r, &t, "statements", &title, names);
        }
    }
    sets(r, &t, names);
    r.tables(&t, "tests", "[[policy.tests]]");
}

/// Checks the policies that a neighbor or a group names or holds.
pub(super) fn check_use<'s>(r: &mut Reader<'s>, t: &Table<'s>, names: &Names<'s>) {
    for (inline, chain) in
        [("import_policy", "import_policy_chain"), ("export_policy", "export_policy_chain")]
    {
        let title = format!("[[{inline}]]");
        let written = statements(r, t, inline, &title, names);
        let named = check_chain(r, t, chain, names);
        if let (true, Some(named)) = (written > 0, named.filter(|n| n.value > 0)) {
            let rule = format!("cannot be combined with {inline}");
            r.problem(format!("invalid {chain}: {rule}"), rule, named.span);
        }
    }
}

/// Checks that the policies of a chain exist, and counts them.
fn check_chain<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str, names: &Names<'s>) -> Option<At<usize>> {
    let chain = r.strings(t, key)?;
    let count = At { value: chain.value.len(), span: chain.span };
    for name in chain.value {
        exists(r, key, name, "policy", &names.policies);
    }
    Some(count)
}

/// Checks that what `name` refers to exists.
fn exists(r: &mut Reader<'_>, key: &str, name: At<&str>, what: &str, known: &HashSet<&str>) {
    if !known.contains(name.value) {
        let help = nearest(name.value, known.iter().copied()).map(|n| format!("did you mean \"{n}\"?"));
        r.invalid(key, name.span, format_args!("there is no such {what}")).help = help;
    }
}

fn sets<'s>(r: &mut Reader<'s>, policy: &Table<'s>, names: &Names<'s>) {
    for (_, t) in named_sets(r, policy, "neighbor_sets") {
        r.check_keys(&t, &[keys::NEIGHBOR_SET], None);
        for address in r.strings(&t, "addresses").map_or_else(Vec::new, |l| l.value) {
            r.parse_text::<IpAddr>("addresses", address, "an IP address");
        }
        r.numbers(&t, "remote_asns", "must not be 0", |n| n != 0);
        for group in r.strings(&t, "peer_groups").map_or_else(Vec::new, |l| l.value) {
            exists(r, "peer_groups", group, "peer group", &names.peer_groups);
        }
    }
    for (_, t) in named_sets(r, policy, "prefix_sets") {
        r.check_keys(&t, &[keys::PREFIX_SET], None);
        for prefix in r.strings(&t, "prefixes").map_or_else(Vec::new, |l| l.value) {
            r.parse_text::<IpNet>("prefixes", prefix, "a prefix, like 192.0.2.0/24");
        }
    }
    for (_, t) in named_sets(r, policy, "as_sets") {
        r.check_keys(&t, &[keys::AS_SET], None);
        r.numbers(&t, "asns", "must be an AS number", |_| true);
    }
    for (_, t) in named_sets(r, policy, "community_sets") {
        r.check_keys(&t, &[keys::COMMUNITY_SET], None);
        check_communities(r, &t, "communities", Wildcard::Allowed);
    }
}

fn named_sets<'s>(r: &mut Reader<'s>, policy: &Table<'s>, key: &str) -> Vec<(At<&'s str>, Table<'s>)> {
    let prefix = format!("policy.{key}");
    match r.table(policy, key, &format!("[{prefix}.<name>]")) {
        Some(t) => r.named(&t, &prefix),
        None => Vec::new(),
    }
}

/// Checks a list of statements and counts them.
fn statements<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str, title: &str, names: &Names<'s>) -> usize {
    let list = r.tables(t, key, title);
    for t in &list {
        r.check_keys(t, &[keys::STATEMENT, keys::MATCHES, keys::CHANGES], None);
        r.require(t, &["action"]);
        let deny = r.choice(t, "action", &[("permit", false), ("deny", true)]).is_some_and(|a| a.value);
        check_prefix(r, t);
        check_matches(r, t, names);
        check_changes(r, t);
        if !keys::MATCHES.iter().any(|k| t.says_something(k.name)) {
            let message = format!("{title} matches nothing: it needs a prefix or a match_ key");
            r.problem(message, "at least one match is required".to_owned(), t.span.clone());
        }
        for change in keys::CHANGES.iter().filter(|k| deny && t.says_something(k.name)) {
            let rule = "is for statements with action = \"permit\" only";
            let span = t.key_span(change.name).unwrap_or_else(|| t.span.clone());
            r.problem(format!("invalid {}: {rule}", change.name), rule.to_owned(), span);
        }
    }
    list.len()
}

/// `prefix`, `ge` and `le`: prefix length <= ge <= le <= length of an address.
fn check_prefix<'s>(r: &mut Reader<'s>, t: &Table<'s>) {
    let prefix: Option<At<IpNet>> = r.parse(t, "prefix", "a prefix, like 192.0.2.0/24");
    let ge = r.number::<u8>(t, "ge");
    let le = r.number::<u8>(t, "le");
    let Some(prefix) = prefix else {
        for (key, bound) in [("ge", ge), ("le", le)] {
            if let (Some(bound), false) = (bound, t.has("prefix")) {
                r.invalid(key, bound.span, "needs a prefix");
            }
        }
        return;
    };
    let (least, most) = (prefix.value.prefix_len(), prefix.value.max_prefix_len());
    let rule = format!("must be {least} to {most}, as the prefix is");
    let ge = r.keep("ge", ge, &rule, |n| (least..=most).contains(n));
    let le = r.keep("le", le, &rule, |n| (least..=most).contains(n));
    if let (Some(ge), Some(le)) = (ge, le) {
        r.keep("le", Some(le), "must not be less than ge", |le| *le >= ge.value);
    }
}

fn check_matches<'s>(r: &mut Reader<'s>, t: &Table<'s>, names: &Names<'s>) {
    let references = [
        ("match_neighbor_set", "neighbor set", &names.neighbor_sets),
        ("match_prefix_set", "prefix set", &names.prefix_sets),
        ("match_origin_as_set", "AS set", &names.as_sets),
        ("match_community_set", "community set", &names.community_sets),
    ];
    for (key, what, known) in references {
        if let Some(name) = r.string(t, key) {
            exists(r, key, name, what, known);
        }
    }
    check_communities(r, t, "match_community", Wildcard::Allowed);
    r.text(t, "match_as_path");
    r.choice(t, "match_route_type", &[("local", ()), ("internal", ()), ("external", ())]);
    r.choice(t, "match_rpki_validation", &[("valid", ()), ("invalid", ()), ("not_found", ())]);
    r.choice(t, "match_aspa_validation", &[("valid", ()), ("invalid", ()), ("unknown", ())]);
    r.parse::<IpAddr>(t, "match_next_hop", "an IP address");
    for (ge, le) in [
        ("match_as_path_length_ge", "match_as_path_length_le"),
        ("match_local_pref_ge", "match_local_pref_le"),
        ("match_med_ge", "match_med_le"),
    ] {
        let least = r.number::<u32>(t, ge);
        let most = r.number::<u32>(t, le);
        let rule = format!("must not be less than {ge}");
        r.keep(le, most, rule, |most| least.is_none_or(|least| least.value <= *most));
    }
}

fn check_changes<'s>(r: &mut Reader<'s>, t: &Table<'s>) {
    r.number::<u32>(t, "set_local_pref");
    r.number::<u32>(t, "set_med");
    if let Some(next_hop) = r.string(t, "set_next_hop").filter(|n| n.value != "self") {
        r.parse_text::<IpAddr>("set_next_hop", next_hop, "\"self\" or an IP address");
    }
    check_communities(r, t, "set_community_add", Wildcard::Refused);
    check_communities(r, t, "set_community_remove", Wildcard::Allowed);
    if let Some(t) = r.table(t, "set_as_path_prepend", "set_as_path_prepend = { asn, count }") {
        r.check_keys(&t, &[keys::PREPEND], None);
        r.require(&t, &["asn", "count"]);
        r.number_where(&t, "asn", "must not be 0", |n: u32| n != 0);
        r.number_where(&t, "count", "must be 1 to 10", |n: u8| (1..=10).contains(&n));
    }
}

fn check_communities<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str, wildcard: Wildcard) {
    for community in r.strings(t, key).map_or_else(Vec::new, |l| l.value) {
        if let Err(rule) = communities::check(community.value, wildcard) {
            r.invalid(key, community.span, rule);
        }
    }
}
