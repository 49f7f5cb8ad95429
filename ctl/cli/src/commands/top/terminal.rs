//! The terminal, and that it is given back as it was, whatever happens.

use std::io::{self, IsTerminal};

use ratatui::DefaultTerminal;

use crate::error::CliError;

/// The terminal while the dashboard has it: raw, on the alternate screen.
pub(super) struct Screen {
    pub(super) terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal. A panic gives it back before it is reported.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn take() -> Result<Screen, CliError> {
        check()?;
        // Sets a panic hook as well: where a panic aborts, nothing is dropped.
        Ok(Screen { terminal: ratatui::try_init()? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Says what to do instead where there is no terminal.
pub(super) fn check() -> Result<(), CliError> {
    let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb" || t.is_empty());
    if io::stdout().is_terminal() && io::stdin().is_terminal() && !dumb {
        return Ok(());
    }
    Err(CliError::Failed(
        "top needs a terminal. For scripts: rustbgpctl -j neighbor, rustbgpctl -j processes, rustbgpctl metrics".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const ENVIRONMENT: &str = "RUSTBGPCTL_TEST_IN_A_TERMINAL";

    /// In a terminal made by script(1): this test once more, which takes the terminal and panics or returns; then
    /// what the terminal's settings are.
    fn in_a_terminal(how: &str) -> String {
        let test = std::env::current_exe().unwrap();
        let name = "commands::top::terminal::tests::the_terminal_is_given_back";
        let command = format!("{} --exact {name} --nocapture; stty -a", test.display());
        let output = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env(ENVIRONMENT, how)
            .env("TERM", "xterm")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn the_terminal_is_given_back() {
        if let Some(how) = std::env::var_os(ENVIRONMENT) {
            let screen = Screen::take().unwrap();
            assert!(how != "panic", "as it was asked to");
            drop(screen);
            return;
        }
        for how in ["panic", "return"] {
            let seen = in_a_terminal(how);
            let (entered, left) = ("\x1b[?1049h", "\x1b[?1049l");
            let (Some(from), Some(to)) = (seen.find(entered), seen.find(left)) else {
                panic!("{how}: {seen}")
            };
            assert!(from < to, "{how}: {seen}");
            assert!(seen.contains(" icanon ") && seen.contains(" echo "), "{how}: {seen}");
            let panicked = seen.find("as it was asked to");
            assert_eq!(panicked.is_some(), how == "panic", "{seen}");
            assert!(panicked.is_none_or(|at| at > to), "said on the ordinary screen: {seen}");
        }
    }
}
