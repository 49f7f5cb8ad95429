//! The storage budget: what a route may cost, in octets. Raising a number here is a decision.

use std::mem::size_of;

use crate::attrs::Entry;
use crate::column::Sent;
use crate::instead::Exception;
use crate::paths::Path;
use crate::slots::{Slot, V4, V6};

#[test]
fn storage_stays_within_its_budget() {
    for (what, size, budget) in [
        ("a path", size_of::<Path>(), 12),
        ("a prefix of IPv4", size_of::<Slot<V4>>(), 16),
        ("a prefix of IPv6", size_of::<Slot<V6>>(), 28),
        ("a route in an Adj-RIB-Out", size_of::<Sent>(), 8),
        ("a route for the source of a best one", size_of::<Exception>(), 8),
        ("an attribute set beside its octets", size_of::<Entry>(), 48),
    ] {
        assert_eq!(size, budget, "octets of {what}");
    }
}
