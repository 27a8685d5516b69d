//! What an initrd holds, as lists. Everything not named here stays out.

/// Where units are.
pub(super) const UNIT_DIR: &str = "/usr/lib/systemd/system";

/// A named set of drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// QEMU and KVM with virtio devices only.
    Virtio,
    /// Every cloud Twinhull knows: virtio, and the disks and networks of the large providers.
    #[default]
    Cloud,
    /// Common disk and network controllers of real machines too.
    BareMetal,
}

impl Profile {
    /// Drivers the profile asks for; a kernel without one of them simply does not drive that device.
    pub(super) fn drivers(self) -> Vec<&'static str> {
        let mut all = VIRTIO.to_vec();
        if self != Profile::Virtio {
            all.extend(CLOUD);
        }
        if self == Profile::BareMetal {
            all.extend(BARE_METAL);
        }
        all
    }
}

impl Profile {
    /// As [`Profile::drivers`], but only what leads to a disk.
    pub(super) fn disk_drivers(self) -> Vec<&'static str> {
        self.drivers().into_iter().filter(|name| DISKS.contains(name)).collect()
    }
}

/// Drivers that lead to disks.
const DISKS: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "nvme",
    "hv_vmbus",
    "hv_storvsc",
    "xen_blkfront",
    "ahci",
    "ata_piix",
    "mptspi",
    "vmw_pvscsi",
    "megaraid_sas",
    "mpt3sas",
    "aacraid",
    "hpsa",
    "xhci_pci",
    "usb_storage",
    "uas",
];

/// Without these the bridge doesn't reach the ESP.
pub(super) const BRIDGE_MODULES: &[&str] = &["vfat", "nls_ascii", "nls_cp437"];

/// Without these and the file system of /usr no image boots.
pub(super) const REQUIRED_MODULES: &[&str] = &["dm_verity", "loop", "ext4", "vfat", "nls_ascii", "nls_cp437"];

const VIRTIO: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_rng",
    "efivarfs",
    "autofs4",
    "sd_mod",
    "sr_mod",
    "isofs",
    "qemu_fw_cfg",
    "i6300esb",
    "softdog",
    "nvme",
];
const CLOUD: &[&str] = &[
    "ena",
    "gve",
    "hv_vmbus",
    "hv_storvsc",
    "hv_netvsc",
    "xen_blkfront",
    "xen_netfront",
    "ahci",
    "ata_piix",
    "mptspi",
    "vmw_pvscsi",
    "vmxnet3",
    "mana",
    "hyperv_keyboard",
];
const BARE_METAL: &[&str] = &[
    "igb",
    "ixgbe",
    "i40e",
    "ice",
    "e1000",
    "e1000e",
    "r8169",
    "tg3",
    "bnxt_en",
    "mlx5_core",
    "mlx4_en",
    "megaraid_sas",
    "mpt3sas",
    "aacraid",
    "hpsa",
    "xhci_pci",
    "usb_storage",
    "uas",
    "usbhid",
    "hid_generic",
    "iTCO_wdt",
    "sp5100_tco",
];

/// Programs without which the initrd can't do its work.
pub(super) const PROGRAMS: &[&str] = &[
    "/usr/lib/systemd/systemd",
    "/usr/lib/systemd/systemd-executor",
    "/usr/lib/systemd/systemd-growfs",
    "/usr/lib/systemd/systemd-journald",
    "/usr/lib/systemd/systemd-makefs",
    "/usr/lib/systemd/systemd-modules-load",
    "/usr/lib/systemd/systemd-networkd",
    "/usr/lib/systemd/systemd-shutdown",
    "/usr/lib/systemd/systemd-sysctl",
    "/usr/lib/systemd/systemd-udevd",
    "/usr/lib/systemd/systemd-veritysetup",
    "/usr/lib/systemd/system-generators/systemd-debug-generator",
    "/usr/lib/systemd/system-generators/systemd-fstab-generator",
    "/usr/lib/systemd/system-generators/systemd-veritysetup-generator",
    "/usr/lib/udev/scsi_id",
    "/usr/bin/journalctl",
    "/usr/bin/kmod",
    "/usr/bin/echo",
    "/usr/bin/mount",
    "/usr/bin/umount",
    "/usr/bin/sh",
    "/usr/bin/sleep",
    "/usr/bin/systemctl",
    "/usr/bin/systemd-repart",
    "/usr/bin/systemd-tmpfiles",
    "/usr/bin/udevadm",
    "/usr/sbin/e2fsck",
    "/usr/sbin/mkfs.ext4",
    "/usr/sbin/modprobe",
];

/// Programs for people in front of an emergency shell, and for what not every image has.
pub(super) const OPTIONAL_PROGRAMS: &[&str] = &[
    "/usr/bin/bash",
    "/usr/bin/cat",
    "/usr/bin/dmesg",
    "/usr/bin/ls",
    "/usr/bin/networkctl",
    "/usr/bin/vmware-rpctool",
    "/usr/lib/systemd/systemd-sulogin-shell",
    "/usr/sbin/blkid",
    "/usr/sbin/dmsetup",
    "/usr/sbin/fsck",
    "/usr/sbin/fsck.ext4",
    "/usr/sbin/sulogin",
    "/usr/lib/udev/ata_id",
];

/// What is needed where a file of the tree says so: the file, the programs.
pub(super) const PROGRAMS_FOR: &[(&str, &[&str])] = &[
    ("/usr/lib/repart.d/55-swap.conf", &["/usr/sbin/mkswap"]),
    (ENCRYPTION, &["/usr/lib/systemd/systemd-cryptsetup", "/usr/sbin/dmsetup"]),
];

/// The file that images with an encrypted /var have.
pub(super) const ENCRYPTION: &str = "/usr/lib/twinhull/encryption";

/// Kernel modules without which such an image doesn't boot.
pub(super) const ENCRYPTION_MODULES: &[&str] = &["dm_crypt", "xts"];

/// Kernel modules for it that are built in or missing elsewhere: TPMs, and processors that know AES.
pub(super) const ENCRYPTION_DRIVERS: &[&str] =
    &["aesni_intel", "aes_ce_blk", "algif_skcipher", "tpm_crb", "tpm_tis"];

/// Libraries for it that systemd opens by name.
pub(super) const TPM_LIBRARIES: &[&str] =
    &["libtss2-esys.so.0", "libtss2-mu.so.0", "libtss2-rc.so.0", "libtss2-tcti-device.so.0"];

/// Twinhull's own.
pub(super) const OWN_PROGRAMS: &[&str] = &[
    "/usr/lib/twinhull/firstboot-agent",
    "/usr/lib/twinhull/twinhull-disk",
    "/usr/lib/systemd/system-generators/twinhull-boot-generator",
];

/// Features of `.note.dlopen` (the ELF dlopen metadata of the UAPI group) whose libraries go in.
pub(super) const DLOPEN_FEATURES: &[&str] = &["blkid", "cryptsetup", "fdisk", "kmod", "mount", "zstd"];

/// Files without which the initrd can't do its work.
///
/// Not 60-block.rules: with it udev watches every disk for writers, and looks at all its partitions again once
/// systemd-repart has added one, while it is being mounted.
pub(super) const FILES: &[&str] = &[
    "/usr/lib/repart.d",
    "/usr/lib/udev/rules.d/50-udev-default.rules",
    "/usr/lib/udev/rules.d/55-dm.rules",
    "/usr/lib/udev/rules.d/60-persistent-storage-dm.rules",
    "/usr/lib/udev/rules.d/60-persistent-storage.rules",
    "/usr/lib/udev/rules.d/80-drivers.rules",
    "/usr/lib/udev/rules.d/95-dm-notify.rules",
    "/usr/lib/udev/rules.d/99-systemd.rules",
    "/usr/share/factory/etc/mke2fs.conf",
];

/// Files that are copied when the tree has them.
pub(super) const OPTIONAL_FILES: &[&str] = &[
    "/usr/lib/modprobe.d",
    "/usr/lib/systemd/network/99-default.link",
    "/usr/lib/udev/rules.d/64-ext4.rules",
    "/usr/lib/udev/rules.d/75-net-description.rules",
    "/usr/lib/udev/rules.d/80-net-setup-link.rules",
    "/usr/share/factory/etc/ld.so.conf",
    "/usr/lib/x86_64-linux-gnu/libnss_files.so.2",
];

/// Users that exist in the initrd.
pub(super) const USERS: &[&str] = &["root", "nobody", "systemd-network"];

/// The distribution's units.
pub(super) const UNITS: &[&str] = &[
    "basic.target",
    "emergency.target",
    "final.target",
    "initrd-cleanup.service",
    "initrd-fs.target",
    "initrd-root-device.target",
    "initrd-root-fs.target",
    "initrd-switch-root.service",
    "initrd-switch-root.target",
    "initrd-udevadm-cleanup-db.service",
    "initrd-usr-fs.target",
    "initrd.target",
    "local-fs-pre.target",
    "local-fs.target",
    "modprobe@.service",
    "network-online.target",
    "network-pre.target",
    "network.target",
    "paths.target",
    "poweroff.target",
    "reboot.target",
    "remote-fs.target",
    "rescue.target",
    "shutdown.target",
    "slices.target",
    "sockets.target",
    "swap.target",
    "sysinit.target",
    "systemd-growfs@.service",
    "systemd-journald-dev-log.socket",
    "systemd-journald.service",
    "systemd-journald.socket",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-poweroff.service",
    "systemd-reboot.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
    "timers.target",
    "umount.target",
    "veritysetup-pre.target",
    "veritysetup.target",
];

/// Units and the directory that makes something want them.
pub(super) const WANTS: &[(&str, &str)] = &[
    // By way of initrd-parse-etc.service otherwise, which looks for mounts in an /etc/fstab that no image has.
    ("initrd-cleanup.service", "initrd.target.wants"),
    ("initrd-udevadm-cleanup-db.service", "initrd-switch-root.target.wants"),
    ("systemd-journald-dev-log.socket", "sockets.target.wants"),
    ("systemd-journald.service", "sysinit.target.wants"),
    ("systemd-journald.socket", "sockets.target.wants"),
    ("systemd-modules-load.service", "sysinit.target.wants"),
    ("systemd-udev-trigger.service", "sysinit.target.wants"),
    ("systemd-udevd-control.socket", "sockets.target.wants"),
    ("systemd-udevd-kernel.socket", "sockets.target.wants"),
    ("systemd-udevd.service", "sysinit.target.wants"),
    // Nothing else pulls in systemd-veritysetup@usr.service, and /dev/mapper/usr would time out.
    ("veritysetup.target", "sysinit.target.wants"),
    ("twinhull-etc.service", "initrd-fs.target.wants"),
    ("twinhull-deadline.timer", "sysinit.target.wants"),
];
