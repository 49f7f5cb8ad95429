//! NOTIFICATION (RFC 4271 §4.5): why a session ends, with the names of all codes and subcodes.

use std::fmt;

use crate::header::{self, MessageType};
use crate::types::MAX_MESSAGE;

/// Error codes (RFC 4271 §4.5 and the IANA registry).
pub mod code {
    /// Message Header Error.
    pub const HEADER: u8 = 1;
    /// OPEN Message Error.
    pub const OPEN: u8 = 2;
    /// UPDATE Message Error.
    pub const UPDATE: u8 = 3;
    /// Hold Timer Expired.
    pub const HOLD_TIMER_EXPIRED: u8 = 4;
    /// Finite State Machine Error.
    pub const FSM: u8 = 5;
    /// Cease.
    pub const CEASE: u8 = 6;
    /// ROUTE-REFRESH Message Error (RFC 7313 §5).
    pub const ROUTE_REFRESH: u8 = 7;
    /// Send Hold Timer Expired (RFC 9687 §5).
    pub const SEND_HOLD_TIMER_EXPIRED: u8 = 8;
}

/// Defines a module of subcodes together with the function that names them.
macro_rules! subcodes {
    ($(#[$doc:meta])* $module:ident { $($(#[$item_doc:meta])* $name:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        pub mod $module {
            $($(#[$item_doc])* pub const $name: u8 = $value;)*

            pub(super) fn name(subcode: u8) -> Option<&'static str> {
                match subcode { $($name => Some($text),)* _ => None }
            }
        }
    };
}

subcodes! {
    /// Subcodes of Message Header Error (RFC 4271 §6.1).
    header_error {
        /// The marker is not all ones.
        CONNECTION_NOT_SYNCHRONIZED = 1, "Connection Not Synchronized";
        /// Data: the length field.
        BAD_MESSAGE_LENGTH = 2, "Bad Message Length";
        /// Data: the type field.
        BAD_MESSAGE_TYPE = 3, "Bad Message Type";
    }
}

subcodes! {
    /// Subcodes of OPEN Message Error (RFC 4271 §6.2, RFC 5492 §5, RFC 9234 §4.2).
    open_error {
        /// A recognised optional parameter is malformed.
        UNSPECIFIC = 0, "Unspecific";
        /// Data: the version that we speak, two octets.
        UNSUPPORTED_VERSION = 1, "Unsupported Version Number";
        /// Not the AS that is configured, or 0.
        BAD_PEER_AS = 2, "Bad Peer AS";
        /// 0, or our own from an internal peer.
        BAD_BGP_IDENTIFIER = 3, "Bad BGP Identifier";
        /// An optional parameter that is not known.
        UNSUPPORTED_OPTIONAL_PARAMETER = 4, "Unsupported Optional Parameter";
        /// 1 or 2 seconds.
        UNACCEPTABLE_HOLD_TIME = 6, "Unacceptable Hold Time";
        /// Data: the capabilities that the peer lacks.
        UNSUPPORTED_CAPABILITY = 7, "Unsupported Capability";
        /// The roles do not match (RFC 9234).
        ROLE_MISMATCH = 11, "Role Mismatch";
    }
}

subcodes! {
    /// Subcodes of UPDATE Message Error (RFC 4271 §6.3).
    update_error {
        /// The lengths do not fit, or an attribute comes twice.
        MALFORMED_ATTRIBUTE_LIST = 1, "Malformed Attribute List";
        /// Data: the attribute.
        UNRECOGNIZED_WELL_KNOWN = 2, "Unrecognized Well-known Attribute";
        /// Data: the type code.
        MISSING_WELL_KNOWN = 3, "Missing Well-known Attribute";
        /// Data: the attribute.
        ATTRIBUTE_FLAGS = 4, "Attribute Flags Error";
        /// Data: the attribute.
        ATTRIBUTE_LENGTH = 5, "Attribute Length Error";
        /// Data: the attribute.
        INVALID_ORIGIN = 6, "Invalid ORIGIN Attribute";
        /// Data: the attribute.
        INVALID_NEXT_HOP = 8, "Invalid NEXT_HOP Attribute";
        /// Data: the attribute.
        OPTIONAL_ATTRIBUTE = 9, "Optional Attribute Error";
        /// The NLRI or Withdrawn Routes field cannot be read.
        INVALID_NETWORK_FIELD = 10, "Invalid Network Field";
        /// The path cannot be read, or does not begin with the peer's AS.
        MALFORMED_AS_PATH = 11, "Malformed AS_PATH";
    }
}

subcodes! {
    /// Subcodes of Finite State Machine Error (RFC 6608 §4).
    fsm_error {
        /// Unspecified.
        UNSPECIFIED = 0, "Unspecified Error";
        /// Data: the type of the message.
        UNEXPECTED_IN_OPEN_SENT = 1, "Receive Unexpected Message in OpenSent State";
        /// Data: the type of the message.
        UNEXPECTED_IN_OPEN_CONFIRM = 2, "Receive Unexpected Message in OpenConfirm State";
        /// Data: the type of the message.
        UNEXPECTED_IN_ESTABLISHED = 3, "Receive Unexpected Message in Established State";
    }
}

subcodes! {
    /// Subcodes of Cease (RFC 4486 §3, RFC 8538 §3).
    cease {
        /// Data may name the family and the limit.
        MAXIMUM_PREFIXES = 1, "Maximum Number of Prefixes Reached";
        /// Data: a shutdown communication (RFC 9003).
        ADMINISTRATIVE_SHUTDOWN = 2, "Administrative Shutdown";
        /// The peer is no longer configured.
        PEER_DECONFIGURED = 3, "Peer De-configured";
        /// Data: a shutdown communication (RFC 9003).
        ADMINISTRATIVE_RESET = 4, "Administrative Reset";
        /// The connection is not wanted.
        CONNECTION_REJECTED = 5, "Connection Rejected";
        /// The configuration changed.
        OTHER_CONFIGURATION_CHANGE = 6, "Other Configuration Change";
        /// The other of two connections is kept (RFC 4271 §6.8).
        CONNECTION_COLLISION = 7, "Connection Collision Resolution";
        /// Memory, for example.
        OUT_OF_RESOURCES = 8, "Out of Resources";
        /// Data: another NOTIFICATION's code, subcode and data (RFC 8538 §3.1).
        HARD_RESET = 9, "Hard Reset";
        /// The path's BFD session went down (RFC 9384).
        BFD_DOWN = 10, "BFD Down";
    }
}

subcodes! {
    /// Subcodes of ROUTE-REFRESH Message Error (RFC 7313 §5).
    refresh_error {
        /// Data: the whole message.
        INVALID_MESSAGE_LENGTH = 1, "Invalid Message Length";
    }
}

/// The longest shutdown communication in octets (RFC 9003 §2).
pub const MAX_SHUTDOWN_COMMUNICATION: usize = 255;

/// The most data that fits a message of 4096 octets.
const MAX_DATA: usize = MAX_MESSAGE - header::HEADER_LEN - 2;

/// Why a session ends: error code, subcode and data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notification {
    /// Error code: [`code`].
    pub code: u8,
    /// Error subcode: 0 where the code has none.
    pub subcode: u8,
    /// What the code and subcode say about the cause.
    pub data: Vec<u8>,
}

impl Notification {
    /// A NOTIFICATION without data.
    pub fn new(code: u8, subcode: u8) -> Notification {
        Notification { code, subcode, data: Vec::new() }
    }

    /// Message Header Error with a subcode of [`header_error`].
    pub fn header(subcode: u8, data: Vec<u8>) -> Notification {
        Notification { code: code::HEADER, subcode, data }
    }

    /// OPEN Message Error with a subcode of [`open_error`].
    pub fn open(subcode: u8) -> Notification {
        Notification::new(code::OPEN, subcode)
    }

    /// "Unsupported Version Number": its data is the version that we speak (RFC 4271 §6.2).
    pub fn unsupported_version() -> Notification {
        Notification {
            data: u16::from(crate::open::VERSION).to_be_bytes().to_vec(),
            ..Notification::open(open_error::UNSUPPORTED_VERSION)
        }
    }

    /// UPDATE Message Error with a subcode of [`update_error`].
    pub fn update(subcode: u8, data: Vec<u8>) -> Notification {
        Notification { code: code::UPDATE, subcode, data }
    }

    /// Hold Timer Expired.
    pub fn hold_timer_expired() -> Notification {
        Notification::new(code::HOLD_TIMER_EXPIRED, 0)
    }

    /// Send Hold Timer Expired (RFC 9687).
    pub fn send_hold_timer_expired() -> Notification {
        Notification::new(code::SEND_HOLD_TIMER_EXPIRED, 0)
    }

    /// A message that has no place in the state: `subcode` of [`fsm_error`] (RFC 6608 §4).
    pub fn unexpected_message(subcode: u8, message_type: u8) -> Notification {
        Notification { code: code::FSM, subcode, data: vec![message_type] }
    }

    /// Cease with a subcode of [`cease`].
    pub fn cease(subcode: u8) -> Notification {
        Notification::new(code::CEASE, subcode)
    }

    /// Cease with a shutdown communication (RFC 9003 §2), for [`cease::ADMINISTRATIVE_SHUTDOWN`] and
    /// [`cease::ADMINISTRATIVE_RESET`]. A text of more than 255 octets is cut off between two characters;
    /// an empty one is left out.
    pub fn cease_with_text(subcode: u8, text: &str) -> Notification {
        let longest = text.len().min(MAX_SHUTDOWN_COMMUNICATION);
        let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at));
        let text = end.and_then(|end| text.get(..end)).unwrap_or_default();
        let mut n = Notification::cease(subcode);
        if let (Ok(len), false) = (u8::try_from(text.len()), text.is_empty()) {
            n.data.push(len);
            n.data.extend_from_slice(text.as_bytes());
        }
        n
    }

    /// Cease/Hard Reset around another NOTIFICATION (RFC 8538 §3.1).
    pub fn hard_reset(inner: &Notification) -> Notification {
        let mut n = Notification::cease(cease::HARD_RESET);
        n.data.extend_from_slice(&[inner.code, inner.subcode]);
        n.data.extend_from_slice(&inner.data);
        n
    }

    /// ROUTE-REFRESH Message Error with the whole message as data (RFC 7313 §5).
    pub fn refresh_length(message: Vec<u8>) -> Notification {
        Notification {
            code: code::ROUTE_REFRESH,
            subcode: refresh_error::INVALID_MESSAGE_LENGTH,
            data: message,
        }
    }

    /// Reads the body of a NOTIFICATION. One that is too short is `None`: there is no error to send about
    /// a NOTIFICATION (RFC 4271 §6.4).
    pub fn decode(body: &[u8]) -> Option<Notification> {
        let [code, subcode, data @ ..] = body else { return None };
        Some(Notification { code: *code, subcode: *subcode, data: data.to_vec() })
    }

    /// The whole message with its header. Data beyond the 4096 octets that every peer takes is cut off
    /// (RFC 8654 §5).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(header::HEADER_LEN + 2 + self.data.len().min(MAX_DATA));
        let start = header::write(&mut out, MessageType::Notification);
        out.extend_from_slice(&[self.code, self.subcode]);
        out.extend_from_slice(self.data.get(..MAX_DATA).unwrap_or(&self.data));
        header::finish(&mut out, start);
        out
    }

    /// The NOTIFICATION that a Cease/Hard Reset carries (RFC 8538 §3.1).
    pub fn hard_reset_inner(&self) -> Option<Notification> {
        let is_hard_reset = self.code == code::CEASE && self.subcode == cease::HARD_RESET;
        if is_hard_reset { Notification::decode(&self.data) } else { None }
    }

    /// The shutdown communication (RFC 9003 §2), with control characters escaped and octets that are not
    /// UTF-8 replaced, so that it can be shown and logged. `None` if there is none or its length does not
    /// fit the data.
    pub fn shutdown_communication(&self) -> Option<String> {
        let has_one = self.code == code::CEASE
            && matches!(self.subcode, cease::ADMINISTRATIVE_SHUTDOWN | cease::ADMINISTRATIVE_RESET);
        if !has_one {
            return None;
        }
        let (len, rest) = self.data.split_first()?;
        let text = rest.get(..usize::from(*len))?;
        (!text.is_empty()).then(|| escape(&String::from_utf8_lossy(text)))
    }

    /// The name of the error code.
    pub fn code_name(&self) -> Option<&'static str> {
        Some(match self.code {
            code::HEADER => "Message Header Error",
            code::OPEN => "OPEN Message Error",
            code::UPDATE => "UPDATE Message Error",
            code::HOLD_TIMER_EXPIRED => "Hold Timer Expired",
            code::FSM => "Finite State Machine Error",
            code::CEASE => "Cease",
            code::ROUTE_REFRESH => "ROUTE-REFRESH Message Error",
            code::SEND_HOLD_TIMER_EXPIRED => "Send Hold Timer Expired",
            _ => return None,
        })
    }

    /// The name of the subcode.
    pub fn subcode_name(&self) -> Option<&'static str> {
        match self.code {
            code::HEADER => header_error::name(self.subcode),
            code::OPEN => open_error::name(self.subcode),
            code::UPDATE => update_error::name(self.subcode),
            code::FSM => fsm_error::name(self.subcode),
            code::CEASE => cease::name(self.subcode),
            code::ROUTE_REFRESH => refresh_error::name(self.subcode),
            _ => None,
        }
    }
}

/// Characters that would act on a terminal or a log line are shown as escapes: controls, and the
/// formatting characters that reverse or hide text.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || hidden { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code_name().unwrap_or("Unknown Error"))?;
        if let Some(name) = self.subcode_name() {
            write!(f, "/{name}")?;
        }
        write!(f, " ({}/{})", self.code, self.subcode)?;
        if let Some(inner) = self.hard_reset_inner() {
            return write!(f, ": {inner}");
        }
        if let Some(text) = self.shutdown_communication() {
            return write!(f, ": \"{text}\"");
        }
        Ok(())
    }
}

impl std::error::Error for Notification {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_with_their_numbers() {
        let cases = [
            (1, 2, "Message Header Error/Bad Message Length (1/2)"),
            (2, 11, "OPEN Message Error/Role Mismatch (2/11)"),
            (3, 10, "UPDATE Message Error/Invalid Network Field (3/10)"),
            (4, 0, "Hold Timer Expired (4/0)"),
            (5, 3, "Finite State Machine Error/Receive Unexpected Message in Established State (5/3)"),
            (6, 1, "Cease/Maximum Number of Prefixes Reached (6/1)"),
            (7, 1, "ROUTE-REFRESH Message Error/Invalid Message Length (7/1)"),
            (8, 0, "Send Hold Timer Expired (8/0)"),
            (6, 77, "Cease (6/77)"),
            (200, 1, "Unknown Error (200/1)"),
        ];
        for (code, subcode, text) in cases {
            assert_eq!(Notification::new(code, subcode).to_string(), text);
        }
    }

    #[test]
    fn rfc9003_shutdown_communication() {
        let n = Notification::cease_with_text(cease::ADMINISTRATIVE_SHUTDOWN, "maintenance [TICKET-1]");
        assert_eq!(n.data[0], 22);
        assert_eq!(n.shutdown_communication().as_deref(), Some("maintenance [TICKET-1]"));
        assert_eq!(n.to_string(), "Cease/Administrative Shutdown (6/2): \"maintenance [TICKET-1]\"");
        // 255 octets at most, cut between two characters.
        let long = "\u{e9}".repeat(200);
        let n = Notification::cease_with_text(cease::ADMINISTRATIVE_RESET, &long);
        assert_eq!((n.data[0], n.data.len()), (254, 255));
        // What could act on a terminal is escaped; what is no UTF-8 is replaced, not interpreted (§4).
        let mut n = Notification::cease_with_text(cease::ADMINISTRATIVE_RESET, "a\n\u{1b}[2J\u{202e}b");
        assert_eq!(n.shutdown_communication().as_deref(), Some("a\\n\\u{1b}[2J\\u{202e}b"));
        n.data = vec![2, b'x', 0xff];
        assert_eq!(n.shutdown_communication().as_deref(), Some("x\u{fffd}"));
        // A length beyond the data, no text, and other subcodes have none.
        n.data = vec![3, b'x', b'y'];
        assert_eq!(n.shutdown_communication(), None);
        n.data = vec![0];
        assert_eq!(n.shutdown_communication(), None);
        let other = Notification { data: vec![1, b'x'], ..Notification::cease(cease::PEER_DECONFIGURED) };
        assert_eq!(other.shutdown_communication(), None);
    }

    #[test]
    fn rfc8538_3_1_hard_reset_carries_another_notification() {
        let inner = Notification::cease_with_text(cease::ADMINISTRATIVE_SHUTDOWN, "bye");
        let outer = Notification::hard_reset(&inner);
        assert_eq!(outer.data, [6, 2, 3, b'b', b'y', b'e']);
        assert_eq!(outer.hard_reset_inner(), Some(inner));
        assert_eq!(outer.to_string(), "Cease/Hard Reset (6/9): Cease/Administrative Shutdown (6/2): \"bye\"");
        let cut = Notification { data: vec![6], ..Notification::cease(cease::HARD_RESET) };
        assert_eq!(cut.hard_reset_inner(), None);
    }

    #[test]
    fn rfc8654_5_never_longer_than_4096_octets() {
        let n = Notification::update(update_error::OPTIONAL_ATTRIBUTE, vec![7; 60_000]);
        assert_eq!(n.encode().len(), 4096);
    }

    #[test]
    fn rfc4271_6_2_version_in_network_order() {
        assert_eq!(Notification::unsupported_version().data, [0, 4]);
    }
}
