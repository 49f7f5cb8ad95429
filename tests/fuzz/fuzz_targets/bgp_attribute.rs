//! Input: the context (one octet), flags, type code, then the value of one path attribute.
#![no_main]

use bgp::attr::{PathAttribute, code as codes, decode, flags as bits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((ctx, [flags, code, value @ ..])) = rustbgpd_fuzz::context(data) else { return };
    let Ok(attribute) = decode(*flags, *code, value, &ctx) else { return };
    // Twice this length must still fit an attribute; of AS4_PATH nothing may be left.
    let nothing_left = *code == codes::AS4_PATH
        && matches!(&attribute, PathAttribute::As4Path(path) if path.as_path().is_empty());
    if value.len() > 32_000 || nothing_left {
        return;
    }
    let mut out = Vec::new();
    attribute.encode(&mut out, ctx.four_octet_as);
    let [flags, code, rest @ ..] = &out[..] else { panic!("no head") };
    let value = &rest[if flags & bits::EXTENDED == 0 { 1 } else { 2 }..];
    assert_eq!(decode(*flags, *code, value, &ctx), Ok(attribute));
});
