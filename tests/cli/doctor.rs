//! `doctor` and `runvm` on a host without QEMU.

use std::process::Command;

use twinhull_tests::bin_dir;

fn without_qemu(name: &str) -> Command {
    let mut command = Command::new(bin_dir().join(name));
    command.env("PATH", "/nonexistent");
    command
}

#[test]
fn what_is_missing_is_named_with_its_fix() {
    let out = without_qemu("image-builder").args(["doctor", "--json"]).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    let found: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let qemu = found.as_array().unwrap().iter().find(|finding| finding["subject"] == "QEMU").unwrap();
    assert_eq!(qemu["verdict"], "bad");
    assert!(qemu["fix"].as_str().unwrap().contains("qemu-system-x86"), "{qemu}");

    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("a.raw");
    fs_err::write(&image, "x").unwrap();
    let out = without_qemu("runvm").arg(&image).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("this host lacks what guests need\nMISSING  QEMU"), "{said}");
}
