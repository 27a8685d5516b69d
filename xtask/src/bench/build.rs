//! `bench build`: our whole build with the tree cached, against systemd-repart and ukify on the same tree.
//!
//! The peer's tools are trixie's, run offline in a chroot with the tree unpacked, owners and all, and an initrd
//! that is given to it ready made: making one is work that only we do here. Both write uncompressed EROFS with
//! dm-verity, a UKI and a GPT disk with an ESP.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};
use twinhull_sysutil::command::Cmd;

use super::peer;
use super::report::{self, Pair};
use crate::paths;

pub(crate) fn run(pairs: usize, json: bool) -> Result<()> {
    peer::prepare_host()?;
    let bin = paths::build_programs()?;
    let (_, archive) = peer::our_image(&bin)?;
    let tools = peer::tree(
        "tools",
        &[
            "systemd-repart",
            "systemd-ukify",
            "systemd-boot-efi",
            "erofs-utils",
            "cryptsetup-bin",
            "libcryptsetup12",
            "libfdisk1",
            "dosfstools",
            "mtools",
            "e2fsprogs",
        ],
        "true",
    )?;
    let work = tools.join("bench");
    if work.exists() {
        fs_err::remove_dir_all(&work)?;
    }
    fs_err::create_dir_all(work.join("tree"))?;
    Cmd::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&archive)
        .arg("-C")
        .arg(work.join("tree"))
        .output()?;
    prepare_peer(&work)?;
    let (mut wall, mut memory) = (Vec::new(), Vec::new());
    for n in 0..=pairs {
        let ours = measure(
            &work,
            &[
                bin.join("image-builder").display().to_string(),
                "build".into(),
                paths::top().join("examples/hello.yaml").display().to_string(),
                "--quiet".into(),
                "--out".into(),
                work.join("out").display().to_string(),
            ],
        )?;
        let theirs = measure(
            &work,
            &["unshare".into(), "--mount".into(), "sh".into(), "-c".into(),
                // systemd reopens descriptors through /proc.
                "mount -t proc proc \"$0/proc\" && mount -t devtmpfs dev \"$0/dev\" && exec chroot \"$0\" /bin/sh /bench/peer.sh".into(),
                tools.display().to_string()],
        )?;
        if n > 0 {
            eprintln!("==> pair {n} of {pairs}: {:.2} s against {:.2} s", ours.0, theirs.0);
            wall.push(Pair { ours: ours.0, peer: theirs.0 });
            memory.push(Pair { ours: ours.1, peer: theirs.1 });
        }
    }
    if json {
        let ratios = serde_json::json!({ "wall": report::ratio(&wall), "peak_memory_mib": report::median(memory.iter().map(|p| p.ours).collect()) });
        println!(
            "{}",
            serde_json::json!({ "ratios": ratios, "runs": { "wall": report::json(&wall), "memory_mib": report::json(&memory) } })
        );
    } else {
        println!(
            "tree to finished disk, tree cached; peer: systemd-repart --offline and ukify, initrd given\n"
        );
        println!(
            "{}\n{}\n{}",
            report::head(),
            report::row("wall", "s", &wall),
            report::row("peak memory", "MiB", &memory)
        );
    }
    Ok(())
}

/// Wall seconds and peak memory in MiB of the largest process, by GNU time.
fn measure(work: &Path, argv: &[String]) -> Result<(f64, f64)> {
    let log = work.join("time");
    let start = Instant::now();
    Cmd::new("/usr/bin/time").args(["-f", "%M", "-o"]).arg(&log).args(argv).output()?;
    let wall = start.elapsed().as_secs_f64();
    let kib: f64 = fs_err::read_to_string(&log)?.trim().parse().context("GNU time printed no number")?;
    Ok((wall, kib / 1024.0))
}

/// Definitions, an initrd, and the script that the peer runs.
fn prepare_peer(work: &Path) -> Result<()> {
    let defs = work.join("defs");
    fs_err::create_dir_all(&defs)?;
    fs_err::write(
        defs.join("10-esp.conf"),
        "[Partition]\nType=esp\nFormat=vfat\nSizeMinBytes=128M\nSizeMaxBytes=128M\nCopyFiles=/esp:/\n",
    )?;
    fs_err::write(
        defs.join("20-usr.conf"),
        "[Partition]\nType=usr\nFormat=erofs\nCopyFiles=/usr:/\nVerity=data\nVerityMatchKey=usr\nSizeMinBytes=448M\nSizeMaxBytes=448M\n",
    )?;
    fs_err::write(
        defs.join("30-verity.conf"),
        "[Partition]\nType=usr-verity\nVerity=hash\nVerityMatchKey=usr\nSizeMinBytes=4M\nSizeMaxBytes=4M\n",
    )?;
    let initrd = vec![0x5A; 16 << 20];
    fs_err::write(work.join("initrd"), initrd)?;
    fs_err::write(
        work.join("peer.sh"),
        "set -e\ncd /bench\nrm -rf out.raw tree/esp\nmkdir -p tree/esp/EFI/BOOT tree/esp/EFI/Linux\n\
         cp tree/usr/lib/systemd/boot/efi/systemd-bootx64.efi tree/esp/EFI/BOOT/BOOTX64.EFI\n\
         systemd-repart --offline=yes --empty=create --size=2G --seed=6f2d1c5e-0a50-4c33-9a0e-7d6f4c1b2a39 --root=/bench/tree \
         --definitions=/bench/defs --dry-run=no --json=short --defer-partitions=esp out.raw >repart.json\n\
         hash=$(sed 's/.*\"roothash\":\"\\([0-9a-f]*\\)\".*/\\1/' repart.json)\n\
         ukify build --linux=$(ls tree/boot/vmlinuz-*) --initrd=initrd --cmdline=\"usrhash=$hash\" \
         --os-release=@tree/usr/lib/os-release --stub=tree/usr/lib/systemd/boot/efi/linuxx64.efi.stub --output=tree/esp/EFI/Linux/hello.efi >/dev/null\n\
         systemd-repart --offline=yes --empty=allow --seed=6f2d1c5e-0a50-4c33-9a0e-7d6f4c1b2a39 --root=/bench/tree \
         --definitions=/bench/defs --dry-run=no out.raw >/dev/null\n",
    )?;
    Ok(())
}
