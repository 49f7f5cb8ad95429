//! Input: the body of a NOTIFICATION.
#![no_main]

use bgp::Notification;
use bgp::header::HEADER_LEN;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(notification) = Notification::decode(data) else { return };
    assert!(!notification.to_string().chars().any(char::is_control));
    let message = notification.encode();
    assert!(message.len() <= bgp::MAX_MESSAGE);
    if data.len() <= bgp::MAX_MESSAGE - HEADER_LEN {
        assert_eq!(Notification::decode(&message[HEADER_LEN..]), Some(notification));
    }
});
