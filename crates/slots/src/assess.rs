//! Boot assessment by whoever isn't systemd-boot: a try is counted, tries are used up, a good version is blessed. The
//! names are those of systemd-boot and systemd-bless-boot, so the two take turns without knowing of each other
//! (UAPI.1 Boot Loader Specification, "Boot counting").

use std::io::ErrorKind;
use std::path::Path;

use crate::menu::failed;
use crate::{Assessment, BootFile, EntryName, Error, Esp, Result};

/// Word of the kernel's command line that names the boot entry, a file in `EFI/Linux`, when the kernel was started by
/// something else than systemd-boot.
pub const ENTRY: &str = "twinhull.entry";

/// Word that names the ESP by its partition's UUID, when there is no firmware to ask.
pub const ESP_PARTITION: &str = "twinhull.esp";

/// Word that names the bridge, on machines that were started by one.
pub const BRIDGE: &str = "twinhull.bridge";

/// In a root that a soft-reboot came to: what the kernel's command line would be, had the kernel been started for it.
pub const CMDLINE: &str = "etc/twinhull/cmdline";

/// Where systemd-boot says which entry it has counted (Boot Loader Interface of systemd). The firmware keeps it until
/// the next reset, and so while one kernel starts another.
const COUNTED: &str = "sys/firmware/efi/efivars/LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The command line that the system below `root` was started with.
///
/// # Errors
///
/// When it can't be read.
pub fn cmdline(root: &Path) -> std::io::Result<String> {
    match fs_err::read_to_string(root.join(CMDLINE)) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs_err::read_to_string(root.join("proc/cmdline"))
        }
        read => read,
    }
}

/// The boot entry on a kernel's command line, if it has one.
pub fn entry_of(cmdline: &str) -> Option<&str> {
    cmdline.split_ascii_whitespace().rev().find_map(|word| word.strip_prefix(ENTRY)?.strip_prefix('='))
}

/// Whether this boot of the machine below `root` is a counted try of a version that has yet to prove that it is good.
pub fn is_counted(root: &Path) -> bool {
    match entry_of(&cmdline(root).unwrap_or_default()) {
        // The firmware's variable is about an earlier boot.
        Some(entry) => EntryName::parse(entry).is_some_and(|name| name.counter.is_some()),
        None => root.join(COUNTED).exists(),
    }
}

/// Counts a try of an entry, as systemd-boot does before it starts one. Entries without a counter, or without tries
/// left, stay as they are.
///
/// Returns [`Error::Esp`].
pub fn count_try(esp: &(impl Esp + ?Sized), entry: &BootFile) -> Result<BootFile> {
    renamed(esp, entry, counted(entry).name.counter)
}

/// What an entry is called once [`count_try`] has counted a try of it.
pub fn counted(entry: &BootFile) -> BootFile {
    let counter = match entry.name.assessment() {
        Assessment::Trying { left, done } => Some((left - 1, done.saturating_add(1))),
        Assessment::Blessed | Assessment::Failed { .. } => entry.name.counter,
    };
    with_counter(entry, counter)
}

/// Undoes [`count_try`], which made `counted` of `before`: the version wasn't started after all.
///
/// Returns [`Error::Esp`].
pub fn give_back(esp: &(impl Esp + ?Sized), counted: &BootFile, before: &BootFile) -> Result<()> {
    renamed(esp, counted, before.name.counter).map(drop)
}

/// Takes all tries from an entry, blessed or not: systemd-boot starts it only when there is nothing better.
///
/// Returns [`Error::Esp`].
pub fn use_up(esp: &(impl Esp + ?Sized), entry: &BootFile) -> Result<BootFile> {
    let done = entry.name.counter.map_or(0, |(_, done)| done);
    renamed(esp, entry, Some((0, done)))
}

/// Takes the counter off the entry `file`: its version has proved to be good. One that was blessed already stays so.
///
/// Returns [`Error::OneFile`] when the file is there under its good name, too, and [`Error::Esp`], also when it isn't
/// there at all.
pub fn bless(esp: &(impl Esp + ?Sized), file: &str) -> Result<BootFile> {
    let missing = |why: &str| failed(file, "blessed")(std::io::Error::new(ErrorKind::NotFound, why));
    let name = EntryName::parse(file).ok_or_else(|| missing("that is no boot entry's name"))?;
    let good = EntryName { counter: None, ..name.clone() }.to_string();
    let files = esp.list().map_err(failed("EFI/Linux", "read"))?;
    // FAT keeps the case of names and doesn't tell by it.
    let find = |wanted: &str| files.iter().find(|(found, _)| found.eq_ignore_ascii_case(wanted));
    let entry = |(file, len): &(String, u64), name| BootFile { file: file.clone(), len: *len, name };
    match (find(file), find(&good)) {
        (Some(counted), None) => renamed(esp, &entry(counted, name), None),
        (None, Some(blessed)) => Ok(entry(blessed, EntryName { counter: None, ..name })),
        (Some(counted), Some(blessed)) if counted == blessed => Ok(entry(blessed, name)),
        // fsck leaves one of two names of a file empty.
        (Some(counted), Some((twin, 0))) if counted.1 > 0 => {
            esp.remove(twin).map_err(failed(twin, "removed"))?;
            esp.sync().map_err(failed("EFI/Linux", "flushed"))?;
            renamed(esp, &entry(counted, name), None)
        }
        (Some(counted), Some(blessed)) => Err(Error::OneFile(counted.0.clone(), blessed.0.clone())),
        (None, None) => Err(missing("there is no such file, and none without the counter")),
    }
}

/// Gives an entry another counter, and waits for the medium.
fn renamed(esp: &(impl Esp + ?Sized), entry: &BootFile, counter: Option<(u32, u32)>) -> Result<BootFile> {
    let new = with_counter(entry, counter);
    if new.file != entry.file {
        esp.rename(&entry.file, &new.file).map_err(failed(&entry.file, "renamed"))?;
        esp.sync().map_err(failed(&new.file, "flushed"))?;
    }
    Ok(new)
}

fn with_counter(entry: &BootFile, counter: Option<(u32, u32)>) -> BootFile {
    let name = EntryName { counter, ..entry.name.clone() };
    BootFile {
        file: if counter == entry.name.counter { entry.file.clone() } else { name.to_string() },
        len: entry.len,
        name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::boot_files;
    use crate::cuts::{each_power_cut, is_durable};
    use crate::sim::{Machine, State};

    fn esp(files: &[(&str, &str)]) -> Machine {
        let mut state = State::default();
        for (name, content) in files {
            state.put(name, content.as_bytes());
        }
        Machine::new(state)
    }

    fn names(esp: &Machine) -> Vec<String> {
        esp.state().names.into_keys().collect()
    }

    #[test]
    fn tries_are_counted_as_systemd_boot_does() {
        for (before, after) in [
            ("box_1+3.efi", "box_1+2-1.efi"),
            ("box_1+2-1.efi", "box_1+1-2.efi"),
            ("box_1+1-2.efi", "box_1+0-3.efi"),
            ("box_1+0-3.efi", "box_1+0-3.efi"),
            ("box_1.efi", "box_1.efi"),
        ] {
            let esp = esp(&[(before, "uki"), ("box_0.efi", "old")]);
            let entries = boot_files(&esp, "box").unwrap();
            let entry = entries.iter().find(|entry| entry.name.version == "1").unwrap();
            let counted = count_try(&esp, entry).unwrap();
            assert_eq!(counted.file, after);
            assert_eq!(names(&esp), ["box_0.efi", after]);
            assert!(is_durable(&esp.log()));
            give_back(&esp, &counted, entry).unwrap();
            assert_eq!(names(&esp), ["box_0.efi", before]);
        }
    }

    #[test]
    fn a_good_version_loses_its_counter() {
        for (files, entry, want) in [
            (&[("box_1+2-1.efi", "uki")][..], "box_1+2-1.efi", Ok(&["box_1.efi"][..])),
            (&[("box_1.efi", "uki")], "box_1+2-1.efi", Ok(&["box_1.efi"])),
            (&[("box_1.efi", "uki")], "box_1.efi", Ok(&["box_1.efi"])),
            (&[("box_1.efi", ""), ("box_1+2-1.efi", "uki")], "box_1+2-1.efi", Ok(&["box_1.efi"])),
            (&[("box_1.efi", "uki"), ("box_1+2-1.efi", "uki")], "box_1+2-1.efi", Err("most likely one file")),
            (&[("box_2.efi", "uki")], "box_1+2-1.efi", Err("no such file")),
            (&[("box_2.efi", "uki")], "../box_1.efi", Err("no boot entry's name")),
        ] {
            let esp = esp(files);
            match (bless(&esp, entry), want) {
                (Ok(blessed), Ok(want)) => {
                    assert_eq!(blessed.name.assessment(), Assessment::Blessed);
                    assert_eq!(esp.state().content(&blessed.file), Some(&b"uki"[..]));
                    assert_eq!(names(&esp), want);
                    assert!(is_durable(&esp.log()));
                }
                (Err(error), Err(word)) => assert!(format!("{error:?} {error}").contains(word), "{error}"),
                (found, want) => panic!("{found:?} {want:?}"),
            }
        }
    }

    /// A rename on FAT can leave both names or none; the version that was good before is never touched.
    #[test]
    fn a_power_cut_while_a_try_is_counted_leaves_the_other_version() {
        let start = esp(&[("box_1.efi", "old"), ("box_2+3.efi", "new")]);
        let machine = Machine::new(start.state());
        let entry = boot_files(&machine, "box").unwrap().into_iter().find(|e| e.name.version == "2").unwrap();
        count_try(&machine, &entry).unwrap();
        let mut states = 0;
        each_power_cut(&start.state(), &machine.log(), &mut HashSet::new(), &mut |state| {
            states += 1;
            assert_eq!(state.content("box_1.efi"), Some(&b"old"[..]));
            assert!(state.names.keys().all(|name| EntryName::parse(name).is_some()));
        });
        assert!(states >= 4, "{states}");
    }

    #[test]
    fn the_command_line_says_more_than_the_firmware() {
        let dir = tempfile::tempdir().unwrap();
        let variable = dir.path().join(COUNTED);
        for parent in [dir.path().join("proc"), variable.parent().unwrap().to_owned()] {
            fs_err::create_dir_all(parent).unwrap();
        }
        for (cmdline, variable_is_there, counted) in [
            ("quiet", false, false),
            ("quiet", true, true),
            ("quiet twinhull.entry=box_1+2-1.efi", false, true),
            ("twinhull.entry=box_1.efi quiet", true, false),
            ("twinhull.entry=box_1.efi twinhull.entry=box_2+1-2.efi", false, true),
            ("twinhull.entry=../x+1.efi", true, false),
        ] {
            fs_err::write(dir.path().join("proc/cmdline"), format!("{cmdline}\n")).unwrap();
            let _ = fs_err::remove_file(&variable);
            if variable_is_there {
                fs_err::write(&variable, "").unwrap();
            }
            assert_eq!(is_counted(dir.path()), counted, "{cmdline}");
        }
        fs_err::create_dir_all(dir.path().join("etc/twinhull")).unwrap();
        fs_err::write(dir.path().join(CMDLINE), "quiet twinhull.entry=box_3+2-1.efi\n").unwrap();
        assert!(is_counted(dir.path()), "after a soft-reboot");
    }
}
