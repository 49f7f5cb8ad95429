//! What the parent asks of Linux and no safe library offers: TCP-MD5 keys, starting engines.
//! Only the parent links this: no engine holds code that could set a key.
#![expect(unsafe_code, reason = "setsockopt with structures of our own, and code between fork and exec")]

mod md5;
mod option;
mod spawn;

pub use md5::{KeyError, MAX_KEY_LEN, remove_md5_key, remove_md5_range_key, set_md5_key, set_md5_range_key};
pub use spawn::{CHANNEL_FD, engine_command};
