//! EROFS as erofs-utils reads it: every kind of entry comes back as it went in.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use twinhull_fsimg::erofs;
use twinhull_tests::tool;
use twinhull_tree::{Content, DeviceNumber, FileData, Kind, Metadata, Node, Timestamp, Tree};

fn write(tree: &Tree, to: &Path) {
    let mut file = fs_err::File::create(to).unwrap();
    let image = erofs::Image::new(tree).unwrap();
    let options = erofs::Options { uuid: [7; 16], build_time: 1_700_000_000 };
    image.write(&options, &mut file, &mut |_| ()).unwrap();
    assert_eq!(file.metadata().unwrap().len(), image.len());
}

fn odd_tree() -> Tree {
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

/// Compares an extracted folder with the tree: names, kinds, content, owners, modes, times, links.
fn compare(tree: &Tree, dir: &Path, root: bool) {
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
                assert!(fs_err::read(&at).unwrap() == data.content.read().unwrap(), "{shown}");
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

#[test]
fn everything_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (image, out) = (dir.path().join("image"), dir.path().join("out"));
    let tree = odd_tree();
    write(&tree, &image);
    let text =
        tool("fsck.erofs", [format!("--extract={}", out.display()).as_ref(), image.as_os_str()]).ok().text();
    assert!(!text.contains("<E>") && !text.contains("<W>"), "{text}");
    compare(&tree, &out, rustix::process::geteuid().is_root());
    // erofs-utils 1.5 extracts hard links as copies; that they are one file shows in the inode.
    let facts = |path: &str| {
        let text = tool("dump.erofs", [format!("--path={path}").as_ref(), image.as_os_str()]).ok().stdout;
        let field = |name: &str| {
            text.split(name).nth(1).and_then(|t| t.split_whitespace().next()).unwrap_or("?").to_owned()
        };
        (field("NID:"), field("Links:"))
    };
    let (nid, links) = facts("/hard/0");
    assert_eq!(links, "50");
    assert_eq!(facts("/hard/49"), (nid, links));
    let sb = tool("dump.erofs", ["-s".as_ref(), image.as_os_str()]).ok().stdout;
    assert!(sb.contains("07070707-0707-0707-0707-070707070707"), "{sb}");
    assert!(sb.contains("sb_chksum") || sb.contains("sb_csum"), "{sb}");
}

#[test]
fn an_empty_tree_is_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    write(&Tree::new(), &image);
    tool("fsck.erofs", [image.as_os_str()]).ok();
}

#[test]
fn the_image_of_the_default_tree_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("usr");
    let length = twinhull_tests::hello().manifest["usr_length"].as_u64().unwrap();
    twinhull_tests::carve(
        &twinhull_tests::hello().path,
        twinhull_tests::partition("hello_1.0.0").0,
        length,
        &data,
    );
    let out = dir.path().join("out");
    let text =
        tool("fsck.erofs", [format!("--extract={}", out.display()).as_ref(), data.as_os_str()]).ok().text();
    assert!(!text.contains("<E>"), "{text}");
    assert!(out.join("lib/systemd/systemd").exists());
    for gone in [
        "share/factory/etc/machine-id",
        "share/factory/etc/ssh/ssh_host_ed25519_key",
        "share/factory/var/log/wtmp",
    ] {
        assert!(!out.join(gone).exists(), "{gone}");
    }
    assert!(out.join("lib/udev/hwdb.bin").exists() || !out.join("lib/udev/hwdb.d").exists());
    let listed = tool(
        "ldconfig",
        ["-p".as_ref(), "-C".as_ref(), out.join("share/factory/etc/ld.so.cache").as_os_str()],
    )
    .ok();
    assert!(listed.stdout.contains("libc.so.6"), "{}", listed.stdout);
}
