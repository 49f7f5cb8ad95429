//! The graceful-restart marker: what an orderly end tells the next start (RFC 4724 §4.1). It names the peers that keep
//! our routes, and until when. A start that finds it takes it away before anything else, so that it counts once.
//!
//! Only the parent reads and writes it, in a folder that no engine can write to.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use toml::de::{DeTable, DeValue};

const NAME: &str = "gr-restart.toml";

/// Nobody keeps routes for longer: 12 bits of seconds.
const LONGEST: u64 = 4095;

/// More than the addresses of all peers that there can be.
const LARGEST: u64 = 4 << 20;

/// Where the marker is.
#[derive(Debug)]
pub(crate) struct Marker {
    path: PathBuf,
}

/// What a marker said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Restarted {
    /// Peers that keep our routes.
    pub(crate) peers: Vec<IpAddr>,
    /// For how long still, at least 1.
    pub(crate) seconds_left: u16,
}

impl Marker {
    /// The marker in this folder.
    pub(crate) fn new(folder: &Path) -> Marker {
        Marker { path: folder.join(NAME) }
    }

    /// Reads the marker and removes it. `None` where there is none that counts; a first start finds none.
    pub(crate) fn take(&self, now: SystemTime) -> Option<Restarted> {
        let path = self.path.display();
        let read = self.read();
        if matches!(&read, Err(e) if e.kind() == io::ErrorKind::NotFound) {
            return None;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            // It would count again and again.
            tracing::warn!(%path, %error, "GR restart marker ignored: it cannot be removed");
            return None;
        }
        let outcome = read.map_err(|e| e.to_string()).and_then(|text| understand(&text, now));
        match outcome {
            Ok(restarted) => {
                let (peers, seconds_left) = (restarted.peers.len(), restarted.seconds_left);
                tracing::info!(%path, peers, seconds_left, "GR restart marker read: this is a graceful restart");
                Some(restarted)
            }
            Err(why) => {
                tracing::warn!(%path, why, "GR restart marker ignored");
                None
            }
        }
    }

    fn read(&self) -> io::Result<String> {
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(&self.path)?;
        io::read_to_string(io::Read::take(file, LARGEST))
    }

    /// Writes it, for peers that keep our routes for `window` seconds from now on.
    pub(crate) fn leave(&self, peers: &[IpAddr], window: u16, now: SystemTime) {
        let path = self.path.display();
        match self.write(&text(peers, window, now)) {
            Ok(()) => tracing::info!(%path, peers = peers.len(), window, "GR restart marker written"),
            Err(error) => tracing::warn!(%path, %error, "GR restart marker cannot be written"),
        }
    }

    /// In one piece, or not at all.
    fn write(&self, text: &str) -> io::Result<()> {
        let new = self.path.with_extension("new");
        // What is left of an attempt that failed.
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

fn text(peers: &[IpAddr], window: u16, now: SystemTime) -> String {
    let written = seconds(now);
    let list: Vec<String> = peers.iter().map(|p| format!("\"{p}\"")).collect();
    format!(
        "# Written by rustbgpd at its end, read and removed at its next start. Times are Unix seconds.\n\
         written = {written}\nexpires = {}\npeers = [{}]\n",
        written + u64::from(window),
        list.join(", ")
    )
}

/// # Errors
/// Why it does not count.
fn understand(text: &str, now: SystemTime) -> Result<Restarted, String> {
    let table = DeTable::parse(text).map_err(|e| e.message().to_owned())?;
    let table = table.get_ref();
    let number = |key: &str| {
        let value = table.get(key).map(toml::Spanned::get_ref);
        let digits = value.and_then(DeValue::as_integer).map(|i| i.as_str().parse::<u64>());
        digits.and_then(Result::ok).ok_or_else(|| format!("it has no number {key:?}"))
    };
    let (written, expires) = (number("written")?, number("expires")?);
    let peers = table.get("peers").map(toml::Spanned::get_ref).and_then(DeValue::as_array);
    let peers = peers.ok_or("it has no list \"peers\"")?.iter().map(|p| {
        let address = p.get_ref().as_str().and_then(|a| a.parse().ok());
        address.ok_or_else(|| "one of its peers is no address".to_owned())
    });
    let peers = peers.collect::<Result<Vec<IpAddr>, String>>()?;
    let now = seconds(now);
    if written > now || expires.saturating_sub(written) > LONGEST {
        return Err("it is from another time: was the clock set?".to_owned());
    }
    match expires.saturating_sub(now) {
        0 => Err(format!("it has expired {} s ago", now - expires)),
        left => Ok(Restarted { peers, seconds_left: u16::try_from(left).map_err(|e| e.to_string())? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn peers() -> Vec<IpAddr> {
        vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()]
    }

    #[test]
    fn a_marker_is_read_once_and_only_in_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let marker = Marker::new(folder.path());
        assert_eq!(marker.take(at(1000)), None, "a first start");
        marker.leave(&peers(), 120, at(1000));
        let expected = Restarted { peers: peers(), seconds_left: 90 };
        assert_eq!(marker.take(at(1030)), Some(expected));
        assert_eq!(marker.take(at(1030)), None, "it is gone");
        // The one written last counts.
        marker.leave(&peers(), 120, at(1000));
        marker.leave(&[], 60, at(1010));
        assert_eq!(marker.take(at(1010)), Some(Restarted { peers: vec![], seconds_left: 60 }));
        for (late, left) in [(1119, Some(1)), (1120, None), (5000, None), (999, None)] {
            marker.leave(&peers(), 120, at(1000));
            assert_eq!(marker.take(at(late)).map(|r| r.seconds_left), left, "{late}");
            assert!(!folder.path().join(NAME).exists(), "{late}");
        }
        let left_over: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert!(left_over.is_empty(), "{left_over:?}");
    }

    #[test]
    fn what_is_no_marker_is_ignored_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let marker = Marker::new(folder.path());
        let whole = text(&peers(), 120, at(1000));
        let cases = [
            String::new(),
            "peers".to_owned(),
            whole.replace("peers", "others"),
            whole.replace("192.0.2.1", "nobody"),
            whole.replace("1000", "\"1000\""),
            whole.replace("1000", "-1000"),
            whole.replace("1120", "99999999999999999999999"),
            whole.replace("1120", "6000"),
            "\u{0}\u{1}".to_owned(),
        ];
        for case in cases {
            fs::write(folder.path().join(NAME), &case).unwrap();
            assert_eq!(marker.take(at(1030)), None, "{case:?}");
            assert!(!folder.path().join(NAME).exists(), "{case:?}");
        }
        fs::write(folder.path().join(NAME), [0xff, 0xfe]).unwrap();
        assert_eq!(marker.take(at(1030)), None);
        // Not somebody else's file, whatever it says.
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, whole).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(NAME)).unwrap();
        assert_eq!(marker.take(at(1030)), None);
        assert!(elsewhere.exists());
    }
}
