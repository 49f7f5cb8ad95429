//! How the file writes communities: standard (RFC 1997), extended route targets and origins (RFC 4360,
//! RFC 5668), large (RFC 8092).

use std::net::Ipv4Addr;

/// Whether a part may be `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcard {
    /// In matches and removals.
    Allowed,
    /// In what is added to a route.
    Refused,
}

/// Communities with a name.
const NAMES: [&str; 7] = [
    "NO_EXPORT",
    "NO_ADVERTISE",
    "NO_EXPORT_SUBCONFED",
    "BLACKHOLE",
    "GRACEFUL_SHUTDOWN",
    "LLGR_STALE",
    "NO_LLGR",
];

const SHAPE: &str =
    "must be ASN:VALUE, RT: or RO: with ASN:VALUE or IP:VALUE, LC:G:L1:L2, or a well-known name";
const TOO_LARGE: &str = "must have parts that fit: 16 bits in ASN:VALUE, 32 in LC:G:L1:L2, 48 in RT: and RO:";
const NO_WILDCARD: &str = "must have no `*`: it is for matching and removing";

/// Checks one community.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn check(text: &str, wildcard: Wildcard) -> Result<(), &'static str> {
    if NAMES.contains(&text) {
        return Ok(());
    }
    if wildcard == Wildcard::Refused && text.contains('*') {
        return Err(NO_WILDCARD);
    }
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        ["LC", parts @ ..] if parts.len() == 3 => parts.iter().try_for_each(|p| part(p, u32::MAX.into())),
        ["RT" | "RO", administrator, value] => extended(administrator, value),
        [asn, value] => part(asn, u16::MAX.into()).and_then(|()| part(value, u16::MAX.into())),
        _ => Err(SHAPE),
    }
}

/// An extended community has 48 bits for both parts: 16 and 32, or 32 and 16.
fn extended(administrator: &str, value: &str) -> Result<(), &'static str> {
    let short = administrator == "*" || administrator.parse::<u16>().is_ok();
    if administrator.parse::<Ipv4Addr>().is_err() {
        part(administrator, u32::MAX.into())?;
    }
    part(value, if short { u32::MAX.into() } else { u16::MAX.into() })
}

fn part(text: &str, max: u64) -> Result<(), &'static str> {
    if text == "*" {
        return Ok(());
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SHAPE);
    }
    match text.parse::<u64>() {
        Ok(n) if n <= max => Ok(()),
        _ => Err(TOO_LARGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communities_are_told_apart() {
        for good in [
            "65001:100",
            "0:65535",
            "65001:*",
            "*:*",
            "NO_EXPORT",
            "LLGR_STALE",
            "RT:65001:4294967295",
            "RT:4200000000:65535",
            "RO:192.0.2.1:7",
            "RT:*:4294967295",
            "LC:4294967295:0:1",
            "LC:*:*:*",
        ] {
            assert_eq!(check(good, Wildcard::Allowed), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("65536:1", TOO_LARGE),
            ("1:65536", TOO_LARGE),
            ("RT:4200000000:65536", TOO_LARGE),
            ("RT:192.0.2.1:65536", TOO_LARGE),
            ("LC:1:2:4294967296", TOO_LARGE),
            ("65001", SHAPE),
            ("-1:1", SHAPE),
            ("+1:1", SHAPE),
            ("LC:1:2", SHAPE),
            ("no_export", SHAPE),
            ("", SHAPE),
            (":", SHAPE),
        ] {
            assert_eq!(check(bad, Wildcard::Allowed), Err(why), "{bad}");
        }
        assert_eq!(check("65001:*", Wildcard::Refused), Err(NO_WILDCARD));
    }
}
