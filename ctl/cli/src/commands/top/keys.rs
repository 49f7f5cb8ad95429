//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{App, SORTS, Sort, View};

/// What there is to press, and what for.
pub(super) const KEYS: [(&str, &str); 12] = [
    ("up, down, j, k", "select a session; scroll"),
    ("page up, page down", "ten at once"),
    ("home, end, g, G", "the first, the last"),
    ("enter", "everything about the selected neighbor"),
    ("n, p", "there: the next, the one before"),
    ("s, S", "sort by the next column, by the one before"),
    ("r", "reverse the order"),
    ("/", "filter by address, AS, state, description, group; enter keeps it"),
    ("e", "all events"),
    ("t", "events with or without routes"),
    ("esc", "back; ends a filter"),
    ("q, ctrl-c", "quit"),
];

/// How far a page goes.
const PAGE: isize = 10;

/// What a key does. True: the end.
pub(super) fn press(app: &mut App, key: KeyEvent) -> bool {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return key.code == KeyCode::Char('c');
    }
    if app.typing {
        type_filter(app, key.code);
        return false;
    }
    if app.help {
        app.help = false;
        return key.code == KeyCode::Char('q');
    }
    match key.code {
        KeyCode::Char('q') => return true,
        KeyCode::Char('h' | '?') => app.help = true,
        KeyCode::Char('t') => app.log.without_routes = !app.log.without_routes,
        KeyCode::Char('e') if !matches!(app.view, View::Events { .. }) => {
            app.view = View::Events { line: 0 };
        }
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Char('e') if app.view != View::Sessions => {
            app.view = View::Sessions;
        }
        code => match app.view.clone() {
            View::Sessions => sessions(app, code),
            View::Neighbor { address, line } => neighbor(app, address, line, code),
            View::Events { line } => app.view = View::Events { line: scrolled(line, code) },
        },
    }
    false
}

fn sessions(app: &mut App, code: KeyCode) {
    match code {
        KeyCode::Enter | KeyCode::Right => show_selected(app),
        KeyCode::Char('/') => app.typing = true,
        KeyCode::Esc => app.filter.clear(),
        KeyCode::Char('s') => sort(app, 1),
        KeyCode::Char('S') => sort(app, SORTS.len() - 1),
        KeyCode::Char('r') => app.reversed = !app.reversed,
        code => {
            if let Some(by) = moved(code) {
                app.select(by);
            }
        }
    }
}

fn neighbor(app: &mut App, address: String, line: u16, code: KeyCode) {
    match code {
        KeyCode::Left => app.view = View::Sessions,
        KeyCode::Char('n') => other(app, 1),
        KeyCode::Char('p') => other(app, -1),
        code => {
            let line = scrolled(line.into(), code);
            app.view = View::Neighbor { address, line: u16::try_from(line).unwrap_or(u16::MAX) };
        }
    }
}

fn other(app: &mut App, by: isize) {
    app.select(by);
    show_selected(app);
}

fn show_selected(app: &mut App) {
    // Where nothing was selected yet, the first is.
    app.select(0);
    if let Some(address) = app.selected.clone() {
        app.view = View::Neighbor { address, line: 0 };
    }
}

fn sort(app: &mut App, by: usize) {
    let at = SORTS.iter().position(|s| *s == app.sort).unwrap_or(0);
    app.sort = SORTS.get((at + by) % SORTS.len()).copied().unwrap_or(Sort::Address);
    app.reversed = false;
}

fn type_filter(app: &mut App, code: KeyCode) {
    match code {
        KeyCode::Enter => app.typing = false,
        KeyCode::Esc => {
            app.typing = false;
            app.filter.clear();
        }
        KeyCode::Backspace => {
            app.filter.pop();
        }
        KeyCode::Char(c) => app.filter.push(c),
        _ => {}
    }
}

fn moved(code: KeyCode) -> Option<isize> {
    Some(match code {
        KeyCode::Down | KeyCode::Char('j') => 1,
        KeyCode::Up | KeyCode::Char('k') => -1,
        KeyCode::PageDown => PAGE,
        KeyCode::PageUp => -PAGE,
        KeyCode::End | KeyCode::Char('G') => isize::MAX,
        KeyCode::Home | KeyCode::Char('g') => isize::MIN,
        _ => return None,
    })
}

/// Beyond the end is corrected when the end is known.
fn scrolled(line: usize, code: KeyCode) -> usize {
    moved(code).map_or(line, |by| line.saturating_add_signed(by))
}
