//! Tables that sgdisk and sfdisk made, changed by us, against both; and a table that sgdisk repaired, against us.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use std::path::{Path, PathBuf};
use std::process::Command;

use twinhull_disk::types::{self, Arch};
use twinhull_slots::{Damage, Device, Disk, Gpt, Slots, State};
use uuid::{Uuid, uuid};

/// Runs a tool that the test can't do without and returns what it prints.
fn run(tool: &str, args: &[&str]) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/sbin", "/usr/sbin"].map(PathBuf::from);
    let path = std::env::join_paths(std::env::split_paths(&path).chain(system)).unwrap();
    let output = Command::new(tool).args(args).env("PATH", path).env("LC_ALL", "C.UTF-8").output();
    let output = output.unwrap_or_else(|e| panic!("this test compares with {tool}, which can't be run: {e}"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{tool} {args:?}: {text}");
    text
}

/// A disk by sgdisk, with a slot that is filled and one that is free.
fn disk(path: &Path) -> Disk {
    fs_err::File::create(path).unwrap().set_len(16 << 20).unwrap();
    let (usr, tree) = (types::usr(Arch::X86_64), types::usr_verity(Arch::X86_64));
    let mut args = vec!["-o".to_owned()];
    for (number, kind, label) in [
        (1, types::ESP, "esp"),
        (2, usr, "box_1"),
        (3, tree, "box_1_verity"),
        (4, usr, "_empty"),
        (5, tree, "_empty"),
    ] {
        args.extend([
            format!("-n{number}:0:+2M"),
            format!("-t{number}:{kind}"),
            format!("-c{number}:{label}"),
        ]);
        args.push(format!("-u{number}:{}", Uuid::from_u128(0x100 + number)));
    }
    args.push(path.to_str().unwrap().to_owned());
    run("sgdisk", &args.iter().map(String::as_str).collect::<Vec<_>>());
    Disk::open(path).unwrap()
}

fn is_sound(path: &str) {
    let text = run("sgdisk", &["-v", path]);
    assert!(text.contains("No problems found"), "{text}");
    for word in ["Caution", "Warning", "Problem:"] {
        assert!(!text.contains(word), "{text}");
    }
    run("sfdisk", &["--verify", path]);
}

const UUID: Uuid = uuid!("00112233-4455-6677-8899-aabbccddeeff");

#[test]
fn sgdisk_and_sfdisk_find_what_was_changed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let (disk, path) = (disk(&path), path.to_str().unwrap());
    let dump = || run("sfdisk", &["--dump", path]);
    let before = dump();
    let mut gpt = Gpt::read(&disk).unwrap();
    assert_eq!(gpt.damage(), None);
    let slots = Slots::new(&gpt, Arch::X86_64, "box").unwrap();
    let states: Vec<_> = slots.iter().map(|slot| slot.state.clone()).collect();
    assert!(
        matches!(&states[..], [State::Filled { version, .. }, State::Empty] if version == "1"),
        "{states:?}"
    );

    gpt.edit(4, "box_2~rc1", UUID, types::NO_AUTO | types::READ_ONLY).unwrap();
    gpt.commit(&disk).unwrap();
    is_sound(path);
    let text = run("sgdisk", &["-i4", path]);
    assert!(text.contains("Partition unique GUID: 00112233-4455-6677-8899-AABBCCDDEEFF"), "{text}");
    assert!(text.contains("Attribute flags: 9000000000000000"), "{text}");
    assert!(text.contains("Partition name: 'box_2~rc1'"), "{text}");
    let after = dump();
    let differing: Vec<_> = before.lines().zip(after.lines()).filter(|(a, b)| a != b).collect();
    assert_eq!(differing.len(), 1, "{after}");
    assert!(differing[0].1.contains("attrs=\"GUID:60,63\""), "{after}");
}

#[test]
fn what_we_repair_is_sound_and_what_they_repair_is_ours() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let disk = disk(&path);
    let path = path.to_str().unwrap();
    for (copy, at) in [("primary", 512), ("backup", disk.len() - 512)] {
        disk.write_at(&[0; 512], at).unwrap();
        let mut gpt = Gpt::read(&disk).unwrap();
        assert!(matches!(
            (copy, gpt.damage()),
            ("primary", Some(Damage::Primary(_))) | ("backup", Some(Damage::Backup(_)))
        ));
        gpt.commit(&disk).unwrap();
        is_sound(path);
    }
    // Another table in the backup, as after a commit that was interrupted.
    let mut table = vec![0; 33 * 512];
    disk.read_at(&mut table, disk.len() - 33 * 512).unwrap();
    let mut gpt = Gpt::read(&disk).unwrap();
    gpt.edit(4, "box_2", UUID, 0).unwrap();
    gpt.commit(&disk).unwrap();
    disk.write_at(&table, disk.len() - 33 * 512).unwrap();
    let mut gpt = Gpt::read(&disk).unwrap();
    assert_eq!((gpt.damage(), &gpt.partitions()[3].label[..]), (Some(&Damage::Differ), "box_2"));
    gpt.commit(&disk).unwrap();
    is_sound(path);
    // Without a primary, sgdisk takes the backup as we do.
    disk.write_at(&[0; 512], 512).unwrap();
    let ours = Gpt::read(&disk).unwrap().partitions();
    run("sgdisk", &["-c1:esp", path]);
    let gpt = Gpt::read(&disk).unwrap();
    assert_eq!((gpt.partitions(), gpt.damage()), (ours, None));
}
