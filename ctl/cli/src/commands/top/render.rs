//! The screen as a whole: what stands at its head, the view, the events, the line of keys.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Sparkline};

use super::events::Event;
use super::keys::KEYS;
use super::look::{Look, count, cut, rate};
use super::model::{App, Snapshot, View};
use super::{detail, sessions};
use crate::output::text;

/// From here on there is room for the curve beside the figures, and for more columns.
pub(super) const WIDE: u16 = 120;
/// The figures at the head, and the processes.
const HEAD: u16 = 3;
/// Events that are always seen, with their title.
const EVENTS: u16 = 6;

/// Draws everything; `now` is the time since the dashboard began.
pub(super) fn draw(app: &mut App, now: Duration, frame: &mut Frame<'_>) {
    let look = Look::new(app.color);
    let area = frame.area();
    // A low screen shows sessions before all else.
    let head = if area.height < 12 { 0 } else { HEAD };
    let events = match area.height {
        0..18 => 0,
        18..36 => EVENTS,
        _ => EVENTS * 2,
    };
    let [title, figures, view, below, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(head),
        Constraint::Min(3),
        Constraint::Length(if app.view == View::Sessions { events } else { 0 }),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(title_line(app, now, look)), title);
    if let Some(snapshot) = &app.snapshot {
        draw_figures(app, snapshot, look, figures, frame);
    }
    match app.view.clone() {
        View::Sessions => sessions::draw(app, look, view, frame),
        View::Neighbor { address, line } => detail::draw(app, &address, line, look, view, frame),
        View::Events { line } => draw_events(app, line, look, view, frame),
    }
    draw_events(app, 0, look, below, frame);
    frame.render_widget(Paragraph::new(keys_line(app, look)), keys);
    if app.help {
        draw_help(look, frame);
    }
}

fn title_line(app: &App, now: Duration, look: Look) -> Line<'static> {
    let mut spans = vec![Span::styled("rustbgpd", look.title())];
    if let Some(s) = &app.snapshot {
        spans.push(Span::raw(format!("  AS {}  {}", s.global.asn, s.global.router_id)));
        // What is the matter needs the room.
        let parent = s.processes.iter().filter(|_| app.lost.is_none()).find(|p| p.name == "parent");
        if let Some(parent) = parent {
            spans.push(Span::raw(format!("  up {}", text::duration(parent.uptime_seconds))));
        }
    }
    match &app.lost {
        None => spans.push(Span::raw(app.snapshot.as_ref().map_or(String::new(), |s| {
            format!("  {}", text::time(s.time_ms).get(11..19).unwrap_or_default())
        }))),
        Some((since, reason)) => {
            let age = text::duration(now.saturating_sub(*since).as_secs());
            spans.push(Span::styled(format!("  disconnected for {age}, retrying: {reason}"), look.bad()));
        }
    }
    Line::from(spans)
}

fn draw_figures(app: &App, s: &Snapshot, look: Look, area: Rect, frame: &mut Frame<'_>) {
    let [left, right] =
        Layout::horizontal([Constraint::Length(80), Constraint::Min(0)]).spacing(2).areas(area);
    let wide = area.width >= WIDE;
    let lines = vec![sessions_line(s, look), rates_line(app, look), processes_line(app, s, look)];
    // What is old is grey.
    let style = if app.lost.is_some() { look.dim() } else { Style::new() };
    frame.render_widget(Paragraph::new(lines).style(style), if wide { left } else { area });
    if wide {
        let [name, curve] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(right);
        let most = app.curve.iter().max().copied().unwrap_or_default();
        let title = format!("UPDATEs/s, both ways, at most {}", count(most));
        frame.render_widget(Paragraph::new(title).style(look.dim()), name);
        let room = usize::from(curve.width);
        let data: Vec<u64> = app.curve.iter().skip(app.curve.len().saturating_sub(room)).copied().collect();
        frame.render_widget(Sparkline::default().data(&data).style(look.curve()), curve);
    }
}

fn sessions_line(s: &Snapshot, look: Look) -> Line<'static> {
    let all = s.neighbors.len();
    let up = s.neighbors.iter().filter(|n| n.state == grpc::v1::SessionState::Established as i32).count();
    let disabled = s.neighbors.iter().filter(|n| n.disabled).count();
    let style = if up + disabled < all { look.wait() } else { look.good() };
    let sum = |f: fn(&grpc::v1::FamilyTables) -> u64| s.summary.families.iter().map(f).sum::<u64>();
    let mut spans = vec![
        label("Sessions", look),
        Span::styled(format!("{up} of {all} up"), style),
        label("  Best", look),
        Span::raw(count(sum(|f| f.loc_rib_prefixes))),
        label("  In", look),
        Span::raw(count(sum(|f| f.adj_rib_in_routes))),
        label("  Out", look),
        Span::raw(count(sum(|f| f.adj_rib_out_routes))),
    ];
    if let Some((v4, v6)) = s.vrps {
        spans.push(label("  VRPs", look));
        spans.push(Span::raw(format!("{} v4 {} v6", count(v4), count(v6))));
    }
    Line::from(spans)
}

fn rates_line(app: &App, look: Look) -> Line<'static> {
    let t = &app.total;
    Line::from(vec![
        label("Messages/s", look),
        Span::raw(format!("{} in {} out", rate(t.messages_in), rate(t.messages_out))),
        label("  UPDATEs/s", look),
        Span::raw(format!("{} in {} out", rate(t.updates_in), rate(t.updates_out))),
        label("  Routes/s", look),
        Span::raw(format!("{}{}", if t.routes >= 0.05 { "+" } else { "" }, rate(t.routes))),
    ])
}

fn processes_line(app: &App, s: &Snapshot, look: Look) -> Line<'static> {
    let mut spans = Vec::new();
    for p in &s.processes {
        let gap = if spans.is_empty() { "" } else { "  " };
        spans.push(label(&format!("{gap}{}", p.name), look));
        // The usual unit is left out: four of them fit 80 columns.
        let memory = p.resident_bytes.map_or_else(|| "-".to_owned(), short_octets);
        let cpu = app.cpu_of(p).map_or_else(|| "-".to_owned(), |c| format!("{}%", c.round()));
        spans.push(Span::raw(format!("{memory} {cpu}")));
        if p.restarts > 0 {
            spans.push(Span::styled(format!(" restarted {}x", p.restarts), look.bad()));
        }
    }
    Line::from(spans)
}

/// `1.5G` of `1.5 GiB`.
fn short_octets(octets: u64) -> String {
    text::octets(octets).replace("iB", "").replace(' ', "")
}

fn label(name: &str, look: Look) -> Span<'static> {
    Span::styled(format!("{name} "), look.dim())
}

fn draw_events(app: &App, from: usize, look: Look, area: Rect, frame: &mut Frame<'_>) {
    let room = usize::from(area.height.saturating_sub(1));
    if room == 0 {
        return;
    }
    let events: Vec<&Event> = match app.view {
        View::Events { .. } => {
            let all = app.log.newest(None);
            let from = from.min(all.len().saturating_sub(room));
            all.into_iter().skip(from).take(room).collect()
        }
        _ => app.log.latest(room),
    };
    let lines: Vec<Line<'_>> = events.into_iter().map(|e| event_line(e, area.width, look)).collect();
    let title = match (app.log.without_routes, app.log.note.as_str()) {
        (true, _) => " Events, without routes ".to_owned(),
        (false, "") => " Events ".to_owned(),
        (false, note) => format!(" Events, without routes: {note} "),
    };
    let block = Block::new().borders(Borders::TOP).title(title).border_style(look.dim());
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Time and text of an event, in so many columns.
pub(super) fn event_line(event: &Event, columns: u16, look: Look) -> Line<'static> {
    let room = usize::from(columns).saturating_sub("00:00:00 ".len());
    let time = text::time(event.time_ms).get(11..19).unwrap_or_default().to_owned();
    Line::from(vec![
        Span::styled(format!("{time} "), look.dim()),
        Span::styled(cut(&event.text, room), look.event(event.kind)),
    ])
}

fn keys_line(app: &App, look: Look) -> Line<'static> {
    if app.typing {
        return Line::from(vec![
            Span::styled("filter: ", look.title()),
            Span::raw(app.filter.clone()),
            Span::styled(" ", look.selected()),
            Span::styled("  enter keeps it, esc ends it", look.dim()),
        ]);
    }
    let keys = match app.view {
        View::Sessions if !app.filter.is_empty() => {
            return Line::from(vec![
                Span::styled(format!("filter: {}", app.filter), look.wait()),
                Span::styled("  esc ends it  q quit  h keys  s sort  enter details", look.dim()),
            ]);
        }
        View::Sessions => "q quit  h keys  s sort  r reverse  / filter  enter details  e events",
        View::Neighbor { .. } => "q quit  h keys  esc back  n next  p previous  up, down scroll",
        View::Events { .. } => "q quit  h keys  esc back  t routes  up, down scroll",
    };
    Line::styled(keys, look.dim())
}

fn draw_help(look: Look, frame: &mut Frame<'_>) {
    let lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(key, what)| {
            Line::from(vec![Span::styled(format!("{key:<22}"), look.title()), Span::raw(*what)])
        })
        .chain([Line::default(), Line::styled("any key closes this", look.dim())])
        .collect();
    let area = frame.area();
    let (width, height) = (area.width.min(78), area.height.min(KEYS.len() as u16 + 4));
    let at = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, at);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), at);
}
