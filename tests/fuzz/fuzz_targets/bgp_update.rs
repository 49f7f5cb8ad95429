//! Input: the context (one octet), then the body of an UPDATE.
#![no_main]

use bgp::Verdict;
use bgp::attr::canonical::{self, Canonical};
use bgp::update::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((ctx, body)) = rustbgpd_fuzz::context(data) else { return };
    // Longer ones cannot come.
    if body.len() > bgp::MAX_EXTENDED_MESSAGE {
        return;
    }
    let update = match parse(body, &ctx) {
        Ok(update) => update,
        Err(notification) => {
            assert_eq!(notification.code, 3);
            assert!(notification.encode().len() <= bgp::MAX_MESSAGE);
            return;
        }
    };
    assert!(update.verdict < Verdict::Reset);
    for fault in &update.faults {
        assert!(fault.range().end <= body.len());
        let _ = fault.to_string();
    }
    for nlri in [Some(update.withdrawn), Some(update.announced), update.mp_reach, update.mp_unreach] {
        for (_, prefix) in nlri.iter().flat_map(|n| n.iter()) {
            assert_eq!(prefix, prefix.trunc(), "host bits are cleared");
        }
    }
    let mut out = Vec::new();
    let summary = canonical::write(&update.attributes, &ctx, &mut out);
    assert_eq!(summary, canonical::summarize(&out));
    assert!(out.len() <= 3 * body.len() + 8);
    let canonical = Canonical::new(&out);
    let _ = canonical.as_path().to_string();
    assert!(canonical.iter().map(|a| a.code).is_sorted_by(|a, b| a < b));
    assert!(canonical.communities().is_sorted_by(|a, b| a < b));
});
