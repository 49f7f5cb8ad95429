//! Sets of AS numbers.

/// A set of AS numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsSet(Box<[u32]>);

impl AsSet {
    /// Whether the AS is in it.
    pub fn contains(&self, asn: u32) -> bool {
        self.0.binary_search(&asn).is_ok()
    }

    /// Octets that it takes.
    pub fn memory(&self) -> usize {
        size_of_val::<[u32]>(&self.0)
    }
}

impl FromIterator<u32> for AsSet {
    fn from_iter<T: IntoIterator<Item = u32>>(asns: T) -> AsSet {
        let mut list: Vec<u32> = asns.into_iter().collect();
        list.sort_unstable();
        list.dedup();
        AsSet(list.into())
    }
}
