//! Input: whether messages are extended (one octet), then the 19 octets of a header.
#![no_main]

use bgp::header::{self, HEADER_LEN};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((extended, rest)) = data.split_first() else { return };
    let Some(bytes) = rest.first_chunk::<HEADER_LEN>() else { return };
    let max = if extended & 1 != 0 { bgp::MAX_EXTENDED_MESSAGE } else { bgp::MAX_MESSAGE };
    match header::parse(bytes, max) {
        Ok(header) => assert!((HEADER_LEN..=max).contains(&usize::from(header.len))),
        Err(notification) => assert_eq!(notification.code, 1),
    }
});
