//! Why a connection ended, for logs, the API and the decision how long to wait.

use std::fmt;

use bgp::notification::Notification;
use bgp::notification::code::{CEASE, HOLD_TIMER_EXPIRED, SEND_HOLD_TIMER_EXPIRED};

use crate::negotiate::Session;
use crate::restart;

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
    /// We restart, and the peer keeps our routes; nothing was sent.
    Left,
    /// It was not needed any more when it came up, or the peer began another one after a restart; nothing was sent.
    Superseded,
}

impl Reason {
    /// Whether the connection went only because the peer has another one.
    pub fn is_collision(&self) -> bool {
        match self {
            Reason::Sent { notification: n, .. } | Reason::Received(n) => (n.code, n.subcode) == (CEASE, 7),
            Reason::Superseded => true,
            Reason::Lost(_) | Reason::Left => false,
        }
    }

    /// The same, with the NOTIFICATION that such a session must be sent for it (RFC 8538 §5.1).
    pub(crate) fn hardened(self, session: &Session) -> Reason {
        match self {
            Reason::Sent { notification, detail } => {
                Reason::Sent { notification: restart::hardened(session, notification), detail }
            }
            other => other,
        }
    }

    /// Whether a speaker refused the other one's protocol, so that trying again at once would only repeat
    /// it. Collisions, expired timers and resets that are meant to be followed by a new session do not count.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Reason::Sent { notification: n, .. } | Reason::Received(n) => match cause(n) {
                // Administrative Reset, Other Configuration Change, Connection Collision Resolution
                // (RFC 4486 §4).
                (CEASE, subcode) => !matches!(subcode, 4 | 6 | 7),
                (code, _) => !matches!(code, HOLD_TIMER_EXPIRED | SEND_HOLD_TIMER_EXPIRED),
            },
            Reason::Lost(_) | Reason::Superseded | Reason::Left => false,
        }
    }
}

/// Code and subcode: of a Hard Reset, those of what it carries.
fn cause(n: &Notification) -> (u8, u8) {
    n.hard_reset_inner().map_or((n.code, n.subcode), |inner| (inner.code, inner.subcode))
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
            Reason::Left => f.write_str("left for a restart"),
            Reason::Superseded => f.write_str("connection not needed any more"),
        }
    }
}
