//! Input: the body of a ROUTE-REFRESH.
#![no_main]

use bgp::header::HEADER_LEN;
use bgp::refresh::{RouteRefresh, Subtype};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.len() > bgp::MAX_EXTENDED_MESSAGE - HEADER_LEN {
        return;
    }
    match RouteRefresh::decode(data) {
        Ok(refresh) => assert_eq!(RouteRefresh::decode(&refresh.encode()[HEADER_LEN..]), Ok(refresh)),
        Err(notification) => assert_eq!((notification.code, notification.subcode), (7, 1)),
    }
    // From a speaker without subtypes.
    match RouteRefresh::decode_request(data) {
        Ok(request) => assert_eq!(request.subtype, Subtype::Request),
        Err(notification) => assert_eq!((notification.code, notification.subcode), (1, 2)),
    }
});
