//! Page tokens: where a page of routes ended, and to which question. Opaque to clients.
//!
//! A token names the last route, not a position, so that paging neither skips nor repeats a route that was
//! there all along. It survives a restart of this process.

use std::hash::{DefaultHasher, Hasher};

use ipc::control_rde::{Cursor, RouteFilter, Table};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Content {
    version: u8,
    question: u64,
    cursor: Cursor,
}

/// A number for the table and the conditions of a query. A token is only good for the same ones.
pub(crate) fn fingerprint(table: &Table, filter: &RouteFilter) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Encoding plain values into memory cannot fail; if it did, tokens would be of one kind only.
    hasher.write(&postcard::to_stdvec(&(table, filter)).unwrap_or_default());
    hasher.finish()
}

/// The token for what follows `cursor`.
pub(crate) fn encode(question: u64, cursor: Cursor) -> String {
    let octets = postcard::to_stdvec(&Content { version: VERSION, question, cursor }).unwrap_or_default();
    octets.iter().flat_map(|o| [o >> 4, o & 0xf]).filter_map(|n| char::from_digit(n.into(), 16)).collect()
}

/// The cursor of a token, or `None` where it is no token of ours or belongs to another question.
pub(crate) fn decode(question: u64, token: &str) -> Option<Cursor> {
    let octets = token
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [a, b] => Some(hex(*a)? << 4 | hex(*b)?),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()?;
    let (content, rest) = postcard::take_from_bytes::<Content>(&octets).ok()?;
    let fits = rest.is_empty()
        && content.version == VERSION
        && content.question == question
        && sound(&content.cursor);
    fits.then_some(content.cursor)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn sound(cursor: &Cursor) -> bool {
    let v4 = matches!(cursor.prefix, IpNet::V4(_));
    v4 == (cursor.family.max_prefix_len() == 32) && cursor.prefix == cursor.prefix.trunc()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bgp::Family;
    use ipc::PeerId;

    fn cursor() -> Cursor {
        let prefix = "10.1.0.0/16".parse().unwrap();
        Cursor { family: Family::Ipv4Unicast, prefix, peer: Some(PeerId(7)), path_id: 3 }
    }

    #[test]
    fn token_names_the_route_and_the_question() {
        let filter = RouteFilter { origin_asn: 65001, ..RouteFilter::default() };
        let question = fingerprint(&Table::LocRib, &filter);
        let token = encode(question, cursor());
        assert_eq!(decode(question, &token), Some(cursor()));
        let others = [
            fingerprint(&Table::LocRib, &RouteFilter::default()),
            fingerprint(&Table::AdjRibIn(None), &filter),
            fingerprint(&Table::AdjRibOut(PeerId(1)), &filter),
        ];
        for other in others {
            assert_eq!(decode(other, &token), None);
        }
    }

    #[test]
    fn damaged_tokens_are_refused() {
        let token = encode(9, cursor());
        for damaged in ["", "zz", "0", &token[2..], &token[..token.len() - 2], &format!("{token}00"), "ñ"] {
            assert_eq!(decode(9, damaged), None, "{damaged:?}");
        }
        let wrong_family = Cursor { family: Family::Ipv6Unicast, ..cursor() };
        assert_eq!(decode(9, &encode(9, wrong_family)), None);
    }
}
