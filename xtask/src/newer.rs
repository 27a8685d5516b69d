//! Foreign tools that are newer than the host's Debian: unpacked into the cache, never installed.

use std::path::PathBuf;

use anyhow::Result;
use twinhull_sysutil::command::Cmd;
use twinhull_sysutil::digest;

/// Debian 12 has erofs-utils 1.5, which doesn't know Zstandard, and no systemd-sysupdate. Servers are unpacked because
/// installed ones would start by themselves; pebble is one for ACME.
/// GRUB for machines with a BIOS is the one that images have.
const PACKAGES: &str =
    "erofs-utils,etcd-server,grub-common,grub-pc-bin,libc6,nginx-light,pebble,systemd-container";
const SUITE: &str = "trixie";

/// The folder with the tools, unpacked at the first call.
pub(crate) fn tools() -> Result<PathBuf> {
    let cache = image_builder::source::default_cache_dir()?.join("tools");
    let key = digest::sha256_hex(format!("{SUITE} {PACKAGES} 1").as_bytes());
    let dir = cache.join(&key[..16]);
    if dir.join("usr/bin/fsck.erofs").exists() {
        return Ok(dir);
    }
    eprintln!("==> unpacking newer tools from {SUITE}");
    fs_err::create_dir_all(&cache)?;
    let partial = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(&cache)?;
    let archive = partial.path().join("tools.tar");
    Cmd::new("mmdebstrap")
        .args(["--variant=extract", "--format=tar", "--quiet", "--aptopt=APT::Install-Recommends \"false\""])
        .arg(format!("--include={PACKAGES}"))
        .arg(SUITE)
        .arg(&archive)
        .output()?;
    let tree = partial.path().join("tree");
    fs_err::create_dir_all(&tree)?;
    Cmd::new("tar")
        .args(["--no-same-owner", "--exclude=./dev/*", "-xf"])
        .arg(&archive)
        .arg("-C")
        .arg(&tree)
        .output()?;
    if dir.exists() {
        fs_err::remove_dir_all(&dir)?;
    }
    fs_err::rename(&tree, &dir)?;
    Ok(dir)
}
