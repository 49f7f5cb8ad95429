//! Input: family and add-path (one octet), then a list of prefixes.
#![no_main]

use bgp::Family;
use bgp::nlri::{Nlri, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let family = Family::ALL[usize::from(choice & 3)];
    let add_path = choice & 4 != 0;
    let Ok(nlri) = Nlri::parse(rest, family, add_path) else { return };
    let mut out = Vec::new();
    for (id, prefix) in nlri.iter() {
        write(&mut out, add_path.then_some(id), prefix);
    }
    if matches!(family, Family::Ipv4Unicast | Family::Ipv6Unicast) {
        assert_eq!(out.len(), rest.len());
        let again = Nlri::parse(&out, family, add_path).unwrap();
        assert!(nlri.iter().eq(again.iter()));
    }
});
