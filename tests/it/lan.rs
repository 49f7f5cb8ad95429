//! Hosts on one LAN.

use std::rc::Rc;

use lab::{Error, Host, Lab, Result};

/// Hosts of these names. The first one's interfaces are a bridge; host number N, counted from 1, is 10.0.1.N and
/// fd00:1::N.
pub(crate) fn lan<const N: usize>(lab: &Lab, names: [&str; N]) -> Result<[Rc<Host>; N]> {
    let hosts = names.iter().map(|name| lab.host(name)).collect::<Result<Vec<_>>>()?;
    let [us, others @ ..] = hosts.as_slice() else { return Error::fail("a LAN of nobody") };
    us.sh("ip link add lan type bridge", &[])?;
    for ((n, host), name) in (2..).zip(others).zip(names.iter().skip(1)) {
        lab.link(us, host, &[], &[&format!("10.0.1.{n}/24"), &format!("fd00:1::{n}/64")])?;
        us.sh(&format!("ip link set dev {name} master lan"), &[])?;
    }
    us.sh(
        "ip link set lan up; ip addr add 10.0.1.1/24 dev lan; ip addr add fd00:1::1/64 dev lan nodad",
        &[],
    )?;
    hosts.try_into().map_err(|_| Error::new("another number of hosts"))
}
