//! The initrd as it is in the UKI: archives behind each other, as the kernel allows, each compressed by itself.
//!
//! A file that doesn't change is in an archive that doesn't change either. So the next version's UKI has most of its bytes
//! in common with this one's, which machines then needn't fetch, and a build compresses what is new only. Compressed as a
//! whole, a file that got longer would change every byte behind it.

use anyhow::Result;
use twinhull_compose::{hermetic, initrd};
use twinhull_fsimg::cpio;
use twinhull_spec::{Profile, Spec};
use twinhull_sysutil::{digest, ordered};
use twinhull_tree::{Kind, Node, Tree};

use crate::kept::Kept;

/// Level of the zstd compression: a little smaller than the default at a second of work.
const LEVEL: i32 = 9;
/// What the compressed initrd is called among what had to be made.
pub(crate) const NAME: &str = "initrd";
/// The file that differs from version to version: it has an archive of its own.
const OS_RELEASE: &[u8] = b"/usr/lib/os-release";
/// Bytes of files from which an archive may end.
const LEAST: u64 = 512 << 10;
/// Bytes of files from which it does.
const MOST: u64 = 4 << 20;
/// One path in so many ends an archive: where they end mustn't depend on how many files come before.
const ENDS: u8 = 8;

/// Composes and packs the bridge's initrd, as one archive.
pub(super) fn compose_bridge(spec: &Spec, hermetic: &hermetic::Hermetic, kept: &Kept) -> Result<Vec<u8>> {
    let tree = initrd::make_bridge(&hermetic.tree, &options(spec, hermetic))?;
    pack(tree.walk().collect(), mtime(hermetic), kept)
}

/// Composes and packs the initrd.
pub(super) fn compose(spec: &Spec, hermetic: &hermetic::Hermetic, kept: &Kept) -> Result<Vec<u8>> {
    let tree = initrd::make(&hermetic.tree, &options(spec, hermetic))?;
    let mtime = mtime(hermetic);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut packed = Vec::new();
    let pack = |entries: Vec<Entry<'_>>| pack(entries, mtime, kept);
    ordered::map(workers, archives(&tree).into_iter(), pack, |archive: Result<Vec<u8>>| {
        packed.extend(archive?);
        anyhow::Ok(())
    })?;
    Ok(packed)
}

fn options(spec: &Spec, hermetic: &hermetic::Hermetic) -> initrd::Options {
    let profile = match spec.boot.profile {
        Profile::Virtio => initrd::Profile::Virtio,
        Profile::Cloud => initrd::Profile::Cloud,
        Profile::BareMetal => initrd::Profile::BareMetal,
    };
    initrd::Options {
        kernel: hermetic.kernel.version.clone(),
        profile,
        filesystem: super::format(spec).name(),
        extra_modules: spec.boot.modules.clone(),
    }
}

/// As old as the kernel: nobody looks at these times, and a newer file elsewhere in the tree doesn't make another initrd.
fn mtime(hermetic: &hermetic::Hermetic) -> u32 {
    u32::try_from(hermetic.kernel.time.clamp(0, hermetic.epoch.max(0))).unwrap_or(u32::MAX)
}

/// A path and what is there.
type Entry<'a> = (Vec<u8>, &'a Node);

/// What each archive has. The first one has all that isn't a file, so that every file finds its folder.
fn archives(tree: &Tree) -> Vec<Vec<Entry<'_>>> {
    let (mut archives, mut last) = (vec![Vec::new(), Vec::new()], Vec::new());
    let mut size = 0;
    for (path, node) in tree.walk() {
        let Kind::File(data) = &node.kind else {
            archives[0].push((path, node));
            continue;
        };
        if path == OS_RELEASE {
            last.push((path, node));
            continue;
        }
        size += data.content.len();
        let ends = digest::sha256(&path)[0].is_multiple_of(ENDS);
        if let Some(archive) = archives.last_mut() {
            archive.push((path, node));
        }
        if size >= MOST || (size >= LEAST && ends) {
            archives.push(Vec::new());
            size = 0;
        }
    }
    archives.push(last);
    archives.retain(|archive| !archive.is_empty());
    archives
}

/// An archive, compressed or kept that way.
fn pack(entries: Vec<Entry<'_>>, mtime: u32, kept: &Kept) -> Result<Vec<u8>> {
    let archive = cpio::write(entries, mtime, Vec::new())?;
    let version = zstd::zstd_safe::version_number();
    let settings = format!("initrd zstd {version} level {LEVEL}");
    let key = digest::sha256(format!("{settings} {}", digest::sha256_hex(&archive)).as_bytes());
    // The kernel unpacks zstd with a window of at most 128 MiB; this level stays far below.
    kept.value(NAME, &key, || Ok(zstd::bulk::compress(&archive, LEVEL)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(first: usize) -> Tree {
        let mut tree = Tree::new();
        tree.insert("/a/first", Node::file(vec![7; first])).unwrap();
        for n in 0..400_usize {
            tree.insert(format!("/d{}/f{n:03}", n / 90), Node::file(vec![n as u8; 20_000 + n * 10])).unwrap();
        }
        tree.insert("/d1/large", Node::file(vec![1; 9 << 20])).unwrap();
        tree.insert("/d2/link", Node::symlink("f200")).unwrap();
        tree.insert("/usr/lib/os-release", Node::file("VERSION=1\n")).unwrap();
        tree
    }

    #[test]
    fn archives_have_everything_once_and_folders_first() {
        let tree = tree(1000);
        let found = archives(&tree);
        let mut paths: Vec<Vec<u8>> = found.iter().flatten().map(|(path, _)| path.clone()).collect();
        assert!(found.len() > 5, "{}", found.len());
        assert!(found[0].iter().all(|(_, node)| !matches!(node.kind, Kind::File(_))));
        assert_eq!(found.last().unwrap()[0].0, OS_RELEASE);
        paths.sort();
        let mut wanted: Vec<Vec<u8>> = tree.walk().map(|(path, _)| path).collect();
        wanted.sort();
        assert_eq!(paths, wanted);
    }

    #[test]
    fn a_file_that_grows_changes_the_archives_around_it() {
        let pack = |tree: &Tree| -> Vec<Vec<u8>> {
            let kept = Kept::open(std::path::Path::new("/nowhere"), 0);
            archives(tree).into_iter().map(|entries| super::pack(entries, 0, &kept).unwrap()).collect()
        };
        let (old, new) = (pack(&tree(1000)), pack(&tree(600_000)));
        let changed = new.iter().filter(|archive| !old.contains(archive)).count();
        assert!((1..=3).contains(&changed), "{changed} of {}", new.len());
    }
}
