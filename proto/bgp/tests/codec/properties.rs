//! What holds for every message: what is written is read back; no octets whatever do harm; canonical form
//! does not depend on how a route was written.

use bgp::attr::canonical::{self, Canonical};
use bgp::attr::{self, PathAttribute};
use bgp::capability::Capability;
use bgp::header::{self, MessageType};
use bgp::nlri::Nlri;
use bgp::notification::Notification;
use bgp::open::Open;
use bgp::refresh::RouteRefresh;
use bgp::update::{ReadContext, UpdateBuilder, parse};
use bgp::{Family, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::mrt::assert_idempotent;
use crate::strategies;

/// The body of a message that we wrote; its header must be right.
fn body_of(message: &[u8], kind: MessageType) -> &[u8] {
    let header = header::parse(message[..19].try_into().unwrap(), 65535).unwrap();
    assert_eq!((usize::from(header.len), header.kind), (message.len(), kind));
    &message[19..]
}

/// Reads every attribute of a body into its typed form.
fn typed(body: &[u8], ctx: &ReadContext) -> Vec<PathAttribute> {
    let length = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let start = 2 + length(0);
    let mut rest = &body[start + 2..start + 2 + length(start)];
    let mut list = Vec::new();
    while !rest.is_empty() {
        let extended = rest[0] & 0x10 != 0;
        let (head, len) = if extended {
            (4, usize::from(u16::from_be_bytes([rest[2], rest[3]])))
        } else {
            (3, usize::from(rest[2]))
        };
        list.push(attr::decode(rest[0], rest[1], &rest[head..head + len], ctx).unwrap());
        rest = &rest[head + len..];
    }
    list
}

fn canonical_of(builder: &UpdateBuilder, ctx: &ReadContext) -> Vec<u8> {
    let bytes = builder.body(ctx.four_octet_as);
    let update = parse(&bytes, ctx).unwrap();
    let mut out = Vec::new();
    let summary = canonical::write(&update.attributes, ctx, &mut out);
    assert_eq!(summary, canonical::summarize(&out));
    out
}

/// Looks at everything that can be asked of an UPDATE.
pub(crate) fn examine_update(bytes: &[u8], ctx: &ReadContext) -> Option<Verdict> {
    let update = match parse(bytes, ctx) {
        Ok(update) => update,
        Err(n) => {
            assert_eq!(n.code, 3);
            assert!(n.encode().len() <= 4096 && n.subcode_name().is_some());
            return None;
        }
    };
    assert_ne!(update.verdict, Verdict::Reset);
    let worst = update.faults.iter().map(|f| f.verdict).max().unwrap_or_default();
    assert_eq!(worst, update.verdict);
    for fault in &update.faults {
        assert!(fault.range().end <= bytes.len() && !fault.to_string().is_empty());
    }
    let lists = [Some(update.withdrawn), Some(update.announced), update.mp_reach, update.mp_unreach];
    for nlri in lists.into_iter().flatten() {
        let path_id = nlri.has_path_ids();
        let octets: usize = nlri.iter().map(|(_, p)| bgp::nlri::encoded_len(p.prefix_len(), path_id)).sum();
        let unicast = matches!(nlri.family(), Family::Ipv4Unicast | Family::Ipv6Unicast);
        assert!(!unicast || octets == nlri.as_bytes().len(), "every prefix was seen");
    }
    let mut out = Vec::new();
    let summary = canonical::write(&update.attributes, ctx, &mut out);
    assert_eq!(summary, canonical::summarize(&out));
    assert!(out.len() <= 3 * bytes.len() + 8);
    assert_idempotent(&out);
    let _ = format!("{} {:?}", Canonical::new(&out).as_path(), update);
    Some(update.verdict)
}

fn examine(bytes: &[u8], ctx: &ReadContext) {
    if let Some(head) = bytes.first_chunk::<19>() {
        let _ = header::parse(head, 65535);
    }
    examine_update(bytes, ctx);
    if let Ok(open) = Open::decode(bytes) {
        assert_eq!(Open::decode(&open.encode()[19..]).unwrap(), open);
    }
    if let Some(n) = Notification::decode(bytes) {
        assert!(!n.to_string().chars().any(char::is_control));
    }
    if let Ok(refresh) = RouteRefresh::decode(bytes) {
        assert_eq!(RouteRefresh::decode(&refresh.encode()[19..]).unwrap(), refresh);
    }
    if let [flags, code, value @ ..] = bytes {
        let _ = attr::decode(*flags, *code, value, ctx);
        if let Ok(capability) = Capability::decode(*code, &value[..value.len().min(255)]) {
            let _ = capability.to_string();
        }
    }
    for family in Family::ALL {
        let _ = Nlri::parse(bytes, family, ctx.add_path.contains(family)).map(|n| n.iter().count());
    }
}

/// A change to octets: overwrite, insert, remove, cut off.
fn mutate(bytes: &mut Vec<u8>, (kind, at, value): (u8, prop::sample::Index, u8)) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    match kind % 4 {
        0 => bytes[at] = value,
        1 => bytes.insert(at, value),
        2 => drop(bytes.remove(at)),
        _ => bytes.truncate(at),
    }
}

fn mutations() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    // Overwriting keeps most of a message in place and gets further than the others.
    let kind = prop_oneof![6 => Just(0u8), 1 => 1..4u8];
    vec((kind, any::<prop::sample::Index>(), any::<u8>()), 1..6)
}

proptest! {
    #[test]
    fn open_encode_decode_encode(open in strategies::open()) {
        let message = open.encode();
        let read = Open::decode(body_of(&message, MessageType::Open)).unwrap();
        prop_assert_eq!(&read, &open);
        prop_assert_eq!(read.encode(), message);
    }

    #[test]
    fn notification_encode_decode_encode(n in strategies::notification()) {
        let message = n.encode();
        let read = Notification::decode(body_of(&message, MessageType::Notification)).unwrap();
        prop_assert_eq!(&read, &n);
        prop_assert_eq!(read.encode(), message);
    }

    #[test]
    fn refresh_encode_decode_encode(refresh in strategies::refresh()) {
        let message = refresh.encode();
        let read = RouteRefresh::decode(body_of(&message, MessageType::RouteRefresh)).unwrap();
        prop_assert_eq!(read, refresh);
        prop_assert_eq!(read.encode(), message);
    }

    #[test]
    fn update_encode_decode_encode((builder, ctx) in strategies::update()) {
        let message = builder.message(ctx.four_octet_as);
        let body = body_of(&message, MessageType::Update);
        let update = parse(body, &ctx).unwrap();
        prop_assert_eq!(update.verdict, Verdict::Accept, "{:?}", update.faults);
        let list = |nlri: Nlri<'_>| -> Vec<_> {
            nlri.iter().map(|(id, p)| (nlri.has_path_ids().then_some(id), p)).collect()
        };
        let read = UpdateBuilder {
            withdrawn: list(update.withdrawn),
            attributes: typed(body, &ctx),
            announced: list(update.announced),
        };
        prop_assert_eq!(&read, &builder);
        prop_assert_eq!(&read.message(ctx.four_octet_as), &message);
        for a in &builder.attributes {
            match a {
                PathAttribute::MpReach { next_hop, nlri, .. } => {
                    prop_assert_eq!(update.mp_next_hop, Some(*next_hop));
                    prop_assert_eq!(&list(update.mp_reach.unwrap()), nlri);
                }
                PathAttribute::MpUnreach { nlri, .. } => {
                    prop_assert_eq!(&list(update.mp_unreach.unwrap()), nlri);
                }
                PathAttribute::NextHop(a) => {
                    prop_assert_eq!(update.next_hop, Some(bgp::NextHop::V4(*a)));
                }
                other => prop_assert!(update.attributes.get(other.code()).is_some()),
            }
        }
    }

    #[test]
    fn canonical_form_does_not_depend_on_the_order(
        (builder, ctx) in strategies::update(), seed in any::<u64>()
    ) {
        let canonical = canonical_of(&builder, &ctx);
        assert_idempotent(&canonical);
        let mut other = builder.clone();
        let n = u64::try_from(other.attributes.len()).unwrap();
        for at in (1..other.attributes.len()).rev() {
            let with = seed.rotate_left(u32::try_from(at).unwrap()) % n;
            other.attributes.swap(at, usize::try_from(with).unwrap());
        }
        for attribute in &mut other.attributes {
            match attribute {
                PathAttribute::Communities(list) => { list.reverse(); list.push(list[0]); }
                PathAttribute::ExtendedCommunities(list) => { list.reverse(); list.push(list[0]); }
                PathAttribute::LargeCommunities(list) => { list.reverse(); list.push(list[0]); }
                _ => {}
            }
        }
        prop_assert_eq!(canonical_of(&other, &ctx), canonical);
    }

    #[test]
    fn no_octets_do_harm(bytes in vec(any::<u8>(), 0..200), ctx in strategies::context()) {
        examine(&bytes, &ctx);
    }

    #[test]
    fn no_changed_update_does_harm(
        (builder, ctx) in strategies::update(),
        other in strategies::context(),
        changes in mutations(),
    ) {
        let mut bytes = builder.body(ctx.four_octet_as);
        examine_update(&bytes, &other);
        changes.into_iter().for_each(|change| mutate(&mut bytes, change));
        examine_update(&bytes, &ctx);
    }

    #[test]
    fn no_changed_open_does_harm(open in strategies::open(), changes in mutations()) {
        let mut bytes = open.encode()[19..].to_vec();
        changes.into_iter().for_each(|change| mutate(&mut bytes, change));
        if let Ok(read) = Open::decode(&bytes) {
            prop_assert_eq!(Open::decode(&read.encode()[19..]).unwrap(), read);
        }
    }
}
