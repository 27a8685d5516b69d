//! Compares an index with what a machine has. First by groups, for which the head is enough; then by the extents of
//! those groups that it has not, once their details are there.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest as _, Sha256};
use twinhull_fsimg::ReadAt;

use crate::cut::{MAX_EXTENTS, PIECE};
use crate::extent::{ExtentHash, Kind, digest, short};
use crate::index::Details;
use crate::plan::{Builder, Wanted};
use crate::scan::MAX_INLINE;
use crate::{Error, Head, Plan, Result, Scan};

/// Bytes between two ranges up to which fetching them as one is a good bargain: another request costs some hundred
/// bytes, and time.
pub const DEFAULT_GAP: u64 = 4096;

/// What is taken from the images a machine has. After an update whose result doesn't match the root hash, a machine tries
/// again with the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reuse {
    /// Everything that the hashes find.
    #[default]
    Extents,
    /// Whole groups only, whose hashes are longer.
    Groups,
    /// Nothing.
    Nothing,
}

/// Where a group comes from.
#[derive(Debug)]
enum From {
    Kept,
    Copied {
        source: usize,
        at: u64,
    },
    /// Its extents decide, once they are known.
    Parts(Option<Details>),
}

/// A group of the new image.
#[derive(Debug)]
struct Group {
    /// Place in the image.
    image: Range<u64>,
    /// Place of the details in the index.
    index: Range<u64>,
    from: From,
}

/// Makes a plan.
pub struct Planner<'a> {
    image_len: u64,
    groups: Vec<Group>,
    /// Bytes and extents that are still allowed to come.
    inline_left: u64,
    extents_left: usize,
    at_hand: AtHand<'a>,
}

/// What a machine has.
struct AtHand<'a> {
    sources: &'a [Scan],
    target: Option<&'a dyn ReadAt>,
    reuse: Reuse,
    /// Where extents will be that are going to be fetched.
    fetched: HashMap<(ExtentHash, u64), u64>,
}

impl<'a> Planner<'a> {
    /// Looks for the groups of `head` in `sources`, and where they belong in `target`, the slot that is being written, if
    /// an earlier try may have left something there.
    ///
    /// Returns [`Error::Io`] when `target` can't be read.
    pub fn new(
        head: &Head,
        sources: &'a [Scan],
        target: Option<&'a dyn ReadAt>,
        reuse: Reuse,
    ) -> Result<Self> {
        let sources = if reuse == Reuse::Nothing { &[] } else { sources };
        let target = target.filter(|_| reuse != Reuse::Nothing);
        let mut groups = Vec::with_capacity(head.groups.len());
        let (mut image, mut index) = (0, head.head_len);
        for entry in &head.groups {
            let (start, details) = (image, index);
            (image, index) = (start + entry.len, details + entry.details);
            let mut from = From::Parts(None);
            if hash_of(target, start, entry.len)?.is_some_and(|digest| short(digest) == entry.hash) {
                from = From::Kept;
            } else if let Some((source, at)) = find(sources, |scan| scan.group(entry.hash, entry.len)) {
                from = From::Copied { source, at };
            }
            groups.push(Group { image: start..image, index: details..index, from });
        }
        Ok(Planner {
            image_len: head.image_len,
            groups,
            inline_left: MAX_INLINE,
            extents_left: MAX_EXTENTS,
            at_hand: AtHand { sources, target, reuse, fetched: HashMap::new() },
        })
    }

    /// The ranges of the index that are still needed; those with at most `gap` bytes between them are one.
    pub fn wanted(&self, gap: u64) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for group in self.groups.iter().filter(|group| matches!(group.from, From::Parts(None))) {
            match ranges.last_mut() {
                Some(last) if group.index.start - last.end <= gap => last.end = group.index.end,
                _ => ranges.push(group.index.clone()),
            }
        }
        ranges
    }

    /// Takes `bytes` of the index, from byte `at` of it: one of the ranges that are wanted, or more.
    ///
    /// Returns [`Error::BadIndex`].
    pub fn add(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let end = at.saturating_add(bytes.len() as u64);
        let first = self.groups.partition_point(|group| group.index.start < at);
        for group in self.groups[first..].iter_mut().take_while(|group| group.index.end <= end) {
            if let From::Parts(details @ None) = &mut group.from {
                let part = &bytes[(group.index.start - at) as usize..(group.index.end - at) as usize];
                let parsed = Details::parse(part, group.image.end - group.image.start)?;
                let inline_left = self.inline_left.checked_sub(parsed.inline.len() as u64);
                let extents_left = self.extents_left.checked_sub(parsed.extents.len());
                self.inline_left = inline_left.ok_or(Error::BadIndex("it has too many inline bytes"))?;
                self.extents_left = extents_left.ok_or(Error::BadIndex("it has too many extents"))?;
                *details = Some(parsed);
            }
        }
        Ok(())
    }

    /// The plan. Extents with at most `gap` bytes between them are fetched as one range.
    ///
    /// Returns [`Error::Missing`] when parts of the index are still wanted, and [`Error::Io`] when the target can't be
    /// read.
    pub fn plan(mut self, gap: u64) -> Result<Plan> {
        let mut builder = Builder::default();
        // By value, so that details are gone once their bytes are in a step.
        for group in self.groups {
            let (mut at, len) = (group.image.start, group.image.end - group.image.start);
            let details = match group.from {
                From::Kept => {
                    builder.keep(len);
                    continue;
                }
                From::Copied { source, at: from } => {
                    builder.copy(source, from, at, len);
                    continue;
                }
                From::Parts(details) => details.ok_or(Error::Missing(group.index.start))?,
            };
            let mut inline = details.inline.as_slice();
            for extent in &details.extents {
                let len = extent.len;
                match extent.kind {
                    Kind::Zero => builder.zero(at, len),
                    Kind::Inline => {
                        let (now, rest) = inline.split_at(len as usize);
                        builder.write(at, now);
                        inline = rest;
                    }
                    Kind::Hashed(hash) => self.at_hand.find(&mut builder, Wanted { start: at, len, hash })?,
                }
                at += len;
            }
        }
        Ok(builder.finish(gap, self.image_len))
    }
}

impl AtHand<'_> {
    /// Finds one extent, or fetches it.
    fn find(&mut self, builder: &mut Builder, wanted: Wanted) -> Result<()> {
        let Wanted { start, len, hash } = wanted;
        if self.reuse == Reuse::Extents {
            if hash_of(self.target, start, len)?.is_some_and(|digest| short(digest) == hash) {
                builder.keep(len);
                return Ok(());
            }
            if let Some((source, at)) = find(self.sources, |scan| scan.extent(hash, len)) {
                builder.copy(source, at, start, len);
                return Ok(());
            }
            if let Some(from) = self.fetched.get(&(hash, len)) {
                builder.repeat(*from, start, len);
                return Ok(());
            }
            self.fetched.insert((hash, len), start);
        }
        builder.fetch(wanted);
        Ok(())
    }
}

/// The first source that has it, and where.
fn find(sources: &[Scan], look: impl Fn(&Scan) -> Option<u64>) -> Option<(usize, u64)> {
    sources.iter().enumerate().find_map(|(n, scan)| Some((n, look(scan)?)))
}

/// Digest of a part of `target`; `None` when there isn't so much of it.
fn hash_of(target: Option<&dyn ReadAt>, start: u64, len: u64) -> Result<Option<[u8; 32]>> {
    let Some(target) = target.filter(|target| start + len <= target.len()) else { return Ok(None) };
    let mut buf = vec![0; len.min(PIECE) as usize];
    if len <= PIECE {
        target.read_exact_at(&mut buf, start)?;
        return Ok(Some(digest(&buf)));
    }
    let (mut hasher, mut at) = (Sha256::new(), start);
    while at < start + len {
        let now = (start + len - at).min(PIECE) as usize;
        target.read_exact_at(&mut buf[..now], at)?;
        hasher.update(&buf[..now]);
        at += now as u64;
    }
    Ok(Some(hasher.finalize().into()))
}
