//! The raw disk that is written in another format: opened, checked, and read without its holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use twinhull_disk::table::{self, Table};

use crate::{Error, Result};

/// Bytes in a sector of our disks.
pub(crate) const SECTOR: u64 = 512;

/// Offset of the backup table's sector number in the primary header, which lies in sector 1.
const ALTERNATE: u64 = SECTOR + 32;

const ZEROS: [u8; 4096] = [0; 4096];

/// A raw disk with a GPT, open for reading.
#[derive(Debug)]
pub struct Disk {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// Length of the file in bytes.
    pub(crate) length: u64,
    /// Size of the disk in bytes: the file's length, or more when it was grown.
    pub(crate) size: u64,
    pub(crate) table: Table,
    /// What replaces or extends the file's bytes, in order of offset.
    pub(crate) patches: Vec<Patch>,
}

/// Bytes that differ from those of the file.
#[derive(Debug)]
pub(crate) struct Patch {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// A piece of the disk that isn't only zeros.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) offset: u64,
    pub(crate) data: Vec<u8>,
}

impl Disk {
    /// Opens the image at `path` and reads its partition table.
    ///
    /// Returns [`Error::NotRaw`] for anything else than a disk with a GPT and [`Error::WrongLength`] for one
    /// that was cut off.
    pub fn open(path: &Path) -> Result<Self> {
        let file = fs_err::File::open(path)?;
        let meta = file.metadata()?;
        let file = file.into_file();
        let not_raw = |what: &str| Error::NotRaw { path: path.to_owned(), what: what.to_owned() };
        if !meta.is_file() {
            return Err(not_raw("no regular file"));
        }
        let length = meta.len();
        let mut start = [0; 2 * SECTOR as usize];
        if length < start.len() as u64 {
            return Err(not_raw("shorter than two sectors"));
        }
        file.read_exact_at(&mut start, 0)?;
        if let Some(what) = other_format(&start) {
            return Err(not_raw(what));
        }
        if &start[SECTOR as usize..][..8] != b"EFI PART" {
            return Err(not_raw("without a GPT in its second sector"));
        }
        let mut sector = [0; 8];
        file.read_exact_at(&mut sector, ALTERNATE)?;
        let expected = u64::from_le_bytes(sector).saturating_add(1).saturating_mul(SECTOR);
        if expected != length {
            return Err(Error::WrongLength { path: path.to_owned(), length, expected });
        }
        let table = table::read(path, &file)?;
        Ok(Disk { path: path.to_owned(), file, length, size: length, table, patches: Vec::new() })
    }

    /// Size of the disk in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` from `offset` on; behind the file's end there are zeros.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let in_file = self.length.saturating_sub(offset).min(buffer.len() as u64) as usize;
        self.file.read_exact_at(&mut buffer[..in_file], offset).map_err(|e| {
            io::Error::new(e.kind(), format!("{} can't be read at byte {offset}: {e}", self.path.display()))
        })?;
        buffer[in_file..].fill(0);
        let end = offset + buffer.len() as u64;
        for patch in &self.patches {
            let (from, to) = (patch.offset.max(offset), (patch.offset + patch.bytes.len() as u64).min(end));
            if from < to {
                let source = &patch.bytes[(from - patch.offset) as usize..(to - patch.offset) as usize];
                buffer[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
            }
        }
        Ok(())
    }

    /// The pieces of `size` bytes, counted from the disk's start, that aren't only zeros. The last of the disk
    /// may be shorter.
    pub(crate) fn chunks(&self, size: u64) -> Chunks<'_> {
        Chunks { disk: self, size, at: 0, data_until: 0 }
    }

    /// The bytes from `offset` on that may be something else than zeros, as far as the file system knows.
    fn data_from(&self, offset: u64) -> io::Result<Option<(u64, u64)>> {
        let in_file = if offset < self.length {
            match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
                Ok(start) => {
                    let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start)).unwrap_or(self.length);
                    Some((start, end.min(self.length)))
                }
                Err(Errno::NXIO) => None,
                // A file system without holes.
                Err(Errno::INVAL | Errno::NOTSUP) => Some((offset, self.length)),
                Err(error) => return Err(error.into()),
            }
        } else {
            None
        };
        let patched = self.patches.iter().find_map(|patch| {
            let end = patch.offset + patch.bytes.len() as u64;
            (end > offset).then(|| (patch.offset.max(offset), end))
        });
        Ok(match (in_file, patched) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        })
    }
}

/// Iterator of [`Disk::chunks`].
#[derive(Debug)]
pub(crate) struct Chunks<'a> {
    disk: &'a Disk,
    size: u64,
    at: u64,
    /// Up to here the file system has been asked already.
    data_until: u64,
}

impl Chunks<'_> {
    fn advance(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            if self.at >= self.data_until {
                let Some((start, end)) = self.disk.data_from(self.at)? else { return Ok(None) };
                self.at = start - start % self.size;
                self.data_until = end;
            }
            let offset = self.at;
            if offset >= self.disk.size {
                return Ok(None);
            }
            let mut data = vec![0; self.size.min(self.disk.size - offset) as usize];
            self.disk.read_at(&mut data, offset)?;
            self.at += self.size;
            if !is_zero(&data) {
                return Ok(Some(Chunk { offset, data }));
            }
        }
    }
}

impl Iterator for Chunks<'_> {
    type Item = io::Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            // Nothing follows an error.
            (self.at, self.data_until) = (self.disk.size, u64::MAX);
        }
        next.transpose()
    }
}

/// Whether all of `bytes` are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|part| part == &ZEROS[..part.len()])
}

/// What a file is that begins like this, if it is no raw disk.
fn other_format(start: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 9] = [
        (b"QFI\xfb", "a qcow2 image"),
        (b"KDMV", "a VMDK"),
        (b"conectix", "a dynamic VHD"),
        (b"vhdxfile", "a VHDX"),
        (b"\x1f\x8b", "a gzip file"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"<?xml", "an XML file"),
        (b"image:", "a spec"),
    ];
    KNOWN.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, what)| *what)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use twinhull_disk::table::Partition;
    use twinhull_disk::types;
    use uuid::Uuid;

    /// A sparse disk of `size` bytes with two partitions and some data, all of it by formula.
    pub(crate) fn sample(path: &Path, size: u64) -> Disk {
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        file.set_len(size).unwrap();
        let partition = |number, kind, offset, size, label: &str| Partition {
            number,
            kind,
            uuid: Uuid::from_bytes([number as u8; 16]),
            offset,
            size,
            label: label.into(),
            flags: 0,
        };
        let usr = types::usr(types::Arch::X86_64);
        let partitions = vec![
            partition(1, types::ESP, 1 << 20, 1 << 20, "esp"),
            partition(2, usr, 2 << 20, 2 << 20, "box_1"),
            partition(3, usr, 4 << 20, 1 << 20, "_empty"),
        ];
        table::write(&mut file, &Table { uuid: Uuid::from_bytes([9; 16]), partitions }).unwrap();
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let bytes: Vec<u8> = (0..200_000).map(|_| noise()).collect();
        file.write_all_at(&bytes, (2 << 20) + 70_000).unwrap();
        file.write_all_at(b"FAT", 1 << 20).unwrap();
        // Written zeros are no different from a hole.
        file.write_all_at(&[0; 100_000], 4 << 20).unwrap();
        Disk::open(path).unwrap()
    }

    /// Everything on the disk.
    pub(crate) fn content(disk: &Disk) -> Vec<u8> {
        let mut bytes = vec![0; disk.size as usize];
        disk.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn chunks_are_the_disk_without_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let disk = sample(&dir.path().join("a.raw"), (6 << 20) + 512);
        for size in [512, 4096, 65536, 1 << 20, 4 << 20, 64 << 20] {
            let mut got = vec![0; disk.size as usize];
            let mut last = None;
            for chunk in disk.chunks(size) {
                let chunk = chunk.unwrap();
                assert!(chunk.offset % size == 0 && !is_zero(&chunk.data) && last < Some(chunk.offset));
                last = Some(chunk.offset);
                got[chunk.offset as usize..][..chunk.data.len()].copy_from_slice(&chunk.data);
            }
            assert!(got == content(&disk), "{size}");
        }
    }

    #[test]
    fn what_is_no_disk_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (start, word) in [
            (&b"QFI\xfb"[..], "a qcow2 image"),
            (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
            (b"text", "without a GPT"),
        ] {
            fs_err::write(&path, [start, &[0; 2000]].concat()).unwrap();
            let error = Disk::open(&path).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("not a raw disk"), "{error}");
        }
        fs_err::write(&path, "x").unwrap();
        assert!(Disk::open(&path).unwrap_err().to_string().contains("two sectors"));
        assert!(Disk::open(dir.path()).unwrap_err().to_string().contains("no regular file"));
        let disk = sample(&path, 6 << 20);
        File::options().write(true).open(&path).unwrap().set_len(disk.size - 512).unwrap();
        assert!(Disk::open(&path).unwrap_err().to_string().contains("truncated"));
        assert!(disk.chunks(1 << 20).any(|chunk| chunk.is_err()), "it was cut off while being read");
    }
}
