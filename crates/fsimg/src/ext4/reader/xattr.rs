//! Extended attributes, behind the inode and in a block.

use std::collections::BTreeMap;

use super::{Inode, Reader, damaged, u16_at, u32_at};
use crate::ext4::acl;
use crate::ext4::xattr::{BLOCK_HEAD, HEAD, MAGIC};
use crate::{ReadAt, Result, unix};

type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

impl<R: ReadAt> Reader<R> {
    /// The extended attributes of an inode by full name, ACLs as programs have them.
    pub fn xattrs(&self, inode: &Inode) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut found = Attributes::new();
        if inode.rest.len() >= 4 && u32_at(&inode.rest, 0) == MAGIC {
            let area = &inode.rest[4..];
            parse(area, area, &mut found).ok_or_else(|| damaged(inode.offset, NOT_SOUND.into()))?;
        }
        if inode.attribute_block != 0 {
            let at = self.block_offset(inode.attribute_block)?;
            let block = self.bytes(at, self.block)?;
            let sound =
                u32_at(&block, 0) == MAGIC && parse(&block[BLOCK_HEAD..], &block, &mut found).is_some();
            if !sound {
                return Err(damaged(at, NOT_SOUND.into()));
            }
        }
        Ok(found)
    }
}

const NOT_SOUND: &str = "the attributes here are not sound, or of a kind this reader doesn't know";

/// Reads `entries`, whose values are in `area`.
fn parse(mut entries: &[u8], area: &[u8], found: &mut Attributes) -> Option<()> {
    while entries.len() >= 4 && u32_at(entries, 0) != 0 {
        let head = entries.get(..HEAD)?;
        let (name_len, space) = (usize::from(head[0]), head[1]);
        let (place, in_inode, len) = (u16_at(head, 2), u32_at(head, 4), u32_at(head, 8) as usize);
        let name = unix::join_attribute(space, entries.get(HEAD..HEAD + name_len)?)?;
        let value = match len {
            0 => &[],
            _ if in_inode != 0 => return None,
            _ => area.get(usize::from(place)..)?.get(..len)?,
        };
        let is_acl = name.starts_with(b"system.posix_acl_");
        let value = if is_acl { acl::from_disk(value)? } else { value.to_vec() };
        found.insert(name, value);
        entries = entries.get((HEAD + name_len).next_multiple_of(4)..)?;
    }
    Some(())
}
