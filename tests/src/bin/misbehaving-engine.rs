//! Stands in for an engine that somebody has taken over, and does what an engine must not do. Its channel to the parent is
//! its standard input; its first argument says what to do, as `ROLE-WHAT`, a second one which file to wait for before it is
//! done. Once it is done, it does not go by itself.

use std::error::Error;
use std::future::pending;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use ipc::edit::EditPart;
use ipc::parent_control::{ControlToParent, Intent, ParentToControl};
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::{Attempt, Generation, Link, Message, PeerId, QueryId, Role};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let channel = std::io::stdin().as_fd().try_clone_to_owned()?;
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let file = arguments.next().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match what.split_once('-') {
            Some(("session", what)) => session(channel, what).await,
            Some(("rde", what)) => rde(channel, what).await,
            Some(("control", what)) => control(channel, what, &file).await,
            _ => Err(format!("{what:?} is nothing that it can do").into()),
        }
    })
}

async fn greeted<Tx: Message, Rx: Message>(
    channel: OwnedFd,
    role: Role,
) -> Result<Link<Tx, Rx>, Box<dyn Error>> {
    let mut link = Link::from_fd(channel, Role::Parent)?;
    link.greet(role).await?;
    Ok(link)
}

/// Octets as one datagram, past all that a link checks, with fds.
fn raw(channel: &OwnedFd, octets: &[u8], fds: &[i32]) -> Outcome {
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(channel.as_raw_fd(), &[IoSlice::new(octets)], rights, MsgFlags::empty(), None)?;
    Ok(())
}

async fn session(channel: OwnedFd, what: &str) -> Outcome {
    let mut link = greeted::<SessionToParent, ParentToSession>(channel.try_clone()?, Role::Session).await?;
    let connect = |n| SessionToParent::WantConnect { peer: PeerId(n), attempt: Attempt(1) };
    match what {
        // An fd along with a message that has none: the one that says `Staged`, by its number.
        "fds" => raw(&channel, &[0, 1], &[channel.as_raw_fd()])?,
        "many-fds" => raw(&channel, &[0, 1], &[channel.as_raw_fd(); 20])?,
        "out-of-state" => link.send(&SessionToParent::ShutdownDone { restarting: Vec::new() }).await?,
        // Before it was told to use a configuration.
        "connect-early" => link.send(&connect(1)).await?,
        "oversize" => raw(&channel, &vec![0; ipc::channel::MAX_DATAGRAM + 1], &[])?,
        // `ShutdownDone`, by its number, with a list of 2^60 peers in twelve octets.
        "huge-list" => raw(&channel, &[4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0], &[])?,
        "leftover" => raw(&channel, &[0, 1, 0, 0, 0], &[])?,
        "unasked" => {
            let report = ipc::report::Report::default();
            link.send(&SessionToParent::Pong { number: 77, report }).await?;
        }
        // To somebody whom the configuration does not name, once it is in force.
        "connect-elsewhere" => {
            serve_session(&mut link).await?;
            link.send(&connect(60_000)).await?;
        }
        // For a dynamic neighbor whose address is in no range.
        "outside" => {
            serve_session(&mut link).await?;
            link.send(&SessionToParent::WantPeer { address: [192, 0, 2, 1].into() }).await?;
        }
        // Without ever reading an answer.
        "connect-flood" => {
            let peer = serve_session(&mut link).await?;
            loop {
                link.send(&SessionToParent::WantConnect { peer, attempt: Attempt(1) }).await?;
            }
        }
        _ => return Err(format!("session can't {what}").into()),
    }
    pending().await
}

/// Does its duty until the configuration is in force; gives a peer of it. Shows what it was told, which is all that it can
/// know.
async fn serve_session(link: &mut Link<SessionToParent, ParentToSession>) -> Result<PeerId, Box<dyn Error>> {
    let (mut generation, mut peer) = (Generation(0), PeerId(0));
    loop {
        let message = link.recv().await?.message;
        println!("told: {message:?}");
        match message {
            ParentToSession::StageBegin { generation: of, .. } => generation = of,
            ParentToSession::StagePeers(peers) => peer = peers.first().map_or(peer, |p| p.id),
            ParentToSession::StageEnd => link.send(&SessionToParent::Staged(generation)).await?,
            ParentToSession::Commit(_) => break,
            _ => {}
        }
    }
    link.send(&SessionToParent::Committed(generation)).await?;
    Ok(peer)
}

async fn rde(channel: OwnedFd, what: &str) -> Outcome {
    // rde says that it is control.
    let role = if what == "wrong-hello" { Role::Control } else { Role::Rde };
    let mut link = greeted::<RdeToParent, ParentToRde>(channel.try_clone()?, role).await?;
    match what {
        "wrong-hello" => {}
        "garbage" => raw(&channel, &[0xff; 40], &[])?,
        // A number without its last octet.
        "truncated" => raw(&channel, &[0, 0x80], &[])?,
        // Can use what it was not asked about. Shows what it was told before that.
        "wrong-generation" => {
            loop {
                let message = link.recv().await?.message;
                println!("told: {message:?}");
                if matches!(message, ParentToRde::StageEnd) {
                    break;
                }
            }
            link.send(&RdeToParent::Staged(Generation(77))).await?;
        }
        _ => return Err(format!("rde can't {what}").into()),
    }
    pending().await
}

async fn control(channel: OwnedFd, what: &str, file: &str) -> Outcome {
    let mut link = greeted::<ControlToParent, ParentToControl>(channel.try_clone()?, Role::Control).await?;
    if what == "early-wish" {
        let intent = Intent::Shutdown { reason: "because I say so".into() };
        link.send(&ControlToParent::Intent { id: QueryId(1), intent }).await?;
        return pending().await;
    }
    let mut generation = Generation(0);
    loop {
        let message = link.recv().await?.message;
        println!("told: {message:?}");
        match message {
            ParentToControl::StageBegin { generation: of, .. } => generation = of,
            ParentToControl::StageEnd => link.send(&ControlToParent::Staged(generation)).await?,
            ParentToControl::Commit(_) => break,
            _ => {}
        }
    }
    link.send(&ControlToParent::Committed(generation)).await?;
    match what {
        // Says a second time that it is ready, once the file is there.
        "committed-twice" => {
            while !Path::new(file).exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            link.send(&ControlToParent::Committed(generation)).await?;
        }
        // A change with more octets than one may have.
        "endless-edit" => {
            while !matches!(link.recv().await?.message, ParentToControl::Listener { .. }) {}
            loop {
                let part = EditPart { id: QueryId(1), last: false, octets: vec![0xff; 60_000] };
                link.send(&ControlToParent::Edit(part)).await?;
            }
        }
        // Octets that are no change: a file name, as it were.
        "file-name" => {
            while !matches!(link.recv().await?.message, ParentToControl::Listener { .. }) {}
            let part = EditPart { id: QueryId(1), last: true, octets: b"/etc/shadow".to_vec() };
            link.send(&ControlToParent::Edit(part)).await?;
        }
        _ => return Err(format!("control can't {what}").into()),
    }
    pending().await
}
