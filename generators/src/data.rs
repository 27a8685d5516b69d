//! Data disks: formats an empty one, mounts one that was made here, and leaves everything else alone.
//!
//! The image's list of them has a line each: name, disk, mount point, and whether foreign data may be wiped. A disk is
//! ours when its GPT has a Linux data partition with the label `twinhull-data-NAME`. A disk with another Twinhull's
//! label is never wiped, whatever the list says: somebody may just have renamed it.

use std::path::{Path, PathBuf};
use std::process::Command;

use twinhull_disk::{table, types};

use crate::{Context, Error, Result, boot, disk, unit};

/// The image's list.
const LIST: &str = "/usr/lib/twinhull/data-disks";
/// Begins the label of every partition that was made here.
const LABEL: &str = "twinhull-data-";
/// Seconds that a boot waits for a disk.
const PATIENCE: u32 = 30;
/// How much of a disk's beginning has to be zeros for it to be empty.
const HEAD: u64 = 16 << 20;

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataDisk {
    name: String,
    /// A device, or `LABEL=` and the label of a file system, which is never formatted.
    source: String,
    mount: String,
    wipe: bool,
}

impl DataDisk {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        let (name, source, mount) = (words.next()?, words.next()?, words.next()?);
        Some(DataDisk { name, source, mount, wipe: words.next()? == "wipe" })
    }

    /// The device to wait for.
    fn device(&self) -> String {
        match self.source.strip_prefix("LABEL=") {
            Some(label) => format!("/dev/disk/by-label/{label}"),
            None => self.source.clone(),
        }
    }

    /// Where the link to the partition is.
    fn link(&self) -> String {
        format!("/run/twinhull/dev/data-{}", self.name)
    }

    fn service(&self) -> String {
        format!("twinhull-data-{}.service", self.name)
    }
}

fn list(context: &Context) -> Result<Vec<DataDisk>> {
    let path = context.path(LIST);
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(fs_err::read_to_string(path)?.lines().filter_map(DataDisk::parse).collect())
}

/// Emits, for each data disk, the service that looks at it, its mount, and what grows its file system.
pub(crate) fn generate(context: &Context) -> Result<()> {
    for disk in list(context)? {
        let (service, link) = (disk.service(), disk.link());
        let device = unit::escape_path(&disk.device()) + ".device";
        // PID 1 refuses a mount point with a link in it, and /srv is one.
        let place = without_links(context, &disk.mount);
        let stem = unit::escape_path(&place);
        context.write_drop_in(&device, &format!("[Unit]\nJobRunningTimeoutSec={PATIENCE}s\n"))?;
        context.write_unit(
            &service,
            &format!(
                "[Unit]\n\
                 Description=Data disk {name}\n\
                 DefaultDependencies=no\n\
                 # Without the disk it has to say so.\n\
                 Wants={device}\n\
                 After={device} systemd-udevd.service\n\
                 RequiresMountsFor=/var/lib/twinhull\n\
                 Before=shutdown.target\n\
                 Conflicts=shutdown.target\n\
                 \n\
                 [Service]\n\
                 Type=oneshot\n\
                 RemainAfterExit=yes\n\
                 StandardOutput=journal+console\n\
                 StandardError=journal+console\n\
                 ExecStart=/usr/lib/twinhull/twinhull-disk data {name}\n\
                 # A check of a large file system takes its time.\n\
                 TimeoutStartSec=infinity\n",
                name = disk.name
            ),
        )?;
        context.write_unit(
            &format!("{stem}.mount"),
            &format!(
                "[Unit]\n\
                 Description=Data disk {name} on {mount}\n\
                 Wants={service}\n\
                 After={service}\n\
                 # A condition would let services that need the mount start without it.\n\
                 AssertPathExists={link}\n\
                 \n\
                 [Mount]\n\
                 What={link}\n\
                 Where={place}\n\
                 Options={options}\n",
                name = disk.name,
                mount = disk.mount,
                options = boot::VAR_OPTIONS,
            ),
        )?;
        context.pull_in("local-fs.target", "wants", &format!("{stem}.mount"))?;
        let grow = format!("twinhull-growfs-{}.service", disk.name);
        context.write_unit(
            &grow,
            &format!(
                "[Unit]\n\
                 Description=Grow the file system of data disk {name}\n\
                 DefaultDependencies=no\n\
                 ConditionPathExists=/run/twinhull/grow-data-{name}\n\
                 Requires={stem}.mount\n\
                 After={stem}.mount\n\
                 Before=local-fs.target shutdown.target\n\
                 Conflicts=shutdown.target\n\
                 \n\
                 [Service]\n\
                 Type=oneshot\n\
                 ExecStart=/usr/lib/systemd/systemd-growfs {place}\n",
                name = disk.name
            ),
        )?;
        context.pull_in(&format!("{stem}.mount"), "wants", &grow)?;
    }
    Ok(())
}

/// A path with its links followed, whether what they lead to exists yet or not.
fn without_links(context: &Context, path: &str) -> String {
    let mut out = PathBuf::from("/");
    for part in Path::new(path.trim_start_matches('/')) {
        let here = out.join(part);
        out = match fs_err::read_link(context.path(&here.display().to_string())) {
            Ok(target) => out.join(target),
            Err(_) => here,
        };
    }
    out.display().to_string()
}

/// What is on a disk.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Made here, by this name.
    Ours(table::Partition),
    /// Made here, by another name.
    OtherName(String),
    /// Nothing at all.
    Empty,
    /// No signature, but not only zeros.
    Unknown,
    /// Somebody else's.
    Foreign(String),
}

/// Looks at a disk of `size` bytes.
fn inspect(node: &Path, name: &str, size: u64) -> Result<State> {
    let mut blkid = Command::new("blkid");
    blkid.args(["--probe", "--output", "export"]).arg(node);
    let output = blkid.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let get = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    match output.status.code() {
        Some(2) if is_blank(node, size)? => Ok(State::Empty),
        Some(2) => Ok(State::Unknown),
        Some(8) => Ok(State::Foreign("signatures of several file systems".into())),
        Some(0) => Ok(match (get("TYPE"), get("PTTYPE")) {
            (Some(kind), _) => State::Foreign(match get("LABEL") {
                Some(label) => format!("{kind} with the label {label}"),
                None => kind.to_owned(),
            }),
            (None, Some("gpt")) => by_table(node, name)?,
            (None, kind) => State::Foreign(format!("a partition table ({})", kind.unwrap_or("unknown"))),
        }),
        _ => Err(Error::Program { program: "blkid".into(), status: output.status }),
    }
}

/// What a GPT says.
fn by_table(node: &Path, name: &str) -> Result<State> {
    let Ok(table) = table::read(node, fs_err::File::open(node)?.file()) else {
        return Ok(State::Foreign("a damaged partition table (gpt)".into()));
    };
    let made = |p: &&table::Partition| p.kind == types::LINUX_DATA && p.label.starts_with(LABEL);
    Ok(match table.partitions.iter().find(made) {
        Some(found) if found.label[LABEL.len()..] == *name => State::Ours(found.clone()),
        Some(found) => State::OtherName(found.label[LABEL.len()..].to_owned()),
        None => State::Foreign(format!("a partition table (gpt, partitions: {})", table.partitions.len())),
    })
}

/// Whether a disk begins with nothing but zeros.
fn is_blank(node: &Path, size: u64) -> Result<bool> {
    use std::io::Read;
    let mut head = Vec::new();
    fs_err::File::open(node)?.take(HEAD.min(size)).read_to_end(&mut head)?;
    Ok(head.iter().all(|byte| *byte == 0))
}

/// Does what has to be done about the data disk `name` before it is mounted. A disk that can't be used is said and no
/// failure: the mount isn't made then, and what needs it doesn't start.
pub fn prepare(context: &Context, name: &str) -> Result<()> {
    let disks = list(context)?;
    let Some(data) = disks.iter().find(|disk| disk.name == name) else {
        return Err(Error::NoDataDisk { name: name.to_owned(), list: LIST });
    };
    let link = context.path(&data.link());
    if link.is_symlink() {
        fs_err::remove_file(&link)?;
    }
    let done = match claim(context, data) {
        Ok(Ok((partition, size))) => {
            offer(context, data, &partition, size).map_err(|error| error.to_string())
        }
        Ok(Err(why)) => Err(why),
        // A disk that is damaged must not make a boot a bad one either.
        Err(error) => Err(error.to_string()),
    };
    if let Err(why) = done {
        eprintln!("<4>data disk {name}: {why}; {} is not mounted", data.mount);
    }
    Ok(())
}

/// Checks the file system if it is one of ours, and lets the link of the disk lead to it.
fn offer(context: &Context, data: &DataDisk, partition: &Path, size: u64) -> Result<()> {
    // Somebody may have made another file system; the mount finds out which.
    let ext4 = disk::Ext4::read(partition)?;
    if ext4.is_some() {
        disk::check(partition, ext4, &data.mount)?;
    }
    if ext4.is_some_and(|e| e.is_smaller_than(size)) {
        fs_err::write(context.path(&format!("/run/twinhull/grow-data-{}", data.name)), "")?;
    }
    disk::link(context, &data.link(), partition)?;
    println!("data disk {}: {} is {}, {} MiB", data.name, data.mount, partition.display(), size >> 20);
    Ok(())
}

/// The partition to mount and its size, or why there is none.
fn claim(context: &Context, data: &DataDisk) -> Result<Result<(PathBuf, u64), String>> {
    let (device, name) = (data.device(), &data.name);
    let node = match fs_err::canonicalize(context.path(&device)) {
        Ok(node) => node,
        Err(_) => return Ok(Err(format!("{device} isn't there"))),
    };
    let block = node.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let whole = disk::parent_disk(context, &block).unwrap_or_default();
    if whole == boot_disk(context)? {
        return Ok(Err(format!("{device} is the disk that the machine booted from, /dev/{whole}")));
    }
    let size = disk::size(context, &block)?;
    if data.source != device {
        return Ok(Ok((node, size)));
    }
    if whole != block {
        return Ok(Err(format!("{device} is a partition, not a disk")));
    }
    let mark = context.path(&format!("/var/lib/twinhull/formatting-{name}"));
    let ours = format!("{device} {size}\n");
    let mut state = inspect(&node, name, size)?;
    // A power cut left a file system without its partition.
    if state == State::Unknown && fs_err::read_to_string(&mark).is_ok_and(|text| text == ours) {
        state = State::Empty;
    }
    let found = match &state {
        State::Ours(partition) => {
            if partition.offset + partition.size + disk::GROW_THRESHOLD < size
                && let Err(error) = repart(context, name, &node, "refuse")
            {
                eprintln!("<4>data disk {name}: it can't grow: {error}");
            }
            return mine(context, &node, &block, name);
        }
        State::Empty => "nothing".to_owned(),
        State::OtherName(other) => {
            return Ok(Err(format!(
                "/dev/{block} is the data disk {other} of a Twinhull machine, which is never wiped; \
                 call it {other} in the spec, or {}",
                how_to_empty(&block)
            )));
        }
        State::Unknown => "data of an unknown kind".to_owned(),
        State::Foreign(what) => what.clone(),
    };
    if state != State::Empty && !data.wipe {
        return Ok(Err(format!(
            "/dev/{block} has {found} on it and is left alone; if that may go, {}, or say `foreign-data: wipe` in the spec",
            how_to_empty(&block)
        )));
    }
    if state != State::Empty {
        println!("data disk {name}: wiping {found} on /dev/{block}, as the spec says");
        // Refuses a disk that is in use.
        disk::run(Command::new("wipefs").args(["--all", "--quiet"]).arg(&node), 0)?;
    }
    if let Some(parent) = mark.parent() {
        fs_err::create_dir_all(parent)?;
    }
    fs_err::write(&mark, &ours)?;
    fs_err::File::open(&mark)?.sync_all()?;
    repart(context, name, &node, "force")?;
    fs_err::remove_file(&mark)?;
    mine(context, &node, &block, name)
}

/// What makes a disk an empty one.
fn how_to_empty(block: &str) -> String {
    format!("empty it with `wipefs --all /dev/{block}` and `blkdiscard --zeroout --length 16M /dev/{block}`")
}

/// The disk that the machine booted from: the one with /var, or as the boot loader says.
fn boot_disk(context: &Context) -> Result<String> {
    let var = fs_err::read_link(context.path(boot::VAR_LINK)).ok();
    let name = var.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    match name.and_then(|name| disk::parent_disk(context, name)) {
        Some(disk) => Ok(disk),
        None => disk::boot_disk(context),
    }
}

/// Makes or grows the partition. With `force`, a new table is written.
fn repart(context: &Context, name: &str, node: &Path, empty: &str) -> Result<()> {
    let folder = context.path(&format!("/run/twinhull/repart-data-{name}"));
    fs_err::create_dir_all(&folder)?;
    let text = format!("[Partition]\nType=linux-generic\nLabel={LABEL}{name}\nFormat=ext4\n");
    fs_err::write(folder.join("10-data.conf"), text)?;
    let mut repart = Command::new("systemd-repart");
    repart.args(["--dry-run=no", "--no-pager", "--seed=random"]).arg(format!("--empty={empty}"));
    disk::run(repart.arg(format!("--definitions={}", folder.display())).arg(node), 0)
}

/// Our partition on a disk that has it by now, once the kernel shows it.
fn mine(context: &Context, node: &Path, block: &str, name: &str) -> Result<Result<(PathBuf, u64), String>> {
    let State::Ours(partition) = by_table(node, name)? else {
        return Ok(Err(format!("systemd-repart made no partition on /dev/{block}")));
    };
    let path = disk::wait_for_partition(context, block, partition.number)?;
    disk::settle(context, block, partition.number)?;
    Ok(Ok((path, partition.size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err::os::unix::fs::symlink;

    const LINE: &str = "store /dev/disk/by-path/pci-1 /srv/data keep\n";

    /// A machine with a boot disk vda and an empty disk vdb of `mib` MiB.
    fn machine(line: &str, mib: u64) -> (tempfile::TempDir, Context) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        for path in ["sys/class/block", "dev/disk/by-path", "usr/lib/twinhull", "run/twinhull/dev", "units"] {
            fs_err::create_dir_all(root.join(path)).unwrap();
        }
        for (block, sectors) in [("vda", 1), ("vda6", 1), ("vdb", mib << 11)] {
            let parent =
                if block == "vda6" { "sys/devices/vda/vda6" } else { &format!("sys/devices/{block}") };
            fs_err::create_dir_all(root.join(parent)).unwrap();
            fs_err::write(root.join(parent).join("size"), format!("{sectors}\n")).unwrap();
            symlink(root.join(parent), root.join("sys/class/block").join(block)).unwrap();
        }
        fs_err::write(root.join("sys/devices/vda/vda6/partition"), "6").unwrap();
        symlink("/dev/vda6", root.join("run/twinhull/dev/var")).unwrap();
        fs_err::File::create(root.join("dev/vdb")).unwrap().set_len(mib << 20).unwrap();
        fs_err::File::create(root.join("dev/vda")).unwrap();
        symlink(root.join("dev/vdb"), root.join("dev/disk/by-path/pci-1")).unwrap();
        symlink(root.join("dev/vda"), root.join("dev/disk/by-path/pci-0")).unwrap();
        fs_err::write(root.join("usr/lib/twinhull/data-disks"), line).unwrap();
        let context = Context { units: root.join("units"), root, initrd: false };
        (dir, context)
    }

    /// A table with one partition.
    fn partitioned(node: &Path, label: &str) {
        let table = table::Table {
            uuid: uuid::Uuid::from_u128(1),
            partitions: vec![table::Partition {
                number: 1,
                kind: types::LINUX_DATA,
                uuid: uuid::Uuid::from_u128(2),
                offset: 1 << 20,
                size: 62 << 20,
                label: label.into(),
                flags: 0,
            }],
        };
        let mut file = fs_err::File::options().read(true).write(true).open(node).unwrap().into_file();
        table::write(&mut file, &table).unwrap();
    }

    #[test]
    fn what_is_on_a_disk() {
        use std::os::unix::fs::FileExt;
        /// A name for the row, what makes the disk, and what is found on it.
        type Row<'a> = (&'a str, Box<dyn Fn(&Path)>, &'a str);
        let write = |at: u64| {
            move |node: &Path| {
                let file = fs_err::File::options().write(true).open(node).unwrap();
                file.file().write_all_at(&[1], at).unwrap();
            }
        };
        let ext4 = |node: &Path| {
            let mut make = Command::new("mke2fs");
            disk::run(make.args(["-q", "-t", "ext4", "-L", "mine"]).arg(node), 0).unwrap();
        };
        let rows: &[Row<'_>] = &[
            ("empty", Box::new(|_| ()), "Empty"),
            ("ours", Box::new(|node| partitioned(node, "twinhull-data-store")), "Ours"),
            ("renamed", Box::new(|node| partitioned(node, "twinhull-data-old")), "OtherName(\"old\")"),
            (
                "table",
                Box::new(|node| partitioned(node, "x")),
                "Foreign(\"a partition table (gpt, partitions: 1)\")",
            ),
            ("head", Box::new(write(9 << 20)), "Unknown"),
            ("ext4", Box::new(ext4), "Foreign(\"ext4 with the label mine\")"),
        ];
        for (name, make, wanted) in rows {
            let (_dir, context) = machine(LINE, 64);
            let node = context.path("/dev/vdb");
            make(&node);
            let found = format!("{:?}", inspect(&node, "store", 64 << 20).unwrap());
            assert!(found.starts_with(wanted), "{name}: {found}");
        }
    }

    #[test]
    fn nothing_foreign_is_touched_unless_the_spec_says_so() {
        for (line, make, wanted) in [
            ("store /dev/disk/by-path/pci-1 /srv/data keep", "", "label old on it and is left alone"),
            ("store /dev/disk/by-path/pci-0 /srv/data wipe", "", "is the disk that the machine booted from"),
            ("store /dev/disk/by-path/pci-2 /srv/data wipe", "", "pci-2 isn't there"),
            ("store LABEL=old /srv/data keep", "", "by-label/old isn't there"),
            ("store /dev/disk/by-path/pci-1 /srv/data wipe", "twinhull-data-other", "data disk other of"),
        ] {
            let (_dir, context) = machine(line, 64);
            let node = context.path("/dev/vdb");
            if make.is_empty() {
                disk::run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-L", "old"]).arg(&node), 0)
                    .unwrap();
            } else {
                partitioned(&node, make);
            }
            let before = fs_err::read(&node).unwrap();
            let why = claim(&context, &list(&context).unwrap()[0]).unwrap().unwrap_err();
            assert!(why.contains(wanted), "{line}: {why}");
            prepare(&context, "store").unwrap();
            assert!(!context.path("/run/twinhull/dev/data-store").is_symlink());
            assert!(fs_err::read(&node).unwrap() == before, "{line}: the disk was changed");
        }
    }

    #[test]
    fn an_empty_disk_is_formatted_once_and_ours_stays() {
        let (_dir, context) = machine(LINE, 64);
        let node = context.path("/dev/vdb");
        // What a real kernel would show.
        fs_err::write(context.path("/dev/vdb1"), "").unwrap();
        fs_err::create_dir_all(context.path("/sys/class/block/vdb1")).unwrap();
        fs_err::write(context.path("/sys/class/block/vdb1/dev"), "254:17\n").unwrap();
        fs_err::create_dir_all(context.path("/run/udev/data")).unwrap();
        fs_err::write(context.path("/run/udev/data/b254:17"), "").unwrap();
        let data = &list(&context).unwrap()[0];
        let (path, size) = claim(&context, data).unwrap().unwrap();
        assert_eq!(path, context.path("/dev/vdb1"));
        assert!(size > 60 << 20, "{size}");
        assert!(!context.path("/var/lib/twinhull/formatting-store").exists());
        let State::Ours(partition) = inspect(&node, "store", 64 << 20).unwrap() else { panic!() };
        let before = fs_err::read(&node).unwrap();
        let start = usize::try_from(partition.offset).unwrap();
        assert_eq!(before[start + 0x438..start + 0x43A], [0x53, 0xEF], "there is an ext4 in it");
        // Again, and with wipe: it is ours.
        for wipe in [false, true] {
            assert!(claim(&context, &DataDisk { wipe, ..data.clone() }).unwrap().is_ok());
            assert!(fs_err::read(&node).unwrap() == before, "it was changed");
        }
        // What a power cut leaves: the file system without its table.
        let file = fs_err::File::options().write(true).open(&node).unwrap();
        let zeros = vec![0; 1 << 20];
        for at in [0, 63 << 20] {
            std::os::unix::fs::FileExt::write_all_at(file.file(), &zeros, at).unwrap();
        }
        assert!(claim(&context, data).unwrap().unwrap_err().contains("unknown kind"));
        let mark = context.path("/var/lib/twinhull/formatting-store");
        fs_err::write(&mark, format!("/dev/disk/by-path/pci-1 {}\n", 64 << 20)).unwrap();
        assert!(claim(&context, data).unwrap().is_ok());
    }

    #[test]
    fn a_damaged_file_system_is_said_and_not_mounted() {
        for (damage, mounted) in [("ssv state 0", true), ("clri <2>", false)] {
            let (_dir, context) = machine("old LABEL=old /srv/old keep\n", 64);
            let node = context.path("/dev/vdb");
            let mut make = Command::new("mke2fs");
            disk::run(make.args(["-q", "-t", "ext4", "-L", "old"]).arg(&node), 0).unwrap();
            fs_err::create_dir_all(context.path("/dev/disk/by-label")).unwrap();
            symlink(&node, context.path("/dev/disk/by-label/old")).unwrap();
            for request in ["ssv state 0", damage] {
                disk::run(Command::new("debugfs").args(["-w", "-R", request]).arg(&node), 0).unwrap();
            }
            prepare(&context, "old").unwrap();
            assert_eq!(context.path("/run/twinhull/dev/data-old").is_symlink(), mounted, "{damage}");
        }
    }

    #[test]
    fn a_disk_is_waited_for_and_mounted_where_links_lead() {
        let (_dir, context) = machine(LINE, 64);
        symlink("var/srv", context.path("/srv")).unwrap();
        generate(&context).unwrap();
        let unit = |name: &str| fs_err::read_to_string(context.units.join(name)).unwrap();
        let mount = unit("local-fs.target.wants/var-srv-data.mount");
        assert!(mount.contains("\nWhere=/var/srv/data\n"), "{mount}");
        assert!(mount.contains("\nAssertPathExists=/run/twinhull/dev/data-store\n"), "{mount}");
        assert!(
            unit("twinhull-data-store.service").contains("\nWants=dev-disk-by\\x2dpath-pci\\x2d1.device\n")
        );
        assert!(unit("dev-disk-by\\x2dpath-pci\\x2d1.device.d/50-twinhull.conf").contains("TimeoutSec=30s"));
        assert!(
            unit("var-srv-data.mount.wants/twinhull-growfs-store.service")
                .contains("systemd-growfs /var/srv/data")
        );
    }

    #[test]
    fn no_list_no_units() {
        let (_dir, context) = machine(LINE, 64);
        fs_err::remove_file(context.path(LIST)).unwrap();
        generate(&context).unwrap();
        assert_eq!(fs_err::read_dir(&context.units).unwrap().count(), 0);
        assert!(prepare(&context, "store").unwrap_err().to_string().contains("data-disks"));
    }
}
