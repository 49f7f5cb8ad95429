//! Colours by meaning, and numbers that fit.

use ratatui::style::{Color, Modifier, Style};

use super::events::Kind;
use crate::output::table::Paint;

/// Styles; without colours, what is wrong is bold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    color: bool,
}

impl Look {
    pub(super) fn new(color: bool) -> Look {
        Look { color }
    }

    fn fg(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.fg(Color::Green)
    }

    pub(super) fn wait(self) -> Style {
        self.fg(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn curve(self) -> Style {
        self.fg(Color::Cyan)
    }

    /// The style of the same meaning as in tables.
    pub(super) fn painted(self, paint: Paint) -> Style {
        match paint {
            Paint::Plain => Style::new(),
            Paint::Green => self.good(),
            Paint::Yellow => self.wait(),
            Paint::Red => self.bad(),
        }
    }

    pub(super) fn event(self, kind: Kind) -> Style {
        match kind {
            Kind::Good => self.good(),
            Kind::Bad => self.bad(),
            Kind::Note => self.wait(),
            Kind::Route => self.dim(),
        }
    }
}

/// A count in at most six characters: `1234`, `12.3k`, `1.18M`.
pub(super) fn count(n: u64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let value = n as f64;
    match UNITS.iter().find(|(least, _)| n >= 10_000 && value >= *least) {
        None => n.to_string(),
        Some((unit, letter)) => {
            let value = value / unit;
            let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
            format!("{value:.decimals$}{letter}")
        }
    }
}

/// A figure by the second: one decimal where that says something.
pub(super) fn rate(value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "-" } else { "" };
    match size {
        _ if size < 0.05 => "0".to_owned(),
        _ if size < 9.95 => format!("{sign}{size:.1}"),
        _ => format!("{sign}{}", count(size.round() as u64)),
    }
}

/// The text, cut to so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
