//! Links between hosts.

use std::rc::Rc;

use crate::{Host, Result};

/// A pair of virtual Ethernet interfaces that joins two hosts.
pub struct Link {
    a: Rc<Host>,
    name_a: String,
}

impl Link {
    /// Joins two hosts; each gets an interface named for the other with the given addresses (CIDR).
    ///
    /// # Errors
    /// When the interfaces cannot be made.
    pub(crate) fn new(
        a: &Rc<Host>,
        b: &Rc<Host>,
        addresses_a: &[&str],
        addresses_b: &[&str],
    ) -> Result<Self> {
        let (name_a, name_b) = (b.name().to_string(), a.name().to_string());
        // The far end is named by process id, which is a number of the outer pid namespace.
        let near = a.init_pid().to_string();
        let far = b.init_pid().to_string();
        let output = std::process::Command::new("nsenter")
            .args(["--target", &near, "--net", "--", "ip", "link", "add", "name", &name_a, "type", "veth"])
            .args(["peer", "name", &name_b, "netns", &far])
            .output()?;
        if !output.status.success() {
            return crate::Error::fail(format!("ip link add: {}", String::from_utf8_lossy(&output.stderr)));
        }
        for (host, name, addresses) in [(a, &name_a, addresses_a), (b, &name_b, addresses_b)] {
            let mut script = format!("ip link set dev {name} up\n");
            for address in addresses {
                let nodad = if address.contains(':') { "nodad" } else { "" };
                script.push_str(&format!("ip addr add {address} dev {name} {nodad}\n"));
            }
            host.sh(&script, &[])?;
        }
        Ok(Link { a: a.clone(), name_a })
    }

    /// Takes the carrier away.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn down(&self) -> Result<()> {
        self.a.run(&["ip", "link", "set", "dev", &self.name_a, "down"]).map(drop)
    }

    /// Brings the carrier back.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn up(&self) -> Result<()> {
        self.a.run(&["ip", "link", "set", "dev", &self.name_a, "up"]).map(drop)
    }
}
