//! What is printed, and how.

pub(crate) mod json;
pub(crate) mod table;
pub(crate) mod text;

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde_json::Value;

/// Standard output.
#[derive(Debug)]
pub(crate) struct Out {
    to: BufWriter<Stdout>,
    /// JSON is wanted.
    pub(crate) json: bool,
    /// Colours are welcome.
    pub(crate) color: bool,
    /// The terminal's width in columns; `None` where output goes elsewhere.
    pub(crate) width: Option<usize>,
}

impl Out {
    /// Looks at where output goes.
    pub(crate) fn new(json: bool, no_color: bool) -> Out {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let unwelcome = no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let width = terminal.then(|| usize::from(console::Term::stdout().size().1).max(40));
        Out { to: BufWriter::new(stdout), json, color: terminal && !unwelcome, width }
    }

    /// Prints a line.
    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.to, "{line}")
    }

    /// Prints text as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())
    }

    /// Prints a JSON document.
    pub(crate) fn document(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.to, value)?;
        self.to.write_all(b"\n")
    }

    /// Prints `message`, or the same as a JSON document: what a command that changes something has done.
    pub(crate) fn done(&mut self, message: &str) -> io::Result<()> {
        if self.json { self.document(&serde_json::json!({ "message": message })) } else { self.line(message) }
    }

    /// Prints what is still in the buffer.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
