//! `top`: a dashboard that follows the daemon.
//!
//! `feed` asks the daemon, `model` keeps what it said, `keys` and `render` are what the user does and sees.

mod detail;
mod events;
mod feed;
mod keys;
mod look;
mod model;
mod render;
mod sessions;
mod terminal;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;

use crate::args::Args;
use crate::connect;
use crate::error::CliError;
use crate::output::Out;

/// Updates that may wait for the screen. Where it is full, the daemon is asked less often, and route events wait there.
const WAITING: usize = 1_000;
/// How often the screen is drawn anew though nothing came: ages go on.
const REDRAW: Duration = Duration::from_secs(1);

/// `top`.
pub(super) async fn run(args: Args, interval: Duration, out: &Out) -> Result<(), CliError> {
    if out.json {
        return Err(CliError::Usage(
            "top has no JSON; rustbgpctl -j neighbor, -j processes and -j metrics have its figures"
                .to_owned(),
        ));
    }
    terminal::check()?;
    let args = Arc::new(args);
    // Where the daemon is not there to begin with, the command fails as any other, with advice.
    let mut source = feed::Source::new(Arc::clone(&args), connect::connect(&args).await?);
    let first = source.ask().await?;
    let begun = Instant::now();
    let mut app = model::App::new(!out.colors_unwelcome);
    app.apply(model::Update::Snapshot(Box::new(first)));

    let (to, mut updates) = mpsc::channel(WAITING);
    tokio::spawn(feed::routes(args, to.clone()));
    tokio::spawn(source.run(interval, to));
    let mut keyboard = EventStream::new();
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()]
        .into_iter()
        .map(signal)
        .collect::<Result<Vec<_>, _>>()?;
    let [terminate, interrupt, hangup] = signals.as_mut_slice() else { return Ok(()) };
    let mut redraw = tokio::time::interval(REDRAW);

    let mut screen = terminal::Screen::take()?;
    let mut waiting = Vec::new();
    loop {
        screen.terminal.draw(|frame| render::draw(&mut app, begun.elapsed(), frame))?;
        tokio::select! {
            count = updates.recv_many(&mut waiting, WAITING) => {
                if count == 0 {
                    return Err(CliError::Failed("nobody asks the daemon any more".to_owned()));
                }
                waiting.drain(..).for_each(|u| app.apply(u));
            }
            event = keyboard.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if keys::press(&mut app, key) {
                        return Ok(());
                    }
                }
                // Another size, among others.
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(e.into()),
                // Nobody is there any more.
                None => return Ok(()),
            },
            _ = redraw.tick() => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        }
    }
}
