//! Stock Debian machines, made without booting one: a tree of packages that is kept in the cache, and a disk of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cache, run, tool};

/// UUID of the root file system.
const ROOT: &str = "6f2d1c5e-0a50-4c33-9a0e-7d6f4c1b2a39";

/// Sizes of the ESP and of the root file system in MiB.
const SIZES: (u32, u32) = (256, 2048);

/// What a cloud's Debian has at least: its kernel, an initrd made by initramfs-tools, networkd, and sshd.
const PACKAGES: &[&str] = &[
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "zstd",
    "systemd-sysv",
    "systemd-resolved",
    "systemd-boot-efi",
    "dbus",
    "udev",
    "kmod",
    "iproute2",
    "openssh-server",
    "curl",
    "sudo",
];

/// A tar archive with [`PACKAGES`] of trixie, made once.
fn packages() -> PathBuf {
    let key = twinhull_sysutil::digest::sha256_hex(PACKAGES.join(",").as_bytes());
    let dir = cache().join("tests");
    fs_err::create_dir_all(&dir).expect("the cache can be written");
    let lock = fs_err::File::create(dir.join("lock")).expect("the lock file can be made");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("the lock can be taken");
    let tar = dir.join(format!("debian-{}.tar", &key[..16]));
    if !tar.exists() {
        // mmdebstrap chooses the format by the name.
        let partial = dir.join("partial.tar");
        run(Command::new("mmdebstrap")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["--variant=essential", "--format=tar", "--quiet"])
            .arg("--aptopt=APT::Install-Recommends \"false\"")
            .arg(format!("--include={}", PACKAGES.join(",")))
            .arg("--customize-hook=chroot \"$1\" systemctl enable systemd-networkd")
            .arg("trixie")
            .arg(&partial))
        .ok();
        fs_err::rename(partial, &tar).expect("the archive can be kept");
    }
    tar
}

/// Makes the disk of a stock Debian at `dir`: UEFI, an ext4 root, DHCP by networkd. `name` is its host name, `key` the
/// line of root's authorized_keys. Returns the disk image.
pub fn debian(dir: &Path, name: &str, key: &str) -> PathBuf {
    let at = |name: &str| dir.join(name).display().to_string();
    let setup = format!(
        "set -e\n\
         mkdir '{tree}'\n\
         tar -x -C '{tree}' --exclude='./dev/*' --numeric-owner -f '{tar}'\n\
         cd '{tree}'\n\
         echo {name} >etc/hostname; : >etc/machine-id\n\
         printf '[Match]\\nType=ether\\n[Network]\\nDHCP=yes\\n' >etc/systemd/network/80-dhcp.network\n\
         ln -sf /run/systemd/resolve/stub-resolv.conf etc/resolv.conf\n\
         mkdir -p root/.ssh; chmod 700 root/.ssh; echo '{key}' >root/.ssh/authorized_keys\n\
         cp boot/vmlinuz-* '{kernel}'; cp boot/initrd.img-* '{initrd}'\n\
         cp usr/lib/systemd/boot/efi/linuxx64.efi.stub '{stub}'; cp usr/lib/os-release '{release}'\n\
         chmod 644 '{kernel}' '{initrd}' '{stub}' '{release}'\n\
         mke2fs -q -t ext4 -U {ROOT} -d . '{root}' {size}M\n\
         cd /; rm -rf '{tree}'\n",
        tree = at("tree"),
        tar = packages().display(),
        kernel = at("vmlinuz"),
        initrd = at("initrd"),
        stub = at("stub"),
        release = at("os-release"),
        root = at("root.ext4"),
        size = SIZES.1,
    );
    // Owners are kept by root only, or by whom takes himself for root.
    let mut shell = match rustix::process::geteuid().is_root() {
        true => Command::new("sh"),
        false => {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-root-user", "--map-auto", "sh"]);
            unshare
        }
    };
    run(shell.arg("-c").arg(setup)).ok();
    let read = |name: &str| fs_err::read(dir.join(name)).expect("the tree has it");
    let cmdline = format!("root=UUID={ROOT} rw console=tty0 console=ttyS0,115200 quiet");
    let (release, initrd, kernel) = (read("os-release"), read("initrd"), read("vmlinuz"));
    let uki = twinhull_uki::build(
        &read("stub"),
        &[
            (".osrel", &release[..]),
            (".cmdline", cmdline.as_bytes()),
            (".initrd", &initrd),
            (".linux", &kernel),
        ],
    );
    fs_err::write(dir.join("debian.efi"), uki.expect("the stub takes it")).expect("there is room");
    let esp = at("esp.img");
    tool("mkfs.vfat", ["-C", "-F", "32", &esp, &(SIZES.0 * 1024).to_string()]).ok();
    tool("mmd", ["-i", &esp, "::EFI", "::EFI/BOOT"]).ok();
    tool("mcopy", ["-i", &esp, &at("debian.efi"), "::EFI/BOOT/BOOTX64.EFI"]).ok();
    let disk = dir.join("debian.raw");
    let file = fs_err::File::create(&disk).expect("there is room");
    file.set_len(u64::from(SIZES.0 + SIZES.1 + 4) << 20).expect("there is room");
    let root_at = SIZES.0 + 1;
    let partitions = [format!("1:1M:+{}M", SIZES.0), format!("2:{root_at}M:+{}M", SIZES.1)];
    tool(
        "sgdisk",
        ["-n", &partitions[0], "-t", "1:ef00", "-n", &partitions[1], "-t", "2:8304", &at("debian.raw")],
    )
    .ok();
    for (part, at_mib) in [(esp, 1), (at("root.ext4"), root_at)] {
        let (from, to) = (format!("if={part}"), format!("of={}", disk.display()));
        tool("dd", [&from, &to, "bs=1M", "conv=sparse,notrunc", "status=none", &format!("seek={at_mib}")])
            .ok();
    }
    disk
}
