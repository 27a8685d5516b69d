//! Trees with everything a file system must be able to hold, and comparing them with what comes back.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use twinhull_tree::{Content, DeviceNumber, FileData, Kind, Metadata, Node, Timestamp, Tree};

/// All kinds of entries, and files of all sizes around the limits.
pub fn odd_tree() -> Tree {
    let mut tree = Tree::new();
    let meta = |mode| Metadata {
        mode,
        uid: 1000,
        gid: 100_000,
        mtime: Timestamp { secs: 1_600_000_000, nanos: 123_456_789 },
        ..Metadata::default()
    };
    let mut put = |path: &str, mode, kind| tree.insert(path, Node { meta: meta(mode), kind }).unwrap();
    for size in [0, 1, 4000, 4031, 4032, 4033, 4095, 4096, 4097, 8191, 12_289, 3_000_000] {
        put(&format!("/sizes/{size}"), 0o4755, Kind::file(vec![(size % 251) as u8; size]));
    }
    // Words, noise and zeros in turn, so that extents of all kinds follow each other.
    let (mut mixed, mut state) = (Vec::new(), 1_u64);
    for n in 0..60_usize {
        mixed.extend(b"what compresses well ".iter().cycle().take(n * 1500));
        mixed.extend((0..n * 300).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        }));
        mixed.extend(std::iter::repeat_n(0, n * 2000));
    }
    put("/mixed", 0o644, Kind::file(mixed.clone()));
    put("/mixed again", 0o600, Kind::file(mixed.clone()));
    put("/long", 0o644, Kind::file(mixed.repeat(3)));
    for n in 0..3000 {
        put(&format!("/many/a file with number {n:05}"), 0o644, Kind::file(format!("{n}")));
    }
    put(&format!("/names/{}", "n".repeat(255)), 0o600, Kind::file("long"));
    put("/links/sym", 0o777, Kind::Symlink(b"../sizes/1".to_vec()));
    put("/links/long", 0o777, Kind::Symlink(vec![b'x'; 4090]));
    put("/special/fifo", 0o600, Kind::Fifo);
    put("/special/null", 0o666, Kind::CharDevice(DeviceNumber { major: 1, minor: 3 }));
    put("/special/disk", 0o660, Kind::BlockDevice(DeviceNumber { major: 259, minor: 70_000 }));
    put("/empty", 0o1777, Kind::directory());
    let shared = Arc::new(FileData { content: Content::from("one file, many names") });
    for n in 0..50 {
        put(&format!("/hard/{n}"), 0o640, Kind::File(shared.clone()));
    }
    let mut node = Node { meta: meta(0o755), kind: Kind::file("ping") };
    node.meta.xattrs = BTreeMap::from([
        (b"security.capability".to_vec(), vec![1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (b"user.note".to_vec(), b"hello".to_vec()),
        (b"user.big".to_vec(), vec![b'b'; 5000]),
    ]);
    tree.insert("/xattr/ping", node).unwrap();
    tree
}

/// A node of root's with a time of its own.
pub fn plain_node(kind: Kind) -> Node {
    let mtime = Timestamp { secs: 1_600_000_000, nanos: 5 };
    Node { meta: Metadata { mtime, ..Metadata::root(0o644) }, kind }
}

/// Many names, long names, names that are no text, many links.
pub fn crowded_tree() -> Tree {
    let mut tree = Tree::new();
    for n in 0..100_000 {
        tree.insert(format!("/crowd/{n}"), plain_node(Kind::file(vec![]))).unwrap();
    }
    let shared = Arc::new(FileData { content: Content::from("one") });
    for n in 0..20_000 {
        tree.insert(format!("/links/{n}"), plain_node(Kind::File(shared.clone()))).unwrap();
    }
    tree.insert(b"/odd/\xff\xfe\x01 \n".as_slice(), plain_node(Kind::file("not UTF-8"))).unwrap();
    tree.insert(format!("/odd/{}", "x".repeat(255)), plain_node(Kind::file("long"))).unwrap();
    tree
}

/// 5 GiB of zeros with a word in the middle and one at the end, in a file on the host.
pub fn sparse_tree(sparse: &Path) -> Tree {
    let file = fs_err::File::create(sparse).unwrap();
    file.set_len(5 << 30).unwrap();
    for at in [3 << 30, (5 << 30) - 4] {
        std::os::unix::fs::FileExt::write_all_at(file.file(), b"word", at).unwrap();
    }
    let mut tree = Tree::new();
    let content = Content::Host { path: sparse.to_owned(), len: 5 << 30 };
    tree.insert("/sparse", plain_node(Kind::File(Arc::new(FileData { content })))).unwrap();
    tree
}

/// An image that this machine's kernel has mounted, until this goes out of scope. Only root can.
#[derive(Debug)]
pub struct Mounted(pub PathBuf);

impl Mounted {
    /// Mounts `image`, of the file system `kind`, at a new folder. Nobody asks for read-only: the image itself does.
    pub fn new(image: &Path, kind: &str, at: PathBuf) -> Self {
        fs_err::create_dir_all(&at).unwrap();
        let args = ["-o", "loop", "-t", kind].map(std::ffi::OsStr::new);
        crate::tool("mount", args.into_iter().chain([image.as_os_str(), at.as_os_str()])).ok();
        Mounted(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        crate::tool("umount", [self.0.as_os_str()]);
    }
}

/// Compares an extracted folder with the tree: names, kinds, content, owners, modes, times, links.
pub fn compare(tree: &Tree, dir: &Path, root: bool) {
    for (path, node) in tree.walk() {
        let shown = String::from_utf8_lossy(&path).into_owned();
        let at = dir.join(shown.trim_start_matches('/'));
        let stat = fs_err::symlink_metadata(&at).unwrap();
        let kind = stat.file_type();
        match &node.kind {
            Kind::Directory(entries) => {
                assert_eq!(fs_err::read_dir(&at).unwrap().count(), entries.len(), "{shown}")
            }
            Kind::File(data) => {
                assert!(
                    fs_err::read(&at).unwrap() == data.content.read().unwrap(),
                    "{shown} in {}",
                    dir.display()
                );
            }
            Kind::Symlink(target) => {
                assert_eq!(fs_err::read_link(&at).unwrap().as_os_str().as_encoded_bytes(), target, "{shown}")
            }
            Kind::CharDevice(d) => {
                assert!(kind.is_char_device() && rustix::fs::minor(stat.rdev()) == d.minor, "{shown}")
            }
            Kind::BlockDevice(d) => {
                assert!(kind.is_block_device() && rustix::fs::minor(stat.rdev()) == d.minor, "{shown}")
            }
            Kind::Fifo => assert!(kind.is_fifo(), "{shown}"),
            Kind::Socket => assert!(kind.is_socket(), "{shown}"),
        }
        if root && shown != "/" {
            assert_eq!((stat.uid(), stat.gid()), (node.meta.uid, node.meta.gid), "{shown}");
            if !kind.is_symlink() {
                // erofs-utils 1.5 loses setuid; a boot test sees it through the kernel's own EROFS.
                assert_eq!(stat.mode() & 0o777, u32::from(node.meta.mode) & 0o777, "{shown}");
                assert_eq!(stat.mtime(), node.meta.mtime.secs, "{shown}");
            }
        }
    }
}

/// Compares a mounted file system with the tree it was made from: as [`compare`], and all of modes, times,
/// attributes, numbers of devices, and which names are one file. Names may be any bytes.
pub fn compare_exactly(tree: &Tree, dir: &Path) {
    let mut files: HashMap<*const FileData, (u64, u64)> = HashMap::new();
    for (path, node) in tree.walk() {
        let shown = String::from_utf8_lossy(&path).into_owned();
        let at = inside(dir, &path);
        let stat = fs_err::symlink_metadata(&at).unwrap();
        let meta = &node.meta;
        assert_eq!((stat.uid(), stat.gid()), (meta.uid, meta.gid), "{shown}");
        let is_link = matches!(node.kind, Kind::Symlink(_));
        assert!(is_link || stat.mode() & 0o7777 == u32::from(meta.mode), "{shown}: {:o}", stat.mode());
        let mtime = Timestamp { secs: stat.mtime(), nanos: stat.mtime_nsec() as u32 };
        assert_eq!(mtime, meta.mtime, "{shown}");
        assert_eq!(attributes(&at), meta.xattrs, "{shown}");
        match &node.kind {
            Kind::Directory(entries) => {
                assert_eq!(fs_err::read_dir(&at).unwrap().count(), entries.len(), "{shown}")
            }
            Kind::File(data) => {
                let inode = (stat.ino(), stat.nlink());
                let known = files.insert(Arc::as_ptr(data), inode);
                assert!(known.is_none_or(|known| known == inode), "{shown} is one file");
                assert_eq!(stat.size(), data.content.len(), "{shown}");
                let same = known.is_some() || same_bytes(&at, &data.content);
                assert!(same, "{shown} has other data");
            }
            Kind::Symlink(target) => {
                assert_eq!(fs_err::read_link(&at).unwrap().as_os_str().as_encoded_bytes(), target, "{shown}")
            }
            Kind::CharDevice(d) | Kind::BlockDevice(d) => {
                assert_eq!(stat.file_type().is_char_device(), matches!(node.kind, Kind::CharDevice(_)));
                let found = (rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()));
                assert_eq!(found, (d.major, d.minor), "{shown}");
            }
            Kind::Fifo => assert!(stat.file_type().is_fifo(), "{shown}"),
            Kind::Socket => assert!(stat.file_type().is_socket(), "{shown}"),
        }
    }
    for (data, (_, links)) in files {
        let names = tree.walk().filter(|(_, n)| n.data().is_some_and(|d| Arc::as_ptr(d) == data));
        // Counting names of every file would take the square of their number.
        assert!(links == 1 || names.count() as u64 == links, "{links} links");
    }
}

/// Where `path` of a tree is below `dir`.
fn inside(dir: &Path, path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    dir.join(std::ffi::OsStr::from_bytes(relative))
}

fn same_bytes(path: &Path, content: &Content) -> bool {
    use std::io::Read;
    let (mut a, mut b) = (content.open().unwrap(), fs_err::File::open(path).unwrap());
    let (mut x, mut y) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut left = content.len();
    while left > 0 {
        let now = left.min(1 << 20) as usize;
        a.read_exact(&mut x[..now]).unwrap();
        b.read_exact(&mut y[..now]).unwrap();
        if x[..now] != y[..now] {
            return false;
        }
        left -= now as u64;
    }
    true
}

/// All extended attributes of what is at `path`.
fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let (mut names, mut value) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let len = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..len].split(|b| *b == 0).filter(|n| !n.is_empty());
    names
        .map(|name| {
            let len = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            (name.to_vec(), value[..len].to_vec())
        })
        .collect()
}
