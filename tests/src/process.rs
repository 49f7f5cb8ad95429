//! Processes that run in a host.

use std::fs;
use std::process::{Child, ExitStatus};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Error, Host, Result, wait_for};

/// A process in a host, with its output in a log. Dropping it kills the process.
pub struct Proc {
    name: String,
    host: Rc<Host>,
    log: String,
    /// `nsenter`, which waits for the process and passes its status on.
    outer: Child,
    pid: Option<u32>,
    status: Option<ExitStatus>,
}

impl Proc {
    pub(crate) fn new(host: Rc<Host>, name: &str, log: String, outer: Child) -> Self {
        Proc { name: name.into(), host, log, outer, pid: None, status: None }
    }

    /// The host it runs in.
    pub fn host(&self) -> &Rc<Host> {
        &self.host
    }

    /// The process's id as seen from outside of the host.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn pid(&mut self) -> Result<u32> {
        if let Some(pid) = self.pid {
            return Ok(pid);
        }
        let outer = self.outer.id();
        let what = format!("a process id of {}", self.name);
        let pid = wait_for(&what, 5, || Ok(children_of(outer).first().copied()))?;
        self.pid = Some(pid);
        Ok(pid)
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.ended().is_none()
    }

    /// How it ended, or nothing while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.outer.try_wait().ok().flatten();
        }
        self.status
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    /// When it still runs after `seconds`; the message has its log.
    pub fn wait_end(&mut self, seconds: u64) -> Result<ExitStatus> {
        wait_for(&format!("{} to end", self.name), seconds, || Ok(self.ended()))
            .map_err(|e| Error::new(format!("{e}\n{}", self.log_tail())))
    }

    /// Sends a signal to the process itself.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let pid = self.pid()?;
        let send = |pid: u32| -> Result<()> {
            Ok(kill(Pid::from_raw(i32::try_from(pid).map_err(|e| e.to_string())?), signal)?)
        };
        send(pid)?;
        if signal == Signal::SIGCONT {
            // It stops with what it has started, and would not notice the end of that.
            send(self.outer.id())?;
        }
        Ok(())
    }

    /// Ends the process: asks, waits for ten seconds, kills.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM)?;
        self.wait_end(10).or_else(|_| self.kill())
    }

    /// Ends the process without asking.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::SIGKILL)?;
        self.wait_end(5)
    }

    /// All that it has written so far.
    pub fn log(&self) -> String {
        self.host.read(&self.log).unwrap_or_default()
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        tail(&self.log(), 3000).to_string()
    }

    /// Waits until the log has `text`.
    ///
    /// # Errors
    /// When it does not within `seconds`, or when the process ends before.
    pub fn wait_log(&mut self, text: &str, seconds: u64) -> Result<()> {
        let what = format!("{} to log {text:?}", self.name);
        let outcome = wait_for(&what, seconds, || {
            if self.log().contains(text) {
                return Ok(Some(true));
            }
            Ok(self.ended().map(|_| false))
        });
        match outcome {
            Ok(true) => Ok(()),
            Ok(false) => {
                Error::fail(format!("{} ended while waiting for {text:?}\n{}", self.name, self.log_tail()))
            }
            Err(e) => Error::fail(format!("{e}\n{}", self.log_tail())),
        }
    }

    /// Waits until `ready` is true, as long as the process lives.
    pub(crate) fn wait_ready(&mut self, mut ready: impl FnMut(&mut Self) -> Result<bool>) -> Result<()> {
        let what = format!("{} to answer", self.name);
        let outcome = wait_for(&what, 20, || {
            if let Some(status) = self.ended() {
                return Ok(Some(Err(status)));
            }
            Ok(ready(self)?.then_some(Ok(())))
        });
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => {
                Error::fail(format!("{} did not start ({status})\n{}", self.name, self.log_tail()))
            }
            Err(e) => Error::fail(format!("{e}\n{}", self.log_tail())),
        }
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        if self.ended().is_none() && self.kill().is_err() {
            let _ = self.outer.kill();
            let _ = self.outer.wait();
        }
    }
}

/// The last `octets` of a text, cut at the start of a line.
pub(crate) fn tail(text: &str, octets: usize) -> &str {
    let mut from = text.len().saturating_sub(octets);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}

/// Direct children of a process, from `/proc`.
pub fn children_of(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|&id| stat(id).is_some_and(|(_, parent)| parent == pid)).collect()
}

/// Whether a process exists and is not a zombie.
pub fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

/// How long the helpers of a host may run.
pub(crate) const RUN_LIMIT: Duration = Duration::from_secs(60);
