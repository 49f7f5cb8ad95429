//! Route refresh both ways: RFC 2918, and RFC 7313 where both sides speak it.

use std::collections::BTreeSet;

use bgp::header::{HEADER_LEN, MessageType};
use bgp::refresh::{RouteRefresh, Subtype};
use bgp::update::parse;
use bgp::{Family, FamilySet};
use ipc::control_rde::{ControlToRde, RdeToControl, RouteFilter, SoftResetError, Table};
use ipc::session_rde::{Negotiated, Source};
use ipc::{PeerId, QueryId};
use ipnet::IpNet;

use crate::rig::{Rig, end_of_rib, peer, source, up_with};
use crate::{ONE, TWO, message, net, passed_on, read_context, route, withdrawal};

const V4: Family = Family::Ipv4Unicast;
const V6: Family = Family::Ipv6Unicast;

fn enhanced(n: &mut Negotiated) {
    n.enhanced_refresh = true;
}

fn refresh(family: Family, subtype: Subtype) -> Vec<u8> {
    RouteRefresh { afi: family.afi(), safi: family.safi(), subtype }.encode()
}

/// What a message tells a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Refresh(Family, Subtype),
    EndOfRib(Family),
    Announced(Vec<IpNet>),
    Withdrawn(Vec<IpNet>),
}

fn told(message: &[u8]) -> Told {
    let body = &message[HEADER_LEN..];
    if message[HEADER_LEN - 1] == MessageType::RouteRefresh as u8 {
        let refresh = RouteRefresh::decode(body).unwrap();
        return Told::Refresh(Family::from_afi_safi(refresh.afi, refresh.safi).unwrap(), refresh.subtype);
    }
    if let Some(family) = end_of_rib(message) {
        return Told::EndOfRib(family);
    }
    let update = parse(body, &read_context()).unwrap();
    let prefixes = |nlri: &bgp::nlri::Nlri<'_>| nlri.iter().map(|(_, p)| p).collect::<Vec<_>>();
    let withdrawn = prefixes(&update.withdrawn);
    if withdrawn.is_empty() {
        Told::Announced(prefixes(&update.announced))
    } else {
        Told::Withdrawn(withdrawn)
    }
}

/// The next refresh of IPv4 that a peer is sent: all prefixes between its begin, which is the next message, and
/// its end.
async fn framed(rig: &mut Rig, peer: PeerId) -> BTreeSet<IpNet> {
    assert_eq!(told(&rig.next(peer).await), Told::Refresh(V4, Subtype::Begin));
    let mut all = BTreeSet::new();
    loop {
        match told(&rig.next(peer).await) {
            Told::Announced(prefixes) => {
                prefixes.into_iter().for_each(|p| assert!(all.insert(p), "{p} twice"))
            }
            Told::Refresh(V4, Subtype::End) => return all,
            other => panic!("{other:?} within a refresh"),
        }
    }
}

/// Routes of peer 1, from one message each.
fn routes(prefixes: impl IntoIterator<Item = String>) -> Vec<u8> {
    prefixes.into_iter().flat_map(|p| route(1, &p)).collect()
}

fn many() -> Vec<String> {
    (0..300).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect()
}

/// Reads what a peer is sent until it has been told of so many prefixes.
async fn learn(rig: &mut Rig, peer: PeerId, count: usize) {
    let mut all = 0;
    while all < count {
        let Told::Announced(prefixes) = told(&rig.next(peer).await) else { panic!("not an announcement") };
        all += prefixes.len();
    }
}

#[tokio::test]
async fn rfc7313_4_a_table_that_is_sent_again_has_a_begin_and_an_end() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    rig.up(source(1, 1)).await;
    rig.up_with(source(2, 1), enhanced).await;
    rig.taken_in(source(1, 1), &routes(many())).await;
    learn(&mut rig, TWO, 300).await;
    let all: BTreeSet<IpNet> = many().iter().map(|p| net(p)).collect();
    rig.taken_in(source(2, 1), &refresh(V4, Subtype::Request)).await;
    assert_eq!(framed(&mut rig, TWO).await, all);

    // A storm: the first one begins, all others together get one more.
    let storm = refresh(V4, Subtype::Request).repeat(1000);
    rig.taken_in(source(2, 1), &storm).await;
    assert_eq!(framed(&mut rig, TWO).await, all);
    assert_eq!(framed(&mut rig, TWO).await, all);
    // Of a family without routes, begin and end only; of one that was not agreed on, nothing.
    rig.taken_in(source(2, 1), &refresh(Family::Ipv4Flowspec, Subtype::Request)).await;
    rig.taken_in(source(2, 1), &refresh(V6, Subtype::Request)).await;
    for subtype in [Subtype::Begin, Subtype::End] {
        assert_eq!(told(&rig.next(TWO).await), Told::Refresh(V6, subtype));
    }
    // It is in the shared stream again, and nothing else is on its way.
    rig.taken_in(source(1, 1), &route(1, "10.9.0.0/16")).await;
    assert_eq!(rig.next(TWO).await, passed_on(1, "10.9.0.0/16"));
}

#[tokio::test]
async fn rfc7313_4_no_refresh_begins_before_the_end_of_rib() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    rig.up(source(1, 1)).await;
    rig.taken_in(source(1, 1), &routes(many())).await;
    let two = source(2, 1);
    rig.come_up(up_with(two, enhanced)).await;
    rig.received(two, &refresh(V4, Subtype::Request)).await;
    let (mut initial, mut ended, mut again) = (BTreeSet::new(), BTreeSet::new(), None);
    loop {
        match told(&rig.next(TWO).await) {
            Told::Announced(prefixes) => again.as_mut().unwrap_or(&mut initial).extend(prefixes),
            Told::EndOfRib(family) => assert!(ended.insert(family)),
            Told::Refresh(V4, Subtype::Begin) => {
                assert!(ended.contains(&V4) && initial.len() == 300, "{ended:?}, {} routes", initial.len());
                assert_eq!(again.replace(BTreeSet::new()), None);
            }
            Told::Refresh(V4, Subtype::End) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(again, Some(initial));
}

/// The prefixes of peer 1, and which of them are stale.
async fn received(rig: &mut Rig) -> (Vec<String>, Vec<String>) {
    let table = Table::AdjRibIn(Some(ONE));
    let (routes, ..) = rig.page(table, RouteFilter::default(), None, 1000).await;
    let stale = routes.iter().filter(|r| r.stale).map(|r| r.prefix.to_string()).collect();
    (routes.iter().map(|r| r.prefix.to_string()).collect(), stale)
}

#[tokio::test]
async fn rfc7313_4_what_has_not_come_again_at_the_end_goes() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let one = source(1, 1);
    rig.up_with(one, enhanced).await;
    rig.up(source(2, 1)).await;
    let [a, b, c, d] = ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"];
    rig.taken_in(one, &routes([a, b, c].map(str::to_owned))).await;
    learn(&mut rig, TWO, 3).await;
    // An end without a begin means nothing.
    rig.taken_in(one, &refresh(V4, Subtype::End)).await;
    assert_eq!(received(&mut rig).await, (vec![a.into(), b.into(), c.into()], vec![]));

    let begin = refresh(V4, Subtype::Begin);
    rig.taken_in(one, &[begin.clone(), route(1, a), route(1, d)].concat()).await;
    let all = vec![a.to_owned(), b.into(), c.into(), d.into()];
    assert_eq!(received(&mut rig).await, (all.clone(), vec![b.into(), c.into()]));
    // The other family is not concerned.
    rig.taken_in(one, &[refresh(V6, Subtype::Begin), refresh(V6, Subtype::End)].concat()).await;
    assert_eq!(received(&mut rig).await.0, all);
    // It begins once more: what came meanwhile must come again, too.
    rig.taken_in(one, &[begin, route(1, b)].concat()).await;
    assert_eq!(received(&mut rig).await, (all, vec![a.into(), c.into(), d.into()]));
    // What comes behind the end in the same piece is not touched.
    rig.taken_in(one, &[refresh(V4, Subtype::End), route(1, d)].concat()).await;
    // Of what came again the other peer hears nothing: one new route, and what went.
    let (mut announced, mut withdrawn) = (BTreeSet::new(), BTreeSet::new());
    while !withdrawn.contains(&net(a)) || !withdrawn.contains(&net(c)) {
        match told(&rig.next(TWO).await) {
            Told::Announced(prefixes) => announced.extend(prefixes),
            Told::Withdrawn(prefixes) => withdrawn.extend(prefixes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((announced, withdrawn), ([net(d)].into(), [net(a), net(c)].into()));
    assert_eq!(received(&mut rig).await, (vec![b.into(), d.into()], vec![]));
}

#[tokio::test]
async fn rfc7313_4_with_graceful_restart_a_begin_before_end_of_rib_is_ignored() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let one = source(1, 1);
    rig.up_with(one, |n| (n.enhanced_refresh, n.refresh_after_end_of_rib) = (true, true)).await;
    rig.taken_in(one, &route(1, "10.1.0.0/16")).await;
    let empty = [refresh(V4, Subtype::Begin), refresh(V4, Subtype::End)].concat();
    rig.taken_in(one, &empty).await;
    assert_eq!(received(&mut rig).await, (vec!["10.1.0.0/16".into()], vec![]));
    rig.logged("ROUTE-REFRESH ignored: it begins before the End-of-RIB").await;
    rig.taken_in(one, &message(MessageType::Update, &[0, 0, 0, 0])).await;
    rig.taken_in(one, &empty).await;
    assert_eq!(received(&mut rig).await, (vec![], vec![]));
}

#[tokio::test]
async fn rfc7313_5_malformed_ones_end_the_session_and_unknown_ones_are_ignored() {
    let whole = |body: &[u8]| message(MessageType::RouteRefresh, body);
    let mut rig = Rig::start(vec![peer(1)]).await;
    let harmless = [whole(&[0, 1, 3, 1]), whole(&[0, 1, 255, 1, 9]), whole(&[0x40, 4, 1, 71])].concat();
    for (epoch, bad) in (1..).zip([whole(&[0, 1, 1, 1, 0]), whole(&[0, 1, 2, 1, 0, 0]), whole(&[0, 1, 1])]) {
        let one = source(1, epoch);
        rig.up_with(one, enhanced).await;
        rig.taken_in(one, &route(1, "10.1.0.0/16")).await;
        rig.taken_in(one, &harmless).await;
        assert_eq!(received(&mut rig).await, (vec!["10.1.0.0/16".into()], vec![]));
        rig.received(one, &bad).await;
        assert_eq!(rig.notified().await, (one, 7, 1, bad.clone()));
        rig.consumed(one, bad.len()).await;
        rig.down(one).await;
    }
    rig.logged("ROUTE-REFRESH ignored: it is of an unknown subtype").await;
    // A request may go on with route filters (RFC 5291), which are not for us.
    let one = source(1, 9);
    rig.up_with(one, enhanced).await;
    rig.taken_in(one, &whole(&[0, 1, 0, 1, 1, 64, 0, 0])).await;
    assert_eq!(framed(&mut rig, ONE).await, BTreeSet::new());
}

/// RFC 2918 §3: to a speaker that has not announced the capability the subtype is a reserved octet.
#[tokio::test]
async fn without_the_capability_there_are_no_subtypes_either_way() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let one = source(1, 1);
    rig.up(one).await;
    rig.up(source(2, 1)).await;
    rig.taken_in(source(2, 1), &route(2, "10.2.0.0/16")).await;
    rig.taken_in(one, &route(1, "10.1.0.0/16")).await;
    assert_eq!(rig.next(ONE).await, passed_on(2, "10.2.0.0/16"));
    for subtype in [Subtype::Begin, Subtype::End, Subtype::Unknown(7)] {
        rig.taken_in(one, &refresh(V4, subtype)).await;
        assert_eq!(rig.next(ONE).await, passed_on(2, "10.2.0.0/16"), "{subtype:?} is a request");
    }
    assert_eq!(received(&mut rig).await, (vec!["10.1.0.0/16".into()], vec![]));
}

async fn soft_reset(
    rig: &mut Rig,
    peer: PeerId,
    families: FamilySet,
    ask: bool,
) -> Result<(), SoftResetError> {
    let id = QueryId(4);
    rig.queries.send(&ControlToRde::SoftReset { id, peer, families, ask }).await.unwrap();
    match rig.answer().await {
        RdeToControl::SoftReset { id: QueryId(4), result } => result,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_soft_reset_keeps_what_is_still_good_and_asks_the_peer_where_that_is_wanted() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let one = source(1, 1);
    let (all, v6) = (FamilySet::EMPTY, FamilySet::EMPTY.with(V6));
    assert_eq!(soft_reset(&mut rig, ONE, all, false).await, Err(SoftResetError::NoSession));
    rig.up(one).await;
    rig.taken_in(one, &route(1, "10.1.0.0/16")).await;
    assert_eq!(soft_reset(&mut rig, ONE, all, false).await, Ok(()));
    assert_eq!(soft_reset(&mut rig, ONE, v6, true).await, Ok(()));
    assert_eq!(told(&rig.next(ONE).await), Told::Refresh(V6, Subtype::Request));
    assert_eq!(soft_reset(&mut rig, ONE, all, true).await, Ok(()));
    for family in [V4, V6] {
        assert_eq!(told(&rig.next(ONE).await), Told::Refresh(family, Subtype::Request));
    }
    assert_eq!(received(&mut rig).await, (vec!["10.1.0.0/16".into()], vec![]));

    let flowspec = v6.with(Family::Ipv4Flowspec);
    let missing = FamilySet::EMPTY.with(Family::Ipv4Flowspec);
    let refused = soft_reset(&mut rig, ONE, flowspec, false).await;
    assert_eq!(refused, Err(SoftResetError::NotNegotiated(missing)));
    rig.up_with(source(2, 1), |n| n.route_refresh = false).await;
    assert_eq!(soft_reset(&mut rig, TWO, all, true).await, Err(SoftResetError::NoRouteRefresh));
    assert_eq!(soft_reset(&mut rig, TWO, all, false).await, Ok(()));
}

/// What the tables count comes and goes with stale routes as with others.
#[tokio::test]
async fn a_session_that_ends_within_a_refresh_leaves_nothing_behind() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let two = source(2, 1);
    rig.up(two).await;
    for epoch in 1..=3 {
        let one: Source = source(1, epoch);
        rig.up_with(one, enhanced).await;
        let requests = refresh(V4, Subtype::Request).repeat(3);
        let piece = [routes(many()), refresh(V4, Subtype::Begin), route(1, "10.0.0.0/24"), requests].concat();
        rig.taken_in(one, &piece).await;
        learn(&mut rig, TWO, 300).await;
        rig.down(one).await;
        let mut gone = 0;
        while gone < 300 {
            let Told::Withdrawn(prefixes) = told(&rig.next(TWO).await) else { panic!("not a withdrawal") };
            gone += prefixes.len();
        }
        assert_eq!(rig.prefixes(Table::LocRib).await, [] as [String; 0]);
    }
    rig.taken_in(two, &withdrawal("10.1.0.0/16")).await;
}
