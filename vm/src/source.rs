//! The image to boot: a file, or a spec that `image-builder` makes one of.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use twinhull_sysutil::command::which;

use crate::options::Options;
use crate::process::{Supervised, TICK};
use crate::signals::Signals;

/// A program of this project: beside the running one, one directory up (where Cargo keeps programs of
/// the tests it runs), or in `PATH`.
pub(crate) fn sibling(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let dirs = own.iter().flat_map(|own| own.ancestors().skip(1).take(2));
    dirs.map(|dir| dir.join(name)).find(|path| path.is_file()).or_else(|| which(name).map(PathBuf::from))
}

/// Where the image built for a kept overlay stays.
fn kept_beside(persist: &Path) -> PathBuf {
    let mut name: OsString = persist.as_os_str().to_owned();
    name.push(".image");
    name.into()
}

/// The image's path, after building it below `dir` if `options` name a spec.
///
/// With `--persist` the image has to stay what it is, since the overlay holds only the differences: it
/// is built once, into a directory beside the overlay.
pub(crate) fn image(options: &Options, dir: &Path, signals: &Signals) -> Result<PathBuf> {
    if !options.is_spec() {
        return Ok(options.image.clone());
    }
    let out = options.persist.as_deref().map_or_else(|| dir.join("image"), kept_beside);
    if let Some(persist) = options.persist.as_deref().filter(|p| p.exists()) {
        eprintln!(
            "runvm: {} goes on with the image in {}; delete {} to build it anew",
            persist.display(),
            out.display(),
            persist.display()
        );
        return single_image(&out);
    }
    if out.exists() {
        for entry in fs_err::read_dir(&out)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            anyhow::ensure!(
                name.ends_with(".raw") || name.ends_with(".manifest.json"),
                "{} holds {name}, which no build of ours wrote; remove it, or take another name for --persist",
                out.display()
            );
        }
        fs_err::remove_dir_all(&out)?;
    }
    let builder = sibling("image-builder")
        .context("image-builder was not found beside runvm or in PATH; build it, or name an image instead")?;
    fs_err::create_dir_all(&out)?;
    let mut command = Command::new(builder);
    command.arg("build").arg(&options.image).arg("--out").arg(&out).stdin(Stdio::null());
    // Our stdout belongs to the guest.
    command.stdout(io::stderr().as_fd().try_clone_to_owned().context("stderr cannot be passed on")?);
    let mut build = Supervised::start_group(command, "image-builder")?;
    let status = loop {
        if let Some(status) = build.ended()? {
            break status;
        }
        ensure!(signals.pending().is_none(), "interrupted while the image was being built");
        std::thread::sleep(TICK);
    };
    ensure!(status.success(), "image-builder failed ({status}) on {}", options.image.display());
    single_image(&out)
}

/// The one `*.raw` in `dir`.
fn single_image(dir: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "raw") {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        n => bail!("{} holds {n} files named *.raw where image-builder leaves one", dir.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_image_is_the_single_raw_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(single_image(dir.path()).is_err());
        for name in ["a_1.raw", "a_1.efi", "SHA256SUMS"] {
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(single_image(dir.path()).unwrap(), dir.path().join("a_1.raw"));
        fs_err::write(dir.path().join("b.raw"), "").unwrap();
        assert!(single_image(dir.path()).is_err());
    }

    #[test]
    fn an_image_is_taken_as_it_is() {
        let options = Options { image: "x.raw".into(), ..Options::default() };
        assert_eq!(image(&options, Path::new("/nowhere"), &Signals::default()).unwrap(), Path::new("x.raw"));
    }
}
