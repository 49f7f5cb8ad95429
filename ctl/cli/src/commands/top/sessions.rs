//! The table of sessions.

use grpc::v1::NeighborState;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Cell, Row, Table, TableState};

use super::look::{Look, count, cut, rate};
use super::model::{App, Sort, address, description};
use super::render::WIDE;
use crate::commands::neighbor;

/// A column.
struct Column {
    title: &'static str,
    sort: Option<Sort>,
    right: bool,
    /// Only where there is room.
    wide: bool,
    text: fn(&App, &NeighborState) -> String,
}

const fn column(
    title: &'static str,
    sort: Option<Sort>,
    right: bool,
    wide: bool,
    text: fn(&App, &NeighborState) -> String,
) -> Column {
    Column { title, sort, right, wide, text }
}

const COLUMNS: [Column; 14] = [
    column("Neighbor", Some(Sort::Address), false, false, |_, n| address(n).to_owned()),
    column("AS", Some(Sort::As), true, false, |_, n| {
        n.config.as_ref().map_or(0, |c| c.remote_asn).to_string()
    }),
    column("State", Some(Sort::State), false, false, |_, n| neighbor::state(n)),
    column("Uptime", Some(Sort::Uptime), true, false, |_, n| neighbor::uptime(n)),
    column("Rcvd", Some(Sort::Received), true, false, |_, n| count(n.prefixes_received)),
    column("Sent", Some(Sort::Sent), true, false, |_, n| count(n.prefixes_sent)),
    column("In/s", Some(Sort::In), true, false, |a, n| rate(a.rates_of(n).messages_in)),
    column("Out/s", Some(Sort::Out), true, false, |a, n| rate(a.rates_of(n).messages_out)),
    column("Upd in/s", None, true, true, |a, n| rate(a.rates_of(n).updates_in)),
    column("Upd out/s", None, true, true, |a, n| rate(a.rates_of(n).updates_out)),
    column("Routes/s", None, true, true, |a, n| rate(a.rates_of(n).routes)),
    column("Flaps", None, true, true, |_, n| n.flap_count.to_string()),
    column("Description", Some(Sort::Description), false, false, |_, n| description(n).to_owned()),
    column("Last error", None, false, true, |_, n| n.last_error.clone()),
];

/// Those that give way where there is little room: from the last to the first, with the least that they keep.
const YIELDING: [(&str, usize); 4] =
    [("Last error", 10), ("Description", 11), ("State", 11), ("Neighbor", 15)];

/// Those that go where that is not enough, one after the other: an address or a number that is cut says something wrong.
const GOING: [&str; 6] = ["Description", "Out/s", "In/s", "Uptime", "Sent", "Rcvd"];

fn width(text: &str) -> usize {
    text.chars().count()
}

/// How wide columns are together, with the blanks between them.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + widths.len().saturating_sub(1)
}

/// How wide each column is.
fn widths(columns: &[(&Column, String)], cells: &[Vec<String>], room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|(_, title)| width(title)).collect();
    for row in cells {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(width(cell));
        }
    }
    for (title, least) in YIELDING {
        let over = total(&widths).saturating_sub(room);
        if let Some((w, _)) = widths.iter_mut().zip(columns).find(|(_, (c, _))| c.title == title) {
            *w = (*w).min(w.saturating_sub(over).max(least));
        }
    }
    widths
}

/// Draws it, as far as it fits, with the selected one in sight.
pub(super) fn draw(app: &mut App, look: Look, area: Rect, frame: &mut Frame<'_>) {
    let rows = app.rows();
    let shown = rows.len();
    let all = app.snapshot.as_ref().map_or(0, |s| s.neighbors.len());
    let cursor = app.cursor(&rows);
    let arrow = if app.descending() { '▼' } else { '▲' };
    let mut columns: Vec<(&Column, String)> = COLUMNS
        .iter()
        .filter(|c| !c.wide || area.width >= WIDE)
        .map(|c| {
            (c, if c.sort == Some(app.sort) { format!("{}{arrow}", c.title) } else { c.title.to_owned() })
        })
        .collect();
    let mut cells: Vec<Vec<String>> =
        rows.iter().map(|n| columns.iter().map(|(c, _)| (c.text)(app, n)).collect()).collect();
    let room = usize::from(area.width);
    for title in GOING {
        if total(&widths(&columns, &cells, room)) <= room {
            break;
        }
        if let Some(at) = columns.iter().position(|(c, _)| c.title == title) {
            columns.remove(at);
            cells.iter_mut().for_each(|row| _ = row.remove(at));
        }
    }
    let widths = widths(&columns, &cells, room);
    let line = |text: &str, c: &Column, w: usize| {
        let line = Line::raw(cut(text, w));
        Text::from(if c.right { line.right_aligned() } else { line })
    };
    let header = columns.iter().zip(&widths).map(|((c, title), w)| {
        let style = if c.sort == Some(app.sort) { look.title() } else { look.dim() };
        Cell::from(line(title, c, *w)).style(style)
    });
    let old = app.lost.is_some();
    let lines = rows.iter().zip(&cells).map(|(n, cells)| {
        Row::new(columns.iter().zip(&widths).zip(cells).map(|(((c, _), w), text)| {
            let state = c.title == "State" && !old;
            let style = if state { look.painted(neighbor::paint(n)) } else { Style::new() };
            Cell::from(line(text, c, *w)).style(style)
        }))
    });
    let title = match (all, shown) {
        (0, _) => " Sessions: no neighbors are configured ".to_owned(),
        (_, 0) => format!(" Sessions: none of {all} matches the filter, esc ends it "),
        _ if shown < all => format!(" Sessions: {} of {shown}, filtered from {all} ", cursor + 1),
        _ => format!(" Sessions: {} of {shown} ", cursor + 1),
    };
    let table =
        Table::new(lines, widths.iter().map(|w| Constraint::Length(u16::try_from(*w).unwrap_or(u16::MAX))))
            .header(Row::new(header))
            .row_highlight_style(look.selected())
            .block(Block::new().borders(Borders::TOP).title(title).border_style(look.dim()))
            .style(if old { look.dim() } else { Style::new() });
    let selected = (shown > 0).then_some(cursor);
    let mut state = TableState::new().with_offset(app.offset).with_selected(selected);
    frame.render_stateful_widget(table, area, &mut state);
    app.offset = state.offset();
}
