//! EROFS as erofs-utils reads it: every kind of entry comes back as it went in.

use std::path::Path;

use twinhull_fsimg::{Part, erofs};
use twinhull_tests::tool;
use twinhull_tests::trees::{
    Mounted, compare, compare_exactly, crowded_tree, odd_tree, plain_node, sparse_tree,
};
use twinhull_tree::{Kind, Tree};

/// Every way to store data that the erofs-utils of Debian 12 read, and Zstandard, which 1.8 reads.
const PACKINGS: [(&str, u32); 8] = [
    ("none", 0),
    ("lz4", 4096),
    ("lz4", 65_536),
    ("lz4hc:9", 32_768),
    ("lz4hc:12", 1 << 20),
    ("zstd:3", 4096),
    ("zstd:9", 65_536),
    ("zstd:19", 1 << 20),
];

fn write(tree: &Tree, to: &Path, (algorithm, cluster): (&str, u32)) {
    let mut file = fs_err::File::create(to).unwrap();
    let algorithm = (algorithm != "none").then(|| algorithm.parse().unwrap());
    let options = erofs::Options {
        compression: algorithm.map(|algorithm| erofs::Compression { algorithm, cluster }),
        ..erofs::Options::new([7; 16], 1_700_000_000)
    };
    let length = erofs::write(tree, &options, &mut file, &mut |_| ()).unwrap();
    file.set_len(length).unwrap();
}

/// The newest fsck.erofs that is to be had; Debian 12's doesn't know Zstandard.
fn fsck(image: &Path, extract: Option<&Path>) -> String {
    let extract = extract.map(|dir| format!("--extract={}", dir.display()));
    let args = extract.iter().map(AsRef::<std::ffi::OsStr>::as_ref).chain([image.as_os_str()]);
    let text = twinhull_tests::newer_tool("fsck.erofs", args).ok().text();
    assert!(!text.contains("<E>") && !text.contains("<W>"), "{text}");
    text
}

/// What the kernel itself finds in the image is exactly what went in, and what fsck.erofs extracted to `out`.
fn compare_with_kernel(tree: &Tree, image: &Path, out: &Path) {
    let mounted = Mounted::new(image, "erofs", out.with_extension("mounted"));
    compare_exactly(tree, &mounted.0);
    // Two device nodes or pipes are different for diff, whatever they are.
    let args = ["-r", "--no-dereference", "--exclude=special"].map(std::ffi::OsStr::new);
    let ran = tool("diff", args.into_iter().chain([mounted.0.as_os_str(), out.as_os_str()]));
    assert_eq!((ran.code, ran.text().as_str()), (0, ""));
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn everything_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let tree = odd_tree();
    for packing in PACKINGS {
        let (image, out) =
            (dir.path().join("image"), dir.path().join(format!("{}-{}", packing.0, packing.1)));
        write(&tree, &image, packing);
        fsck(&image, Some(&out));
        compare(&tree, &out, is_root());
        if is_root() {
            compare_with_kernel(&tree, &image, &out);
        }
        fs_err::remove_dir_all(&out).unwrap();
        if !packing.0.starts_with("zstd") {
            let text = tool("fsck.erofs", [image.as_os_str()]).ok().text();
            assert!(!text.contains("<E>") && !text.contains("<W>"), "{packing:?}: {text}");
        }
    }
}

#[test]
fn hard_links_are_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    write(&odd_tree(), &image, PACKINGS[0]);
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
    for packing in PACKINGS {
        write(&Tree::new(), &image, packing);
        fsck(&image, None);
    }
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
    fsck(&data, Some(&out));
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

/// Many names, long names, names that are no text, many links, large attributes.
#[test]
fn extreme_names_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (image, out) = (dir.path().join("image"), dir.path().join("out"));
    let mut tree = crowded_tree();
    let mut big = plain_node(Kind::file("attributes"));
    big.meta.xattrs.insert(b"user.big".to_vec(), vec![b'v'; 65_535]);
    tree.insert("/odd/attributes", big).unwrap();
    write(&tree, &image, PACKINGS[2]);
    let file = fs_err::File::open(&image).unwrap().into_file();
    let reader = erofs::reader::Reader::new(Part::new(file, 0, u64::MAX).unwrap()).unwrap();
    let mut names = 0;
    let checked = reader.walk(|path, inode| -> twinhull_fsimg::Result<()> {
        names += 1;
        match path {
            b"/links/7" => assert_eq!(inode.links, 20_000),
            b"/odd/attributes" => assert_eq!(reader.xattrs(inode)?[b"user.big".as_slice()].len(), 65_535),
            _ => {}
        }
        Ok(())
    });
    checked.unwrap();
    assert_eq!(names, tree.walk().count());
    fsck(&image, Some(&out));
    assert_eq!(fs_err::read_dir(out.join("crowd")).unwrap().count(), 100_000);
    use std::os::unix::ffi::OsStrExt;
    assert!(out.join("odd").join(std::ffi::OsStr::from_bytes(b"\xff\xfe\x01 \n")).exists());
    if is_root() {
        compare_with_kernel(&tree, &image, &out);
    }
}

/// 5 GiB of zeros with a word in the middle and one at the end.
#[test]
fn a_sparse_file_of_gigabytes_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (image, sparse) = (dir.path().join("image"), dir.path().join("sparse"));
    let tree = sparse_tree(&sparse);
    for (packing, limit) in [(PACKINGS[0], 4 << 20), (PACKINGS[2], 48 << 20)] {
        write(&tree, &image, packing);
        let length = fs_err::metadata(&image).unwrap().len();
        assert!(length < limit, "{packing:?}: {length}");
        let out = dir.path().join(packing.0);
        fsck(&image, Some(&out));
        let same = tool("cmp", [sparse.as_os_str(), out.join("sparse").as_os_str()]);
        assert_eq!(same.code, 0, "{packing:?}: {}", same.text());
        if is_root() {
            let mounted = Mounted::new(&image, "erofs", dir.path().join("mounted"));
            tool("cmp", [sparse.as_os_str(), mounted.0.join("sparse").as_os_str()]).ok();
        }
        fs_err::remove_dir_all(&out).unwrap();
    }
}
