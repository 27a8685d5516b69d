//! Replacing files so that a reader, or a machine after a power cut, sees the old or the new one.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Writes `bytes` to `path` by temporary file, fsync, rename and fsync of the directory.
///
/// What can still fail: a power cut between rename and directory fsync may leave the old file.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = Replacement::new(path)?;
    file.as_file_mut()?.write_all(bytes)?;
    file.commit(mode)
}

/// As [`replace`], without waiting for the disk: for what can be made again, see [`Replacement::commit_without_sync`].
pub fn replace_without_sync(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = Replacement::new(path)?;
    file.as_file_mut()?.write_all(bytes)?;
    file.commit_without_sync(mode)
}

/// Temporary files and folders of this process, for [`remove_unfinished`].
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts `path`, a file or a folder with all that is in it, among what [`remove_unfinished`] removes, until [`forget_unfinished`].
pub fn note_unfinished(path: &Path) {
    unfinished().insert(path.to_owned());
}

/// Takes `path` off the list: it is finished or gone.
pub fn forget_unfinished(path: &Path) {
    unfinished().remove(path);
}

/// Removes every unfinished file and folder of this process: for a program that is being interrupted, where nothing
/// is dropped.
pub fn remove_unfinished() {
    for path in std::mem::take(&mut *unfinished()) {
        // Nothing more can be done for what can't be removed.
        let _ = if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) };
    }
}

/// A file being written next to its final place; dropped without [`Replacement::commit`] it vanishes.
#[derive(Debug)]
pub struct Replacement {
    /// There until the file is in its place.
    temp: Option<tempfile::NamedTempFile>,
    path: PathBuf,
}

impl Replacement {
    /// Starts a replacement of `path`; its directory must exist.
    pub fn new(path: &Path) -> io::Result<Self> {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let temp = tempfile::Builder::new()
            .prefix(".twinhull-")
            .tempfile_in(dir)
            .map_err(|e| io::Error::new(e.kind(), format!("can't write in {}: {e}", dir.display())))?;
        note_unfinished(temp.path());
        Ok(Replacement { temp: Some(temp), path: path.to_owned() })
    }

    /// The open file.
    ///
    /// Returns an error after [`Replacement::commit`], which can't happen: it takes the value.
    pub fn as_file_mut(&mut self) -> io::Result<&mut std::fs::File> {
        let temp = self.temp.as_mut().ok_or_else(|| io::Error::other("the file is in its place already"))?;
        Ok(temp.as_file_mut())
    }

    /// Sets the permission bits and puts the file in its place.
    pub fn commit(self, mode: u32) -> io::Result<()> {
        self.put(mode, true)
    }

    /// As [`Replacement::commit`], without waiting for the disk: for what can be made again, where a power cut may
    /// leave any content. Even a small file beside a large one would wait for both.
    pub fn commit_without_sync(self, mode: u32) -> io::Result<()> {
        self.put(mode, false)
    }

    fn put(mut self, mode: u32, sync: bool) -> io::Result<()> {
        let Some(temp) = self.temp.take() else { return Ok(()) };
        let name = temp.path().to_owned();
        let result = put(temp, &self.path, mode, sync);
        forget_unfinished(&name);
        result
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(temp) = self.temp.take() {
            forget_unfinished(temp.path());
        }
    }
}

fn put(temp: tempfile::NamedTempFile, path: &Path, mode: u32, sync: bool) -> io::Result<()> {
    temp.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    if sync {
        temp.as_file().sync_all()?;
    }
    let dir = temp.path().parent().map(Path::to_owned);
    temp.persist(path).map_err(|e| {
        io::Error::new(e.error.kind(), format!("can't put {} in its place: {}", path.display(), e.error))
    })?;
    match dir.filter(|_| sync) {
        Some(dir) => fs_err::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_replacement_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        drop(Replacement::new(&path).unwrap());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
        replace(&path, b"x", 0o600).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), b"x");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
