//! Disks: the overlay that keeps the image untouched, and the formats of what is attached.

use std::ffi::OsString;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use twinhull_sysutil::command::{Cmd, which};
use twinhull_sysutil::size::human;

/// The formats an image can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Raw,
    Qcow2,
    Vmdk,
    /// With its footer at the end, as fixed VHDs have it.
    Vhd,
}

impl Format {
    /// QEMU's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Raw => "raw",
            Format::Qcow2 => "qcow2",
            Format::Vmdk => "vmdk",
            Format::Vhd => "vpc",
        }
    }

    /// Tells the format by the first bytes of the file, or by those of its last 512.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let mut file = fs_err::File::open(path)?;
        let mut magic = Vec::new();
        file.by_ref().take(4).read_to_end(&mut magic)?;
        Ok(match magic.as_slice() {
            b"QFI\xfb" => Format::Qcow2,
            b"KDMV" => Format::Vmdk,
            _ if file.metadata()?.len() > 512 => {
                file.seek(SeekFrom::End(-512))?;
                let mut cookie = [0; 8];
                file.read_exact(&mut cookie)?;
                if &cookie == b"conectix" { Format::Vhd } else { Format::Raw }
            }
            _ => Format::Raw,
        })
    }
}

/// The overlay the guest writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overlay {
    /// The qcow2 file.
    pub(crate) path: PathBuf,
    /// The firmware's variables that belong to it.
    pub(crate) vars: PathBuf,
    /// Whether it goes on where an earlier run stopped.
    pub(crate) reused: bool,
}

/// Where the variables of the overlay `path` are kept.
pub(crate) fn vars_beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".vars");
    name.into()
}

/// Makes the overlay of `image`, or takes up the one at `path` when it is there and `keep` is set.
pub(crate) fn overlay(image: &Path, path: &Path, keep: bool, disk_size: Option<u64>) -> Result<Overlay> {
    let image = fs_err::canonicalize(image).context("the image cannot be used")?;
    ensure!(image.is_file(), "{} is not a file; name an image or a spec", image.display());
    let format = Format::of(&image)?;
    let image_size = virtual_size(&image, format)?;
    ensure!(image_size > 0, "{} is empty, so there is nothing to boot", image.display());
    if let Some(size) = disk_size {
        ensure!(
            size >= image_size,
            "a disk of {} is smaller than the image {} with its {}; give --disk-size at least that much",
            human(size),
            image.display(),
            human(image_size)
        );
    }
    let vars = vars_beside(path);
    if keep && path.exists() {
        reuse(&image, path, disk_size)?;
        return Ok(Overlay { path: path.to_owned(), vars, reused: true });
    }
    if path.file_name().is_none() || path.is_dir() {
        bail!(
            "{} is not the name of a file; --persist names the file that keeps the changes",
            path.display()
        );
    }
    let mut cmd = Cmd::new(qemu_img()?)
        .args(["create", "-q", "-f", "qcow2", "-F", format.name(), "-b"])
        .arg(&image)
        .arg("--")
        .arg(path);
    if let Some(size) = disk_size {
        cmd = cmd.arg(size.to_string());
    }
    cmd.output().with_context(|| format!("the overlay {} could not be made", path.display()))?;
    Ok(Overlay { path: path.to_owned(), vars, reused: false })
}

/// Checks that the overlay at `path` still belongs to `image`, and grows it.
fn reuse(image: &Path, path: &Path, disk_size: Option<u64>) -> Result<()> {
    ensure!(
        Format::of(path)? == Format::Qcow2,
        "{} is not an overlay made by --persist, and is left alone; name another file",
        path.display()
    );
    let info = info(path, Format::Qcow2)?;
    let backing = info["full-backing-filename"].as_str().or(info["backing-filename"].as_str());
    ensure!(
        backing.is_some_and(|backing| Path::new(backing) == image),
        "{} keeps changes to {}, not to {}; name another file, or delete it to start anew",
        path.display(),
        backing.unwrap_or("nothing"),
        image.display()
    );
    let changed = |path: &Path| anyhow::Ok(fs_err::metadata(path)?.modified()?);
    ensure!(
        changed(image)? <= changed(path)?,
        "{} was changed after {} was last used, so the kept changes no longer fit it; delete {} to start anew",
        image.display(),
        path.display(),
        path.display()
    );
    let current = info["virtual-size"].as_u64().context("qemu-img does not name the overlay's size")?;
    match disk_size {
        Some(size) if size < current => bail!(
            "{} already has {}, and a disk is not shrunk to {}; give --disk-size at least that much or leave it out",
            path.display(),
            human(current),
            human(size)
        ),
        Some(size) if size > current => {
            Cmd::new(qemu_img()?)
                .args(["resize", "-q", "-f", "qcow2", "--"])
                .arg(path)
                .arg(size.to_string())
                .output()
                .with_context(|| format!("the overlay {} could not be grown", path.display()))?;
        }
        _ => {}
    }
    Ok(())
}

fn virtual_size(path: &Path, format: Format) -> Result<u64> {
    match format {
        Format::Raw => Ok(fs_err::metadata(path)?.len()),
        Format::Qcow2 | Format::Vmdk | Format::Vhd => {
            info(path, format)?["virtual-size"].as_u64().context("qemu-img does not name the image's size")
        }
    }
}

fn info(path: &Path, format: Format) -> Result<serde_json::Value> {
    let json = Cmd::new(qemu_img()?)
        .args(["info", "--force-share", "--output=json", "-f", format.name(), "--"])
        .arg(path)
        .output()
        .with_context(|| format!("{} could not be looked at", path.display()))?;
    serde_json::from_slice(&json).context("qemu-img printed no JSON")
}

fn qemu_img() -> Result<OsString> {
    which("qemu-img").context(
        "qemu-img was not found; install the package `qemu-utils` (Debian, Ubuntu), `qemu-img` (Fedora, Arch) \
         or `qemu-tools` (openSUSE)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(dir: &Path) -> PathBuf {
        let image = dir.join("an image,1.raw");
        fs_err::write(&image, vec![7; 1 << 20]).unwrap();
        image
    }

    #[test]
    fn a_vhd_can_be_the_image() {
        let dir = tempfile::tempdir().unwrap();
        let vhd = dir.path().join("image.vhd");
        let args = ["convert", "-O", "vpc", "-o", "subformat=fixed,force_size=on"];
        Cmd::new(qemu_img().unwrap()).args(args).arg(image(dir.path())).arg(&vhd).output().unwrap();
        assert_eq!(Format::of(&vhd).unwrap(), Format::Vhd);
        let path = dir.path().join("disk.qcow2");
        overlay(&vhd, &path, false, None).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn a_vmdk_can_be_the_image() {
        let dir = tempfile::tempdir().unwrap();
        let vmdk = dir.path().join("image.vmdk");
        let args = ["convert", "-O", "vmdk", "-o", "subformat=streamOptimized"];
        Cmd::new(qemu_img().unwrap()).args(args).arg(image(dir.path())).arg(&vmdk).output().unwrap();
        assert_eq!(Format::of(&vmdk).unwrap(), Format::Vmdk);
        let path = dir.path().join("overlay");
        overlay(&vmdk, &path, false, None).unwrap();
        assert_eq!(virtual_size(&path, Format::Qcow2).unwrap(), 1 << 20);
    }

    #[test]
    fn an_overlay_is_made_grown_and_taken_up_again() {
        let dir = tempfile::tempdir().unwrap();
        let image = image(dir.path());
        let path = dir.path().join("keep");
        let first = overlay(&image, &path, true, Some(2 << 20)).unwrap();
        assert!(!first.reused);
        assert_eq!(first.vars, dir.path().join("keep.vars"));
        assert_eq!(Format::of(&path).unwrap(), Format::Qcow2);
        assert_eq!(virtual_size(&path, Format::Qcow2).unwrap(), 2 << 20);

        assert!(overlay(&image, &path, true, None).unwrap().reused);
        assert!(overlay(&image, &path, true, Some(3 << 20)).unwrap().reused);
        assert_eq!(virtual_size(&path, Format::Qcow2).unwrap(), 3 << 20);
        let error = overlay(&image, &path, true, Some(2 << 20)).unwrap_err().to_string();
        assert!(error.contains("shrunk"), "{error}");
        assert_eq!(fs_err::read(&image).unwrap(), vec![7; 1 << 20]);
    }

    /// docs/reference/runvm.md promises it; should QEMU change its mind, the page is wrong.
    #[test]
    fn a_killed_qemu_loses_only_what_was_new_and_not_flushed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keep");
        overlay(&image(dir.path()), &path, true, Some(4 << 20)).unwrap();
        let io = |words: &[&str]| {
            let mut cmd = Cmd::new("qemu-io").args(["-t", "writeback", "-f", "qcow2"]);
            for word in words {
                cmd = cmd.args(["-c", word]);
            }
            cmd.arg(&path).output()
        };
        let kill = "sigraise 9";
        assert!(io(&["write -P 1 2M 64k", "flush", "write -P 2 3M 64k", kill]).is_err());
        let has =
            |words: &str| io(&[words]).is_ok_and(|out| !String::from_utf8_lossy(&out).contains("failed"));
        assert!(has("read -P 1 2M 64k") && has("read -P 0 3M 64k"));
        assert!(io(&["write -P 3 2M 64k", kill]).is_err());
        assert!(has("read -P 3 2M 64k"));
        let leaks_at_most = Cmd::new("qemu-img").args(["check", "-q"]).arg(&path).status().unwrap();
        assert!(matches!(leaks_at_most.code(), Some(0 | 3)));
    }

    #[test]
    fn a_disk_smaller_than_the_image_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error =
            overlay(&image(dir.path()), &dir.path().join("o"), false, Some(1)).unwrap_err().to_string();
        assert!(error.contains("--disk-size"), "{error}");
    }

    #[test]
    fn an_overlay_of_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let image = image(dir.path());
        let other = dir.path().join("other.raw");
        fs_err::write(&other, vec![1; 1 << 20]).unwrap();
        let path = dir.path().join("keep");
        overlay(&other, &path, true, None).unwrap();
        assert!(overlay(&image, &path, true, None).unwrap_err().to_string().contains("not to"));

        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        fs_err::OpenOptions::new().append(true).open(&other).unwrap().file().set_modified(later).unwrap();
        assert!(overlay(&other, &path, true, None).unwrap_err().to_string().contains("no longer fit"));

        fs_err::write(&path, "precious").unwrap();
        assert!(overlay(&image, &path, true, None).unwrap_err().to_string().contains("left alone"));
        assert_eq!(fs_err::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_missing_or_empty_image_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        fs_err::write(&empty, "").unwrap();
        for image in [empty, dir.path().join("none"), dir.path().to_owned()] {
            assert!(overlay(&image, &dir.path().join("o"), false, None).is_err(), "{}", image.display());
        }
    }
}
