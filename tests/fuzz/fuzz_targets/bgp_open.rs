//! Input: the body of an OPEN.
#![no_main]

use bgp::header::HEADER_LEN;
use bgp::open::Open;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(open) = Open::decode(data) else { return };
    for capability in &open.capabilities {
        let _ = capability.to_string();
    }
    // Many small capabilities may not fit one OPEN any more when they are written out.
    if data.len() < 4000 {
        let again = Open::decode(&open.encode()[HEADER_LEN..]);
        assert_eq!(again.as_ref(), Ok(&open));
    }
});
