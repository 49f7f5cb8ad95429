//! Errors for which connections of a peer were ended, kept for the operator beyond the connections.

use std::time::{SystemTime, UNIX_EPOCH};

use bgp::Notification;
use bgp::notification::{cease, code};
use ipc::control_session::Notified;
use ipc::errors::{LastErrors, PeerError, Wrong};

/// The longest text that is kept, in characters.
const MAX_TEXT: usize = 256;

fn in_words(notification: &Notification, detail: &str) -> String {
    let mut text = notification.to_string();
    if !detail.is_empty() && detail != text {
        text = format!("{text}: {detail}");
    }
    text.chars().take(MAX_TEXT).collect()
}

/// A NOTIFICATION of now, as it is shown.
pub(crate) fn notified(notification: &Notification, detail: &str) -> Notified {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Notified {
        at: since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        code: notification.code,
        subcode: notification.subcode,
        text: in_words(notification, detail),
    }
}

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
        let text = in_words(notification, detail);
        self.0.push(PeerError::new(Wrong::Notification { code, subcode, text }, data));
    }

    /// All, the oldest first.
    pub(crate) fn all(&self) -> Vec<PeerError> {
        self.0.to_vec()
    }
}
