//! AS paths as text: `65001 65002 {65003 65004}`. What regular expressions see, and what tests of policies write.

use bgp::Asn;
use bgp::aspath::{AsPath, AsPathBuf, SegmentKind};

/// The brackets around a segment; a sequence has none.
fn brackets(kind: SegmentKind) -> Option<(u8, u8)> {
    match kind {
        SegmentKind::Sequence => None,
        SegmentKind::Set => Some((b'{', b'}')),
        SegmentKind::ConfedSequence => Some((b'(', b')')),
        SegmentKind::ConfedSet => Some((b'[', b']')),
    }
}

/// Appends the text of a path: what [`AsPath`] shows, without the formatting machinery.
pub(crate) fn write_path(path: AsPath<'_>, out: &mut Vec<u8>) {
    for (n, segment) in path.segments().enumerate() {
        if n > 0 {
            out.push(b' ');
        }
        let brackets = brackets(segment.kind);
        out.extend(brackets.map(|(open, _)| open));
        for (n, asn) in segment.asns().enumerate() {
            if n > 0 {
                out.push(b' ');
            }
            write_number(asn.0, out);
        }
        out.extend(brackets.map(|(_, close)| close));
    }
}

fn write_number(mut n: u32, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 10];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        // The remainder is a digit.
        *digit = b'0' + u8::try_from(n % 10).unwrap_or(0);
        n /= 10;
        used += 1;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// A text that is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be AS numbers with spaces between them; a set is written {{65003 65004}}")]
pub struct PathTextError;

/// Reads a path as it is shown: AS numbers, `{...}` for an AS_SET, `(...)` and `[...]` for segments of a
/// confederation.
///
/// # Errors
/// It is none.
pub fn parse_path(text: &str) -> Result<AsPathBuf, PathTextError> {
    let mut path = AsPathBuf::new();
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let kinds = [SegmentKind::Set, SegmentKind::ConfedSequence, SegmentKind::ConfedSet];
        let bracketed = kinds.into_iter().find_map(|kind| {
            let (open, close) = brackets(kind)?;
            rest.starts_with(char::from(open)).then_some((kind, char::from(close)))
        });
        let (kind, inside) = match bracketed {
            Some((kind, close)) => {
                let (inside, behind) =
                    rest.get(1..).and_then(|r| r.split_once(close)).ok_or(PathTextError)?;
                rest = behind;
                (kind, inside)
            }
            None => {
                let end = rest.find(['{', '(', '[']).unwrap_or(rest.len());
                let (inside, behind) = rest.split_at_checked(end).ok_or(PathTextError)?;
                rest = behind;
                (SegmentKind::Sequence, inside)
            }
        };
        let asns: Option<Vec<Asn>> = inside.split_ascii_whitespace().map(number).collect();
        let asns = asns.filter(|a| !a.is_empty()).ok_or(PathTextError)?;
        path.push(kind, asns);
        rest = rest.trim_ascii_start();
    }
    Ok(path)
}

fn number(text: &str) -> Option<Asn> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|n| digits && *n != 0).map(Asn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written_alike() {
        for text in [
            "",
            "65001",
            "65001 4294967295 1",
            "65001 {65003 65004}",
            "{1 2} 3 {4}",
            "(64512 64513) 7 7",
            "[64512 64513] (64514) {1}",
        ] {
            let path = parse_path(text).unwrap();
            let mut written = Vec::new();
            write_path(path.as_path(), &mut written);
            assert_eq!(
                (String::from_utf8(written).unwrap(), path.to_string()),
                (text.to_owned(), text.to_owned())
            );
        }
        for bad in ["65001,65002", "0", "4294967296", "+1", "{}", "{1", "1}", "{1 {2}}", "x"] {
            assert_eq!(parse_path(bad), Err(PathTextError), "{bad}");
        }
    }
}
