//! What was wrong with UPDATEs (RFC 7606): counted by kind, the last ones kept with their octets.

use bgp::attr::{Origin, PathAttribute};
use bgp::header::MessageType;
use bgp::{FaultKind, Verdict};
use ipc::control_rde::{ControlToRde, RdeToControl, Table};
use ipc::errors::{FaultCount, KEPT, MAX_OCTETS, PeerError, Wrong};
use ipc::{PeerId, QueryId};

use crate::rig::*;
use crate::{ONE, announcement, message, path, route, unknown};

async fn errors(rig: &mut Rig, peer: Option<PeerId>) -> (Vec<FaultCount>, Vec<PeerError>) {
    rig.queries.send(&ControlToRde::Errors { id: QueryId(4), peer }).await.unwrap();
    match rig.answer().await {
        RdeToControl::ErrorsReply { id: QueryId(4), counts, errors } => (counts, errors),
        other => panic!("{other:?}"),
    }
}

/// Attribute, kind, verdict and octets of an error.
fn shown(error: &PeerError) -> (u8, &'static str, Verdict, &[u8]) {
    match &error.what {
        Wrong::Update { attribute, kind, verdict, .. } => {
            (*attribute, FaultKind::NAMES[usize::from(*kind)], *verdict, &error.octets)
        }
        Wrong::Notification { .. } => panic!("{error:?}"),
    }
}

/// A route of peer 1 with this attribute in the place of the one of its type, or behind the others.
fn with(attribute: PathAttribute, code: u8) -> Vec<u8> {
    let next_hop = PathAttribute::NextHop([192, 0, 2, 1].into());
    let mut attributes = vec![PathAttribute::Origin(Origin::Igp), path(&[asn(1)]), next_hop];
    match usize::from(code) {
        n @ 1..=3 => attributes[n - 1] = attribute,
        _ => attributes.push(attribute),
    }
    announcement(attributes, "10.1.0.0/16")
}

#[tokio::test]
async fn malformed_updates_are_counted_and_kept_with_their_octets_beyond_the_session() {
    let mut rig = Rig::start(vec![peer(1), peer(2)]).await;
    let (one, two) = (source(1, 1), source(2, 1));
    rig.up(one).await;
    rig.up(two).await;
    assert_eq!(errors(&mut rig, Some(ONE)).await, (vec![], vec![]));
    let raw = |flags, code, value: &[u8]| PathAttribute::Unknown { flags, code, value: value.to_vec() };
    let table = Table::AdjRibIn(Some(ONE));
    // Each time the route that was there before is replaced or gone.
    let cases = [
        (raw(0x40, 1, &[9]), 1, vec![0x40, 1, 1, 9], "undefined_origin", Verdict::TreatAsWithdraw),
        (raw(0x40, 6, &[7]), 6, vec![0x40, 6, 1, 7], "attribute_length", Verdict::Discard),
        (raw(0xc0, 8, &[]), 8, vec![0xc0, 8, 0], "attribute_length", Verdict::TreatAsWithdraw),
        (
            path(&[65099, asn(1)]),
            2,
            vec![2, 2, 0, 0, 0xfe, 0x4b, 0, 0, 0xfd, 0xe9],
            "first_as",
            Verdict::TreatAsWithdraw,
        ),
    ];
    let mut expected = Vec::new();
    for (attribute, code, octets, kind, verdict) in cases {
        rig.taken_in(one, &route(1, "10.1.0.0/16")).await;
        rig.taken_in(one, &with(attribute, code)).await;
        let left = if verdict == Verdict::Discard { vec!["10.1.0.0/16"] } else { vec![] };
        assert_eq!(rig.prefixes(table).await, left, "{kind}");
        expected.push((code, kind, verdict, octets));
    }
    // One that ends the session: with the octets of the message, since no attribute is to blame.
    let body = [0, 0, 0xff, 0xff, 16, 10];
    rig.received(one, &message(MessageType::Update, &body)).await;
    assert_eq!(rig.notified().await.0, one);
    expected.push((0, "field_lengths", Verdict::Reset, body.to_vec()));
    rig.down(one).await;
    rig.up(source(1, 2)).await;
    let (counts, list) = errors(&mut rig, Some(ONE)).await;
    let list: Vec<_> = list.iter().map(shown).map(|(a, k, v, o)| (a, k, v, o.to_vec())).collect();
    assert_eq!(list, expected);
    let mut counted: Vec<_> =
        counts.iter().map(|c| (c.attribute, FaultKind::NAMES[usize::from(c.kind)], c.verdict)).collect();
    counted.sort_unstable_by_key(|c| c.0);
    let mut different: Vec<_> = expected.iter().map(|(a, k, v, _)| (*a, *k, *v)).collect();
    different.sort_unstable_by_key(|c| c.0);
    assert_eq!(counted, different);
    assert!(counts.iter().all(|c| c.count == 1), "{counts:?}");
    assert_eq!(errors(&mut rig, Some(PeerId(2))).await, (vec![], vec![]), "the other peer has made none");
    rig.logged("\"message\":\"malformed attribute\"").await;
    rig.logged("\"octets\":\"40010109\"").await;
    // All peers together, without the attributes.
    let (sum, list) = errors(&mut rig, None).await;
    let number = |name| FaultKind::NAMES.iter().position(|n| *n == name).unwrap();
    let lengths = sum.iter().filter(|c| usize::from(c.kind) == number("attribute_length"));
    assert_eq!(lengths.map(|c| c.count).sum::<u64>(), 2);
    assert_eq!((sum.iter().map(|c| c.count).sum::<u64>(), list), (5, vec![]));
}

/// Whatever a peer does wrong, little is kept of it.
#[tokio::test]
async fn what_is_kept_of_errors_is_bounded() {
    let mut rig = Rig::start(vec![peer(1)]).await;
    let one = source(1, 1);
    rig.up(one).await;
    // An unknown attribute twice: the second one is discarded. With each code, each time with more octets.
    let mut sent = Vec::new();
    for code in 36..=255 {
        let next_hop = PathAttribute::NextHop([192, 0, 2, 1].into());
        let second = PathAttribute::Unknown { flags: 0xc0, code, value: vec![code; 4 * usize::from(code)] };
        let attributes =
            vec![PathAttribute::Origin(Origin::Igp), path(&[asn(1)]), next_hop, unknown(0xc0, code), second];
        sent.push(announcement(attributes, "10.1.0.0/16"));
    }
    for some in sent.chunks(50) {
        rig.taken_in(one, &some.concat()).await;
    }
    let (counts, list) = errors(&mut rig, Some(ONE)).await;
    assert!(counts.len() < 150, "{}", counts.len());
    assert_eq!(counts.iter().map(|c| c.count).sum::<u64>(), 220);
    assert_eq!(list.len(), KEPT);
    for (error, code) in list.iter().zip(240_u8..=255) {
        let (attribute, kind, verdict, octets) = shown(error);
        assert_eq!((attribute, kind, verdict), (code, "duplicate_attribute", Verdict::Discard));
        // Flags, type and a length of two octets, and what fits.
        assert_eq!((octets[..2].to_vec(), octets.len()), (vec![0xd0, code], MAX_OCTETS));
        assert_eq!(error.len, 4 + 4 * u32::from(code));
    }
}
