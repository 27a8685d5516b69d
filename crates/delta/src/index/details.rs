//! The details of one group: its extents, the hashes they are found by, and what is in none of them.

use super::varint;
use crate::cut::PIECE;
use crate::extent::{EXTENT_HASH, Extent, Kind};
use crate::scan::{Group, MAX_GROUP_EXTENTS, MAX_GROUP_INLINE};
use crate::{Error, Result};

/// As small as it gets; details are made once and fetched often.
const LEVEL: i32 = 19;

/// Kinds of extents, in the two low bits of their length.
const HASHED: u64 = 0;
const INLINE: u64 = 1;
const ZERO: u64 = 2;

/// What a group is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) extents: Vec<Extent>,
    /// The bytes of its inline extents, one after the other.
    pub(crate) inline: Vec<u8>,
}

/// The details of `group` as they are in the index.
pub(super) fn encode(group: &Group) -> Result<Vec<u8>> {
    let (mut plain, mut hashes) = (Vec::new(), Vec::new());
    varint::put(&mut plain, group.extents.len() as u64);
    for extent in &group.extents {
        let kind = match extent.kind {
            Kind::Hashed(hash) => {
                hashes.extend(hash);
                HASHED
            }
            Kind::Inline => INLINE,
            Kind::Zero => ZERO,
        };
        varint::put(&mut plain, extent.len << 2 | kind);
    }
    plain.extend(&group.inline);
    let packed = zstd::bulk::compress(&plain, LEVEL)?;
    let mut out = Vec::with_capacity(packed.len() + hashes.len() + 8);
    varint::put(&mut out, plain.len() as u64);
    varint::put(&mut out, packed.len() as u64);
    out.extend(packed);
    out.extend(hashes);
    Ok(out)
}

impl Details {
    /// Reads the details of a group of `len` bytes. A few megabytes of memory at most are taken,
    /// whatever they say.
    ///
    /// Returns [`Error::BadIndex`].
    pub(crate) fn parse(mut bytes: &[u8], len: u64) -> Result<Self> {
        let (plain_len, packed_len) = (varint::take(&mut bytes)?, varint::take(&mut bytes)?);
        let bad = Error::BadIndex;
        // Ours end with the extent that reaches the limit; lengths have at most five bytes.
        if plain_len > len.min(MAX_GROUP_INLINE + PIECE) + 5 * (MAX_GROUP_EXTENTS as u64 + 1) {
            return Err(bad("a group has more in the index than in the image"));
        }
        let packed = usize::try_from(packed_len).ok().and_then(|at| bytes.split_at_checked(at));
        let (packed, mut hashes) = packed.ok_or(bad("details end too early"))?;
        let plain = zstd::bulk::decompress(packed, plain_len as usize);
        let plain = plain.ok().filter(|plain| plain.len() as u64 == plain_len);
        let plain = plain.ok_or(bad("details can't be unpacked"))?;
        let mut rest = plain.as_slice();
        let count = varint::take(&mut rest)?;
        if count > MAX_GROUP_EXTENTS as u64 {
            return Err(bad("a group has too many extents"));
        }
        let (mut extents, mut left, mut inline) = (Vec::with_capacity(count as usize), len, 0);
        for _ in 0..count {
            let value = varint::take(&mut rest)?;
            let len = value >> 2;
            let kind = match value & 3 {
                HASHED => {
                    let hash = hashes.split_first_chunk::<EXTENT_HASH>();
                    let (hash, rest) = hash.ok_or(bad("hashes are missing"))?;
                    hashes = rest;
                    Kind::Hashed(*hash)
                }
                INLINE => Kind::Inline,
                ZERO => Kind::Zero,
                _ => return Err(bad("an extent is of an unknown kind")),
            };
            if len == 0 || (value & 3 == HASHED && len > PIECE) {
                return Err(bad("an extent has an impossible length"));
            }
            left = left.checked_sub(len).ok_or(bad("a group is shorter than its extents"))?;
            inline += if kind == Kind::Inline { len } else { 0 };
            extents.push(Extent { len, kind });
        }
        if left != 0 || !hashes.is_empty() || inline != rest.len() as u64 {
            return Err(bad("details don't add up"));
        }
        Ok(Details { extents, inline: rest.to_vec() })
    }
}
