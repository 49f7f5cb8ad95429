//! The privileged parent: configuration, sockets, life of the engines. Reads its files, binds, begins
//! connections, starts programs; parses nothing that comes from the network.

mod backoff;
mod changes;
mod config;
mod edit;
mod engine;
mod folder;
mod intents;
mod listeners;
mod marker;
mod plan;
mod privileges;
mod processes;
mod pulse;
mod ready;
mod run;
mod sockets;
mod supervisor;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

/// As `--version` and the API show it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Ended with an error: a configuration that is not valid, a port in use ...
const FAILED: u8 = 1;
/// Arguments that make no sense.
const WRONG_USAGE: u8 = 2;

/// A BGP daemon in four processes.
#[derive(Debug, Parser)]
#[command(name = "rustbgpd", version = VERSION)]
struct Arguments {
    /// Configuration file.
    #[arg(default_value = "/etc/rustbgpd/config.toml")]
    config: PathBuf,
    /// Check the configuration file and exit: 0 = it is valid, 1 = it is not.
    #[arg(long)]
    check: bool,
    /// Say what a reload from CURRENT (the default file) to NEW would do: status 0 nothing, 1 something, 2 error.
    #[arg(long, value_name = "NEW")]
    #[arg(conflicts_with = "check")]
    diff: Option<PathBuf>,
    /// With --diff: as one JSON object.
    #[arg(long, requires = "diff")]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            // Nothing to be done about a closed terminal.
            let _ = e.print();
            let asked = matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(WRONG_USAGE) };
        }
    };
    if let Some(new) = &arguments.diff {
        return diff(new, &arguments.config, arguments.json);
    }
    if arguments.check {
        let check = config::check(&arguments.config);
        eprint!("{}", check.stderr);
        print!("{}", check.stdout);
        return ExitCode::from(check.status);
    }
    let loaded = match config::load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            eprint!("{}", diagnostics.for_stderr());
            return ExitCode::from(FAILED);
        }
    };
    match start(&loaded, &arguments.config) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The log may go elsewhere than the terminal that waits for an answer.
            tracing::error!(error, "cannot start");
            eprintln!("error: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// Prints what a reload would do.
fn diff(new: &Path, current: &Path, json: bool) -> ExitCode {
    let load = |path| {
        config::load(path).map_err(|diagnostics| {
            eprint!("{}", diagnostics.for_stderr());
            ExitCode::from(WRONG_USAGE)
        })
    };
    let (current, new) = match (load(current), load(new)) {
        (Ok(current), Ok(new)) => (current, new),
        (Err(status), _) | (_, Err(status)) => return status,
    };
    let changes = changes::Changes::between(&current.config, &new.config);
    if json {
        println!("{}", changes.to_json());
    } else {
        print!("{changes}");
    }
    ExitCode::from(u8::from(changes != changes::Changes::default()))
}

/// Runs the daemon; gives its exit status, or what kept it from starting.
fn start(loaded: &config::Loaded, path: &Path) -> Result<u8, String> {
    let telemetry = &loaded.config.telemetry;
    let format = telemetry.log_format.name().parse().map_err(|e: sandbox::LogError| e.to_string())?;
    sandbox::init_logging(format, telemetry.log_level.name()).map_err(|e| e.to_string())?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // One thread, the main one: the engines end with the thread that starts them.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(run::run(loaded, path.to_owned())).map_err(|e| e.to_string())
}
