//! A secret of the configuration: it can be used, but neither printed nor serialised, and it is
//! overwritten when it is dropped.

use std::fmt;

use zeroize::Zeroizing;

/// Octets that must not leave the parent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// The octets, for the system call that needs them.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(Zeroizing::new(text.as_bytes().into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<set>")
    }
}
