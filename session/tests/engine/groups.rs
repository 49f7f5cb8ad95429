//! Who gets which of the runs that rde sends.

use ipc::control_session::PeerStatus;
use ipc::session_rde::{RdeToSessionBulk, Target};
use ipc::{GroupId, PeerId};

use crate::rig::{Rig, peer, update};

#[tokio::test]
async fn members_get_all_runs_but_those_that_are_not_for_them_in_order() {
    let mut rig = Rig::start(vec![peer(1), peer(2), peer(3)]).await;
    let mut sessions = Vec::new();
    for n in 1..=3 {
        sessions.push(rig.session(n, 90).await);
    }
    let (group, other) = (GroupId(7), GroupId(8));
    for (_, member) in &sessions {
        rig.bulk_tx.send(&RdeToSessionBulk::Join { group, member: *member }).await.unwrap();
    }
    let third = sessions[2].1;
    rig.bulk_tx.send(&RdeToSessionBulk::Join { group: other, member: third }).await.unwrap();
    let except = |n| Target::GroupExcept(group, PeerId(n));
    let targets = [
        except(1),
        except(2),
        except(2),
        Target::Group(group),
        except(3),
        except(1),
        except(99),
        // Between two pieces of the same group.
        Target::Group(other),
        Target::Peer(third),
        except(3),
        Target::Group(group),
        except(2),
    ];
    let updates: Vec<Vec<u8>> = (0..targets.len()).map(|n| update(60 + n, n as u8)).collect();
    let runs: Vec<(Target, &[u8])> = targets.iter().copied().zip(updates.iter().map(Vec::as_slice)).collect();
    rig.send(&runs).await;
    for (n, (speaker, source)) in (1..).zip(&mut sessions) {
        let is_for = |target: &Target| match *target {
            Target::Peer(to) => to == *source,
            Target::Group(of) => of == group || n == 3,
            Target::GroupExcept(_, but) => but != PeerId(n),
        };
        let expected: Vec<&Vec<u8>> =
            targets.iter().zip(&updates).filter(|(t, _)| is_for(t)).map(|(_, u)| u).collect();
        for update in &expected {
            assert_eq!(speaker.next_but_keepalives().await.unwrap().1, **update, "peer {n}");
        }
        let sent = |status: &PeerStatus| status.sent.update == expected.len() as u64;
        rig.until_status(PeerId(n), sent).await;
    }
}
