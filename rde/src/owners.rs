//! Who owns injected routes, and until when. An owner is a name that clients agree on; its routes carry a number. Where
//! it has a lease and is not heard of before that ends, its routes go.
//!
//! An owner whose routes go loses its number. Should it come back meanwhile it gets another one, so that what it injects
//! then is not taken for what is being removed. A number is free again when no route has it.

use std::collections::HashMap;

use ipc::QueryId;
use ipc::control_rde::{OwnedBy, OwnerView, RdeToControl};

use crate::engine::Engine;

/// Owners at a time, with those whose routes are being removed.
const OWNERS: usize = 255;

/// How long an owner without routes and without a lease is known, in milliseconds.
const IDLE: u64 = 60_000;

#[derive(Debug)]
struct Owner {
    number: u8,
    /// In seconds, 0 = none.
    lease: u32,
    /// When it was last heard of, in the engine's milliseconds.
    heard: u64,
}

impl Owner {
    /// When its lease ends.
    fn until(&self) -> Option<u64> {
        (self.lease > 0).then(|| self.heard + 1000 * u64::from(self.lease))
    }
}

/// A number whose routes are being removed.
#[derive(Debug)]
struct Leaving {
    number: u8,
    /// Number of the count before that began.
    since: u64,
    /// Routes when that began.
    routes: Option<u64>,
    /// Who waits for that to end.
    asker: Option<QueryId>,
}

/// All owners.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    named: HashMap<String, Owner>,
    leaving: Vec<Leaving>,
    /// Who wants a list, and with the answer of which number.
    listing: Vec<(u64, QueryId)>,
    /// The shards have been asked how many routes there are, and have not answered.
    asked: Option<u64>,
}

impl Owners {
    fn free_number(&self) -> Option<u8> {
        let used =
            |n: u8| self.named.values().any(|o| o.number == n) || self.leaving.iter().any(|l| l.number == n);
        (1..=u8::MAX).find(|n| !used(*n))
    }

    /// Control is gone, and all who asked with it.
    pub(crate) fn forget_askers(&mut self) {
        self.listing.clear();
        self.leaving.iter_mut().for_each(|l| l.asker = None);
    }
}

impl Engine {
    /// The number of an owner that is heard of.
    ///
    /// # Errors
    /// Where there are too many.
    pub(crate) fn own(&mut self, by: &OwnedBy) -> Result<u8, String> {
        let now = self.now();
        if let Some(owner) = self.owners.named.get_mut(&by.name) {
            owner.heard = now;
            owner.lease = by.lease.unwrap_or(owner.lease);
            return Ok(owner.number);
        }
        let Some(number) = self.owners.free_number() else {
            self.count_owned();
            return Err(format!("there are {OWNERS} owners already: delete one, or try again later"));
        };
        let owner = Owner { number, lease: by.lease.unwrap_or(0), heard: now };
        self.owners.named.insert(by.name.clone(), owner);
        Ok(number)
    }

    /// Asks the shards how many routes there are, unless they have yet to answer.
    fn count_owned(&mut self) {
        if self.owners.asked.is_none()
            && let Some(tables) = &mut self.tables
        {
            self.owners.asked = Some(tables.owned());
        }
    }

    /// Control wants to know who owns routes.
    pub(crate) fn list_owners(&mut self, id: QueryId) {
        match &mut self.tables {
            Some(tables) => self.owners.listing.push((tables.owned(), id)),
            None => self.control.push(RdeToControl::OwnersReply { id, owners: Vec::new() }, Vec::new()),
        }
    }

    /// An owner is heard of, without routes.
    pub(crate) fn renew_owner(&mut self, id: QueryId, owner: &OwnedBy) {
        let known = self.owners.named.contains_key(&owner.name) && self.own(owner).is_ok();
        self.control.push(RdeToControl::Injected { id, count: known.into() }, Vec::new());
    }

    /// Control wants an owner to go.
    pub(crate) fn delete_owner(&mut self, id: QueryId, name: &str) {
        match self.owners.named.remove(name) {
            Some(owner) => self.remove_routes(owner.number, Some(id)),
            None => self.control.push(RdeToControl::OwnerGone { id, routes: None }, Vec::new()),
        }
    }

    /// Removes the routes of an owner that is not known any more.
    fn remove_routes(&mut self, number: u8, asker: Option<QueryId>) {
        let Some(tables) = &mut self.tables else { return };
        // Counted before they go.
        let since = tables.owned();
        tables.remove_owned(number);
        self.owners.asked = Some(since);
        self.owners.leaving.push(Leaving { number, since, routes: None, asker });
        self.wake();
    }

    /// Some time has passed: routes go whose owners have not been heard of in time.
    pub(crate) fn leases_in_time(&mut self) {
        let now = self.now();
        let over = self.owners.named.extract_if(|_, o| o.until().is_some_and(|until| until <= now));
        for (name, owner) in over.collect::<Vec<_>>() {
            tracing::info!(owner = name, "lease has ended, injected routes are withdrawn");
            self.remove_routes(owner.number, None);
        }
        if !self.owners.leaving.is_empty() {
            self.count_owned();
        }
    }

    /// The shards have counted.
    pub(crate) fn owned(&mut self, number: u64, owned: &[u64; 256]) {
        let now = self.now();
        let count = |number: u8| owned.get(usize::from(number)).copied().unwrap_or(0);
        if self.owners.asked == Some(number) {
            self.owners.asked = None;
            self.owners.named.retain(|_, o| o.lease > 0 || now - o.heard < IDLE || count(o.number) > 0);
        }
        let listing = self.owners.listing.extract_if(.., |(n, _)| *n == number);
        for (_, id) in listing.collect::<Vec<_>>() {
            let left = |o: &Owner| o.until().map_or(0, |until| until.saturating_sub(now).div_ceil(1000));
            let view = |(name, owner): (&String, &Owner)| OwnerView {
                name: name.clone(),
                routes: count(owner.number),
                lease: owner.lease,
                left: u32::try_from(left(owner)).unwrap_or(u32::MAX),
            };
            let mut owners: Vec<OwnerView> = self.owners.named.iter().map(view).collect();
            owners.sort_by(|a, b| a.name.cmp(&b.name));
            self.control.push(RdeToControl::OwnersReply { id, owners }, Vec::new());
        }
        for leaving in self.owners.leaving.iter_mut().filter(|l| l.since == number) {
            leaving.routes = Some(count(leaving.number));
        }
        let gone = self.owners.leaving.extract_if(.., |l| l.since <= number && count(l.number) == 0);
        for leaving in gone.collect::<Vec<_>>() {
            if let Some(id) = leaving.asker {
                self.control.push(RdeToControl::OwnerGone { id, routes: leaving.routes }, Vec::new());
            }
        }
    }
}
