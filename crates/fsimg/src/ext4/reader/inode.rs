//! Inodes.

use twinhull_tree::{DeviceNumber, Timestamp};

use super::{Reader, damaged, u16_at, u32_at};
use crate::ext4::inode::MAP;
use crate::{FileType, ReadAt, Result, filesystem, unix};

/// An inode as it is in the image.
#[derive(Debug, Clone)]
pub struct Inode {
    /// What every file system knows of it. A directory with very many folders in it has one link.
    pub common: filesystem::Inode,
    /// Its own byte offset.
    pub offset: u64,
    pub(super) flags: u32,
    /// Root of the extents, target of a short link or number of a device.
    pub(super) map: [u8; MAP],
    /// Block with attributes, or 0.
    pub(super) attribute_block: u64,
    /// What is behind the fields: attributes.
    pub(super) rest: Vec<u8>,
}

impl std::ops::Deref for Inode {
    type Target = filesystem::Inode;

    fn deref(&self) -> &filesystem::Inode {
        &self.common
    }
}

impl<R: ReadAt> Reader<R> {
    /// The inode with this number.
    ///
    /// Returns [`crate::Error::Damaged`] when it isn't there or isn't one.
    pub fn inode(&self, number: u64) -> Result<Inode> {
        if number == 0 || number > self.inodes {
            return Err(damaged(0, format!("there is no inode {number}")));
        }
        let (group, index) = ((number - 1) / self.inodes_each, (number - 1) % self.inodes_each);
        let descriptor = self.bytes(self.descriptors + group * self.descriptor_size, self.descriptor_size)?;
        let high = if descriptor.len() >= 64 { u32_at(&descriptor, 0x28) } else { 0 };
        let table = self.block_offset(u64::from(u32_at(&descriptor, 8)) | u64::from(high) << 32)?;
        let offset = table + index * self.inode_size;
        let raw = self.bytes(offset, self.inode_size)?;
        let (half, word) = (|at| u32::from(u16_at(&raw, at)), |at| u32_at(&raw, at));
        let mode = u16_at(&raw, 0);
        let kind = FileType::of_mode(mode).ok_or_else(|| {
            damaged(offset, format!("inode {number} is of the unknown type {:#o}", mode & 0o170_000))
        })?;
        let size = u64::from(word(4)) | u64::from(word(0x6c)) << 32;
        if size > u64::from(u32::MAX) * self.block {
            return Err(damaged(offset, format!("inode {number} has the impossible size {size}")));
        }
        // Fields behind the first 128 bytes: as many as it says, and as there is room for.
        let extra = if raw.len() > 130 { usize::from(u16_at(&raw, 128)) } else { 0 };
        let more = if extra >= 12 && raw.len() >= 0x8c { word(0x88) } else { 0 };
        let mut map = [0; MAP];
        map.copy_from_slice(&raw[0x28..0x28 + MAP]);
        let device = || match u32_at(&map, 0) {
            0 => unix::decode_device(u32_at(&map, 4)),
            old => DeviceNumber { major: old >> 8 & 0xff, minor: old & 0xff },
        };
        let common = filesystem::Inode {
            number,
            kind,
            mode: mode & 0o7777,
            uid: half(2) | half(0x78) << 16,
            gid: half(0x18) | half(0x7a) << 16,
            mtime: Timestamp {
                secs: i64::from(word(0x10).cast_signed()) + (i64::from(more & 3) << 32),
                nanos: (more >> 2).min(999_999_999),
            },
            size,
            links: half(0x1a),
            device: kind.is_device().then(device),
        };
        Ok(Inode {
            common,
            offset,
            flags: word(0x20),
            map,
            attribute_block: u64::from(word(0x68)) | u64::from(half(0x76)) << 32,
            rest: raw.get(128 + extra..).unwrap_or_default().to_vec(),
        })
    }
}
