//! Reads an image once and hashes its extents and groups: for the index of a new one, and to find things in an old one.
//!
//! Extents come in groups. The head of an index has the hashes of groups only, so a machine that has nearly everything
//! needs next to nothing of the index. A group ends where the hash of an extent says so: old and new image agree again on
//! where groups begin soon after a difference.

use sha2::{Digest as _, Sha256};
use twinhull_fsimg::ReadAt;

use crate::Result;
use crate::cut::{self, PIECE};
use crate::extent::{Extent, ExtentHash, GroupHash, Kind, digest, short};

/// One hash in so many ends a group.
const ENDS: u8 = 32;
/// Bytes after which a group ends in any case.
pub(crate) const MAX_GROUP: u64 = 16 << 20;
/// Extents after which a group ends in any case.
pub(crate) const MAX_GROUP_EXTENTS: usize = 1024;

/// Inline bytes after which a group ends in any case.
pub(crate) const MAX_GROUP_INLINE: u64 = 1 << 20;

/// Inline bytes of a whole index; what is more is hashed instead. A machine has all of them in memory.
pub(crate) const MAX_INLINE: u64 = 16 << 20;

/// Extents that follow each other.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) hash: GroupHash,
    pub(crate) extents: Vec<Extent>,
    /// The bytes of its inline extents.
    pub(crate) inline: Vec<u8>,
}

/// Calls `visit` with each group of `image`, and returns the length of the file system.
pub(crate) fn groups(
    image: &(impl ReadAt + ?Sized),
    mut visit: impl FnMut(Group) -> Result<()>,
) -> Result<u64> {
    let (mut group, mut hasher) = (Group::default(), Sha256::new());
    let mut buf = vec![0; PIECE as usize];
    let (mut at, mut inline) = (0, 0);
    let mut finish = |group: &mut Group, hasher: &mut Sha256| {
        group.hash = short(std::mem::take(hasher).finalize().into());
        let next = Group { start: group.start + group.len, ..Group::default() };
        visit(std::mem::replace(group, next))
    };
    for piece in cut::pieces(image)? {
        let bytes = &mut buf[..piece.len as usize];
        image.read_exact_at(bytes, piece.start)?;
        hasher.update(&*bytes);
        let mut ends = false;
        let kind = if bytes.iter().all(|b| *b == 0) {
            Kind::Zero
        } else if piece.inline && inline + piece.len <= MAX_INLINE {
            inline += piece.len;
            group.inline.extend_from_slice(bytes);
            Kind::Inline
        } else {
            let digest = digest(bytes);
            // Any byte that isn't part of the hash itself would do.
            ends = digest[31].is_multiple_of(ENDS);
            Kind::Hashed(short(digest))
        };
        match group.extents.last_mut() {
            Some(last) if last.kind == kind && !matches!(kind, Kind::Hashed(_)) => last.len += piece.len,
            _ => group.extents.push(Extent { len: piece.len, kind }),
        }
        group.len += piece.len;
        at = piece.start + piece.len;
        let full = group.len >= MAX_GROUP
            || group.extents.len() >= MAX_GROUP_EXTENTS
            || group.inline.len() as u64 >= MAX_GROUP_INLINE;
        if ends || full {
            finish(&mut group, &mut hasher)?;
        }
    }
    if group.len > 0 {
        finish(&mut group, &mut hasher)?;
    }
    Ok(at)
}

/// Where something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found<H> {
    hash: H,
    len: u64,
    at: u64,
}

/// What is in an image that a machine has: 24 bytes for each extent.
#[derive(Debug, Default)]
pub struct Scan {
    extents: Vec<Found<ExtentHash>>,
    groups: Vec<Found<GroupHash>>,
}

impl Scan {
    /// Cuts and hashes `image`, which begins with a file system. All of it is read once.
    ///
    /// Returns [`crate::Error::BadImage`] when it is shorter than its file system, and [`crate::Error::Io`].
    pub fn new(image: &(impl ReadAt + ?Sized)) -> Result<Self> {
        let mut scan = Scan::default();
        groups(image, |group| {
            scan.groups.push(Found { hash: group.hash, len: group.len, at: group.start });
            let mut at = group.start;
            for extent in group.extents {
                if let Kind::Hashed(hash) = extent.kind {
                    scan.extents.push(Found { hash, len: extent.len, at });
                }
                at += extent.len;
            }
            Ok(())
        })?;
        scan.extents.sort_unstable();
        scan.extents.dedup_by_key(|found| (found.hash, found.len));
        scan.groups.sort_unstable();
        Ok(scan)
    }

    /// Where the image has this extent.
    pub(crate) fn extent(&self, hash: ExtentHash, len: u64) -> Option<u64> {
        find(&self.extents, hash, len)
    }

    /// Where the image has this group.
    pub(crate) fn group(&self, hash: GroupHash, len: u64) -> Option<u64> {
        find(&self.groups, hash, len)
    }
}

fn find<H: Ord + Copy>(sorted: &[Found<H>], hash: H, len: u64) -> Option<u64> {
    let first = sorted.partition_point(|found| (found.hash, found.len) < (hash, len));
    sorted.get(first).filter(|found| (found.hash, found.len) == (hash, len)).map(|found| found.at)
}
