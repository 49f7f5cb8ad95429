//! Values as people write them.

use std::fmt::Write;
use std::net::Ipv4Addr;

use grpc::v1::{AsPathSegment, Route, SessionState};

/// Communities that have names (IANA "BGP Well-known Communities").
pub(crate) const WELL_KNOWN: [(u32, &str); 9] = [
    (0xffff_ff01, "NO_EXPORT"),
    (0xffff_ff02, "NO_ADVERTISE"),
    (0xffff_ff03, "NO_EXPORT_SUBCONFED"),
    (0xffff_ff04, "NOPEER"),
    (0xffff_0000, "GRACEFUL_SHUTDOWN"),
    (0xffff_0001, "ACCEPT_OWN"),
    (0xffff_0006, "LLGR_STALE"),
    (0xffff_0007, "NO_LLGR"),
    (0xffff_029a, "BLACKHOLE"),
];

/// A community as `asn:value`.
pub(crate) fn community_number(c: u32) -> String {
    format!("{}:{}", c >> 16, c & 0xffff)
}

/// A community by its name, or as `asn:value`.
pub(crate) fn community(c: u32) -> String {
    WELL_KNOWN
        .iter()
        .find(|(value, _)| *value == c)
        .map_or_else(|| community_number(c), |(_, name)| (*name).to_owned())
}

/// An extended community: route targets and origins as `RT:..` and `RO:..` (RFC 4360, RFC 5668), others in
/// hexadecimal digits.
pub(crate) fn extended_community(c: u64) -> String {
    let [kind, sub, a, b, x, y, z, w] = c.to_be_bytes();
    let name = match sub {
        2 => "RT",
        3 => "RO",
        _ => return format!("0x{c:016x}"),
    };
    match kind {
        0 => format!("{name}:{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([x, y, z, w])),
        1 => format!("{name}:{}:{}", Ipv4Addr::new(a, b, x, y), u16::from_be_bytes([z, w])),
        2 => format!("{name}:{}:{}", u32::from_be_bytes([a, b, x, y]), u16::from_be_bytes([z, w])),
        _ => format!("0x{c:016x}"),
    }
}

/// An AS_PATH: numbers in a row, AS_SETs in braces.
pub(crate) fn as_path(route: &Route) -> String {
    let one = [AsPathSegment { set: false, asns: route.as_path.clone() }];
    let segments = if route.as_path_segments.is_empty() { &one[..] } else { &route.as_path_segments };
    let mut text = String::new();
    for segment in segments.iter().filter(|s| !s.asns.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        let numbers: Vec<String> = segment.asns.iter().map(u32::to_string).collect();
        // Writing into a String does not fail.
        let _ = match segment.set {
            true => write!(text, "{{{}}}", numbers.join(",")),
            false => write!(text, "{}", numbers.join(" ")),
        };
    }
    text
}

/// ORIGIN, in full.
pub(crate) fn origin(origin: u32) -> &'static str {
    match origin {
        0 => "IGP",
        1 => "EGP",
        _ => "incomplete",
    }
}

/// ORIGIN as a letter.
pub(crate) fn origin_letter(origin: u32) -> &'static str {
    match origin {
        0 => "i",
        1 => "e",
        _ => "?",
    }
}

/// State of a session.
pub(crate) fn state(state: SessionState) -> &'static str {
    match state {
        SessionState::Unspecified => "Unknown",
        SessionState::Idle => "Idle",
        SessionState::Connect => "Connect",
        SessionState::Active => "Active",
        SessionState::OpenSent => "OpenSent",
        SessionState::OpenConfirm => "OpenConfirm",
        SessionState::Established => "Established",
    }
}

/// A time span, in at most two units.
pub(crate) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days}d {}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

/// An amount of memory, such as `1.5 GiB`.
pub(crate) fn octets(octets: u64) -> String {
    let (mut whole, mut unit) = (octets, "B");
    let mut tenths = 0;
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            break;
        }
        tenths = whole % 1024 * 10 / 1024;
        (whole, unit) = (whole / 1024, larger);
    }
    if unit == "B" { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
}

/// Octets as hexadecimal digits in a row.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// A point of time in UTC, from milliseconds since 1970.
pub(crate) fn time(ms: u64) -> String {
    let (days, second) = (ms / 86_400_000, ms / 1000 % 86_400);
    let (mut year, mut left) = (1970, days);
    let length = |year: u64| {
        if year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400) {
            366
        } else {
            365
        }
    };
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let months = [31, length(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for days in months {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year}-{month:02}-{:02} {hour:02}:{minute:02}:{:02}.{:03}", left + 1, second % 60, ms % 1000)
}

/// A text in lines of so many characters at most, broken at blanks; a longer word stays whole.
pub(crate) fn wrapped(text: &str, most: Option<usize>) -> Vec<String> {
    let Some(most) = most else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What a list is in one cell.
pub(crate) fn list<T>(items: &[T], f: impl Fn(&T) -> String) -> String {
    items.iter().map(f).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_look_as_people_write_them() {
        assert_eq!(community(65001 << 16 | 100), "65001:100");
        assert_eq!(community(0xffff_ff01), "NO_EXPORT");
        assert_eq!(extended_community(0x0002_fde9_0000_0064), "RT:65001:100");
        assert_eq!(extended_community(0x0103_c000_0201_0007), "RO:192.0.2.1:7");
        assert_eq!(extended_community(0x0202_0001_0000_0007), "RT:65536:7");
        assert_eq!(extended_community(0x8006_0000_0000_0000), "0x8006000000000000");
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 01s"), (3_660, "1h 01m"), (90_000, "1d 1h")]
        {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn texts_are_broken_at_blanks() {
        assert_eq!(wrapped("a, bb, ccc, averylongword", None), ["a, bb, ccc, averylongword"]);
        assert_eq!(wrapped("a, bb, ccc, averylongword", Some(7)), ["a, bb,", "ccc,", "averylongword"]);
        assert_eq!(wrapped("", Some(7)), [""]);
    }

    #[test]
    fn points_of_time_are_shown_in_utc() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00.000"),
            (951_782_399_999, "2000-02-28 23:59:59.999"),
            (951_782_400_000, "2000-02-29 00:00:00.000"),
            (951_868_800_000, "2000-03-01 00:00:00.000"),
            (1_767_225_599_001, "2025-12-31 23:59:59.001"),
            (1_795_402_800_500, "2026-11-23 03:00:00.500"),
        ] {
            assert_eq!(time(ms), text);
        }
    }

    #[test]
    fn paths_show_their_sets() {
        let mut route = Route { as_path: vec![65001, 65002], ..Route::default() };
        assert_eq!(as_path(&route), "65001 65002");
        route.as_path_segments = vec![
            AsPathSegment { set: false, asns: vec![65001] },
            AsPathSegment { set: true, asns: vec![65002, 65003] },
        ];
        assert_eq!(as_path(&route), "65001 {65002,65003}");
        assert_eq!(as_path(&Route::default()), "");
    }
}
