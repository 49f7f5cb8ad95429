//! `completions`, `man`: what shells and readers of manuals want to know of the command itself.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::aot;

use crate::args::{Args, Shell};
use crate::error::CliError;
use crate::output::Out;

/// `completions`.
pub(super) fn completions(shell: Shell, out: &mut Out) -> Result<(), CliError> {
    let shell = match shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    let mut script = Vec::new();
    aot::generate(shell, &mut Args::command(), "rustbgpctl", &mut script);
    Ok(out.text(&String::from_utf8_lossy(&script))?)
}

/// `man`.
pub(super) fn man(folder: &Path, out: &mut Out) -> Result<(), CliError> {
    let written = pages(folder);
    let pages = written.map_err(|e| CliError::Failed(format!("{}: {e}", folder.display())))?;
    Ok(out.done(&format!("{pages} manual pages are in {}", folder.display()))?)
}

fn pages(folder: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(folder)?;
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    page(&command, "rustbgpctl", folder)
}

/// The page of a command, and those of its own commands.
fn page(command: &clap::Command, name: &str, folder: &Path) -> io::Result<usize> {
    let title: &'static str = name.to_owned().leak();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone().name(title)).render(&mut text)?;
    std::fs::write(folder.join(format!("{name}.1")), text)?;
    let mut count = 1;
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        count += page(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(count)
}
