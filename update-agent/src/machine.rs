//! What runs here: the image and its version, the root hash it was started with, and the disk it came from.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};
use twinhull_disk::slot;
use twinhull_disk::types::Arch;
use twinhull_reboot::MachineId;
use twinhull_release::names;
use uuid::Uuid;

/// A running machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The image's name.
    pub image: String,
    /// The version that runs.
    pub version: String,
    /// Its processor.
    pub arch: Arch,
    /// Root hash of the running `/usr`.
    pub root_hash: [u8; 32],
    /// Time of the running image, in seconds since 1970.
    pub built: u64,
    /// The machine id, for the place in rollouts; without one the machine comes last.
    pub id: Option<MachineId>,
}

impl Machine {
    /// Reads the machine below `root`, `/` unless it is a test.
    pub fn read(root: &Path) -> Result<Self> {
        let text = |path: &str| -> Result<String> { Ok(fs_err::read_to_string(root.join(path))?) };
        let os_release = text("usr/lib/os-release")?;
        let field = |name: &str| {
            let value = os_release.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
            let value = value.map(|v| v.trim_matches(['"', '\'']).to_owned());
            value.with_context(|| format!("/usr/lib/os-release has no {name}; is this a Twinhull image?"))
        };
        let (image, version) = (field("IMAGE_ID")?, field("IMAGE_VERSION")?);
        ensure!(
            names::is_image(&image) && names::is_version(&version),
            "{image} {version} in /usr/lib/os-release can't be updated; docs/reference/release.md says which names can"
        );
        let cmdline = twinhull_slots::cmdline(root)?;
        let hash = cmdline.split_ascii_whitespace().filter_map(|w| w.strip_prefix("usrhash=")).next_back();
        let hash =
            hash.context("the kernel's command line has no usrhash=, so nothing says which slot runs")?;
        let root_hash =
            names::parse_digest(hash).with_context(|| format!("usrhash={hash} is no root hash"))?;
        let built = fs_err::metadata(root.join("usr"))?.modified()?;
        let built = built.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let id = text("etc/machine-id").ok().and_then(|text| MachineId::parse(text.trim()).ok());
        Ok(Machine { image, version, arch: arch()?, root_hash, built, id })
    }

    /// The disk with the running slot, by udev's links and sysfs below `root`.
    pub fn disk(&self, root: &Path) -> Result<PathBuf> {
        let uuid: Uuid = slot::uuids(&self.root_hash).0;
        let link = root.join("dev/disk/by-partuuid").join(uuid.to_string());
        let partition =
            fs_err::canonicalize(&link).context("the partition of the running slot can't be found")?;
        let name = partition.file_name().unwrap_or_default();
        let sys = fs_err::canonicalize(root.join("sys/class/block").join(name))?;
        let disk = sys.parent().and_then(Path::file_name).filter(|_| sys.join("partition").exists());
        Ok(root.join("dev").join(disk.with_context(|| format!("{} is no partition", partition.display()))?))
    }
}

fn arch() -> Result<Arch> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Arch::X86_64),
        "aarch64" => Ok(Arch::Arm64),
        other => bail!("images for {other} aren't known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_what_its_files_say() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        let hash: String = (0..32).map(|n| format!("{n:02x}")).collect();
        put("usr/lib/os-release", "ID=debian\nIMAGE_ID=web\nIMAGE_VERSION=\"1.0\"\n");
        put("proc/cmdline", &format!("quiet usrhash={hash} rw\n"));
        let machine = Machine::read(dir.path()).unwrap();
        assert_eq!((machine.image.as_str(), machine.version.as_str()), ("web", "1.0"));
        assert_eq!(machine.root_hash[31], 31);
        assert!(machine.id.is_none());
        for (path, text, word) in [
            ("proc/cmdline", "quiet\n", "no usrhash="),
            ("proc/cmdline", "usrhash=abc\n", "is no root hash"),
            ("proc/cmdline", &format!("usrhash={}\n", hash.replace('a', "A")), "is no root hash"),
            ("usr/lib/os-release", "IMAGE_ID=web\n", "no IMAGE_VERSION"),
            ("usr/lib/os-release", "IMAGE_ID=web\nIMAGE_VERSION=../1\n", "can't be updated"),
        ] {
            let before = fs_err::read_to_string(dir.path().join(path)).unwrap();
            put(path, text);
            let error = format!("{:#}", Machine::read(dir.path()).unwrap_err());
            assert!(error.contains(word), "{error}");
            put(path, &before);
        }
    }
}
