//! What the installer's kernel is to do, in a file of its initrd, and how it knows the disk again: names of disks change from one
//! kernel to the next.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use twinhull_release::DiskImage;
use twinhull_sysutil::digest::sha256_hex;

use super::Error;
use super::seed::Files;
use crate::disk::END;

/// Where it is in the initrd.
pub(super) const JOB: &str = "/job.json";
/// Where the image is.
pub(super) const IMAGE: &str = "/image.raw.zst";
/// The folder with the modules.
pub(super) const MODULES: &str = "/modules";

/// All that is to be done.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// The disk.
    pub(super) disk: Identity,
    /// What is written, for people.
    pub(super) what: String,
    /// The image, which was verified: by its signature, or as it came if nobody has signed it.
    pub(super) image: DiskImage,
    /// What stays.
    pub(super) seed: Files,
}

/// A disk by what is on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// What it was called, for people.
    pub(super) name: String,
    /// Size in bytes.
    pub(super) size: u64,
    /// Bytes at its start that don't change while a system runs.
    pub(super) length: u64,
    /// Their SHA-256.
    pub(super) sha256: String,
}

impl Identity {
    /// That of the disk at `path`, up to its first partition.
    ///
    /// Returns [`Error::NoTable`] for a disk that has none.
    pub(super) fn of(path: &Path, size: u64, first: Option<u64>) -> Result<Self, Error> {
        let length = first.map_or(0, |first| first.min(END));
        let start = read(path, length).filter(|start| start.get(510..512) == Some(&[0x55, 0xaa]));
        let start = start.ok_or_else(|| Error::NoTable(path.to_owned()))?;
        Ok(Identity { name: path.display().to_string(), size, length, sha256: sha256_hex(&start) })
    }

    /// Whether the disk at `path` is it.
    fn is(&self, path: &Path) -> bool {
        read(path, self.length).is_some_and(|start| sha256_hex(&start) == self.sha256)
    }

    /// The disks that are it. `root` is `/`.
    pub(super) fn find(&self, root: &Path) -> Vec<PathBuf> {
        let disks = disks(root).into_iter().filter(|(_, size)| *size == self.size);
        disks.map(|(name, _)| root.join("dev").join(name)).filter(|path| self.is(path)).collect()
    }
}

fn read(path: &Path, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    fs_err::File::open(path).ok()?.file().read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

/// Names and sizes of all whole disks.
pub(super) fn disks(root: &Path) -> Vec<(String, u64)> {
    let class = root.join("sys/block");
    let entries = fs_err::read_dir(&class).into_iter().flatten().flatten();
    let mut disks: Vec<(String, u64)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            // What is made of other devices, or of nothing, is no disk.
            let made = ["loop", "ram", "zram", "dm-", "md", "nbd"].iter().any(|kind| name.starts_with(kind));
            let sectors: u64 = fs_err::read_to_string(entry.path().join("size")).ok()?.trim().parse().ok()?;
            (!made && sectors > 0).then(|| (name, sectors.saturating_mul(512)))
        })
        .collect();
    disks.sort();
    disks
}

/// Where the first partition of the disk `name` begins, in bytes.
pub(super) fn first_partition(root: &Path, name: &str) -> Option<u64> {
    let entries = fs_err::read_dir(root.join("sys/class/block").join(name)).ok()?;
    let start = |entry: fs_err::DirEntry| -> Option<u64> {
        entry.path().join("partition").exists().then_some(())?;
        let sectors: u64 = fs_err::read_to_string(entry.path().join("start")).ok()?.trim().parse().ok()?;
        sectors.checked_mul(512)
    };
    entries.flatten().filter_map(start).min()
}

/// The disk that `place` of the running system is on, by /proc/self/mountinfo, and below what it is made of. `number_of` says the
/// number of the device at a path.
///
/// Returns [`Error::WhichDisk`] for none, and for several.
pub(super) fn below(
    root: &Path,
    mountinfo: &str,
    number_of: &dyn Fn(&str) -> Option<(u32, u32)>,
) -> Result<String, Error> {
    let failed = |what: String| Error::WhichDisk { place: "/", what };
    // The last one that is mounted is seen.
    let line = mountinfo.lines().rev().find(|line| line.split(' ').nth(4) == Some("/"));
    let line = line.ok_or_else(|| failed("nothing that is known".into()))?;
    let (fields, rest) = line.split_once(" - ").unwrap_or((line, ""));
    let source = rest.split(' ').nth(1).unwrap_or_default();
    let number = fields.split(' ').nth(2).unwrap_or_default();
    let dev = root.join("sys/dev/block");
    let known = |number: &str| fs_err::canonicalize(dev.join(number)).ok();
    // Btrfs has a number of its own, and names a device.
    let device = known(number)
        .or_else(|| number_of(source).and_then(|(major, minor)| known(&format!("{major}:{minor}"))))
        .ok_or_else(|| failed(format!("{source}, which is no disk")))?;
    let mut names = std::collections::BTreeSet::new();
    whole(&device, &mut names);
    let mut names = names.into_iter();
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name),
        (None, _) => Err(failed(format!("{source}, which is no disk"))),
        (Some(first), Some(second)) => Err(failed(format!("several disks ({first}, {second})"))),
    }
}

/// Collects the disks below the device in a folder of /sys.
fn whole(device: &Path, names: &mut std::collections::BTreeSet<String>) {
    let slaves: Vec<_> = fs_err::read_dir(device.join("slaves")).into_iter().flatten().flatten().collect();
    for slave in &slaves {
        if let Ok(path) = fs_err::canonicalize(slave.path()) {
            whole(&path, names);
        }
    }
    if slaves.is_empty() {
        let disk = if device.join("partition").exists() { device.parent() } else { Some(device) };
        let name = disk.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        names.extend(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_known_by_size_and_start() {
        let root = tempfile::tempdir().unwrap();
        let disk = |name: &str, size: u64, start: u8| {
            let sys = root.path().join("sys/block").join(name);
            fs_err::create_dir_all(&sys).unwrap();
            fs_err::write(sys.join("size"), format!("{}\n", size / 512)).unwrap();
            fs_err::create_dir_all(root.path().join("dev")).unwrap();
            let path = root.path().join("dev").join(name);
            let mut bytes = vec![start; 4096];
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            fs_err::write(&path, bytes).unwrap();
            path
        };
        let path = disk("vda", 8192, 1);
        let identity = Identity::of(&path, 8192, Some(2048)).unwrap();
        disk("vdb", 4096, 1);
        disk("vdc", 8192, 2);
        disk("loop0", 8192, 1);
        assert_eq!(identity.find(root.path()), std::slice::from_ref(&path));
        disk("vdd", 8192, 1);
        assert_eq!(identity.find(root.path()).len(), 2);
        for first in [None, Some(256)] {
            assert!(matches!(Identity::of(&path, 8192, first), Err(Error::NoTable(_))));
        }
        assert_eq!(disks(root.path()).len(), 4);
    }

    #[test]
    fn the_disk_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        let sys = root.path().join("sys");
        let device = |path: &str, number: &str, partition: bool| {
            let path = sys.join("devices").join(path);
            fs_err::create_dir_all(path.join("slaves")).unwrap();
            if partition {
                fs_err::write(path.join("partition"), "1\n").unwrap();
                fs_err::write(path.join("start"), "2048\n").unwrap();
            }
            fs_err::create_dir_all(sys.join("dev/block")).unwrap();
            std::os::unix::fs::symlink(&path, sys.join("dev/block").join(number)).unwrap();
            path
        };
        device("vda", "254:0", false);
        let part = device("vda/vda1", "254:1", true);
        let other = device("vdb/vdb1", "254:17", true);
        let (one, two) = (device("dm-0", "253:0", false), device("md0", "9:0", false));
        for (from, to) in [
            (&part, one.join("slaves/vda1")),
            (&one, two.join("slaves/dm-0")),
            (&other, two.join("slaves/vdb1")),
        ] {
            std::os::unix::fs::symlink(from, to).unwrap();
        }
        let below = |line: &str| {
            let number_of = |path: &str| (path == "/dev/vda1").then_some((254, 1));
            below(
                root.path(),
                &format!(
                    "1 1 0:2 / / rw - rootfs none rw\n{line}\n9 1 254:17 / /mnt rw - ext4 /dev/vdb1 rw\n"
                ),
                &number_of,
            )
        };
        for (line, want) in [
            ("1 1 254:1 / / rw shared:1 - ext4 /dev/root rw", "vda"),
            ("1 1 253:0 / / rw - ext4 /dev/mapper/a rw", "vda"),
            ("1 1 0:28 /@ / rw - btrfs /dev/vda1 rw", "vda"),
        ] {
            assert_eq!(below(line).unwrap(), want);
        }
        for (line, want) in [
            ("1 1 9:0 / / rw - ext4 /dev/md0 rw", "several disks (vda, vdb)"),
            ("1 1 0:30 / / rw - overlay overlay rw", "overlay, which is no disk"),
            ("", "none, which is no disk"),
        ] {
            let error = below(line).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        let class = sys.join("class/block");
        fs_err::create_dir_all(&class).unwrap();
        std::os::unix::fs::symlink(sys.join("devices/vda"), class.join("vda")).unwrap();
        assert_eq!(first_partition(root.path(), "vda"), Some(1 << 20));
    }
}
