//! Routes as tests compare them, whoever shows them.

use std::net::IpAddr;

/// ORIGIN (RFC 4271 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Interior to the originating AS.
    Igp,
    /// Learned by EGP.
    Egp,
    /// By some other means.
    Incomplete,
}

impl Origin {
    /// From its code on the wire.
    pub fn from_code(code: u64) -> Option<Self> {
        [Origin::Igp, Origin::Egp, Origin::Incomplete].get(usize::try_from(code).ok()?).copied()
    }

    /// From the words that daemons print.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "igp" | "i" => Some(Origin::Igp),
            "egp" | "e" => Some(Origin::Egp),
            "incomplete" | "?" => Some(Origin::Incomplete),
            _ => None,
        }
    }

    /// The word that daemons understand.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Igp => "igp",
            Origin::Egp => "egp",
            Origin::Incomplete => "incomplete",
        }
    }
}

/// A route as a speaker shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// NEXT_HOP, the global address of an IPv6 route.
    pub next_hop: IpAddr,
    /// AS_PATH, one sequence.
    pub as_path: Vec<u32>,
    /// ORIGIN.
    pub origin: Origin,
    /// MULTI_EXIT_DISC, where there is one.
    pub med: Option<u32>,
    /// LOCAL_PREF, where there is one.
    pub local_pref: Option<u32>,
    /// Communities as `65001:100`, sorted; the well-known ones as numbers, too.
    pub communities: Vec<String>,
    /// Large communities as `65001:1:2`, sorted.
    pub large: Vec<String>,
}

impl Seen {
    /// The route without LOCAL_PREF and MED, for those that show a default of their own in their place.
    pub fn without_preferences(mut self) -> Self {
        self.local_pref = None;
        self.med = None;
        self
    }
}

/// What route reflectors have put on a route (RFC 4456 §8).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reflection {
    /// ORIGINATOR_ID, where there is one.
    pub originator: Option<String>,
    /// CLUSTER_LIST, the nearest one first.
    pub clusters: Vec<String>,
}

/// A route that a peer is to originate.
#[derive(Debug, Clone)]
pub struct Route {
    /// The prefix, in CIDR.
    pub prefix: String,
    /// ORIGIN.
    pub origin: Origin,
    /// MULTI_EXIT_DISC.
    pub med: u32,
    /// LOCAL_PREF, for iBGP.
    pub local_pref: Option<u32>,
    /// Communities as `65001:100`.
    pub communities: Vec<String>,
    /// Large communities as `65001:1:2`.
    pub large: Vec<String>,
}

impl Route {
    /// Whether it is an IPv6 route.
    pub fn is_ipv6(&self) -> bool {
        self.prefix.contains(':')
    }
}

/// Words in a text, sorted, with well-known community names as numbers.
pub(crate) fn sorted<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut list: Vec<String> = words.into_iter().map(|w| well_known(w).to_string()).collect();
    list.sort();
    list
}

/// Communities that daemons print by name: those of RFC 1997 and RFC 8326.
fn well_known(word: &str) -> &str {
    match word.to_ascii_lowercase().as_str() {
        "no-export" | "no_export" => "65535:65281",
        "no-advertise" | "no_advertise" => "65535:65282",
        "graceful-shutdown" => "65535:0",
        _ => word,
    }
}
