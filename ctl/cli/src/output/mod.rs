//! What is printed, and how.

pub(crate) mod json;
pub(crate) mod table;
pub(crate) mod text;

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde_json::Value;

use crate::error::CliError;

/// Standard output, or text that goes to the screen in another way.
#[derive(Debug)]
pub(crate) struct Out {
    to: To,
    /// JSON is wanted.
    pub(crate) json: bool,
    /// Colours are welcome, and it is a terminal.
    pub(crate) color: bool,
    /// Colours are not welcome, whatever it is.
    pub(crate) colors_unwelcome: bool,
    /// The terminal's width in columns; `None` where output goes elsewhere.
    pub(crate) width: Option<usize>,
}

/// Where it goes.
#[derive(Debug)]
enum To {
    Stdout(BufWriter<Stdout>),
    Memory(Vec<u8>),
}

impl Write for To {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            To::Stdout(to) => to.write(octets),
            To::Memory(to) => to.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            To::Stdout(to) => to.flush(),
            To::Memory(_) => Ok(()),
        }
    }
}

impl Out {
    /// Looks at where output goes.
    pub(crate) fn new(json: bool, no_color: bool) -> Out {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let unwelcome = no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let width = terminal.then(|| usize::from(console::Term::stdout().size().1).max(40));
        let to = To::Stdout(BufWriter::new(stdout));
        Out { to, json, color: terminal && !unwelcome, colors_unwelcome: unwelcome, width }
    }

    /// What `print` prints, for lines of this width. What it printed before an error counts.
    pub(crate) fn in_memory(width: usize, print: impl FnOnce(&mut Out) -> Result<(), CliError>) -> String {
        let to = To::Memory(Vec::new());
        let mut out = Out { to, json: false, color: false, colors_unwelcome: true, width: Some(width) };
        // Memory takes everything.
        let _ = print(&mut out);
        match out.to {
            To::Memory(text) => String::from_utf8_lossy(&text).into_owned(),
            To::Stdout(_) => String::new(),
        }
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

    /// Prints a JSON document in one line: one of many that make no list.
    pub(crate) fn record(&mut self, value: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut self.to, value)?;
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
