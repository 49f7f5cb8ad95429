//! ROUTE-REFRESH: RFC 2918 §3, with the subtypes of RFC 7313 §3.2.

use crate::header::{self, MessageType};
use crate::notification::{Notification, header_error};
use crate::types::{Afi, Safi};
use crate::wire::Reader;

/// What a ROUTE-REFRESH says (RFC 7313 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subtype {
    /// 0: send all routes again.
    Request,
    /// 1: all routes follow (BoRR).
    Begin,
    /// 2: that were all routes (EoRR).
    End,
    /// Any other: to be ignored.
    Unknown(u8),
}

impl From<u8> for Subtype {
    fn from(n: u8) -> Subtype {
        match n {
            0 => Subtype::Request,
            1 => Subtype::Begin,
            2 => Subtype::End,
            _ => Subtype::Unknown(n),
        }
    }
}

impl From<Subtype> for u8 {
    fn from(subtype: Subtype) -> u8 {
        match subtype {
            Subtype::Request => 0,
            Subtype::Begin => 1,
            Subtype::End => 2,
            Subtype::Unknown(n) => n,
        }
    }
}

/// A ROUTE-REFRESH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteRefresh {
    /// Address family identifier.
    pub afi: Afi,
    /// Subsequent address family identifier.
    pub safi: Safi,
    /// What it says.
    pub subtype: Subtype,
}

impl RouteRefresh {
    /// Reads the body (the message without its header). A request may go on with outbound route filters
    /// (RFC 5291), which are not read.
    ///
    /// # Errors
    /// ROUTE-REFRESH Message Error/Invalid Message Length with the whole message as data, where the body
    /// is shorter than 4 octets, or longer with subtype 1 or 2 (RFC 7313 §5).
    pub fn decode(body: &[u8]) -> Result<RouteRefresh, Notification> {
        let mut reader = Reader(body);
        let (Some(afi), Some(subtype), Some(safi)) = (reader.u16(), reader.u8(), reader.u8()) else {
            return Err(length_error(body));
        };
        let subtype = Subtype::from(subtype);
        if matches!(subtype, Subtype::Begin | Subtype::End) && !reader.is_empty() {
            return Err(length_error(body));
        }
        Ok(RouteRefresh { afi: Afi(afi), safi: Safi(safi), subtype })
    }

    /// The same from a speaker that knows no subtypes, since it has not announced the capability for them: the
    /// octet is reserved there and ignored (RFC 2918 §3), and every message is a request.
    ///
    /// # Errors
    /// Message Header Error/Bad Message Length where the body is shorter than 4 octets (RFC 4271 §6.1).
    pub fn decode_request(body: &[u8]) -> Result<RouteRefresh, Notification> {
        match body {
            [high, low, _, safi, ..] => Ok(RouteRefresh {
                afi: Afi(u16::from_be_bytes([*high, *low])),
                safi: Safi(*safi),
                subtype: Subtype::Request,
            }),
            _ => {
                let len = u16::try_from(header::HEADER_LEN + body.len()).unwrap_or(u16::MAX);
                Err(Notification::header(header_error::BAD_MESSAGE_LENGTH, len.to_be_bytes().to_vec()))
            }
        }
    }

    /// The whole message with its header.
    pub fn encode(&self) -> Vec<u8> {
        let [high, low] = self.afi.0.to_be_bytes();
        message(&[high, low, self.subtype.into(), self.safi.0])
    }
}

fn message(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header::HEADER_LEN + body.len());
    let start = header::write(&mut out, MessageType::RouteRefresh);
    out.extend_from_slice(body);
    header::finish(&mut out, start);
    out
}

#[cold]
fn length_error(body: &[u8]) -> Notification {
    Notification::refresh_length(message(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7313_5_length() {
        let cases: [(&[u8], bool); 8] = [
            (&[0, 1, 0, 1], true),
            (&[0, 1, 1, 1], true),
            (&[0, 1, 2, 1], true),
            (&[0, 1, 0, 1, 1, 64, 0, 0], true),
            (&[0, 1, 1, 1, 0], false),
            (&[0, 1, 2, 1, 0], false),
            (&[0, 1, 1], false),
            (&[], false),
        ];
        for (body, accepted) in cases {
            match RouteRefresh::decode(body) {
                Ok(_) => assert!(accepted, "{body:?}"),
                Err(n) => {
                    assert!(!accepted, "{body:?}");
                    assert_eq!((n.code, n.subcode), (7, 1));
                    assert_eq!(n.data[19..], *body, "the complete message");
                    assert_eq!(n.data[16..19], [0, u8::try_from(19 + body.len()).unwrap(), 5]);
                }
            }
        }
    }

    #[test]
    fn rfc7313_5_unknown_subtypes_are_told_apart_not_refused() {
        let got = RouteRefresh::decode(&[0, 2, 9, 1, 7]).unwrap();
        assert_eq!(got.subtype, Subtype::Unknown(9));
        assert_eq!((got.afi, got.safi), (Afi::IPV6, Safi::UNICAST));
    }

    #[test]
    fn rfc2918_3_the_reserved_octet_of_an_old_speaker_is_ignored() {
        for subtype in [0, 1, 2, 9, 255] {
            let got = RouteRefresh::decode_request(&[0, 1, subtype, 1]).unwrap();
            assert_eq!((got.afi, got.safi, got.subtype), (Afi::IPV4, Safi::UNICAST, Subtype::Request));
        }
        let error = RouteRefresh::decode_request(&[0, 1, 0]).unwrap_err();
        assert_eq!((error.code, error.subcode, error.data), (1, 2, vec![0, 22]));
    }
}
