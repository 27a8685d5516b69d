//! How large each partition becomes: as the spec says, or with room for later, larger versions. Everything is
//! checked here, with the numbers, before an image is in its place.

use anyhow::Result;
use twinhull_disk::{ALIGN, Error, Layout, Sizes};
use twinhull_fsimg::fat;
use twinhull_spec::Spec;
use twinhull_sysutil::size;

use super::bios::Bios;
use super::esp::Loader;

/// UKIs that an ESP must hold: the running one, the fallback, and one being written.
const UKIS: u64 = 3;
/// Room for /var that an image file itself has.
const DEFAULT_VAR: u64 = 1 << 30;
/// Slots and ESP are rounded up to this.
const STEP: u64 = 64 << 20;
/// Slack on an ESP for the loader's own files.
const ESP_SLACK: u64 = 4 << 20;

/// The size of the ESP for UKIs of about `uki` bytes; where usr begins follows from it.
///
/// Returns [`Error::NoRoom`] naming the setting and a value that would do.
pub(super) fn esp(spec: &Spec, uki: u64, loader: &Loader, bios: Option<&Bios>) -> Result<u64> {
    // A quarter more than today's UKI, three times.
    let mut files = loader.lengths();
    files.extend(bios.map(Bios::lengths).unwrap_or_default());
    let need = files.iter().map(|(_, length)| length).sum::<u64>() + UKIS * uki + ESP_SLACK;
    let default = (need + UKIS * uki / 4).next_multiple_of(STEP).max(2 * STEP);
    let esp = asked(&spec.disk.esp)?.unwrap_or(default);
    files.extend((0..UKIS).map(|n| (format!("EFI/Linux/{n}.efi"), uki)));
    let (used, room) = if esp < fat::MIN_SIZE { (need, 0) } else { fat::usage(&files, esp)? };
    if used > room {
        return Err(Error::NoRoom {
            what: format!(
                "{UKIS} UKIs of {} with the boot loader{}",
                size::human(uki),
                if bios.is_some() { " and two bridges" } else { "" }
            ),
            size: used,
            place: "the ESP",
            room: if room == 0 { esp } else { room },
            setting: "disk.esp",
            advice: advice(used.max(fat::MIN_SIZE) + ESP_SLACK),
        }
        .into());
    }
    Ok(esp)
}

/// Lays out the disk for a usr image of `usr` bytes behind an ESP of `esp` bytes and code for a BIOS of `bios` bytes.
///
/// Returns [`Error::NoRoom`] naming the setting and a value that would do.
pub(super) fn layout(spec: &Spec, bios: u64, esp: u64, usr: u64) -> Result<Layout> {
    // Twice today's size: distributions grow, and a slot can't.
    let slot = asked(&spec.disk.usr)?.unwrap_or_else(|| (usr * 2).next_multiple_of(STEP));
    if usr > slot {
        return Err(Error::NoRoom {
            what: "the usr image".into(),
            size: usr,
            place: "a slot",
            room: slot,
            setting: "disk.usr",
            advice: advice(usr),
        }
        .into());
    }
    // Swap is made before /var and out of the same room.
    let var = asked(&spec.disk.var)?.unwrap_or(DEFAULT_VAR) + swap(spec)?.unwrap_or(0);
    Ok(Layout::new(Sizes { bios, esp, usr: slot, verity: Sizes::verity_for(slot), var }))
}

/// The size of the swap partition, if there is to be one.
pub(super) fn swap(spec: &Spec) -> Result<Option<u64>> {
    asked(&spec.disk.swap)
}

/// A size that the spec asks for, in bytes.
fn asked(text: &Option<String>) -> Result<Option<u64>> {
    let parsed = text.as_deref().map(|t| size::parse(t).map_err(anyhow::Error::msg)).transpose()?;
    Ok(parsed.map(|bytes| bytes.next_multiple_of(ALIGN)))
}

/// A size in MiB that is large enough.
fn advice(bytes: u64) -> String {
    format!("{}M", bytes.div_ceil(1 << 20))
}
