//! What help and reports look like, word for word. `cargo insta review` shows what changed.

use std::path::Path;

use twinhull_fsimg::erofs;
use twinhull_tests::{hello, program, run, top};
use twinhull_tree::{Node, Tree};

fn filtered(text: &str) -> String {
    let top = top().display().to_string();
    text.replace(&top, "TOP").lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn help() {
    for (name, args) in [
        ("image-builder", &["--help"][..]),
        ("image-builder-build", &["build", "--help"]),
        ("image-builder-convert", &["convert", "--help"]),
        ("image-builder-check", &["check", "--help"]),
        ("image-builder-inspect", &["inspect", "--help"]),
        ("image-builder-diff", &["diff", "--help"]),
        ("image-builder-sbom", &["sbom", "--help"]),
        ("image-builder-secure-boot", &["secure-boot", "--help"]),
        ("image-builder-secure-boot-keygen", &["secure-boot", "keygen", "--help"]),
        ("image-builder-secure-boot-enroll-files", &["secure-boot", "enroll-files", "--help"]),
        ("image-builder-secure-boot-prepare", &["secure-boot", "prepare", "--help"]),
        ("image-builder-secure-boot-attach", &["secure-boot", "attach", "--help"]),
        ("image-builder-keygen", &["keygen", "--help"]),
        ("image-builder-release", &["release", "--help"]),
        ("image-builder-sign", &["sign", "--help"]),
        ("image-builder-sign-image", &["sign-image", "--help"]),
        ("image-builder-promote", &["promote", "--help"]),
        ("image-builder-rotate-keys", &["rotate-keys", "--help"]),
        ("image-builder-verify-release", &["verify-release", "--help"]),
        ("image-builder-modules", &["modules", "--help"]),
        ("image-builder-explain", &["explain", "--help"]),
        ("image-builder-search", &["search", "--help"]),
        ("image-builder-render", &["render", "--help"]),
        ("image-builder-why", &["why", "--help"]),
        ("image-builder-graph", &["graph", "--help"]),
        ("image-builder-test-module", &["test-module", "--help"]),
        ("image-builder-doctor", &["doctor", "--help"]),
        ("runvm", &["--help"]),
        ("update-agent", &["--help"]),
        ("update-agent-apply", &["apply", "--help"]),
        ("twinhull-install", &["--help"]),
        ("twinhull-install-write", &["write", "--help"]),
        ("twinhull-install-takeover", &["takeover", "--help"]),
    ] {
        let programs = ["image-builder", "runvm", "update-agent", "static/twinhull-install"];
        let program_name = programs
            .into_iter()
            .find(|program| name.starts_with(program.trim_start_matches("static/")))
            .unwrap();
        let ran = run(program(program_name).args(args).env("COLUMNS", "100")).ok();
        insta::assert_snapshot!(format!("help-{name}"), filtered(&ran.stdout));
    }
}

#[test]
fn check_shows_every_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let spec = dir.path().join("wrong.yaml");
    fs_err::copy(top().join("tests/fixtures/wrong.yaml"), &spec).unwrap();
    let ran = run(program("image-builder").arg("check").arg("wrong.yaml").current_dir(dir.path()));
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!("check-wrong", filtered(&ran.stderr));
    let ran = run(program("image-builder").arg("check").arg("examples/hello.yaml").current_dir(top())).ok();
    insta::assert_snapshot!("check-hello", filtered(&ran.stdout));
}

#[test]
fn inspect_is_a_table() {
    let ran = run(program("image-builder").arg("inspect").arg(&hello().path)).ok();
    // Hashes and sizes change with Debian's packages; the shape does not.
    let mut shape = String::new();
    for line in ran.stdout.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        shape.push_str(&words.join(" "));
        shape.push('\n');
    }
    insta::assert_snapshot!("inspect", shape);
}

/// Two small trees as EROFS images: `old.erofs` and `new.erofs` below `dir`.
fn two_images(dir: &Path) {
    let mut tree = Tree::new();
    let mut put = |path: &str, node: Node| tree.insert(path, node).unwrap();
    put("lib/os-release", Node::file("IMAGE_ID=box\nIMAGE_VERSION=1.0.0\n"));
    put("lib/modules/6.12.1/modules.dep", Node::file(""));
    let dpkg = "share/factory/var/lib/dpkg";
    put(&format!("{dpkg}/status"), Node::file(STATUS));
    put(&format!("{dpkg}/info/sudo.list"), Node::file("/.\n/usr\n/usr/bin\n/usr/bin/sudo\n"));
    put("share/doc/sudo/copyright", Node::file(COPYRIGHT));
    put("share/factory/etc/passwd", Node::file("root:x:0:0:root:/root:/bin/bash\n"));
    put("share/factory/etc/group", Node::file("root:x:0:\n"));
    put("lib/systemd/system/web.service", Node::file("[Service]\nExecStart=/usr/bin/web\n"));
    let mut sudo = Node::program("sudo".repeat(5000));
    sudo.meta.mode = 0o4755;
    put("bin/sudo", sudo);
    put("bin/web", Node::program("web 1".repeat(3000)));
    write_image(&tree, &dir.join("old.erofs"));
    let mut put = |path: &str, node: Node| tree.insert(path, node).unwrap();
    put("lib/os-release", Node::file("IMAGE_ID=box\nIMAGE_VERSION=1.1.0\n"));
    put(&format!("{dpkg}/status"), Node::file(STATUS.replace("1.9.16p2-3", "1.9.16p2-3+deb13u1")));
    put(
        "share/factory/etc/passwd",
        Node::file("root:x:0:0:root:/root:/bin/bash\nweb:x:100:100::/:/bin/sh\n"),
    );
    put("lib/systemd/system/multi-user.target.wants/web.service", Node::symlink("../web.service"));
    let mut ping = Node::program("ping");
    let capability = [0x0200_0001_u32, 1 << 13, 0, 0, 0].iter().flat_map(|w| w.to_le_bytes()).collect();
    ping.meta.xattrs.insert(b"security.capability".to_vec(), capability);
    put("bin/ping", ping);
    put("bin/web", Node::program("web 2".repeat(3000)));
    (0..30).for_each(|n| put(&format!("share/web/page{n:02}.html"), Node::file("page")));
    write_image(&tree, &dir.join("new.erofs"));
}

const STATUS: &str = "Package: sudo\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.9.16p2-3\n\
                      Maintainer: Sudo Maintainers <sudo@example.org>\nDepends: libc6 (>= 2.38), web | other\n\
                      Homepage: https://example.org/sudo\nDescription: limited super user privileges\n More of it.\n\n\
                      Package: web\nStatus: install ok installed\nArchitecture: all\nSource: web-source (2)\nVersion: 1\n\
                      Description: pages\n";

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                         Files: *\nCopyright: somebody\nLicense: ISC\n\nFiles: debian/*\nCopyright: x\nLicense: Expat\n";

fn write_image(tree: &Tree, path: &Path) {
    let mut file = fs_err::File::create(path).unwrap();
    let options = erofs::Options::new([1; 16], 1_700_000_000);
    let length = erofs::write(tree, &options, &mut file, &mut |_| ()).unwrap();
    file.set_len(length).unwrap();
}

#[test]
fn diff_is_a_report() {
    let dir = tempfile::tempdir().unwrap();
    two_images(dir.path());
    let diff = |args: &[&str]| run(program("image-builder").arg("diff").args(args).current_dir(dir.path()));
    let ran = diff(&["old.erofs", "new.erofs"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    insta::assert_snapshot!("diff", filtered(&ran.stdout));
    assert_eq!(diff(&["old.erofs", "old.erofs"]).code, 0);
    let all = diff(&["--all", "old.erofs", "new.erofs"]).stdout;
    assert!(all.contains("page29.html") && !all.contains("--all"), "{all}");
    let json = diff(&["--json", "old.erofs", "new.erofs"]);
    assert_eq!(json.code, 1);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["privileges"]["added"][0]["capabilities"], "cap_net_raw=ep");
    let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
    insta::assert_snapshot!("diff-fields", format!("{fields:?}"));
}

#[test]
fn sbom_is_spdx() {
    let dir = tempfile::tempdir().unwrap();
    two_images(dir.path());
    let ran = run(program("image-builder").arg("sbom").arg("old.erofs").current_dir(dir.path())).ok();
    insta::assert_snapshot!("sbom", filtered(&ran.stdout));
}

#[test]
fn sizes_are_tables_and_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    two_images(dir.path());
    let inspect =
        |args: &[&str]| run(program("image-builder").arg("inspect").args(args).current_dir(dir.path()));
    let ran = inspect(&["--size", "--svg", "size.svg", "new.erofs"]).ok();
    insta::assert_snapshot!("size", filtered(&ran.stdout));
    insta::assert_snapshot!("size-svg", fs_err::read_to_string(dir.path().join("size.svg")).unwrap());
    let json: serde_json::Value =
        serde_json::from_str(&inspect(&["--size", "--json", "new.erofs"]).ok().stdout).unwrap();
    let length = fs_err::metadata(dir.path().join("new.erofs")).unwrap().len();
    assert_eq!(json["length"], length);
    assert_eq!(json["total"]["stored"].as_u64().unwrap() + json["metadata"].as_u64().unwrap(), length);
    assert_eq!(inspect(&["--svg", "size.svg", "new.erofs"]).code, 2, "a picture needs --size");
}
