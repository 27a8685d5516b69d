//! Where things are in the checkout, and how its programs are built.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use twinhull_sysutil::command::Cmd;

/// The installer's program.
const INSTALLER: &str = "twinhull-install";

/// The top of the checkout.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}

/// Builds every program in release mode and returns their folder. xtask is among them, so that they have the features it was
/// built with, and nothing is compiled twice.
pub(crate) fn build_programs() -> Result<PathBuf> {
    eprintln!("==> building Twinhull's programs");
    let packages = [
        "xtask",
        "image-builder",
        "runvm",
        "firstboot-agent",
        "twinhull-bridge",
        "twinhull-generators",
        "update-agent",
    ];
    let args = packages.iter().flat_map(|p| ["--package", p]);
    run(cargo().args(["build", "--release", "--locked", "--bins"]).args(args))?;
    Ok(target().join("release"))
}

/// Builds the installer as one static program and returns its path. It has a folder of its own: what cargo builds along with
/// other programs has the same name, and needs libraries.
pub(crate) fn build_installer() -> Result<PathBuf> {
    eprintln!("==> building the static installer");
    let package = ["rustc", "--release", "--locked", "--package", "twinhull-installer", "--bin", INSTALLER];
    // Only the last step is another one; crates that have other features without xtask beside them are compiled once more.
    run(cargo().args(package).args(["--", "-C", "target-feature=+crt-static"]))?;
    let (built, place) = (target().join("release").join(INSTALLER), target().join("release/static"));
    fs_err::create_dir_all(&place)?;
    let place = place.join(INSTALLER);
    let new = place.with_extension("new");
    fs_err::copy(built, &new)?;
    fs_err::rename(new, &place)?;
    Ok(place)
}

/// `cargo` in the checkout, with the caller's settings for it.
pub(crate) fn cargo() -> Cmd {
    let mut cmd = Cmd::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, value) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // What the outer cargo says of xtask's own package must not reach the inner one.
        let about_us =
            text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_BIN_NAME";
        let wanted = [
            "CARGO_",
            "RUST",
            "TWINHULL_",
            "INSTA_",
            "XDG_",
            "http",
            "HTTP",
            "SSL_",
            "CI",
            "NO_COLOR",
            "TERM",
        ];
        if !about_us && wanted.iter().any(|prefix| text.starts_with(prefix)) {
            cmd = cmd.env(&name, value);
        }
    }
    cmd.arg("--color=auto").current_dir(top())
}

/// Runs a command with our output; its failure is ours.
pub(crate) fn run(cmd: Cmd) -> Result<()> {
    let argv = cmd.argv();
    let status = cmd.status()?;
    ensure!(status.success(), "`{argv}` failed with {status}");
    Ok(())
}
