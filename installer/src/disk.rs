//! The disk that is overwritten: what it is, whether it may be, and the order in which it stops and begins to boot.
//!
//! A firmware looks at the first sectors: boot code, the GUID partition table, and through that the ESP. UEFI firmware may
//! also take the backup table at the end of the disk, and repair the first one with it. So both ends are emptied before
//! anything else, and written after everything else.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;
use serde::Serialize;
use twinhull_sysutil::size::human;

use crate::users::{self, Number};
use crate::write::Ends;
use crate::zeros::Sink;
use crate::{Error, Result};

/// What is held back at either end of a disk, in bytes.
pub(crate) const END: u64 = 1 << 20;

/// What a firmware looks at first; it is written last.
const FIRST: usize = 4096;

/// A partition that will be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name, such as `sda1`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// What udev found on it, such as `ext4 "root"`; empty for nothing.
    pub holds: String,
}

/// What is known of a disk without changing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// As it was given.
    pub path: PathBuf,
    /// Name below /sys/class/block; `None` for a file.
    pub name: Option<String>,
    /// Maker and model; empty if it doesn't say.
    pub model: String,
    /// Size in bytes.
    pub size: u64,
    /// What will be lost.
    pub partitions: Vec<Part>,
}

impl Found {
    /// Looks at the disk, or the file that stands for one, at `path`. `root` is `/`.
    ///
    /// Returns [`Error::NoDisk`] and [`Error::InUse`].
    pub fn look(root: &Path, path: &Path) -> Result<Self> {
        let found = Found::describe(root, path)?;
        let users = found.users(root)?;
        if !users.is_empty() {
            return Err(Error::InUse { path: path.to_owned(), by: users.join(", ") });
        }
        Ok(found)
    }

    /// As [`Found::look`], also for a disk that is in use.
    ///
    /// Returns [`Error::NoDisk`].
    pub fn describe(root: &Path, path: &Path) -> Result<Self> {
        let no_disk = |what: &str, way_out: &str| Error::NoDisk {
            path: path.to_owned(),
            what: what.into(),
            way_out: way_out.into(),
        };
        let metadata = match fs_err::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(no_disk("not there", "`lsblk -d` lists this machine's disks"));
            }
            metadata => metadata?,
        };
        let kind = metadata.file_type();
        if kind.is_file() {
            let found = Found {
                path: path.to_owned(),
                name: None,
                model: "a file".into(),
                size: metadata.len(),
                partitions: Vec::new(),
            };
            return Ok(found);
        }
        if !kind.is_block_device() {
            let what = if kind.is_dir() { "a folder" } else { "no block device" };
            return Err(no_disk(what, "a whole disk is overwritten, such as /dev/sda"));
        }
        let number = number(metadata.rdev());
        let sys = root.join("sys");
        let link = fs_err::read_link(sys.join(format!("dev/block/{}:{}", number.0, number.1)))?;
        let name = link.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let class = sys.join("class/block");
        let dir = class.join(&name);
        let text = |path: &Path| fs_err::read_to_string(path).unwrap_or_default().trim().to_owned();
        if dir.join("partition").exists() {
            let whole = link.parent().and_then(Path::file_name).unwrap_or_default().display().to_string();
            return Err(no_disk(
                &format!("a partition of {whole}"),
                &format!("an image is a whole disk with a partition table; give /dev/{whole}"),
            ));
        }
        if text(&dir.join("ro")) == "1" {
            return Err(no_disk("read-only", "is it write protected?"));
        }
        let sector = text(&dir.join("queue/logical_block_size"));
        if !matches!(sector.as_str(), "512" | "") {
            return Err(no_disk(
                &format!("a disk with sectors of {sector} bytes"),
                "images are for 512; many disks of this kind can be formatted to that",
            ));
        }
        let sectors = |dir: &Path| text(&dir.join("size")).parse().unwrap_or(0_u64).saturating_mul(512);
        let partitions = users::partitions(&class, &name).into_iter().map(|name| {
            let dir = class.join(&name);
            let udev = root.join(format!("run/udev/data/b{}", text(&dir.join("dev"))));
            Part { size: sectors(&dir), holds: holds(&text(&udev)), name }
        });
        // virtio has a number there.
        let word =
            |file: &str| Some(text(&dir.join("device").join(file))).filter(|word| !word.starts_with("0x"));
        let model = ["vendor", "model"].into_iter().filter_map(word).collect::<Vec<_>>().join(" ");
        Ok(Found {
            path: path.to_owned(),
            model: model.trim().to_owned(),
            size: sectors(&dir),
            partitions: partitions.collect(),
            name: Some(name.clone()),
        })
    }

    /// Who uses the disk, each as a sentence's part.
    ///
    /// Returns an error when the kernel's lists can't be read.
    pub fn users(&self, root: &Path) -> Result<Vec<String>> {
        let Some(name) = &self.name else { return Ok(Vec::new()) };
        let devices = users::devices(&root.join("sys"), name);
        let proc = root.join("proc");
        let number_of = |path: &str| {
            let metadata = fs_err::metadata(path).ok()?;
            metadata.file_type().is_block_device().then(|| self::number(metadata.rdev()))
        };
        let mounts = fs_err::read_to_string(proc.join("self/mountinfo"))?;
        // There is no such file without swap in the kernel.
        let swaps = fs_err::read_to_string(proc.join("swaps")).unwrap_or_default();
        Ok(users::users(&devices, &mounts, &swaps, &number_of))
    }
}

impl fmt::Display for Found {
    /// One line for the disk, one for each partition.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), human(self.size))?;
        if !self.model.is_empty() {
            write!(f, ", {}", self.model)?;
        }
        for part in &self.partitions {
            write!(f, "\n  {:<12} {:>10}  {}", part.name, human(part.size), part.holds)?;
        }
        if self.partitions.is_empty() && self.name.is_some() {
            f.write_str("\n  without partitions")?;
        }
        Ok(())
    }
}

fn number(device: u64) -> Number {
    (rustix::fs::major(device), rustix::fs::minor(device))
}

/// What udev's database says is in a partition.
fn holds(udev: &str) -> String {
    let value = |key: &str| udev.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(key));
    let kind = value("ID_FS_TYPE=").unwrap_or_default();
    match value("ID_FS_LABEL=").or_else(|| value("ID_PART_ENTRY_NAME=")) {
        Some(label) => format!("{kind} \"{label}\"").trim_start().to_owned(),
        None => kind.to_owned(),
    }
}

/// How zeros are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Zeroing {
    /// Blocks are given back; they read as zeros.
    Punch,
    /// The kernel writes them.
    Range,
    /// We do.
    Write,
}

/// A disk that is ours to overwrite.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    file: File,
    size: u64,
    zeroing: Zeroing,
    data: u64,
}

impl Disk {
    /// Opens the disk, which nobody else uses from now on.
    ///
    /// Returns [`Error::InUse`] when somebody does.
    pub fn open(found: &Found) -> Result<Self> {
        // Exclusive without being made means something for block devices only.
        let flags = if found.name.is_some() { OFlags::EXCL } else { OFlags::empty() };
        let flags = i32::try_from((flags | OFlags::CLOEXEC).bits()).unwrap_or(0);
        let opened = fs_err::OpenOptions::new().read(true).write(true).custom_flags(flags).open(&found.path);
        let file = match opened {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                let by = "something in the kernel holds it, such as LVM, RAID or dm-crypt; stop that \
                          (vgchange -an, mdadm --stop, cryptsetup close)";
                return Err(Error::InUse { path: found.path.clone(), by: by.into() });
            }
            file => file?.into_file(),
        };
        Ok(Disk { path: found.path.clone(), file, size: found.size, zeroing: Zeroing::Punch, data: 0 })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that were written as data.
    pub(crate) fn data_written(&self) -> u64 {
        self.data
    }

    /// Takes away all that could boot: both ends of the disk, and the place where an image of `length` bytes ends.
    pub(crate) fn erase(&mut self, length: u64) -> Result<()> {
        let nothing = vec![0; END as usize];
        for at in [0, length.saturating_sub(END), self.size.saturating_sub(END)] {
            let most = usize::try_from(self.size - at).unwrap_or(usize::MAX).min(nothing.len());
            self.put(at, &nothing[..most]).map_err(|e| self.failed(at, e))?;
        }
        self.sync(0)
    }

    /// Makes the image boot: its end, what there is besides, then its start.
    pub(crate) fn finish(&mut self, ends: &Ends, besides: &[(u64, Vec<u8>)]) -> Result<()> {
        let tail_at = ends.length - END;
        self.sync(tail_at)?;
        let (first, rest) = ends.head.split_at(FIRST.min(ends.head.len()));
        let besides = besides.iter().map(|(at, bytes)| (*at, &bytes[..]));
        for (at, bytes) in
            std::iter::once((tail_at, &ends.tail[..])).chain(besides).chain([(FIRST as u64, rest)])
        {
            self.put(at, bytes).map_err(|e| self.failed(at, e))?;
        }
        self.sync(0)?;
        self.put(0, first).map_err(|e| self.failed(0, e))?;
        self.sync(0)
    }

    fn put(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn sync(&self, at: u64) -> Result<()> {
        self.file.sync_all().map_err(|e| self.failed(at, e))
    }

    pub(crate) fn failed(&self, at: u64, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), at, source }
    }
}

impl Sink for Disk {
    fn data(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.data += bytes.len() as u64;
        self.put(at, bytes)
    }

    fn zeros(&mut self, at: u64, length: u64) -> io::Result<()> {
        loop {
            let (flags, next) = match self.zeroing {
                Zeroing::Punch => (FallocateFlags::PUNCH_HOLE, Zeroing::Range),
                Zeroing::Range => (FallocateFlags::ZERO_RANGE, Zeroing::Write),
                Zeroing::Write => break,
            };
            match fallocate(&self.file, flags | FallocateFlags::KEEP_SIZE, at, length) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM | Errno::NODEV) => {
                    self.zeroing = next;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let nothing = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(END as usize)];
        let end = at + length;
        let mut at = at;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(usize::MAX).min(nothing.len());
            self.put(at, &nothing[..most])?;
            at += most as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_disk_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (path, word) in [
            (dir.path().to_owned(), "is a folder"),
            (dir.path().join("missing"), "lsblk"),
            ("/dev/null".into(), "no block device"),
        ] {
            let error = Found::look(Path::new("/"), &path).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn partitions_are_shown_with_what_is_on_them() {
        for (udev, want) in [
            ("S:disk/by-x\nE:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=root\n", "ext4 \"root\""),
            ("E:ID_FS_TYPE=vfat\nE:ID_PART_ENTRY_NAME=esp\n", "vfat \"esp\""),
            ("E:ID_PART_ENTRY_NAME=box_1\n", "\"box_1\""),
            ("E:ID_FS_TYPE=swap\n", "swap"),
            ("", ""),
        ] {
            assert_eq!(holds(udev), want);
        }
        let part = Part { name: "sda1".into(), size: 1 << 30, holds: "ext4".into() };
        let found = Found {
            path: "/dev/sda".into(),
            name: Some("sda".into()),
            model: "QEMU HARDDISK".into(),
            size: 8 << 30,
            partitions: vec![part],
        };
        let want = "/dev/sda: 8.0 GiB, QEMU HARDDISK\n  sda1            1.0 GiB  ext4";
        assert_eq!(found.to_string(), want);
    }

    #[test]
    fn zeros_are_zeros_however_they_are_written() {
        for zeroing in [Zeroing::Punch, Zeroing::Range, Zeroing::Write] {
            let temp = tempfile::NamedTempFile::new().unwrap();
            let length = 8 << 20;
            fs_err::write(temp.path(), vec![7; length]).unwrap();
            let mut disk = Disk::open(&Found::look(Path::new("/"), temp.path()).unwrap()).unwrap();
            disk.zeroing = zeroing;
            disk.zeros(65536, 3 << 20).unwrap();
            let bytes = fs_err::read(temp.path()).unwrap();
            let zeros = 65536..65536 + (3 << 20);
            assert!(bytes[zeros.clone()].iter().all(|b| *b == 0));
            assert_eq!(bytes.iter().filter(|b| **b == 7).count(), length - zeros.len());
        }
    }
}
