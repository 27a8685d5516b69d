//! The root of another version beside the running one, for a soft-reboot: what the initrd makes of a slot, made by the
//! same programs while the machine still runs. systemd moves to `/run/nextroot` when it soft-reboots
//! (systemd-soft-reboot.service(8)).

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use twinhull_disk::slot;
use twinhull_release::names;
use twinhull_slots::{CMDLINE, ENTRY, EntryName};
use twinhull_sysutil::command::Cmd;

use crate::ops::Ops;
use crate::restart;

/// Where systemd looks.
const ROOT: &str = "/run/nextroot";
/// What opens slots.
const VERITYSETUP: &str = "/usr/lib/systemd/systemd-veritysetup";
/// Fills /etc for the machine.
const FIRSTBOOT: &str = "/usr/lib/twinhull/firstboot-agent";

/// Makes the root of the version whose boot entry is `file`.
pub(crate) fn prepare(ops: &Ops, file: &str) -> Result<()> {
    forget()?;
    let made = make(ops, file);
    if made.is_err() {
        let _ = forget();
    }
    made
}

fn make(ops: &Ops, file: &str) -> Result<()> {
    ensure!(EntryName::parse(file).is_some(), "{file:?} is no boot entry");
    let words = restart::uki(ops, file)?.cmdline()?;
    let word =
        |name: &str| words.split(' ').rev().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let hash = word("usrhash").context("the UKI's command line has no usrhash=")?;
    let (data, tree) = slot::uuids(&names::parse_digest(hash).context("usrhash= is no root hash")?);
    let name = format!("usr-{}", &hash[..8]);
    let part = |uuid| format!("/dev/disk/by-partuuid/{uuid}");
    look_again(&ops.machine.disk(&ops.places.root)?)?;
    // A version on trial that reads altered data panics, as it does when the initrd opens it.
    let attach = ["attach", &name, &part(data), &part(tree), hash, "panic-on-corruption"];
    Cmd::new(VERITYSETUP).args(attach).output()?;

    let root = Path::new(ROOT);
    fs_err::create_dir_all(root)?;
    let at = |path: &str| root.join(path);
    mount("tmpfs", root, "tmpfs", MountFlags::empty(), Some(c"mode=0755")).context(ROOT)?;
    for folder in ["usr", "var", "etc/twinhull"] {
        fs_err::create_dir_all(at(folder))?;
    }
    let format = word("mount.usrfstype").context("the UKI's command line has no mount.usrfstype=")?;
    let device = format!("/dev/mapper/{name}");
    mount(&device, at("usr"), format, MountFlags::RDONLY, None).context(device)?;
    mount_bind("/var", at("var")).context("/var")?;

    Cmd::new(FIRSTBOOT).args(["initrd", "--root", ROOT]).output()?;
    let fill = ["--root", ROOT, "--create", "--boot", "00-twinhull-etc.conf"];
    let filled = Cmd::new("systemd-tmpfiles").args(fill).status()?;
    // As in twinhull-etc.service: a line was skipped, or a file was in the way.
    ensure!(matches!(filled.code(), Some(0 | 65 | 73)), "systemd-tmpfiles can't fill /etc ({filled})");
    fs_err::create_dir_all(at("etc/twinhull"))?;
    let text = format!("{words} {ENTRY}={file}\n");
    Ok(fs_err::write(at(CMDLINE), text)?)
}

/// Has udev look at the partitions of `disk` again: it has links for the UUIDs they had before the update.
fn look_again(disk: &Path) -> Result<()> {
    let name = disk.file_name().unwrap_or_default();
    let folder = Path::new("/sys/class/block").join(name);
    for entry in fs_err::read_dir(&folder)? {
        let part = entry?.path();
        if part.join("partition").exists() {
            fs_err::write(part.join("uevent"), "change")?;
        }
    }
    Cmd::new("udevadm").args(["settle", "--timeout=30"]).output()?;
    Ok(())
}

/// Takes away what [`prepare`] has made, and the slots that versions before have left open.
pub(crate) fn forget() -> Result<()> {
    if is_mounted(ROOT)? {
        unmount(ROOT, UnmountFlags::DETACH).context(ROOT)?;
    }
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")?;
    let Ok(devices) = fs_err::read_dir("/dev/mapper") else { return Ok(()) };
    for device in devices {
        let device = device?;
        let name = device.file_name().to_string_lossy().into_owned();
        let ours = name == "usr" || name.starts_with("usr-");
        if ours && !mounts.contains(&format!(" /dev/mapper/{name} ")) {
            // One that is still in use says so.
            let _ = Cmd::new(VERITYSETUP).args(["detach", &name]).output();
        }
    }
    Ok(())
}

fn is_mounted(path: &str) -> Result<bool> {
    let list = fs_err::read_to_string("/proc/self/mountinfo")?;
    Ok(list.lines().any(|line| line.split(' ').nth(4) == Some(path)))
}
