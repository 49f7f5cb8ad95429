//! rustbgpctl: the command line client of the control API. An ordinary gRPC client without privileges.

mod args;
mod commands;
mod connect;
mod error;
mod mrt;
mod output;
mod parse;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::error::CliError;
use crate::output::Out;

/// Exit status of a command that failed.
const FAILED: u8 = 1;
/// Exit status of a command line that makes no sense; the same as clap's.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => match args::not_yet(&e) {
            Some(why) => {
                eprintln!("rustbgpctl: {why}");
                return ExitCode::from(FAILED);
            }
            None => e.exit(),
        },
    };
    let mut out = Out::new(args.json, args.no_color);
    let result = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(commands::run(args, &mut out));
            // A reader of a file that nobody waits for any more must not hold the exit up.
            runtime.shutdown_background();
            result
        }
        Err(e) => Err(e.into()),
    };
    match result.and_then(|()| out.flush().map_err(CliError::from)) {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads has seen enough, as in `rustbgpctl rib | head`.
        Err(CliError::Output(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            // What was printed before belongs before the error; if it cannot be printed, the error says more.
            let _ = out.flush();
            eprintln!("rustbgpctl: {e}");
            ExitCode::from(if matches!(e, CliError::Usage(_)) { WRONG_USAGE } else { FAILED })
        }
    }
}
