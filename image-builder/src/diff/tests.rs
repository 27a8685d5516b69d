//! Two small images with one difference of every kind.

use serde_json::{Value, json};
use twinhull_tree::{Node, Tree};

use super::*;
use crate::image::snapshot::tests::image;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ngames:x:5:60:games:/usr/games:/usr/sbin/nologin\n";

fn old_tree() -> Tree {
    let mut tree = Tree::new();
    let mut put = |path: &str, node: Node| tree.insert(path, node).unwrap();
    put("lib/os-release", Node::file("PRETTY_NAME=\"Test\"\nIMAGE_ID=box\nIMAGE_VERSION=1\n"));
    put("lib/modules/6.1/modules.dep", Node::file(""));
    put(
        "share/factory/var/lib/dpkg/status",
        Node::file(
            "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.10\n\n\
             Package: gone\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n",
        ),
    );
    put("share/factory/etc/passwd", Node::file(PASSWD));
    put("share/factory/etc/group", Node::file("root:x:0:\nshadow:x:42:\n"));
    put("lib/systemd/system/a.service", Node::file("[Service]\n"));
    put("lib/systemd/system/multi-user.target.wants/a.service", Node::symlink("../a.service"));
    put("bin/su", with_mode(Node::program("su"), 0o4755));
    put("bin/same", Node::program("same"));
    put("bin/content", Node::program("one"));
    put("bin/mode", Node::program("x"));
    put("bin/link", Node::symlink("same"));
    put("bin/type", Node::symlink("same"));
    put("bin/removed", Node::program("x"));
    tree
}

fn with_mode(mut node: Node, mode: u16) -> Node {
    node.meta.mode = mode;
    node
}

fn new_tree() -> Tree {
    let mut tree = old_tree();
    let mut put = |path: &str, node: Node| tree.insert(path, node).unwrap();
    put("lib/os-release", Node::file("IMAGE_ID=box\nIMAGE_VERSION=2\n"));
    put(
        "share/factory/var/lib/dpkg/status",
        Node::file("Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.9\n"),
    );
    put("share/factory/etc/passwd", Node::file(PASSWD.replace("/usr/sbin/nologin", "/bin/sh")));
    put("lib/sysusers.d/x.conf", Node::file("u daemon2 99 - - -\n"));
    put("lib/systemd/system/a.service", Node::symlink("/dev/null"));
    put("lib/systemd/system/multi-user.target.d/x.conf", Node::file("[Unit]\nWants=b.service c.timer\n"));
    put("bin/su", with_mode(Node::program("su"), 0o755));
    let mut ping = Node::program("ping");
    ping.meta.xattrs.insert(
        b"security.capability".to_vec(),
        [0x0200_0001_u32, 1 << 13, 0, 0, 0].iter().flat_map(|w| w.to_le_bytes()).collect(),
    );
    put("bin/ping", ping);
    let mut chage = with_mode(Node::program("chage"), 0o2755);
    chage.meta.gid = 42;
    put("bin/chage", chage);
    put("bin/content", Node::program("two"));
    put("bin/mode", with_mode(Node::program("x"), 0o700));
    put("bin/link", Node::symlink("content"));
    put("bin/type", Node::program("same"));
    put("bin/\x1b[2Jadded", Node::program("x"));
    tree.remove("bin/removed");
    tree
}

fn report(old: &Tree, new: &Tree) -> Report {
    let ((_a, old), (_b, new)) = (image(old), image(new));
    compare(&old.path, &new.path).unwrap()
}

fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|v| v[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_kind_of_difference_is_found() {
    let report = report(&old_tree(), &new_tree());
    assert!(!report.equal());
    let json = serde_json::to_value(&report).unwrap();
    let privileges = &json["privileges"];
    assert_eq!(
        privileges["added"],
        json!([
            { "path": "/usr/bin/chage", "setgid": "shadow" },
            { "path": "/usr/bin/ping", "capabilities": "cap_net_raw=ep" },
        ])
    );
    assert_eq!(privileges["removed"], json!([{ "path": "/usr/bin/su", "setuid": "root" }]));
    assert_eq!(names(&json["packages"]["removed"], "name"), ["gone"]);
    assert_eq!(json["packages"]["changed"][0]["what"], json!(["downgrade"]));
    let unit = &json["units"]["changed"][0];
    assert_eq!((&unit["old"]["state"], &unit["new"]["state"]), (&json!("file"), &json!("masked")));
    assert_eq!(names(&json["wants"]["added"], "unit"), ["b.service", "c.timer"]);
    assert_eq!(json["wants"]["removed"], json!([]), "the link is still there");
    assert_eq!(names(&json["users"]["added"], "name"), ["daemon2"]);
    assert_eq!(json["users"]["changed"][0]["what"], json!(["shell"]));
    assert_eq!(names(&json["groups"]["added"], "name"), ["daemon2"]);
    let changed: Vec<_> = json["files"]["changed"].as_array().unwrap().iter().collect();
    let what = |path: &str| {
        let found = changed.iter().find(|c| c["new"]["path"] == path);
        found.unwrap_or_else(|| panic!("{path} is not there"))["what"].clone()
    };
    for (path, want) in
        [("content", "content"), ("mode", "mode"), ("link", "target"), ("type", "type"), ("su", "mode")]
    {
        assert_eq!(what(&format!("/usr/bin/{path}")), json!([want]), "{path}");
    }
    assert!(!changed.iter().any(|c| c["new"]["path"] == "/usr/bin/same"));
    assert_eq!(names(&json["files"]["removed"], "path"), ["/usr/bin/removed"]);
    assert!(names(&json["files"]["added"], "path").contains(&"/usr/bin/\\x1b[2Jadded".to_owned()));
    assert_eq!((&json["old"]["version"], &json["new"]["version"]), (&json!("1"), &json!("2")));
    assert_eq!(json["old"]["kernel"], "6.1");
}

#[test]
fn text_begins_with_privileges_and_cuts_lists() {
    let mut new = new_tree();
    for n in 0..30 {
        new.insert(format!("share/many/{n}"), Node::file("")).unwrap();
    }
    let report = report(&old_tree(), &new);
    let text = render(&report, false);
    let sections: Vec<&str> = text.lines().filter(|l| l.contains("difference")).collect();
    assert!(sections[0].starts_with("Privileges") && sections[0].ends_with("3 differences"), "{text}");
    for line in [
        "+ /usr/bin/ping cap_net_raw=ep",
        "- /usr/bin/su setuid root",
        "~ a:amd64 1.10 -> 1.9 (older)",
        "~ games shell /usr/sbin/nologin -> /bin/sh",
        "~ a.service file -> masked",
    ] {
        let words = |l: &str| l.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.lines().any(|l| words(l) == line), "{line}\n{text}");
    }
    assert!(text.contains("more (--all shows them)") && !text.contains('\x1b'), "{text}");
    assert!(!render(&report, true).contains("--all"));
}

#[test]
fn equal_images_are_equal_even_when_times_differ() {
    let mut new = old_tree();
    new.get_mut("bin/same").unwrap().meta.mtime.secs = 7;
    let report = report(&old_tree(), &new);
    assert!(report.equal());
    assert_eq!(report.times, 1);
    assert!(render(&report, false).ends_with("no differences\n"));
}

#[test]
fn packages_come_from_the_manifest_when_dpkg_is_gone() {
    let mut tree = old_tree();
    tree.remove("share/factory/var/lib/dpkg");
    let ((_a, old), (_b, new)) = (image(&tree), image(&tree));
    let report = compare(&old.path, &new.path).unwrap();
    assert!(report.packages.is_none() && report.notes.iter().any(|n| n.contains("no dpkg database")));
    for (image, version) in [(&old, "1"), (&new, "2")] {
        let manifest = json!({ "packages": [{ "name": "a", "version": version, "arch": "amd64" }] });
        fs_err::write(image.path.with_extension("manifest.json"), manifest.to_string()).unwrap();
    }
    let report = compare(&old.path, &new.path).unwrap();
    assert_eq!(report.packages.as_ref().unwrap().changed.len(), 1);
    assert!(!report.equal(), "a manifest counts, too");
}
