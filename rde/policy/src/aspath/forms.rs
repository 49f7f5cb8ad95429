//! The usual expressions, answered from the AS numbers of the path without making text of it.
//!
//! A form is a list of AS numbers that follow each other, held to the beginning (`^`) or to the end (`$`) of the path or
//! to neither (`_`). Each of them may be a choice, `(65001|65002)`, or any, `[0-9]+`. What is written with leading
//! zeros is no number that a path could show, and is left to the engine.

use bgp::aspath::{AsPath, Segment, SegmentKind};

/// A usual expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `^$`: no AS at all.
    Empty,
    /// `_65001_`: there is this AS.
    Contains(u32),
    /// `^65001_`: the path begins with it.
    First(u32),
    /// `_65001$`: it ends with it.
    Last(u32),
    /// Everything else.
    List(List),
}

/// AS numbers that follow each other, with nothing but a space between them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    /// The first of them is the first of the path.
    from_start: bool,
    /// The last of them is the last of the path.
    to_end: bool,
    items: Box<[Item]>,
}

#[derive(Debug, PartialEq, Eq)]
enum Item {
    Any,
    One(u32),
    /// One of these, sorted.
    Choice(Box<[u32]>),
}

impl Item {
    fn has(&self, asn: u32) -> bool {
        match self {
            Item::Any => true,
            Item::One(n) => *n == asn,
            Item::Choice(list) => list.binary_search(&asn).is_ok(),
        }
    }
}

impl Form {
    /// The form of the expression, if it is a usual one.
    pub(super) fn of(expression: &str) -> Option<Form> {
        if expression == "^$" {
            return Some(Form::Empty);
        }
        let rest = without_anything_before(expression);
        let (from_start, rest) = match rest.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix('_')?),
        };
        let rest = without_anything_behind(rest);
        let (to_end, rest) = match rest.strip_suffix('$') {
            Some(rest) => (true, rest),
            None => (false, rest.strip_suffix('_')?),
        };
        let items: Option<Box<[Item]>> = rest.split(['_', ' ']).map(item).collect();
        let items = items?;
        Some(match (&*items, from_start, to_end) {
            ([Item::One(n)], false, false) => Form::Contains(*n),
            ([Item::One(n)], true, false) => Form::First(*n),
            ([Item::One(n)], false, true) => Form::Last(*n),
            _ => Form::List(List { from_start, to_end, items }),
        })
    }

    pub(super) fn matches(&self, path: AsPath<'_>) -> bool {
        match self {
            Form::Empty => path.is_empty(),
            Form::Contains(asn) => contains(path, *asn),
            Form::First(asn) => {
                let first = path.segments().next().filter(|s| s.kind == SegmentKind::Sequence);
                first.and_then(|s| s.asns().next()).is_some_and(|a| a.0 == *asn)
            }
            Form::Last(asn) => path.origin_as().is_some_and(|a| a.0 == *asn),
            Form::List(list) => list.matches(path),
        }
    }

    pub(super) fn memory(&self) -> usize {
        let Form::List(list) = self else { return 0 };
        let choice = |item: &Item| if let Item::Choice(list) = item { size_of_val::<[u32]>(list) } else { 0 };
        list.items.iter().map(|i| size_of::<Item>() + choice(i)).sum()
    }
}

/// `.*` before a place between numbers says nothing.
fn without_anything_before(expression: &str) -> &str {
    let rest = expression.strip_prefix('^').unwrap_or(expression).strip_prefix(".*");
    rest.filter(|r| r.starts_with('_')).unwrap_or(expression)
}

/// `.*` behind a place between numbers says nothing.
fn without_anything_behind(expression: &str) -> &str {
    let rest = expression.strip_suffix('$').unwrap_or(expression).strip_suffix(".*");
    rest.filter(|r| r.ends_with('_')).unwrap_or(expression)
}

fn item(text: &str) -> Option<Item> {
    if matches!(text, "[0-9]+" | r"\d+") {
        return Some(Item::Any);
    }
    let Some(inside) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else {
        return number(text).map(Item::One);
    };
    let inside = inside.strip_prefix("?:").unwrap_or(inside);
    let mut choice = inside.split('|').map(number).collect::<Option<Vec<u32>>>()?;
    choice.sort_unstable();
    choice.dedup();
    Some(Item::Choice(choice.into()))
}

/// A number as a path shows it.
fn number(text: &str) -> Option<u32> {
    let shown = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| shown)
}

/// Whether the AS is somewhere in the path.
fn contains(path: AsPath<'_>, asn: u32) -> bool {
    let wanted = asn.to_be_bytes();
    // Nearly every path is one sequence.
    if let [kind, count, asns @ ..] = path.as_bytes()
        && *kind == SegmentKind::Sequence as u8
        && asns.len() == 4 * usize::from(*count)
    {
        return asns.as_chunks::<4>().0.contains(&wanted);
    }
    path.asns().any(|a| a.0 == asn)
}

/// An AS of the path and what is around it in the text.
#[derive(Debug, Clone, Copy)]
struct Token {
    asn: u32,
    /// Between it and the one before is one space and nothing else.
    joined: bool,
    /// Behind it is nothing, not even a bracket.
    ends: bool,
}

fn tokens(path: AsPath<'_>) -> impl Iterator<Item = Token> + Clone + '_ {
    let mut segments = path.segments();
    let mut before: Option<SegmentKind> = None;
    std::iter::from_fn(move || {
        let segment: Segment<'_> = segments.next()?;
        let plain = segment.kind == SegmentKind::Sequence;
        let joins = plain && before == Some(SegmentKind::Sequence);
        before = Some(segment.kind);
        let last_of_all = plain && segments.clone().next().is_none();
        let count = segment.asns().len();
        Some(segment.asns().enumerate().map(move |(n, asn)| Token {
            asn: asn.0,
            joined: n > 0 || joins,
            ends: last_of_all && n + 1 == count,
        }))
    })
    .flatten()
}

impl List {
    fn matches(&self, path: AsPath<'_>) -> bool {
        let mut rest = tokens(path);
        if self.from_start {
            // A bracket would be before it.
            let bare = path.segments().next().is_some_and(|s| s.kind == SegmentKind::Sequence);
            return bare && self.begins(rest);
        }
        loop {
            if self.begins(rest.clone()) {
                return true;
            }
            if rest.next().is_none() {
                return false;
            }
        }
    }

    /// Whether these begin with the list.
    fn begins(&self, mut tokens: impl Iterator<Item = Token>) -> bool {
        let mut ends = false;
        for (n, item) in self.items.iter().enumerate() {
            match tokens.next() {
                Some(t) if item.has(t.asn) && (n == 0 || t.joined) => ends = t.ends,
                _ => return false,
            }
        }
        ends || !self.to_end
    }
}
