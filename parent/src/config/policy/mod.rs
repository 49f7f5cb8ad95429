//! `[policy]` and the policies written at neighbors and groups, read into the definitions that engines compile.
//! Everything that can be wrong with a policy is found here, with its place: names that refer to nothing, texts that
//! are no community, expressions that do not compile.

mod cases;
mod statement;

use std::collections::HashSet;
use std::net::IpAddr;

use policy::{Action, Assignment, CommunityPattern, Definitions, Named, NeighborSet, PolicyDef, PrefixRange};

use super::keys;
use super::reader::{At, Reader, Table, nearest};
use super::schema::Policy;
pub(super) use cases::{Case, read as read_cases, run as run_cases, summary};

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

/// Reads `[policy]`.
pub(super) fn read<'s>(r: &mut Reader<'s>, root: &Table<'s>, names: &Names<'s>) -> Policy {
    let mut policy = Policy::default();
    let Some(t) = r.table(root, "policy", "[policy]") else { return policy };
    r.check_keys(&t, &[keys::POLICY], None);
    policy.import = global(r, &t, ["import", "import_chain"], names);
    policy.export = global(r, &t, ["export", "export_chain"], names);
    let all = &mut policy.definitions;
    if let Some(definitions) = r.table(&t, "definitions", "[policy.definitions.<name>]") {
        for (name, t) in r.named(&definitions, "policy.definitions") {
            all.policies.push(definition(r, name.value, &t, names));
        }
    }
    sets(r, &t, names, all);
    policy
}

fn definition<'s>(r: &mut Reader<'s>, name: &str, t: &Table<'s>, names: &Names<'s>) -> PolicyDef {
    r.check_keys(t, &[keys::DEFINITION], None);
    let action = r.choice(t, "default_action", &statement::ACTIONS);
    let title = format!("[[policy.definitions.{name}.statements]]");
    PolicyDef {
        name: name.to_owned(),
        default_action: action.map_or(Action::Permit, |a| a.value),
        statements: statement::list(r, t, "statements", &title, names),
    }
}

/// What the file says for all neighbors: the keys of an inline policy and of a chain.
fn global<'s>(r: &mut Reader<'s>, t: &Table<'s>, keys: [&str; 2], names: &Names<'s>) -> Assignment {
    let [key, chain_key] = keys;
    let title = format!("[[policy.{key}]]");
    let inline = inline(r, t, key, &title, title.clone(), names);
    let chain = chain(r, t, chain_key, names).map_or_else(Vec::new, |c| c.value);
    Assignment { chain, inline }
}

/// Reads the policies that a neighbor or a group names or holds: for import, for export.
pub(super) fn read_use<'s>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
    names: &Names<'s>,
) -> [Option<At<Assignment>>; 2] {
    let owner = t.plain_text("address").map_or_else(|| t.title.clone(), |a| format!("neighbor {a}"));
    let keys = [("import_policy", "import_policy_chain"), ("export_policy", "export_policy_chain")];
    keys.map(|(key, chain_key)| {
        let title = format!("[[{key}]]");
        let inline = inline(r, t, key, &title, format!("{key} of {owner}"), names);
        let chain = chain(r, t, chain_key, names).filter(|c| !c.value.is_empty());
        if let (Some(_), Some(chain)) = (inline, &chain) {
            let rule = format!("cannot be combined with {key}");
            r.problem(format!("invalid {chain_key}: {rule}"), rule, chain.span.clone());
        }
        let span = chain.as_ref().map(|c| c.span.clone()).or_else(|| t.key_span(key))?;
        let said = Assignment { chain: chain.map_or_else(Vec::new, |c| c.value), inline };
        (said != Assignment::default()).then_some(At { value: said, span })
    })
}

/// Reads an inline policy, if there are statements, and gives its place among all of them.
fn inline<'s>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
    key: &str,
    title: &str,
    name: String,
    names: &Names<'s>,
) -> Option<u32> {
    let statements = statement::list(r, t, key, title, names);
    if statements.is_empty() {
        return None;
    }
    let place = u32::try_from(r.inline_policies.len()).ok();
    r.inline_policies.push(PolicyDef { name, default_action: Action::Permit, statements });
    place
}

/// Reads the names of a chain, of which each must be that of a policy.
fn chain<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str, names: &Names<'s>) -> Option<At<Vec<String>>> {
    let chain = r.strings(t, key)?;
    let policies = chain.value.iter().map(|name| name.value.to_owned()).collect();
    for name in chain.value {
        exists(r, key, name, "policy", &names.policies);
    }
    Some(At { value: policies, span: chain.span })
}

/// Checks that what `name` refers to exists.
fn exists(r: &mut Reader<'_>, key: &str, name: At<&str>, what: &str, known: &HashSet<&str>) {
    if !known.contains(name.value) {
        let help = nearest(name.value, known.iter().copied()).map(|n| format!("did you mean \"{n}\"?"));
        r.invalid(key, name.span, format_args!("there is no such {what}")).help = help;
    }
}

fn sets<'s>(r: &mut Reader<'s>, policy: &Table<'s>, names: &Names<'s>, all: &mut Definitions) {
    all.neighbor_sets = named_sets(r, policy, "neighbor_sets", |r, t| {
        r.check_keys(t, &[keys::NEIGHBOR_SET], None);
        let addresses = r.strings(t, "addresses").map_or_else(Vec::new, |l| l.value);
        let parse = |a| r.parse_text::<IpAddr>("addresses", a, "an IP address").map(|a| a.value);
        let addresses = addresses.into_iter().filter_map(parse).collect();
        let remote_asns = r.numbers(t, "remote_asns", "must not be 0", |n| n != 0);
        let groups = r.strings(t, "peer_groups").map_or_else(Vec::new, |l| l.value);
        let peer_groups = groups.iter().map(|g| g.value.to_owned()).collect();
        for group in groups {
            exists(r, "peer_groups", group, "peer group", &names.peer_groups);
        }
        NeighborSet { addresses, remote_asns: remote_asns.map_or_else(Vec::new, |n| n.value), peer_groups }
    });
    all.prefix_sets = named_sets(r, policy, "prefix_sets", |r, t| {
        r.check_keys(t, &[keys::PREFIX_SET], None);
        texts(r, t, "prefixes", |text| text.parse::<PrefixRange>().map_err(|e| e.to_string()))
    });
    all.as_sets = named_sets(r, policy, "as_sets", |r, t| {
        r.check_keys(t, &[keys::AS_SET], None);
        r.numbers(t, "asns", "must be an AS number", |_| true).map_or_else(Vec::new, |n| n.value)
    });
    all.community_sets = named_sets(r, policy, "community_sets", |r, t| {
        r.check_keys(t, &[keys::COMMUNITY_SET], None);
        communities(r, t, "communities")
    });
}

fn named_sets<'s, T>(
    r: &mut Reader<'s>,
    policy: &Table<'s>,
    key: &str,
    mut read: impl FnMut(&mut Reader<'s>, &Table<'s>) -> T,
) -> Vec<Named<T>> {
    let prefix = format!("policy.{key}");
    let Some(t) = r.table(policy, key, &format!("[{prefix}.<name>]")) else { return Vec::new() };
    let mut sets = Vec::new();
    for (name, t) in r.named(&t, &prefix) {
        sets.push(Named { name: name.value.to_owned(), value: read(r, &t) });
    }
    sets
}

/// A list of texts, each read by `parse` or noted as breaking the rule that it tells.
fn texts<'s, T>(
    r: &mut Reader<'s>,
    t: &Table<'s>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut read = Vec::new();
    for text in r.strings(t, key).map_or_else(Vec::new, |l| l.value) {
        match parse(text.value) {
            Ok(value) => read.push(value),
            Err(rule) => _ = r.invalid(key, text.span, rule),
        }
    }
    read
}

/// Communities, of which parts may be `*`.
fn communities<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str) -> Vec<CommunityPattern> {
    texts(r, t, key, |text| text.parse::<CommunityPattern>().map_err(|e| e.to_string()))
}

/// Communities without `*`.
fn exact_communities<'s>(r: &mut Reader<'s>, t: &Table<'s>, key: &str) -> Vec<CommunityPattern> {
    texts(r, t, key, |text| CommunityPattern::parse_exact(text).map_err(|e| e.to_string()))
}
