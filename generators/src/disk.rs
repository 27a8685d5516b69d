//! Finds the boot disk and lets systemd-repart make swap and /var on it, and grow /var.
//!
//! systemd-repart finds no disk by itself when the root is a tmpfs, so it is given the node: the disk that
//! holds the partition systemd-boot came from, else the disk behind the verity device of /usr.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use twinhull_disk::{table, types};

use crate::encryption::{self, Encryption};
use crate::{Context, Error, Result, boot, definitions};

/// Size of an ext4 block group descriptor's worth of slack: a smaller difference isn't worth a resize.
pub(crate) const GROW_THRESHOLD: u64 = 16 << 20;

/// UUIDs of the data and the hash-tree partition of a root hash in hexadecimal: its halves.
///
/// Returns [`Error::NoBootDisk`] when `hash` isn't 64 hexadecimal digits.
pub fn partition_uuids(hash: &str) -> Result<[String; 2]> {
    if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::NoBootDisk(format!("usrhash={hash} on the command line is no SHA-256 root hash")));
    }
    let hash = hash.to_ascii_lowercase();
    let uuid = |h: &str| format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]);
    Ok([uuid(&hash[..32]), uuid(&hash[32..])])
}

/// Name of the whole disk (`vda`) that holds the block device `name` (`vda1`), from sysfs.
pub(crate) fn parent_disk(context: &Context, name: &str) -> Option<String> {
    let link = fs_err::canonicalize(context.path(&format!("/sys/class/block/{name}"))).ok()?;
    if !link.join("partition").exists() {
        return Some(name.to_owned());
    }
    Some(link.parent()?.file_name()?.to_str()?.to_owned())
}

/// Name of the disk with the partition `uuid`, when udev has linked it.
fn disk_with(context: &Context, uuid: &str) -> Option<String> {
    let node = fs_err::canonicalize(context.path(&format!("/dev/disk/by-partuuid/{uuid}"))).ok()?;
    parent_disk(context, node.file_name()?.to_str()?)
}

/// Name of the disk the machine booted from: the boot loader's, else the one with the data partition that the
/// root hash on the command line names.
///
/// Returns [`Error::NoBootDisk`] saying where it was looked for.
pub fn boot_disk(context: &Context) -> Result<String> {
    let loader = fs_err::read_to_string(context.path(boot::BOOT_PARTITION)).unwrap_or_default();
    let [data, _] = partition_uuids(&context.option("usrhash").unwrap_or_default()).unwrap_or_default();
    match (disk_with(context, &loader), disk_with(context, &data)) {
        (Some(disk), Some(usr)) if disk != usr => {
            eprintln!(
                "<4>twinhull-disk: /usr comes from {usr}, but the boot loader from {disk}; are two copies of one disk attached?"
            );
            Ok(disk)
        }
        (Some(disk), _) | (None, Some(disk)) => Ok(disk),
        (None, None) => Err(Error::NoBootDisk(format!(
            "neither /dev/disk/by-partuuid/{loader} nor /dev/disk/by-partuuid/{data} is there"
        ))),
    }
}

/// Makes sure that the boot disk has a /var as large as it can be: runs systemd-repart when it hasn't, links the
/// partition to [`boot::VAR_LINK`], checks the file system when it needs that, and notes when it is smaller than
/// its partition.
///
/// On most boots there is nothing to do, and nothing else is run.
pub fn repart(context: &Context) -> Result<()> {
    let disk = boot_disk(context)?;
    let node = format!("/dev/{disk}");
    let encryption = Encryption::of(context)?;
    let mut var = settled_var(context, &disk)?;
    if var.is_none() {
        let has_var = var_partition(Path::new(&node))?.is_some();
        let mut repart = Command::new("systemd-repart");
        repart.args(["--dry-run=no", "--no-pager", "--seed=random"]);
        // What is there stays as it is, encrypted or not.
        let encryption = encryption.as_ref().filter(|_| !has_var);
        repart.arg(format!("--definitions={}", definitions::folder(context, has_var, encryption)?.display()));
        repart.args(encryption.map(|encryption| encryption.arguments(context)).into_iter().flatten());
        run(repart.arg(&node), 0)?;
        var = var_partition(Path::new(&node))?;
    }
    let var = var.ok_or(Error::NoPartition {
        disk: node.clone(),
        what: "/var",
        advice: "is the disk large enough for one?",
    })?;
    let partition = wait_for_partition(context, &disk, var.number)?;
    settle(context, &disk, var.number)?;
    let device = encryption::file_system(context, encryption.as_ref(), &partition)?;
    let ext4 = Ext4::read(&device)?;
    if ext4.is_some_and(|e| e.errors) {
        // Best effort: without the timer there is no deadline to stop.
        let _ = Command::new("systemctl").args(["stop", "--no-block", "twinhull-deadline.timer"]).status();
    }
    check(&device, ext4, "/var")?;
    link(context, boot::VAR_LINK, &device)?;
    if ext4.is_some_and(|e| e.is_smaller_than(var.size)) {
        fs_err::write(context.path("/run/twinhull/grow-var"), "")?;
    }
    println!("/var is {} on {node}, {} MiB", device.display(), var.size >> 20);
    if definitions::want_swap(context)
        && let Err(error) = swap(context, &disk, encryption.is_some())
    {
        // A machine without swap is better than none.
        eprintln!("<4>twinhull-disk: no swap: {error}");
    }
    Ok(())
}

/// Links the swap partition of the boot disk, or what it is opened as, to [`boot::SWAP_LINK`]; or says why there is none.
fn swap(context: &Context, disk: &str, encrypted: bool) -> Result<()> {
    match partition(&context.path(&format!("/dev/{disk}")), types::SWAP)? {
        Some(swap) => {
            let mut device = context.path(&partition_node(disk, swap.number));
            if encrypted {
                device = encryption::open_swap(context, &wait_for_partition(context, disk, swap.number)?)?;
            }
            link(context, boot::SWAP_LINK, &device)
        }
        None => {
            eprintln!(
                "<4>twinhull-disk: no swap: /dev/{disk} has no partition for it, and one is made only at the first boot, in front \
                 of /var and with room for both"
            );
            Ok(())
        }
    }
}

/// Lets `name` lead to `target`.
pub(crate) fn link(context: &Context, name: &str, target: &Path) -> Result<()> {
    let link = context.path(name);
    if let Some(parent) = link.parent() {
        fs_err::create_dir_all(parent)?;
    }
    if link.is_symlink() {
        fs_err::remove_file(&link)?;
    }
    Ok(fs_err::os::unix::fs::symlink(target, &link)?)
}

/// The first partition of a type on a disk, if it has one.
fn partition(node: &Path, kind: uuid::Uuid) -> Result<Option<table::Partition>> {
    let table = table::read(node, fs_err::File::open(node)?.file())?;
    Ok(table.partitions.into_iter().find(|p| p.kind == kind))
}

/// The /var partition of a disk, if it has one.
fn var_partition(node: &Path) -> Result<Option<table::Partition>> {
    partition(node, types::VAR)
}

/// The /var partition, if systemd-repart would leave it as it is: it holds an ext4, or is encrypted, and reaches to the disk's
/// end.
///
/// Whatever is in doubt is left to systemd-repart.
fn settled_var(context: &Context, disk: &str) -> Result<Option<table::Partition>> {
    let node = context.path(&format!("/dev/{disk}"));
    let Some(var) = var_partition(&node)? else { return Ok(None) };
    let disk_len = size(context, disk)?;
    let node = context.path(&partition_node(disk, var.number));
    let made = node.exists()
        && (matches!(Ext4::read(&node), Ok(Some(_))) || encryption::is_encrypted(&node).unwrap_or(false));
    let full = var.offset.saturating_add(var.size).saturating_add(GROW_THRESHOLD) >= disk_len;
    Ok((made && full).then_some(var))
}

/// Length of a block device in bytes.
pub(crate) fn size(context: &Context, name: &str) -> Result<u64> {
    let sectors = fs_err::read_to_string(context.path(&format!("/sys/class/block/{name}/size")))?;
    // sysfs counts sectors of 512 bytes whatever the disk's own are.
    Ok(sectors.trim().parse::<u64>().unwrap_or(u64::MAX).saturating_mul(512))
}

/// `/dev/vda6`, `/dev/nvme0n1p6`.
fn partition_node(disk: &str, number: u32) -> String {
    let separator = if disk.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    format!("/dev/{disk}{separator}{number}")
}

/// Whether udev is done with a partition: it has an entry in its database and is not at work on it.
fn is_handled(context: &Context, disk: &str, number: u32) -> bool {
    let node = partition_node(disk, number);
    let name = node.trim_start_matches("/dev/");
    let device =
        fs_err::read_to_string(context.path(&format!("/sys/class/block/{name}/dev"))).unwrap_or_default();
    // udev's queue is empty when this file isn't there.
    !device.is_empty()
        && context.path(&format!("/run/udev/data/b{}", device.trim())).exists()
        && !context.path("/run/udev/queue").exists()
}

/// Waits until udev is done with a partition. A new table makes it look at every partition again; what is mounted
/// before that is over may be taken for a device that went away.
pub(crate) fn settle(context: &Context, disk: &str, number: u32) -> Result<()> {
    if is_handled(context, disk, number) {
        return Ok(());
    }
    let mut wait = Command::new("udevadm");
    wait.args(["wait", "--timeout=60", "--initialized=true", "--settle"]);
    run(wait.arg(context.path(&partition_node(disk, number))), 0)
}

/// Checks the file system `what`, of which `ext4` is known, when it needs that.
pub(crate) fn check(partition: &Path, ext4: Option<Ext4>, what: &str) -> Result<()> {
    if ext4.is_some_and(|e| e.errors) {
        println!("{what} was not left clean; checking all of it");
    }
    match ext4 {
        Some(Ext4 { clean: true, .. }) => Ok(()),
        // Up to 3 means that errors were corrected; from 4 on, that they were not.
        _ => run(Command::new("e2fsck").arg("-p").arg(partition), 3),
    }
}

/// Runs a program quietly; what it printed is shown when its exit code is above `worst`.
pub(crate) fn run(command: &mut Command, worst: i32) -> Result<()> {
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
pub(crate) fn wait_for_partition(context: &Context, disk: &str, number: u32) -> Result<PathBuf> {
    let node = context.path(&partition_node(disk, number));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !node.exists() {
        if Instant::now() > deadline {
            return Err(Error::NoPartition {
                disk: format!("/dev/{disk}"),
                what: "new",
                advice: "systemd-repart made it, but the kernel did not show it within 60 s",
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(node)
}

/// What the superblock of an ext4 file system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ext4 {
    /// Length of the file system in bytes.
    size: u64,
    /// It was unmounted in order, and its journal is empty.
    clean: bool,
    /// The kernel or e2fsck found errors in it: all of it has to be checked.
    errors: bool,
}

impl Ext4 {
    /// Reads the superblock of a device; `None` when it holds no ext4.
    pub(crate) fn read(device: &Path) -> Result<Option<Self>> {
        use std::os::unix::fs::FileExt;
        let mut sb = [0; 1024];
        match fs_err::File::open(device)?.file().read_exact_at(&mut sb, 1024) {
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            result => Ok(result.map(|()| Self::parse(&sb))?),
        }
    }

    /// Whether it is worth growing to a partition of `size` bytes.
    pub(crate) fn is_smaller_than(&self, size: u64) -> bool {
        self.size.saturating_add(GROW_THRESHOLD) < size
    }

    /// Documentation/filesystems/ext4/super.rst in the kernel.
    fn parse(sb: &[u8; 1024]) -> Option<Self> {
        const MAGIC: u16 = 0xEF53;
        let half = |at: usize| u16::from_le_bytes([sb[at], sb[at + 1]]);
        let word = |at: usize| u64::from(half(at)) | u64::from(half(at + 2)) << 16;
        let (state, incompat) = (half(0x3A), word(0x60));
        let is_64bit = incompat & 0x80 != 0;
        let needs_recovery = incompat & 4 != 0;
        let blocks = word(0x04) | if is_64bit { word(0x150) << 32 } else { 0 };
        (half(0x38) == MAGIC).then(|| Ext4 {
            size: blocks.saturating_mul(1024 << word(0x18).min(6)),
            clean: state & 3 == 1 && !needs_recovery,
            errors: state & 2 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err::os::unix::fs::symlink;

    const HASH: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const DATA: &str = "00010203-0405-0607-0809-0a0b0c0d0e0f";

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
        fs_err::create_dir_all(root.join("run/twinhull")).unwrap();
        fs_err::create_dir_all(root.join("dev/disk/by-partuuid")).unwrap();
        fs_err::write(root.join("run/twinhull/boot-partition"), "feed").unwrap();
        fs_err::create_dir_all(root.join("proc")).unwrap();
        fs_err::write(root.join("proc/cmdline"), format!("quiet usrhash={HASH}")).unwrap();
        symlink(root.join("dev/vdb2"), root.join("dev/disk/by-partuuid").join(DATA)).unwrap();
        if loader {
            symlink(root.join("dev/vdb1"), root.join("dev/disk/by-partuuid/feed")).unwrap();
        }
        let context = Context { units: root.join("units"), root, initrd: true };
        (dir, context)
    }

    #[test]
    fn the_boot_disk_is_the_loaders_or_that_of_usr() {
        for loader in [true, false] {
            let (_dir, context) = machine(loader);
            assert_eq!(boot_disk(&context).unwrap(), "vdb", "loader: {loader}");
        }
    }

    #[test]
    fn what_a_superblock_says() {
        let image = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Ext4::read(image.path()).unwrap(), None);
        image.as_file().set_len(64 << 20).unwrap();
        assert_eq!(Ext4::read(image.path()).unwrap(), None);
        run(Command::new("mke2fs").args(["-q", "-t", "ext4"]).arg(image.path()), 0).unwrap();
        let made = Ext4 { size: 64 << 20, clean: true, errors: false };
        assert_eq!(Ext4::read(image.path()).unwrap(), Some(made));
        let set = |field: &str, value: &str| {
            let mut command = Command::new("debugfs");
            run(command.args(["-w", "-R", &format!("ssv {field} {value}")]).arg(image.path()), 0).unwrap();
            Ext4::read(image.path()).unwrap().unwrap()
        };
        assert_eq!(set("state", "3"), Ext4 { clean: false, errors: true, ..made });
        assert_eq!(set("state", "0"), Ext4 { clean: false, ..made });
        let mut sb = [0; 1024];
        sb[0x38..0x3A].copy_from_slice(&0xEF53_u16.to_le_bytes());
        (sb[0x3A], sb[0x60]) = (1, 4);
        assert!(!Ext4::parse(&sb).unwrap().clean, "the journal has to be replayed");
    }

    /// A disk of `sectors` with a /var of 64 MiB at 1 MiB.
    fn disk_with_var(sectors: u64) -> (tempfile::TempDir, Context) {
        let (dir, context) = machine(true);
        let table = table::Table {
            uuid: uuid::Uuid::from_u128(1),
            partitions: vec![table::Partition {
                number: 1,
                kind: types::VAR,
                uuid: uuid::Uuid::from_u128(2),
                offset: 1 << 20,
                size: 64 << 20,
                label: "var".into(),
                flags: 0,
            }],
        };
        let mut file = std::fs::File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(context.path("/dev/vda"))
            .unwrap();
        file.set_len(sectors * 512).unwrap();
        table::write(&mut file, &table).unwrap();
        fs_err::write(context.path("/sys/class/block/vda/size"), format!("{sectors}\n")).unwrap();
        (dir, context)
    }

    #[test]
    fn a_var_that_is_as_large_as_it_can_be_is_left_alone() {
        for (mib, formatted, settled) in [(66, true, true), (66, false, false), (200, true, false)] {
            let (_dir, context) = disk_with_var(mib << 11);
            let part = context.path("/dev/vda1");
            fs_err::File::create(&part).unwrap().set_len(64 << 20).unwrap();
            if formatted {
                run(Command::new("mke2fs").args(["-q", "-t", "ext4"]).arg(&part), 0).unwrap();
            }
            let found = settled_var(&context, "vda").unwrap();
            assert_eq!(found.is_some(), settled, "{mib} {formatted}");
        }
    }

    #[test]
    fn the_swap_of_the_boot_disk_is_linked() {
        let (_dir, context) = disk_with_var(66 << 11);
        swap(&context, "vda", false).unwrap();
        assert!(!context.path(boot::SWAP_LINK).exists(), "there is none");
        let path = context.path("/dev/vda");
        let mut table = table::read(&path, fs_err::File::open(&path).unwrap().file()).unwrap();
        table.partitions[0].size = 32 << 20;
        let swap_partition = table::Partition {
            number: 2,
            kind: types::SWAP,
            uuid: uuid::Uuid::from_u128(3),
            offset: 40 << 20,
            size: 16 << 20,
            label: "swap".into(),
            flags: 0,
        };
        table.partitions.push(swap_partition);
        let mut file = fs_err::File::options().read(true).write(true).open(&path).unwrap().into_file();
        table::write(&mut file, &table).unwrap();
        swap(&context, "vda", false).unwrap();
        assert_eq!(fs_err::read_link(context.path(boot::SWAP_LINK)).unwrap(), context.path("/dev/vda2"));
    }

    #[test]
    fn udev_is_done_with_a_partition_when_its_queue_is_empty() {
        let (_dir, context) = machine(true);
        fs_err::write(context.path("/sys/class/block/vda1/dev"), "254:1\n").unwrap();
        assert!(!is_handled(&context, "vda", 1));
        fs_err::create_dir_all(context.path("/run/udev/data")).unwrap();
        fs_err::write(context.path("/run/udev/data/b254:1"), "").unwrap();
        assert!(is_handled(&context, "vda", 1));
        fs_err::write(context.path("/run/udev/queue"), "").unwrap();
        assert!(!is_handled(&context, "vda", 1));
    }

    #[test]
    fn without_any_trace_nothing_is_touched() {
        let (_dir, context) = machine(false);
        fs_err::remove_file(context.path(&format!("/dev/disk/by-partuuid/{DATA}"))).unwrap();
        assert!(boot_disk(&context).unwrap_err().to_string().contains("can't be found"));
    }
}
