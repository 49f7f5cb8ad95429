//! Values of the command line.

use std::time::Duration;

use ipnet::IpNet;

use crate::output::text::WELL_KNOWN;

/// A prefix, or an address that stands for itself alone.
pub(crate) fn prefix(s: &str) -> Result<IpNet, String> {
    let net = match s.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => IpNet::from(
            s.parse::<std::net::IpAddr>()
                .map_err(|_| "not a prefix such as 192.0.2.0/24 or 2001:db8::/32".to_owned())?,
        ),
    };
    match net.trunc() {
        right if right == net => Ok(net),
        right => Err(format!("bits are set behind the length; the prefix is {right}")),
    }
}

/// A community: `asn:value`, or a well-known name.
pub(crate) fn community(s: &str) -> Result<u32, String> {
    if let Some((value, _)) =
        WELL_KNOWN.iter().find(|(_, name)| name.eq_ignore_ascii_case(&s.replace('-', "_")))
    {
        return Ok(*value);
    }
    let number = |part: &str| part.parse::<u16>().ok().filter(|_| part.bytes().all(|c| c.is_ascii_digit()));
    s.split_once(':')
        .and_then(|(a, b)| Some(u32::from(number(a)?) << 16 | u32::from(number(b)?)))
        .ok_or_else(|| "not a community such as 65001:100 or NO_EXPORT".to_owned())
}

/// A large community, as text.
pub(crate) fn large_community(s: &str) -> Result<String, String> {
    let parts: Vec<&str> = s.split(':').collect();
    let number = |p: &&str| p.bytes().all(|c| c.is_ascii_digit()) && p.parse::<u32>().is_ok();
    if parts.len() == 3 && parts.iter().all(number) {
        Ok(s.to_owned())
    } else {
        Err("not a large community such as 65001:1:2".to_owned())
    }
}

/// ORIGIN (RFC 4271 §5.1.1), by name or number.
pub(crate) fn origin(s: &str) -> Result<u32, String> {
    match s.to_ascii_lowercase().as_str() {
        "igp" | "i" | "0" => Ok(0),
        "egp" | "e" | "1" => Ok(1),
        "incomplete" | "?" | "2" => Ok(2),
        _ => Err("must be igp, egp or incomplete".to_owned()),
    }
}

/// An AS_PATH of one AS_SEQUENCE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AsPath(pub(crate) Vec<u32>);

/// AS numbers, separated by blanks or commas.
pub(crate) fn as_path(s: &str) -> Result<AsPath, String> {
    s.split([' ', ','])
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse()
                .map_err(|_| format!("{part:?} is not an AS number; a path looks like \"65001 65002\""))
        })
        .collect::<Result<_, _>>()
        .map(AsPath)
}

/// Seconds from 0.1 to an hour.
pub(crate) fn interval(s: &str) -> Result<Duration, String> {
    let seconds = s.parse::<f64>().ok().filter(|n| (0.1..=3600.0).contains(n));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "must be seconds from 0.1 to 3600, such as 2".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_written() {
        assert_eq!(community("65001:100"), Ok(65001 << 16 | 100));
        assert_eq!(community("NO_EXPORT"), Ok(0xffff_ff01));
        assert_eq!(community("no-export"), Ok(0xffff_ff01));
        assert_eq!(community("blackhole"), Ok(0xffff_029a));
        for wrong in ["", "1", "65536:1", "1:65536", "a:b", "1:2:3", "+1:2", "-1:2"] {
            assert!(community(wrong).is_err(), "{wrong}");
        }
        assert_eq!(prefix("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert!(prefix("10.0.0.1/8").unwrap_err().contains("10.0.0.0/8"));
        assert!(prefix("10.0.0.0/33").is_err());
        assert_eq!(as_path("65001  65002,3"), Ok(AsPath(vec![65001, 65002, 3])));
        assert_eq!(as_path(""), Ok(AsPath(vec![])));
        assert!(as_path("1 {2}").is_err());
        assert_eq!((origin("IGP"), origin("?"), origin("2")), (Ok(0), Ok(2), Ok(2)));
        assert!(origin("3").is_err());
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "3601", "nan", "inf", "x"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
        assert!(large_community("1:2:3").is_ok() && large_community("1:2").is_err());
    }
}
