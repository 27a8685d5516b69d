//! Emits the mounts of /var and of the ESP, and the unit that grows the disk.
//!
//! In the initrd: `twinhull-repart.service`, which finds the disk the machine booted from, lets
//! systemd-repart make and grow /var on it, and `sysroot-var.mount`, which mounts that very partition. On the
//! real root: the unit of its swap, data disks ([`data`]), and `efi.automount` for the ESP that systemd-boot came from,
//! checked before it is used. A second disk with the same labels is never touched, because nothing here looks at labels.
//! What makes a bad version fail instead of lingering is in [`trial`].

use twinhull_slots::{BRIDGE, CMDLINE, ENTRY};

use crate::{Context, Result, data, disk, efi, trial, unit};

/// Where the disk helper leaves a link to the /var partition.
pub const VAR_LINK: &str = "/run/twinhull/dev/var";

/// Where it leaves one to the swap partition, if there is one.
pub const SWAP_LINK: &str = "/run/twinhull/dev/swap";

/// Mount options of /var. Not bound to its device: while udev still handles the partition that systemd-repart
/// has just made, systemd would take the device for gone and unmount what the machine's identity is on.
pub(crate) const VAR_OPTIONS: &str = "rw,nodev,nosuid,x-systemd.device-bound=no";

/// File that tells the disk helper which partition systemd-boot came from.
pub const BOOT_PARTITION: &str = "/run/twinhull/boot-partition";

/// The generator.
pub fn generate(context: &Context) -> Result<()> {
    let loader = efi::loader_partition(context);
    if context.initrd { initrd(context, loader.as_deref()) } else { real_root(context, loader.as_deref()) }
}

fn initrd(context: &Context, loader: Option<&str>) -> Result<()> {
    // Without a hash this isn't one of our UKIs: somebody else's rescue boot.
    let Some(hash) = context.option("usrhash") else { return Ok(()) };
    let [data, _] = disk::partition_uuids(&hash)?;
    trial::generate(context, &hash)?;
    fs_err::create_dir_all(context.path("/run/twinhull"))?;
    fs_err::write(context.path(BOOT_PARTITION), loader.unwrap_or(&data))?;
    let device = |uuid: &str| unit::escape_path(&format!("/dev/disk/by-partuuid/{uuid}")) + ".device";
    let data = device(&data);
    let loader = loader.map(device).unwrap_or_default();
    context.write_unit(
        "twinhull-repart.service",
        &format!(
            "[Unit]\n\
             Description=Make and grow /var on the boot disk\n\
             DefaultDependencies=no\n\
             # The definitions are the initrd's own, so this need not wait for /usr. But while a new table is being\n\
             # read, the kernel lends no partition of the disk to device-mapper: /usr would fail to open (EBUSY).\n\
             Requires={data}\n\
             Wants={loader}\n\
             After={data} {loader} systemd-modules-load.service systemd-veritysetup@usr.service\n\
             Before=initrd-root-fs.target sysroot-var.mount shutdown.target initrd-switch-root.target\n\
             Conflicts=shutdown.target initrd-switch-root.target\n\
             OnFailure=emergency.target\n\
             OnFailureJobMode=replace-irreversibly\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             RemainAfterExit=yes\n\
             StandardOutput=journal+console\n\
             StandardError=journal+console\n\
             ExecStart=/usr/lib/twinhull/twinhull-disk repart\n\
             # A check of a large file system takes its time; the deadline of the initrd waits for it.\n\
             TimeoutStartSec=infinity\n"
        ),
    )?;
    context.write_unit(
        "sysroot-var.mount",
        &format!(
            "[Unit]\n\
             Description=/var of the real root\n\
             DefaultDependencies=no\n\
             # Not Requires: the service is stopped when the root is switched, and would take /var along.\n\
             Wants=twinhull-repart.service\n\
             Requires=sysroot.mount\n\
             After=twinhull-repart.service sysroot.mount\n\
             Before=initrd-root-fs.target\n\
             OnFailure=emergency.target\n\
             OnFailureJobMode=replace-irreversibly\n\
             \n\
             [Mount]\n\
             What={VAR_LINK}\n\
             Where=/sysroot/var\n\
             Type=ext4\n\
             Options={VAR_OPTIONS}\n"
        ),
    )?;
    context.pull_in("initrd-root-fs.target", "requires", "sysroot-var.mount")?;
    context.write_unit(
        "twinhull-growfs.service",
        "[Unit]\n\
         Description=Grow the file system of /var\n\
         DefaultDependencies=no\n\
         ConditionPathExists=/run/twinhull/grow-var\n\
         Requires=sysroot-var.mount\n\
         After=sysroot-var.mount\n\
         Before=initrd-root-fs.target initrd-switch-root.target\n\
         Conflicts=initrd-switch-root.target\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart=/usr/lib/systemd/systemd-growfs /sysroot/var\n",
    )?;
    context.pull_in("initrd-root-fs.target", "wants", "twinhull-growfs.service")
}

fn real_root(context: &Context, loader: Option<&str>) -> Result<()> {
    let Some(loader) = loader.filter(|_| context.option("usrhash").is_some()) else { return Ok(()) };
    trial::generate_on_the_real_root(context)?;
    data::generate(context)?;
    // Only then do they want the ESP mounted at every boot.
    if context.option(ENTRY).is_some() || context.root.join(CMDLINE).exists() {
        context.pull_in("basic.target", "wants", "twinhull-bless-boot.service")?;
    }
    if context.option(BRIDGE).is_some() {
        context.pull_in("basic.target", "wants", "twinhull-bridge.service")?;
    }
    if context.path(VAR_LINK).is_symlink() {
        context.write_unit(
            "var.mount",
            &format!(
                "[Unit]\n\
                 Description=/var\n\
                 \n\
                 [Mount]\n\
                 What={VAR_LINK}\n\
                 Where=/var\n\
                 Type=ext4\n\
                 Options={VAR_OPTIONS}\n"
            ),
        )?;
        context.pull_in("local-fs.target", "requires", "var.mount")?;
        // What is written before it is mounted would be hidden by it.
        if is_mounted(context, "/var")? {
            hand_over_the_journal(context)?;
        }
    }
    if let Ok(device) = fs_err::read_link(context.path(SWAP_LINK)) {
        swap(context, &device.display().to_string())?;
    }
    let device = format!("/dev/disk/by-partuuid/{loader}");
    let check = unit::escape_path(&device);
    context.write_unit(
        "efi.mount",
        &format!(
            "[Unit]\n\
             Description=EFI System Partition\n\
             Documentation=man:systemd-boot(7)\n\
             # FAT has no journal: only a check makes two files of one again after a power cut, and gives back what no\n\
             # file has. What the check can't repair may still be of use.\n\
             Wants=systemd-fsck@{check}.service\n\
             After=systemd-fsck@{check}.service\n\
             \n\
             [Mount]\n\
             What={device}\n\
             Where=/efi\n\
             Type=vfat\n\
             Options=rw,nodev,nosuid,noexec,nosymfollow,umask=0077,fmask=0177,dmask=0077\n"
        ),
    )?;
    context.write_unit(
        "efi.automount",
        "[Unit]\n\
         Description=EFI System Partition, mounted when used\n\
         Documentation=man:systemd-boot(7)\n\
         \n\
         [Automount]\n\
         Where=/efi\n\
         TimeoutIdleSec=2min\n",
    )?;
    context.pull_in("local-fs.target", "wants", "efi.automount")
}

/// Swap on `device`. Named by its node, as the kernel's list of swaps does: PID 1 takes a swap unit by another name
/// for one that is off. Only wanted: a machine without swap is better than none.
fn swap(context: &Context, device: &str) -> Result<()> {
    let unit = unit::escape_path(device) + ".swap";
    context.write_unit(&unit, &format!("[Unit]\nDescription=Swap\n\n[Swap]\nWhat={device}\n"))?;
    context.pull_in("swap.target", "wants", &unit)
}

/// Whether something is mounted at `path`, by the kernel's list (proc_pid_mountinfo(5), fifth field).
fn is_mounted(context: &Context, path: &str) -> Result<bool> {
    let list = fs_err::read_to_string(context.path("/proc/self/mountinfo"))?;
    Ok(list.lines().any(|line| line.split(' ').nth(4) == Some(path)))
}

/// Lets journald write to /var from its first line. It is mounted already, so there is nothing to wait for and
/// nothing to tell journald later; the unit that would do so stays for the shutdown, when it makes journald let go
/// of /var.
fn hand_over_the_journal(context: &Context) -> Result<()> {
    fs_err::create_dir_all(context.path("/run/systemd/journal"))?;
    fs_err::write(context.path("/run/systemd/journal/flushed"), "")?;
    let dir = context.units.join("systemd-journal-flush.service.d");
    fs_err::create_dir_all(&dir)?;
    Ok(fs_err::write(dir.join("10-twinhull.conf"), "[Service]\nExecStart=\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(initrd: bool, cmdline: &str, loader: bool) -> (tempfile::TempDir, Context) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let units = dir.path().join("units");
        for path in ["proc", "run", "sys/firmware/efi/efivars"] {
            fs_err::create_dir_all(root.join(path)).unwrap();
        }
        fs_err::create_dir_all(&units).unwrap();
        fs_err::write(root.join("proc/cmdline"), cmdline).unwrap();
        if loader {
            let text: Vec<u8> =
                "0123ABCD-0000-4000-8000-00000000BEEF\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
            let name = "sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
            fs_err::write(root.join(name), [vec![6, 0, 0, 0], text].concat()).unwrap();
        }
        (dir, Context { root, units, initrd })
    }

    const HASH: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn the_initrd_waits_for_the_partition_systemd_boot_came_from() {
        let (_dir, context) = context(true, &format!("quiet usrhash={HASH}"), true);
        generate(&context).unwrap();
        let unit = fs_err::read_to_string(context.units.join("twinhull-repart.service")).unwrap();
        assert!(unit.contains("by\\x2dpartuuid-0123abcd\\x2d0000"), "{unit}");
        assert!(context.units.join("initrd-root-fs.target.requires/sysroot-var.mount").exists());
        let unit = fs_err::read_to_string(context.units.join("sysroot-var.mount")).unwrap();
        assert!(
            !unit.contains("Requires=twinhull"),
            "what stops before the root is switched takes /var along: {unit}"
        );
        assert!(!context.units.join("efi.mount").exists());
    }

    #[test]
    fn without_efi_the_hash_names_the_partition() {
        let (_dir, context) = context(true, &format!("usrhash={HASH}"), false);
        generate(&context).unwrap();
        let text = fs_err::read_to_string(context.path(BOOT_PARTITION)).unwrap();
        assert_eq!(text, "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn the_bridge_says_which_esp_it_came_from() {
        let uuid = "0123abcd-0000-4000-8000-00000000beef";
        for (word, found) in
            [(uuid, true), ("0123ABCD-0000-4000-8000-00000000BEEF", true), ("/dev/sda1", false)]
        {
            let words =
                format!("usrhash={HASH} twinhull.esp={word} twinhull.bridge=a twinhull.entry=box_1+2-1.efi");
            let (_dir, context) = context(false, &words, false);
            generate(&context).unwrap();
            for service in ["bless-boot", "bridge"] {
                let wanted = context.units.join(format!("basic.target.wants/twinhull-{service}.service"));
                assert_eq!(wanted.is_symlink(), found);
            }
            let unit = fs_err::read_to_string(context.units.join("efi.mount"));
            assert_eq!(
                unit.is_ok_and(|unit| unit.contains(&format!("What=/dev/disk/by-partuuid/{uuid}"))),
                found
            );
        }
    }

    #[test]
    fn other_boots_are_left_alone() {
        for (initrd, cmdline) in [(true, "root=/dev/sda1"), (false, "")] {
            let (_dir, context) = context(initrd, cmdline, false);
            generate(&context).unwrap();
            assert_eq!(fs_err::read_dir(&context.units).unwrap().count(), 0);
        }
        let (_dir, context) = context(true, "usrhash=xyz", false);
        assert!(generate(&context).is_err());
    }

    #[test]
    fn swap_is_a_unit_by_the_name_of_its_device() {
        let (_dir, context) = context(false, &format!("usrhash={HASH}"), true);
        fs_err::create_dir_all(context.path("/run/twinhull/dev")).unwrap();
        fs_err::os::unix::fs::symlink("/dev/nvme0n1p6", context.path(SWAP_LINK)).unwrap();
        generate(&context).unwrap();
        let wanted = context.units.join("swap.target.wants/dev-nvme0n1p6.swap");
        let text = fs_err::read_to_string(wanted).unwrap();
        assert!(text.ends_with("[Swap]\nWhat=/dev/nvme0n1p6\n"), "{text}");
    }

    #[test]
    fn the_real_root_mounts_the_esp_it_came_from() {
        let (_dir, context) = context(false, &format!("usrhash={HASH}"), true);
        generate(&context).unwrap();
        let unit = fs_err::read_to_string(context.units.join("efi.mount")).unwrap();
        assert!(unit.contains("What=/dev/disk/by-partuuid/0123abcd-0000-4000-8000-00000000beef"), "{unit}");
        let check = "systemd-fsck@dev-disk-by\\x2dpartuuid-0123abcd\\x2d0000\\x2d4000\\x2d8000\\x2d00000000beef.service";
        assert!(unit.contains(&format!("Wants={check}\nAfter={check}\n")), "{unit}");
        assert!(!context.units.join("swap.target.wants").exists());
        assert!(!context.units.join("basic.target.wants").exists(), "systemd-boot's own services bless");
        let flushed = context.path("/run/systemd/journal/flushed");
        assert!(!flushed.exists(), "/var is not mounted");
        fs_err::create_dir_all(context.path("/run/twinhull/dev")).unwrap();
        fs_err::os::unix::fs::symlink("/dev/vda6", context.path(VAR_LINK)).unwrap();
        fs_err::create_dir_all(context.path("/proc/self")).unwrap();
        let list = context.path("/proc/self/mountinfo");
        for (mounted, line) in [(false, "86 37 253:6 / /var/lib rw"), (true, "86 37 253:6 / /var rw,nodev")] {
            fs_err::remove_dir_all(&context.units).unwrap();
            fs_err::create_dir_all(&context.units).unwrap();
            fs_err::write(
                &list,
                format!("37 1 0:33 / / rw - tmpfs rootfs rw\n{line} shared:3 - ext4 /dev/vda6 rw\n"),
            )
            .unwrap();
            generate(&context).unwrap();
            assert_eq!(flushed.exists(), mounted);
        }
        assert!(context.units.join("systemd-journal-flush.service.d/10-twinhull.conf").exists());
    }
}
