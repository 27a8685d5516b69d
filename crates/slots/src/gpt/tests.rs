//! Tables that are changed, torn, damaged and made up.

use proptest::prelude::*;
use twinhull_disk::types;

use super::*;
use crate::cuts::each_power_cut;
use crate::samples::{Release, disk, foreign_table, partitions};
use crate::sim::{Machine, Op, SECTOR, State};

/// Sectors of a table's entries.
const ENTRIES: usize = 32;

fn sample() -> Vec<u8> {
    let one = Release::new("1");
    disk(partitions([Some(&one), None]))
}

fn machine(disk: Vec<u8>) -> Machine {
    Machine::new(State { disk, ..State::default() })
}

/// Places of both headers in bytes.
fn headers(disk: &[u8]) -> [usize; 2] {
    [SECTOR, disk.len() - SECTOR]
}

/// Makes the checksums right again for the header at `at`.
fn seal(disk: &mut [u8], at: usize) {
    let header = Header::of(disk[at..at + SECTOR].to_vec());
    let from = (header.entries_lba() as usize).saturating_mul(SECTOR);
    let length = header.entry_sectors() as usize * SECTOR;
    let Some(entries) = disk.get(from..from.saturating_add(length)) else { return };
    let sealed = header.sealed(entries);
    disk[at..at + SECTOR].copy_from_slice(&sealed);
}

#[test]
fn the_crate_gpt_and_we_read_the_same() {
    let disk = sample();
    let (ours, theirs) = (Gpt::read(&disk[..]).unwrap(), foreign_table(&disk));
    assert_eq!((ours.partitions(), ours.disk()), (theirs.partitions, theirs.uuid));
    assert_eq!(ours.damage(), None);
}

#[test]
fn only_what_was_changed_changes() {
    let before = sample();
    let machine = machine(before.clone());
    let mut gpt = Gpt::read(&machine).unwrap();
    let flags = types::NO_AUTO | types::READ_ONLY;
    let label = "x".repeat(LABEL_MAX);
    gpt.edit(4, &label, Uuid::from_u128(7), flags).unwrap();
    assert_eq!(machine.state().disk, before, "only in memory");
    gpt.commit(&machine).unwrap();

    let after = machine.state().disk;
    let mut expected = foreign_table(&before);
    let changed = &mut expected.partitions[3];
    (changed.label, changed.uuid, changed.flags) = (label, Uuid::from_u128(7), flags);
    assert_eq!(foreign_table(&after), expected);
    assert_eq!(Gpt::read(&after[..]).unwrap().damage(), None);
    // Entry 4 in both copies, and the checksums of header and entries.
    let [primary, backup] = headers(&before);
    let allowed = [SECTOR * 2 + 3 * 128, backup - ENTRIES * SECTOR + 3 * 128].map(|at| at..at + 128);
    let sums = [primary, backup].map(|at| [at + 16..at + 20, at + 88..at + 92]);
    let allowed: Vec<_> = allowed.into_iter().chain(sums.into_iter().flatten()).collect();
    for (at, (a, b)) in before.iter().zip(&after).enumerate() {
        assert!(a == b || allowed.iter().any(|range| range.contains(&at)), "byte {at}");
    }
    // Each with one write that is waited for, the backup first.
    let log = machine.log();
    let [Op::Disk { at: first, .. }, Op::SyncDisk, Op::Disk { at: second, .. }, Op::SyncDisk] = &log[..]
    else {
        panic!("{} steps", log.len())
    };
    assert_eq!([*second, *first], [primary, backup - ENTRIES * SECTOR]);
    let mut again = Gpt::read(&machine).unwrap();
    again.edit(4, &"x".repeat(LABEL_MAX), Uuid::from_u128(7), flags).unwrap();
    again.commit(&machine).unwrap();
    assert_eq!(machine.log().len(), 4, "nothing was left to write");
}

#[test]
fn edits_that_cannot_be_are_refused() {
    let disk = sample();
    let mut gpt = Gpt::read(&disk[..]).unwrap();
    let uuid = gpt.partitions()[0].uuid;
    assert!(matches!(gpt.edit(6, "x", Uuid::nil(), 0), Err(Error::NoPartition { number: 6 })));
    assert!(matches!(gpt.edit(0, "x", Uuid::nil(), 0), Err(Error::NoPartition { number: 0 })));
    assert!(matches!(gpt.edit(4, "x", uuid, 0), Err(Error::UuidTaken { number: 1, .. })));
    let long = "x".repeat(LABEL_MAX + 1);
    assert!(matches!(gpt.edit(4, &long, Uuid::nil(), 0), Err(Error::LabelTooLong { length: 37, .. })));
    // Two units each.
    assert!(gpt.edit(4, &"🦀".repeat(18), Uuid::nil(), 0).is_ok());
    assert_eq!(gpt.partitions()[3].label, "🦀".repeat(18));
}

#[test]
fn whatever_is_torn_the_old_or_the_new_table_is_there() {
    let start = State { disk: sample(), ..State::default() };
    let machine = Machine::new(start.clone());
    let old = Gpt::read(&machine).unwrap().partitions();
    let change = |machine: &Machine| {
        let mut gpt = Gpt::read(machine).unwrap();
        gpt.edit(4, "new", Uuid::from_u128(7), 0).unwrap();
        gpt.edit(5, "new_verity", Uuid::from_u128(8), 0).unwrap();
        gpt.commit(machine).unwrap();
        gpt.partitions()
    };
    let new = change(&machine);
    let mut seen = Default::default();
    let mut count = [0; 3];
    each_power_cut(&start, &machine.log(), &mut seen, &mut |state| {
        let machine = Machine::new(state);
        let gpt = Gpt::read(&machine).unwrap();
        let found = gpt.partitions();
        assert!(found == old || found == new);
        count[match gpt.damage() {
            None => 0,
            Some(Damage::Differ) => 1,
            Some(_) => 2,
        }] += 1;
        assert_eq!(change(&machine), new);
        let gpt = Gpt::read(&machine).unwrap();
        assert_eq!((gpt.partitions(), gpt.damage()), (new.clone(), None));
        assert_eq!(foreign_table(&machine.state().disk).partitions, new);
    });
    assert_eq!(count[..2], [2, 1]);
    assert!(count[2] >= 4, "{count:?}");
}

#[test]
fn each_copy_is_made_good_by_the_other() {
    let disk = sample();
    let whole = Gpt::read(&disk[..]).unwrap().partitions();
    for (n, at) in headers(&disk).into_iter().enumerate() {
        for byte in [at, at + 20, at + 24, at + 72, if n == 0 { at + SECTOR } else { at - ENTRIES * SECTOR }]
        {
            let mut damaged = disk.clone();
            damaged[byte] ^= 1;
            let machine = machine(damaged);
            let mut gpt = Gpt::read(&machine).unwrap();
            assert_eq!(gpt.partitions(), whole);
            match (n, gpt.damage()) {
                (0, Some(Damage::Primary(_))) | (1, Some(Damage::Backup(_))) => {}
                (_, damage) => panic!("byte {byte}: {damage:?}"),
            }
            gpt.commit(&machine).unwrap();
            assert_eq!(machine.state().disk, disk, "byte {byte}");
        }
    }
}

#[test]
fn a_disk_that_has_grown_keeps_its_backup_in_the_middle() {
    let disk = sample();
    for damaged in [false, true] {
        let mut grown = disk.clone();
        grown.resize(disk.len() + 100 * SECTOR, 0);
        if damaged {
            grown[SECTOR] = 0;
        }
        let machine = machine(grown);
        let mut gpt = Gpt::read(&machine).unwrap();
        gpt.edit(4, "new", Uuid::from_u128(7), 0).unwrap();
        gpt.commit(&machine).unwrap();
        let after = machine.state().disk;
        assert_eq!(Gpt::read(&after[..]).unwrap().damage(), None);
        assert_eq!(Gpt::read(&after[..disk.len()]).unwrap().partitions()[3].label, "new");
        assert!(after[disk.len()..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn sectors_of_4096_bytes() {
    let (small, sector) = (sample(), 4096);
    let mut large = vec![0; 20 * sector];
    large[..SECTOR].copy_from_slice(&small[..SECTOR]);
    let mut entries = small[2 * SECTOR..][..ENTRIES * SECTOR].to_vec();
    for (n, entry) in entries.chunks_mut(128).enumerate() {
        let place = if entry[..16] == [0; 16] { 0 } else { 6 + n as u64 };
        for at in [32, 40] {
            entry[at..at + 8].copy_from_slice(&place.to_le_bytes());
        }
    }
    let mut header = small[SECTOR..2 * SECTOR].to_vec();
    header.resize(sector, 0);
    for (at, value) in [(40, 6_u64), (48, 14)] {
        header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    for (lba, other, first) in [(1, 19, 2), (19, 1, 15)] {
        let sealed = Header::of(header.clone()).moved(lba, other, first).sealed(&entries);
        large[lba as usize * sector..][..sector].copy_from_slice(&sealed);
        large[first as usize * sector..][..entries.len()].copy_from_slice(&entries);
    }
    let machine = machine(large);
    let mut gpt = Gpt::read(&machine).unwrap();
    assert_eq!((gpt.partitions()[3].offset, gpt.partitions()[3].size, gpt.damage()), (9 * 4096, 4096, None));
    gpt.edit(4, "new", Uuid::from_u128(7), 0).unwrap();
    gpt.commit(&machine).unwrap();
    assert_eq!(foreign_table(&machine.state().disk).partitions, gpt.partitions());
    let written = machine.log().into_iter().filter_map(|op| match op {
        Op::Disk { at, bytes } => Some((at / sector, bytes.len() / sector)),
        _ => None,
    });
    assert_eq!(written.collect::<Vec<_>>(), [(15, 5), (1, 5)]);
}

#[test]
fn tables_that_one_write_cannot_replace_are_refused() {
    let disk = sample();
    let with = |at: usize, value: u64| {
        let mut disk = disk.clone();
        for header in headers(&disk) {
            disk[header + at..header + at + 8].copy_from_slice(&value.to_le_bytes());
            seal(&mut disk, header);
        }
        Gpt::read(&disk[..]).err().map(|error| error.to_string()).unwrap_or_default()
    };
    // First and last sector for partitions, over the table.
    assert!(with(40, 20).contains("no room"), "{}", with(40, 20));
    let last = (disk.len() / SECTOR) as u64 - 2;
    assert!(with(48, last).contains("no room"), "{}", with(48, last));
    // The entries of both are the primary's.
    assert!(with(72, 2).contains("beside"), "{}", with(72, 2));
    // A partition over the table.
    let mut over = disk.clone();
    over[SECTOR * 2 + 32] = 1;
    seal(&mut over, SECTOR);
    assert!(Gpt::read(&over[..]).unwrap_err().to_string().contains("partition 1 lies outside"));
    let nothing = vec![0; disk.len()];
    for len in [0, 1, 511, 512, 1024, 1536, disk.len()] {
        assert!(matches!(Gpt::read(&nothing[..len]), Err(Error::NoTable { .. })), "{len}");
    }
}

/// Reads whatever it is, and when that works, changes and commits it.
fn survive(disk: Vec<u8>) {
    let machine = machine(disk);
    let Ok(mut gpt) = Gpt::read(&machine) else { return };
    let partitions = gpt.partitions();
    if let Some(first) = partitions.first() {
        gpt.edit(first.number, "changed", Uuid::from_u128(0xabc), 1).unwrap();
    }
    gpt.commit(&machine).unwrap();
    let after = Gpt::read(&machine).unwrap();
    assert_eq!((after.partitions(), after.damage()), (gpt.partitions(), None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hostile_headers(
        changes in prop::collection::vec((0..2_usize, 8..96_usize, any::<u8>()), 1..6),
        lengths in prop::collection::vec((0..2_usize, 0..8_usize, any::<u64>()), 0..3),
    ) {
        let mut disk = sample_once();
        let places = headers(&disk);
        for (copy, at, value) in changes {
            disk[places[copy] + at] = value;
        }
        let fields = [(12, 4), (24, 8), (32, 8), (40, 8), (48, 8), (72, 8), (80, 4), (84, 4)];
        for (copy, field, value) in lengths {
            let (at, size) = fields[field];
            disk[places[copy] + at..][..size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        for at in places {
            let length = u32::from_le_bytes(disk[at + 12..at + 16].try_into().unwrap());
            let header = Header::of(disk[at..at + SECTOR].to_vec());
            // Only what `sealed` can take.
            if (92..=512).contains(&length) && header.count().saturating_mul(header.entry_size()) <= disk.len() {
                seal(&mut disk, at);
            }
        }
        survive(disk);
    }

    #[test]
    fn hostile_entries(changes in prop::collection::vec((0..640_usize, any::<u8>()), 1..20)) {
        let mut disk = sample_once();
        for (at, value) in changes {
            disk[2 * SECTOR + at] = value;
        }
        seal(&mut disk, SECTOR);
        survive(disk);
    }

    #[test]
    fn noise(disk in prop::collection::vec(any::<u8>(), 0..5000)) {
        survive(disk);
    }
}

fn sample_once() -> Vec<u8> {
    static SAMPLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(sample).clone()
}
