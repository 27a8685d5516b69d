//! Replacing files so that a reader, or a machine after a power cut, sees the old or the new one.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path` by temporary file, fsync, rename and fsync of the directory.
///
/// What can still fail: a power cut between rename and directory fsync may leave the old file.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = Replacement::new(path)?;
    file.as_file_mut().write_all(bytes)?;
    file.commit(mode)
}

/// A file being written next to its final place; dropped without [`Replacement::commit`] it vanishes.
#[derive(Debug)]
pub struct Replacement {
    temp: tempfile::NamedTempFile,
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
        Ok(Replacement { temp, path: path.to_owned() })
    }

    /// The open file.
    pub fn as_file_mut(&mut self) -> &mut std::fs::File {
        self.temp.as_file_mut()
    }

    /// Where it is while it is being written.
    pub fn temp_path(&self) -> &Path {
        self.temp.path()
    }

    /// Sets the permission bits and puts the file in its place.
    pub fn commit(self, mode: u32) -> io::Result<()> {
        let file = self.temp.as_file();
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        let dir = self.temp.path().parent().map(Path::to_owned);
        self.temp.persist(&self.path).map_err(|e| {
            io::Error::new(
                e.error.kind(),
                format!("can't put {} in its place: {}", self.path.display(), e.error),
            )
        })?;
        if let Some(dir) = dir {
            fs_err::File::open(dir)?.sync_all()?;
        }
        Ok(())
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
