//! The text of the configuration file as a document that is edited: what is not concerned stays as the operator wrote it,
//! octet by octet.

use std::net::IpAddr;

use ipc::edit::{EditError, Refusal};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, TableLike, Value};

/// A byte order mark, as editors of some systems put it at the beginning.
const BOM: char = '\u{feff}';

/// A text that is edited.
#[derive(Debug)]
pub(super) struct Document {
    toml: DocumentMut,
    bom: bool,
    /// Lines end with CR LF.
    crlf: bool,
}

impl Document {
    /// Reads a text that the loader accepts.
    ///
    /// # Errors
    /// Where writing it again would change more than it should.
    pub(super) fn parse(text: &str) -> Result<Document, EditError> {
        let (document, plain) = Document::read(text)?;
        let again = document.toml.to_string();
        if again != plain {
            let same = plain.lines().zip(again.lines()).take_while(|(a, b)| a == b).count();
            let why = format!(
                "the configuration file cannot be changed without losing its form: from line {} on it is written in a way \
                 that would be another one afterwards. Edit it by hand and have it read (SIGHUP)",
                same + 1
            );
            return Err(EditError::new(Refusal::Precondition, why));
        }
        Ok(document)
    }

    /// Reads such a text to look at it.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn to_look_at(text: &str) -> Result<Document, EditError> {
        Document::read(text).map(|(document, _)| document)
    }

    /// The document, and the text as it was read: with LF alone, and one at the end.
    fn read(text: &str) -> Result<(Document, String), EditError> {
        let body = text.strip_prefix(BOM).unwrap_or(text);
        let lines = body.matches('\n').count();
        let crlf = lines > 0 && body.matches("\r\n").count() == lines;
        let mut plain = if crlf { body.replace("\r\n", "\n") } else { body.to_owned() };
        if !plain.ends_with('\n') {
            plain.push('\n');
        }
        let toml = plain.parse::<DocumentMut>().map_err(|e| {
            EditError::new(Refusal::Precondition, format!("the configuration file is no TOML: {e}"))
        })?;
        Ok((Document { toml, bom: text.starts_with(BOM), crlf }, plain))
    }

    /// The text as it is now.
    pub(super) fn text(&self) -> String {
        let plain = self.toml.to_string();
        let text = if self.crlf { plain.replace('\n', "\r\n") } else { plain };
        if self.bom { format!("{BOM}{text}") } else { text }
    }

    /// What is under `key` of the file itself, and of tables in it.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Item> {
        let mut keys = path.iter();
        let first = self.toml.get(keys.next()?)?;
        keys.try_fold(first, |item, key| item.as_table_like()?.get(key))
    }

    /// Whether the file has this table with a header of its own.
    pub(super) fn has_header(&self, key: &str) -> bool {
        self.toml.get(key).is_some_and(|item| item.as_table().is_none_or(|t| !t.is_implicit()))
    }

    /// The tables of a list.
    pub(super) fn all(&self, key: &str) -> Vec<&dyn TableLike> {
        fn like<T: TableLike>(table: &T) -> &dyn TableLike {
            table
        }
        match self.toml.get(key) {
            Some(Item::ArrayOfTables(list)) => list.iter().map(like).collect(),
            Some(Item::Value(Value::Array(list))) => {
                list.iter().filter_map(Value::as_inline_table).map(like).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The table of a list for which `which` holds.
    pub(super) fn in_list(
        &mut self,
        key: &str,
        which: impl Fn(&dyn TableLike) -> bool,
    ) -> Option<&mut dyn TableLike> {
        match self.toml.get_mut(key)? {
            Item::ArrayOfTables(list) => {
                list.iter_mut().find(|t| which(&**t)).map(|t| t as &mut dyn TableLike)
            }
            Item::Value(Value::Array(list)) => {
                let mut tables = list.iter_mut().filter_map(Value::as_inline_table_mut);
                tables.find(|t| which(&**t)).map(|t| t as &mut dyn TableLike)
            }
            _ => None,
        }
    }

    /// A table of the file itself, which is put at its end where there is none.
    pub(super) fn table(&mut self, key: &str) -> Result<&mut dyn TableLike, EditError> {
        let last = last_position(self.toml.as_table());
        let comments = if self.toml.contains_key(key) { None } else { self.take_comments_behind(last) };
        let item = self.toml.entry(key).or_insert_with(|| {
            let mut table = Table::new();
            table.set_position(Some(last + 1));
            if let Some(comments) = comments {
                table.decor_mut().set_prefix(comments + "\n");
            }
            Item::Table(table)
        });
        let why =
            || EditError::new(Refusal::Precondition, format!("{key} of the configuration file is no table"));
        item.as_table_like_mut().ok_or_else(why)
    }

    fn get_mut(&mut self, path: &[&str]) -> Option<&mut Item> {
        let mut keys = path.iter();
        let first = self.toml.get_mut(keys.next()?)?;
        keys.try_fold(first, |item, key| item.as_table_like_mut()?.get_mut(key))
    }

    /// What has this name in the table at this path; put there where there is none, behind what is most like it.
    pub(super) fn named(&mut self, path: &[&str], name: &str) -> Result<&mut Item, EditError> {
        let whole: Vec<&str> = path.iter().copied().chain([name]).collect();
        if self.get(&whole).is_none() {
            self.make(path, name)?;
        }
        let why = || EditError::new(Refusal::Precondition, format!("{} is no table", path.join(".")));
        self.get_mut(&whole).ok_or_else(why)
    }

    fn make(&mut self, path: &[&str], name: &str) -> Result<(), EditError> {
        let last = last_position(self.toml.as_table());
        let like = |n: usize| self.get(path.get(..n)?)?.as_table().map(last_position).filter(|p| *p > 0);
        // The position of what is before it puts it right behind that, and before what follows.
        let like = (1..=path.len()).rev().find_map(like);
        let comments = self.take_comments_behind(like.unwrap_or(last));
        let mut item = self.toml.as_item_mut();
        for key in path.iter().chain([&name]) {
            let inline = item.is_value();
            let why = || EditError::new(Refusal::Precondition, format!("{} is no table", path.join(".")));
            let table = item.as_table_like_mut().ok_or_else(why)?;
            item = table.entry(key).or_insert_with(|| {
                if inline {
                    return Item::Value(InlineTable::new().into());
                }
                let mut table = Table::new();
                table.set_implicit(true);
                Item::Table(table)
            });
        }
        if let Item::Table(table) = item {
            table.set_implicit(false);
            table.set_position(Some(like.unwrap_or(last + 1)));
            if let Some(comments) = comments {
                table.decor_mut().set_prefix(comments + "\n");
            }
        }
        Ok(())
    }

    /// Removes what has this name in the table at this path, with the comments that stand right above it.
    pub(super) fn remove_named(&mut self, path: &[&str], name: &str) {
        let parent = self.get_mut(path).and_then(Item::as_table_like_mut);
        if let Some(Item::Table(gone)) = parent.and_then(|table| table.remove(name)) {
            let written = nested(&gone).into_iter().filter(|t| !t.is_implicit() && t.position().is_some());
            if let Some(first) = written.min_by_key(|t| t.position()) {
                self.keep_comments_above(first);
            }
        }
    }

    /// Adds a table at the end of a list of tables.
    pub(super) fn push(&mut self, key: &str, mut table: Table) {
        let behind = match self.toml.get(key) {
            Some(Item::ArrayOfTables(list)) => list.iter().last().map(last_position),
            Some(_) => None,
            None => Some(last_position(self.toml.as_table())),
        };
        if let Some(comments) = behind.and_then(|behind| self.take_comments_behind(behind)) {
            table.decor_mut().set_prefix(comments + "\n");
        }
        match self.toml.get_mut(key) {
            Some(Item::ArrayOfTables(list)) => list.push(table),
            Some(Item::Value(Value::Array(list))) => push_value(list, table.into_inline_table().into()),
            _ => {
                table.set_position(behind.map(|last| last + 1));
                let list: ArrayOfTables = [table].into_iter().collect();
                self.toml.insert(key, Item::ArrayOfTables(list));
            }
        }
    }

    /// Comments right behind the table with this header, with no empty line between: they belong to it, and not to what is
    /// put there.
    fn take_comments_behind(&mut self, position: isize) -> Option<String> {
        let taken = |text: Option<&str>, whole: bool| {
            let text = text.unwrap_or_default();
            let lines = text.split_inclusive('\n').take_while(|l| !l.trim().is_empty()).map(str::len).sum();
            // Right above a header, they belong to that.
            let (own, rest) = text.split_at_checked(lines)?;
            (own.contains('#') && (whole || !rest.is_empty())).then(|| (own.to_owned(), rest.to_owned()))
        };
        match next_table(self.toml.as_table_mut(), position) {
            Some(next) => {
                let (own, rest) = taken(next.decor().prefix().and_then(RawString::as_str), false)?;
                next.decor_mut().set_prefix(rest);
                Some(own)
            }
            None => {
                let (own, rest) = taken(self.toml.trailing().as_str(), true)?;
                self.toml.set_trailing(rest);
                Some(own)
            }
        }
    }

    /// Removes the tables of a list for which `which` holds, with the comments that stand right above them; whether there were
    /// any.
    pub(super) fn remove(&mut self, key: &str, which: impl Fn(&dyn TableLike) -> bool) -> bool {
        let mut removed = false;
        match self.toml.get_mut(key) {
            Some(Item::ArrayOfTables(list)) => {
                let found: Vec<usize> =
                    list.iter().enumerate().filter(|(_, t)| which(*t)).map(|(n, _)| n).collect();
                let gone: Vec<Table> = found.iter().rev().map(|n| list.remove(*n)).collect();
                removed = !gone.is_empty();
                if list.is_empty() {
                    self.toml.remove(key);
                }
                gone.iter().for_each(|table| self.keep_comments_above(table));
            }
            Some(Item::Value(Value::Array(list))) => {
                let mut n = 0;
                while let Some(value) = list.get(n) {
                    if value.as_inline_table().is_some_and(|t| which(t)) {
                        remove_inline(list, n);
                        removed = true;
                    } else {
                        n += 1;
                    }
                }
            }
            _ => {}
        }
        removed
    }

    /// What stands above a table that is gone, and is set apart from it by an empty line, goes to what follows.
    fn keep_comments_above(&mut self, gone: &Table) {
        let above = gone.decor().prefix().and_then(RawString::as_str).unwrap_or_default();
        let end = set_apart(above);
        let (Some(kept), Some(position)) = (above.get(..end).filter(|k| k.contains('#')), gone.position())
        else {
            return;
        };
        let kept = kept.to_owned();
        match next_table(self.toml.as_table_mut(), position) {
            Some(next) => {
                let before = next.decor().prefix().and_then(RawString::as_str).unwrap_or_default();
                let together = joined(&kept, before);
                next.decor_mut().set_prefix(together);
            }
            None => {
                let together = joined(&kept, self.toml.trailing().as_str().unwrap_or_default());
                self.toml.set_trailing(together);
            }
        }
    }
}

/// Comments and what follows them, with one empty line between where there was one.
fn joined(kept: &str, before: &str) -> String {
    if before.is_empty() || before.starts_with('\n') {
        format!("{}\n{before}", kept.trim_end_matches('\n'))
    } else {
        format!("{kept}{before}")
    }
}

/// Puts a value in the place of another one, or behind what the table has.
pub(super) fn set_value(table: &mut dyn TableLike, key: &str, value: impl Into<Value>) {
    let mut value: Value = value.into();
    if let Some(old) = table.get_mut(key) {
        if let Some(decor) = old.as_value().map(Value::decor) {
            *value.decor_mut() = decor.clone();
        }
        *old = Item::Value(value);
        return;
    }
    let last = table.iter().filter(|(_, item)| item.is_value()).last().map(|(key, _)| key.to_owned());
    let above = last.and_then(|last| table.key(&last)?.leaf_decor().prefix()?.as_str().map(str::to_owned));
    let indent = above.map(|above| above.rsplit('\n').next().unwrap_or_default().to_owned());
    table.insert(key, Item::Value(value));
    if let (Some(mut key), Some(indent)) = (table.key_mut(key), indent) {
        key.leaf_decor_mut().set_prefix(indent);
    }
}

/// Whether a table's `key` is this address, however it is written.
pub(super) fn has_address(table: &dyn TableLike, key: &str, address: IpAddr) -> bool {
    let text = table.get(key).and_then(Item::as_str);
    text.and_then(|t| t.parse::<IpAddr>().ok()) == Some(address)
}

/// Where the comments that belong to what follows begin: behind the last empty line.
fn set_apart(above: &str) -> usize {
    let mut end = 0;
    let mut at = 0;
    for line in above.split_inclusive('\n') {
        at += line.len();
        if line.ends_with('\n') && line.trim().is_empty() {
            end = at;
        }
    }
    end
}

/// The tables that a table holds, and theirs.
fn nested(table: &Table) -> Vec<&Table> {
    let mut all = vec![table];
    for (_, item) in table.iter() {
        match item {
            Item::Table(t) => all.extend(nested(t)),
            Item::ArrayOfTables(list) => list.iter().for_each(|t| all.extend(nested(t))),
            _ => {}
        }
    }
    all
}

/// The place of the last header of a table and those in it.
pub(super) fn last_position(table: &Table) -> isize {
    nested(table).into_iter().filter_map(Table::position).max().unwrap_or_default()
}

/// The table with the first header behind this place.
fn next_table(root: &mut Table, behind: isize) -> Option<&mut Table> {
    let next = nested(root).into_iter().filter_map(Table::position).filter(|p| *p > behind).min()?;
    table_at(root, next)
}

fn table_at(table: &mut Table, position: isize) -> Option<&mut Table> {
    if table.position() == Some(position) {
        return Some(table);
    }
    for (_, item) in table.iter_mut() {
        let found = match item {
            Item::Table(t) => table_at(t, position),
            Item::ArrayOfTables(list) => list.iter_mut().find_map(|t| table_at(t, position)),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Adds to a list that is written as `key = [..]`, on a line of its own where the others are.
pub(super) fn push_value(list: &mut Array, mut value: Value) {
    let above = list.iter().last().and_then(|v| v.decor().prefix()).and_then(RawString::as_str);
    let indent = above.and_then(|above| above.rfind('\n').and_then(|n| above.get(n..))).map(str::to_owned);
    // What stands behind the last comma belongs to what is before it.
    let behind = list.trailing().as_str().and_then(|t| t.split_once('\n'));
    let behind =
        behind.filter(|_| list.trailing_comma()).map(|(line, rest)| (line.to_owned(), format!("\n{rest}")));
    let (comment, trailing) = behind.unzip();
    match indent {
        Some(indent) => value.decor_mut().set_prefix(comment.unwrap_or_default() + &indent),
        None if list.is_empty() => {}
        None => value.decor_mut().set_prefix(" "),
    }
    if let Some(trailing) = trailing.filter(|_| value.decor().prefix().is_some()) {
        list.set_trailing(trailing);
    }
    list.push_formatted(value);
}

/// Removes from such a list. What stands behind a comma belongs to what is before it.
pub(super) fn remove_inline(list: &mut Array, n: usize) {
    fn first_line(text: Option<&RawString>) -> Option<(String, String)> {
        let (line, rest) = text.and_then(RawString::as_str)?.split_once('\n')?;
        Some((line.to_owned(), rest.to_owned()))
    }
    let own = list.get(n).and_then(|v| first_line(v.decor().prefix()));
    let following = match list.get(n + 1) {
        Some(next) => first_line(next.decor().prefix()),
        None => first_line(Some(list.trailing())),
    };
    if let (Some((line, _)), Some((_, rest))) = (own, following) {
        let together = format!("{line}\n{rest}");
        match list.get_mut(n + 1) {
            Some(next) => next.decor_mut().set_prefix(together),
            None => list.set_trailing(together),
        }
    } else if n == 0
        && let Some(prefix) = list.get(0).and_then(|v| v.decor().prefix()).cloned()
        && let Some(next) = list.get_mut(1)
    {
        next.decor_mut().set_prefix(prefix);
    }
    list.remove(n);
}
