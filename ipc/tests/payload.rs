//! Payloads stay as they were sent, however long they are kept and whatever is received after them.

use bytes::Bytes;
use ipc::session_rde::{RdeToSessionBulk, Run, SessionToRdeBulk, Target};
use ipc::{GroupId, Link, Role, channel};

#[tokio::test]
async fn payloads_are_kept_while_others_are_received() {
    let (ours, theirs) = channel::pair().unwrap();
    let tx = Link::<RdeToSessionBulk, SessionToRdeBulk>::from_fd(ours, Role::Session).unwrap();
    let (tx, _other) = tx.split();
    let mut rx = Link::<SessionToRdeBulk, RdeToSessionBulk>::from_fd(theirs, Role::Rde).unwrap();
    let mut kept: Vec<(u8, Bytes)> = Vec::new();
    for n in 0..200_u8 {
        // Small ones, full batches, and what lies between.
        let len = [1, 600, 20_000, 33_000, 64 * 1024, 100_000][usize::from(n) % 6];
        let runs = vec![Run { of: Target::Group(GroupId(u32::from(n))), len }];
        let payload = vec![n; len as usize];
        tx.send_with_payload(&RdeToSessionBulk::Send(runs.clone()), &[&payload]).await.unwrap();
        let received = rx.recv().await.unwrap();
        assert_eq!(received.message, RdeToSessionBulk::Send(runs));
        assert_eq!(received.payload, payload);
        kept.push((n, received.payload.slice(len as usize / 3..)));
        if n % 3 == 0 {
            // Some go early, so that what they were in is used again.
            kept.remove(kept.len() / 2);
        }
    }
    for (n, part) in kept {
        assert!(!part.is_empty() && part.iter().all(|octet| *octet == n), "{n}");
    }
}
