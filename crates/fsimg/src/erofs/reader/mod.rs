//! Reads EROFS images, ours and what mkfs.erofs writes without its newer options, and is safe on any bytes.
//!
//! Everything an image says is checked against its length before memory is taken for it; folders that contain
//! themselves, overlapping extents and endless chains end in an error that names the offset.

mod data;
mod directory;
mod extents;
mod inode;

use std::collections::HashSet;

use super::superblock::{
    COMPAT_SB_CHKSUM, INCOMPAT_CHUNKS, INCOMPAT_COMPRESSION, INCOMPAT_ZERO_PADDING, MAGIC, OFFSET, SIZE,
};
use super::{BLOCK, layout};
use crate::{Error, ReadAt, Result};

pub use data::FileReader;
pub use directory::Entry;
pub use inode::{FileType, Inode};

/// Deepest folder that is entered.
const MAX_DEPTH: usize = 512;
/// Most entries that a walk visits.
const MAX_ENTRIES: u64 = 16_000_000;

/// An image that is being read.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    /// Byte offset of node number 0.
    metadata: u64,
    /// Byte offset of shared attributes.
    shared_xattrs: u64,
    root: u64,
    /// UUID, big-endian bytes.
    pub uuid: [u8; 16],
    /// Time of the build, seconds since 1970.
    pub build_time: u64,
    /// Number of inodes.
    pub inodes: u64,
    /// Length in bytes as the superblock has it.
    pub length: u64,
    /// Names of the compression algorithms used.
    pub algorithms: Vec<&'static str>,
}

impl<R: ReadAt> Reader<R> {
    /// Reads the superblock of `source`.
    ///
    /// Returns [`Error::Damaged`] when there is none, when its checksum is wrong or when it asks for something
    /// this reader doesn't know.
    pub fn new(source: R) -> Result<Self> {
        let mut first = vec![0; BLOCK as usize];
        source
            .read_exact_at(&mut first, 0)
            .map_err(|e| damaged(0, format!("the first block can't be read: {e}")))?;
        let sb = &first[OFFSET..OFFSET + SIZE];
        let word = |at: usize| u32_at(sb, at);
        let bad = |reason: String| Err(damaged(OFFSET as u64, reason));
        if word(0) != MAGIC {
            return bad("there is no EROFS superblock".into());
        }
        if u64::from(sb[12]) != u64::from(BLOCK.trailing_zeros()) {
            return bad(format!("blocks of 2^{} bytes are not supported, only of {BLOCK}", sb[12]));
        }
        if word(8) & COMPAT_SB_CHKSUM != 0 {
            let mut block = first[OFFSET..].to_vec();
            block[4..8].fill(0);
            if !crc32c::crc32c(&block) != word(4) {
                return bad("the superblock doesn't match its checksum".into());
            }
        }
        let unknown = word(80) & !(INCOMPAT_ZERO_PADDING | INCOMPAT_COMPRESSION | INCOMPAT_CHUNKS);
        if unknown != 0 {
            return bad(format!("it uses features this reader doesn't know ({unknown:#x})"));
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&sb[48..64]);
        let used = u16_at(sb, 84);
        let named = [(0, "lz4"), (1, "lzma"), (2, "deflate"), (3, "zstd")];
        let algorithms = match word(80) & INCOMPAT_COMPRESSION {
            0 => Vec::new(),
            _ => named.iter().filter(|(bit, _)| used & 1 << bit != 0).map(|(_, name)| *name).collect(),
        };
        Ok(Reader {
            metadata: u64::from(word(40)) * BLOCK,
            shared_xattrs: u64::from(word(44)) * BLOCK,
            root: u64::from(u16_at(sb, 14)),
            uuid,
            build_time: u64_at(sb, 24),
            inodes: u64_at(sb, 16),
            length: u64::from(word(36)) * BLOCK,
            algorithms,
            source,
        })
    }

    /// The root directory.
    pub fn root(&self) -> Result<Inode> {
        let root = self.inode(self.root)?;
        if root.kind == FileType::Directory {
            return Ok(root);
        }
        Err(damaged(root.offset, "the root is no directory".into()))
    }

    /// Calls `visit` with the path (`/` for the root, `/usr/bin`) and inode of everything, parents first, names
    /// in byte order. An error of `visit` ends the walk.
    pub fn walk<E: From<Error>>(
        &self,
        mut visit: impl FnMut(&[u8], &Inode) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let root = self.root()?;
        visit(b"/", &root)?;
        let mut entered = HashSet::from([root.number]);
        let mut visited = 0;
        // Folders being listed, each with the entries still to come, last first.
        let mut open = vec![self.sorted(&root)?];
        let mut path: Vec<Vec<u8>> = Vec::new();
        while let Some(entries) = open.last_mut() {
            let Some(entry) = entries.pop() else {
                open.pop();
                path.pop();
                continue;
            };
            visited += 1;
            if visited > MAX_ENTRIES {
                return Err(damaged(root.offset, format!("there are more than {MAX_ENTRIES} entries")).into());
            }
            let inode = self.inode(entry.number)?;
            path.push(entry.name);
            let mut full = Vec::new();
            for part in &path {
                full.push(b'/');
                full.extend_from_slice(part);
            }
            visit(&full, &inode)?;
            if inode.kind != FileType::Directory {
                path.pop();
                continue;
            }
            if !entered.insert(inode.number) || open.len() >= MAX_DEPTH {
                let reason = format!("{} is nested too deeply or in itself", String::from_utf8_lossy(&full));
                return Err(damaged(inode.offset, reason).into());
            }
            open.push(self.sorted(&inode)?);
        }
        Ok(())
    }

    /// Entries of a directory but `.` and `..`, last first.
    fn sorted(&self, inode: &Inode) -> Result<Vec<Entry>> {
        let mut entries = self.entries(inode)?;
        entries.retain(|e| e.name != b"." && e.name != b"..");
        entries.sort_unstable_by(|a, b| b.name.cmp(&a.name));
        Ok(entries)
    }

    /// `len` bytes from `offset`, after checking that the image has them.
    fn bytes(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        if offset.checked_add(len).is_none_or(|end| end > self.source.len()) {
            return Err(damaged(offset, format!("{len} bytes are needed here, the image is shorter")));
        }
        let mut out = vec![0; len as usize];
        self.source.read_exact_at(&mut out, offset)?;
        Ok(out)
    }

    /// Byte offset of an inode by its number.
    fn inode_offset(&self, number: u64) -> Result<u64> {
        number
            .checked_mul(layout::SLOT)
            .and_then(|n| n.checked_add(self.metadata))
            .filter(|offset| *offset < self.source.len())
            .ok_or_else(|| damaged(0, format!("inode {number} would be behind the end of the image")))
    }
}

fn damaged(offset: u64, reason: String) -> Error {
    Error::Damaged { format: "EROFS", offset, reason }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
