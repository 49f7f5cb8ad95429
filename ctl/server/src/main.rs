//! rustbgpd-control: translates between clients of the control API and the other engines.
//!
//! Process: control. No capability, no files, no socket of its own making: it accepts on listeners that the
//! parent hands it, and owns no state that would be missed when it is restarted.

mod app;
mod auth;
mod authority;
mod connection;
mod convert;
mod edits;
mod engine;
mod error;
mod exposition;
mod files;
mod health;
mod inject;
mod listeners;
mod methods;
mod metrics;
mod page;
mod processes;
mod run;
mod services;
mod view;
mod watch;

use std::process::ExitCode;

use ipc::Role;

fn main() -> ExitCode {
    let parent = match sandbox::enter(Role::Control) {
        Ok(fd) => fd,
        Err(e) => {
            eprintln!("rustbgpd-control: {e}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run::run(parent));
    // What clients still wait for is not worth waiting for: `run` has given them their time.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "control ends");
            ExitCode::FAILURE
        }
    }
}
