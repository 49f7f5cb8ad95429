//! A terminal of a host, by tmux: what a user types, and what the screen shows then.

use std::rc::Rc;

use crate::{Error, Host, Result, wait};

/// Sockets of tmux are in a folder of the host; its server ends with the host.
const SETTINGS: &str = "set -g default-terminal tmux-256color\nset -g status off\nset -g escape-time 0\n";

/// A shell in a terminal.
pub struct Terminal {
    host: Rc<Host>,
    name: String,
}

impl Terminal {
    /// Opens one of this size; the shell's prompt is `$ `.
    ///
    /// # Errors
    /// When tmux does not start.
    pub fn open(host: &Rc<Host>, name: &str, columns: u16, lines: u16) -> Result<Self> {
        let settings = host.write("tmux.conf", SETTINGS)?;
        let terminal = Terminal { host: host.clone(), name: name.into() };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let shell = "exec env -u NO_COLOR PS1='$ ' sh";
        terminal.tmux(&[
            "-f",
            &settings,
            "new-session",
            "-d",
            "-s",
            name,
            "-x",
            &columns,
            "-y",
            &lines,
            shell,
        ])?;
        terminal.wait("a prompt", |screen| screen.starts_with('$'))?;
        Ok(terminal)
    }

    fn tmux(&self, args: &[&str]) -> Result<String> {
        let begin = ["env", "TMUX_TMPDIR=/run/lab", "tmux", "-u", "-L", &self.name];
        self.host.run(&begin.iter().chain(args).copied().collect::<Vec<_>>())
    }

    /// Types text.
    ///
    /// # Errors
    /// When the terminal is not there any more.
    pub fn text(&self, text: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", text]).map(drop)
    }

    /// Types a key by its name in tmux: `Enter`, `Escape`, `C-c`.
    ///
    /// # Errors
    /// As for [`Terminal::text`].
    pub fn key(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", key]).map(drop)
    }

    /// Types a command.
    ///
    /// # Errors
    /// As for [`Terminal::text`].
    pub fn command(&self, line: &str) -> Result<()> {
        self.text(line)?;
        self.key("Enter")
    }

    /// What the screen shows.
    ///
    /// # Errors
    /// As for [`Terminal::text`].
    pub fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    /// What the screen shows, with the escape sequences of its colours.
    ///
    /// # Errors
    /// As for [`Terminal::text`].
    pub fn colored(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Gives it another size.
    ///
    /// # Errors
    /// As for [`Terminal::text`].
    pub fn resize(&self, columns: u16, lines: u16) -> Result<()> {
        let (columns, lines) = (columns.to_string(), lines.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &lines]).map(drop)
    }

    /// Waits until the screen is as wanted, and gives it.
    ///
    /// # Errors
    /// When it is not within 15 seconds; the message has the screen.
    pub fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let outcome = wait(what, 15, || Ok(wanted(&self.screen()?)));
        let screen = self.screen()?;
        outcome.map(|()| screen.clone()).map_err(|e| Error::new(format!("{e}\n{screen}")))
    }

    /// Waits until the screen shows this, and gives the screen.
    ///
    /// # Errors
    /// As for [`Terminal::wait`].
    pub fn shows(&self, text: &str) -> Result<String> {
        self.wait(text, |screen| screen.contains(text))
    }
}
