//! `inspect --size`: where the bytes of /usr went, by folder, package and kind of file.
//!
//! Two sizes are told: what files have (logical), and what they take in the image (stored), which compression
//! and whole blocks make different. A file with several names counts once, at the first of them, and so does
//! data that several files share.

mod owners;
mod render;
mod treemap;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use twinhull_fsimg::FileType;

use crate::image::snapshot::Snapshot;
use crate::image::{Image, shown};

pub(crate) use render::render;
pub(crate) use treemap::svg;

/// Version of the JSON report; it grows when a reader would misunderstand.
const FORMAT: u32 = 1;
/// Levels of folders that are told apart below the root of the image.
const DEPTH: usize = 3;
/// How many of the largest files are listed.
const LARGEST: usize = 30;

/// Kinds of files by where they are; the first that fits counts.
const KINDS: &[(&str, &[&str])] = &[
    ("kernel modules", &["/usr/lib/modules/"]),
    ("firmware", &["/usr/lib/firmware/"]),
    ("locales", &["/usr/share/locale/", "/usr/lib/locale/", "/usr/share/i18n/"]),
    ("documentation", &["/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/doc-base/"]),
    (
        "package databases",
        &["/usr/share/factory/var/lib/dpkg/", "/usr/share/factory/var/lib/apt/", "/var/lib/dpkg/"],
    ),
    ("factory of /etc and /var", &["/usr/share/factory/"]),
    ("programs", &["/usr/bin/", "/usr/sbin/", "/usr/libexec/"]),
    ("libraries and the rest of /usr/lib", &["/usr/lib/", "/usr/lib64/"]),
    ("the rest of /usr/share", &["/usr/share/"]),
];

/// Bytes and files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    /// Bytes in the image.
    stored: u64,
    /// Bytes of data.
    logical: u64,
    /// Entries that are no folders.
    files: u64,
}

impl Size {
    fn add(&mut self, other: Size) {
        self.stored = self.stored.saturating_add(other.stored);
        self.logical = self.logical.saturating_add(other.logical);
        self.files += other.files;
    }
}

/// A size with a name.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    name: String,
    #[serde(flatten)]
    size: Size,
}

/// A folder with what is below it, the largest first.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Folder {
    path: String,
    #[serde(flatten)]
    size: Size,
    folders: Vec<Folder>,
}

/// Where the bytes went. docs/reference/size.md describes every field.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    format: u32,
    image: String,
    /// Length of the file system in bytes.
    length: u64,
    /// What of it is no file data: inodes, names, indexes, attributes.
    metadata: u64,
    total: Size,
    tree: Folder,
    kinds: Vec<Named>,
    /// `None` without dpkg's lists of files. What no package owns has the name `-`.
    packages: Option<Vec<Named>>,
    largest: Vec<Named>,
}

/// Measures the image at `path`.
pub(crate) fn measure(path: &Path) -> Result<Report> {
    let image = Image::open(path)?;
    let snapshot = Snapshot::take(&image, false)?;
    let owners = owners::read(&image, &snapshot)?;
    let (mut seen, mut taken) = (HashSet::new(), HashSet::new());
    let mut folders: BTreeMap<Vec<u8>, Size> = BTreeMap::new();
    let (mut kinds, mut packages) = (BTreeMap::<&str, Size>::new(), BTreeMap::<&str, Size>::new());
    let (mut total, mut largest) = (Size::default(), Vec::new());
    for (path, entry) in &snapshot.entries {
        let known = !seen.insert(entry.number);
        let folder = entry.kind == FileType::Directory;
        let places = image.reader.inode(entry.number).and_then(|inode| image.reader.places(&inode));
        let places =
            places.with_context(|| format!("{} in {} can't be read", shown(path), image.path.display()))?;
        // Files with the same data share it in the image; it counts at the first of them.
        let new = places.iter().filter(|(at, _)| taken.insert(*at));
        let stored = new.fold(0_u64, |sum, (_, len)| sum.saturating_add(*len));
        let mut size = Size { stored, logical: entry.size, files: u64::from(!folder) };
        if known {
            size = Size { stored: 0, logical: 0, ..size };
        }
        total.add(size);
        for end in ends(path, folder) {
            folders.entry(path[..end].to_vec()).or_default().add(size);
        }
        let text = String::from_utf8_lossy(path);
        let kind = KINDS.iter().find(|(_, places)| places.iter().any(|p| text.starts_with(p)));
        kinds.entry(kind.map_or("the rest", |(name, _)| name)).or_default().add(size);
        if let Some(owners) = &owners {
            packages.entry(owners.get(path).map_or("-", String::as_str)).or_default().add(size);
        }
        if !folder {
            largest.push((size, path));
        }
    }
    largest.sort_by(|(a, x), (b, y)| (b.stored, b.logical, x).cmp(&(a.stored, a.logical, y)));
    largest.truncate(LARGEST);
    Ok(Report {
        format: FORMAT,
        image: path.display().to_string(),
        length: image.reader.length(),
        metadata: image.reader.length().saturating_sub(total.stored),
        total,
        tree: tree(&folders),
        kinds: by_size(kinds),
        packages: owners.is_some().then(|| by_size(packages)),
        largest: largest.into_iter().map(|(size, path)| Named { name: shown(path), size }).collect(),
    })
}

/// Where the paths of the folders end that something at `path` counts for: 0 for the root, no more than
/// [`DEPTH`] behind /usr. A folder counts for itself.
fn ends(path: &[u8], folder: bool) -> Vec<usize> {
    let mut ends = vec![0];
    ends.extend(path.iter().enumerate().skip(1).filter(|(_, b)| **b == b'/').map(|(n, _)| n));
    if folder && path != b"/" {
        ends.push(path.len());
    }
    ends.truncate(DEPTH + 2);
    ends
}

/// The folders as a tree.
fn tree(folders: &BTreeMap<Vec<u8>, Size>) -> Folder {
    fn below(folders: &BTreeMap<Vec<u8>, Size>, path: &[u8], size: Size) -> Folder {
        let prefix = [path, b"/"].concat();
        let inside = folders.range(prefix.clone()..).take_while(|(p, _)| p.starts_with(&prefix));
        let direct = inside.filter(|(p, _)| !p[prefix.len()..].contains(&b'/'));
        let mut children: Vec<Folder> = direct.map(|(p, s)| below(folders, p, *s)).collect();
        children.sort_by(|a, b| (b.size.stored, &a.path).cmp(&(a.size.stored, &b.path)));
        Folder { path: if path.is_empty() { "/".into() } else { shown(path) }, size, folders: children }
    }
    let root = below(folders, b"", folders.get(b"".as_slice()).copied().unwrap_or_default());
    // The image of a slot is /usr alone.
    match <[Folder; 1]>::try_from(root.folders) {
        Ok([only]) if only.path == "/usr" && only.size == root.size => only,
        Ok([only]) => Folder { path: root.path, size: root.size, folders: vec![only] },
        Err(folders) => Folder { path: root.path, size: root.size, folders },
    }
}

fn by_size(sizes: BTreeMap<&str, Size>) -> Vec<Named> {
    let mut all: Vec<Named> =
        sizes.into_iter().map(|(name, size)| Named { name: name.into(), size }).collect();
    all.sort_by(|a, b| (b.size.stored, &a.name).cmp(&(a.size.stored, &b.name)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::snapshot::tests::image;
    use std::sync::Arc;
    use twinhull_tree::{Content, FileData, Kind, Node, Tree};

    fn sample() -> Tree {
        let mut tree = Tree::new();
        let mut put = |path: &str, node: Node| tree.insert(path, node).unwrap();
        put("bin/a", Node::program(vec![1; 10_000]));
        put("lib/modules/6.1/kernel/x.ko", Node::file(vec![2; 5000]));
        put("share/doc/a/copyright", Node::file(vec![3; 100]));
        let shared = Arc::new(FileData { content: Content::from(vec![4; 8192]) });
        for name in ["one", "two"] {
            put(&format!("lib/{name}"), Node { kind: Kind::File(shared.clone()), ..Node::file("") });
        }
        let info = "share/factory/var/lib/dpkg/info";
        put(&format!("{info}/a:amd64.list"), Node::file("/.\n/bin/a\n/usr/share/doc/a/copyright\n"));
        tree
    }

    #[test]
    fn every_byte_is_counted_once() {
        let (_dir, image) = image(&sample());
        let report = measure(&image.path).unwrap();
        assert_eq!(report.tree.path, "/usr");
        assert_eq!(report.tree.size, report.total);
        assert_eq!(report.total.files, 6);
        assert_eq!(report.length, report.total.stored + report.metadata);
        let sum = |list: &[Named]| {
            let mut sum = Size::default();
            list.iter().for_each(|n| sum.add(n.size));
            sum
        };
        assert_eq!(sum(&report.kinds), report.total);
        let packages = report.packages.as_ref().unwrap();
        assert_eq!(sum(packages), report.total);
        let a = packages.iter().find(|p| p.name == "a").unwrap();
        assert_eq!((a.size.logical, a.size.files), (10_100, 2));
        assert!(a.size.stored >= 10_100 && a.size.stored < 10_100 + 4096, "{a:?}");
        assert_eq!(report.largest[0].name, "/usr/bin/a");
        let lib = report.tree.folders.iter().find(|f| f.path == "/usr/lib").unwrap();
        assert_eq!((lib.size.logical, lib.size.files), (5000 + 8192, 3));
        assert_eq!(lib.folders[0].folders[0].path, "/usr/lib/modules/6.1");
        assert!(lib.folders[0].folders[0].folders.is_empty(), "no more levels");
        let text = render(&report);
        assert!(text.contains("kernel modules") && text.contains("/usr/bin/a"), "{text}");
    }
}
