//! Gets the OS tree a spec asks for: from the cache, from an archive or a folder, or from the distribution.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use twinhull_disk::types::Arch;
use twinhull_spec::{Encryption, Spec, TreeSource};
use twinhull_sysutil::{atomic, digest};
use twinhull_tree::{Tree, source};

use crate::progress::Progress;

/// Where to look and what is allowed.
#[derive(Debug)]
pub struct Request<'a> {
    /// Folder that relative paths in the spec start from.
    pub base: &'a Path,
    /// Cache folder.
    pub cache: &'a Path,
    /// Whether the network is forbidden.
    pub offline: bool,
    /// Whether to fetch a cached tree again.
    pub refresh: bool,
}

/// A tree with what the manifest says of it.
#[derive(Debug)]
pub struct Opened {
    /// The tree.
    pub tree: Tree,
    /// Where it came from.
    pub origin: Origin,
    /// The digest of the archive that its files are read from, in the making; none for a folder.
    pub digest: Option<Hashing>,
}

/// An archive that is hashed by a thread of its own while it is being used already.
#[derive(Debug)]
pub struct Hashing {
    archive: PathBuf,
    /// What it must be, when it comes from the cache.
    expected: Option<String>,
    thread: JoinHandle<std::io::Result<String>>,
}

impl Hashing {
    fn start(archive: &Path, expected: Option<String>) -> Result<Self> {
        let file = fs_err::File::open(archive)?;
        let thread = std::thread::spawn(move || digest::sha256_reader(file));
        Ok(Hashing { archive: archive.to_owned(), expected, thread })
    }

    /// Waits for the digest, as 64 hexadecimal digits.
    ///
    /// Returns [`Damaged`] when it isn't what it must be.
    pub fn finish(self) -> Result<String> {
        let found = self.thread.join().map_err(|_| anyhow::anyhow!("hashing the tree failed"))??;
        match self.expected {
            Some(expected) if expected != found => Err(Damaged(self.archive).into()),
            _ => Ok(found),
        }
    }
}

/// The cached tree is not what was put there.
#[derive(Debug, thiserror::Error)]
#[error("the cached tree {} is damaged; build without --offline to fetch it again", .0.display())]
pub struct Damaged(PathBuf);

/// Where a tree came from, for the manifest.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// `debian`, `tar` or `dir`.
    pub kind: &'static str,
    /// SHA-256 of the archive, once it is known; none for a folder.
    pub sha256: Option<String>,
    /// What was asked of the distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debian: Option<source::debian::Request>,
}

/// The user's cache folder for Twinhull: `$TWINHULL_CACHE`, `$XDG_CACHE_HOME/twinhull` or
/// `~/.cache/twinhull`.
pub fn default_cache_dir() -> Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base =
        from("XDG_CACHE_HOME").filter(|p| p.is_absolute()).or_else(|| Some(from("HOME")?.join(".cache")));
    Ok(base.context("neither HOME nor XDG_CACHE_HOME is set; say --cache-dir DIR")?.join("twinhull"))
}

/// Opens the tree of `spec`.
pub fn open(spec: &Spec, request: &Request<'_>, progress: &Progress) -> Result<Opened> {
    match &spec.tree {
        TreeSource::Dir(dir) => {
            let step = progress.step("Reading the tree");
            let tree = source::dir::read(&request.base.join(dir)).context("the tree can't be read")?;
            step.done(dir);
            Ok(Opened { tree, origin: Origin { kind: "dir", sha256: None, debian: None }, digest: None })
        }
        TreeSource::Tar(path) => {
            let path = request.base.join(path);
            let digest = Hashing::start(&path, None).context("the tree can't be read")?;
            read_archive(&path, digest, progress, Origin { kind: "tar", sha256: None, debian: None })
        }
        TreeSource::Debian(debian) => {
            let arch = crate::build::arch(spec)?;
            let mut wanted = debian_request(debian, arch);
            if spec.disk.encryption == Encryption::MachineKey {
                wanted.packages.extend(source::debian::TPM_PACKAGES.iter().map(|name| (*name).to_owned()));
            }
            if spec.boot.has_bios(&spec.image.arch) {
                wanted.alone.push(source::debian::BIOS_PACKAGE.to_owned());
            }
            let (path, sha256) = cached_debian(&wanted, request, progress)?;
            let digest = Hashing::start(&path, Some(sha256))?;
            let origin = Origin { kind: "debian", sha256: None, debian: Some(wanted) };
            read_archive(&path, digest, progress, origin)
        }
    }
}

fn debian_request(debian: &twinhull_spec::Debian, arch: Arch) -> source::debian::Request {
    let kernel = debian.kernel.clone().unwrap_or_else(|| format!("linux-image-cloud-{}", arch.debian()));
    let mut packages = debian.packages.clone();
    packages.push(kernel);
    source::debian::Request {
        suite: debian.suite.clone(),
        arch: arch.debian().to_owned(),
        packages,
        alone: Vec::new(),
        mirror: debian.mirror.clone(),
    }
}

fn read_archive(path: &Path, digest: Hashing, progress: &Progress, origin: Origin) -> Result<Opened> {
    let step = progress.step("Reading the tree");
    let tree = match source::tar::read(path) {
        Ok(tree) => tree,
        // That it is damaged says more than what couldn't be read of it.
        Err(error) => {
            digest.finish()?;
            return Err(error).with_context(|| format!("the tree {} can't be read", path.display()));
        }
    };
    step.done(&format!("{} files and folders", tree.walk().count()));
    Ok(Opened { tree, origin, digest: Some(digest) })
}

fn hash_archive(path: &Path) -> Result<String> {
    Ok(digest::sha256_reader(fs_err::File::open(path)?)?)
}

/// Holds other builds back from the cache while this one checks or fetches a tree; a cache that can't be
/// written to needs no lock.
fn lock(dir: &Path, offline: bool) -> Result<Option<fs_err::File>> {
    if !offline {
        fs_err::create_dir_all(dir)?;
    }
    let Ok(file) = fs_err::File::create(dir.join("lock")) else { return Ok(None) };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .with_context(|| format!("{} can't be locked", dir.display()))?;
    Ok(Some(file))
}

/// Path and digest of the cached archive, fetched first when it has to be.
///
/// Beside `KEY.tar` lies `KEY.sha256`, written after it: an archive without its digest was interrupted and
/// is fetched again. Whether it matches its digest is for the caller to find out, see [`Hashing`].
fn cached_debian(
    wanted: &source::debian::Request,
    request: &Request<'_>,
    progress: &Progress,
) -> Result<(PathBuf, String)> {
    let key = digest::sha256_hex(wanted.key_text().as_bytes());
    let dir = request.cache.join("trees");
    let (archive, sum) =
        (dir.join(format!("{}.tar", &key[..32])), dir.join(format!("{}.sha256", &key[..32])));
    let _lock = lock(&dir, request.offline)?;
    if !request.refresh
        && let Ok(expected) = fs_err::read_to_string(&sum)
        && archive.exists()
    {
        return Ok((archive, expected.trim().to_owned()));
    }
    if request.offline {
        bail!(
            "the tree is not in the cache ({}), and --offline forbids the network; build once without it",
            archive.display()
        );
    }
    fs_err::create_dir_all(&dir)?;
    let step = progress.step("Fetching packages");
    let partial = tempfile::Builder::new().prefix(".fetch-").suffix(".tar").tempfile_in(&dir)?;
    atomic::note_unfinished(partial.path());
    wanted.fetch(partial.path(), &mut |line| step.message(line))?;
    let found = hash_archive(partial.path())?;
    if sum.exists() {
        fs_err::remove_file(&sum)?;
    }
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(partial.path(), std::fs::Permissions::from_mode(0o644))?;
    atomic::forget_unfinished(partial.path());
    partial.persist(&archive).with_context(|| format!("can't put {} in its place", archive.display()))?;
    atomic::replace(&sum, format!("{found}\n").as_bytes(), 0o644)?;
    step.done(&format!("{} with {} packages asked for", wanted.suite, wanted.packages.len()));
    Ok((archive, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_is_not_what_was_kept_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("tree.tar");
        fs_err::write(&archive, "content").unwrap();
        let right = digest::sha256_hex(b"content");
        let finish =
            |expected: Option<&str>| Hashing::start(&archive, expected.map(str::to_owned)).unwrap().finish();
        assert_eq!(finish(None).unwrap(), right);
        assert_eq!(finish(Some(&right)).unwrap(), right);
        let error = finish(Some(&"0".repeat(64))).unwrap_err();
        assert!(error.is::<Damaged>() && error.to_string().contains("tree.tar"), "{error}");
    }
}
