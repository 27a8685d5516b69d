//! `inspect`: which firmware an image starts with, and what a BIOS costs.

use std::fmt::Write as _;
use std::fs::File;

use anyhow::Result;
use serde::Serialize;
use twinhull_bridge::{FOLDER, Side, State};
use twinhull_disk::{table, types};
use twinhull_fsimg::fat;
use twinhull_sysutil::size;

/// What an image has for machines with a BIOS.
#[derive(Debug, Serialize)]
pub(crate) struct Bios {
    /// Bytes of the partition with GRUB's code.
    partition: u64,
    bridges: Vec<Bridge>,
    /// Bytes of the disk that all of it takes.
    bytes: u64,
}

/// A bridge on the ESP.
#[derive(Debug, Serialize)]
struct Bridge {
    side: &'static str,
    kernel: u64,
    initrd: u64,
    /// Whether it is known to work.
    good: bool,
    /// Whether it is started next.
    next: bool,
}

/// Finds it; adds to `problems` what would keep a BIOS from starting the image.
pub(crate) fn find(
    file: &File,
    partitions: &[table::Partition],
    problems: &mut Vec<String>,
) -> Result<Option<Bios>> {
    let Some(code) = partitions.iter().find(|p| p.kind == types::BIOS_BOOT) else { return Ok(None) };
    let Some(esp) = partitions.iter().find(|p| p.kind == types::ESP) else { return Ok(None) };
    let folder = format!("{FOLDER}/");
    let files = fat::read(file, esp.offset, esp.size, |path| path.starts_with(&folder))?;
    let find = |name: &str| files.iter().find(|found| found.path[folder.len()..] == *name);
    let state = match find(State::FILE) {
        Some(found) => State::parse(&found.data).map_err(|problem| problem.to_owned()),
        None => Err("it is missing".to_owned()),
    };
    let state = state.unwrap_or_else(|problem| {
        problems.push(format!("{FOLDER}/{} is no state of bridges: {problem}", State::FILE));
        State::new(Side::A)
    });
    let bridge = |side: Side| {
        let length =
            |file: &str| find(&format!("{}/{file}", side.name())).map(|found| found.data.len() as u64);
        Some(Bridge {
            side: side.name(),
            kernel: length("linux")?,
            initrd: length("initrd")?,
            good: state.good == side,
            next: state.next == side,
        })
    };
    let bridges: Vec<Bridge> = [Side::A, Side::B].into_iter().filter_map(bridge).collect();
    if !bridges.iter().any(|bridge| bridge.good) {
        problems
            .push(format!("the ESP lacks the bridge {}, so no BIOS starts this image", state.good.name()));
    }
    let bytes = code.size + bridges.iter().map(|bridge| bridge.kernel + bridge.initrd).sum::<u64>();
    Ok(Some(Bios { partition: code.size, bridges, bytes }))
}

/// For people: a line for each firmware.
pub(crate) fn render(bios: Option<&Bios>) -> String {
    let mut out = String::from("\n  starts with\n  UEFI  systemd-boot\n");
    let Some(bios) = bios else { return out };
    // Writing to a String can't fail.
    let _ = write!(out, "  BIOS  GRUB's code ({})", size::human(bios.partition));
    for bridge in &bios.bridges {
        let mut states = [(bridge.good, "good"), (bridge.next && !bridge.good, "to be tried")].into_iter();
        let state = states.find(|(is, _)| *is).map_or(String::new(), |(_, state)| format!("{state}, "));
        let (kernel, initrd) = (size::human(bridge.kernel), size::human(bridge.initrd));
        let _ = write!(out, ", bridge {} ({state}kernel {kernel}, initrd {initrd})", bridge.side);
    }
    let _ = writeln!(out, ": {} of the disk", size::human(bios.bytes));
    out
}
