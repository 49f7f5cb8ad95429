//! Errors for which connections of a peer were ended, kept for the operator beyond the connections.

use bgp::Notification;
use bgp::notification::{cease, code};
use ipc::errors::{LastErrors, PeerError, Wrong};

/// The longest text that is kept, in characters.
const MAX_TEXT: usize = 256;

/// The last errors of a peer.
#[derive(Debug, Default)]
pub(crate) struct Ended(LastErrors);

impl Ended {
    /// We sent this NOTIFICATION. One that says nothing about the peer (the operator's wish, the other of two
    /// connections) is no error of it.
    pub(crate) fn sent(&mut self, notification: &Notification, detail: &str) {
        let Notification { code, subcode, ref data } = *notification;
        if code == code::CEASE && !matches!(subcode, cease::MAXIMUM_PREFIXES | cease::OUT_OF_RESOURCES) {
            return;
        }
        let mut text = notification.to_string();
        if !detail.is_empty() && detail != text {
            text = format!("{text}: {detail}");
        }
        let text = text.chars().take(MAX_TEXT).collect();
        self.0.push(PeerError::new(Wrong::Notification { code, subcode, text }, data));
    }

    /// All, the oldest first.
    pub(crate) fn all(&self) -> Vec<PeerError> {
        self.0.to_vec()
    }
}
