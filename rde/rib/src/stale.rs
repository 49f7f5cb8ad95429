//! Stale routes: what a peer announced before it began anew, and has not announced again since.
//!
//! A peer begins anew with a route refresh (RFC 7313 §4) or with a session after a restart (RFC 4724 §4.2): all of its
//! routes of a family are stale then, those that it announces again are not, and in the end the others are swept.
//! To mark them costs nothing, however many there are: each path carries the mark that was current when it was
//! announced, and a path with another one is stale.

/// The stale routes of a peer in one family.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stale {
    /// What is announced now gets this mark. Marks count up, modulo 256.
    mark: u8,
    /// No path has an older mark.
    oldest: u8,
    /// Stale routes lose against all others in the decision process.
    loses: bool,
    /// How many routes are stale.
    pub(crate) count: u64,
    /// No route ever is: marks say something else.
    never: bool,
}

impl Stale {
    /// Of routes that are never stale, whatever their marks.
    pub(crate) const NEVER: Stale = Stale { mark: 0, oldest: 0, loses: false, count: 0, never: true };

    /// All routes are stale from now on, `routes` in number. Says whether the decision process must look at them.
    pub(crate) fn begin(&mut self, routes: u64, loses: bool) -> bool {
        let lost = self.loses && self.count > 0;
        if self.count == 0 {
            self.oldest = self.mark;
        }
        self.loses = loses;
        let next = self.mark.wrapping_add(1);
        // Who begins 256 times without an end: there is no mark left, and what came since the last time stays.
        if next != self.oldest {
            self.mark = next;
            self.count = routes;
        }
        lost || loses
    }

    /// The mark of what is announced now.
    pub(crate) fn mark(&self) -> u8 {
        self.mark
    }

    /// Whether a route with this mark is stale.
    pub(crate) fn is_stale(&self, mark: u8) -> bool {
        mark != self.mark && !self.never
    }

    /// Whether a route with this mark is one that loses.
    pub(crate) fn loses(&self, mark: u8) -> bool {
        self.loses && self.is_stale(mark)
    }

    /// Whether a route with this mark was announced before `than` became the current mark.
    pub(crate) fn is_older(&self, mark: u8, than: u8) -> bool {
        let age = |m: u8| self.mark.wrapping_sub(m);
        age(mark) > age(than)
    }

    /// A route with this mark goes, or is announced again. Says whether it was one that loses.
    pub(crate) fn renew(&mut self, mark: u8) -> bool {
        let lost = self.loses(mark);
        self.count -= u64::from(self.is_stale(mark));
        lost
    }

    /// No route is older than this mark any more.
    pub(crate) fn swept(&mut self, mark: u8) {
        self.oldest = mark;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_apart_for_as_long_as_there_are_any() {
        let mut stale = Stale::default();
        let first = stale.mark();
        for n in 1..=255 {
            let before = stale.mark();
            stale.begin(10, false);
            assert!(stale.is_stale(first) && stale.is_stale(before), "{n}");
            assert!(stale.is_older(first, stale.mark()) && !stale.is_older(stale.mark(), before), "{n}");
        }
        // No mark is left: the current one stays, so that nothing that is stale looks new.
        let last = stale.mark();
        stale.begin(10, false);
        assert_eq!(stale.mark(), last);
        assert!(stale.is_stale(first));
        // After a sweep there are marks again.
        for _ in 0..10 {
            stale.renew(first);
        }
        stale.swept(last);
        stale.begin(3, false);
        assert!(stale.is_stale(last));
        assert_eq!(stale.count, 3);
    }

    #[test]
    fn the_decision_process_must_look_where_stale_routes_lose_or_lost() {
        let mut stale = Stale::default();
        assert!(!stale.begin(2, false));
        let old = stale.mark();
        assert!(stale.begin(2, true));
        assert!(stale.loses(old) && !stale.loses(stale.mark()));
        assert!(stale.begin(2, false), "they lost until now");
        assert!(!stale.loses(old));
        assert!(!stale.begin(2, false));
    }
}
