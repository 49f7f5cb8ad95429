//! The commands, a module each.

mod config;
mod daemon;
mod definition;
mod dynamic_neighbor;
mod errors;
mod explain;
mod generate;
mod inject;
mod neighbor;
mod neighbor_change;
mod objects;
mod owners;
mod policy_chain;
mod policy_test;
mod rib;
mod routes;
mod top;
mod watch;

use crate::args::{Args, Command};
use crate::connect::{self, Connection};
use crate::error::CliError;
use crate::output::Out;
use objects::Sets;

/// Carries out the command.
///
/// # Errors
/// See [`CliError`].
pub(crate) async fn run(args: Args, out: &mut Out) -> Result<(), CliError> {
    // What makes no sense is said whether the daemon runs or not.
    match &args.command {
        Command::Neighbor(n) => neighbor::check(n)?,
        Command::Rib(r) => rib::check(r)?,
        _ => {}
    }
    // Nor does what is about the command itself need a daemon.
    match &args.command {
        Command::Completions { shell } => return generate::completions(*shell, out),
        Command::Man { folder } => return generate::man(folder, out),
        // It connects by itself, again and again.
        Command::Top { interval } => {
            let interval = *interval;
            return top::run(args, interval, out).await;
        }
        _ => {}
    }
    let connection: Connection = connect::connect(&args).await?;
    match args.command {
        Command::Config(c) => config::run(connection, c, out).await,
        Command::Global => daemon::global(connection, out).await,
        Command::Health => daemon::health(connection, out).await,
        Command::Metrics => daemon::metrics(connection, out).await,
        Command::Processes => daemon::processes(connection, out).await,
        // Done above.
        Command::Completions { .. } | Command::Man { .. } | Command::Top { .. } => Ok(()),
        Command::MrtDump => daemon::mrt_dump(connection, out).await,
        Command::Shutdown { reason } => daemon::shutdown(connection, reason, out).await,
        Command::Neighbor(n) => neighbor::run(connection, n, out).await,
        Command::Policy(p) => objects::policy(connection, p.action, out).await,
        Command::NeighborSet(n) => objects::neighbor_set(connection, n.action, out).await,
        Command::PrefixSet(n) => objects::match_set(connection, Sets::Prefixes, n.action, out).await,
        Command::AsSet(n) => objects::match_set(connection, Sets::Asns, n.action, out).await,
        Command::CommunitySet(n) => objects::match_set(connection, Sets::Communities, n.action, out).await,
        Command::PeerGroup(g) => objects::peer_group(connection, g.action, out).await,
        Command::DynamicNeighbor(r) => dynamic_neighbor::run(connection, r, out).await,
        Command::PolicyChain(c) => policy_chain::run(connection, c, out).await,
        Command::Rib(r) => rib::run(connection, r, out).await,
        Command::Watch(w) => watch::run(connection, w, out).await,
    }
}
