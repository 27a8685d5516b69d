//! Reads ext4 images, ours and what mke2fs writes without journals to replay or data in inodes, and is safe on
//! any bytes.
//!
//! Everything an image says is checked against its length before memory is taken for it; folders that contain
//! themselves, overlapping extents and endless trees end in an error that names the offset. Of the checksums
//! only the superblock's is looked at: what is to be trusted has dm-verity.

mod data;
mod directory;
mod inode;
mod xattr;

use super::checksum::crc;
use super::superblock::{
    INCOMPAT_EXTENTS, INCOMPAT_FILETYPE, INCOMPAT_FLEX_BG, MAGIC, OFFSET, RO_COMPAT_METADATA_CSUM, SIZE,
};
use crate::walk::{self, Folders};
use crate::{Entry, Error, FileType, ReadAt, Result};

pub use data::FileReader;
pub use inode::Inode;

/// There is a journal that has to be replayed first.
const INCOMPAT_RECOVER: u32 = 0x4;
/// Block numbers have 64 bits, descriptors a size.
const INCOMPAT_64BIT: u32 = 0x80;
/// Values of attributes may be in inodes of their own, which is looked at when there is one.
const INCOMPAT_EA_INODE: u32 = 0x400;
/// The checksums' seed is in the superblock.
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
/// Indexes of directories may have a third level.
const INCOMPAT_LARGEDIR: u32 = 0x4000;

const KNOWN: u32 = INCOMPAT_FILETYPE
    | INCOMPAT_EXTENTS
    | INCOMPAT_FLEX_BG
    | INCOMPAT_64BIT
    | INCOMPAT_EA_INODE
    | INCOMPAT_CSUM_SEED
    | INCOMPAT_LARGEDIR;

/// An image that is being read.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    /// Bytes of a block, of an inode and of a group's descriptor.
    block: u64,
    inode_size: u64,
    descriptor_size: u64,
    /// Byte offset of the first descriptor.
    descriptors: u64,
    inodes_each: u64,
    /// UUID, big-endian bytes.
    pub uuid: [u8; 16],
    /// Time of the build, seconds since 1970.
    pub build_time: u64,
    /// Number of inodes there is room for.
    pub inodes: u64,
    /// Length in bytes as the superblock has it.
    pub length: u64,
}

impl<R: ReadAt> Reader<R> {
    /// Reads the superblock of `source`.
    ///
    /// Returns [`Error::Damaged`] when there is none, when its checksum is wrong or when it asks for something
    /// this reader doesn't know.
    pub fn new(source: R) -> Result<Self> {
        let mut sb = vec![0; SIZE];
        source
            .read_exact_at(&mut sb, OFFSET as u64)
            .map_err(|e| damaged(OFFSET as u64, format!("the superblock can't be read: {e}")))?;
        let word = |at: usize| u32_at(&sb, at);
        let bad = |reason: String| Err(damaged(OFFSET as u64, reason));
        if u16_at(&sb, 0x38) != MAGIC {
            return bad("there is no ext4 superblock".into());
        }
        if word(0x64) & RO_COMPAT_METADATA_CSUM != 0 && crc(!0, &sb[..SIZE - 4]) != word(SIZE - 4) {
            return bad("the superblock doesn't match its checksum".into());
        }
        let features = word(0x60);
        if features & INCOMPAT_RECOVER != 0 {
            return bad("it has a journal that must be replayed; mount it once, or run e2fsck".into());
        }
        if features & !KNOWN != 0 {
            return bad(format!("it uses features this reader doesn't know ({:#x})", features & !KNOWN));
        }
        if word(0x18) > 2 {
            return bad(format!("blocks of 2^{} KiB are not supported, only up to 4 KiB", word(0x18)));
        }
        let block = 1024_u64 << word(0x18);
        let (high, descriptor_size) =
            if features & INCOMPAT_64BIT != 0 { (word(0x150), u16_at(&sb, 0xfe)) } else { (0, 32) };
        let inode_size = if word(0x4c) == 0 { 128 } else { u16_at(&sb, 0x58) };
        let (inodes, inodes_each) = (u64::from(word(0)), u64::from(word(0x28)));
        if !(128..=block).contains(&u64::from(inode_size)) || !inode_size.is_power_of_two() {
            return bad(format!("inodes can't have {inode_size} bytes"));
        }
        if !(32..=1024).contains(&descriptor_size) || inodes_each == 0 {
            return bad("its groups can't be as it says".into());
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&sb[0x68..0x78]);
        Ok(Reader {
            block,
            inode_size: u64::from(inode_size),
            descriptor_size: u64::from(descriptor_size),
            descriptors: (u64::from(word(0x14)) + 1) * block,
            inodes_each,
            uuid,
            build_time: u64::from(word(0x108)) | u64::from(sb[0x276]) << 32,
            inodes,
            length: (u64::from(word(4)) | u64::from(high) << 32).saturating_mul(block),
            source,
        })
    }

    /// The root directory.
    pub fn root(&self) -> Result<Inode> {
        let root = self.inode(u64::from(super::ROOT))?;
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

    /// Byte offset of a block, after checking that the image has it.
    fn block_offset(&self, block: u64) -> Result<u64> {
        let offset = block.checked_mul(self.block).filter(|offset| *offset < self.source.len());
        offset.ok_or_else(|| damaged(0, format!("block {block} would be behind the end of the image")))
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
    Error::Damaged { format: "ext4", offset, reason }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
