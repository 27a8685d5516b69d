//! The folder `EFI/Linux` of the ESP as this crate sees it: files by name, and barriers. A trait, so that tests can cut
//! the power.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, StatVfsMountFlags};

/// The folder with the boot files.
pub trait Esp {
    /// Names and lengths in bytes of the files in it. What isn't a file, or has a name that isn't text, is left out.
    fn list(&self) -> Result<Vec<(String, u64)>>;

    /// Bytes that are free; `ReadOnlyFilesystem` when nothing can be written.
    fn free(&self) -> Result<u64>;

    /// Makes a file; `AlreadyExists` when there is one of that name.
    fn create(&self, name: &str) -> Result<Box<dyn EspFile + '_>>;

    /// Opens a file for reading.
    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>>;

    /// Gives a file another name. FAT does that in two steps: a power cut between them can leave both names or none.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> Result<()>;

    /// Returns when all names and files are on the medium.
    fn sync(&self) -> Result<()>;
}

/// A file that is being written.
pub trait EspFile: Write {
    /// Returns when everything written is on the medium. What is read afterwards comes from there where that can be
    /// arranged.
    fn sync(&mut self) -> Result<()>;
}

/// An ESP that is mounted.
#[derive(Debug)]
pub struct EspDir {
    path: PathBuf,
    /// Keeps the ESP mounted, where systemd would unmount it when idle.
    folder: fs_err::File,
}

impl EspDir {
    /// The ESP that is mounted at `root`. It has to have the folder `EFI/Linux`: with a mount point that has nothing
    /// mounted, boot files would go to another file system.
    pub fn open(root: &Path) -> Result<Self> {
        let mut path = root.to_owned();
        for part in ["EFI", "Linux"] {
            path.push(part);
            if !fs_err::symlink_metadata(&path)?.is_dir() {
                let text = format!("{} is no folder; is the ESP mounted there?", path.display());
                return Err(Error::new(ErrorKind::NotADirectory, text));
            }
        }
        Ok(EspDir { folder: fs_err::File::open(&path)?, path })
    }

    /// A file, to read from any position.
    pub fn read_at(&self, name: &str) -> Result<twinhull_fsimg::Part> {
        let file = fs_err::File::open(self.file(name)?)?;
        let len = file.metadata()?.len();
        twinhull_fsimg::Part::new(file.into_file(), 0, len)
    }

    /// The path of a file, which must be one of the folder itself.
    fn file(&self, name: &str) -> Result<PathBuf> {
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(Error::new(ErrorKind::InvalidInput, format!("{name:?} is no file name")));
        }
        Ok(self.path.join(name))
    }
}

impl Esp for EspDir {
    fn list(&self) -> Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs_err::read_dir(&self.path)? {
            let entry = entry?;
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                files.push((name, entry.metadata()?.len()));
            }
        }
        files.sort();
        Ok(files)
    }

    fn free(&self) -> Result<u64> {
        let found = rustix::fs::fstatvfs(self.folder.file())?;
        if found.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn create(&self, name: &str) -> Result<Box<dyn EspFile + '_>> {
        Ok(Box::new(fs_err::File::create_new(self.file(name)?)?))
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(fs_err::File::open(self.file(name)?)?))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs_err::rename(self.file(from)?, self.file(to)?)
    }

    fn remove(&self, name: &str) -> Result<()> {
        fs_err::remove_file(self.file(name)?)
    }

    fn sync(&self) -> Result<()> {
        self.folder.sync_all()?;
        Ok(rustix::fs::syncfs(self.folder.file())?)
    }
}

impl EspFile for fs_err::File {
    fn sync(&mut self) -> Result<()> {
        self.sync_all()?;
        // Only a hint: pages that are clean now are forgotten.
        let _ = rustix::fs::fadvise(self.file(), 0, None, Advice::DontNeed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_an_esp() {
        let root = tempfile::tempdir().unwrap();
        assert!(EspDir::open(root.path()).is_err(), "nothing is mounted");
        fs_err::create_dir_all(root.path().join("EFI/Linux/folder")).unwrap();
        let esp = EspDir::open(root.path()).unwrap();
        let mut file = esp.create("a").unwrap();
        file.write_all(b"some bytes").unwrap();
        file.sync().unwrap();
        assert!(esp.create("a").is_err());
        esp.rename("a", "b").unwrap();
        esp.sync().unwrap();
        std::os::unix::fs::symlink("b", root.path().join("EFI/Linux/link")).unwrap();
        assert_eq!(esp.list().unwrap(), [("b".to_owned(), 10)]);
        let mut read = String::new();
        esp.open("b").unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, "some bytes");
        assert!(esp.free().unwrap() > 0);
        for bad in ["", ".", "..", "../b", "folder/x", "b\0"] {
            assert!(esp.remove(bad).is_err() && esp.create(bad).is_err(), "{bad:?}");
        }
        esp.remove("b").unwrap();
        assert!(esp.list().unwrap().is_empty());
    }

    #[test]
    fn a_link_is_no_esp() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs_err::create_dir_all(other.path().join("Linux")).unwrap();
        std::os::unix::fs::symlink(other.path(), root.path().join("EFI")).unwrap();
        assert!(EspDir::open(root.path()).is_err());
    }
}
