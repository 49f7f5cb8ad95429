//! Shards that have a thread of their own.

use std::io;
use std::sync::mpsc;

use tokio::sync::mpsc as wakes;

use crate::shard::{Command, Shard};
use crate::tables::FromShard;

/// Commands that a shard takes before it works on.
const COMMANDS: usize = 8;

/// Begins a shard's thread; what it says goes to `out`.
///
/// # Errors
/// Where the system gives no thread.
pub(crate) fn start(
    number: usize,
    shard: Shard,
    out: wakes::UnboundedSender<FromShard>,
) -> io::Result<mpsc::Sender<Command>> {
    let (tx, rx) = mpsc::channel();
    std::thread::Builder::new().name(format!("shard-{number}")).spawn(move || {
        let _all_or_none = AllOrNone;
        serve(number, shard, &rx, &out);
    })?;
    Ok(tx)
}

/// A shard that panics takes the process along, in every build: without it the tables are not whole, and the parent
/// starts all of them again.
struct AllOrNone;

impl Drop for AllOrNone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// The life of a shard's thread: ends with the engine.
fn serve(
    number: usize,
    mut shard: Shard,
    commands: &mpsc::Receiver<Command>,
    out: &wakes::UnboundedSender<FromShard>,
) {
    let mut busy = false;
    loop {
        if !busy {
            let Ok(command) = commands.recv() else { return };
            shard.handle(command);
        }
        for _ in 0..COMMANDS {
            match commands.try_recv() {
                Ok(command) => shard.handle(command),
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => return,
            }
        }
        busy = shard.work();
        let outputs = shard.take_outputs();
        if !outputs.is_empty() && out.send((number, outputs)).is_err() {
            return;
        }
    }
}
