//! The peers: Debian's own tools, in trees that are made once and kept in the cache.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use twinhull_sysutil::command::Cmd;
use twinhull_sysutil::digest;

use crate::{host, paths};

/// Makes sure we can use chroots: the peers need root, we don't.
pub(crate) fn prepare_host() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the peers of this benchmark need root (dracut in a chroot, owners on disk)"
    );
    host::for_tests()?;
    host::packages(&["time"])
}

/// The folder of the peers' trees.
pub(crate) fn folder() -> Result<PathBuf> {
    let dir = image_builder::source::default_cache_dir()?.join("bench");
    fs_err::create_dir_all(&dir)?;
    Ok(dir)
}

/// A folder with a trixie tree of `packages`, made with mmdebstrap and kept; `hook` runs in it at the end.
pub(crate) fn tree(name: &str, packages: &[&str], hook: &str) -> Result<PathBuf> {
    let key = digest::sha256_hex(format!("{packages:?} {hook}").as_bytes());
    let dir = folder()?.join(format!("{name}-{}", &key[..12]));
    if dir.join(".complete").exists() {
        return Ok(dir);
    }
    if dir.exists() {
        fs_err::remove_dir_all(&dir)?;
    }
    eprintln!("==> making the peer's tree {name}");
    Cmd::new("mmdebstrap")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args([
            "--variant=essential",
            "--format=dir",
            "--quiet",
            "--aptopt=APT::Install-Recommends \"false\"",
        ])
        .arg(format!("--include={}", packages.join(",")))
        .arg(format!("--customize-hook={hook}"))
        .arg("trixie")
        .arg(&dir)
        .output()?;
    fs_err::write(dir.join(".complete"), "")?;
    Ok(dir)
}

/// Builds the default image and returns its path and the tree archive it came from.
pub(crate) fn our_image(bin: &Path) -> Result<(PathBuf, PathBuf)> {
    let out = paths::target().join("bench");
    Cmd::new(bin.join("image-builder"))
        .arg("build")
        .arg(paths::top().join("examples/hello.yaml"))
        .args(["--quiet", "--out"])
        .arg(&out)
        .output()?;
    let manifest: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(out.join("hello_1.0.0.manifest.json"))?)?;
    let wanted =
        manifest["tree"]["sha256"].as_str().context("the manifest has no digest of the tree")?.to_owned();
    let trees = image_builder::source::default_cache_dir()?.join("trees");
    for entry in fs_err::read_dir(&trees)? {
        let path = entry?.path();
        let is_sum = path.extension().is_some_and(|e| e == "sha256");
        if is_sum && fs_err::read_to_string(&path)?.trim() == wanted {
            return Ok((out.join("hello_1.0.0.raw"), path.with_extension("tar")));
        }
    }
    anyhow::bail!("the tree of the default image is not in the cache")
}
