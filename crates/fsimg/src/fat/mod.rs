//! Writes a fresh FAT32 file system, the ESP, in one pass
//! (Microsoft's "FAT32 File System Specification", 1.03).
//!
//! Files are contiguous, directories come in name order, both FAT copies are equal and the backup boot
//! sector is in its place, so that fsck.vfat has nothing to say.

mod name;
mod reader;

pub use reader::{Entry, options, read};

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};

use twinhull_tree::Content;

use crate::{Error, Result};

const SECTOR: u64 = 512;
const RESERVED_SECTORS: u64 = 32;
const FATS: u64 = 2;
/// Fewer clusters make it a FAT16 in the eyes of firmware and kernel.
const MIN_CLUSTERS: u64 = 65_525;
const MAX_CLUSTERS: u64 = 0x0FFF_FFF4;
const ROOT_CLUSTER: u32 = 2;
const END_OF_CHAIN: u32 = 0x0FFF_FFFF;
const MEDIA: u8 = 0xF8;

/// Smallest FAT32 that is one for every reader, in bytes: 65,525 clusters of one sector and the rest.
pub const MIN_SIZE: u64 = 34 << 20;

/// What determines the file system besides its files.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size in bytes, a multiple of 512.
    pub size: u64,
    /// Volume serial number.
    pub serial: u32,
    /// Volume label, at most 11 upper-case characters.
    pub label: String,
    /// Time stamp of every file, seconds since 1970, written as UTC.
    pub time: u64,
}

/// Shape of a FAT32 of a given size.
#[derive(Debug, Clone, Copy)]
struct Geometry {
    sectors: u64,
    sectors_per_cluster: u64,
    fat_sectors: u64,
    clusters: u64,
}

impl Geometry {
    /// Largest cluster of at most 4 KiB that still gives enough clusters.
    fn new(size: u64) -> Result<Self> {
        let sectors = size / SECTOR;
        for sectors_per_cluster in [8, 4, 2, 1] {
            // Each cluster costs its sectors and four bytes in each FAT.
            let rest = sectors.saturating_sub(RESERVED_SECTORS);
            let upper = rest / sectors_per_cluster;
            let fat_sectors = ((upper + 2) * 4).div_ceil(SECTOR);
            let clusters = rest.saturating_sub(FATS * fat_sectors) / sectors_per_cluster;
            if (MIN_CLUSTERS..=MAX_CLUSTERS).contains(&clusters) && sectors <= u64::from(u32::MAX) {
                return Ok(Geometry { sectors, sectors_per_cluster, fat_sectors, clusters });
            }
        }
        Err(Error::BadSize(format!(
            "{size} bytes can't be a FAT32: it needs at least {MIN_CLUSTERS} clusters, so {MIN_SIZE} bytes, and less than 2 TiB"
        )))
    }

    fn cluster_size(&self) -> u64 {
        self.sectors_per_cluster * SECTOR
    }

    fn data_start(&self) -> u64 {
        (RESERVED_SECTORS + FATS * self.fat_sectors) * SECTOR
    }

    fn cluster_offset(&self, cluster: u32) -> u64 {
        self.data_start() + u64::from(cluster - ROOT_CLUSTER) * self.cluster_size()
    }
}

/// A directory while the file system is being planned.
#[derive(Debug, Default)]
struct Directory {
    directories: BTreeMap<String, Directory>,
    files: BTreeMap<String, Content>,
}

/// Bytes that `files` take in a FAT32 of `size` bytes, and the bytes it has for files and folders.
///
/// Returns [`Error::BadSize`] when no FAT32 has that size.
pub fn usage(files: &[(String, u64)], size: u64) -> Result<(u64, u64)> {
    let geometry = Geometry::new(size)?;
    let cluster = geometry.cluster_size();
    let mut folders = std::collections::BTreeSet::from([""]);
    let mut used = 0;
    for (path, len) in files {
        used += len.next_multiple_of(cluster);
        let mut parent = path.as_str();
        while let Some((up, _)) = parent.rsplit_once('/') {
            folders.insert(up);
            parent = up;
        }
    }
    Ok((used + folders.len() as u64 * cluster, geometry.clusters * cluster))
}

/// Writes the file system to `out` from its current position; `files` are (path with slashes, content).
///
/// Returns [`Error::NoRoom`] when they don't fit and [`Error::Unsupported`] for a name FAT can't hold.
pub fn write<W: Write + Seek>(files: &[(String, Content)], options: &Options, out: &mut W) -> Result<()> {
    let geometry = Geometry::new(options.size)?;
    let mut root = Directory::default();
    for (path, content) in files {
        name::check(path)?;
        let mut here = &mut root;
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        for part in folder.split('/').filter(|p| !p.is_empty()) {
            here = here.directories.entry(part.to_owned()).or_default();
        }
        here.files.insert(file.to_owned(), content.clone());
    }
    let start = out.stream_position()?;
    let mut writer = Writer {
        geometry,
        start,
        fat: vec![0x0FFF_FF00 | u32::from(MEDIA), END_OF_CHAIN],
        time: name::dos_time(options.time),
        out,
    };
    let label = name::label(&options.label)?;
    let first = writer.directory(&root, None, Some(label))?;
    assert_eq!(first, ROOT_CLUSTER);
    let free = geometry.clusters - (writer.fat.len() as u64 - 2);
    writer.finish(options.serial, label, free)?;
    out.seek(SeekFrom::Start(start + options.size))?;
    Ok(())
}

struct Writer<'a, W> {
    geometry: Geometry,
    start: u64,
    fat: Vec<u32>,
    time: (u16, u16),
    out: &'a mut W,
}

impl<W: Write + Seek> Writer<'_, W> {
    /// Takes contiguous clusters for `len` bytes and returns the first; 0 for no bytes.
    fn allocate(&mut self, len: u64) -> Result<u32> {
        if len == 0 {
            return Ok(0);
        }
        let count = len.div_ceil(self.geometry.cluster_size());
        let first = self.fat.len() as u64;
        if first - 2 + count > self.geometry.clusters {
            return Err(Error::NoRoom {
                what: "the ESP",
                needed: (first - 2 + count) * self.geometry.cluster_size(),
                available: self.geometry.clusters * self.geometry.cluster_size(),
            });
        }
        for next in first + 1..first + count {
            self.fat.push(next as u32);
        }
        self.fat.push(END_OF_CHAIN);
        Ok(first as u32)
    }

    /// Writes a directory and all below it; returns its first cluster.
    fn directory(&mut self, dir: &Directory, parent: Option<u32>, label: Option<[u8; 11]>) -> Result<u32> {
        let all: Vec<&str> = dir.directories.keys().chain(dir.files.keys()).map(String::as_str).collect();
        let names = name::encode_all(&all)?;
        let is_root = label.is_some();
        let slots: usize =
            names.iter().map(|n| n.long.len() + 1).sum::<usize>() + if is_root { 1 } else { 2 };
        let own = self.allocate((slots * 32) as u64)?;
        let mut bytes = Vec::with_capacity(slots * 32);
        if let Some(label) = label {
            bytes.extend(self.entry(&label, name::ATTR_VOLUME, 0, 0));
        } else {
            // The root's number is written as 0 in `..`.
            let up = parent.filter(|p| *p != ROOT_CLUSTER).unwrap_or(0);
            bytes.extend(self.entry(b".          ", name::ATTR_DIRECTORY, own, 0));
            bytes.extend(self.entry(b"..         ", name::ATTR_DIRECTORY, up, 0));
        }
        let mut names = names.into_iter();
        for child in dir.directories.values() {
            let Some(encoded) = names.next() else { break };
            let cluster = self.directory(child, Some(own), None)?;
            encoded.long.iter().for_each(|slot| bytes.extend(slot));
            bytes.extend(self.entry(&encoded.short, name::ATTR_DIRECTORY, cluster, 0));
        }
        for (path, content) in &dir.files {
            let Some(encoded) = names.next() else { break };
            let size = u32::try_from(content.len()).map_err(|_| Error::Unsupported {
                path: path.clone(),
                reason: "a file on FAT32 must be smaller than 4 GiB".into(),
            })?;
            let cluster = self.allocate(content.len())?;
            if cluster != 0 {
                self.out.seek(SeekFrom::Start(self.start + self.geometry.cluster_offset(cluster)))?;
                std::io::copy(&mut content.open()?, self.out)?;
            }
            encoded.long.iter().for_each(|slot| bytes.extend(slot));
            bytes.extend(self.entry(&encoded.short, name::ATTR_ARCHIVE, cluster, size));
        }
        self.out.seek(SeekFrom::Start(self.start + self.geometry.cluster_offset(own)))?;
        self.out.write_all(&bytes)?;
        Ok(own)
    }

    fn entry(&self, short: &[u8; 11], attributes: u8, cluster: u32, size: u32) -> [u8; 32] {
        let (date, time) = self.time;
        let mut entry = [0; 32];
        entry[..11].copy_from_slice(short);
        entry[11] = attributes;
        entry[14..16].copy_from_slice(&time.to_le_bytes());
        entry[16..18].copy_from_slice(&date.to_le_bytes());
        entry[18..20].copy_from_slice(&date.to_le_bytes());
        entry[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
        entry[22..24].copy_from_slice(&time.to_le_bytes());
        entry[24..26].copy_from_slice(&date.to_le_bytes());
        entry[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
        entry[28..32].copy_from_slice(&size.to_le_bytes());
        entry
    }

    /// Writes boot sectors, information sectors and both FATs.
    fn finish(&mut self, serial: u32, label: [u8; 11], free: u64) -> Result<()> {
        let boot = boot_sector(&self.geometry, serial, label);
        let info = info_sector(free as u32, self.fat.len() as u32);
        let mut end = [0; 512];
        end[510..].copy_from_slice(&[0x55, 0xAA]);
        for base in [0, 6] {
            self.out.seek(SeekFrom::Start(self.start + base * SECTOR))?;
            for sector in [&boot, &info, &end] {
                self.out.write_all(sector)?;
            }
        }
        let fat: Vec<u8> = self.fat.iter().flat_map(|e| e.to_le_bytes()).collect();
        for copy in 0..FATS {
            let at = (RESERVED_SECTORS + copy * self.geometry.fat_sectors) * SECTOR;
            self.out.seek(SeekFrom::Start(self.start + at))?;
            self.out.write_all(&fat)?;
        }
        Ok(())
    }
}

fn boot_sector(geometry: &Geometry, serial: u32, label: [u8; 11]) -> [u8; 512] {
    let mut boot = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| boot[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0xEB, 0x58, 0x90]);
    put(3, b"TWINHULL");
    put(11, &(SECTOR as u16).to_le_bytes());
    put(13, &[geometry.sectors_per_cluster as u8]);
    put(14, &(RESERVED_SECTORS as u16).to_le_bytes());
    put(16, &[FATS as u8]);
    put(21, &[MEDIA]);
    put(24, &63_u16.to_le_bytes()); // sectors per track, for readers that insist
    put(26, &255_u16.to_le_bytes()); // heads
    put(32, &(geometry.sectors as u32).to_le_bytes());
    put(36, &(geometry.fat_sectors as u32).to_le_bytes());
    put(44, &ROOT_CLUSTER.to_le_bytes());
    put(48, &1_u16.to_le_bytes()); // information sector
    put(50, &6_u16.to_le_bytes()); // backup boot sector
    put(64, &[0x80, 0, 0x29]);
    put(67, &serial.to_le_bytes());
    put(71, &label);
    put(82, b"FAT32   ");
    put(510, &[0x55, 0xAA]);
    boot
}

fn info_sector(free: u32, next: u32) -> [u8; 512] {
    let mut info = [0; 512];
    info[0..4].copy_from_slice(b"RRaA");
    info[484..488].copy_from_slice(b"rrAa");
    info[488..492].copy_from_slice(&free.to_le_bytes());
    info[492..496].copy_from_slice(&next.to_le_bytes());
    info[510..].copy_from_slice(&[0x55, 0xAA]);
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    fn options(size: u64) -> Options {
        Options { size, serial: 0x1234_5678, label: "ESP".into(), time: 1_700_000_000 }
    }

    #[test]
    fn an_independent_reader_finds_what_was_written() {
        let big: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let files = vec![
            ("EFI/BOOT/BOOTX64.EFI".to_owned(), Content::from("boot")),
            ("EFI/Linux/box_2026.11.22+3.efi".to_owned(), Content::from(big.clone())),
            ("EFI/Linux/box_2026.11.21+3.efi".to_owned(), Content::from("")),
            ("loader/loader.conf".to_owned(), Content::from("timeout 0\n")),
        ];
        let mut image = Cursor::new(vec![0; 64 << 20]);
        write(&files, &options(64 << 20), &mut image).unwrap();
        image.set_position(0);
        let fs = fatfs::FileSystem::new(image, fatfs::FsOptions::new()).unwrap();
        assert_eq!(fs.fat_type(), fatfs::FatType::Fat32);
        assert_eq!(fs.volume_label(), "ESP");
        for (path, content) in &files {
            let mut bytes = Vec::new();
            fs.root_dir().open_file(path).unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, content.read().unwrap(), "{path}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_numbers() {
        let files = vec![("a".to_owned(), Content::from(vec![0; 40 << 20]))];
        let error = write(&files, &options(36 << 20), &mut Cursor::new(Vec::new())).unwrap_err();
        assert!(matches!(error, Error::NoRoom { .. }), "{error}");
        let error = write(&[], &options(16 << 20), &mut Cursor::new(Vec::new())).unwrap_err();
        assert!(error.to_string().contains("65525"), "{error}");
        assert!(Geometry::new(MIN_SIZE).is_ok());
    }
}
