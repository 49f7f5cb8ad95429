//! The header that every message begins with: RFC 4271 §4.1 and §6.1, RFC 8654 §4.

use crate::notification::{Notification, header_error};
use crate::types::MAX_MESSAGE;

/// Length of the header in octets.
pub const HEADER_LEN: usize = 19;

/// What every header begins with.
pub const MARKER: [u8; 16] = [0xff; 16];

/// The error of [`parse`]: what to send before the connection is closed.
pub type NotificationError = Notification;

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageType {
    /// RFC 4271 §4.2.
    Open = 1,
    /// RFC 4271 §4.3.
    Update = 2,
    /// RFC 4271 §4.5.
    Notification = 3,
    /// RFC 4271 §4.4.
    Keepalive = 4,
    /// RFC 2918 §3.
    RouteRefresh = 5,
}

/// No message has this type number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown message type {0}")]
pub struct UnknownMessageType(pub u8);

impl TryFrom<u8> for MessageType {
    type Error = UnknownMessageType;

    #[inline]
    fn try_from(n: u8) -> Result<MessageType, UnknownMessageType> {
        match n {
            1 => Ok(MessageType::Open),
            2 => Ok(MessageType::Update),
            3 => Ok(MessageType::Notification),
            4 => Ok(MessageType::Keepalive),
            5 => Ok(MessageType::RouteRefresh),
            _ => Err(UnknownMessageType(n)),
        }
    }
}

impl MessageType {
    /// The lengths that such a message can have, with its header, where messages of up to `max` octets
    /// were agreed on. ROUTE-REFRESH has its own error for a wrong length (RFC 7313 §5), so that any will
    /// do here.
    #[inline]
    fn lengths(self, max: usize) -> (usize, usize) {
        match self {
            // "All messages except for OPEN and KEEPALIVE" can be extended (RFC 8654 §4).
            MessageType::Open => (29, MAX_MESSAGE),
            MessageType::Update => (23, max),
            MessageType::Notification => (21, max),
            MessageType::Keepalive => (HEADER_LEN, HEADER_LEN),
            MessageType::RouteRefresh => (HEADER_LEN, max),
        }
    }
}

/// A header that has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole message with its header, in octets.
    pub len: u16,
    /// What kind of message it is.
    pub kind: MessageType,
}

/// Reads and checks a header. `max` is the largest message that we said we take: 4096, or 65535 with
/// extended messages (RFC 8654).
///
/// # Errors
/// Message Header Error with the subcode and data of RFC 4271 §6.1.
#[inline]
pub fn parse(bytes: &[u8; HEADER_LEN], max: usize) -> Result<Header, NotificationError> {
    let [marker @ .., len_high, len_low, kind] = bytes;
    if *marker != MARKER {
        return Err(Notification::header(header_error::CONNECTION_NOT_SYNCHRONIZED, Vec::new()));
    }
    let len = u16::from_be_bytes([*len_high, *len_low]);
    let check = |least: usize, most: usize| {
        if (least..=most).contains(&usize::from(len)) {
            Ok(())
        } else {
            Err(Notification::header(header_error::BAD_MESSAGE_LENGTH, len.to_be_bytes().to_vec()))
        }
    };
    check(HEADER_LEN, max)?;
    let kind = MessageType::try_from(*kind)
        .map_err(|e| Notification::header(header_error::BAD_MESSAGE_TYPE, vec![e.0]))?;
    let (least, most) = kind.lengths(max);
    check(least, most)?;
    Ok(Header { len, kind })
}

/// Begins a message at the end of `out` and returns where; [`finish`] puts its length in.
pub fn write(out: &mut Vec<u8>, kind: MessageType) -> usize {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0, 0, kind as u8]);
    start
}

/// Ends the message that [`write()`] began at `start`: everything behind it is its body. The message must
/// not be longer than 65535 octets.
pub fn finish(out: &mut [u8], start: usize) {
    let len = out.len() - start;
    debug_assert!(len <= crate::types::MAX_EXTENDED_MESSAGE, "message of {len} octets");
    let len = u16::try_from(len).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(start + MARKER.len()..start + MARKER.len() + 2) {
        field.copy_from_slice(&len.to_be_bytes());
    }
}

/// A whole KEEPALIVE (RFC 4271 §4.4).
pub const KEEPALIVE: [u8; HEADER_LEN] =
    [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 19, 4];

#[cfg(test)]
mod tests {
    use super::*;

    fn header(len: u16, kind: u8) -> [u8; 19] {
        let mut h = [0xff; 19];
        h[16..18].copy_from_slice(&len.to_be_bytes());
        h[18] = kind;
        h
    }

    #[test]
    fn rfc4271_6_1_length_bounds_by_type() {
        // type, length, largest message, accepted
        let cases = [
            (1, 28, 4096, false),
            (1, 29, 4096, true),
            (1, 4096, 65535, true),
            (1, 4097, 65535, false),
            (2, 22, 4096, false),
            (2, 23, 4096, true),
            (2, 4096, 4096, true),
            (2, 4097, 4096, false),
            (2, 65535, 65535, true),
            (3, 20, 4096, false),
            (3, 21, 4096, true),
            (3, 4097, 65535, true),
            (4, 18, 4096, false),
            (4, 19, 4096, true),
            (4, 20, 4096, false),
            (4, 20, 65535, false),
            (5, 23, 4096, true),
            (5, 4097, 4096, false),
        ];
        for (kind, len, max, accepted) in cases {
            match parse(&header(len, kind), max) {
                Ok(h) => {
                    assert!(accepted, "type {kind} length {len} max {max}");
                    assert_eq!((h.len, h.kind as u8), (len, kind));
                }
                Err(n) => {
                    assert!(!accepted, "type {kind} length {len} max {max}: {n}");
                    assert_eq!((n.code, n.subcode, n.data), (1, 2, len.to_be_bytes().to_vec()));
                }
            }
        }
    }

    #[test]
    fn rfc4271_6_1_marker_and_type() {
        let mut h = header(19, 4);
        h[15] = 0xfe;
        assert_eq!(parse(&h, 4096), Err(Notification { code: 1, subcode: 1, data: vec![] }));
        for kind in [0, 6, 255] {
            let got = parse(&header(19, kind), 4096);
            assert_eq!(got, Err(Notification { code: 1, subcode: 3, data: vec![kind] }));
        }
    }

    #[test]
    fn written_headers_are_read_back() {
        let mut out = vec![1, 2, 3];
        let start = write(&mut out, MessageType::Update);
        out.extend_from_slice(&[0; 4]);
        finish(&mut out, start);
        let h = parse(out[start..start + 19].try_into().unwrap(), 4096).unwrap();
        assert_eq!(h, Header { len: 23, kind: MessageType::Update });
        assert_eq!(parse(&KEEPALIVE, 4096).unwrap().kind, MessageType::Keepalive);
    }
}
