//! Input: a text that is read as a community, as a prefix with a range of lengths, and as an AS path. What can be
//! read is shown so that it reads as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{CommunityPattern, CommunityTest, PrefixRange, PrefixSet, parse_path};

fuzz_target!(|text: &str| {
    if let Ok(pattern) = text.parse::<CommunityPattern>() {
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
        let _: CommunityTest = [pattern].iter().collect();
    }
    if let Ok(range) = text.parse::<PrefixRange>() {
        assert_eq!(range.to_string().parse(), Ok(range));
        let set: PrefixSet = [range].iter().collect();
        assert_eq!(set.contains(range.prefix()), range.lengths().contains(&range.prefix().prefix_len()));
    }
    if let Ok(path) = parse_path(text) {
        assert_eq!(parse_path(&path.to_string()), Ok(path));
    }
});
