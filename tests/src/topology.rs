//! A lab: hosts, links, and the report when a test fails.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use nix::unistd::geteuid;

use crate::{Error, Host, Link, Result};

/// The hosts of one test.
pub struct Lab {
    init: PathBuf,
    hosts: RefCell<Vec<Rc<Host>>>,
}

impl Lab {
    /// Runs `scenario` in a new lab. When it fails or panics, the logs of all daemons go to standard error.
    ///
    /// # Errors
    /// The scenario's, or that the lab cannot be made: it needs root.
    pub fn run(scenario: impl FnOnce(&Lab) -> Result<()>) -> Result<()> {
        if !geteuid().is_root() {
            return Error::fail("the lab needs root: run the tests with `make test`, which asks sudo");
        }
        let lab = Lab { init: own_binary("lab-init")?, hosts: RefCell::default() };
        let outcome = scenario(&lab);
        if outcome.is_err() {
            lab.report();
        }
        outcome
    }

    /// Adds a host. Its name is that of the interfaces that lead to it: 15 characters at most.
    ///
    /// # Errors
    /// When the namespaces cannot be made.
    pub fn host(&self, name: &str) -> Result<Rc<Host>> {
        let host = Rc::new(Host::new(name, &self.init)?);
        self.hosts.borrow_mut().push(host.clone());
        Ok(host)
    }

    /// Adds a machine: a host whose init is a real systemd, on an overlay of this system. What is written there dies with it.
    ///
    /// # Errors
    /// When it does not boot.
    pub fn machine(&self, name: &str) -> Result<Rc<Host>> {
        let host = Rc::new(Host::boot(name)?);
        self.hosts.borrow_mut().push(host.clone());
        Ok(host)
    }

    /// Joins two hosts by a link, with the given addresses (CIDR) at its ends.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn link(&self, a: &Rc<Host>, b: &Rc<Host>, at_a: &[&str], at_b: &[&str]) -> Result<Link> {
        Link::new(a, b, at_a, at_b)
    }

    /// Prints the logs of all hosts.
    fn report(&self) {
        for host in self.hosts.borrow().iter() {
            eprintln!("{}", host.logs());
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.report();
        }
    }
}

/// A program of this crate: it lies beside the folder that holds the test's executable.
pub(crate) fn own_binary(name: &str) -> Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let places = executable.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let found = places.into_iter().find(|path| path.exists());
    found.ok_or_else(|| Error::new(format!("{name} is not built: run the tests with `make test`")))
}
