//! Finds the ESP that GRUB came from, by its UUID in the partition tables of the disks that come up.

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::drivers::Drivers;
use crate::{Error, Result};

/// Longest wait for the disk. Some controllers take half a minute to look at their disks.
const LIMIT: Duration = Duration::from_secs(90);
/// Time between two looks.
const STEP: Duration = Duration::from_millis(20);

/// The device of the partition with the UUID `uuid`, which is waited for while drivers are loaded.
pub(super) fn find(uuid: &str, drivers: &mut Drivers) -> Result<PathBuf> {
    let start = Instant::now();
    loop {
        drivers.load();
        let disks = disks();
        if let Some(found) = disks.iter().find_map(|disk| partition(disk, uuid)) {
            return Ok(found);
        }
        if start.elapsed() > LIMIT {
            let found = if disks.is_empty() { "none".to_owned() } else { disks.join(", ") };
            return Err(Error::NoEsp { uuid: uuid.to_owned(), seconds: LIMIT.as_secs(), found });
        }
        std::thread::sleep(STEP);
    }
}

/// Names of block devices that have partitions.
fn disks() -> Vec<String> {
    let entries = fs_err::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.retain(|name| !numbered(name).is_empty());
    names
}

/// Partitions of a disk: number and name.
fn numbered(disk: &str) -> Vec<(u32, String)> {
    let entries = fs_err::read_dir(PathBuf::from("/sys/block").join(disk)).into_iter().flatten().flatten();
    let number = |entry: fs_err::DirEntry| {
        let text = fs_err::read_to_string(entry.path().join("partition")).ok()?;
        Some((text.trim().parse().ok()?, entry.file_name().into_string().ok()?))
    };
    entries.filter_map(number).collect()
}

fn partition(disk: &str, uuid: &str) -> Option<PathBuf> {
    let path = PathBuf::from("/dev").join(disk);
    let file = fs_err::File::open(&path).ok()?;
    // Most devices without a table are found out by one read.
    let mut sector = [0; 2];
    file.file().read_exact_at(&mut sector, 510).ok().filter(|()| sector == [0x55, 0xaa])?;
    let table = twinhull_disk::table::read(&path, file.file()).ok()?;
    let wanted =
        table.partitions.iter().find(|partition| partition.uuid.to_string().eq_ignore_ascii_case(uuid))?;
    let (_, name) = numbered(disk).into_iter().find(|(number, _)| *number == wanted.number)?;
    Some(PathBuf::from("/dev").join(name))
}
