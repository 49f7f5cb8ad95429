//! `setsockopt(2)` with any plain value.

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// Sets option `name` of `level` to the octets of `value`.
///
/// # Safety
/// `T` must be the type that the kernel expects for this option, with no padding that is left unset.
pub(crate) unsafe fn set<T>(socket: impl AsFd, level: i32, name: i32, value: &T) -> Result<(), Errno> {
    let len = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| Errno::EINVAL)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: pointer and length describe `value`, which lives until the call returns; the kernel only
    // reads it.
    let done = unsafe { libc::setsockopt(fd, level, name, std::ptr::from_ref(value).cast(), len) };
    Errno::result(done).map(drop)
}
