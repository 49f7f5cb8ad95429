//! Keys and statements in the text of the file: read as clients see them, and written so that what stays the same keeps its
//! form and its comments.

use std::collections::HashSet;

use ipc::edit::{EditError, Refusal};
use ipc::object::{Keys, Plain, SecretText};
use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Table, TableLike, Value};

use super::document::{last_position, push_value, remove_inline, set_value};

/// A list that is longer than this many characters is written with a line for each entry.
const ONE_LINE: usize = 80;
/// Of how many entries a list may lose at most while the others keep their lines: each one moves those behind it.
const REMOVED: usize = 64;
/// How many pairs of statements are compared at most to find those that stay.
const COMPARED: usize = 250_000;

/// What a table says, but for these keys; those of tables in it as `table.key`.
pub(super) fn read_keys(table: &dyn TableLike, but: &[&str]) -> Result<Keys, EditError> {
    let mut keys = Keys::default();
    for (key, item) in table.iter().filter(|(key, _)| !but.contains(key)) {
        match item.as_table_like() {
            Some(inner) => {
                for (name, item) in inner.iter() {
                    keys.add(format!("{key}.{name}"), read(item).ok_or_else(|| formless(name))?);
                }
            }
            None => keys.add(key, read(item).ok_or_else(|| formless(key))?),
        }
    }
    Ok(keys)
}

fn formless(key: &str) -> EditError {
    let why = format!("{key} in the configuration file has no form that clients can be shown");
    EditError::new(Refusal::Precondition, why)
}

fn read(item: &Item) -> Option<Plain> {
    match item.as_value()? {
        Value::String(text) => Some(Plain::Text(text.value().clone())),
        Value::Integer(number) => u64::try_from(*number.value()).ok().map(Plain::Number),
        Value::Boolean(flag) => Some(Plain::Flag(*flag.value())),
        Value::Array(list) if list.get(0).is_some_and(Value::is_integer) => {
            let number = |v: &Value| v.as_integer().and_then(|n| u64::try_from(n).ok());
            list.iter().map(number).collect::<Option<_>>().map(Plain::Numbers)
        }
        Value::Array(list) => {
            list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>().map(Plain::Texts)
        }
        Value::Float(_) | Value::Datetime(_) | Value::InlineTable(_) => None,
    }
}

/// The tables of a list, however it is written.
pub(super) fn tables(item: Option<&Item>) -> Vec<&dyn TableLike> {
    fn like<T: TableLike>(table: &T) -> &dyn TableLike {
        table
    }
    match item {
        Some(Item::ArrayOfTables(list)) => list.iter().map(like).collect(),
        Some(Item::Value(Value::Array(list))) => {
            list.iter().filter_map(Value::as_inline_table).map(like).collect()
        }
        _ => Vec::new(),
    }
}

/// Makes a table say these keys and no others; `but` are left alone.
pub(super) fn write_keys(table: &mut dyn TableLike, keys: &Keys, but: &[&str]) {
    let wanted: HashSet<&str> = keys.0.iter().map(|(key, _)| outer(key)).collect();
    let gone = |key: &&str| !wanted.contains(key) && !but.contains(key);
    let gone: Vec<String> = table.iter().map(|(key, _)| key).filter(gone).map(str::to_owned).collect();
    for key in gone {
        table.remove(&key);
    }
    let mut inner: Vec<(&str, Keys)> = Vec::new();
    for (key, value) in &keys.0 {
        match key.split_once('.') {
            None => write(table, key, value),
            Some((outer, name)) => match inner.iter_mut().find(|(key, _)| *key == outer) {
                Some((_, keys)) => keys.add(name, value.clone()),
                None => inner.push((outer, Keys(vec![(name.to_owned(), value.clone())]))),
            },
        }
    }
    for (key, keys) in inner {
        match table.get_mut(key).and_then(Item::as_table_like_mut) {
            Some(there) => write_keys(there, &keys, &[]),
            None => set_value(table, key, inline_table(&keys)),
        }
    }
}

fn outer(key: &str) -> &str {
    key.split_once('.').map_or(key, |(outer, _)| outer)
}

fn write(table: &mut dyn TableLike, key: &str, value: &Plain) {
    if table.get(key).and_then(read).is_some_and(|there| same(&there, value)) {
        return;
    }
    let entries: Vec<Value> = match value {
        Plain::Text(text) | Plain::Secret(SecretText(text)) => return set_value(table, key, text),
        Plain::Number(n) => return set_value(table, key, number(*n)),
        Plain::Flag(flag) => return set_value(table, key, *flag),
        Plain::Texts(list) => list.iter().map(Value::from).collect(),
        Plain::Numbers(list) => list.iter().map(|n| number(*n)).collect(),
    };
    let there = table.get_mut(key).and_then(Item::as_array_mut);
    if !there.is_some_and(|list| update(list, &entries)) {
        set_value(table, key, array(entries));
    }
}

/// Whether two values are the same; of an empty list it is not known what it is of.
fn same(a: &Plain, b: &Plain) -> bool {
    let empty = |p: &Plain| match p {
        Plain::Texts(list) => list.is_empty(),
        Plain::Numbers(list) => list.is_empty(),
        _ => false,
    };
    a == b || empty(a) && empty(b)
}

fn number(n: u64) -> Value {
    // What is larger than any rule allows stays so.
    Value::from(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A list, with a line for each entry where it is long.
fn array(entries: Vec<Value>) -> Array {
    let long = entries.iter().map(|v| v.to_string().len() + 2).sum::<usize>() > ONE_LINE;
    let mut list = Array::new();
    for mut entry in entries {
        if long {
            entry.decor_mut().set_prefix("\n    ");
            list.push_formatted(entry);
        } else {
            list.push(entry);
        }
    }
    if long {
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    list
}

/// Makes a list have these entries, where that is to take some out and to put others behind; the rest keeps its form. `false`:
/// it is something else, and nothing was done.
fn update(list: &mut Array, entries: &[Value]) -> bool {
    let text =
        |v: &Value| v.as_str().map_or_else(|| v.as_integer().unwrap_or(-1).to_string(), |s| format!("\"{s}"));
    let old: Vec<String> = list.iter().map(text).collect();
    let new: Vec<String> = entries.iter().map(text).collect();
    let wanted: HashSet<&String> = new.iter().collect();
    let kept: Vec<&String> = old.iter().filter(|o| wanted.contains(o)).collect();
    let front = kept.len() <= new.len() && kept.iter().zip(&new).all(|(k, n)| *k == n);
    if kept.is_empty() || !front || old.len() - kept.len() > REMOVED {
        return false;
    }
    for n in (0..old.len()).rev() {
        if old.get(n).is_some_and(|o| !wanted.contains(o)) {
            remove_inline(list, n);
        }
    }
    for entry in entries.iter().skip(kept.len()) {
        push_value(list, entry.clone());
    }
    true
}

fn inline_table(keys: &Keys) -> InlineTable {
    let mut table = InlineTable::new();
    write_keys(&mut table, keys, &[]);
    table
}

fn new_table(keys: &Keys, position: Option<isize>) -> Table {
    let mut table = Table::new();
    table.set_position(position);
    write_keys(&mut table, keys, &[]);
    table
}

/// Makes a list of statements have these. Those that stay, in the same order, are left alone.
pub(super) fn write_statements(item: &mut Item, key: &str, wanted: &[Keys]) -> Result<(), EditError> {
    let inline = item.is_value();
    let behind = item.as_table().map(last_position);
    let table = item.as_table_like_mut().ok_or_else(|| formless(key))?;
    let old = tables(table.get(key)).into_iter().map(|t| read_keys(t, &[])).collect::<Result<Vec<_>, _>>()?;
    if wanted.is_empty() {
        table.remove(key);
        return Ok(());
    }
    match table.get_mut(key) {
        // From the back, so that what is before is where it was.
        Some(Item::ArrayOfTables(list)) => {
            for Run { at, gone, new } in runs(&old, wanted).iter().rev() {
                write_tables(list, *at, *gone, new);
            }
        }
        Some(Item::Value(Value::Array(list))) => {
            for Run { at, gone, new } in runs(&old, wanted).iter().rev() {
                write_inline(list, *at, *gone, new);
            }
        }
        _ if inline => {
            let list: Array = wanted.iter().map(|keys| Value::from(inline_table(keys))).collect();
            table.insert(key, Item::Value(list.into()));
        }
        _ => {
            let position = behind.filter(|p| *p > 0);
            let list: ArrayOfTables = wanted.iter().map(|keys| new_table(keys, position)).collect();
            table.insert(key, Item::ArrayOfTables(list));
        }
    }
    Ok(())
}

/// Statements in a row that are replaced.
struct Run<'w> {
    /// Where they begin in the old list.
    at: usize,
    /// How many go.
    gone: usize,
    /// What comes in their place.
    new: Vec<&'w Keys>,
}

/// What is different between two lists: as little as can be, unless they are very long.
fn runs<'w>(old: &[Keys], wanted: &'w [Keys]) -> Vec<Run<'w>> {
    let mut found: Vec<Run<'w>> = Vec::new();
    let (mut at, mut to) = (0, 0);
    for (o, w) in common(old, wanted).into_iter().chain([(old.len(), wanted.len())]) {
        if o > at || w > to {
            found.push(Run { at, gone: o - at, new: wanted.iter().skip(to).take(w - to).collect() });
        }
        (at, to) = (o + 1, w + 1);
    }
    found
}

/// The longest common subsequence: pairs of places.
fn common(old: &[Keys], wanted: &[Keys]) -> Vec<(usize, usize)> {
    let alike = |(a, b): &(&Keys, &Keys)| a.says_the_same(b);
    let front = old.iter().zip(wanted).take_while(alike).count();
    let rest = old.len().min(wanted.len()) - front;
    let back = old.iter().rev().zip(wanted.iter().rev()).take(rest).take_while(alike).count();
    let a: Vec<&Keys> = old.iter().skip(front).take(old.len() - front - back).collect();
    let b: Vec<&Keys> = wanted.iter().skip(front).take(wanted.len() - front - back).collect();
    let mut pairs: Vec<(usize, usize)> = (0..front).map(|n| (n, n)).collect();
    if a.len() * b.len() <= COMPARED {
        pairs.extend(subsequence(&a, &b).into_iter().map(|(x, y)| (front + x, front + y)));
    }
    pairs.extend((1..=back).rev().map(|n| (old.len() - n, wanted.len() - n)));
    pairs
}

fn subsequence(a: &[&Keys], b: &[&Keys]) -> Vec<(usize, usize)> {
    // For each place in both, the length of what is common from there on.
    let mut lengths = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    let at = |lengths: &[Vec<u32>], x: usize, y: usize| {
        lengths.get(x).and_then(|row| row.get(y)).copied().unwrap_or_default()
    };
    for (x, old) in a.iter().enumerate().rev() {
        for (y, new) in b.iter().enumerate().rev() {
            let length = if old.says_the_same(new) {
                1 + at(&lengths, x + 1, y + 1)
            } else {
                at(&lengths, x + 1, y).max(at(&lengths, x, y + 1))
            };
            if let Some(cell) = lengths.get_mut(x).and_then(|row| row.get_mut(y)) {
                *cell = length;
            }
        }
    }
    let (mut x, mut y) = (0, 0);
    let mut pairs = Vec::new();
    while let (Some(old), Some(new)) = (a.get(x), b.get(y)) {
        if old.says_the_same(new) {
            pairs.push((x, y));
            (x, y) = (x + 1, y + 1);
        } else if at(&lengths, x + 1, y) >= at(&lengths, x, y + 1) {
            x += 1;
        } else {
            y += 1;
        }
    }
    pairs
}

/// Puts `new` in the place of `gone` statements from `front` on.
fn write_tables(list: &mut ArrayOfTables, front: usize, gone: usize, new: &[&Keys]) {
    let both = gone.min(new.len());
    for (n, keys) in new.iter().take(both).enumerate() {
        if let Some(table) = list.get_mut(front + n) {
            write_keys(table, keys, &[]);
        }
    }
    for _ in both..gone {
        list.remove(front + both);
    }
    for (n, keys) in new.iter().enumerate().skip(both) {
        let at = front + n;
        // With the position of its neighbor it is written right before or behind that.
        let before = at.checked_sub(1).and_then(|n| list.get(n)).map(last_position);
        let position = before.or_else(|| list.get(0).and_then(Table::position));
        list.insert(at, new_table(keys, position));
    }
}

fn write_inline(list: &mut Array, front: usize, gone: usize, new: &[&Keys]) {
    let both = gone.min(new.len());
    for (n, keys) in new.iter().take(both).enumerate() {
        if let Some(table) = list.get_mut(front + n).and_then(Value::as_inline_table_mut) {
            write_keys(table, keys, &[]);
        }
    }
    for _ in both..gone {
        remove_inline(list, front + both);
    }
    for (n, keys) in new.iter().enumerate().skip(both) {
        let value = Value::from(inline_table(keys));
        if front + n >= list.len() {
            push_value(list, value);
        } else {
            list.insert(front + n, value);
        }
    }
}
