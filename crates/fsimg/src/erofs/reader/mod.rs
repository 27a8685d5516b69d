//! Reads EROFS images, ours and what mkfs.erofs writes without its newer options, and is safe on any bytes.
//!
//! Everything an image says is checked against its length before memory is taken for it; folders that contain
//! themselves, overlapping extents and endless chains end in an error that names the offset.

mod data;
mod directory;
mod extents;
mod inode;

use super::superblock::{
    COMPAT_SB_CHKSUM, INCOMPAT_CHUNKS, INCOMPAT_COMPRESSION, INCOMPAT_ZERO_PADDING, MAGIC, OFFSET, SIZE,
};
use super::{BLOCK, layout};
use crate::walk::{self, Folders};
use crate::{Entry, Error, FileType, ReadAt, Result};

pub use data::FileReader;
pub use inode::Inode;

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
        visit: impl FnMut(&[u8], &Inode) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        walk::walk(self, visit)
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

impl<R: ReadAt> Folders for Reader<R> {
    type Inode = Inode;

    fn root(&self) -> Result<Inode> {
        self.root()
    }

    fn inode(&self, number: u64) -> Result<Inode> {
        self.inode(number)
    }

    fn number(inode: &Inode) -> u64 {
        inode.number
    }

    fn entries(&self, inode: &Inode) -> Result<Option<Vec<Entry>>> {
        (inode.kind == FileType::Directory).then(|| self.entries(inode)).transpose()
    }

    fn refuse(&self, inode: &Inode, reason: String) -> Error {
        damaged(inode.offset, reason)
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
