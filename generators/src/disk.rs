//! Finds the boot disk and lets systemd-repart make and grow /var on it.
//!
//! systemd-repart finds no disk by itself when the root is a tmpfs, so it is given the node: the disk that
//! holds the partition systemd-boot came from, else the disk behind the verity device of /usr.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use twinhull_disk::{table, types};

use crate::{Context, Error, Result, boot};

/// Size of an ext4 block group descriptor's worth of slack: a smaller difference isn't worth a resize.
const GROW_THRESHOLD: u64 = 16 << 20;

/// UUID of the data partition of a root hash in hexadecimal: its first half.
///
/// Returns [`Error::NoBootDisk`] when `hash` isn't 64 hexadecimal digits.
pub fn data_partition_uuid(hash: &str) -> Result<String> {
    if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::NoBootDisk(format!("usrhash={hash} on the command line is no SHA-256 root hash")));
    }
    let h = hash.to_ascii_lowercase();
    Ok(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..32]))
}

/// Name of the whole disk (`vda`) that holds the block device `name` (`vda1`), from sysfs.
fn parent_disk(context: &Context, name: &str) -> Option<String> {
    let link = fs_err::canonicalize(context.path(&format!("/sys/class/block/{name}"))).ok()?;
    if !link.join("partition").exists() {
        return Some(name.to_owned());
    }
    Some(link.parent()?.file_name()?.to_str()?.to_owned())
}

/// Disks that hold the slaves of the device-mapper device behind /dev/mapper/usr.
fn disks_behind_usr(context: &Context) -> Vec<String> {
    let Ok(node) = fs_err::canonicalize(context.path("/dev/mapper/usr")) else { return Vec::new() };
    let name = node.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let Ok(slaves) = fs_err::read_dir(context.path(&format!("/sys/class/block/{name}/slaves"))) else {
        return Vec::new();
    };
    let mut disks: Vec<String> =
        slaves.filter_map(|slave| parent_disk(context, slave.ok()?.file_name().to_str()?)).collect();
    disks.sort();
    disks.dedup();
    disks
}

/// Name of the disk the machine booted from.
///
/// Returns [`Error::NoBootDisk`] saying where it was looked for.
pub fn boot_disk(context: &Context) -> Result<String> {
    let uuid = fs_err::read_to_string(context.path(boot::BOOT_PARTITION)).unwrap_or_default();
    let usr = disks_behind_usr(context);
    let node = context.path(&format!("/dev/disk/by-partuuid/{uuid}"));
    if let Ok(node) = fs_err::canonicalize(&node)
        && let Some(disk) = node.file_name().and_then(|n| parent_disk(context, n.to_str()?))
    {
        if !usr.is_empty() && !usr.contains(&disk) {
            eprintln!(
                "<4>twinhull-disk: /usr comes from {}, but the boot loader from {disk}; are two copies of one disk attached?",
                usr.join(", ")
            );
        }
        return Ok(disk);
    }
    match usr.as_slice() {
        [disk] => Ok(disk.clone()),
        _ => Err(Error::NoBootDisk(format!(
            "neither /dev/disk/by-partuuid/{uuid} nor one disk behind /dev/mapper/usr ({}) is there",
            usr.join(", ")
        ))),
    }
}

/// Runs systemd-repart on the boot disk, links its /var partition to [`boot::VAR_LINK`], checks the file
/// system, and notes when it is smaller than its partition.
pub fn repart(context: &Context) -> Result<()> {
    let disk = boot_disk(context)?;
    let node = format!("/dev/{disk}");
    let mut repart = Command::new("systemd-repart");
    repart.args(["--dry-run=no", "--no-pager", "--seed=random", "--definitions=/sysusr/usr/lib/repart.d"]);
    run(repart.arg(&node), 0)?;
    let table = table::read(Path::new(&node), fs_err::File::open(&node)?.file())?;
    let var = table.partitions.iter().find(|p| p.kind == types::VAR).ok_or(Error::NoPartition {
        disk: node.clone(),
        what: "/var",
        advice: "is the disk large enough for one?",
    })?;
    let partition = wait_for_partition(context, &disk, var.number)?;
    // The new table makes udev look at every partition again; what is mounted before that is over may be
    // taken for a device that went away.
    run(
        Command::new("udevadm")
            .args(["wait", "--timeout=60", "--initialized=true", "--settle"])
            .arg(&partition),
        0,
    )?;
    if !ext4_is_clean(&partition)? {
        println!("/var was not left clean; checking all of it");
        // Best effort: without the timer there is no deadline to stop.
        let _ = Command::new("systemctl").args(["stop", "--no-block", "twinhull-deadline.timer"]).status();
    }
    // Up to 3 means that errors were corrected; from 4 on, that they were not.
    run(Command::new("e2fsck").arg("-p").arg(&partition), 3)?;
    let link = context.path(boot::VAR_LINK);
    if let Some(parent) = link.parent() {
        fs_err::create_dir_all(parent)?;
    }
    if link.is_symlink() {
        fs_err::remove_file(&link)?;
    }
    fs_err::os::unix::fs::symlink(&partition, &link)?;
    if ext4_size(&partition)?.saturating_add(GROW_THRESHOLD) < var.size {
        fs_err::write(context.path("/run/twinhull/grow-var"), "")?;
    }
    println!("/var is {} on {node}, {} MiB", partition.display(), var.size >> 20);
    Ok(())
}

/// Runs a program quietly; what it printed is shown when its exit code is above `worst`.
fn run(command: &mut Command, worst: i32) -> Result<()> {
    let output = command.output()?;
    if output.status.code().is_some_and(|code| code <= worst) {
        return Ok(());
    }
    for text in [&output.stdout, &output.stderr] {
        eprint!("{}", String::from_utf8_lossy(text));
    }
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|w| w.to_string_lossy())
        .collect();
    Err(Error::Program { program: words.join(" "), status: output.status })
}

/// The node of partition `number` of `disk`, once the kernel and udev have made it.
fn wait_for_partition(context: &Context, disk: &str, number: u32) -> Result<PathBuf> {
    let separator = if disk.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    let node = context.path(&format!("/dev/{disk}{separator}{number}"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !node.exists() {
        if Instant::now() > deadline {
            return Err(Error::NoPartition {
                disk: format!("/dev/{disk}"),
                what: "/var",
                advice: "systemd-repart made it, but the kernel did not show it within 60 s",
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(node)
}

/// Whether the ext4 file system on `device` is marked as without errors, from its superblock.
fn ext4_is_clean(device: &Path) -> Result<bool> {
    use std::os::unix::fs::FileExt;
    let mut state = [0; 2];
    fs_err::File::open(device)?.file().read_exact_at(&mut state, 1024 + 0x3A)?;
    Ok(state[0] & 2 == 0)
}

/// Size of the ext4 file system on `device` in bytes, from its superblock.
fn ext4_size(device: &Path) -> Result<u64> {
    use std::os::unix::fs::FileExt;
    let file = fs_err::File::open(device)?;
    let mut sb = [0; 1024];
    file.file().read_exact_at(&mut sb, 1024)?;
    let word = |at: usize| u64::from(u32::from_le_bytes([sb[at], sb[at + 1], sb[at + 2], sb[at + 3]]));
    let is_64bit = word(0x60) & 0x80 != 0;
    let blocks = word(0x04) | if is_64bit { word(0x150) << 32 } else { 0 };
    Ok(blocks.saturating_mul(1024 << word(0x18).min(6)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err::os::unix::fs::symlink;

    /// Two disks with the same partitions; /usr and the boot loader are on vdb.
    fn machine(loader: bool) -> (tempfile::TempDir, Context) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        for disk in ["vda", "vdb"] {
            for n in 1..=3 {
                let part = root.join(format!("sys/devices/{disk}/{disk}{n}"));
                fs_err::create_dir_all(&part).unwrap();
                fs_err::write(part.join("partition"), "").unwrap();
                fs_err::create_dir_all(root.join("sys/class/block")).unwrap();
                symlink(&part, root.join(format!("sys/class/block/{disk}{n}"))).unwrap();
                fs_err::create_dir_all(root.join("dev")).unwrap();
                fs_err::write(root.join(format!("dev/{disk}{n}")), "").unwrap();
            }
            symlink(root.join(format!("sys/devices/{disk}")), root.join(format!("sys/class/block/{disk}")))
                .unwrap();
        }
        fs_err::create_dir_all(root.join("sys/devices/dm-0/slaves/vdb2")).unwrap();
        fs_err::create_dir_all(root.join("sys/devices/dm-0/slaves/vdb3")).unwrap();
        symlink(root.join("sys/devices/dm-0"), root.join("sys/class/block/dm-0")).unwrap();
        fs_err::create_dir_all(root.join("dev/mapper")).unwrap();
        fs_err::write(root.join("dev/dm-0"), "").unwrap();
        symlink(root.join("dev/dm-0"), root.join("dev/mapper/usr")).unwrap();
        fs_err::create_dir_all(root.join("run/twinhull")).unwrap();
        fs_err::create_dir_all(root.join("dev/disk/by-partuuid")).unwrap();
        fs_err::write(root.join("run/twinhull/boot-partition"), "feed").unwrap();
        if loader {
            symlink(root.join("dev/vdb1"), root.join("dev/disk/by-partuuid/feed")).unwrap();
        }
        let context = Context { units: root.join("units"), root, initrd: true };
        (dir, context)
    }

    #[test]
    fn the_boot_disk_is_the_loaders_or_that_behind_usr() {
        for loader in [true, false] {
            let (_dir, context) = machine(loader);
            assert_eq!(boot_disk(&context).unwrap(), "vdb", "loader: {loader}");
        }
    }

    #[test]
    fn without_any_trace_nothing_is_touched() {
        let (_dir, context) = machine(false);
        fs_err::remove_file(context.path("/dev/mapper/usr")).unwrap();
        assert!(boot_disk(&context).unwrap_err().to_string().contains("can't be found"));
    }
}
