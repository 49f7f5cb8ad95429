//! What a policy looks at, which tells how often it must be evaluated and when again.

/// A set of things that a policy may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looks(u16);

impl Looks {
    /// The prefix. Without it (and without [`Looks::RPKI`]) the outcome is the same for all prefixes of an attribute
    /// set, next hop included.
    pub const PREFIX: Looks = Looks(1);
    /// The peer, through neighbor sets.
    pub const PEER: Looks = Looks(1 << 1);
    /// The outcome of origin validation.
    pub const RPKI: Looks = Looks(1 << 2);
    /// The outcome of path verification.
    pub const ASPA: Looks = Looks(1 << 3);
    /// The AS numbers of the path.
    pub const PATH: Looks = Looks(1 << 4);
    /// Standard communities.
    pub const COMMUNITIES: Looks = Looks(1 << 5);
    /// Extended communities.
    pub const EXTENDED: Looks = Looks(1 << 6);
    /// Large communities.
    pub const LARGE: Looks = Looks(1 << 7);

    /// What is read off the attributes themselves.
    pub(crate) const ATTRIBUTES: Looks =
        Looks::PATH.with(Looks::COMMUNITIES).with(Looks::EXTENDED).with(Looks::LARGE);

    /// Whether it looks at one of these.
    pub const fn at(self, any: Looks) -> bool {
        self.0 & any.0 != 0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, more: Looks) -> Looks {
        Looks(self.0 | more.0)
    }

    /// Whether the outcome is the same for all prefixes of an attribute set from (or for) one peer.
    pub const fn is_per_attribute_set(self) -> bool {
        !self.at(Looks::PREFIX.with(Looks::RPKI))
    }
}
