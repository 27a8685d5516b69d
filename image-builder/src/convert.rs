//! `convert`: writes a finished raw image in the formats of clouds and hypervisors, each beside it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;
use twinhull_export::{Disk, Format, Options};
use twinhull_sysutil::atomic::Replacement;
use twinhull_sysutil::size;

use crate::progress::Progress;

/// A file that was written.
#[derive(Debug, Serialize)]
pub(crate) struct Converted {
    /// Name of the format.
    format: &'static str,
    /// The file.
    pub(crate) path: PathBuf,
    /// Size in bytes of the disk it holds.
    disk_size: u64,
    /// Length of the file in bytes.
    length: u64,
}

/// Parses the name of a format; clap lists them and finds the nearest.
pub(crate) fn parser() -> impl TypedValueParser<Value = Format> {
    let values = Format::ALL.map(|format| PossibleValue::new(format.name()).help(format.about()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Format>())
}

/// Where the image at `image` goes as `format` by default: beside it, with another extension.
pub(crate) fn beside(image: &Path, format: Format) -> PathBuf {
    // A dot may as well belong to the version.
    let known = image.extension().is_some_and(|e| e == "raw" || e == "img");
    let stem = if known { image.file_stem() } else { image.file_name() };
    let mut name = stem.unwrap_or_default().to_owned();
    name.push(".");
    name.push(format.extension());
    image.with_file_name(name)
}

/// Writes the image at `image` as `format` to `out`, which is replaced when all of it is there.
pub(crate) fn convert(image: &Path, format: Format, out: &Path, progress: &Progress) -> Result<Converted> {
    let disk = Disk::open(image)?;
    check_output(image, out)?;
    let name = out.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.with_context(|| format!("{} is not the name of a file", out.display()))?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options { name: &name, created: 0, workers };
    let step = progress.bytes(&format!("Writing {}", format.name()), disk.size());
    let write = || -> Result<(u64, u64)> {
        let mut output = Replacement::new(out)?;
        let file = output.as_file_mut()?;
        let disk_size =
            twinhull_export::write(&disk, format, &options, file, &mut |done| step.position(done))?;
        let length = file.metadata()?.len();
        output.commit(0o644)?;
        Ok((disk_size, length))
    };
    let (disk_size, length) = write().with_context(|| format!("{} was not written", out.display()))?;
    let grown = if disk_size == disk.size() {
        String::new()
    } else {
        format!(", disk grown to {}", size::human(disk_size))
    };
    step.done(&format!("{}{grown}", size::human(length)));
    Ok(Converted { format: format.name(), path: out.to_owned(), disk_size, length })
}

/// What would be known only after all the work, or would replace the image itself.
fn check_output(image: &Path, out: &Path) -> Result<()> {
    let Ok(there) = fs_err::metadata(out) else { return Ok(()) };
    ensure!(
        !there.is_dir(),
        "{} is a folder; --out names the file that is written, or leave it out",
        out.display()
    );
    let ours = fs_err::metadata(image)?;
    ensure!(
        (there.dev(), there.ino()) != (ours.dev(), ours.ino()),
        "{} is the image itself and would be replaced; give --out another name",
        out.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_the_image() {
        for (image, format, want) in [
            ("out/hello_1.0.0.raw", Format::Qcow2, "out/hello_1.0.0.qcow2"),
            ("hello_1.0.0.raw", Format::Gcp, "hello_1.0.0.tar.gz"),
            ("hello_1.0.0.raw", Format::RawZst, "hello_1.0.0.raw.zst"),
            ("hello_1.0.0.raw", Format::Bmap, "hello_1.0.0.raw.bmap"),
            ("disk.img", Format::Vhd, "disk.vhd"),
            ("hello_1.0.0", Format::Vmdk, "hello_1.0.0.vmdk"),
        ] {
            assert_eq!(beside(Path::new(image), format), Path::new(want), "{image}");
        }
    }

    #[test]
    fn the_image_and_folders_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (image, link) = (dir.path().join("a.raw"), dir.path().join("link"));
        fs_err::write(&image, "x").unwrap();
        std::os::unix::fs::symlink(&image, &link).unwrap();
        for out in [&image, &link] {
            assert!(check_output(&image, out).unwrap_err().to_string().contains("the image itself"));
        }
        assert!(check_output(&image, dir.path()).unwrap_err().to_string().contains("is a folder"));
        assert!(check_output(&image, &dir.path().join("new")).is_ok());
    }
}
