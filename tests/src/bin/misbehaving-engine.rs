//! Stands in for an engine and does what an engine must not do. Its channel to the parent is its standard
//! input; its argument says what to do, a second one which file to wait for before it is done. Once it is done,
//! it does not go by itself.

use std::error::Error;
use std::future::pending;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use ipc::parent_control::{ControlToParent, ParentToControl};
use ipc::parent_rde::{ParentToRde, RdeToParent};
use ipc::parent_session::{ParentToSession, SessionToParent};
use ipc::{Generation, Link, Message, Role};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let channel = std::io::stdin().as_fd().try_clone_to_owned()?;
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match what.as_str() {
            "wrong-hello" => wrong_hello(channel).await,
            "garbage" => garbage(channel).await,
            "fds" => fds(channel).await,
            "out-of-state" => out_of_state(channel).await,
            "committed-twice" => committed_twice(channel, &arguments.next().unwrap_or_default()).await,
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

/// rde says that it is control.
async fn wrong_hello(channel: OwnedFd) -> Outcome {
    let _link = greeted::<RdeToParent, ParentToRde>(channel.try_clone()?, Role::Control).await?;
    pending().await
}

/// rde sends octets that are no message.
async fn garbage(channel: OwnedFd) -> Outcome {
    let _link = greeted::<RdeToParent, ParentToRde>(channel.try_clone()?, Role::Rde).await?;
    nix::sys::socket::send(channel.as_raw_fd(), &[0xff; 40], MsgFlags::empty())?;
    pending().await
}

/// session sends an fd along with a message that has none: the one that says `Staged`, by its number, for
/// configuration 1.
async fn fds(channel: OwnedFd) -> Outcome {
    let _link = greeted::<SessionToParent, ParentToSession>(channel.try_clone()?, Role::Session).await?;
    let (message, fds) = ([0, 1], [channel.as_raw_fd()]);
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(channel.as_raw_fd(), &[IoSlice::new(&message)], &rights, MsgFlags::empty(), None)?;
    pending().await
}

/// session has done what nobody asked for.
async fn out_of_state(channel: OwnedFd) -> Outcome {
    let link = greeted::<SessionToParent, ParentToSession>(channel, Role::Session).await?;
    link.send(&SessionToParent::ShutdownDone { restarting: Vec::new() }).await?;
    pending().await
}

/// control does its duty until the file is there, and then says a second time that it is ready.
async fn committed_twice(channel: OwnedFd, file: &str) -> Outcome {
    let mut link = greeted::<ControlToParent, ParentToControl>(channel, Role::Control).await?;
    let mut generation = Generation(0);
    loop {
        match link.recv().await?.message {
            ParentToControl::StageBegin { generation: of, .. } => generation = of,
            ParentToControl::StageEnd => link.send(&ControlToParent::Staged(generation)).await?,
            ParentToControl::Commit(_) => break,
            _ => {}
        }
    }
    link.send(&ControlToParent::Committed(generation)).await?;
    while !Path::new(file).exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    link.send(&ControlToParent::Committed(generation)).await?;
    pending().await
}
