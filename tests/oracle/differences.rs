//! `diff` on images that mkfs.erofs made of two folders: its answers are those of diff(1), and privileges are
//! those that stat(1) and getcap(8) would show.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use twinhull_fsimg::erofs;
use twinhull_tests::{program, run, tool};
use twinhull_tree::{Node, Tree};

/// Compares two images and returns exit code and report.
fn diff(old: &Path, new: &Path) -> (i32, Value) {
    let ran = run(program("image-builder").args(["diff", "--json"]).arg(old).arg(new));
    let report = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.text()));
    (ran.code, report)
}

fn paths(report: &Value, list: &str) -> BTreeSet<String> {
    let entries = report["files"][list].as_array().unwrap().iter();
    let path = |e: &Value| e.get("new").unwrap_or(e)["path"].as_str().unwrap().to_owned();
    entries.map(path).filter(|p| p != "/").collect()
}

/// Two folders with differences, below `dir`.
fn folders(dir: &Path) -> [std::path::PathBuf; 2] {
    let [old, new] = ["old", "new"].map(|name| dir.join(name));
    for (root, content) in [(&old, "one"), (&new, "two")] {
        for sub in ["usr/bin", "usr/lib/deep/er", "usr/share/doc"] {
            fs_err::create_dir_all(root.join(sub)).unwrap();
        }
        fs_err::write(root.join("usr/bin/same"), "same").unwrap();
        fs_err::write(root.join("usr/bin/changed"), content).unwrap();
        fs_err::write(root.join("usr/lib/deep/er/large"), content.repeat(200_000)).unwrap();
        fs_err::write(root.join(format!("usr/share/doc/only in {content}")), "x").unwrap();
        std::os::unix::fs::symlink(content, root.join("usr/lib/link")).unwrap();
    }
    fs_err::create_dir_all(new.join("usr/lib/new")).unwrap();
    fs_err::write(new.join("usr/lib/new/file"), "").unwrap();
    [old, new]
}

#[test]
fn answers_are_those_of_diff() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = folders(dir.path());
    let images = [&old, &new].map(|folder| {
        let image = folder.with_extension("erofs");
        tool("mkfs.erofs", ["-zlz4".as_ref(), image.as_os_str(), folder.as_os_str()]).ok();
        image
    });
    let (code, report) = diff(&images[0], &images[1]);
    assert_eq!((code, &report["equal"]), (1, &Value::Bool(false)));
    let (mut added, mut removed, mut changed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let args = ["-rq", "--no-dereference", "old", "new"];
    let text = run(std::process::Command::new("diff").args(args).current_dir(dir.path())).stdout;
    for line in text.lines() {
        if let Some((place, name)) = line.strip_prefix("Only in ").and_then(|l| l.split_once(": ")) {
            let (side, below) = place.split_at(3);
            let list = if side == "old" { &mut removed } else { &mut added };
            list.insert(format!("{below}/{name}"));
        } else {
            let (_, rest) = line.split_once("old").unwrap();
            let end = rest.find(" and ").or_else(|| rest.find(" -> ")).unwrap_or(rest.len());
            changed.insert(rest[..end].to_owned());
        }
    }
    // diff(1) doesn't look into a folder that only one has.
    added.insert("/usr/lib/new/file".into());
    assert_eq!(paths(&report, "added"), added, "{text}");
    assert_eq!(paths(&report, "removed"), removed, "{text}");
    assert_eq!(paths(&report, "changed"), changed, "{text}");
    let (code, report) = diff(&images[0], &images[0]);
    assert_eq!((code, &report["equal"]), (0, &Value::Bool(true)));
}

/// The same two trees, packed differently, are no difference.
#[test]
fn how_an_image_is_packed_is_no_difference() {
    let dir = tempfile::tempdir().unwrap();
    let mut tree = Tree::new();
    tree.insert("lib/os-release", Node::file("IMAGE_ID=a\nIMAGE_VERSION=1\n")).unwrap();
    tree.insert("lib/large", Node::file("compresses ".repeat(100_000))).unwrap();
    let images = ["none", "lz4", "zstd:3"].map(|algorithm| {
        let path = dir.path().join(algorithm);
        let mut file = fs_err::File::create(&path).unwrap();
        let compression = (algorithm != "none")
            .then(|| erofs::Compression { algorithm: algorithm.parse().unwrap(), cluster: 65_536 });
        let options = erofs::Options { compression, ..erofs::Options::new([1; 16], 1_700_000_000) };
        let length = erofs::write(&tree, &options, &mut file, &mut |_| ()).unwrap();
        file.set_len(length).unwrap();
        path
    });
    for other in &images[1..] {
        let (code, report) = diff(&images[0], other);
        assert_eq!(code, 0, "{report:#}");
        assert!(report["new"]["sizes"]["usr"].as_u64() < report["old"]["sizes"]["usr"].as_u64());
        assert_eq!(report["new"]["sizes"]["content"], report["old"]["sizes"]["content"]);
    }
}

/// setuid and capabilities as the kernel's own tools set them, in a user namespace where everybody is root.
#[test]
fn privileges_are_those_of_setcap() {
    let dir = tempfile::tempdir().unwrap();
    folders(dir.path());
    let script = "set -e
        chmod 4755 new/usr/bin/same
        setcap cap_net_admin,cap_net_raw=ep new/usr/bin/changed
        getcap new/usr/bin/changed
        for side in old new; do mkfs.erofs --quiet $side.erofs $side >&2; done";
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", script]).current_dir(dir.path());
    let shown = run(&mut command).ok().stdout;
    let (_, report) = diff(&dir.path().join("old.erofs"), &dir.path().join("new.erofs"));
    let gained = &report["privileges"]["added"];
    let ours = gained[0]["capabilities"].as_str().unwrap();
    assert!(!ours.is_empty() && shown.trim_end().ends_with(ours), "{shown} {gained}");
    assert_eq!((&gained[1]["path"], &gained[1]["setuid"]), (&"/usr/bin/same".into(), &"root".into()));
}
