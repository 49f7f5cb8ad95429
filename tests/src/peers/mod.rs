//! The BGP daemons of others, each behind the same trait.

mod bird;
mod frr;
mod gobgp;
mod openbgpd;

use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

pub use bird::Bird;
pub use frr::Frr;
pub use gobgp::GoBgp;
pub use openbgpd::OpenBgpd;

use crate::{Error, Host, Proc, Reflection, Result, Route, Seen};

/// One session of a peer daemon, from its side.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its own address.
    pub local: IpAddr,
    /// The address of the daemon under test.
    pub remote: IpAddr,
    /// The AS number that it expects.
    pub remote_asn: u32,
    /// The hold time that it proposes, in seconds.
    pub hold_time: u16,
    /// TCP-MD5 password.
    pub password: Option<String>,
    /// GTSM.
    pub ttl_security: bool,
    /// The daemon under test is a route server: its AS is not in the paths (RFC 7947 §2.2.2.2). FRR and BIRD.
    pub route_server: bool,
    /// The session carries both families, and IPv4 with IPv6 next hops (RFC 8950). FRR and BIRD.
    pub extended_next_hop: bool,
    /// Several paths of a prefix both ways (RFC 7911), and everything is passed on.
    pub add_path: bool,
    /// It offers enhanced route refresh (RFC 7313). OpenBGPD; FRR and BIRD always do, GoBGP does not have it.
    pub enhanced_refresh: bool,
    /// Graceful restart: for how many seconds the daemon asks others to keep its routes while it is away. FRR, BIRD
    /// and GoBGP; OpenBGPD asks for nothing, and keeps those of others.
    pub restart_time: Option<u16>,
    /// Long-lived graceful restart: for how many seconds more. FRR, BIRD and GoBGP.
    pub long_lived: Option<u32>,
    /// It waits for the other side to connect. FRR.
    pub passive: bool,
    /// It passes on what it has from other sessions. BIRD; the others always do.
    pub transit: bool,
    /// Its role towards the daemon under test (RFC 9234), and whether it insists on one. BIRD, FRR and
    /// OpenBGPD.
    pub role: Option<(&'static str, bool)>,
}

impl Session {
    /// A plain session. It carries the family of its addresses.
    ///
    /// # Errors
    /// When an address is none.
    pub fn new(local: &str, remote: &str, remote_asn: u32) -> Result<Self> {
        let (local, remote) = (local.parse()?, remote.parse()?);
        Ok(Session {
            local,
            remote,
            remote_asn,
            hold_time: 9,
            password: None,
            ttl_security: false,
            route_server: false,
            extended_next_hop: false,
            add_path: false,
            enhanced_refresh: false,
            restart_time: None,
            long_lived: None,
            passive: false,
            transit: false,
            role: None,
        })
    }

    /// With a hold time in seconds.
    pub fn hold_time(mut self, seconds: u16) -> Self {
        self.hold_time = seconds;
        self
    }

    /// With a TCP-MD5 password.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.into());
        self
    }

    /// With GTSM.
    pub fn ttl_security(mut self) -> Self {
        self.ttl_security = true;
        self
    }

    /// With several paths of a prefix both ways.
    pub fn add_path(mut self) -> Self {
        self.add_path = true;
        self
    }

    /// With enhanced route refresh.
    pub fn enhanced_refresh(mut self) -> Self {
        self.enhanced_refresh = true;
        self
    }

    /// With graceful restart.
    pub fn restart_time(mut self, seconds: u16) -> Self {
        self.restart_time = Some(seconds);
        self
    }

    /// With long-lived graceful restart beside graceful restart.
    pub fn long_lived(mut self, seconds: u32) -> Self {
        self.long_lived = Some(seconds);
        self
    }

    /// Without connecting on its own.
    pub fn passive(mut self) -> Self {
        self.passive = true;
        self
    }

    /// With what it has from other sessions.
    pub fn transit(mut self) -> Self {
        self.transit = true;
        self
    }

    /// With a role, by the name that our configuration has for it.
    pub fn role(mut self, name: &'static str) -> Self {
        self.role = Some((name, false));
        self
    }

    /// With a role, and no session without one at the other end.
    pub fn strict_role(mut self, name: &'static str) -> Self {
        self.role = Some((name, true));
        self
    }

    /// With a route server at the other end.
    pub fn route_server(mut self) -> Self {
        self.route_server = true;
        self
    }

    /// With both families over IPv6.
    pub fn extended_next_hop(mut self) -> Self {
        self.extended_next_hop = true;
        self
    }

    /// Whether it carries the family.
    fn carries(&self, ipv6: bool) -> bool {
        self.extended_next_hop || self.remote.is_ipv6() == ipv6
    }
}

/// What a peer daemon is to be.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its AS number.
    pub asn: u32,
    /// Its BGP identifier.
    pub router_id: &'static str,
    /// Its sessions.
    pub sessions: Vec<Session>,
    /// What it announces.
    pub routes: Vec<Route>,
}

/// A running BGP daemon that somebody else wrote.
pub trait Peer {
    /// Its process.
    fn process(&mut self) -> &mut Proc;

    /// Ends the daemon in order.
    ///
    /// # Errors
    /// When it does not end.
    fn stop(&mut self) -> Result<()> {
        self.process().stop().map(drop)
    }

    /// Ends the daemon without giving it time for a last word.
    ///
    /// # Errors
    /// When it does not end.
    fn crash(&mut self) -> Result<()> {
        self.process().kill().map(drop)
    }

    /// Whether its session with `neighbor` is Established.
    ///
    /// # Errors
    /// When the daemon does not answer, or knows no such neighbor.
    fn established(&self, neighbor: IpAddr) -> Result<bool>;

    /// The route that it has from elsewhere for a prefix.
    ///
    /// # Errors
    /// When the daemon does not answer, or shows something that the lab does not understand.
    fn route(&self, prefix: &str) -> Result<Option<Seen>> {
        Ok(self.paths(prefix)?.into_iter().next())
    }

    /// All that it has from elsewhere for a prefix.
    ///
    /// # Errors
    /// As for [`Peer::route`].
    fn paths(&self, prefix: &str) -> Result<Vec<Seen>>;

    /// What reflection has put on the route that [`Peer::route`] shows. BIRD and FRR.
    ///
    /// # Errors
    /// When the daemon does not answer, or the lab does not ask it for that.
    fn reflection(&self, _prefix: &str) -> Result<Option<Reflection>> {
        Error::fail("the lab does not ask this daemon for ORIGINATOR_ID and CLUSTER_LIST")
    }

    /// Announces a further route.
    ///
    /// # Errors
    /// When the daemon refuses.
    fn announce(&mut self, route: &Route) -> Result<()>;

    /// Withdraws a route that it announced.
    ///
    /// # Errors
    /// When the daemon refuses.
    fn withdraw(&mut self, prefix: &str) -> Result<()>;

    /// Text in which the daemon tells, in its own words, of NOTIFICATIONs that it received from `neighbor`.
    ///
    /// # Errors
    /// When the daemon does not answer.
    fn complaints(&self, neighbor: IpAddr) -> Result<String>;

    /// Ends its session with `neighbor` for good, with a shutdown communication (RFC 9003).
    ///
    /// # Errors
    /// When the daemon refuses.
    fn shut_down(&mut self, neighbor: IpAddr, text: &str) -> Result<()>;

    /// Its own words for a NOTIFICATION with code 2 and subcode 2, Bad Peer AS (RFC 4271 §6.2), as far as it has any.
    fn bad_peer_as(&self) -> &'static str;
}

/// Which daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// FRRouting.
    Frr,
    /// BIRD 2.
    Bird,
    /// OpenBGPD.
    OpenBgpd,
    /// GoBGP.
    GoBgp,
}

impl Kind {
    /// Starts the daemon in a host, and announces its routes.
    ///
    /// # Errors
    /// When it is not installed, or refuses its configuration.
    pub fn start(self, host: &Rc<Host>, setup: &Setup) -> Result<Box<dyn Peer>> {
        Ok(match self {
            Kind::Frr => Box::new(Frr::start(host, setup)?),
            Kind::Bird => Box::new(Bird::start(host, setup)?),
            Kind::OpenBgpd => Box::new(OpenBgpd::start(host, setup)?),
            Kind::GoBgp => Box::new(GoBgp::start(host, setup)?),
        })
    }
}

/// Fails when a program of a Debian package is missing.
fn need(program: &str, package: &str) -> Result<()> {
    let folders = ["", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"];
    if folders.iter().any(|folder| Path::new(&format!("{folder}{program}")).exists()) {
        return Ok(());
    }
    Error::fail(format!("{program} is missing: install the Debian package {package}, or run `make test`"))
}
