//! Owners of injected routes: their routes go with their lease, and with them.

use ipc::QueryId;
use ipc::control_rde::{ControlToRde, Injection, OwnedBy, OwnerView, RdeToControl, RouteFilter, Table};

use crate::rig::*;
use crate::{inject, net, to_inject};

const ID: QueryId = QueryId(5);

fn by(name: &str, lease: Option<u32>) -> Option<OwnedBy> {
    Some(OwnedBy { name: name.into(), lease })
}

impl Rig {
    async fn owners(&mut self) -> Vec<(String, u64, u32)> {
        self.queries.send(&ControlToRde::Owners { id: ID }).await.unwrap();
        match self.answer().await {
            RdeToControl::OwnersReply { owners, .. } => owners
                .into_iter()
                .map(|OwnerView { name, routes, lease, .. }| (name, routes, lease))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    async fn delete_owner(&mut self, name: &str) -> Option<u64> {
        self.queries.send(&ControlToRde::DeleteOwner { id: ID, name: name.into() }).await.unwrap();
        match self.answer().await {
            RdeToControl::OwnerGone { routes, .. } => routes,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the best routes are these.
    async fn until_best(&mut self, expected: &[&str]) {
        soon(async {
            // While routes go, some may be counted that are not listed any more.
            loop {
                let (routes, ..) = self.page(Table::LocRib, RouteFilter::default(), None, 1000).await;
                if routes.iter().map(|r| r.prefix.to_string()).eq(expected.iter().copied()) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_route_is_of_who_injected_it_last_and_goes_with_its_owner() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    rig.up(source(1, 1)).await;
    let routes = |list: &[&str]| list.iter().map(|p| to_inject(net(p), 0)).collect::<Vec<_>>();
    assert_eq!(
        rig.injected(inject(by("a", None), routes(&["10.1.0.0/16", "10.2.0.0/16", "2001:db8::/32"]))).await,
        3
    );
    assert_eq!(rig.injected(inject(by("b", Some(500)), routes(&["10.2.0.0/16", "10.3.0.0/16"]))).await, 2);
    assert_eq!(rig.injected(inject(None, routes(&["10.4.0.0/16"]))).await, 1);
    assert_eq!(rig.owners().await, [("a".into(), 2, 0), ("b".into(), 2, 500)]);
    // Nobody's now.
    assert_eq!(rig.injected(inject(None, routes(&["10.3.0.0/16"]))).await, 1);
    assert_eq!(rig.owners().await, [("a".into(), 2, 0), ("b".into(), 1, 500)]);
    assert_eq!(rig.delete_owner("a").await, Some(2));
    assert_eq!(rig.prefixes(Table::LocRib).await, ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"]);
    assert_eq!(rig.delete_owner("a").await, None);
    let withdraw = |prefix| Injection::Withdraw { prefix: net(prefix), path_id: 0 };
    let items = vec![
        withdraw("10.4.0.0/16"),
        withdraw("10.99.0.0/16"),
        Injection::Route(to_inject(net("10.5.0.0/16"), 0)),
    ];
    let question = ControlToRde::Inject { id: ID, owner: by("b", None), items };
    assert_eq!(rig.injected(question).await, 3, "what is not there is not there in the end");
    assert_eq!(rig.prefixes(Table::LocRib).await, ["10.2.0.0/16", "10.3.0.0/16", "10.5.0.0/16"]);
    assert_eq!(rig.owners().await, [("b".into(), 2, 500)]);
}

#[tokio::test]
async fn routes_go_when_their_lease_is_over_and_only_these() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    rig.up(source(1, 1)).await;
    let route = |prefix| vec![to_inject(net(prefix), 0)];
    rig.injected(inject(by("stays", None), route("10.1.0.0/16"))).await;
    rig.injected(inject(by("renewed", Some(100)), route("10.2.0.0/16"))).await;
    rig.injected(inject(by("short", Some(1)), route("10.3.0.0/16"))).await;
    rig.until_best(&["10.1.0.0/16", "10.2.0.0/16"]).await;
    // It can come back, under the same name.
    rig.injected(inject(by("short", Some(0)), route("10.3.0.0/16"))).await;
    assert_eq!(
        rig.owners().await,
        [("renewed".into(), 1, 100), ("short".into(), 1, 0), ("stays".into(), 1, 0)]
    );
    // A lease that is made shorter counts from then on.
    let renew = |owner: Option<OwnedBy>| ControlToRde::Renew { id: ID, owner: owner.unwrap() };
    assert_eq!(rig.injected(renew(by("renewed", Some(1)))).await, 1);
    assert_eq!(rig.injected(renew(by("nobody", Some(1)))).await, 0);
    rig.until_best(&["10.1.0.0/16", "10.3.0.0/16"]).await;
}

#[tokio::test]
async fn what_is_injected_while_old_routes_go_stays() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    rig.up(source(1, 1)).await;
    for chunk in 0..20u32 {
        let prefix = |n: u32| net(&format!("10.{chunk}.{n}.0/24"));
        let routes = (0..250).map(|n| to_inject(prefix(n), 0)).collect();
        rig.injected(inject(by("a", None), routes)).await;
    }
    rig.queries.send(&ControlToRde::DeleteOwner { id: ID, name: "a".into() }).await.unwrap();
    rig.queries.send(&inject(by("a", None), vec![to_inject(net("10.0.7.0/24"), 0)])).await.unwrap();
    let (mut gone, mut injected) = (None, None);
    while gone.is_none() || injected.is_none() {
        match rig.answer().await {
            RdeToControl::OwnerGone { routes, .. } => gone = routes,
            RdeToControl::Injected { count, .. } => injected = Some(count),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((gone, injected), (Some(5000), Some(1)));
    assert_eq!(rig.prefixes(Table::LocRib).await, ["10.0.7.0/24"]);
    assert_eq!(rig.owners().await, [("a".into(), 1, 0)]);
}

#[tokio::test]
async fn there_are_only_so_many_owners() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    for n in 0..255 {
        let route = vec![to_inject(net("10.0.0.0/8"), n)];
        assert_eq!(rig.injected(inject(by(&format!("owner-{n}"), None), route)).await, 1);
    }
    let route = vec![to_inject(net("10.0.0.0/8"), 999)];
    rig.queries.send(&inject(by("one-more", None), route.clone())).await.unwrap();
    assert!(matches!(rig.answer().await, RdeToControl::Failed { error, .. } if error.contains("255")));
    // Those that are there go on, and one that goes makes room.
    assert_eq!(rig.injected(inject(by("owner-7", None), route.clone())).await, 1);
    assert_eq!(rig.delete_owner("owner-7").await, Some(2));
    assert_eq!(rig.injected(inject(by("one-more", None), route)).await, 1);
}
