//! What engines are told after a reload is what they would be told after a start with the same file, and what has not changed is
//! told as before.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::changes::{Cost, applicable};
use crate::config::from_text;

/// Keys of a neighbor, each with a value that is not the default.
const KEYS: [&str; 22] = [
    "description = \"core\"",
    "hold_time = 30",
    "send_hold_time = 600",
    "connect_retry = 9",
    "port = 1179",
    "passive = true",
    "shutdown = true",
    "multihop = 5",
    "ttl_security = true",
    "md5_password = \"secret\"",
    "max_prefixes = 100",
    "max_prefixes_out = 9",
    "graceful_restart = false",
    "gr_stale_routes_time = 9",
    "route_server_client = true",
    "allow_own_as = 1",
    "default_originate = true",
    "graceful_shutdown = false",
    "keep_rejected = false",
    "import_policy_chain = [\"p\"]",
    "export_policy_chain = [\"q\", \"p\"]",
    "add_path = { send = true }",
];

/// A neighbor: the last octet of its address, whether it is in the group, and its own keys.
type Peer = (u8, bool, Vec<&'static str>);

fn peers() -> impl Strategy<Value = Vec<Peer>> {
    let peer = (any::<bool>(), subsequence(KEYS.to_vec(), 0..4));
    proptest::collection::btree_map(1u8..12, peer, 0..8)
        .prop_map(|all| all.into_iter().map(|(n, (group, keys))| (n, group, keys)).collect())
}

prop_compose! {
    fn file()(
        peers in peers(),
        group in subsequence(KEYS.to_vec(), 0..3),
        med in 0u32..3,
        set in select(vec!["10.0.0.0/8", "10.0.0.0/9"]),
        global in any::<bool>(),
        turned in any::<bool>(),
    ) -> Config {
        let mut list: Vec<String> = peers.iter().map(|(n, group, keys)| {
            let group = if *group { "peer_group = \"g\"\n" } else { "" };
            let (asn, keys) = (65000 + u32::from(*n), keys.join("\n"));
            format!("[[neighbors]]\naddress = \"10.0.0.{n}\"\nremote_asn = {asn}\n{group}{keys}\n")
        }).collect();
        if turned {
            list.reverse();
        }
        let chain = if global { "[policy]\nimport_chain = [\"q\"]\n" } else { "" };
        let text = format!(
            "[global]\nasn = 64999\nrouter_id = \"10.0.0.100\"\nlisten_port = 179\nrde_threads = 1\n[global.telemetry]\n{chain}\
             [[policy.definitions.p.statements]]\naction = \"permit\"\nmatch_prefix_set = \"s\"\nset_med = {med}\n\
             [[policy.definitions.q.statements]]\naction = \"deny\"\nmatch_med_ge = 7\n\
             [policy.prefix_sets.s]\nprefixes = [\"{set}\"]\n[peer_groups.g]\n{}\n{}",
            group.join("\n"),
            list.concat(),
        );
        from_text(Path::new("c.toml"), &text).unwrap_or_else(|e| panic!("{text}\n{e}")).config
    }
}

/// What the engines know of each peer, whatever it is called between them, and of all.
#[derive(Debug, PartialEq)]
struct Known {
    peers: BTreeMap<IpAddr, (SessionPeer, RdePeer, ControlPeer)>,
    policies: Option<(policy::Definitions, BTreeMap<IpAddr, Assignee>)>,
}

fn known(plan: &Plan) -> Known {
    let addresses: HashMap<u16, IpAddr> = plan.session.iter().map(|p| (p.id.0, p.address)).collect();
    let all = plan.session.iter().zip(&plan.rde).zip(&plan.control);
    let peers = all.map(|((session, rde), control)| {
        assert_eq!((session.id, session.id), (rde.id, control.id));
        let id = PeerId(0);
        let session = SessionPeer { id, revision: 0, ..session.clone() };
        (session.address, (session, RdePeer { id, ..rde.clone() }, ControlPeer { id, ..control.clone() }))
    });
    let staged = (!plan.policies.is_empty()).then(|| postcard::from_bytes::<Staged>(&plan.policies).unwrap());
    let policies = staged.map(|staged| {
        let peers = staged.peers.into_iter().map(|a| (addresses[&a.peer], Assignee { peer: 0, ..a }));
        (staged.definitions, peers.collect())
    });
    Known { peers: peers.collect(), policies }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_reload_leads_to_what_a_start_would_lead_to(before in file(), after in file(), last in file()) {
        let started = Plan::new(&before, Generation(1), None).unwrap();
        let changes = Changes::between(&before, &after);
        let reloaded = started.next(&before, &applicable(&before, after.clone()), &changes).unwrap();
        // An address that had its `shutdown` from the file has that of the new one.
        prop_assert_eq!(known(&reloaded), known(&Plan::new(&after, Generation(1), None).unwrap()));
        // And once more, with numbers of peers that are not those of a start.
        let again = reloaded.next(&after, &last, &Changes::between(&after, &last)).unwrap();
        prop_assert_eq!(known(&again), known(&Plan::new(&last, Generation(1), None).unwrap()));

        // Who has not changed is told as before, and whose session goes on has its old number.
        for peer in &started.session {
            let Some(now) = reloaded.session.iter().find(|p| p.address == peer.address) else { continue };
            prop_assert_eq!(now.id, peer.id);
            let changed = changes.changed.iter().find(|c| c.address == peer.address);
            let reset = changed.is_some_and(|c| c.cost == Cost::Reset);
            prop_assert_eq!(now.revision, peer.revision + u32::from(reset));
            if changed.is_none() {
                prop_assert_eq!(now, peer);
                let rde = |plan: &Plan| plan.rde.iter().find(|p| p.id == peer.id).cloned();
                prop_assert_eq!(rde(&reloaded), rde(&started));
            }
        }
    }

    /// The same file is no change, in whatever order its neighbors stand.
    #[test]
    fn the_same_file_is_no_change(file in file()) {
        let mut turned = file.clone();
        turned.neighbors.reverse();
        prop_assert_eq!(Changes::between(&file, &turned), Changes::default());
    }
}

/// 700 neighbors with 50 policies: one description is one neighbor's, and one policy concerns those that use it.
#[test]
fn of_many_neighbors_those_are_concerned_that_a_change_is_about() {
    let file = |description: &str, med: u32| {
        let mut text =
            "[global]\nasn = 64999\nrouter_id = \"10.0.0.100\"\nlisten_port = 179\n[global.telemetry]\n"
                .to_owned();
        for n in 0..50 {
            let med = if n == 7 { med } else { 5 };
            for statement in 0..10 {
                text += &format!(
                    "[[policy.definitions.p{n}.statements]]\naction = \"permit\"\nprefix = \"10.{n}.{statement}.0/24\"\nset_med = {med}\n"
                );
            }
        }
        for n in 0..700 {
            let description = if n == 300 { description } else { "" };
            text += &format!(
                "[[neighbors]]\naddress = \"10.0.{}.{}\"\nremote_asn = {}\ndescription = \"{description}\"\n\
                 import_policy_chain = [\"p{}\"]\nexport_policy_chain = [\"p49\"]\n",
                n / 200,
                n % 200 + 1,
                65000 + n,
                n % 49,
            );
        }
        text
    };
    let read = |text: &str| from_text(Path::new("c.toml"), text).unwrap().config;
    let running = read(&file("", 5));
    let begin = std::time::Instant::now();
    let other = read(&file("core", 5));
    // About a tenth of that in a release: the bound is for who makes it quadratic.
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    let described = Changes::between(&running, &other);
    assert_eq!(
        described.changed.iter().map(|c| (c.keys.clone(), c.cost)).collect::<Vec<_>>(),
        [(vec!["description"], Cost::Nothing)]
    );
    let policy = Changes::between(&running, &read(&file("", 6)));
    assert!(
        policy
            .changed
            .iter()
            .all(|c| (c.keys.as_slice(), c.cost) == (&["import_policy"][..], Cost::Reevaluation))
    );
    let concerned: Vec<IpAddr> = policy.changed.iter().map(|c| c.address).collect();
    let expected = running.neighbors.iter().enumerate().filter(|(n, _)| n % 49 == 7).map(|(_, n)| n.address);
    assert_eq!(concerned, expected.collect::<Vec<_>>());
}
