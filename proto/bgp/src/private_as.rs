//! Private AS numbers (RFC 6996 §5): which they are, and taking them out of paths that leave for the Internet.

use serde::{Deserialize, Serialize};

use crate::aspath::{AsPath, AsPathBuf};
use crate::types::Asn;

/// What happens to private AS numbers in paths towards a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RemovePrivateAs {
    /// They are taken out of paths that have no other.
    Remove,
    /// All are taken out.
    All,
    /// Our own number stands in their place, so that the path stays as long as it is.
    Replace,
}

impl Asn {
    /// Whether it is reserved for private use.
    pub const fn is_private(self) -> bool {
        matches!(self.0, 64_512..=65_534 | 4_200_000_000..=4_294_967_294)
    }
}

impl RemovePrivateAs {
    /// The path as it is sent, before our own number is put in front; `None` where it stays as it is.
    pub fn rewrite(self, path: AsPath<'_>, own: Asn) -> Option<AsPathBuf> {
        let mut asns = path.asns();
        let concerned = match self {
            RemovePrivateAs::Remove => !path.is_empty() && asns.all(Asn::is_private),
            RemovePrivateAs::All | RemovePrivateAs::Replace => asns.any(Asn::is_private),
        };
        if !concerned {
            return None;
        }
        let mut rewritten = AsPathBuf::new();
        for segment in path.segments() {
            let asns = segment.asns().filter_map(|asn| match self {
                _ if !asn.is_private() => Some(asn),
                RemovePrivateAs::Replace => Some(own),
                RemovePrivateAs::Remove | RemovePrivateAs::All => None,
            });
            rewritten.push(segment.kind, asns);
        }
        Some(rewritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aspath::SegmentKind::{Sequence, Set};

    #[test]
    fn rfc6996_5_private_numbers() {
        let private = [64_512, 65_000, 65_534, 4_200_000_000, 4_294_967_294];
        let public = [1, 23_456, 64_496, 64_511, 65_535, 65_536, 4_199_999_999, 4_294_967_295];
        assert!(private.into_iter().all(|n| Asn(n).is_private()));
        assert!(!public.into_iter().any(|n| Asn(n).is_private()));
    }

    #[test]
    fn private_numbers_are_removed_or_replaced() {
        let (mixed, set) = (&[64_512, 3356, 4_200_000_000, 65_534][..], &[64_513, 1299][..]);
        // path, remove, all, replace
        type Case = (AsPathBuf, &'static str, &'static str, &'static str);
        let path = |sequence: &[u32], set: &[u32]| {
            let mut path = AsPathBuf::sequence(sequence.iter().map(|n| Asn(*n)));
            path.push(Set, set.iter().map(|n| Asn(*n)));
            path
        };
        let cases: [Case; 6] = [
            (path(&[], &[]), "", "", ""),
            (path(&[3356, 1299], &[]), "3356 1299", "3356 1299", "3356 1299"),
            (path(&[65_001, 64_512], &[]), "", "", "7 7"),
            (path(mixed, &[]), "64512 3356 4200000000 65534", "3356", "7 3356 7 7"),
            (path(&[64_512], set), "64512 {64513 1299}", "{1299}", "7 {7 1299}"),
            (path(&[3356], &[64_512, 64_513]), "3356 {64512 64513}", "3356", "3356 {7 7}"),
        ];
        for (path, remove, all, replace) in cases {
            for (how, expected) in [
                (RemovePrivateAs::Remove, remove),
                (RemovePrivateAs::All, all),
                (RemovePrivateAs::Replace, replace),
            ] {
                let sent = how.rewrite(path.as_path(), Asn(7));
                assert_eq!(sent.unwrap_or_else(|| path.clone()).to_string(), expected, "{how:?} of {path}");
            }
        }
    }

    #[test]
    fn a_long_path_stays_well_formed() {
        let mut path = AsPathBuf::sequence((0..255).map(|n| Asn(64_512 + n)));
        path.push(Sequence, [Asn(3356)]);
        let sent = RemovePrivateAs::All.rewrite(path.as_path(), Asn(7)).unwrap();
        assert_eq!(sent.to_string(), "3356");
        let sent = RemovePrivateAs::Replace.rewrite(path.as_path(), Asn(7)).unwrap();
        assert_eq!(sent.as_path().decision_len(), 256);
        assert!(AsPath::parse(sent.as_path().as_bytes()).is_some());
    }
}
