//! Two hosts joined by many pairs of addresses: a neighbor for each case of a test.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use crate::{Host, Lab, Result};

/// The daemon's host, and one that plays all its neighbors. Pair N is 10.0.N.1 (and fd00:N::1) at the daemon
/// and 10.0.N.2 (fd00:N::2) at the neighbor; whoever connects to one end of a pair does so from the other.
pub struct Pairs {
    /// Where the daemon runs.
    pub us: Rc<Host>,
    /// Where its neighbors are.
    pub peer: Rc<Host>,
}

impl Pairs {
    /// Two hosts with these pairs.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn new(lab: &Lab, pairs: &[u8]) -> Result<Self> {
        let (us, peer) = (lab.host("us")?, lab.host("peer")?);
        let ends = |end: u8| -> Vec<String> {
            pairs.iter().flat_map(|n| [format!("10.0.{n}.{end}/24"), format!("fd00:{n}::{end}/64")]).collect()
        };
        let (ours, theirs) = (ends(1), ends(2));
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            (ours.iter().map(String::as_str).collect(), theirs.iter().map(String::as_str).collect());
        lab.link(&us, &peer, &ours, &theirs)?;
        Ok(Pairs { us, peer })
    }

    /// The daemon's address of a pair.
    pub fn ours(n: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, n, 1).into()
    }

    /// The neighbor's address of a pair.
    pub fn theirs(n: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, n, 2).into()
    }

    /// The daemon's IPv6 address of a pair. Addresses are written in decimal digits: pair 11 is fd00:11::1.
    pub fn ours_v6(n: u8) -> IpAddr {
        v6(n, 1)
    }

    /// The neighbor's IPv6 address of a pair.
    pub fn theirs_v6(n: u8) -> IpAddr {
        v6(n, 2)
    }

    /// Where the daemon listens for the neighbor of a pair.
    pub fn port(n: u8) -> SocketAddr {
        (Self::ours(n), 179).into()
    }
}

/// The digits of the number, read as hexadecimal: what `format!` puts into the address text.
fn v6(n: u8, end: u16) -> IpAddr {
    let (n, digit) = (u16::from(n), |n: u16| n % 10);
    let group = digit(n / 100) << 8 | digit(n / 10) << 4 | digit(n);
    Ipv6Addr::new(0xfd00, group, 0, 0, 0, 0, 0, end).into()
}
