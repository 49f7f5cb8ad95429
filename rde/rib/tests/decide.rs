//! The decision process is a total order of outcomes: one winner, the same for every order of arrival,
//! and the one that RFC 4271 §9.1.2.2 eliminates its way to. The ranking is that again and again.

use proptest::prelude::*;
use rib::{Candidate, best, rank};

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    // Few values each, so that ties reach every step.
    let one = (
        (
            [prop::bool::weighted(0.1), prop::bool::weighted(0.1)],
            99..=101u32,
            prop::bool::weighted(0.2),
            1..=3u16,
            0..=2u8,
        ),
        (0..=2u32, 1..=3u32, any::<bool>(), 0..=1u8, 1..=3u32),
    );
    let one = one.prop_map(|(a, b)| {
        let ([long_lived, stale], local_pref, local, path_len, origin) = a;
        let (med, neighbor_as, external, cluster_list_len, router_id) = b;
        Candidate {
            long_lived,
            stale,
            local_pref,
            local,
            path_len,
            origin,
            med,
            neighbor_as,
            external,
            cluster_list_len,
            router_id,
            address: 0,
            path_id: 0,
        }
    });
    prop::collection::vec(one, 1..8).prop_map(|mut list| {
        (0..).zip(&mut list).for_each(|(i, c)| c.address = i);
        list
    })
}

/// RFC 4271 §9.1.2.2 as it is written: each step removes those that lose against one that is still there.
fn by_elimination(all: &[Candidate], med_always: bool) -> Candidate {
    let mut left = all.to_vec();
    let mut step = |loses: &dyn Fn(&Candidate, &Candidate) -> bool| {
        let before = left.clone();
        left.retain(|c| !before.iter().any(|other| loses(c, other)));
    };
    // RFC 9494 §4.3: less preferred than any other; among each other they are as usual.
    step(&|c, o| c.long_lived && !o.long_lived);
    step(&|c, o| c.stale && !c.long_lived && !o.stale);
    step(&|c, o| c.local_pref < o.local_pref);
    step(&|c, o| !c.local && o.local);
    step(&|c, o| c.path_len > o.path_len);
    step(&|c, o| c.origin > o.origin);
    step(&|c, o| (med_always || c.neighbor_as == o.neighbor_as) && c.med > o.med);
    step(&|c, o| !c.external && o.external);
    step(&|c, o| c.cluster_list_len > o.cluster_list_len);
    step(&|c, o| c.router_id > o.router_id);
    step(&|c, o| c.address > o.address);
    assert_eq!(left.len(), 1, "one winner");
    left[0]
}

proptest! {
    #[test]
    fn one_winner_whatever_the_order(all in candidates(), med_always: bool, turn in 0..8usize) {
        let winner = by_elimination(&all, med_always);
        prop_assert_eq!(all[best(&all, med_always).unwrap()], winner);
        let mut other = all.clone();
        other.rotate_left(turn % all.len());
        prop_assert_eq!(other[best(&other, med_always).unwrap()], winner);
        other.reverse();
        prop_assert_eq!(other[best(&other, med_always).unwrap()], winner);
    }

    #[test]
    fn the_ranking_is_the_best_of_all_then_the_best_of_the_rest(all in candidates(), med_always: bool) {
        let mut left = all.clone();
        for at in rank(&all, med_always) {
            let winner = left.remove(best(&left, med_always).unwrap());
            prop_assert_eq!(all[at], winner);
        }
        prop_assert!(left.is_empty());
    }

    #[test]
    fn a_loser_that_leaves_changes_nothing_unless_its_med_did(all in candidates()) {
        // Without MED every step compares alone, so that losers do not matter.
        let all: Vec<Candidate> = all.into_iter().map(|c| Candidate { med: 0, ..c }).collect();
        let at = best(&all, false).unwrap();
        for gone in (0..all.len()).filter(|i| *i != at) {
            let mut rest = all.clone();
            rest.remove(gone);
            prop_assert_eq!(rest[best(&rest, false).unwrap()], all[at]);
        }
    }
}

#[test]
fn nothing_is_best_of_nothing() {
    assert_eq!(best(&[], false), None);
}
