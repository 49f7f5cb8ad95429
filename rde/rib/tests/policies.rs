//! Policies in the tables: whatever happens, and in whatever order policies change meanwhile, everybody ends up with
//! what they would have if the last policies had been there from the start; and nobody is told anything twice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod net;
mod tables;
mod talk;

use std::collections::BTreeMap;
use std::sync::Arc;

use bgp::attr::canonical::Canonical;
use bgp::attr::{code, flags};
use bgp::header::HEADER_LEN;
use bgp::update::parse;
use bgp::{Family, FamilySet};
use ipnet::IpNet;
use policy::{
    Action, Change, Definitions, Match, Named, NeighborSet, NextHopChange, Policies, PolicyDef, StatementDef,
};
use proptest::prelude::*;
use rib::{Counted, Fate, Found, PeerIdx, PeerInfo, PeerPolicy, Query, QueryTable, Question};
use talk::{Attribute, Talk, client, internal, local_pref, mandatory, path, peer, prefix};

fn statement(action: Action, matches: Vec<Match>, changes: Vec<Change>) -> StatementDef {
    StatementDef { name: None, line: 0, action, matches, changes }
}

fn permit(matches: Vec<Match>, changes: Vec<Change>) -> Vec<StatementDef> {
    vec![statement(Action::Permit, matches, changes)]
}

fn deny(matches: Vec<Match>) -> Vec<StatementDef> {
    vec![statement(Action::Deny, matches, Vec::new())]
}

fn communities(list: &[&str]) -> Vec<policy::CommunityPattern> {
    list.iter().map(|c| c.parse().unwrap()).collect()
}

fn low_half() -> Match {
    Match::Prefix("203.0.0.0/21 ge 21 le 32".parse().unwrap())
}

/// Policies by number; 0 is none. What two of them do may be the same.
fn policies() -> Policies {
    let statements = [
        deny(vec![]),
        deny(vec![low_half()]),
        permit(vec![low_half()], vec![Change::LocalPref(200)]),
        permit(vec![], vec![Change::Med(7), Change::AddCommunities(communities(&["65000:1"]))]),
        permit(vec![], vec![Change::AddCommunities(communities(&["65000:1"])), Change::Med(7)]),
        permit(
            vec![Match::Communities(communities(&["65001:*"]))],
            vec![Change::Prepend { asn: 65000, count: 2 }],
        ),
        permit(vec![], vec![Change::RemoveCommunities(communities(&["65001:*", "65002:*"]))]),
        permit(vec![Match::AsPathLengthGe(3)], vec![Change::NextHop(NextHopChange::OurAddress)]),
        permit(vec![], vec![Change::NextHop(NextHopChange::Address("192.0.2.77".parse().unwrap()))]),
        [deny(vec![Match::NeighborSet("some".into())]), permit(vec![low_half()], vec![Change::Med(9)])]
            .concat(),
        deny(vec![Match::RouteType(policy::RouteType::Local)]),
        deny(vec![Match::AsPath("_65009$".into())]),
        permit(vec![], vec![Change::AddCommunities(communities(&["NO_EXPORT"]))]),
    ];
    let policies = (1..).zip(statements).map(|(n, statements): (u32, _)| PolicyDef {
        name: n.to_string(),
        default_action: Action::Permit,
        statements,
    });
    let some = NeighborSet { remote_asns: vec![65001, 65006], ..NeighborSet::default() };
    let neighbor_sets = vec![Named { name: "some".into(), value: some }];
    let all = Definitions { policies: policies.collect(), neighbor_sets, ..Definitions::default() };
    Policies::compile(&all).unwrap()
}

const POLICIES: u8 = 14;

fn policy_of(all: &Policies, info: &PeerInfo, number: u8) -> Option<Arc<PeerPolicy>> {
    let name = number.to_string();
    let chain = (number > 0).then(|| all.chain([name.as_str()]).unwrap())?;
    let who = policy::Peer { address: info.address, remote_asn: info.remote_asn, peer_group: None };
    Some(Arc::new(PeerPolicy::new(chain, all.context(&who))))
}

const PEERS: usize = 9;

/// Two that share a group, two that take several paths, two internal ones, a client of each kind, and one more.
fn info(p: usize) -> PeerInfo {
    let n = u8::try_from(p).unwrap() + 1;
    let external = |n: u8| peer(n, 65000 + u32::from(n));
    let several: FamilySet = [Family::Ipv4Unicast].into_iter().collect();
    let counted = Counted { received: true, accepted_only: p % 2 == 1, advertised: false };
    let info = match p {
        2 | 8 => PeerInfo { add_path: several, add_path_max: 2, ..external(n) },
        3 => internal(n),
        4 => client(n),
        5 | 6 => PeerInfo { route_server_client: true, enforce_first_as: false, ..external(n) },
        7 => PeerInfo { add_path: several, ..internal(n) },
        _ => external(n),
    };
    PeerInfo { counted, ..info }
}

/// A prefix in the NLRI encoding of a peer: who takes several paths sends identifiers as well.
fn nlri(p: usize, n: u8) -> Vec<u8> {
    let id: &[u8] = if info(p).add_path == FamilySet::EMPTY { &[] } else { &[0, 0, 0, 5] };
    [id, &prefix(n).0].concat()
}

fn attributes(p: usize, variant: u8) -> Vec<Attribute> {
    let info = info(p);
    let far: &[u32] = match variant % 3 {
        0 => &[],
        1 => &[65008],
        _ => &[65008, 65009],
    };
    let own = info.external().then_some(info.remote_asn);
    let asns: Vec<u32> = own.into_iter().chain(far.iter().copied()).collect();
    let mut list = mandatory(&asns, [192, 0, 2, variant % 3 + 1]);
    list[1].2 = path(&asns);
    if !info.external() {
        list.push(local_pref(100));
    }
    if variant & 4 != 0 {
        let community = if variant & 8 != 0 { [0xfd, 0xe9, 0, 9] } else { [0xfd, 0xea, 0, 9] };
        list.push((flags::OPTIONAL_TRANSITIVE, code::COMMUNITIES, community.to_vec()));
    }
    list
}

/// Whether attributes are those in canonical form, which has no next hop.
fn same((attributes, _): &Seen, canonical: &[u8]) -> bool {
    let own = Canonical::new(canonical);
    let of = |code| attributes.iter().find(|(_, c, _)| *c == code).map(|(.., value)| value.as_slice());
    attributes.iter().filter(|(_, c, _)| *c != code::NEXT_HOP).count() == own.iter().count()
        && own.iter().all(|a| of(a.code) == Some(a.value))
}

/// A route as a peer has it: its attributes and next hop.
type Seen = (Vec<Attribute>, Option<bgp::NextHop>);

#[derive(Debug, Clone)]
enum Event {
    Up(usize),
    Down(usize),
    Announce(usize, u8, u8),
    Withdraw(usize, u8),
    Inject(u8),
    Policy(usize, bool, u8),
    Everybody(bool, u8),
    Reevaluate(usize),
    Work(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let peer = 0..PEERS;
    let prefix = 0..16_u8;
    prop_oneof![
        3 => peer.clone().prop_map(Event::Up),
        1 => peer.clone().prop_map(Event::Down),
        10 => (peer.clone(), prefix.clone(), 0..16_u8).prop_map(|(p, n, v)| Event::Announce(p, n, v)),
        3 => (peer.clone(), prefix.clone()).prop_map(|(p, n)| Event::Withdraw(p, n)),
        1 => prefix.prop_map(Event::Inject),
        6 => (peer.clone(), any::<bool>(), 0..POLICIES).prop_map(|(p, import, n)| Event::Policy(p, import, n)),
        1 => (any::<bool>(), 0..POLICIES).prop_map(|(import, n)| Event::Everybody(import, n)),
        1 => peer.prop_map(Event::Reevaluate),
        5 => (1..4_u8).prop_map(Event::Work),
    ]
}

struct World {
    talk: Talk,
    policies: Policies,
    /// Import and export.
    has: [[u8; 2]; PEERS],
    up: [Option<PeerIdx>; PEERS],
    seen: [BTreeMap<(IpNet, u32), Seen>; PEERS],
    announced: [BTreeMap<u8, u8>; PEERS],
    injected: Vec<u8>,
    /// Announcements of what was there already.
    twice: usize,
    /// Prefixes of each peer, as they are counted for limits.
    tally: [i64; PEERS],
}

impl World {
    fn new(shards: u32) -> World {
        World {
            talk: Talk::new(shards),
            policies: policies(),
            has: [[0; 2]; PEERS],
            up: [None; PEERS],
            seen: Default::default(),
            announced: Default::default(),
            injected: Vec::new(),
            twice: 0,
            tally: [0; PEERS],
        }
    }

    fn policies_of(&self, p: usize) -> [Option<Arc<PeerPolicy>>; 2] {
        self.has[p].map(|n| policy_of(&self.policies, &info(p), n))
    }

    fn up(&mut self, p: usize) {
        if self.up[p].is_none() {
            let [import, export] = self.policies_of(p);
            self.up[p] = Some(self.talk.begin(PeerInfo { import, export, ..info(p) }));
        }
    }

    fn down(&mut self, p: usize) {
        if let Some(idx) = self.up[p].take() {
            self.read();
            self.talk.end(idx);
            self.count();
            self.seen[p].clear();
            self.announced[p].clear();
            self.tally[p] = 0;
        }
    }

    fn announce(&mut self, p: usize, n: u8, variant: u8) {
        if let Some(idx) = self.up[p] {
            self.talk.says_of(idx, &attributes(p, variant), &nlri(p, n));
            self.announced[p].insert(n, variant);
        }
    }

    fn withdraw(&mut self, p: usize, n: u8) {
        if let Some(idx) = self.up[p] {
            self.talk.withdraws_of(idx, &nlri(p, n));
            self.announced[p].remove(&n);
        }
    }

    fn inject(&mut self, n: u8) {
        let canonical = bgp::attr::canonical::Builder::new()
            .with(bgp::attr::PathAttribute::Origin(bgp::attr::Origin::Igp))
            .build();
        self.talk.tables.inject(prefix(n).1, 0, &canonical, bgp::NextHop::V4([192, 0, 2, 9].into()));
        self.injected.push(n);
    }

    fn set(&mut self, peers: &[usize], import: bool, number: u8) {
        let mut list = Vec::new();
        for p in peers {
            self.has[*p][usize::from(!import)] = number;
            list.extend(self.up[*p].map(|idx| (idx, self.policies_of(*p))));
        }
        self.talk.tables.set_policies(&list);
    }

    /// Adds up what is counted for limits.
    fn count(&mut self) {
        let tallies: Vec<_> = self.talk.tables.shards.iter_mut().flat_map(|r| r.tallies()).collect();
        for (idx, more) in tallies {
            if let Some(p) = self.up.iter().position(|up| *up == Some(idx)) {
                self.tally[p] += more.iter().sum::<i64>();
            }
        }
    }

    /// Everybody reads what they were sent.
    fn read(&mut self) {
        for (p, idx) in self.up.iter().enumerate().filter_map(|(p, idx)| Some((p, (*idx)?))) {
            let ctx = self.talk.context(idx);
            for message in self.talk.net.read(idx) {
                let update = parse(&message[HEADER_LEN..], &ctx).unwrap();
                let attributes: Vec<Attribute> =
                    update.attributes.iter().map(|a| (a.flags, a.code, a.value.to_vec())).collect();
                for (id, net) in update.withdrawn.iter() {
                    assert!(self.seen[p].remove(&(net, id)).is_some(), "{p} did not have {net} {id}");
                }
                for (id, net) in update.announced.iter() {
                    let new: Seen = (attributes.clone(), update.next_hop);
                    let old = self.seen[p].insert((net, id), new.clone());
                    // A message for all clients of a route server, or for all who are sent so many paths, may tell one
                    // of them what it had instead of its own.
                    let has_own = info(p).route_server_client || info(p).add_path_max > 0;
                    self.twice += usize::from(old == Some(new) && !has_own);
                }
            }
        }
    }

    fn settle(&mut self) {
        self.talk.settle();
        self.read();
        self.count();
    }

    /// A table, as it is listed.
    fn list(&mut self, table: QueryTable) -> Vec<Found> {
        let query = Query {
            table,
            family: None,
            prefix: None,
            longer: false,
            origin_asn: 0,
            communities: Vec::new(),
            large_communities: Vec::new(),
            after: None,
            limit: 1000,
        };
        self.talk.tables.page(&query).routes
    }

    /// Explanations say what is the case.
    fn check_explanations(&mut self) -> Result<(), TestCaseError> {
        let best: Vec<Found> = self.list(QueryTable::LocRib);
        for n in 0..16 {
            let net = prefix(n).1;
            let explained = self.talk.tables.explain(Question::Best, net);
            let chosen = explained.iter().find(|e| e.fate == Fate::Best).map(|e| &e.found);
            prop_assert_eq!(chosen, best.iter().find(|f| f.key.prefix == net), "best of {}", net);
            for p in (0..PEERS).filter(|p| self.up[*p].is_some()) {
                let Some(idx) = self.up[p] else { continue };
                for e in self.talk.tables.explain(Question::Received(idx), net) {
                    let denied = e.policy.as_ref().is_some_and(|e| e.action == Action::Deny);
                    // It may have no address of ours to name either.
                    prop_assert_eq!(e.found.denied, denied, "{} from {}: {:?}", net, p, e.policy);
                    prop_assert_eq!(e.fate == Fate::Denied, denied);
                }
                let sent = self.talk.tables.explain(Question::Advertised(idx), net);
                let sent: Vec<_> = sent.iter().filter(|e| e.fate == Fate::Sent).collect();
                let has = self.seen[p].keys().filter(|(of, _)| *of == net).count();
                prop_assert_eq!(sent.len(), has, "{} to {}", net, p);
                for e in sent {
                    let denied = e.policy.as_ref().is_some_and(|e| e.action == Action::Deny);
                    prop_assert!(!denied, "{} to {}", net, p);
                    let made = e.made.as_ref().unwrap();
                    let is_it = |(_, next_hop): &Seen| *next_hop == Some(made.next_hop);
                    let mut there = self.seen[p].iter().filter(|((of, _), _)| *of == net);
                    prop_assert!(
                        there.any(|(_, seen)| is_it(seen) && same(seen, &made.attributes)),
                        "{} to {}",
                        net,
                        p
                    );
                }
            }
        }
        Ok(())
    }

    /// What each peer has, without the identifiers of paths.
    fn views(&self) -> Vec<Vec<(IpNet, Seen)>> {
        let view = |seen: &BTreeMap<(IpNet, u32), Seen>| {
            let mut list: Vec<_> = seen.iter().map(|((net, _), seen)| (*net, seen.clone())).collect();
            list.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
            list
        };
        self.seen.iter().map(view).collect()
    }

    /// The world as it would be if the policies of now had always been there.
    fn fresh(&self, shards: u32) -> World {
        let mut world = World { has: self.has, ..World::new(shards) };
        for p in (0..PEERS).filter(|p| self.up[*p].is_some()) {
            world.up(p);
        }
        self.injected.iter().for_each(|n| world.inject(*n));
        for (p, announced) in self.announced.iter().enumerate() {
            announced.iter().for_each(|(n, variant)| world.announce(p, *n, *variant));
        }
        world.settle();
        world
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn policies_that_change_leave_what_they_would_have_made_from_the_start(
        shards in prop::sample::select(&[1, 4][..]),
        step in prop_oneof![Just(None), (1..6_u32).prop_map(Some)],
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new(shards);
        // Small ones, so that policies and routes change while a group is being parted.
        world.talk.tables.copy_step = step;
        for event in events {
            match event {
                Event::Up(p) => world.up(p),
                Event::Down(p) => world.down(p),
                Event::Announce(p, n, variant) => world.announce(p, n, variant),
                Event::Withdraw(p, n) => world.withdraw(p, n),
                Event::Inject(n) => world.inject(n),
                Event::Policy(p, import, number) => world.set(&[p], import, number),
                Event::Everybody(import, number) => world.set(&(0..PEERS).collect::<Vec<_>>(), import, number),
                Event::Reevaluate(p) => {
                    if let Some(idx) = world.up[p] {
                        world.talk.tables.reevaluate(idx, Family::Ipv4Unicast);
                    }
                }
                Event::Work(n) => (0..n).for_each(|_| {
                    world.talk.tables.work(0, &mut world.talk.net);
                    world.read();
                }),
            }
        }
        world.settle();
        let mut fresh = world.fresh(shards);
        for (p, (has, expected)) in world.views().into_iter().zip(fresh.views()).enumerate() {
            prop_assert_eq!(has, expected, "peer {}", p);
        }
        prop_assert_eq!(world.list(QueryTable::LocRib), fresh.list(QueryTable::LocRib));
        prop_assert_eq!(world.list(QueryTable::AdjRibIn(None)), fresh.list(QueryTable::AdjRibIn(None)));
        let (mut counters, expected) = (world.talk.tables.counters(), fresh.talk.tables.counters());
        if shards > 1 {
            // Which prefixes lie together is another matter each time.
            counters.attribute_sets = expected.attribute_sets;
        }
        prop_assert_eq!(counters, expected);
        prop_assert_eq!(world.twice, 0, "told twice");
        world.check_explanations()?;
        for (p, idx) in world.up.into_iter().enumerate().filter_map(|(p, idx)| Some((p, idx?))) {
            let routes = world.list(QueryTable::AdjRibIn(Some(idx)));
            let counted = routes.iter().filter(|r| !(r.denied && info(p).counted.accepted_only)).count();
            prop_assert_eq!(world.tally[p], counted as i64, "prefixes of peer {}", p);
        }
        (0..PEERS).for_each(|p| world.down(p));
        world.injected.clone().into_iter().for_each(|n| {
            world.talk.tables.withdraw_injected(prefix(n).1, 0);
        });
        world.settle();
        counters = world.talk.tables.counters();
        prop_assert_eq!(counters, rib::Counters::default(), "after all have gone");
    }
}

#[test]
fn what_is_rejected_takes_no_room_where_it_is_not_kept() {
    let all = policies();
    let mut talk = Talk::new(1);
    let base = PeerInfo { keep_rejected: false, ..info(0) };
    let low = policy_of(&all, &base, 2);
    let idx = talk.up(PeerInfo { import: low, ..base.clone() });
    let say = |talk: &mut Talk| {
        talk.says(idx, &attributes(0, 0), &[prefix(1).0, prefix(9).0]);
        talk.settle();
        talk.tables.counters().adj_rib_in[0]
    };
    // The policy rejects the first eight prefixes.
    assert_eq!(say(&mut talk), 1);
    talk.tables.set_policies(&[(idx, [None, None])]);
    assert_eq!(say(&mut talk), 2, "sent again, it is there");
    talk.tables.set_policies(&[(idx, [policy_of(&all, &base, 2), None])]);
    talk.settle();
    assert_eq!(talk.tables.counters().adj_rib_in[0], 1, "another policy takes it away");
    talk.tables.set_policies(&[(idx, [policy_of(&all, &base, 1), None])]);
    talk.settle();
    assert_eq!(talk.tables.counters(), rib::Counters::default());
}

/// Who is sent what for which prefix.
fn announced(talk: &mut Talk, idx: PeerIdx) -> Vec<(IpNet, bool)> {
    let ctx = talk.context(idx);
    let mut list = Vec::new();
    for message in talk.net.read(idx) {
        let update = parse(&message[HEADER_LEN..], &ctx).unwrap();
        let marked = update.attributes.iter().any(|a| a.code == code::COMMUNITIES);
        list.extend(update.announced.iter().map(|(_, net)| (net, marked)));
    }
    list
}

/// However large the table is, nobody waits for a copy of it.
#[test]
fn updates_go_on_while_a_group_is_parted() {
    for shards in [1, 4] {
        let all = policies();
        let mut talk = Talk::new(shards);
        let (source, stays, leaves) = (talk.up(info(3)), talk.up(info(0)), talk.up(info(1)));
        let net = |n: u32| [24, 10, (n >> 8) as u8, n as u8];
        let own = |n: u32| -> IpNet { format!("10.{}.{}.0/24", n >> 8, n & 255).parse().unwrap() };
        let say = |talk: &mut Talk, n: u32| {
            talk.says(source, &attributes(3, 0), &[net(n)]);
        };
        (0..4000).for_each(|n| say(&mut talk, n));
        talk.settle();
        assert_eq!(announced(&mut talk, leaves).len(), 4000);
        announced(&mut talk, stays);

        // 20 slots a step: a hundred steps and more.
        talk.tables.copy_step = Some(20);
        let marks = policy_of(&all, &info(1), 4);
        talk.tables.set_policies(&[(leaves, [None, marks])]);
        let mut during = 0;
        for n in 4000..4020 {
            say(&mut talk, n);
            // Withdrawn, and changed: in what was copied, and in what was not.
            talk.withdraws_of(source, &net(n - 4000));
            talk.withdraws_of(source, &net(7900 - n));
            talk.tables.work(0, &mut talk.net);
            talk.tables.work(0, &mut talk.net);
            for who in [stays, leaves] {
                let list = announced(&mut talk, who);
                assert!(list.contains(&(own(n), false)), "{n} at once, as the others are: {list:?}");
                during += list.len();
            }
        }
        assert_eq!(during, 40, "nothing else is sent before it is parted");
        talk.settle();
        assert_eq!(announced(&mut talk, stays), []);
        let mut list = announced(&mut talk, leaves);
        list.sort();
        let expected: Vec<_> = (20..3881).chain(3901..4020).map(|n| (own(n), true)).collect();
        assert_eq!(list, expected, "each once, with the mark");
        let [(_, stays), (_, leaves)] = [stays, leaves].map(|who| talk.tables.peer_counters(who));
        assert_eq!((stays[0], leaves[0]), (3980, 3980));
    }
}
