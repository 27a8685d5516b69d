//! The disk as this crate sees it: bytes at offsets, and a barrier. A trait, so that tests can cut the power.

use std::io::{Error, ErrorKind, Result, Seek, SeekFrom};
use std::path::Path;

use fs_err::os::unix::fs::FileExt;
use rustix::fs::{Advice, FlockOperation};
use twinhull_fsimg::ReadAt;

/// A whole disk.
pub trait Device {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing on it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size of a logical sector in bytes; `None` where only the partition table can tell, as in a file.
    fn sector(&self) -> Option<u64> {
        None
    }

    /// Fills `buf` from byte `offset`; `UnexpectedEof` behind the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// Writes all of `bytes` from byte `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;

    /// Returns when everything written is on the medium. What is read afterwards comes from there where that can be
    /// arranged, so that a bad medium is noticed.
    fn sync(&self) -> Result<()>;

    /// Keeps other programs from changing the partition table until [`Device::unlock`].
    fn lock(&self) -> Result<()> {
        Ok(())
    }

    /// Lets them again.
    fn unlock(&self) -> Result<()> {
        Ok(())
    }
}

/// A block device, or a file with a disk's content.
#[derive(Debug)]
pub struct Disk {
    file: fs_err::File,
    len: u64,
    sector: Option<u64>,
}

impl Disk {
    /// Opens the disk at `path` for reading and writing. Errors name the path.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = fs_err::OpenOptions::new().read(true).write(true).open(path)?;
        // A block device's metadata doesn't have its length.
        let len = file.seek(SeekFrom::End(0))?;
        let sector = rustix::fs::ioctl_blksszget(file.file()).ok().map(u64::from);
        Ok(Disk { file, len, sector })
    }
}

impl Device for Disk {
    fn len(&self) -> u64 {
        self.len
    }

    fn sector(&self) -> Option<u64> {
        self.sector
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.len) {
            // A file would grow.
            return Err(Error::new(ErrorKind::InvalidInput, "a write behind the end of the disk"));
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_all()?;
        // Only a hint: pages of the file that are clean now are forgotten.
        let _ = rustix::fs::fadvise(self.file.file(), 0, None, Advice::DontNeed);
        Ok(())
    }

    // The lock of systemd's "Locking Block Device Access": repart, fdisk and udev take it too.
    fn lock(&self) -> Result<()> {
        Ok(rustix::fs::flock(self.file.file(), FlockOperation::LockExclusive)?)
    }

    fn unlock(&self) -> Result<()> {
        Ok(rustix::fs::flock(self.file.file(), FlockOperation::Unlock)?)
    }
}

/// A range of a device, for what reads from any position.
pub(crate) struct Range<'a, D: ?Sized> {
    pub(crate) device: &'a D,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl<D: Device + ?Sized> ReadAt for Range<'_, D> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.device.read_at(buf, self.offset + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_never_grows() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        temp.as_file().set_len(4096).unwrap();
        let disk = Disk::open(temp.path()).unwrap();
        assert_eq!((disk.len(), disk.sector()), (4096, None));
        disk.write_at(&[7; 96], 4000).unwrap();
        disk.sync().unwrap();
        assert!(disk.write_at(&[7; 97], 4000).is_err());
        assert!(disk.write_at(&[7], u64::MAX).is_err());
        let mut read = [0; 2];
        disk.read_at(&mut read, 3999).unwrap();
        assert_eq!(read, [0, 7]);
        let range = Range { device: &disk, offset: 4000, len: 2 };
        assert!(range.read_exact_at(&mut read, 1).is_err());
        disk.lock().unwrap();
        let other = rustix::fs::flock(temp.as_file(), FlockOperation::NonBlockingLockExclusive);
        assert!(other.is_err());
        disk.unlock().unwrap();
    }
}
