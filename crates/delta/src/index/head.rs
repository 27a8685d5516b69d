//! The head of an index: 32 bytes and the table of groups.

use super::{MAX_INDEX, MAX_TABLE, varint};
use crate::cut::PIECE;
use crate::extent::{GROUP_HASH, GroupHash};
use crate::scan::MAX_GROUP;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"TWINHIDX";
const VERSION: u32 = 1;
/// Bytes before the table.
const FIXED: usize = 32;

/// A line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupEntry {
    /// Bytes of the image.
    pub(crate) len: u64,
    /// Bytes of its details in the index.
    pub(crate) details: u64,
    pub(crate) hash: GroupHash,
}

/// The head of an index: what groups the image has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Length of the image in bytes; the signed release says whether that is true.
    pub image_len: u64,
    /// Length of the head itself in bytes.
    pub head_len: u64,
    /// Length of the whole index in bytes.
    pub index_len: u64,
    pub(crate) groups: Vec<GroupEntry>,
}

impl Head {
    /// Bytes from which [`Head::needed`] can tell how long the head is.
    pub const FIXED: usize = FIXED;

    /// How many bytes [`Head::parse`] needs, by the first [`Head::FIXED`] bytes of an index.
    ///
    /// Returns [`Error::TooShort`] when there are fewer, and [`Error::BadIndex`].
    pub fn needed(bytes: &[u8]) -> Result<u64> {
        let too_short = Error::TooShort { needed: FIXED as u64, available: bytes.len() as u64 };
        let fixed = bytes.get(..FIXED).ok_or(too_short)?;
        if &fixed[..8] != MAGIC {
            return Err(Error::BadIndex("it doesn't begin as one"));
        }
        if u32_at(fixed, 8) != VERSION {
            return Err(Error::BadIndex("it is of a version that this program doesn't know"));
        }
        let table = u64::from(u32_at(fixed, 24));
        if table > MAX_TABLE || u32_at(fixed, 28) != 0 {
            return Err(Error::BadIndex("its head is damaged"));
        }
        Ok(FIXED as u64 + table)
    }

    /// Reads a head from the beginning of an index; what is behind it is not looked at.
    ///
    /// Returns [`Error::TooShort`] and [`Error::BadIndex`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let needed = Head::needed(bytes)?;
        let too_short = Error::TooShort { needed, available: bytes.len() as u64 };
        let mut table = bytes.get(FIXED..needed as usize).ok_or(too_short)?;
        let count = u32_at(bytes, 12) as usize;
        if count > table.len() / (GROUP_HASH + 2) {
            return Err(Error::BadIndex("it has more groups than its table"));
        }
        let mut head = Head {
            image_len: u64::from(u32_at(bytes, 16)) | u64::from(u32_at(bytes, 20)) << 32,
            head_len: needed,
            index_len: needed,
            groups: Vec::with_capacity(count),
        };
        let mut image_len = 0_u64;
        for _ in 0..count {
            let (len, details) = (varint::take(&mut table)?, varint::take(&mut table)?);
            let hash = table.split_first_chunk::<GROUP_HASH>();
            let (hash, rest) = hash.ok_or(Error::BadIndex("its table ends too early"))?;
            table = rest;
            // Ours end with the extent that reaches the limit.
            if len == 0 || len > MAX_GROUP + PIECE || details > MAX_INDEX {
                return Err(Error::BadIndex("a group has an impossible length"));
            }
            image_len += len;
            head.index_len += details;
            head.groups.push(GroupEntry { len, details, hash: *hash });
        }
        if !table.is_empty() || image_len != head.image_len || head.index_len > MAX_INDEX {
            return Err(Error::BadIndex("its table doesn't add up"));
        }
        Ok(head)
    }
}

/// The head for these groups.
pub(super) fn encode(image_len: u64, groups: &[GroupEntry]) -> Result<Vec<u8>> {
    let mut table = Vec::new();
    for group in groups {
        varint::put(&mut table, group.len);
        varint::put(&mut table, group.details);
        table.extend(group.hash);
    }
    if table.len() as u64 > MAX_TABLE {
        return Err(Error::BadImage(format!(
            "the table of its index would have more than {MAX_TABLE} bytes"
        )));
    }
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((groups.len() as u32).to_le_bytes());
    out.extend(image_len.to_le_bytes());
    out.extend((table.len() as u32).to_le_bytes());
    out.extend([0; 4]);
    out.extend(table);
    Ok(out)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
