//! The configuration file, replaced in one piece: the new text is written aside and on the disk before anything is changed,
//! and takes the place of the old one with a rename. Whatever happens meanwhile, the file is the old one or the new one.
//!
//! Runs in the parent, which alone may write there; neither engines nor clients name a path.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::Secret;

/// Permission bits of a file, with those beyond read, write and execute.
const MODE: u32 = 0o7777;

/// Why the file cannot be replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is not what the daemon has read.
    #[error(
        "{} was edited since it was read, and is not overwritten: have it read first (systemctl reload rustbgpd, or \
         SIGHUP), then try again", .0.display()
    )]
    Edited(PathBuf),
    /// It is no file that could be replaced.
    #[error("{} is not a regular file", .0.display())]
    NoFile(PathBuf),
    /// The system does not let us.
    #[error("cannot {step} {}: {error}", .path.display())]
    Io { step: &'static str, path: PathBuf, error: io::Error },
}

/// A new text of the file, on the disk beside it. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    aside: PathBuf,
    /// What the file must still be.
    before: Secret,
    published: bool,
}

impl Replacement {
    /// Writes `text` beside the file at `path`, which must be `before`, with its owner and mode.
    ///
    /// # Errors
    /// Where the file is another one by now, or nothing can be written there.
    pub(crate) fn prepare(path: &Path, before: &Secret, text: &str) -> Result<Replacement, FileError> {
        // A link stays one, what it leads to is replaced.
        let path = at("find", path, fs::canonicalize(path))?;
        let old = open_unchanged(&path, before)?;
        let replacement =
            Replacement { aside: beside(&path), path, before: before.clone(), published: false };
        let aside = &replacement.aside;
        // What is left of an attempt that was cut short.
        match fs::remove_file(aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => at("remove", aside, Err(e))?,
            _ => {}
        }
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside);
        let mut file = at("create", aside, created)?;
        at("write", aside, file.write_all(text.as_bytes()))?;
        at("give the owner and mode of the configuration file to", aside, copy_rights(&old, &file))?;
        at("write", aside, file.sync_all())?;
        Ok(replacement)
    }

    /// Puts it in the place of the file.
    ///
    /// # Errors
    /// Where the file is another one by now, or cannot be replaced. It is what it was then.
    pub(crate) fn publish(mut self) -> Result<(), FileError> {
        open_unchanged(&self.path, &self.before)?;
        at("replace", &self.path, fs::rename(&self.aside, &self.path))?;
        self.published = true;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
            // Everybody sees the new file. Only a loss of power could bring back the old one.
            tracing::warn!(folder = %folder.display(), %error, "the folder of the configuration file cannot be synced");
        }
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.published {
            // The next attempt removes it as well.
            let _ = fs::remove_file(&self.aside);
        }
    }
}

fn at<T>(step: &'static str, path: &Path, result: io::Result<T>) -> Result<T, FileError> {
    result.map_err(|error| FileError::Io { step, path: path.to_owned(), error })
}

/// Always the same name, so that no attempt leaves more than one file behind.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// Checks that the file at `path` is still `expected`.
///
/// # Errors
/// Where it is another one, or can't be read.
pub(super) fn verify(path: &Path, expected: &Secret) -> Result<(), FileError> {
    open_unchanged(&at("find", path, fs::canonicalize(path))?, expected).map(drop)
}

/// The file at `path`, which must be `expected`.
fn open_unchanged(path: &Path, expected: &Secret) -> Result<File, FileError> {
    let opened = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path);
    let mut file = at("read", path, opened)?;
    if !at("read", path, file.metadata())?.is_file() {
        return Err(FileError::NoFile(path.to_owned()));
    }
    let mut found = Zeroizing::new(Vec::with_capacity(expected.expose().len() + 1));
    at("read", path, file.read_to_end(&mut found))?;
    if found.as_slice() == expected.expose() { Ok(file) } else { Err(FileError::Edited(path.to_owned())) }
}

fn copy_rights(from: &File, to: &File) -> io::Result<()> {
    let (old, new) = (from.metadata()?, to.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(to, Some(old.uid()), Some(old.gid()))?;
    }
    // Behind the owner: a change of that takes bits away.
    to.set_permissions(Permissions::from_mode(old.mode() & MODE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const OLD: &str = "# the old one\n";
    const NEW: &str = "# the new one, which is longer\n";

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, OLD).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        (folder, path)
    }

    fn prepare(path: &Path) -> Result<Replacement, FileError> {
        Replacement::prepare(path, &Secret::from(OLD), NEW)
    }

    fn files(folder: &tempfile::TempDir) -> Vec<String> {
        let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<String> = names.map(|n| n.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_the_old_one_until_it_is_the_new_one() {
        let (folder, path) = folder();
        let replacement = prepare(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
        assert_eq!(files(&folder), [".config.toml.new", "config.toml"]);
        let aside = fs::metadata(folder.path().join(".config.toml.new")).unwrap();
        assert_eq!(aside.mode() & MODE, 0o640);
        replacement.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & MODE, found.ino()), (0o640, aside.ino()), "not copied");
        assert_eq!(files(&folder), ["config.toml"]);
    }

    #[test]
    fn what_is_not_published_leaves_nothing_behind() {
        let (folder, path) = folder();
        drop(prepare(&path).unwrap());
        assert_eq!(files(&folder), ["config.toml"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
    }

    /// Killed at any moment, the daemon leaves the old file and perhaps some of the new one aside, which is in nobody's way.
    #[test]
    fn a_part_that_is_left_of_another_attempt_is_replaced() {
        let (folder, path) = folder();
        let aside = folder.path().join(".config.toml.new");
        for left in ["", &NEW[..7], NEW] {
            fs::write(&aside, left).unwrap();
            fs::set_permissions(&aside, Permissions::from_mode(0o400)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
            let replacement = prepare(&path).unwrap();
            assert_eq!(fs::read_to_string(&aside).unwrap(), NEW);
            // Killed again: nobody cleans up.
            std::mem::forget(replacement);
        }
        // A link that somebody has put there is not followed.
        let elsewhere = folder.path().join("elsewhere");
        fs::remove_file(&aside).unwrap();
        symlink(&elsewhere, &aside).unwrap();
        prepare(&path).unwrap().publish().unwrap();
        assert_eq!(files(&folder), ["config.toml"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
    }

    #[test]
    fn a_file_that_was_edited_by_hand_is_not_overwritten() {
        let (folder, path) = folder();
        let edited = "# by hand\n";
        // Before, and between the two steps.
        let early = prepare(&path).unwrap();
        fs::write(&path, edited).unwrap();
        for error in [prepare(&path).unwrap_err(), early.publish().unwrap_err()] {
            assert!(matches!(error, FileError::Edited(_)), "{error}");
            assert!(error.to_string().contains("systemctl reload rustbgpd"), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
        assert_eq!(files(&folder), ["config.toml"]);
    }

    #[test]
    fn what_cannot_be_written_leaves_the_file_alone() {
        let (folder, path) = folder();
        // In the way of the new text.
        fs::create_dir_all(folder.path().join(".config.toml.new/full")).unwrap();
        let error = prepare(&path).unwrap_err();
        assert!(matches!(error, FileError::Io { step: "remove", .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
        fs::remove_dir_all(folder.path().join(".config.toml.new")).unwrap();
        // Gone before it can be put in its place.
        let replacement = prepare(&path).unwrap();
        fs::remove_file(folder.path().join(".config.toml.new")).unwrap();
        assert!(matches!(replacement.publish(), Err(FileError::Io { step: "replace", .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
        fs::remove_file(&path).unwrap();
        assert!(matches!(prepare(&path), Err(FileError::Io { step: "find", .. })));
        let nothing: [&str; 0] = [];
        assert_eq!(files(&folder), nothing);
    }

    #[test]
    fn a_link_stays_a_link() {
        let (folder, path) = folder();
        let link = folder.path().join("link.toml");
        symlink(&path, &link).unwrap();
        prepare(&link).unwrap().publish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), NEW);
    }
}
