//! What boots an image: the files on its ESP and the parts of its UKI, as lengths and digests.

use std::fs::File;

use anyhow::Result;
use serde::Serialize;
use twinhull_disk::table;
use twinhull_fsimg::fat;
use twinhull_sysutil::digest;
use twinhull_uki as uki;

/// Largest ESP that is read, in bytes.
const MAX_ESP: u64 = 4 << 30;

/// The ESP of an image.
#[derive(Debug, Default)]
pub(crate) struct Boot {
    /// The UKI that names the slot's root hash, or else the first one.
    pub(crate) uki: Option<Uki>,
    /// Every other file, by path.
    pub(crate) files: Vec<Part>,
}

/// A UKI.
#[derive(Debug)]
pub(crate) struct Uki {
    /// Length in bytes.
    pub(crate) length: u64,
    /// SHA-256 of the whole file.
    pub(crate) sha256: String,
    /// Kernel release.
    pub(crate) kernel: Option<String>,
    /// Words of the kernel command line.
    pub(crate) cmdline: Vec<String>,
    /// Its sections but the command line, by name.
    pub(crate) sections: Vec<Part>,
}

/// A file of the ESP or a section of a UKI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    /// Path on the ESP or name of the section.
    pub(crate) name: String,
    /// Length in bytes.
    pub(crate) length: u64,
    /// SHA-256 of the bytes.
    pub(crate) sha256: String,
}

impl Boot {
    /// Reads the partition `esp` of `file`.
    pub(crate) fn read(file: &File, esp: &table::Partition, root_hash: Option<&str>) -> Result<Self> {
        let mut boot = Boot::default();
        let mut best = false;
        for entry in fat::read(file, esp.offset, esp.size.min(MAX_ESP), |_| true)? {
            let lower = entry.path.to_ascii_lowercase();
            if !(lower.starts_with("efi/linux/") && lower.ends_with(".efi")) {
                boot.files.push(part(entry.path, &entry.data));
                continue;
            }
            let found = Uki::read(&entry.data);
            let ours = found.cmdline.iter().filter_map(|w| w.strip_prefix("usrhash=")).next() == root_hash;
            if boot.uki.is_none() || (ours && !best) {
                best = ours;
                boot.uki = Some(found);
            }
        }
        Ok(boot)
    }
}

impl Uki {
    /// What can't be read of a damaged UKI is left out; its digest says that it differs.
    fn read(data: &[u8]) -> Self {
        let section = |name: &str| uki::section("UKI", data, name).ok().flatten();
        let text = |name: &str| {
            let text = String::from_utf8_lossy(section(name)?).into_owned();
            Some(text.trim_end_matches('\0').trim().to_owned())
        };
        let mut sections: Vec<Part> = uki::sections("UKI", data)
            .unwrap_or_default()
            .into_iter()
            .filter(|s| s.name != ".cmdline")
            .filter_map(|s| Some(part(s.name.clone(), section(&s.name)?)))
            .collect();
        sections.sort_by(|a, b| a.name.cmp(&b.name));
        sections.dedup_by(|a, b| a.name == b.name);
        Uki {
            length: data.len() as u64,
            sha256: digest::sha256_hex(data),
            kernel: text(".uname"),
            cmdline: text(".cmdline").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            sections,
        }
    }
}

fn part(name: String, data: &[u8]) -> Part {
    Part { name, length: data.len() as u64, sha256: digest::sha256_hex(data) }
}
