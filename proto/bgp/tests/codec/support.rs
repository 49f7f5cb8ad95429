//! Raw UPDATEs for the tests.

use bgp::attr::write_attribute;
use bgp::update::ReadContext;
use bgp::{Family, FamilySet};

/// An attribute: flags, type code, value.
pub(crate) type Raw<'a> = (u8, u8, &'a [u8]);

/// A 4-octet AS external session with both unicast families.
pub(crate) fn external() -> ReadContext {
    ReadContext {
        four_octet_as: true,
        external: true,
        families: [Family::Ipv4Unicast, Family::Ipv6Unicast].into_iter().collect(),
        add_path: FamilySet::EMPTY,
    }
}

pub(crate) fn internal() -> ReadContext {
    ReadContext { external: false, ..external() }
}

pub(crate) fn two_octet() -> ReadContext {
    ReadContext { four_octet_as: false, ..external() }
}

/// The three fields of an UPDATE's body.
pub(crate) fn body(withdrawn: &[u8], attributes: &[u8], announced: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [withdrawn, attributes] {
        out.extend_from_slice(&u16::try_from(field.len()).unwrap().to_be_bytes());
        out.extend_from_slice(field);
    }
    out.extend_from_slice(announced);
    out
}

pub(crate) fn wire(attributes: &[Raw<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (flags, code, value) in attributes {
        write_attribute(&mut out, *flags, *code, value);
    }
    out
}

pub(crate) const ORIGIN: Raw<'static> = (0x40, 1, &[0]);
pub(crate) const AS_PATH: Raw<'static> = (0x40, 2, &[2, 1, 0, 0, 0xfd, 0xe9]);
pub(crate) const AS_PATH_2: Raw<'static> = (0x40, 2, &[2, 1, 0xfd, 0xe9]);
pub(crate) const NEXT_HOP: Raw<'static> = (0x40, 3, &[192, 0, 2, 1]);
pub(crate) const LOCAL_PREF: Raw<'static> = (0x40, 5, &[0, 0, 0, 100]);
/// 2001:db8::1 as the next hop of 2001:db8:1::/48.
pub(crate) const MP_REACH: Raw<'static> = (
    0x80,
    14,
    &[0, 2, 1, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 48, 0x20, 1, 0x0d, 0xb8, 0, 1],
);
/// 2001:db8:2::/48.
pub(crate) const MP_UNREACH: Raw<'static> = (0x80, 15, &[0, 2, 1, 48, 0x20, 1, 0x0d, 0xb8, 0, 2]);
/// 10.1.0.0/16.
pub(crate) const PREFIX: &[u8] = &[16, 10, 1];

/// The mandatory attributes of a session, with `attribute` in the place of the one of its type or behind
/// the others.
pub(crate) fn with<'a>(ctx: &ReadContext, attribute: Raw<'a>) -> Vec<Raw<'a>> {
    let mut list = mandatory(ctx);
    match list.iter_mut().find(|a| a.1 == attribute.1) {
        Some(place) => *place = attribute,
        None => list.push(attribute),
    }
    list
}

/// The attributes that an announcement on such a session must have.
pub(crate) fn mandatory(ctx: &ReadContext) -> Vec<Raw<'static>> {
    let path = if ctx.four_octet_as { AS_PATH } else { AS_PATH_2 };
    let mut list = vec![ORIGIN, path, NEXT_HOP];
    if !ctx.external {
        list.push(LOCAL_PREF);
    }
    list
}
