//! One file of values: magic, values, index, footer.
//!
//! The index has 48 bytes a value (key, offset as u64, length as u32, CRC-32C of the value), sorted by key; the
//! footer 32 (offset of the index, number of values, CRC-32C of index and footer so far, magic). Little endian.

use std::fs::FileTimes;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::{Key, SUFFIX};

const MAGIC: &[u8; 16] = b"twinhull pack 1\n";
const ENTRY: usize = 48;
const FOOTER: usize = 32;

/// Most values in a pack that is read.
const MAX_VALUES: u64 = 4_000_000;

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    offset: u64,
    len: u32,
    checksum: u32,
}

/// A pack that is open for reading.
#[derive(Debug)]
pub(crate) struct Pack {
    file: fs_err::File,
    entries: Vec<Entry>,
}

impl Pack {
    /// Reads the index of the pack at `path`; `InvalidData` when it is damaged.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = fs_err::File::open(path)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the pack is damaged");
        let len = file.metadata()?.len();
        let index_end = len.checked_sub(FOOTER as u64).filter(|end| *end >= 16).ok_or_else(damaged)?;
        let mut footer = [0; FOOTER];
        file.file().read_exact_at(&mut footer, index_end)?;
        let mut magic = [0; 16];
        file.file().read_exact_at(&mut magic, 0)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| footer[at + n]));
        let (start, count) = (word(0), word(8));
        let matches = magic == *MAGIC
            && footer[20..32] == MAGIC[..12]
            && count <= MAX_VALUES
            && start >= 16
            && start.checked_add(count * ENTRY as u64) == Some(index_end);
        if !matches {
            return Err(damaged());
        }
        let mut index = vec![0; count as usize * ENTRY];
        file.file().read_exact_at(&mut index, start)?;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&index), &footer[..16]);
        if footer[16..20] != checksum.to_le_bytes() {
            return Err(damaged());
        }
        let entries = index
            .chunks_exact(ENTRY)
            .map(|e| Entry {
                key: std::array::from_fn(|n| e[n]),
                offset: u64::from_le_bytes(std::array::from_fn(|n| e[32 + n])),
                len: u32::from_le_bytes(std::array::from_fn(|n| e[40 + n])),
                checksum: u32::from_le_bytes(std::array::from_fn(|n| e[44 + n])),
            })
            .collect();
        Ok(Pack { file, entries })
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.iter().map(|e| &e.key)
    }

    /// The value for `key`, if it is here and whole.
    pub(crate) fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let entry = &self.entries[self.entries.binary_search_by_key(key, |e| e.key).ok()?];
        let mut value = vec![0; entry.len as usize];
        self.file.file().read_exact_at(&mut value, entry.offset).ok()?;
        (crc32c::crc32c(&value) == entry.checksum).then_some(value)
    }

    /// Notes that the pack was used. A folder that can't be written to keeps no order.
    pub(crate) fn touch(&self, now: SystemTime) {
        let _ = self.file.file().set_times(FileTimes::new().set_modified(now));
    }
}

/// A pack that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    out: BufWriter<tempfile::NamedTempFile>,
    next: u64,
    entries: Vec<Entry>,
}

impl Writer {
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let file = tempfile::Builder::new().prefix(".unfinished-").tempfile_in(dir)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(MAGIC)?;
        Ok(Writer { out, next: 16, entries: Vec::new() })
    }

    pub(crate) fn put(&mut self, key: &Key, value: &[u8]) -> io::Result<()> {
        let len = u32::try_from(value.len()).map_err(io::Error::other)?;
        self.out.write_all(value)?;
        self.entries.push(Entry { key: *key, offset: self.next, len, checksum: crc32c::crc32c(value) });
        self.next += u64::from(len);
        Ok(())
    }

    /// Writes index and footer and puts the pack into its place, named after its keys.
    pub(crate) fn finish(mut self, dir: &Path, now: SystemTime) -> io::Result<()> {
        self.entries.sort_by_key(|e| e.key);
        self.entries.dedup_by_key(|e| e.key);
        let mut index = Vec::with_capacity(self.entries.len() * ENTRY + FOOTER);
        for entry in &self.entries {
            index.extend(entry.key);
            index.extend(entry.offset.to_le_bytes());
            index.extend(entry.len.to_le_bytes());
            index.extend(entry.checksum.to_le_bytes());
        }
        index.extend(self.next.to_le_bytes());
        index.extend((self.entries.len() as u64).to_le_bytes());
        index.extend(crc32c::crc32c(&index).to_le_bytes());
        index.extend(&MAGIC[..12]);
        self.out.write_all(&index)?;
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        // As readable as the trees beside it: another user's build may share the cache.
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.as_file().set_times(FileTimes::new().set_modified(now))?;
        let digest = Sha256::digest(&index);
        let name: String = digest[..16].iter().map(|b| format!("{b:02x}")).collect();
        file.persist(dir.join(format!("{name}.{SUFFIX}"))).map_err(|e| e.error)?;
        Ok(())
    }
}
