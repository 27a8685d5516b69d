//! The file of patches: a table of what they make from what, and the patches.

use std::ops::Range;

use twinhull_fsimg::erofs::{Compression, SEGMENT};

use super::codec::Form;
use crate::extent::{GROUP_HASH, GroupHash};
use crate::index::varint;
use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"TWINHPAT";
const VERSION: u32 = 1;
/// Bytes before the table.
const FIXED: usize = 24;
/// Longest table, in bytes, packed and not.
const MAX_TABLE: u64 = 4 << 20;
/// Flags of an entry: the new data is in clusters; old and new data are what xz files have.
const PACKED: u64 = 1;
const XZ: u64 = 2;
/// How far before and behind a part the old file is looked at.
pub(crate) const AROUND: u64 = 1 << 20;

/// One patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Path in the old image.
    pub(crate) path: Vec<u8>,
    /// Bytes of the old file's data.
    pub(crate) old: Range<u64>,
    pub(crate) old_hash: GroupHash,
    /// Place and length in the new image, and the hash of what is there.
    pub(crate) to: u64,
    pub(crate) len: u64,
    pub(crate) hash: GroupHash,
    /// Bytes of new data.
    pub(crate) plain_len: u64,
    pub(crate) packed: bool,
    /// Whether data is what an xz file has, old and new.
    pub(crate) xz: bool,
    /// Where in the file the patch is.
    pub(crate) range: Range<u64>,
}

/// The table of a file of patches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patches {
    pub(crate) compression: Option<Compression>,
    pub(crate) entries: Vec<Entry>,
}

impl Patches {
    /// Bytes from which [`Patches::needed`] can tell how long the table is.
    pub const FIXED: usize = FIXED;

    /// How many bytes [`Patches::parse`] needs, by the first [`Patches::FIXED`] bytes of a file of patches.
    ///
    /// Returns [`Error::TooShort`] when there are fewer, and [`Error::BadIndex`].
    pub fn needed(bytes: &[u8]) -> Result<u64> {
        let too_short = Error::TooShort { needed: FIXED as u64, available: bytes.len() as u64 };
        let fixed = bytes.get(..FIXED).ok_or(too_short)?;
        if &fixed[..8] != MAGIC || u32_at(fixed, 8) != VERSION {
            return Err(Error::BadIndex("these are no patches that this program knows"));
        }
        let (packed, plain) = (u64::from(u32_at(fixed, 12)), u64::from(u32_at(fixed, 16)));
        if packed > MAX_TABLE || plain > MAX_TABLE || u32_at(fixed, 20) != 0 {
            return Err(Error::BadIndex("the table of patches is damaged"));
        }
        Ok(FIXED as u64 + packed)
    }

    /// Reads the table; the patches behind it are not looked at.
    ///
    /// Returns [`Error::TooShort`] and [`Error::BadIndex`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let needed = Patches::needed(bytes)?;
        let too_short = Error::TooShort { needed, available: bytes.len() as u64 };
        let packed = bytes.get(FIXED..needed as usize).ok_or(too_short)?;
        let plain_len = u32_at(bytes, 16) as usize;
        let plain = zstd::bulk::decompress(packed, plain_len).ok().filter(|plain| plain.len() == plain_len);
        let plain = plain.ok_or(Error::BadIndex("the table of patches can't be unpacked"))?;
        let mut rest = plain.as_slice();
        let name = take_bytes(&mut rest)?;
        let cluster = varint::take(&mut rest)?;
        let compression = if name.is_empty() { None } else { Some(compression(name, cluster)?) };
        let (mut entries, mut at) = (Vec::new(), needed);
        while !rest.is_empty() {
            let mut entry = Entry {
                path: take_bytes(&mut rest)?.to_vec(),
                old: 0..0,
                old_hash: [0; GROUP_HASH],
                to: varint::take(&mut rest)?,
                len: varint::take(&mut rest)?,
                hash: [0; GROUP_HASH],
                plain_len: varint::take(&mut rest)?,
                packed: false,
                xz: false,
                range: 0..0,
            };
            let flags = varint::take(&mut rest)?;
            if flags & !(PACKED | XZ) != 0 {
                return Err(Error::BadIndex("a patch is of a kind that this program doesn't know"));
            }
            (entry.packed, entry.xz) = (flags & PACKED != 0, flags & XZ != 0);
            let (old, old_len, patch) =
                (varint::take(&mut rest)?, varint::take(&mut rest)?, varint::take(&mut rest)?);
            let ends = [(entry.to, entry.len), (old, old_len), (at, patch)].map(|(a, b)| a.checked_add(b));
            let ([Some(_), Some(old_end), Some(patch_end)], [hash, old_hash]) =
                (ends, [take_hash(&mut rest)?, take_hash(&mut rest)?])
            else {
                return Err(Error::BadIndex("a patch has an impossible length"));
            };
            let longest = SEGMENT + 2 * AROUND;
            if entry.plain_len > SEGMENT || old_len > longest || entry.len > longest || patch > longest {
                return Err(Error::BadIndex("a patch is too long"));
            }
            // It is packed as a whole, and memory is short.
            if entry.xz && (old != 0 || old_len > SEGMENT) {
                return Err(Error::BadIndex("a patch is for a part of what an xz file has"));
            }
            (entry.old, entry.range, at) = (old..old_end, at..patch_end, patch_end);
            (entry.hash, entry.old_hash) = (hash, old_hash);
            if entry.packed && compression.is_none() {
                return Err(Error::BadIndex("a patch is packed in an unknown way"));
            }
            entries.push(entry);
        }
        Ok(Patches { compression, entries })
    }

    /// How the data of `entry` is stored.
    pub(super) fn form(&self, entry: &Entry) -> Form {
        match self.compression {
            Some(compression) if entry.packed => Form::Packed(compression),
            _ => Form::Plain,
        }
    }

    /// Header and table; the entries' `range` count only by their lengths.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        let name = self.compression.map(|c| c.algorithm.to_string()).unwrap_or_default();
        put_bytes(&mut plain, name.as_bytes());
        varint::put(&mut plain, self.compression.map_or(0, |c| u64::from(c.cluster)));
        for entry in &self.entries {
            put_bytes(&mut plain, &entry.path);
            for number in [
                entry.to,
                entry.len,
                entry.plain_len,
                if entry.packed { PACKED } else { 0 } | if entry.xz { XZ } else { 0 },
                entry.old.start,
                entry.old.end - entry.old.start,
                entry.range.end - entry.range.start,
            ] {
                varint::put(&mut plain, number);
            }
            plain.extend(entry.hash);
            plain.extend(entry.old_hash);
        }
        let packed = zstd::bulk::compress(&plain, 19)?;
        if packed.len().max(plain.len()) as u64 > MAX_TABLE {
            return Err(Error::BadImage("there are too many patches".into()));
        }
        let mut out = MAGIC.to_vec();
        for number in [VERSION, packed.len() as u32, plain.len() as u32, 0] {
            out.extend(number.to_le_bytes());
        }
        out.extend(packed);
        Ok(out)
    }
}

fn compression(name: &[u8], cluster: u64) -> Result<Compression> {
    let algorithm = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    let cluster = u32::try_from(cluster).ok();
    let compression = algorithm.zip(cluster).map(|(algorithm, cluster)| Compression { algorithm, cluster });
    let known = compression.filter(Compression::is_valid);
    known.ok_or(Error::BadIndex("patches are for a compression that this program doesn't know"))
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = varint::take(rest)?;
    let split = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
    let (bytes, after) = split.ok_or(Error::BadIndex("the table of patches ends too early"))?;
    *rest = after;
    Ok(bytes)
}

fn take_hash(rest: &mut &[u8]) -> Result<GroupHash> {
    let split = rest.split_first_chunk::<GROUP_HASH>();
    let (hash, after) = split.ok_or(Error::BadIndex("the table of patches ends too early"))?;
    *rest = after;
    Ok(*hash)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
