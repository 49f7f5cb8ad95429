//! With each of four other daemons: sessions over IPv4 and IPv6, external and internal, routes both ways with
//! their attributes as both sides show them, withdrawals, restarts of either side.
//!
//! The daemon under test (AS 65001) stands between two instances of the other one: `ext` in AS 65002 and `int`
//! in its own AS.

use std::net::IpAddr;
use std::rc::Rc;

use lab::peers::{Kind, Peer, Session, Setup};
use lab::{Error, Host, Lab, Neighbor, Origin, Result, Route, Rustbgpd, Seen, wait, wait_for};

const US: u32 = 65001;
const EXT: u32 = 65002;

/// A route with something in every attribute.
fn route(prefix: &str, asn: u32, origin: Origin, local_pref: Option<u32>) -> Route {
    Route {
        prefix: prefix.into(),
        origin,
        med: 50,
        local_pref,
        communities: vec![format!("{asn}:100"), format!("{asn}:200")],
        large: vec![format!("{asn}:1:2"), format!("{asn}:3:4")],
    }
}

/// What both sides must show of a route, given what the way has changed.
fn seen(route: &Route, next_hop: IpAddr, as_path: &[u32], med: Option<u32>, local_pref: Option<u32>) -> Seen {
    Seen {
        next_hop,
        as_path: as_path.to_vec(),
        origin: route.origin,
        med,
        local_pref,
        communities: route.communities.clone(),
        large: route.large.clone(),
    }
}

/// One address family of the lab: the sessions over it carry its routes.
struct Side {
    /// Our address on the link to `ext`.
    us_ext: IpAddr,
    ext: IpAddr,
    us_int: IpAddr,
    int: IpAddr,
    /// What `ext`, `int` and we originate.
    from_ext: Route,
    from_int: Route,
    from_us: Route,
    /// Originated by us, with NO_EXPORT.
    internal: Route,
}

impl Side {
    fn new(addresses: [&str; 4], prefixes: [&str; 4]) -> Result<Self> {
        let [us_ext, ext, us_int, int] = addresses;
        let [from_ext, from_int, from_us, internal] = prefixes;
        let mut secret = route(internal, US, Origin::Igp, None);
        secret.communities = vec!["65535:65281".into()];
        Ok(Side {
            us_ext: us_ext.parse()?,
            ext: ext.parse()?,
            us_int: us_int.parse()?,
            int: int.parse()?,
            from_ext: route(from_ext, EXT, Origin::Igp, None),
            from_int: route(from_int, US, Origin::Igp, Some(200)),
            from_us: route(from_us, US, Origin::Incomplete, None),
            internal: secret,
        })
    }
}

/// Our daemon between two others.
struct Triangle {
    kind: Kind,
    sides: [Side; 2],
    us: Rustbgpd,
    ext: Box<dyn Peer>,
    int: Box<dyn Peer>,
    hosts: [Rc<Host>; 2],
    setups: [Setup; 2],
}

impl Triangle {
    fn start(lab: &Lab, kind: Kind) -> Result<Self> {
        let (us, ext, int) = (lab.host("us")?, lab.host("ext")?, lab.host("int")?);
        lab.link(&us, &ext, &["10.0.1.1/24", "fd00:1::1/64"], &["10.0.1.2/24", "fd00:1::2/64"])?;
        lab.link(&us, &int, &["10.0.2.1/24", "fd00:2::1/64"], &["10.0.2.2/24", "fd00:2::2/64"])?;
        // An internal peer is told the external next hop and needs a way to it.
        int.sh("ip route add 10.0.1.0/24 via 10.0.2.1; ip -6 route add fd00:1::/64 via fd00:2::1", &[])?;
        let sides = [
            Side::new(
                ["10.0.1.1", "10.0.1.2", "10.0.2.1", "10.0.2.2"],
                ["10.10.0.0/24", "10.20.0.0/24", "10.30.0.0/24", "10.31.0.0/24"],
            )?,
            Side::new(
                ["fd00:1::1", "fd00:1::2", "fd00:2::1", "fd00:2::2"],
                ["fd10::/48", "fd20::/48", "fd30::/48", "fd31::/48"],
            )?,
        ];
        let setup = |asn, router_id, external: bool| -> Result<Setup> {
            let ends = |s: &Side| if external { (s.ext, s.us_ext) } else { (s.int, s.us_int) };
            let sessions = sides.iter().map(|s| {
                let (local, remote) = ends(s);
                Session::new(&local.to_string(), &remote.to_string(), US)
            });
            let routes = sides.iter().map(|s| if external { &s.from_ext } else { &s.from_int }.clone());
            Ok(Setup { asn, router_id, sessions: sessions.collect::<Result<_>>()?, routes: routes.collect() })
        };
        let setups = [setup(EXT, "10.0.1.2", true)?, setup(US, "10.0.2.2", false)?];
        let config = Rustbgpd::configuration(
            US,
            "10.0.1.1",
            &[
                Neighbor::new("10.0.1.2", EXT),
                Neighbor::new("fd00:1::2", EXT),
                Neighbor::new("10.0.2.2", US),
                Neighbor::new("fd00:2::2", US),
            ],
        );
        let [ext_setup, int_setup] = &setups;
        let (e, i) = (kind.start(&ext, ext_setup)?, kind.start(&int, int_setup)?);
        let us = Rustbgpd::start(&us, &config)?;
        Ok(Triangle { kind, sides, us, ext: e, int: i, hosts: [ext, int], setups })
    }

    /// All four sessions are Established, as both sides see it.
    fn wait_established(&self) -> Result<()> {
        for side in &self.sides {
            self.us.wait_established(&[side.ext, side.int])?;
            wait("the external session at the peer", 5, || self.ext.established(side.us_ext))?;
            wait("the internal session at the peer", 5, || self.int.established(side.us_int))?;
        }
        Ok(())
    }

    /// Routes of the external peer: at us, and at the internal peer.
    fn check_from_external(&self, side: &Side) -> Result<()> {
        let prefix = &side.from_ext.prefix;
        let at_us = seen(&side.from_ext, side.ext, &[EXT], Some(50), None);
        expect("received from the external peer", &at_us, || self.us.received(side.ext, prefix))?;
        let best = wait_for("a best route", 5, || self.us.best(prefix))?;
        assert_eq!(best.without_preferences(), at_us.clone().without_preferences());
        // RFC 4271 §5.1.3, §5.1.4, §5.1.5: next hop and MED as they are, LOCAL_PREF added.
        let at_int = seen(&side.from_ext, side.ext, &[EXT], Some(50), Some(100));
        expect("advertised to the internal peer", &at_int, || self.us.advertised(side.int, prefix))?;
        expect("at the internal peer", &at_int, || self.int.route(prefix))
    }

    /// Routes of the internal peer: at us, and at the external peer.
    fn check_from_internal(&self, side: &Side) -> Result<()> {
        let prefix = &side.from_int.prefix;
        let at_us = seen(&side.from_int, side.int, &[], Some(50), Some(200));
        expect("received from the internal peer", &at_us, || self.us.received(side.int, prefix))?;
        // RFC 4271 §5.1.2, §5.1.3, §5.1.5: our AS and our address, no LOCAL_PREF.
        let at_ext = seen(&side.from_int, side.us_ext, &[US], None, None);
        expect("at the external peer", &at_ext, || {
            Ok(self.ext.route(prefix)?.map(Seen::without_preferences))
        })?;
        let sent = wait_for("what was sent", 5, || self.us.advertised(side.ext, prefix))?;
        assert_eq!((sent.local_pref, sent.next_hop, sent.as_path), (None, side.us_ext, vec![US]));
        Ok(())
    }

    /// Our own routes at both peers.
    fn check_from_us(&self, side: &Side) -> Result<()> {
        let prefix = &side.from_us.prefix;
        self.us.add(&side.from_us, side.us_ext, "64999")?;
        self.us.add(&side.internal, side.us_ext, "")?;
        let at_ext = seen(&side.from_us, side.us_ext, &[US, 64999], None, None);
        expect("our route at the external peer", &at_ext, || {
            Ok(self.ext.route(prefix)?.map(Seen::without_preferences))
        })?;
        let at_int = seen(&side.from_us, side.us_ext, &[64999], Some(50), Some(100));
        expect("our route at the internal peer", &at_int, || self.int.route(prefix))?;
        // RFC 1997: NO_EXPORT stays inside. It was sent before what the external peer has by now.
        wait("the internal route at the internal peer", 5, || {
            Ok(self.int.route(&side.internal.prefix)?.is_some())
        })?;
        assert_eq!(self.us.advertised(side.ext, &side.internal.prefix)?, None);
        assert_eq!(self.ext.route(&side.internal.prefix)?, None);
        Ok(())
    }

    /// Withdrawals, by either side.
    fn check_withdrawals(&mut self) -> Result<()> {
        for side in &self.sides {
            self.ext.withdraw(&side.from_ext.prefix)?;
            self.us.delete(&side.from_us.prefix)?;
            self.us.delete(&side.internal.prefix)?;
        }
        for side in &self.sides {
            gone("withdrawn by the external peer, at us", || {
                self.us.received(side.ext, &side.from_ext.prefix)
            })?;
            gone("withdrawn by the external peer, at the internal one", || {
                self.int.route(&side.from_ext.prefix)
            })?;
            gone("withdrawn by us, at the external peer", || self.ext.route(&side.from_us.prefix))?;
            gone("withdrawn by us, at the internal peer", || self.int.route(&side.from_us.prefix))?;
        }
        for side in &self.sides {
            self.ext.announce(&side.from_ext)?;
            wait("the route again", 10, || Ok(self.int.route(&side.from_ext.prefix)?.is_some()))?;
        }
        Ok(())
    }

    /// The external peer goes away and comes back.
    fn check_peer_restart(&mut self) -> Result<()> {
        self.ext.stop()?;
        for side in &self.sides {
            gone("of a stopped peer, at us", || self.us.best(&side.from_ext.prefix))?;
            gone("of a stopped peer, at the internal one", || self.int.route(&side.from_ext.prefix))?;
            assert!(self.us.neighbor(side.int)?.established);
        }
        let [host, _] = &self.hosts;
        let [setup, _] = &self.setups;
        self.ext = self.kind.start(host, setup)?;
        self.wait_established()?;
        self.sides.iter().try_for_each(|side| self.check_from_external(side))
    }

    /// We go away and come back.
    fn check_our_restart(&mut self) -> Result<()> {
        self.us.restart()?;
        self.wait_established()?;
        for side in &self.sides {
            self.check_from_external(side)?;
            self.check_from_internal(side)?;
        }
        Ok(())
    }
}

/// Waits until a speaker shows exactly this route.
fn expect(what: &str, route: &Seen, mut probe: impl FnMut() -> Result<Option<Seen>>) -> Result<()> {
    let mut last = None;
    let outcome = wait(what, 10, || {
        last = probe()?;
        Ok(last.as_ref() == Some(route))
    });
    outcome.map_err(|e| Error::new(format!("{e}\n  should be {route:?}\n  but is   {last:?}")))
}

/// Waits until a speaker shows no route.
fn gone(what: &str, mut probe: impl FnMut() -> Result<Option<Seen>>) -> Result<()> {
    wait(&format!("the end of a route {what}"), 10, || Ok(probe()?.is_none()))
}

fn interop(kind: Kind) -> Result<()> {
    Lab::run(|lab| {
        let mut triangle = Triangle::start(lab, kind)?;
        triangle.wait_established()?;
        for side in &triangle.sides {
            triangle.check_from_external(side)?;
            triangle.check_from_internal(side)?;
            triangle.check_from_us(side)?;
        }
        triangle.check_withdrawals()?;
        triangle.check_peer_restart()?;
        triangle.check_our_restart()
    })
}

#[test]
fn with_frr() -> Result<()> {
    interop(Kind::Frr)
}

#[test]
fn with_bird() -> Result<()> {
    interop(Kind::Bird)
}

#[test]
fn with_openbgpd() -> Result<()> {
    interop(Kind::OpenBgpd)
}

#[test]
fn with_gobgp() -> Result<()> {
    interop(Kind::GoBgp)
}
