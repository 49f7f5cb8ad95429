//! A stand-in for an engine, started by the tests of this crate: enters the sandbox as the role that its
//! first argument names, says so on its channel, does what its second argument names, and ends with the
//! error number, 0 where it succeeded.
#![expect(unsafe_code, reason = "makes system calls that no safe interface makes with such arguments")]

use std::ffi::c_long;
use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, ExitCode};

use ipc::Role;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// The sandbox could not be entered.
const NOT_ENTERED: u8 = 200;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let role = match arguments.next().as_deref() {
        Some("session") => Role::Session,
        Some("rde") => Role::Rde,
        _ => Role::Control,
    };
    let parent = match sandbox::enter(role) {
        Ok(parent) => parent,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::from(NOT_ENTERED);
        }
    };
    tracing::info!(role = role.name(), "entered");
    let said = nix::unistd::write(&parent, b"entered").map(drop).map_err(io::Error::from);
    let done = said.and_then(|()| act(arguments.next().as_deref().unwrap_or_default(), &parent));
    ExitCode::from(match done {
        Ok(()) => 0,
        Err(e) => e.raw_os_error().and_then(|n| u8::try_from(n).ok()).unwrap_or(u8::MAX),
    })
}

const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

/// Threads that are woken, wake a runtime, and end.
fn threads() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (out, mut results) = tokio::sync::mpsc::unbounded_channel();
    let threads = (0..4).map(|n| {
        let (tx, rx) = std::sync::mpsc::channel::<u32>();
        let out = out.clone();
        let work = move || rx.iter().all(|k| out.send(vec![k; 100_000].len()).is_ok());
        let thread = std::thread::Builder::new().name(format!("worker-{n}")).spawn(work)?;
        if (0..10).all(|k| tx.send(k).is_ok()) { Ok(thread) } else { Err(io::Error::other("a thread ended")) }
    });
    let threads: Vec<_> = threads.collect::<io::Result<_>>()?;
    drop(out);
    let mut sum = 0;
    runtime.block_on(async {
        while let Some(n) = results.recv().await {
            sum += n;
        }
    });
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a thread panicked"))?;
    }
    if sum == 4_000_000 { Ok(()) } else { Err(io::Error::other("work is missing")) }
}

fn act(what: &str, parent: &OwnedFd) -> io::Result<()> {
    let fd = c_long::from(parent.as_raw_fd());
    match what {
        "return" => Ok(()),
        "panic" => panics(),
        "abort" => std::process::abort(),
        "allocate" => {
            // Small and large, grown and given back.
            let mut all: Vec<Vec<u8>> = (0..2000).map(|n| vec![1; n * 100]).collect();
            all.iter_mut().for_each(|v| v.resize(v.len() * 3, 2));
            drop(all);
            Ok(())
        }
        // Until the parent closes its end.
        "wait" => {
            fcntl(parent, FcntlArg::F_SETFL(OFlag::empty()))?;
            nix::unistd::read(parent, &mut [0; 16]).map(drop).map_err(Into::into)
        }
        "open a file" => File::open("/").map(drop),
        "make a socket" => UdpSocket::bind("127.0.0.1:0").map(drop),
        "start a thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        "work in threads" => threads(),
        "grow and shrink in a thread" => {
            // Pieces small enough to come from a heap and not from the kernel one by one.
            let work = || drop((0..300).map(|_| vec![1; 100_000]).collect::<Vec<Vec<u8>>>());
            let thread = std::thread::Builder::new().spawn(work)?;
            thread.join().map_err(|_| io::Error::other("the thread panicked"))
        }
        "open a file in a thread" => {
            let thread = std::thread::Builder::new().spawn(|| File::open("/").map(drop))?;
            thread.join().map_err(|_| io::Error::other("the thread panicked"))?
        }
        "panic in a thread" => {
            let thread = std::thread::Builder::new().spawn(|| panics())?;
            if thread.join().is_err() { Ok(()) } else { Err(io::Error::other("it did not")) }
        }
        "abort in a thread" => {
            let thread = std::thread::Builder::new().spawn(|| std::process::abort())?;
            thread.join().map_err(|_| io::Error::other("the thread panicked"))
        }
        "fork" => {
            // SAFETY: the child, if there is one, ends at once.
            match unsafe { libc::fork() } {
                -1 => Err(io::Error::last_os_error()),
                // SAFETY: ends the process without running anything of it.
                0 => unsafe { libc::_exit(0) },
                _ => Ok(()),
            }
        }
        "clone into a network of its own" => {
            let flags = THREAD | libc::CLONE_NEWNET;
            call(libc::SYS_clone, [flags.into(), 0, 0, 0])
        }
        "start a program" => Command::new("/bin/true").status().map(drop),
        "connect" => call(libc::SYS_connect, [fd, 0, 0, 0]),
        "bind" => call(libc::SYS_bind, [fd, 0, 0, 0]),
        "listen" => call(libc::SYS_listen, [fd, 1, 0, 0]),
        "accept" => call(libc::SYS_accept4, [fd, 0, 0, 0]),
        "send to an address" => {
            // SAFETY: the address is not in this process, which the kernel answers with an error.
            let sent = unsafe { libc::syscall(libc::SYS_sendto, fd, 0, 0, 0, 1, 16) };
            if sent == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
        }
        "fast open" => call(libc::SYS_sendmsg, [fd, 0, libc::MSG_FASTOPEN.into(), 0]),
        "set a TCP-MD5 key" => set(fd, libc::IPPROTO_TCP, libc::TCP_MD5SIG),
        "set a least TTL" => set(fd, libc::IPPROTO_IP, libc::IP_MINTTL),
        "ask for a SYN" => {
            call(libc::SYS_getsockopt, [fd, libc::IPPROTO_TCP.into(), libc::TCP_SAVED_SYN.into(), 0])
        }
        "ask for a TCP state" => {
            call(libc::SYS_getsockopt, [fd, libc::IPPROTO_TCP.into(), libc::TCP_INFO.into(), 0])
        }
        "ask who is at the other end" => {
            call(libc::SYS_getsockopt, [fd, libc::SOL_SOCKET.into(), libc::SO_PEERGROUPS.into(), 0])
        }
        "attach a filter" => set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
        "map executable memory" => {
            let protection = libc::PROT_READ | libc::PROT_EXEC;
            call(libc::SYS_mmap, [0, 4096, protection.into(), libc::MAP_ANONYMOUS.into()])
        }
        "trace" => call(libc::SYS_ptrace, [0, 0, 0, 0]),
        "signal the parent" => call(libc::SYS_kill, [c_long::from(nix::unistd::getppid().as_raw()), 0, 0, 0]),
        "signal the first process" => call(libc::SYS_tgkill, [1, 1, 0, 0]),
        "ring" => call(libc::SYS_io_uring_setup, [1, 0, 0, 0]),
        _ => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
    }
}

#[expect(clippy::panic, reason = "the test wants to see one")]
fn panics() -> ! {
    panic!("as told")
}

fn set(fd: c_long, level: i32, name: i32) -> io::Result<()> {
    call(libc::SYS_setsockopt, [fd, level.into(), name.into(), 0])
}

/// A system call without pointers that it could follow.
fn call(number: c_long, arguments: [c_long; 4]) -> io::Result<()> {
    let [a, b, c, d] = arguments;
    // SAFETY: all pointers are null, which the kernel answers with an error; nothing of ours is touched.
    let done = unsafe { libc::syscall(number, a, b, c, d, 0, 0) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
