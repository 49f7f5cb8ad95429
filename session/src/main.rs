//! `rustbgpd-session`: BGP sessions. Holds TCP connections, state machines and timers; unprivileged, opens
//! nothing itself: listeners and connections come from the parent, UPDATEs go unparsed to rde.

mod accept;
mod candidates;
mod closing;
mod config;
mod ended;
mod engine;
mod from_rde;
mod limits;
mod outbox;
mod peer;
mod rde_link;
mod receive;
mod run;
mod status;
mod stream;
mod tally;
mod tell;
mod to_rde;

use std::process::ExitCode;

use ipc::Role;

fn main() -> ExitCode {
    let parent = match sandbox::enter(Role::Session) {
        Ok(fd) => fd,
        Err(error) => {
            eprintln!("rustbgpd-session: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    match tokio::task::LocalSet::new().block_on(&runtime, run::run(parent)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "session engine stops");
            ExitCode::FAILURE
        }
    }
}
