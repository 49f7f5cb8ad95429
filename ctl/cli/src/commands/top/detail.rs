//! Everything about one neighbor: what `neighbor ADDR` prints, its figures by the second, and its events.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::look::{Look, rate};
use super::model::{App, View, address, description};
use super::render::{WIDE, event_line};
use crate::commands::neighbor;
use crate::output::Out;

/// Draws it, from this line on; a line behind the end is corrected.
pub(super) fn draw(app: &mut App, wanted: &str, line: u16, look: Look, area: Rect, frame: &mut Frame<'_>) {
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    // Two beside each other have two columns between them.
    let columns = if area.width < WIDE { area.width } else { (area.width - 2) / 2 };
    let events: Vec<Line<'static>> =
        app.log.newest(Some(wanted)).into_iter().map(|e| event_line(e, columns, look)).collect();
    let Some(n) = app.neighbor(wanted) else {
        let gone = format!(" {wanted}: this neighbor is not there any more ");
        frame.render_widget(Block::new().borders(Borders::TOP).title(gone), head);
        frame.render_widget(Paragraph::new(events), body);
        return;
    };
    let state = (neighbor::state(n), look.painted(neighbor::paint(n)));
    let title = [address(n), description(n)].join(" ");
    let block =
        Block::new().borders(Borders::TOP).title(format!(" {} ", title.trim())).border_style(look.dim());
    frame.render_widget(block, head);

    let text = Out::in_memory(usize::from(columns), |out| neighbor::print_one(n, out));
    let r = app.rates_of(n);
    let rates = format!(
        "{} in, {} out; UPDATEs {} in, {} out; routes {}",
        rate(r.messages_in),
        rate(r.messages_out),
        rate(r.updates_in),
        rate(r.updates_out),
        rate(r.routes)
    );
    let rates = Out::in_memory(usize::from(columns), |out| Ok(neighbor::field(out, "Messages/s", &rates)?));
    let lines = |part: &str| -> Vec<Line<'static>> {
        part.lines()
            .map(|l| match l.starts_with("  State:") {
                true => Line::styled(l.to_owned(), state.1),
                false => Line::raw(l.to_owned()),
            })
            .collect()
    };
    // Behind the first empty line are the counters.
    let (first, counters) = text.split_once("\n\n").unwrap_or((&text, ""));
    let (mut left, mut right) = (lines(first), lines(counters));
    right.extend(lines(&rates));
    right.push(Line::default());
    right.push(Line::styled("  Events", look.title()));
    if events.is_empty() {
        right.push(Line::styled("  none since this began", look.dim()));
    }
    right.extend(events);
    let room = body.height;
    let most;
    if body.width >= WIDE {
        let [a, b] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(2).areas(body);
        most = beyond(left.len().max(right.len()), room);
        frame.render_widget(Paragraph::new(left).scroll((line.min(most), 0)), a);
        frame.render_widget(Paragraph::new(right).scroll((line.min(most), 0)), b);
    } else {
        left.push(Line::default());
        left.extend(right);
        most = beyond(left.len(), room);
        frame.render_widget(Paragraph::new(left).scroll((line.min(most), 0)), body);
    }
    app.view = View::Neighbor { address: wanted.to_owned(), line: line.min(most) };
}

/// How far so many lines can be scrolled.
fn beyond(lines: usize, room: u16) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX).saturating_sub(room)
}
