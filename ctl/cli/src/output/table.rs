//! Tables that fit the terminal.

use std::io;

use super::Out;

/// Where a cell's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// For texts.
    Left,
    /// For numbers.
    Right,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    align: Align,
    least: usize,
    /// How far it may be cut.
    shrinks_to: Option<usize>,
}

impl Column {
    /// A column of texts.
    pub(crate) const fn left(title: &'static str) -> Column {
        Column { title, align: Align::Left, least: 0, shrinks_to: None }
    }

    /// A column of numbers.
    pub(crate) const fn right(title: &'static str) -> Column {
        Column { title, align: Align::Right, least: 0, shrinks_to: None }
    }

    /// Never narrower than this, for rows that come later.
    pub(crate) const fn at_least(self, least: usize) -> Column {
        Column { least, ..self }
    }

    /// Is cut where the terminal is too narrow. Of several columns, the last one is cut first.
    pub(crate) const fn shrinking(self) -> Column {
        self.shrinking_to(8)
    }

    /// Is cut, but never shorter than this.
    pub(crate) const fn shrinking_to(self, least: usize) -> Column {
        Column { shrinks_to: Some(least), ..self }
    }
}

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As it is.
    Plain,
    /// All is well.
    Green,
    /// Something is on its way.
    Yellow,
    /// Something is wrong.
    Red,
}

impl Paint {
    /// The text in this colour.
    pub(crate) fn on(self, text: &str, color: bool) -> String {
        let code = match self {
            _ if !color => return text.to_owned(),
            Paint::Plain => return text.to_owned(),
            Paint::Green => 32,
            Paint::Yellow => 33,
            Paint::Red => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// What stands in a row's column.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// With a colour.
    pub(crate) fn painted(text: impl Into<String>, paint: Paint) -> Cell {
        Cell { text: text.into(), paint }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.to_string(), paint: Paint::Plain }
    }
}

/// A row.
pub(crate) type Row = Vec<Cell>;

/// A table with its widths.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    /// Blanks between columns.
    gap: usize,
    /// Whether a cell of a shrinking column is cut to its width.
    cut: bool,
}

/// Blanks between columns, and where there is no room for them.
const GAP: usize = 2;
const SMALL_GAP: usize = 1;

fn width(text: &str) -> usize {
    text.chars().count()
}

impl Table {
    /// A table as wide as these rows, or as the terminal.
    pub(crate) fn fitting(columns: &[Column], rows: &[Row], terminal: Option<usize>) -> Table {
        let mut widths: Vec<usize> = columns.iter().map(|c| c.least.max(width(c.title))).collect();
        for row in rows {
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(width(&cell.text));
            }
        }
        let mut gap = GAP;
        if let Some(terminal) = terminal {
            let least = |w: usize, c: &Column| c.shrinks_to.map_or(w, |l| w.min(l.max(width(c.title))));
            let gaps = widths.len().saturating_sub(1);
            // Texts at the end are cut first; before anything else is, the columns stand closer.
            let end = widths.iter().zip(columns).rev().find(|(_, c)| c.shrinks_to.is_some());
            let spare = end.map_or(0, |(w, c)| w - least(*w, c));
            if widths.iter().sum::<usize>() + GAP * gaps > terminal + spare {
                gap = SMALL_GAP;
            }
            let mut over = (widths.iter().sum::<usize>() + gap * gaps).saturating_sub(terminal);
            for (w, c) in widths.iter_mut().zip(columns).rev() {
                let cut = over.min(w.saturating_sub(least(*w, c)));
                *w -= cut;
                over -= cut;
            }
        }
        Table { columns: columns.to_vec(), widths, gap, cut: terminal.is_some() }
    }

    /// Prints the titles.
    pub(crate) fn header(&self, out: &mut Out) -> io::Result<()> {
        let line = self.line(&self.columns.iter().map(|c| Cell::from(c.title)).collect::<Row>(), false);
        if out.color { out.line(format!("\x1b[1m{line}\x1b[0m")) } else { out.line(line) }
    }

    /// Prints a row.
    pub(crate) fn row(&self, out: &mut Out, row: &Row) -> io::Result<()> {
        let line = self.line(row, out.color);
        out.line(line)
    }

    /// Prints titles and rows.
    pub(crate) fn print(columns: &[Column], rows: &[Row], out: &mut Out) -> io::Result<()> {
        let table = Table::fitting(columns, rows, out.width);
        table.header(out)?;
        rows.iter().try_for_each(|row| table.row(out, row))
    }

    fn line(&self, row: &Row, color: bool) -> String {
        let mut line = String::new();
        for (i, ((cell, column), &w)) in row.iter().zip(&self.columns).zip(&self.widths).enumerate() {
            let text = if column.shrinks_to.is_some() && self.cut {
                shortened(&cell.text, w)
            } else {
                cell.text.clone()
            };
            let padding = " ".repeat(w.saturating_sub(width(&text)));
            let painted = cell.paint.on(&text, color);
            line.push_str(&" ".repeat(if i == 0 { 0 } else { self.gap }));
            line.push_str(&match column.align {
                Align::Left => painted + &padding,
                Align::Right => padding + &painted,
            });
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn shortened(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_the_terminal() {
        let columns = [Column::left("Name"), Column::left("Description").shrinking(), Column::right("N")];
        let rows = [
            vec![Cell::from("a"), Cell::from("long ".repeat(20)), Cell::from(5)],
            vec![Cell::from("bbbbbb"), Cell::from("short"), Cell::from(12345)],
        ];
        let wide = Table::fitting(&columns, &rows, None);
        assert_eq!(width(&wide.line(&rows[0], false)), 6 + 2 + 100 + 2 + 5);
        let narrow = Table::fitting(&columns, &rows, Some(40));
        for row in &rows {
            assert_eq!(width(&narrow.line(row, false)), 40);
        }
        assert!(narrow.line(&rows[0], false).contains("long…"), "{}", narrow.line(&rows[0], false));
        assert_eq!(narrow.line(&rows[1], false), "bbbbbb  short                      12345");
    }

    /// The last ones first, numbers never, and before an address is cut the columns stand closer.
    #[test]
    fn several_columns_give_way() {
        let columns = [
            Column::left("Address").shrinking_to(10),
            Column::right("N"),
            Column::left("Path").shrinking_to(6),
        ];
        let row = vec![Cell::from("2001:db8::1:2:3"), Cell::from(12345), Cell::from("65001 65002 65003")];
        let lines: Vec<String> = [60, 31, 28, 24, 1]
            .into_iter()
            .map(|most| Table::fitting(&columns, std::slice::from_ref(&row), Some(most)).line(&row, false))
            .collect();
        assert_eq!(
            lines,
            [
                "2001:db8::1:2:3  12345  65001 65002 65003",
                "2001:db8::1:2:3  12345  65001 …",
                "2001:db8::1:2:3 12345 65001…",
                "2001:db8::… 12345 65001…",
                "2001:db8:… 12345 65001…",
            ]
        );
    }
}
