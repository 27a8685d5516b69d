//! The power fails at every write of an update: the machine boots, and the next update succeeds.

use std::collections::HashSet;

use crate::cuts::{each_power_cut, is_durable};
use crate::menu::Menu;
use crate::samples::{ARCH, Release, state, update};
use crate::sim::{Machine, Op, State};
use crate::{Error, Gpt, Slots, boot_files, staged};

/// A slot with a name is whole, and whatever boot entry is on the ESP has such a slot and a whole UKI. Returns the
/// versions of the entries.
fn entries(state: &State, releases: &[&Release]) -> Vec<String> {
    let machine = Machine::new(state.clone());
    let slots = Slots::read(&machine, ARCH, "box").unwrap();
    let files = boot_files(&machine, "box").unwrap();
    for slot in slots.iter().filter(|slot| slot.version().is_some()) {
        slot.verify(&machine).unwrap();
    }
    for file in &files {
        let release = releases.iter().find(|release| release.version() == file.name.version).unwrap();
        // fsck cuts off the second of two names of one file; no boot loader takes such a file for an entry.
        if file.len == 0 {
            continue;
        }
        assert!(state.content(&file.file) == Some(&release.uki[..]), "{file:?}");
        let slot = slots.iter().find(|slot| slot.version() == Some(release.version()));
        let slot = slot.unwrap_or_else(|| panic!("{file:?} has no slot"));
        assert_eq!(slot, slots.running(&release.image.root).unwrap());
    }
    files.into_iter().filter(|file| file.len > 0).map(|file| file.name.version).collect()
}

/// What fsck.fat may do at the next boot: one of two names of a file is cut off. All ways, or `state` itself.
fn repaired(state: &State) -> Vec<State> {
    let twins = state.twins();
    let Some((a, b)) = twins.first() else { return vec![state.clone()] };
    assert_eq!(twins.len(), 1);
    let error = Menu::read(&Machine::new(state.clone())).unwrap().leftovers("box", &[], "").unwrap_err();
    assert!(matches!(error, Error::OneFile(..)), "{error}");
    [a, b]
        .map(|name| {
            let mut state = state.clone();
            state.put(name, b"");
            state
        })
        .to_vec()
}

/// The last update of a test: what it leaves is exactly `to` beside `from`.
fn succeeds(state: &State, from: &Release, to: &Release, releases: &[&Release]) {
    let machine = Machine::new(state.clone());
    update(&machine, from, to).unwrap();
    let state = machine.state();
    let mut versions = entries(&state, releases);
    versions.sort();
    assert_eq!(versions, [from.version(), to.version()]);
    assert_eq!((state.names.len(), state.destroyed.len()), (2, 0), "nothing else is left on the ESP");
    assert_eq!(Gpt::read(&machine).unwrap().damage(), None);
    assert!(staged(&machine, &machine, &to.image).unwrap().is_some());
}

/// Cuts the power at every write of an update from `old` to `new`, and goes on from there; with `twice`, cuts it again
/// at every write of the update that goes on.
fn cut(start: &State, old: &Release, new: &Release, releases: &[&Release], twice: bool) {
    let next = Release::new("9");
    let all = [releases, &[&next]].concat();
    let (mut first, mut all_states) = (Vec::new(), HashSet::new());
    each_power_cut(start, &log(start, old, new), &mut all_states, &mut |state| {
        first.extend(repaired(&state))
    });
    assert!(first.len() > 300, "{}", first.len());
    for state in first {
        survives(&state, old, new, &next, &all);
        if !twice {
            continue;
        }
        let log = log(&state, old, new);
        each_power_cut(&state, &log, &mut all_states, &mut |state| {
            for state in repaired(&state) {
                survives(&state, old, new, &next, &all);
            }
        });
    }
}

/// What an update does.
fn log(start: &State, old: &Release, new: &Release) -> Vec<Op> {
    let machine = Machine::new(start.clone());
    update(&machine, old, new).unwrap();
    assert!(is_durable(&machine.log()), "what is done stays done");
    machine.log()
}

/// `state` boots, and whichever version it boots, the next update succeeds.
fn survives(state: &State, old: &Release, new: &Release, next: &Release, releases: &[&Release]) {
    let versions = entries(state, releases);
    assert!(versions.iter().any(|version| version == old.version()), "the old version boots");
    succeeds(state, old, new, releases);
    if versions.iter().any(|version| version == new.version()) {
        // The new version is booted and found to be good.
        let mut state = state.clone();
        let file = state.names.remove(&format!("box_{}+3.efi", new.version())).unwrap();
        state.names.insert(format!("box_{}.efi", new.version()), file);
        succeeds(&state, new, next, releases);
    }
}

#[test]
fn the_first_update() {
    let [one, two] = ["1", "2"].map(Release::new);
    cut(&state([Some(&one), None], &[("box_1.efi", &one)]), &one, &two, &[&one, &two], false);
}

#[test]
fn an_update_over_the_fallback() {
    let [zero, one, two] = ["0", "1", "2"].map(Release::new);
    let files = [("box_0.efi", &zero), ("box_1.efi", &one)];
    cut(&state([Some(&zero), Some(&one)], &files), &one, &two, &[&zero, &one, &two], true);
}

#[test]
fn an_update_over_what_went_wrong_before() {
    let [zero, one, two] = ["0", "1", "2"].map(Release::new);
    let files =
        [("box_0+0-3.efi", &zero), ("box_0+1-2.efi", &zero), ("box_1.efi", &one), ("box_7.part", &two)];
    let mut start = state([Some(&one), Some(&zero)], &files);
    start.put("box_0+1-2.efi", b"");
    start.put("box_1+2-1.efi", b"");
    // The backup of the table.
    let end = start.disk.len();
    start.disk[end - 512..].fill(0xff);
    cut(&start, &one, &two, &[&zero, &one, &two], false);
}

#[test]
fn two_names_of_one_file_are_left_to_fsck() {
    let [one, two] = ["1", "2"].map(Release::new);
    for (name, twin) in
        [("box_1.efi", "box_1+2-1.efi"), ("box_1.efi", "box_1.part"), ("box_0.efi", "box_0.part")]
    {
        let mut start = state([Some(&one), None], &[("box_1.efi", &one), ("box_0.efi", &one)]);
        start.names.insert(twin.into(), start.names[name]);
        let machine = Machine::new(start.clone());
        let error = update(&machine, &one, &two).unwrap_err();
        assert!(matches!(error, Error::OneFile(..)), "{error}");
        assert!(machine.state() == start);
    }
}
