//! The route decision engine: holds all routing state, parses UPDATEs, decides, and says what each peer is
//! sent.
//!
//! Privileges: none. No network, no files, only the channels that it was given.

mod arrivals;
mod config;
mod control;
mod counters;
mod deferral;
mod egress;
mod engine;
mod errors;
mod explain;
mod ingest;
mod inputs;
mod limits;
mod long_lived;
mod outbox;
mod owners;
mod peers;
mod policies;
mod refresh;
mod restart;
mod shard;
mod tables;
mod threads;
mod view;
mod watch;

use std::process::ExitCode;

use ipc::Role;

fn main() -> ExitCode {
    let parent = match sandbox::enter(Role::Rde) {
        Ok(fd) => fd,
        Err(error) => {
            eprintln!("rustbgpd-rde: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(engine::run(parent)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "rde ends");
            ExitCode::FAILURE
        }
    }
}
