//! Writes a finished raw disk in the formats that clouds and hypervisors take.
//!
//! Every writer reads the disk once, front to back, skips what is empty, and holds a few chunks of it in memory.
//! The bytes written depend on the disk and on [`Options`] only, not on the number of processors, the holes of
//! the file, or the clock.

mod bmap;
mod disk;
mod error;
mod gcp;
mod grow;
mod qcow2;
mod vhd;
mod vmdk;
mod zst;

use std::fs::File;
use std::str::FromStr;

pub use disk::Disk;
pub use error::{Error, Result};

/// Most threads that compress at once; with it, memory stays below 128 MiB.
const MAX_WORKERS: usize = 4;

/// A format that a disk can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// QEMU's, version 3.
    Qcow2,
    /// VMware's, the streamOptimized kind that is imported.
    Vmdk,
    /// Microsoft's of a fixed size, as Azure wants it.
    Vhd,
    /// A tar.gz with a `disk.raw`, as Google Cloud wants it.
    Gcp,
    /// Compressed with Zstandard.
    RawZst,
    /// The list of blocks that bmaptool writes to a device; goes beside the raw image.
    Bmap,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 6] =
        [Format::Qcow2, Format::Vmdk, Format::Vhd, Format::Gcp, Format::RawZst, Format::Bmap];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Qcow2 => "qcow2",
            Format::Vmdk => "vmdk",
            Format::Vhd => "vhd",
            Format::Gcp => "gcp",
            Format::RawZst => "raw.zst",
            Format::Bmap => "bmap",
        }
    }

    /// How names of its files end, without a leading dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Gcp => "tar.gz",
            Format::Bmap => "raw.bmap",
            other => other.name(),
        }
    }

    /// Who takes it, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Format::Qcow2 => "QEMU, Proxmox, OpenStack",
            Format::Vmdk => "VMware ESXi and vSphere, import to AWS",
            Format::Vhd => "Azure: a fixed VHD of whole MiB",
            Format::Gcp => "Google Cloud: disk.raw of whole GiB in a tar.gz",
            Format::RawZst => "the raw disk, compressed, for download",
            Format::Bmap => "block map beside the raw disk, for bmaptool",
        }
    }

    /// What the disk's size in bytes must be a multiple of.
    fn granularity(self) -> u64 {
        match self {
            // Grains of 64 KiB; vSphere counts capacities in MiB.
            Format::Vmdk | Format::Vhd => 1 << 20,
            Format::Gcp => 1 << 30,
            Format::Qcow2 | Format::RawZst | Format::Bmap => 1,
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Format::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| Error::UnknownFormat(text.to_owned()))
    }
}

/// What isn't in the disk itself.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Name of the file that is written, which a VMDK names in its description.
    pub name: &'a str,
    /// Creation time in a VHD, in seconds since 2000-01-01 00:00 UTC.
    pub created: u32,
    /// How many threads may compress at once; more than a few are not used.
    pub workers: usize,
}

impl Options<'_> {
    fn workers(&self) -> usize {
        self.workers.clamp(1, MAX_WORKERS)
    }
}

/// Writes `disk` as `format` to the empty file `out` and returns the size in bytes that the disk has there: where a
/// format wants whole MiB or GiB, the disk is enlarged and its backup partition table moved to the new end.
///
/// `progress` is told how many of the disk's bytes are done.
///
/// Returns [`Error::TooLarge`] for a disk that doesn't fit the format, and errors of reading and writing.
pub fn write(
    disk: &Disk,
    format: Format,
    options: &Options<'_>,
    out: &mut File,
    progress: &mut dyn FnMut(u64),
) -> Result<u64> {
    let grown;
    let size = disk.size().next_multiple_of(format.granularity());
    let disk = if size == disk.size() {
        disk
    } else {
        grown = disk.grown(size)?;
        &grown
    };
    match format {
        Format::Qcow2 => qcow2::write(disk, out, progress)?,
        Format::Vmdk => vmdk::write(disk, options, out, progress)?,
        Format::Vhd => vhd::write(disk, options, out, progress)?,
        Format::Gcp => gcp::write(disk, options, out, progress)?,
        Format::RawZst => zst::write(disk, options, out, progress)?,
        Format::Bmap => bmap::write(disk, out, progress)?,
    }
    Ok(size)
}
