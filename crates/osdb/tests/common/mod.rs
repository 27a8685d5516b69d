//! What the comparisons with foreign tools share: running them, and trees from directories.
#![allow(dead_code, reason = "every test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use twinhull_tree::{Node, Tree};

/// Runs a tool that the test can't do without and returns its output.
pub(crate) fn run(tool: &str, args: &[&str]) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths(std::env::split_paths(&path).chain(["/sbin", "/usr/sbin"].map(PathBuf::from)))
            .unwrap();
    let output = Command::new(tool)
        .args(args)
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|e| panic!("this test compares with {tool}, which can't be run: {e}"));
    assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The tree in a directory of the host.
pub(crate) fn load(root: &Path) -> Tree {
    fn add(tree: &mut Tree, root: &Path, at: &Path) {
        for entry in fs_err::read_dir(root.join(at)).unwrap() {
            let entry = entry.unwrap();
            let inside = at.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            let node = if kind.is_dir() {
                Node::directory()
            } else if kind.is_symlink() {
                Node::symlink(fs_err::read_link(entry.path()).unwrap().as_os_str().as_bytes())
            } else {
                Node::file(fs_err::read(entry.path()).unwrap())
            };
            tree.insert(inside.as_os_str().as_bytes(), node).unwrap();
            if kind.is_dir() {
                add(tree, root, &inside);
            }
        }
    }
    let mut tree = Tree::new();
    add(&mut tree, root, Path::new(""));
    tree
}

/// Puts a few of the host's libraries below `root`, in a merged `/usr` with a configured
/// directory, development links, other versions and a `glibc-hwcaps` subdirectory.
pub(crate) fn copy_libraries(root: &Path) {
    let arch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let from = Path::new("/usr/lib").join(&arch);
    let to = root.join("usr/lib").join(&arch);
    let special = to.join("glibc-hwcaps/x86-64-v3");
    fs_err::create_dir_all(&special).unwrap();
    fs_err::create_dir_all(root.join("etc/ld.so.conf.d")).unwrap();
    fs_err::create_dir_all(root.join("opt/libs")).unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    for name in ["libc.so.6", "libm.so.6", "libdl.so.2", "libz.so.1", "liblzma.so.5", "libzstd.so.1"] {
        let real = fs_err::canonicalize(from.join(name)).unwrap();
        let file = real.file_name().unwrap();
        fs_err::copy(&real, to.join(file)).unwrap();
        if file != name {
            symlink(file, to.join(name)).unwrap();
        }
    }
    symlink("libz.so.1", to.join("libz.so")).unwrap();
    symlink("nowhere", to.join("libgone.so.1")).unwrap();
    fs_err::write(to.join("libscript.so"), "GROUP ( libc.so.6 )\n").unwrap();
    for dir in [&special, &root.join("opt/libs"), &root.join("usr/lib")] {
        fs_err::copy(from.join("libz.so.1"), dir.join("libz.so.1")).unwrap();
    }
    fs_err::copy(from.join("libm.so.6"), special.join("libm.so.6")).unwrap();
    fs_err::write(root.join("etc/ld.so.conf"), "include /etc/ld.so.conf.d/*.conf\n").unwrap();
    let conf = format!("# Multiarch\n/lib/{arch}\n/usr/lib/{arch}\n/opt/libs\n");
    fs_err::write(root.join("etc/ld.so.conf.d/arch.conf"), conf).unwrap();
}

/// Copies all files of a directory of the host.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs_err::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
