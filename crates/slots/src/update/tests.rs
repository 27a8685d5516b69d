//! What is refused before anything is changed, what is found at the end, and that an interrupted update goes on.

use std::io::Read;

use twinhull_disk::types::{self, READ_ONLY};
use uuid::Uuid;

use super::*;
use crate::samples::{ARCH, Release, disk, partitions, state, update, update_with};
use crate::sim::{Machine, Op, State};
use crate::{Disk, EspDir, Gpt, boot_files};

fn machine(one: &Release) -> Machine {
    Machine::new(state([Some(one), None], &[("box_1.efi", one)]))
}

/// Why an update doesn't begin; nothing may be changed then.
fn refusal(machine: &Machine, from: &Release, to: &Release) -> Error {
    let before = machine.state();
    let error = Update::begin(machine, machine, &to.image, &from.image.root).err().unwrap();
    assert!(machine.state() == before && machine.log().is_empty(), "{error}");
    error
}

#[test]
fn the_fallback_stays_until_the_running_version_is_blessed() {
    let [zero, one, two] = ["0", "1", "2"].map(Release::new);
    for file in ["box_1+2-1.efi", "box_1+3.efi", "box_1+0-3.efi"] {
        let start = state([Some(&zero), Some(&one)], &[("box_0.efi", &zero), (file, &one)]);
        let error = refusal(&Machine::new(start), &one, &two);
        assert!(matches!(&error, Error::NotBlessed { version } if version == "1"), "{error}");
    }
}

#[test]
fn an_esp_without_the_running_version_is_the_wrong_one() {
    let [zero, one, two] = ["0", "1", "2"].map(Release::new);
    for files in [&[("box_0.efi", &zero)][..], &[("box_1.part", &one)], &[("cat_1.efi", &one)], &[]] {
        let error = refusal(&Machine::new(state([Some(&zero), Some(&one)], files)), &one, &two);
        assert!(matches!(&error, Error::NoEntry { version } if version == "1"), "{error}");
    }
    let mut empty = state([Some(&one), None], &[]);
    empty.put("box_1.efi", b"");
    assert!(matches!(refusal(&Machine::new(empty), &one, &two), Error::NoEntry { .. }));
}

#[test]
fn images_that_cannot_be_installed_are_refused() {
    let [one, two] = ["1", "2"].map(Release::new);
    let with = |change: &dyn Fn(&mut Image)| {
        let mut to = Release::new("2");
        change(&mut to.image);
        refusal(&machine(&one), &one, &to)
    };
    assert!(matches!(with(&|i| i.data_len = 7 * 4096), Error::TooSmall { what: "usr", room: 24576, .. }));
    assert!(matches!(with(&|i| i.data_len = u64::MAX - 4095), Error::TooSmall { .. }));
    for len in [0, 4095, u64::MAX] {
        assert!(matches!(with(&|i| i.data_len = len), Error::BadLength(_)));
    }
    assert!(matches!(with(&|i| i.version = "../1".into()), Error::BadName { what: "version", .. }));
    assert!(matches!(with(&|i| i.id = "a/b".into()), Error::BadName { what: "image name", .. }));
    assert!(matches!(with(&|i| i.version = "1".into()), Error::SameVersion { number: 2, .. }));
    assert!(matches!(with(&|i| i.root = one.image.root), Error::UuidTaken { number: 2, .. }));
    assert!(matches!(with(&|i| i.id = "cat".into()), Error::Unlabelled(_)));
    assert!(matches!(with(&|i| i.arch = types::Arch::Arm64), Error::NoSlots(_)));
    assert!(matches!(with(&|i| i.uki_len = 1 << 20), Error::EspFull { .. }));
    assert!(matches!(with(&|i| i.uki_len = u64::MAX), Error::EspFull { .. }));
    let long = with(&|i| (i.id, i.version) = ("a".repeat(20), "1".repeat(16)));
    assert!(matches!(long, Error::LabelTooLong { length: 44, .. }));
    assert!(matches!(refusal(&machine(&one), &two, &two), Error::NotRunning { .. }));
    // FAT doesn't tell these from each other.
    let [upper, lower] = ["1A", "1a"].map(Release::new);
    let start = state([Some(&upper), None], &[("box_1A.efi", &upper)]);
    assert!(matches!(refusal(&Machine::new(start), &upper, &lower), Error::SameVersion { .. }));
}

#[test]
fn a_full_esp_has_room_once_the_stale_entry_is_gone() {
    let [zero, one, two] = ["0", "1", "2"].map(Release::new);
    let files = [("box_0.efi", &zero), ("box_1.efi", &one)];
    let mut machine = Machine::new(state([Some(&zero), Some(&one)], &files));
    machine.room = one.uki.len() as u64 + two.uki.len() as u64 + SLACK;
    update(&machine, &one, &two).unwrap();
    machine.room -= 1;
    let three = Release::new("3");
    let error = Update::begin(&machine, &machine, &three.image, &one.image.root).err().unwrap();
    assert!(matches!(error, Error::EspFull { .. }), "{error}");
}

#[test]
fn what_was_written_wrongly_gets_no_name() {
    let [one, two] = ["1", "2"].map(Release::new);
    let machine = machine(&one);
    for place in [0, 4096, 20479] {
        let update = Update::begin(&machine, &machine, &two.image, &one.image.root).unwrap();
        let mut data = two.data.clone();
        data[place] ^= 1;
        update.writer().write_data(&data, 0).unwrap();
        update.writer().write_tree(&two.tree, 0).unwrap();
        let error = update.finish(&mut &two.uki[..]).unwrap_err();
        assert!(matches!(error, Error::NotVerified(_)), "{error}");
        let slots = Slots::read(&machine, ARCH, "box").unwrap();
        assert_eq!(slots.iter().nth(1).unwrap().state, crate::State::Empty);
        assert_eq!(boot_files(&machine, "box").unwrap().len(), 1);
    }
    // What is right is kept: only the piece with the wrong byte, and the tree, are written.
    let before = machine.log().len();
    update(&machine, &one, &two).unwrap();
    let slot = partitions([None, None])[3].offset as usize;
    let written = machine.log()[before..]
        .iter()
        .filter(|op| matches!(op, Op::Disk { at, .. } if *at >= slot && *at < slot + 24576))
        .count();
    assert_eq!(written, 1);
}

#[test]
fn a_tree_of_another_length_is_not_believed() {
    let [one, mut two] = ["1", "2"].map(Release::new);
    let machine = machine(&one);
    two.image.data_len -= 4096;
    let update = Update::begin(&machine, &machine, &two.image, &one.image.root).unwrap();
    let rest = two.data.split_off(two.image.data_len as usize);
    update.writer().write_data(&two.data, 0).unwrap();
    assert!(matches!(update.writer().write_data(&rest, 16384), Err(Error::Bounds { .. })));
    // Of an older try.
    let at = update.writer().slot().data.offset + 16384;
    machine.write_at(&rest, at).unwrap();
    update.writer().write_tree(&two.tree, 0).unwrap();
    let error = update.finish(&mut &two.uki[..]).unwrap_err();
    assert!(matches!(error, Error::OtherLength { found: 20480, expected: 16384 }), "{error}");
}

#[test]
fn nothing_is_read_or_written_outside_of_the_image() {
    let [one, two] = ["1", "2"].map(Release::new);
    let machine = machine(&one);
    let update = Update::begin(&machine, &machine, &two.image, &one.image.root).unwrap();
    let (writer, steps) = (update.writer(), machine.log().len());
    let (data, tree) = (two.image.data_len, two.image.tree_len());
    for (room, write) in [(data, true), (tree, false)] {
        for (offset, len) in [(room, 1), (room - 1, 2), (u64::MAX, 1), (u64::MAX, 0), (0, room as usize + 1)]
        {
            let mut bytes = vec![0; len];
            let results = if write {
                [writer.write_data(&bytes, offset), writer.read_data(&mut bytes, offset)]
            } else {
                [writer.write_tree(&bytes, offset), writer.read_tree(&mut bytes, offset)]
            };
            assert!(results.iter().all(|r| matches!(r, Err(Error::Bounds { .. }))), "{offset} {len}");
        }
    }
    writer.write_data(&[], data).unwrap();
    assert_eq!(machine.log().len(), steps + 1);
}

#[test]
fn a_table_that_somebody_else_changed_is_left_alone() {
    let [one, two] = ["1", "2"].map(Release::new);
    let changes: [&dyn Fn(&mut Gpt); 3] = [
        &|gpt| gpt.edit(4, "cat", Uuid::from_u128(5), 0).unwrap(),
        &|gpt| gpt.edit(5, "_empty", Uuid::from_u128(5), types::NO_AUTO).unwrap(),
        // Not this slot: that change stays.
        &|gpt| gpt.edit(1, "EFI", Uuid::from_u128(5), 0).unwrap(),
    ];
    for (n, change) in changes.iter().enumerate() {
        let machine = machine(&one);
        let update = Update::begin(&machine, &machine, &two.image, &one.image.root).unwrap();
        update.writer().write_data(&two.data, 0).unwrap();
        update.writer().write_tree(&two.tree, 0).unwrap();
        let mut gpt = Gpt::read(&machine).unwrap();
        change(&mut gpt);
        gpt.commit(&machine).unwrap();
        let result = update.finish(&mut &two.uki[..]);
        let after = Gpt::read(&machine).unwrap();
        if n < 2 {
            assert!(matches!(result, Err(Error::Changed { number: 4 })), "{result:?}");
            assert_eq!(after.partitions(), gpt.partitions());
        } else {
            assert_eq!(result.unwrap().file, "box_2+3.efi");
            assert_eq!(
                (&after.partitions()[0].label[..], &after.partitions()[3].label[..]),
                ("EFI", "box_2")
            );
        }
    }
}

/// A UKI, and whether an error is the one that it makes.
type Case<'a> = (&'a mut dyn Read, &'a dyn Fn(&Error) -> bool);

#[test]
fn a_uki_that_is_not_the_release_s_is_no_entry() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let [one, two] = ["1", "2"].map(Release::new);
    let (mut longer, mut other) = (two.uki.clone(), two.uki.clone());
    longer.push(0);
    other[7] ^= 1;
    let len = two.uki.len() as u64;
    let cases: [Case; 5] = [
        (&mut &two.uki[1..], &|e| matches!(e, Error::WrongLength { found, .. } if *found == len - 1)),
        (&mut &longer[..], &|e| matches!(e, Error::WrongLength { found, .. } if *found == len + 1)),
        (&mut std::io::repeat(0), &|e| matches!(e, Error::WrongLength { .. })),
        (&mut &other[..], &|e| matches!(e, Error::WrongDigest { file } if file == "box_2.part")),
        (&mut Broken, &|e| matches!(e, Error::Source(_))),
    ];
    let machine = machine(&one);
    for (uki, expected) in cases {
        let update = Update::begin(&machine, &machine, &two.image, &one.image.root).unwrap();
        update.writer().write_data(&two.data, 0).unwrap();
        update.writer().write_tree(&two.tree, 0).unwrap();
        let error = update.finish(uki).unwrap_err();
        assert!(expected(&error), "{error}");
        assert_eq!(machine.list().unwrap(), [("box_1.efi".to_owned(), one.uki.len() as u64)]);
        assert_eq!(staged(&machine, &machine, &two.image).unwrap(), None);
    }
    update(&machine, &one, &two).unwrap();
    let tries = Assessment::Trying { left: 3, done: 0 };
    assert_eq!(staged(&machine, &machine, &two.image).unwrap(), Some(tries));
    assert_eq!(staged(&machine, &machine, &Release::new("3").image).unwrap(), None);
}

#[test]
fn what_is_not_this_image_s_stays() {
    let [zero, one, two] = ["0", "1", "2"].map(Release::new);
    let files = [
        "cat_1.efi",
        "cat_2.part",
        "arch-linux.efi",
        "box_0.efi.old",
        "box_0.efi",
        "box_9+1-2.EFI",
        "box_1.efi",
    ];
    let files = files.map(|name| (name, if name == "box_1.efi" { &one } else { &zero }));
    let machine = Machine::new(state([Some(&zero), Some(&one)], &files));
    update(&machine, &one, &two).unwrap();
    let left: Vec<_> = machine.list().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        left,
        ["arch-linux.efi", "box_0.efi.old", "box_1.efi", "box_2+3.efi", "cat_1.efi", "cat_2.part"]
    );
    // Another image in the slot goes with its entry, and its only.
    let start = state([Some(&zero), Some(&one)], &files);
    let machine = Machine::new(start);
    let mut gpt = Gpt::read(&machine).unwrap();
    gpt.edit(2, "cat_1", Uuid::from_u128(9), READ_ONLY).unwrap();
    gpt.commit(&machine).unwrap();
    update(&machine, &one, &two).unwrap();
    assert!(machine.list().unwrap().iter().all(|(name, _)| name != "cat_1.efi"));
    assert!(machine.list().unwrap().iter().any(|(name, _)| name == "cat_2.part"));
}

#[test]
fn the_shorter_of_two_twins_is_what_fsck_cut_off() {
    let [one, two] = ["1", "2"].map(Release::new);
    let mut start = state([Some(&one), None], &[("box_1.efi", &one)]);
    start.put("box_1+2-1.efi", &one.uki[..512]);
    let machine = Machine::new(start.clone());
    update(&machine, &one, &two).unwrap();
    assert_eq!(boot_files(&machine, "box").unwrap().len(), 2);
    // The other way round, the version isn't blessed.
    start.put("box_1+2-1.efi", &one.uki);
    start.put("box_1.efi", &one.uki[..512]);
    assert!(matches!(refusal(&Machine::new(start), &one, &two), Error::NotBlessed { .. }));
}

#[test]
fn a_file_and_a_folder_are_a_machine_too() {
    let [one, two, three] = ["1", "2", "3"].map(Release::new);
    let (temp, root) = (tempfile::NamedTempFile::new().unwrap(), tempfile::tempdir().unwrap());
    let State { disk, .. } = state([Some(&one), None], &[]);
    fs_err::write(temp.path(), disk).unwrap();
    let linux = root.path().join("EFI/Linux");
    fs_err::create_dir_all(&linux).unwrap();
    fs_err::write(linux.join("box_1.efi"), &one.uki).unwrap();
    let (disk, esp) = (Disk::open(temp.path()).unwrap(), EspDir::open(root.path()).unwrap());
    update_with(&disk, &esp, &one, &two).unwrap();
    fs_err::rename(linux.join("box_2+3.efi"), linux.join("box_2.efi")).unwrap();
    update_with(&disk, &esp, &two, &three).unwrap();
    let files: Vec<_> = boot_files(&esp, "box").unwrap().into_iter().map(|file| file.file).collect();
    assert_eq!(files, ["box_2.efi", "box_3+3.efi"]);
    assert_eq!(fs_err::read(linux.join("box_3+3.efi")).unwrap(), three.uki);
    let slots = Slots::read(&disk, ARCH, "box").unwrap();
    let slot = slots.running(&three.image.root).unwrap();
    assert_eq!((slot.data.number, slot.verify(&disk).unwrap()), (2, three.image.data_len));
    assert_eq!(slot.data.flags, types::NO_AUTO | READ_ONLY);
    let mut start = vec![0; 100];
    twinhull_fsimg::ReadAt::read_exact_at(&slot.data_of(&disk), &mut start, 0).unwrap();
    assert_eq!(start, three.data[..100]);
}

#[test]
fn slots_that_nobody_can_tell_apart_are_refused() {
    let [one, two] = ["1", "2"].map(Release::new);
    let all = partitions([Some(&one), None]);
    let with = |change: &dyn Fn(&mut Vec<twinhull_disk::table::Partition>)| {
        let mut all = all.clone();
        change(&mut all);
        let mut start = State { disk: disk(all), ..State::default() };
        start.put("box_1.efi", &one.uki);
        refusal(&Machine::new(start), &one, &two)
    };
    assert!(matches!(with(&|all| drop(all.pop())), Error::NoSlots(_)));
    assert!(matches!(with(&|all| all.truncate(3)), Error::NoTarget));
    assert!(matches!(with(&|all| all[1].label = "box_7".into()), Error::Unlabelled(_)));
    assert!(matches!(with(&|all| all[3].uuid = all[1].uuid), Error::Twice(2, 4)));
}
