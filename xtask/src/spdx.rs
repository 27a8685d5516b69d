//! The foreign validator of bills of materials: spdx-tools, in a Python environment of its own in the cache.

use std::path::PathBuf;

use anyhow::Result;
use twinhull_sysutil::command::Cmd;

use crate::host;

/// The reference implementation for SPDX 2.3 in Python.
const PACKAGE: &str = "spdx-tools==0.8.5";

/// The folder of the environment, made at the first call.
pub(crate) fn tools() -> Result<PathBuf> {
    let dir = image_builder::source::default_cache_dir()?.join("tools").join(PACKAGE.replace("==", "-"));
    // Written last: an environment can't be renamed into its place, its programs name the folder.
    let whole = dir.join("whole");
    if whole.exists() {
        return Ok(dir);
    }
    if Cmd::new("python3").args(["-c", "import venv, ensurepip"]).output().is_err() {
        host::packages(&["python3", "python3-venv"])?;
    }
    eprintln!("==> installing {PACKAGE} into the cache");
    Cmd::new("python3").args(["-m", "venv", "--clear"]).arg(&dir).output()?;
    let mut pip = Cmd::new(dir.join("bin/python")).args(["-m", "pip", "install", "--quiet", PACKAGE]);
    for (name, value) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_lowercase();
        if text.starts_with("pip_") || text.ends_with("_proxy") || text.starts_with("ssl_") {
            pip = pip.env(&name, value);
        }
    }
    pip.output()?;
    fs_err::write(whole, "")?;
    Ok(dir)
}
