//! The end of a connection that got a NOTIFICATION: write it out, close our half, and read until the peer
//! closes its own, so that the peer reads the NOTIFICATION instead of meeting a reset.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::engine::ClosingGuard;

/// How long the last words may take to leave.
const FLUSH: Duration = Duration::from_secs(5);

/// How long the peer has to close its half.
const LINGER: Duration = Duration::from_secs(2);

/// Ends a connection in the background. `guards` are kept for as long as that takes.
pub(crate) fn close(guards: [ClosingGuard; 2], stream: TcpStream, last_words: Vec<u8>) {
    tokio::task::spawn_local(async move {
        finish(stream, &last_words).await;
        drop(guards);
    });
}

async fn finish(mut stream: TcpStream, last_words: &[u8]) {
    let flushed = timeout(FLUSH, async {
        stream.write_all(last_words).await?;
        stream.shutdown().await
    });
    if !matches!(flushed.await, Ok(Ok(()))) {
        return;
    }
    let mut sink = [0; 4096];
    // Whatever comes of it, the connection is closed afterwards.
    let _ = timeout(LINGER, async { while matches!(stream.read(&mut sink).await, Ok(1..)) {} }).await;
}
