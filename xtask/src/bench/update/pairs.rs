//! Pairs of versions: real images of a real tree, released as anybody would, and the machine that runs the old one.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use twinhull_disk::table;
use twinhull_sysutil::command::Cmd;
use twinhull_sysutil::digest;
use twinhull_tree::source::debian;

use super::peers::Peers;
use super::server::Server;
use super::{Cost, measure, same};
use crate::bench::peer;

const OLD: &str = "1.0.0";
const NEW: &str = "1.1.0";
/// What a library's security update brings, and what a kernel's does.
const LIBRARY: [&str; 3] = ["libssl3t64", "openssl", "openssl-provider-legacy"];
const KERNEL: [&str; 1] = ["linux-image-cloud-amd64"];

/// The files of a version.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) disk: PathBuf,
    pub(super) usr: PathBuf,
    pub(super) verity: PathBuf,
    pub(super) uki: PathBuf,
    root_hash: String,
}

/// An update from one version to another.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) name: &'static str,
    /// Its folder, with the releases in `rel`.
    pub(super) dir: PathBuf,
    pub(super) old: Files,
    pub(super) new: Files,
}

/// Builds and releases everything.
pub(super) fn prepare(bin: &Path, peers: &Peers) -> Result<Vec<Update>> {
    let versions = versions()?;
    let pinned = |old: &[&str]| -> Result<Vec<String>> {
        let all = LIBRARY.iter().chain(&KERNEL);
        all.map(|package| {
            let found = versions.iter().filter(|(name, _)| name == package).map(|(_, version)| version);
            let version = if old.contains(package) { found.min() } else { found.max() };
            Ok(format!("{package}={}", version.with_context(|| format!("there is no {package}"))?.0))
        })
        .collect()
    };
    let newest = pinned(&[])?;
    let older_library = pinned(&LIBRARY)?;
    let older = pinned(&[&LIBRARY[..], &KERNEL].concat())?;
    ensure!(
        newest != older_library && older != older_library,
        "the archive has only one version of the library or of the kernel, so there is no update to measure: {newest:?}"
    );
    eprintln!("==> from {older:?} to {newest:?}");
    let (newest, older_library, older) = (tree(&newest)?, tree(&older_library)?, tree(&older)?);
    let build = |dir: &str, tree: &Path, version: &str, hostname: &str| -> Result<PathBuf> {
        let dir = peers.work.join(dir);
        fs_err::create_dir_all(&dir)?;
        let spec = dir.join("hello.yaml");
        let text = format!(
            "image: {{id: hello, version: {version}}}\ntree: {{tar: {}}}\nsystem: {{hostname: {hostname}}}\n",
            tree.display()
        );
        fs_err::write(&spec, text)?;
        let builder = Cmd::new(bin.join("image-builder")).args(["build", "--quiet", "--out"]);
        builder.arg(&dir).arg(&spec).output()?;
        Ok(dir.join(format!("hello_{version}.raw")))
    };
    let base = build("base", &newest, OLD, "hello")?;
    let rebuilt = build("rebuilt", &newest, NEW, "hello")?;
    let renamed = build("renamed", &newest, NEW, "another-name")?;
    let library = build("library-old", &older_library, OLD, "hello")?;
    let security = build("security-old", &older, OLD, "hello")?;
    [
        ("rebuild", &base, &rebuilt),
        ("one_file", &base, &renamed),
        ("library", &library, &rebuilt),
        ("security", &security, &rebuilt),
    ]
    .into_iter()
    .map(|(name, old, new)| Update::release(bin, peers, name, old, new))
    .collect()
}

/// A version by dpkg's order, which is near enough to ours for versions of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version(String);

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lower = Cmd::new("dpkg").args(["--compare-versions", &self.0, "lt", &other.0]).status();
        match lower {
            _ if self.0 == other.0 => std::cmp::Ordering::Equal,
            Ok(status) if status.success() => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The versions of the packages that the archive has: the suite's, and those of its security updates.
fn versions() -> Result<Vec<(String, Version)>> {
    let packages: Vec<&str> = LIBRARY.iter().chain(&KERNEL).copied().collect();
    let dir = tempfile::tempdir()?;
    let list = dir.path().join("list");
    let hook = format!(
        "APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-cache madison {} >{}",
        packages.join(" "),
        list.display()
    );
    Cmd::new("mmdebstrap")
        .args(["--variant=custom", "--format=null", "--quiet"])
        .arg(format!("--customize-hook={hook}"))
        .arg("trixie")
        .output()?;
    let text = fs_err::read_to_string(&list)?;
    let found = text.lines().filter_map(|line| {
        let mut words = line.split('|').map(str::trim);
        Some((words.next()?.to_owned(), Version(words.next()?.to_owned())))
    });
    Ok(found.collect())
}

/// The archive of the default tree with these versions of packages, which is kept.
fn tree(packages: &[String]) -> Result<PathBuf> {
    let mut packages = packages.to_vec();
    packages.push("openssh-server".into());
    let request = debian::Request {
        suite: "trixie".into(),
        arch: "amd64".into(),
        packages,
        alone: Vec::new(),
        mirror: None,
    };
    let key = digest::sha256_hex(request.key_text().as_bytes());
    let path = peer::folder()?.join(format!("tree-{}.tar", &key[..12]));
    if !path.exists() {
        eprintln!("==> fetching a tree with {}", request.packages.join(" "));
        let partial = path.with_extension("unfinished.tar");
        request.fetch(&partial, &mut |_| ())?;
        fs_err::rename(&partial, &path)?;
    }
    Ok(path)
}

impl Update {
    fn release(bin: &Path, peers: &Peers, name: &'static str, old: &Path, new: &Path) -> Result<Self> {
        eprintln!("==> releasing {name}");
        let dir = peers.work.join(name);
        fs_err::create_dir_all(&dir)?;
        let builder = |line: &str| {
            Cmd::new(bin.join("image-builder")).args(line.split_whitespace()).current_dir(&dir).output()
        };
        builder("keygen keys --image hello")?;
        let (first, second) = (old.display(), new.display());
        builder(&format!("release {first} --to rel --root keys/1.root.json --key keys/release.key --quiet"))?;
        builder(&format!("promote rel/hello {OLD} --key keys/channel.key --quiet"))?;
        builder(&format!("release {second} --to rel --key keys/release.key --quiet"))?;
        builder(&format!("promote rel/hello {NEW} --key keys/channel.key --quiet"))?;
        let (old, new) = (Files::find(&dir, OLD, old)?, Files::find(&dir, NEW, new)?);
        Ok(Update { name, dir, old, new })
    }

    /// The whole run of the agent on a machine that has the old version.
    pub(super) fn ours(&self, bin: &Path, peers: &Peers) -> Result<Cost> {
        let machine = self.dir.join("machine");
        if machine.exists() {
            fs_err::remove_dir_all(&machine)?;
        }
        for folder in ["root/usr/lib", "root/proc", "root/etc", "esp/EFI/Linux"] {
            fs_err::create_dir_all(machine.join(folder))?;
        }
        let at = |name: &str| machine.join(name);
        Cmd::new("cp").arg("--sparse=always").args([&self.old.disk, &at("disk.raw")]).output()?;
        fs_err::copy(&self.old.uki, at(&format!("esp/EFI/Linux/hello_{OLD}.efi")))?;
        fs_err::write(at("root/usr/lib/os-release"), format!("IMAGE_ID=hello\nIMAGE_VERSION={OLD}\n"))?;
        fs_err::write(at("root/proc/cmdline"), format!("usrhash={}\n", self.old.root_hash))?;
        fs_err::write(at("root/etc/machine-id"), "0123456789abcdef0123456789abcdef\n")?;
        let server = Server::start(peers, &self.dir.join("rel"))?;
        let config = json!({"urls": [server.url], "channel": "stable", "root": "root.json"});
        fs_err::write(at("config.json"), config.to_string())?;
        fs_err::copy(self.dir.join("keys/1.root.json"), at("root.json"))?;
        let cost = measure(
            |time| {
                // With the environment of twinhull-update.service.
                let time = time.env("MALLOC_MMAP_THRESHOLD_", "131072").env("MALLOC_ARENA_MAX", "1");
                time.arg(bin.join("update-agent")).arg("update").current_dir(&machine).args([
                    "--config",
                    "config.json",
                    "--state",
                    "state",
                    "--disk",
                    "disk.raw",
                    "--esp",
                    "esp",
                    "--root",
                    "root",
                ])
            },
            &peers.work.join("time"),
        )?;
        let (bytes, requests) = server.finish()?;
        same(&at(&format!("esp/EFI/Linux/hello_{NEW}+3.efi")), &self.new.uki)?;
        for (label, wanted) in
            [(format!("hello_{NEW}"), &self.new.usr), (format!("hello_{NEW}_verity"), &self.new.verity)]
        {
            let disk = at("disk.raw");
            let mut file = fs_err::File::open(&disk)?.into_file();
            let table = table::read(&disk, &file)?;
            let part = table.partitions.iter().find(|part| part.label == label);
            let part = part.with_context(|| format!("the update has made no partition {label}"))?;
            file.seek(SeekFrom::Start(part.offset))?;
            let made = at("made");
            let len = fs_err::metadata(wanted)?.len();
            std::io::copy(&mut file.take(len), &mut fs_err::File::create(&made)?)?;
            same(&made, wanted)?;
        }
        Ok(Cost { bytes, requests, ..cost })
    }
}

impl Files {
    /// Those of `version` in the release folder.
    fn find(dir: &Path, version: &str, disk: &Path) -> Result<Self> {
        let folder = dir.join("rel/hello");
        let find = |ending: &str| -> Result<PathBuf> {
            for entry in fs_err::read_dir(&folder)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name.starts_with(&format!("hello_{version}_")) && name.ends_with(ending) {
                    return Ok(folder.join(name));
                }
            }
            anyhow::bail!("{} has no {ending} of {version}", folder.display())
        };
        let document = fs_err::read_to_string(folder.join(format!("hello_{version}.release.json")))?;
        let line = document.lines().next().unwrap_or_default();
        let document: serde_json::Value = serde_json::from_str(line)?;
        Ok(Files {
            disk: disk.to_owned(),
            usr: find(".usr")?,
            verity: find(".verity")?,
            uki: folder.join(format!("hello_{version}.efi")),
            root_hash: document["root_hash"].as_str().unwrap_or_default().into(),
        })
    }
}
