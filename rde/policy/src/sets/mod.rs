//! Sets of 100,000 entries that are asked for each route.

mod asn;
mod community;
mod prefix;

pub use asn::AsSet;
pub use community::CommunityTest;
pub(crate) use community::{Matcher, exact};
pub use prefix::PrefixSet;
pub(crate) use prefix::{Prefix, Range};
