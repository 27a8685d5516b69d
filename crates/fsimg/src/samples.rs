//! Trees and comparisons that the tests of all file systems share.

use std::io::Read;

use twinhull_tree::{DeviceNumber, Kind, Metadata, Node, Timestamp, Tree};

use crate::{FileSystem, FileType, Result};

/// Bytes that don't compress.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// Every kind of entry, and files of all sizes around the limits.
pub(crate) fn sample() -> Tree {
    let mut tree = Tree::new();
    let words = b"words that come again and again, ".repeat(9000);
    for len in [0, 1, 4000, 4095, 4096, 4097, 8192, 8193, 12_289, 70_000, 262_144, 290_000] {
        tree.insert(format!("/words/{len}"), Node::file(words[..len].to_vec())).unwrap();
        tree.insert(format!("/noise/{len}"), Node::file(noise(len, len as u64))).unwrap();
        tree.insert(format!("/again/{len}"), Node::file(words[..len].to_vec())).unwrap();
    }
    let mut mixed = Vec::new();
    for n in 0..40 {
        mixed.extend(noise(10_000 + n * 777, n as u64));
        mixed.extend_from_slice(&words[..20_000 + n * 333]);
        mixed.extend(std::iter::repeat_n(0, n * 5000));
    }
    tree.insert("/mixed", Node::file(mixed)).unwrap();
    let mut long = noise(3 << 20, 5);
    long.resize(11 << 20, 0);
    long.extend(words.iter().cycle().take(6 << 20));
    tree.insert("/long", Node::file(long)).unwrap();
    tree.insert("/long-noise", Node::file(noise((9 << 20) + 5, 9))).unwrap();
    for n in 0..700 {
        tree.insert(format!("/many/a longer name of the file {n:04}"), Node::file(format!("{n}"))).unwrap();
    }
    let meta = Metadata {
        mode: 0o4711,
        uid: 1000,
        gid: 100_000,
        mtime: Timestamp { secs: -3, nanos: 999_999_999 },
        xattrs: [(b"user.a".to_vec(), vec![1; 300]), (b"security.capability".to_vec(), vec![2; 20])].into(),
    };
    let data = Kind::file(b"held by two names".to_vec());
    tree.insert("/one", Node { meta: meta.clone(), kind: data.clone() }).unwrap();
    tree.insert("/two", Node { meta: meta.clone(), kind: data }).unwrap();
    tree.insert("/packed with attributes", Node { meta: meta.clone(), kind: Kind::file(words) }).unwrap();
    for (name, kind) in [
        ("/link", Kind::Symlink(b"../words".to_vec())),
        ("/long link", Kind::Symlink(vec![b'l'; 4095])),
        ("/null", Kind::CharDevice(DeviceNumber { major: 1, minor: 3 })),
        ("/disk", Kind::BlockDevice(DeviceNumber { major: 259, minor: 70_000 })),
        ("/pipe", Kind::Fifo),
        ("/socket", Kind::Socket),
    ] {
        tree.insert(name, Node { meta: meta.clone(), kind }).unwrap();
    }
    // The superblock's time and small owners: compact inodes.
    tree.for_each_mut(|path, node| {
        if path.starts_with(b"/many") || path.starts_with(b"/words") {
            node.meta.mtime = Timestamp { secs: 1_700_000_000, nanos: 0 };
        }
    });
    tree
}

/// Compares an image with the tree it was made from.
pub(crate) fn compare(tree: &Tree, image: &[u8]) {
    let reader = FileSystem::new(image).unwrap();
    assert_eq!(reader.length(), image.len() as u64);
    let mut expected = tree.walk();
    reader
        .walk(|path, inode| -> Result<()> {
            let shown = String::from_utf8_lossy(path);
            let (at, node) = expected.next().unwrap();
            assert_eq!(shown, String::from_utf8_lossy(&at));
            assert_eq!(
                (inode.mode, inode.uid, inode.gid),
                (node.meta.mode, node.meta.uid, node.meta.gid),
                "{shown}"
            );
            assert_eq!(inode.mtime, node.meta.mtime, "{shown}");
            assert_eq!(reader.xattrs(inode)?, node.meta.xattrs, "{shown}");
            let device = matches!(inode.kind, FileType::CharDevice | FileType::BlockDevice);
            assert_eq!(inode.device.is_some(), device, "{shown}");
            let mut data = Vec::new();
            let mut read = || reader.open(inode).and_then(|mut r| Ok(r.read_to_end(&mut data)?));
            match &node.kind {
                Kind::Directory(entries) => assert_eq!(reader.entries(inode)?.len(), entries.len() + 2),
                Kind::File(content) => {
                    read()?;
                    assert!(data == content.content.read()?, "{shown}");
                }
                Kind::Symlink(target) => {
                    read()?;
                    assert_eq!(data, *target, "{shown}");
                }
                Kind::CharDevice(d) | Kind::BlockDevice(d) => assert_eq!(inode.device, Some(*d), "{shown}"),
                Kind::Fifo => assert_eq!(inode.kind, FileType::Fifo),
                Kind::Socket => assert_eq!(inode.kind, FileType::Socket),
            }
            Ok(())
        })
        .unwrap();
    assert!(expected.next().is_none());
}

/// Reads whatever there is, bounded, and must neither panic nor hang.
pub(crate) fn read_all(image: &[u8]) {
    let Ok(reader) = FileSystem::new(image) else { return };
    let mut budget = 64_u64 << 20;
    let _ = reader.walk(|_, inode| -> Result<()> {
        let _ = (reader.xattrs(inode), reader.places(inode));
        if let Ok(mut file) = reader.open(inode) {
            budget = budget.saturating_sub(
                std::io::copy(&mut (&mut file).take(budget), &mut std::io::sink()).unwrap_or(0),
            );
        }
        Ok(())
    });
}
