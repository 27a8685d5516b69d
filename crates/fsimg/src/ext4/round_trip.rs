//! What the writer writes, our reader and the crate ext4-view read; and our reader stands whatever it is given.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use ext4_view::{Ext4, Path};
use proptest::prelude::*;
use twinhull_tree::{Content, FileData, Kind, Metadata, Node, Timestamp, Tree};

use super::reader::Reader;
use super::{BLOCK, MAX_LINKS, Options, hash, write};
use crate::samples::{compare, noise, read_all, sample};
use crate::{Error, Result};

const OPTIONS: Options = Options { uuid: [7; 16], build_time: 1_700_000_000 };

fn try_image(tree: &Tree) -> Result<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    let len = write(tree, &OPTIONS, &mut out, &mut |_| ())?;
    assert_eq!(len, out.get_ref().len() as u64);
    Ok(out.into_inner())
}

fn image(tree: &Tree) -> Vec<u8> {
    try_image(tree).unwrap()
}

fn reason(tree: &Tree) -> String {
    try_image(tree).unwrap_err().to_string()
}

/// As [`compare`], with somebody else's reader, which looks at checksums and indexes too. It doesn't take times
/// before 1970 and after 2037, nor the longest symbolic links for paths.
fn compare_with_view(tree: &Tree, image: Vec<u8>) {
    let view = Ext4::load(Box::new(image)).unwrap();
    for (path, node) in tree.walk() {
        let shown = String::from_utf8_lossy(&path).into_owned();
        let at = Path::try_from(path.as_slice()).unwrap();
        let meta = view.symlink_metadata(at).unwrap();
        assert_eq!(
            (meta.mode() & 0o7777, meta.uid(), meta.gid()),
            (node.meta.mode, node.meta.uid, node.meta.gid)
        );
        let mtime = (meta.modified().seconds(), meta.modified().nanoseconds());
        assert_eq!(mtime, (node.meta.mtime.secs, node.meta.mtime.nanos), "{shown}");
        match &node.kind {
            Kind::Directory(entries) => {
                assert_eq!(view.read_dir(at).unwrap().count(), entries.len() + 2, "{shown}")
            }
            Kind::File(data) => assert!(view.read(at).unwrap() == data.content.read().unwrap(), "{shown}"),
            Kind::Symlink(target) if target.len() < 255 => {
                assert_eq!(view.read_link(at).unwrap().as_path().as_ref(), target.as_slice(), "{shown}")
            }
            _ => {}
        }
    }
}

#[test]
fn everything_comes_back() {
    for mut tree in [sample(), Tree::new()] {
        let bytes = image(&tree);
        compare(&tree, &bytes);
        assert!(bytes == image(&tree), "the same tree gives the same bytes");
        tree.for_each_mut(|_, node| node.meta.mtime.secs = node.meta.mtime.secs.max(0));
        compare_with_view(&tree, image(&tree));
    }
}

#[test]
fn indexes_find_every_name() {
    let mut tree = Tree::new();
    for n in 0..12_000 {
        tree.insert(format!("/short/{n}"), Node::file("")).unwrap();
        // So long that one level of the index is not enough.
        tree.insert(format!("/long/{n:0>200}"), Node::file("")).unwrap();
    }
    tree.insert(b"/short/\xff\xfe \x80".as_slice(), Node::file("no UTF-8")).unwrap();
    compare_with_view(&tree, image(&tree));
}

#[test]
fn hashes_are_those_of_the_kernel() {
    // What `debugfs -R "dx_hash -h half_md4 -s SEED NAME"` says.
    let seed = u32::from_le_bytes([7; 4]);
    for (name, want) in [
        (".", (0x0af7_a2e2, 0x0b54_64e5)),
        ("a", (0x3b59_4cc8, 0x0006_5555)),
        ("hello", (0x205d_ea34, 0x236b_35d6)),
        ("a file with number 00001", (0x7be3_0ae4, 0x101d_0fb9)),
        ("a name that is longer than thirty-two bytes, yes", (0xa491_f5d2, 0xaef4_80d4)),
    ] {
        assert_eq!(hash::half_md4(name.as_bytes(), [seed; 4]), want, "{name}");
    }
}

#[test]
fn holes_take_no_room_and_runs_of_blocks_are_one() {
    let mut tree = Tree::new();
    let mut data = vec![0; 64 << 20];
    for n in 0..600 {
        data[n * 105_000..][..5].copy_from_slice(b"word.");
    }
    tree.insert("/holes", Node::file(data)).unwrap();
    tree.insert("/zeros", Node::file(vec![0; 1 << 20])).unwrap();
    tree.insert("/noise", Node::file(noise(3 << 20, 1))).unwrap();
    let bytes = image(&tree);
    compare(&tree, &bytes);
    let reader = Reader::new(bytes.as_slice()).unwrap();
    let walked = reader.walk(|path, inode| -> Result<()> {
        let places = reader.places(inode)?;
        match path {
            b"/holes" => assert!(places.len() > 340, "{}", places.len()),
            b"/zeros" => assert!(places.is_empty()),
            b"/noise" => assert_eq!(places.len(), 1),
            _ => {}
        }
        Ok(())
    });
    walked.unwrap();
    compare_with_view(&tree, bytes);
}

#[test]
fn images_have_no_slack() {
    let mut tree = Tree::new();
    tree.insert("/data", Node::file(noise(10 << 20, 1))).unwrap();
    // Superblock, descriptors, data, root, two bitmaps, one block of inodes.
    assert_eq!(image(&tree).len() as u64, (10 << 20) + 6 * BLOCK);
    assert_eq!(image(&Tree::new()).len() as u64, 6 * BLOCK);
}

#[test]
fn acls_and_attributes_come_back_or_are_refused() {
    let acl = |entries: &[(u16, u16, u32)]| {
        let mut value = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            value.extend(tag.to_le_bytes());
            value.extend(permissions.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        value
    };
    let with = |name: &str, value: Vec<u8>| {
        let mut tree = Tree::new();
        let mut node = Node::directory();
        node.meta.xattrs.insert(name.into(), value);
        node.meta.xattrs.insert(b"security.selinux".to_vec(), b"system_u:object_r:usr_t:s0\0".to_vec());
        tree.insert("/d", node).unwrap();
        tree
    };
    let none = u32::MAX;
    let long = acl(&[(1, 7, none), (2, 5, 1000), (4, 5, none), (8, 4, 70_000), (16, 5, none), (32, 0, none)]);
    for (name, value) in [
        ("system.posix_acl_access", long.clone()),
        ("system.posix_acl_default", acl(&[(1, 7, none), (4, 5, none), (32, 5, none)])),
        ("user.empty", vec![]),
        ("user.odd", vec![3; 333]),
        ("trusted.overlay.opaque", b"y".to_vec()),
        ("user.most", vec![9; 4000]),
    ] {
        let tree = with(name, value);
        compare(&tree, &image(&tree));
    }
    for (name, value, reason_part) in [
        ("system.posix_acl_access", long[1..].to_vec(), "is no POSIX ACL"),
        ("system.posix_acl_access", long[..long.len() - 1].to_vec(), "is no POSIX ACL"),
        ("user.much", vec![9; 4096], "ext4 has 4060 for them"),
        ("system.other", vec![], "no name space"),
    ] {
        let text = reason(&with(name, value));
        assert!(text.starts_with("/d: ") && text.contains(reason_part), "{text}");
    }
}

#[test]
fn what_ext4_can_not_hold_is_named() {
    let mut tree = Tree::new();
    tree.insert("/link", Node::symlink(vec![b'x'; 4096])).unwrap();
    assert!(reason(&tree).starts_with("/link: it links to a path of 4096 bytes"));
    let mut tree = Tree::new();
    let shared = Arc::new(FileData { content: Content::from("one") });
    for n in 0..=MAX_LINKS {
        tree.insert(format!("/{n}"), Node { kind: Kind::File(shared.clone()), ..Node::file("") }).unwrap();
    }
    assert!(reason(&tree).contains("it has 65001 names"));
}

#[test]
fn times_out_of_range_become_the_nearest() {
    let mut tree = Tree::new();
    let times = [
        i64::MIN,
        -(1 << 31) - 1,
        -(1 << 31),
        -1,
        0,
        (1 << 31) + 5,
        15_032_385_535,
        15_032_385_536,
        i64::MAX,
    ];
    for (n, secs) in times.into_iter().enumerate() {
        let mtime = Timestamp { secs, nanos: 999_999_999 };
        let meta = Metadata { mtime, ..Metadata::root(0o644) };
        tree.insert(format!("/{n}"), Node { meta, kind: Kind::Fifo }).unwrap();
    }
    let bytes = image(&tree);
    let reader = Reader::new(bytes.as_slice()).unwrap();
    let mut found = Vec::new();
    let walked = reader.walk(|_, inode| -> Result<()> {
        found.push(inode.mtime.secs);
        Ok(())
    });
    walked.unwrap();
    let nearest: Vec<i64> = times.map(|t| t.clamp(-(1 << 31), 15_032_385_535)).to_vec();
    assert_eq!(found[1..], nearest);
}

#[test]
fn a_file_that_shrank_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut tree = Tree::new();
    let content = Content::Host { path: file.path().to_owned(), len: 100_000 };
    tree.insert("/log", Node { kind: Kind::File(Arc::new(FileData { content })), ..Node::file("") }).unwrap();
    let error = try_image(&tree).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { path, .. } if path == "/log"), "{error}");
}

/// Paths of one to three short names, so that they often share folders.
fn paths() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-e\u{e4}]{1,2}", 1..4).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn nodes() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        Just(Kind::directory()),
        prop::collection::vec(any::<u8>(), 0..9000).prop_map(Kind::file),
        prop::collection::vec(1_u8.., 1..200).prop_map(Kind::Symlink),
        (0_u32..4096, 0_u32..1 << 20)
            .prop_map(|(major, minor)| { Kind::CharDevice(twinhull_tree::DeviceNumber { major, minor }) }),
        Just(Kind::Socket),
    ];
    let attributes = prop::collection::btree_map(
        "user\\.[a-z]{1,9}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..300),
        0..6,
    );
    let time = (-(1_i64 << 31)..15_032_385_536, 0_u32..1_000_000_000);
    (kind, attributes, 0_u16..0o10000, any::<u32>(), any::<u32>(), time).prop_map(
        |(kind, xattrs, mode, uid, gid, (secs, nanos))| Node {
            meta: Metadata { mode, uid, gid, mtime: Timestamp { secs, nanos }, xattrs },
            kind,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn random_trees_come_back(found in prop::collection::vec((paths(), nodes()), 0..40)) {
        let mut tree = Tree::new();
        for (path, node) in found {
            // A parent that is no folder is no matter here.
            let _ = tree.insert(path, node);
        }
        compare(&tree, &image(&tree));
        tree.for_each_mut(|_, node| node.meta.mtime.secs &= 0x7fff_ffff);
        compare_with_view(&tree, image(&tree));
    }
}

fn small() -> Vec<u8> {
    let mut tree = Tree::new();
    for n in 0..300_usize {
        tree.insert(format!("/d{}/file with the number {n:0>40}", n % 2), Node::file(vec![n as u8; n * 7]))
            .unwrap();
    }
    let mut holes = vec![0; 2 << 20];
    (0..20).for_each(|n| holes[n * 100_000] = 1);
    let mut node = Node::file(holes);
    node.meta.xattrs.insert(b"user.big".to_vec(), vec![1; 1000]);
    node.meta.xattrs.insert(b"security.capability".to_vec(), vec![1; 20]);
    tree.insert("/holes", node).unwrap();
    tree.insert("/link", Node::symlink("d0")).unwrap();
    image(&tree)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damage_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        place in 0..3,
        cut: prop::sample::Index,
        cuts: bool,
    ) {
        static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
        let mut bytes = IMAGE.get_or_init(small).clone();
        // A damaged superblock would not pass its checksum; without the feature there is none to pass.
        bytes[1024 + 0x65] &= !4;
        // Superblock and descriptors, directories and what else lies behind data, inodes.
        let len = bytes.len();
        let range = match place {
            0 => 1024..8192,
            1 => len - (50 << 12)..len - (22 << 12),
            _ => len - (20 << 12)..len,
        };
        for (index, byte) in flips {
            bytes[range.start + index.index(range.len())] = byte;
        }
        bytes[1024 + 0x65] &= !4;
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }
}
