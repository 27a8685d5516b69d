//! `inspect`: partitions, slots and boot entries of an image, with its hashes checked. No privileges.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use twinhull_disk::{slot, table, types};
use twinhull_fsimg::{fat, verity};
use twinhull_sysutil::{digest, size};
use twinhull_uki as uki;

use crate::image::{shown, shown_or_dash};
use crate::signatures::{self, Program};
use crate::starts::{self, Bios};

/// Everything found in an image.
#[derive(Debug, Serialize)]
pub struct Report {
    image: PathBuf,
    length: u64,
    disk_uuid: String,
    partitions: Vec<Partition>,
    slots: Vec<Slot>,
    boot_entries: Vec<Entry>,
    /// What there is for machines with a BIOS; `null` for images that start with UEFI only.
    bios: Option<Bios>,
    programs: Vec<Program>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Partition {
    number: u32,
    role: String,
    label: String,
    offset: u64,
    size: u64,
    uuid: String,
    flags: String,
}

/// One of the two usr slots.
#[derive(Debug, Serialize)]
struct Slot {
    name: char,
    state: &'static str,
    id: Option<String>,
    version: Option<String>,
    root_hash: Option<String>,
    data_length: Option<u64>,
    verity: Option<String>,
}

/// A UKI on the ESP.
#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    id: Option<String>,
    version: Option<String>,
    tries_left: Option<u32>,
    tries_done: Option<u32>,
    state: &'static str,
    kernel: Option<String>,
    root_hash: Option<String>,
    slot: Option<char>,
    length: usize,
    cmdline: Option<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn healthy(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads the image at `path`.
pub fn inspect(path: &Path) -> Result<Report> {
    let file = fs_err::File::open(path)?;
    let length = file.metadata()?.len();
    let file = file.into_file();
    let table = table::read(path, &file)?;
    let mut problems = Vec::new();
    for partition in &table.partitions {
        let end = partition.offset.checked_add(partition.size);
        if end.is_none_or(|end| end > length) {
            anyhow::bail!(
                "{}: partition {} ends behind the end of the image; it is truncated or damaged",
                path.display(),
                partition.number
            );
        }
    }
    let slots = slots(&table, &file, &mut problems);
    let (boot_entries, programs) = match table.partitions.iter().find(|p| p.kind == types::ESP) {
        Some(esp) => entries(&file, esp, &slots, &mut problems)
            .with_context(|| format!("the ESP of {} can't be read", path.display()))?,
        None => {
            problems.push("there is no ESP".into());
            Default::default()
        }
    };
    let bios = starts::find(&file, &table.partitions, &mut problems)?;
    let partitions = table
        .partitions
        .iter()
        .map(|p| Partition {
            number: p.number,
            role: types::name(p.kind).map_or_else(|| p.kind.to_string(), str::to_owned),
            label: p.label.clone(),
            offset: p.offset,
            size: p.size,
            uuid: p.uuid.to_string(),
            flags: flags(p.flags),
        })
        .collect();
    let disk_uuid = table.uuid.to_string();
    Ok(Report {
        image: path.to_owned(),
        length,
        disk_uuid,
        partitions,
        slots,
        boot_entries,
        bios,
        programs,
        problems,
    })
}

fn flags(bits: u64) -> String {
    let known = [(types::READ_ONLY, "read-only"), (types::NO_AUTO, "no-auto"), (1 << 59, "grow-fs")];
    known.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

fn slots(table: &table::Table, file: &std::fs::File, problems: &mut Vec<String>) -> Vec<Slot> {
    let of = |role: &'static str| table.partitions.iter().filter(move |p| types::name(p.kind) == Some(role));
    let trees: Vec<&table::Partition> = of("usr-verity").collect();
    let mut slots = Vec::new();
    for (index, (usr, name)) in of("usr").zip('A'..='Z').enumerate() {
        let mut slot = Slot {
            name,
            state: "empty",
            id: None,
            version: None,
            root_hash: None,
            data_length: None,
            verity: None,
        };
        if usr.label != slot::EMPTY {
            slot.state = "filled";
            if let Some((id, version)) = slot::parse_label(&usr.label) {
                slot.id = Some(id.to_owned());
                slot.version = Some(version.to_owned());
            }
            let wanted = format!("{}_verity", usr.label);
            let tree = trees.iter().find(|t| t.label == wanted).or(trees.get(index));
            match tree {
                None => problems.push(format!("slot {name} has no hash tree")),
                Some(tree) => {
                    let root = slot::root_hash(usr.uuid, tree.uuid);
                    slot.root_hash = Some(digest::hex(&root));
                    match verity::verify(file, usr.offset, usr.size, tree.offset, &root) {
                        Ok(length) => {
                            slot.data_length = Some(length);
                            slot.verity = Some("verified".into());
                        }
                        Err(error) => {
                            slot.verity = Some(error.to_string());
                            problems.push(format!("slot {name} ({}): {error}", usr.label));
                        }
                    }
                }
            }
        }
        slots.push(slot);
    }
    slots
}

/// The boot entries, and all EFI programs.
fn entries(
    file: &std::fs::File,
    esp: &table::Partition,
    slots: &[Slot],
    problems: &mut Vec<String>,
) -> Result<(Vec<Entry>, Vec<Program>)> {
    let (mut entries, mut programs) = (Vec::new(), Vec::new());
    for found in fat::read(file, esp.offset, esp.size, signatures::is_program)? {
        programs.push(signatures::program(&found.path, &found.data, problems));
        if !found.path.to_ascii_lowercase().starts_with("efi/linux/") {
            continue;
        }
        let text = |name: &str| -> Option<String> {
            let bytes = uki::section("UKI", &found.data, name).ok()??;
            Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').trim().to_owned())
        };
        if let Err(error) = uki::sections("UKI", &found.data) {
            problems.push(format!("{}: {error}", found.path));
        }
        let os_release: BTreeMap<String, String> = text(".osrel")
            .unwrap_or_default()
            .lines()
            .filter_map(|l| l.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.trim_matches('"').to_owned()))
            .collect();
        let cmdline = text(".cmdline");
        let hash = cmdline
            .as_deref()
            .and_then(|c| c.split_whitespace().find_map(|w| w.strip_prefix("usrhash=")))
            .map(str::to_owned);
        let slot = slots.iter().find(|s| hash.is_some() && s.root_hash == hash).map(|s| s.name);
        if slot.is_none() {
            problems.push(format!("{}: no slot has its root hash", found.path));
        }
        let (tries_left, tries_done) = tries(&found.path);
        entries.push(Entry {
            id: os_release.get("IMAGE_ID").cloned(),
            version: os_release.get("IMAGE_VERSION").cloned(),
            tries_left,
            tries_done,
            state: match tries_left {
                None => "good",
                Some(0) => "bad",
                Some(_) => "indeterminate",
            },
            kernel: text(".uname"),
            root_hash: hash,
            slot,
            length: found.data.len(),
            cmdline,
            path: found.path,
        });
    }
    Ok((entries, programs))
}

/// Tries left and done in `NAME+LEFT-DONE.efi` (UAPI.1 Boot Loader Specification, boot counting).
fn tries(path: &str) -> (Option<u32>, Option<u32>) {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let Some((_, counter)) = stem.rsplit_once('+') else { return (None, None) };
    let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
    match (left.parse(), done.parse()) {
        (Ok(left), Ok(done)) => (Some(left), Some(done)),
        _ => (None, None),
    }
}

/// The report as tables for people.
pub fn render(report: &Report) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(
        out,
        "{}  {}  disk {}\n",
        report.image.display(),
        size::human(report.length),
        report.disk_uuid
    );
    let _ = writeln!(
        out,
        "  #  role        label                         start       size        uuid                                  flags"
    );
    for p in &report.partitions {
        let _ = writeln!(
            out,
            "  {:<2} {:<11} {:<29} {:<11} {:<11} {:<37} {}",
            p.number,
            shown(p.role.as_bytes()),
            shown(p.label.as_bytes()),
            size::human(p.offset),
            size::human(p.size),
            p.uuid,
            p.flags
        );
    }
    let _ = writeln!(out, "\n  slot  state   version           data        verity      root hash");
    for s in &report.slots {
        let _ = writeln!(
            out,
            "  {:<5} {:<7} {:<17} {:<11} {:<11} {}",
            s.name,
            s.state,
            shown_or_dash(s.version.as_deref()),
            s.data_length.map_or("-".into(), size::human),
            s.verity.as_deref().map_or("-", |v| if v == "verified" { v } else { "FAILED" }),
            s.root_hash.as_deref().unwrap_or("-")
        );
    }
    let _ = writeln!(
        out,
        "\n  boot entry                                  version     slot  tries  state          size        kernel"
    );
    for e in &report.boot_entries {
        let tries = e.tries_left.map_or("-".into(), |left| format!("{left}/{}", e.tries_done.unwrap_or(0)));
        let _ = writeln!(
            out,
            "  {:<43} {:<11} {:<5} {:<6} {:<14} {:<11} {}",
            shown(e.path.as_bytes()),
            shown_or_dash(e.version.as_deref()),
            e.slot.map_or("-".into(), String::from),
            tries,
            e.state,
            size::human(e.length as u64),
            shown_or_dash(e.kernel.as_deref())
        );
    }
    out += &starts::render(report.bios.as_ref());
    out += &signatures::render(&report.programs);
    for problem in &report.problems {
        let _ = writeln!(out, "\nproblem: {}", shown(problem.as_bytes()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_says_can_not_talk_to_the_terminal() {
        let evil = || "x\u{1b}[2J\n\u{202e}".to_owned();
        let report = Report {
            image: "image".into(),
            length: 1,
            disk_uuid: String::new(),
            partitions: vec![Partition {
                number: 1,
                role: evil(),
                label: evil(),
                offset: 0,
                size: 1,
                uuid: String::new(),
                flags: String::new(),
            }],
            slots: vec![Slot {
                name: 'A',
                state: "filled",
                id: Some(evil()),
                version: Some(evil()),
                root_hash: None,
                data_length: None,
                verity: None,
            }],
            boot_entries: vec![Entry {
                path: evil(),
                id: Some(evil()),
                version: Some(evil()),
                tries_left: None,
                tries_done: None,
                state: "good",
                kernel: Some(evil()),
                root_hash: Some(evil()),
                slot: None,
                length: 1,
                cmdline: Some(evil()),
            }],
            bios: None,
            programs: vec![signatures::named(&evil(), &evil())],
            problems: vec![evil()],
        };
        let text = render(&report);
        assert_eq!(text.matches("x\\x1b[2J\\x0a").count(), 9, "{text:?}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']) && !text.contains("\n["), "{text:?}");
    }

    #[test]
    fn counters() {
        for (path, want) in [
            ("EFI/Linux/box_1.0+3.efi", (Some(3), Some(0))),
            ("EFI/Linux/box_1.0+2-1.efi", (Some(2), Some(1))),
            ("EFI/Linux/box_1.0.efi", (None, None)),
            ("EFI/Linux/box+x.efi", (None, None)),
        ] {
            assert_eq!(tries(path), want, "{path}");
        }
    }
}
