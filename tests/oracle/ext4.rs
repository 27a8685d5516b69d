//! ext4 as e2fsprogs and this machine's kernel read it: every kind of entry comes back as it went in.

use std::path::Path;

use twinhull_fsimg::ext4;
use twinhull_tests::tool;
use twinhull_tests::trees::{Mounted, compare_exactly, crowded_tree, odd_tree, plain_node, sparse_tree};
use twinhull_tree::{Kind, Node, Tree, source};

fn write(tree: &Tree, to: &Path) {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, fs_err::File::create(to).unwrap());
    let options = ext4::Options { uuid: [7; 16], build_time: 1_700_000_000 };
    let length = ext4::write(tree, &options, &mut file, &mut |_| ()).unwrap();
    let file = file.into_inner().unwrap();
    assert_eq!(file.metadata().unwrap().len(), length);
}

/// e2fsck must find nothing to say but what it is doing and its summary, which is returned.
fn fsck(image: &Path) -> String {
    let text = tool("e2fsck", ["-fn".as_ref(), image.as_os_str()]).ok().text();
    let mut summary = String::new();
    for line in text.lines().filter(|l| !l.is_empty()) {
        let usual = line.starts_with("e2fsck 1.") || line.starts_with("Pass ");
        match line.strip_prefix(&format!("{}: ", image.display())) {
            Some(rest) if rest.contains(" files (") => summary = rest.into(),
            _ => assert!(usual, "{text}"),
        }
    }
    assert!(!summary.is_empty(), "{text}");
    summary
}

/// What root can mount is compared exactly; anybody else extracts names and data.
fn check(tree: &Tree, image: &Path, dir: &Path) -> String {
    let summary = fsck(image);
    let out = dir.join("out");
    if rustix::process::geteuid().is_root() {
        let mounted = Mounted::new(image, "ext4", out);
        compare_exactly(tree, &mounted.0);
        let options =
            tool("findmnt", ["-no".as_ref(), "OPTIONS".as_ref(), mounted.0.as_os_str()]).ok().stdout;
        assert!(options.starts_with("ro,"), "{options}");
    } else {
        fs_err::create_dir_all(&out).unwrap();
        let request = format!("rdump / {}", out.display());
        tool("debugfs", ["-R".as_ref(), request.as_ref(), image.as_os_str()]).ok();
        twinhull_tests::trees::compare(tree, &out, false);
        fs_err::remove_dir_all(&out).unwrap();
    }
    summary
}

/// ext4 holds a block of attributes for each file, EROFS more.
fn fit(tree: &mut Tree) {
    tree.for_each_mut(|_, node| {
        node.meta.xattrs.values_mut().for_each(|value| value.truncate(3500));
    });
}

#[test]
fn everything_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let mut tree = odd_tree();
    fit(&mut tree);
    let acl =
        [2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 5, 0, 232, 3, 0, 0, 4, 0, 5, 0, 255, 255, 255]
            .into_iter()
            .chain([255, 16, 0, 5, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255]);
    let acl: Vec<u8> = acl.collect();
    let mut folder = Node::directory();
    folder.meta.mode = 0o750;
    folder.meta.xattrs.insert(b"system.posix_acl_access".to_vec(), acl.clone());
    folder.meta.xattrs.insert(b"system.posix_acl_default".to_vec(), acl);
    tree.insert("/acl", folder).unwrap();
    write(&tree, &image);
    let summary = check(&tree, &image, dir.path());
    assert!(
        summary.contains("(0.0% non-contiguous)") || summary.contains("(0.1% non-contiguous)"),
        "{summary}"
    );
    let (again, header) =
        (dir.path().join("again"), tool("dumpe2fs", ["-h".as_ref(), image.as_os_str()]).ok());
    write(&tree, &again);
    assert_eq!(tool("cmp", [&image, &again]).code, 0);
    let field = |name: &str| {
        let line = header.stdout.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{}", header.stdout)).trim().to_owned()
    };
    assert_eq!(field("Filesystem UUID"), "07070707-0707-0707-0707-070707070707");
    assert_eq!(field("Free blocks"), "0");
    assert_eq!(field("Reserved block count"), "0");
    assert!(!field("Filesystem features").contains("journal"));
}

#[test]
fn an_empty_tree_is_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    write(&Tree::new(), &image);
    check(&Tree::new(), &image, dir.path());
    assert_eq!(fs_err::metadata(&image).unwrap().len(), 6 * ext4::BLOCK);
}

#[test]
fn the_default_tree_comes_back() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = dir.path().join("image");
    let tree = source::tar::read(&twinhull_tests::hello_tree()).unwrap();
    write(&tree, &image);
    check(&tree, &image, dir.path());
}

#[test]
fn extreme_names_and_links_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let mut tree = crowded_tree();
    // More folders than a count of links can say.
    for n in 0..66_000 {
        tree.insert(format!("/folders/{n}"), plain_node(Kind::directory())).unwrap();
    }
    write(&tree, &image);
    fsck(&image);
    let root = rustix::process::geteuid().is_root();
    let mounted = root.then(|| Mounted::new(&image, "ext4", dir.path().join("out")));
    if let Some(Mounted(at)) = &mounted {
        compare_exactly(&tree, at);
    }
    // Found through the index, by e2fsprogs.
    let stat = tool("debugfs", ["-R".as_ref(), "stat /links/19999".as_ref(), image.as_os_str()]).ok().stdout;
    assert!(stat.contains("Links: 20000"), "{stat}");
}

#[test]
fn a_sparse_file_of_gigabytes_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (image, sparse) = (dir.path().join("image"), dir.path().join("sparse"));
    let tree = sparse_tree(&sparse);
    write(&tree, &image);
    let length = fs_err::metadata(&image).unwrap().len();
    assert!(length < 256 << 10, "{length}");
    check(&tree, &image, dir.path());
}

/// Over 4 GiB with a word in every MiB: a tree of extents with two levels, and all the sizes of 64 bits.
#[test]
fn a_long_file_with_many_holes_comes_back() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let (image, long) = (dir.path().join("image"), dir.path().join("long"));
    let mut tree = sparse_tree(&long);
    let file = fs_err::OpenOptions::new().write(true).open(&long).unwrap();
    for at in (0..5_u64 << 30).step_by(1 << 20) {
        std::os::unix::fs::FileExt::write_all_at(file.file(), b"word", at).unwrap();
    }
    tree.insert("/short", plain_node(Kind::file("short"))).unwrap();
    write(&tree, &image);
    check(&tree, &image, dir.path());
}
