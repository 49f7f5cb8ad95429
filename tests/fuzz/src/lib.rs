//! What the targets share.

use bgp::update::ReadContext;
use bgp::{Family, FamilySet};

/// Takes the first octet of the input to choose what an UPDATE's reading depends on, so that one corpus
/// serves all combinations.
pub fn context(data: &[u8]) -> Option<(ReadContext, &[u8])> {
    let (choice, rest) = data.split_first()?;
    let all: FamilySet = Family::ALL.into_iter().collect();
    let unicast: FamilySet = [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect();
    let ctx = ReadContext {
        four_octet_as: choice & 1 != 0,
        external: choice & 2 != 0,
        families: if choice & 4 != 0 { all } else { unicast },
        add_path: if choice & 8 != 0 { all } else { FamilySet::EMPTY },
    };
    Some((ctx, rest))
}
