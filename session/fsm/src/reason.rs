//! Why a connection ended, for logs, the API and the decision how long to wait.

use std::fmt;

use bgp::notification::Notification;
use bgp::notification::code::{CEASE, HOLD_TIMER_EXPIRED, SEND_HOLD_TIMER_EXPIRED};

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// We sent this NOTIFICATION.
    Sent {
        /// What was sent.
        notification: Notification,
        /// Why, beyond what code and subcode say; may be empty.
        detail: String,
    },
    /// The peer sent this NOTIFICATION.
    Received(Notification),
    /// The TCP connection broke, with the error's text.
    Lost(String),
    /// It was not needed any more when it came up; nothing was sent.
    Superseded,
}

impl Reason {
    /// Whether the connection went only because the peer has another one.
    pub fn is_collision(&self) -> bool {
        match self {
            Reason::Sent { notification: n, .. } | Reason::Received(n) => (n.code, n.subcode) == (CEASE, 7),
            Reason::Superseded => true,
            Reason::Lost(_) => false,
        }
    }

    /// Whether a speaker refused the other one's protocol, so that trying again at once would only repeat
    /// it. Collisions, expired timers and resets that are meant to be followed by a new session do not count.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Reason::Sent { notification: n, .. } | Reason::Received(n) => match n.code {
                // Administrative Reset, Other Configuration Change, Connection Collision Resolution
                // (RFC 4486 §4).
                CEASE => !matches!(n.subcode, 4 | 6 | 7),
                code => !matches!(code, HOLD_TIMER_EXPIRED | SEND_HOLD_TIMER_EXPIRED),
            },
            Reason::Lost(_) | Reason::Superseded => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Sent { notification, detail } if detail.is_empty() => {
                write!(f, "sent NOTIFICATION {notification}")
            }
            Reason::Sent { notification, detail } => {
                write!(f, "sent NOTIFICATION {notification}: {detail}")
            }
            Reason::Received(notification) => write!(f, "received NOTIFICATION {notification}"),
            Reason::Lost(error) => write!(f, "connection lost: {error}"),
            Reason::Superseded => f.write_str("connection not needed any more"),
        }
    }
}
