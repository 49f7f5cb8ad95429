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
    shrinks: bool,
}

impl Column {
    /// A column of texts.
    pub(crate) const fn left(title: &'static str) -> Column {
        Column { title, align: Align::Left, least: 0, shrinks: false }
    }

    /// A column of numbers.
    pub(crate) const fn right(title: &'static str) -> Column {
        Column { title, align: Align::Right, least: 0, shrinks: false }
    }

    /// Never narrower than this, for rows that come later.
    pub(crate) const fn at_least(self, least: usize) -> Column {
        Column { least, ..self }
    }

    /// Is cut where the terminal is too narrow.
    pub(crate) const fn shrinking(self) -> Column {
        Column { shrinks: true, ..self }
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
    /// Whether a cell of a shrinking column is cut to its width.
    cut: bool,
}

const GAP: usize = 2;

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
        if let Some(terminal) = terminal {
            let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            if let Some((w, c)) = widths.iter_mut().zip(columns).find(|(_, c)| c.shrinks) {
                *w = w.saturating_sub(total.saturating_sub(terminal)).max(width(c.title)).max(8);
            }
        }
        Table { columns: columns.to_vec(), widths, cut: terminal.is_some() }
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
            let text = if column.shrinks && self.cut { shortened(&cell.text, w) } else { cell.text.clone() };
            let padding = " ".repeat(w.saturating_sub(width(&text)));
            let painted = cell.paint.on(&text, color);
            let gap = if i == 0 { "" } else { "  " };
            line.push_str(gap);
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
}
