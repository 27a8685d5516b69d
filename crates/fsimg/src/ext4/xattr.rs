//! Extended attributes: as many as fit behind the inode, the others in a block of their own.

use twinhull_tree::Metadata;

use super::checksum::{Checksums, crc};
use super::{BLOCK, acl, inode};
use crate::error::unsupported;
use crate::{Result, unix};

/// First word of a block and of the attributes in an inode.
pub(super) const MAGIC: u32 = 0xea02_0000;
/// Bytes of an entry before its name.
pub(super) const HEAD: usize = 16;
/// Bytes of a block before its first entry.
pub(super) const BLOCK_HEAD: usize = 32;
/// Bytes behind an inode's magic.
const IN_INODE: usize = inode::SIZE - inode::ATTRIBUTES - 4;
/// Bytes of zeros behind the last entry.
const END: usize = 4;

/// The attributes of one inode.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// What goes behind the inode; empty when nothing does.
    pub(super) inline: Vec<u8>,
    /// A block without its checksum.
    pub(super) block: Option<Vec<u8>>,
}

struct Entry<'a> {
    space: u8,
    name: &'a [u8],
    value: Vec<u8>,
}

impl Entry<'_> {
    /// Bytes of entry and value.
    fn len(&self) -> usize {
        HEAD + self.name.len().next_multiple_of(4) + self.value.len().next_multiple_of(4)
    }

    /// What the kernel finds equal blocks by.
    fn hash(&self) -> u32 {
        let name = self.name.iter().fold(0_u32, |hash, b| hash.rotate_left(5) ^ u32::from(*b));
        self.value.chunks(4).fold(name, |hash, bytes| {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            hash.rotate_left(16) ^ u32::from_le_bytes(word)
        })
    }
}

/// The attributes of the file at `path`.
///
/// Returns [`crate::Error::Unsupported`] for those that ext4 can't name or that don't fit.
pub(super) fn encode(path: &[u8], meta: &Metadata) -> Result<Attributes> {
    let mut entries = Vec::new();
    for (name, value) in &meta.xattrs {
        let (suffix, space) = unix::split_attribute(path, name, "ext4")?;
        let value = if name.starts_with(b"system.posix_acl_") {
            let no_acl = || format!("the attribute {} is no POSIX ACL", String::from_utf8_lossy(name));
            acl::to_disk(value).ok_or_else(|| unsupported(path, no_acl()))?
        } else {
            value.clone()
        };
        entries.push(Entry { space, name: suffix, value });
    }
    // The kernel looks in a block by this order.
    entries.sort_by_key(|e| (e.space, e.name.len(), e.name));
    let mut room = IN_INODE - END;
    let (inline, outside): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| {
        let fits = entry.len() <= room;
        room -= if fits { entry.len() } else { 0 };
        fits
    });
    let mut attributes = Attributes::default();
    if !inline.is_empty() {
        attributes.inline = [&MAGIC.to_le_bytes()[..], &area(&inline, IN_INODE, 0)].concat();
    }
    let (need, most) = (outside.iter().map(Entry::len).sum::<usize>(), BLOCK as usize - BLOCK_HEAD - END);
    if need > most {
        let reason = format!(
            "its extended attributes need {need} bytes more than its inode has; ext4 has {most} for them. \
             Remove attributes, or use EROFS, which holds larger ones"
        );
        return Err(unsupported(path, reason));
    }
    if !outside.is_empty() {
        let hash = outside.iter().fold(0_u32, |hash, e| hash.rotate_left(16) ^ e.hash());
        // References, blocks, hash; the checksum and what is reserved follow.
        let words = [MAGIC, 1, 1, hash];
        let mut block: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        block.resize(BLOCK_HEAD, 0);
        block.extend(area(&outside, BLOCK as usize - BLOCK_HEAD, BLOCK_HEAD));
        attributes.block = Some(block);
    }
    Ok(attributes)
}

/// `len` bytes with entries from the start and values from the end, whose places count from `base` bytes before.
fn area(entries: &[Entry<'_>], len: usize, base: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len);
    let mut values = vec![0; len];
    let mut end = len;
    for entry in entries {
        end -= entry.value.len().next_multiple_of(4);
        values[end..end + entry.value.len()].copy_from_slice(&entry.value);
        let place = if entry.value.is_empty() { 0 } else { base + end };
        out.extend([entry.name.len() as u8, entry.space]);
        out.extend((place as u16).to_le_bytes());
        out.extend([0; 4]); // no inode of its own
        out.extend((entry.value.len() as u32).to_le_bytes());
        out.extend(entry.hash().to_le_bytes());
        out.extend(entry.name);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out.extend(&values[out.len()..]);
    out
}

/// Puts the checksum into a `block` that will be the image's block `number`.
pub(super) fn seal(mut block: Vec<u8>, number: u64, checksums: &Checksums) -> Vec<u8> {
    let checksum = crc(checksums.of(&number.to_le_bytes()), &block);
    block[16..20].copy_from_slice(&checksum.to_le_bytes());
    block
}
