//! `bench boot`: our image against the same packages with a dracut initrd and Debian's defaults.
//!
//! Both boot in the same QEMU, under the same firmware and with the same kernel. What counts is the time from
//! the start of PID 1 in the initrd to multi-user.target, as systemd itself recorded it. First boots start
//! from the pristine image; later boots from a disk that has booted before.
//!
//! One more row is the same disk of ours with a BIOS against itself with UEFI: whole runs from power-on to power-off, as what
//! differs comes before the kernel that has a clock.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use twinhull_sysutil::command::Cmd;

use super::peer;
use super::report::{self, Pair};
use crate::paths;

/// Prints, in the guest, the two moments in microseconds since the kernel started.
const PROBE: &str = "systemctl is-system-running --wait >/dev/null; \
    systemctl show -p InitRDTimestampMonotonic --value; \
    systemctl show multi-user.target -p ActiveEnterTimestampMonotonic --value";

pub(crate) fn run(pairs: usize, json: bool) -> Result<()> {
    peer::prepare_host()?;
    let bin = paths::build_programs()?;
    let (ours, _) = peer::our_image(&bin)?;
    let theirs = peer_image()?;
    let dir = tempfile::Builder::new().prefix("twinhull-bench-").tempdir_in(paths::target())?;
    let overlay = |name: &str| dir.path().join(name);
    eprintln!("==> one boot of each that doesn't count, and makes the disks of the later boots");
    boot(&bin, &ours, Some(&overlay("ours.qcow2")), &[])?;
    boot(&bin, &theirs, Some(&overlay("theirs.qcow2")), &[])?;
    let (mut first, mut later, mut bios) = (Vec::new(), Vec::new(), Vec::new());
    for n in 1..=pairs {
        eprintln!("==> pair {n} of {pairs}");
        first.push(Pair { ours: boot(&bin, &ours, None, &[])?, peer: boot(&bin, &theirs, None, &[])? });
        later.push(Pair {
            ours: boot(&bin, &ours, Some(&overlay("ours.qcow2")), &[])?,
            peer: boot(&bin, &theirs, Some(&overlay("theirs.qcow2")), &[])?,
        });
        bios.push(both(&bin, &ours, &overlay("ours.qcow2"))?);
    }
    let head =
        "PID 1 of the initrd to multi-user.target, under emulation; peer: dracut initrd, Debian's defaults";
    let rows =
        [("first_boot", "first boot", first.as_slice()), ("later_boot", "later boot", later.as_slice())];
    print(json, &[(head, &rows), (WHOLE, &[("bios", "with a BIOS", &bios)])]);
    Ok(())
}

/// Only our disk with a BIOS, against itself with UEFI.
pub(crate) fn run_bios(pairs: usize, json: bool) -> Result<()> {
    let bin = paths::build_programs()?;
    let (ours, _) = peer::our_image(&bin)?;
    let dir = tempfile::Builder::new().prefix("twinhull-bench-").tempdir_in(paths::target())?;
    let disk = dir.path().join("disk.qcow2");
    eprintln!("==> a first boot, which makes the machine, and one with a BIOS that doesn't count");
    boot(&bin, &ours, Some(&disk), &[])?;
    whole(&bin, &ours, &disk, "bios")?;
    let mut runs = Vec::new();
    for n in 1..=pairs {
        eprintln!("==> pair {n} of {pairs}");
        runs.push(both(&bin, &ours, &disk)?);
    }
    print(json, &[(WHOLE, &[("bios", "with a BIOS", &runs)])]);
    Ok(())
}

/// What the row with the BIOS is about.
const WHOLE: &str = "Power-on to power-off, under emulation; peer: the same disk with UEFI";

/// A heading, and rows: key, name, runs.
type Table<'a> = (&'a str, &'a [(&'a str, &'a str, &'a [Pair])]);

fn print(json: bool, tables: &[Table<'_>]) {
    let rows = || tables.iter().flat_map(|(_, rows)| rows.iter());
    if json {
        let all = |value: fn(&[Pair]) -> serde_json::Value| -> serde_json::Map<_, _> {
            rows().map(|(key, _, pairs)| ((*key).to_owned(), value(pairs))).collect()
        };
        let ratios = all(|pairs| report::ratio(pairs).into());
        println!("{}", serde_json::json!({ "ratios": ratios, "runs": all(report::json) }));
        return;
    }
    for (n, (head, rows)) in tables.iter().enumerate() {
        println!("{}{head}\n\n{}", if n == 0 { "" } else { "\n" }, report::head());
        for (_, name, pairs) in *rows {
            println!("{}", report::row(name, "s", pairs));
        }
    }
}

/// The disk `persist` with both firmwares.
fn both(bin: &Path, image: &Path, persist: &Path) -> Result<Pair> {
    Ok(Pair { ours: whole(bin, image, persist, "bios")?, peer: whole(bin, image, persist, "uefi")? })
}

/// Seconds from power-on to power-off of the disk `persist`, which has been up in between.
fn whole(bin: &Path, image: &Path, persist: &Path, firmware: &str) -> Result<f64> {
    let start = Instant::now();
    boot(bin, image, Some(persist), &["--firmware", firmware])?;
    Ok(start.elapsed().as_secs_f64())
}

/// Boots `image` with further arguments of runvm and returns the seconds that count.
pub(super) fn boot(bin: &Path, image: &Path, persist: Option<&Path>, more: &[&str]) -> Result<f64> {
    spans(PROBE, bin, image, persist, more).map(|[span]| span)
}

/// As [`boot`], the seconds between each two moments that `probe` prints in microseconds.
pub(super) fn spans<const N: usize>(
    probe: &str,
    bin: &Path,
    image: &Path,
    persist: Option<&Path>,
    more: &[&str],
) -> Result<[f64; N]> {
    let mut cmd = Cmd::new(bin.join("runvm"))
        .arg(image)
        .args(["--accel", "tcg", "--timeout", "600", "--exec", probe])
        .args(more);
    if let Some(overlay) = persist {
        cmd = cmd.arg("--persist").arg(overlay);
    }
    let out = String::from_utf8_lossy(&cmd.output()?).into_owned();
    let moments: Vec<f64> = out.lines().filter_map(|l| l.trim().parse().ok()).collect();
    let spans: Vec<f64> = moments.chunks_exact(2).map(|m| (m[1] - m[0]) / 1e6).collect();
    ensure!(moments.len() == 2 * N && spans.iter().all(|s| *s > 0.0), "the guest gave no moments:\n{out}");
    spans.try_into().map_err(|_| anyhow::anyhow!("the guest gave no moments:\n{out}"))
}

/// A disk as Debian would have it: the same packages and dracut, an ext4 root, systemd-boot and a UKI.
fn peer_image() -> Result<PathBuf> {
    let mut packages: Vec<&str> = twinhull_tree::source::debian::BASE_PACKAGES.to_vec();
    packages.extend(["linux-image-cloud-amd64", "openssh-server", "dracut"]);
    let tree = peer::tree(
        "debian-dracut",
        &packages,
        "for v in \"$1\"/usr/lib/modules/*; do chroot \"$1\" dracut --force --no-hostonly --add 'systemd' /boot/initrd.peer \"${v##*/}\"; done; \
         : >\"$1/etc/machine-id\"; echo peer >\"$1/etc/hostname\"; chroot \"$1\" systemctl enable systemd-networkd",
    )?;
    let image = peer::folder()?.join("debian-dracut.raw");
    if image.exists()
        && fs_err::metadata(&image)?.modified()? > fs_err::metadata(tree.join(".complete"))?.modified()?
    {
        return Ok(image);
    }
    eprintln!("==> making the peer's disk");
    let work = tempfile::tempdir_in(peer::folder()?)?;
    let root = work.path().join("root.ext4");
    let fs_uuid = "6f2d1c5e-0a50-4c33-9a0e-7d6f4c1b2a39";
    Cmd::new("mke2fs")
        .args(["-q", "-t", "ext4", "-U", fs_uuid, "-d"])
        .arg(&tree)
        .arg(&root)
        .arg("2G")
        .output()?;
    assemble(&tree, &root, fs_uuid, work.path(), &image)?;
    Ok(image)
}

/// Puts the root file system, systemd-boot and a UKI onto a GPT disk.
fn assemble(tree: &Path, root: &Path, fs_uuid: &str, work: &Path, image: &Path) -> Result<()> {
    let kernel = fs_err::read_dir(tree.join("boot"))?
        .filter_map(|e| Some(e.ok()?.path()))
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-")))
        .context("the peer's tree has no kernel")?;
    let efi = tree.join("usr/lib/systemd/boot/efi");
    let cmdline = format!("root=UUID={fs_uuid} rw console=tty0 console=ttyS0,115200 quiet");
    let uki = twinhull_uki::build(
        &fs_err::read(efi.join("linuxx64.efi.stub"))?,
        &[
            (".osrel", &fs_err::read(tree.join("usr/lib/os-release"))?),
            (".cmdline", cmdline.as_bytes()),
            (".initrd", &fs_err::read(tree.join("boot/initrd.peer"))?),
            (".linux", &fs_err::read(&kernel)?),
        ],
    )?;
    let uki_path = work.join("debian.efi");
    fs_err::write(&uki_path, uki)?;
    let esp = work.join("esp.img");
    fs_err::File::create(&esp)?.set_len(256 << 20)?;
    Cmd::new("mkfs.vfat").args(["-F", "32"]).arg(&esp).output()?;
    Cmd::new("mmd").arg("-i").arg(&esp).args(["::EFI", "::EFI/BOOT", "::EFI/Linux"]).output()?;
    let copy = |from: &Path, to: &str| Cmd::new("mcopy").arg("-i").arg(&esp).arg(from).arg(to).output();
    copy(&efi.join("systemd-bootx64.efi"), "::EFI/BOOT/BOOTX64.EFI")?;
    copy(&uki_path, "::EFI/Linux/debian.efi")?;
    let partial = work.join("disk.raw");
    fs_err::File::create(&partial)?.set_len((256 << 20) + (2 << 30) + (4 << 20))?;
    Cmd::new("sgdisk")
        .args(["-n", "1:1M:+256M", "-t", "1:ef00", "-n", "2:257M:+2G", "-t", "2:8304"])
        .arg(&partial)
        .output()?;
    for (part, seek) in [(&esp, 1), (&root.to_path_buf(), 257)] {
        Cmd::new("dd")
            .arg(format!("if={}", part.display()))
            .arg(format!("of={}", partial.display()))
            .args(["bs=1M", "conv=sparse,notrunc", "status=none"])
            .arg(format!("seek={seek}"))
            .output()?;
    }
    fs_err::rename(&partial, image)?;
    Ok(())
}
