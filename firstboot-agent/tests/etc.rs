//! What is in /etc after the agent and then systemd-tmpfiles have been there, as in an initrd.

// Helpers of tests aren't tests to clippy, and the other suite uses more of them.
#![allow(clippy::unwrap_used, dead_code)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use common::Machine;

/// Lines as image-builder writes them: what is there keeps its mode.
const FRAGMENT: &str = "d /etc/ssl :0755 :0 :0 -\nd /etc/polkit-1 :0711 :0 :0 -\nd /etc/polkit-1/rules.d :0750 :0 :0 -\n\
    d /etc/sudoers.d :0750 :0 :0 -\nd /etc/sudoers.d/image :0700 :0 :0 -\n\
    C /etc/hosts - - - - /usr/share/factory/etc/hosts\n";

const IGNITION: &str = r#"{"ignition": {"version": "3.4.0"}, "storage": {
    "directories": [{"path": "/etc/ssl", "mode": 448}, {"path": "/etc/ssl/private/mine", "mode": 456}],
    "files": [
        {"path": "/etc/hosts", "mode": 384, "contents": {"source": "data:,mine"}},
        {"path": "/etc/ssl/mine.pem", "contents": {"source": "data:,mine"}},
        {"path": "/etc/polkit-1/rules.d/mine.rules", "contents": {"source": "data:,mine"}},
        {"path": "/etc/mine/file", "contents": {"source": "data:,mine"}}
    ]}}"#;

#[test]
fn folders_are_as_user_data_say_or_else_as_the_image_has_them() {
    let machine = Machine::new("local", "");
    machine.write("usr/lib/tmpfiles.d/00-twinhull-etc.conf", FRAGMENT);
    let factory = |path: &str, mode: u32| {
        let path = machine.root.join("usr/share/factory/etc").join(path);
        fs_err::create_dir_all(&path).unwrap();
        fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    for (path, mode) in [("ssl/private", 0o710), ("polkit-1/rules.d", 0o750), ("sudoers.d/image", 0o700)] {
        factory(path, mode);
    }
    for (path, mode) in [("ssl", 0o755), ("polkit-1", 0o711), ("sudoers.d", 0o750)] {
        factory(path, mode);
    }
    machine.write("usr/share/factory/etc/hosts", "image\n");
    machine.seed(&[("meta-data", "instance-id: a\n"), ("user-data", IGNITION)]);
    let out = machine.boots();
    let root = format!("--root={}", machine.root.display());
    let tmpfiles = ["--create", "--boot", "00-twinhull-etc.conf"];
    assert!(Command::new("systemd-tmpfiles").arg(root).args(tmpfiles).status().unwrap().success());
    for (path, mode) in [
        ("ssl", 0o700),
        ("ssl/private", 0o710),
        ("ssl/private/mine", 0o710),
        ("polkit-1", 0o711),
        ("polkit-1/rules.d", 0o750),
        ("polkit-1/rules.d/mine.rules", 0o644),
        ("mine", 0o755),
        ("hosts", 0o600),
        // Nobody asked for these.
        ("sudoers.d", 0o750),
        ("sudoers.d/image", 0o700),
    ] {
        let found = fs_err::metadata(machine.root.join("etc").join(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode, "{path}: {:o}\n{out}", found & 0o7777);
    }
    assert_eq!(machine.read("etc/hosts"), "mine");
}
