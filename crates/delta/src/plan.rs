//! What a machine does to get the new image: steps that a caller carries out in their order.

use std::ops::Range;

use crate::extent::{ExtentHash, digest, short};
use crate::{Error, Patch, Result};

/// One step. Positions called `to` are those in the new image, which is where its slot has them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Copy bytes from an image the machine has.
    Copy {
        /// Which of the sources given to the planner.
        source: usize,
        /// Byte offset in it.
        from: u64,
        /// Byte offset in the new image.
        to: u64,
        /// Number of bytes.
        len: u64,
    },
    /// Write bytes that were in the index.
    Write {
        /// Byte offset in the new image.
        to: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Write zeros.
    Zero {
        /// Byte offset in the new image.
        to: u64,
        /// Number of bytes.
        len: u64,
    },
    /// Fetch a range of the new image.
    Fetch {
        /// The range.
        range: Range<u64>,
        /// What is wanted of it, in order. The bytes between are only fetched because that is cheaper than not to, and
        /// are thrown away.
        wanted: Vec<Wanted>,
    },
    /// Make bytes from an old file and a patch.
    Patch(Patch),
    /// Copy bytes that an earlier step fetched or made, inside the new image.
    Repeat {
        /// Byte offset of what was fetched.
        from: u64,
        /// Byte offset of the copy.
        to: u64,
        /// Number of bytes.
        len: u64,
    },
}

/// An extent that is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Byte offset in the new image.
    pub start: u64,
    /// Number of bytes.
    pub len: u64,
    pub(crate) hash: ExtentHash,
}

impl Wanted {
    /// Checks what was fetched before it is written.
    ///
    /// Returns [`Error::NotVerified`] when `bytes` aren't what the index says.
    pub fn verify(&self, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 == self.len && short(digest(bytes)) == self.hash {
            return Ok(());
        }
        Err(Error::NotVerified { start: self.start, len: self.len })
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.len
    }
}

/// Bytes by where they come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// In the target already.
    pub kept: u64,
    /// Copied from what the machine has, or from what was fetched.
    pub copied: u64,
    /// Zeros, and what was in the index.
    pub written: u64,
    /// Wanted from the server.
    pub wanted: u64,
    /// Made by patches instead.
    pub patched: u64,
    /// Fetched besides, as it lies between.
    pub between: u64,
}

/// All steps: what can be done without the server comes first, copies of what was fetched last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// Their bytes.
    pub totals: Totals,
    /// Length of the image.
    pub image_len: u64,
    gap: u64,
}

impl Plan {
    /// Everything that is fetched from the image, in its order.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.steps.iter().flat_map(|step| match step {
            Step::Fetch { wanted, .. } => wanted.as_slice(),
            _ => &[],
        })
    }

    /// Puts patches, in their order in the image, in place of what they make.
    pub(crate) fn replace(&mut self, patches: Vec<Patch>) {
        let is_made = |wanted: &Wanted| {
            let after = patches.partition_point(|patch| patch.to <= wanted.start);
            patches[..after].last().is_some_and(|patch| wanted.end() <= patch.to + patch.len)
        };
        let mut builder = Builder { totals: self.totals, ..Builder::default() };
        (builder.totals.wanted, builder.totals.between) = (0, 0);
        for wanted in self.wanted() {
            if is_made(wanted) { builder.totals.patched += wanted.len } else { builder.fetch(*wanted) }
        }
        for step in std::mem::take(&mut self.steps) {
            match step {
                Step::Fetch { .. } => {}
                Step::Repeat { .. } => builder.repeats.push(step),
                local => builder.local.push(local),
            }
        }
        builder.patches = patches;
        *self = builder.finish(self.gap, self.image_len);
    }
}

/// Collects steps.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    local: Vec<Step>,
    wanted: Vec<Wanted>,
    patches: Vec<Patch>,
    repeats: Vec<Step>,
    totals: Totals,
}

impl Builder {
    pub(crate) fn keep(&mut self, len: u64) {
        self.totals.kept += len;
    }

    pub(crate) fn copy(&mut self, source: usize, from: u64, to: u64, len: u64) {
        self.totals.copied += len;
        match self.local.last_mut() {
            Some(Step::Copy { source: s, from: f, to: t, len: l })
                if *s == source && *f + *l == from && *t + *l == to =>
            {
                *l += len;
            }
            _ => self.local.push(Step::Copy { source, from, to, len }),
        }
    }

    pub(crate) fn write(&mut self, to: u64, bytes: &[u8]) {
        self.totals.written += bytes.len() as u64;
        self.local.push(Step::Write { to, bytes: bytes.to_vec() });
    }

    pub(crate) fn zero(&mut self, to: u64, len: u64) {
        self.totals.written += len;
        self.local.push(Step::Zero { to, len });
    }

    pub(crate) fn fetch(&mut self, wanted: Wanted) {
        self.totals.wanted += wanted.len;
        self.wanted.push(wanted);
    }

    pub(crate) fn repeat(&mut self, from: u64, to: u64, len: u64) {
        self.totals.copied += len;
        self.repeats.push(Step::Repeat { from, to, len });
    }

    /// The plan; extents with at most `gap` bytes between them are fetched as one range.
    pub(crate) fn finish(mut self, gap: u64, image_len: u64) -> Plan {
        let mut steps = self.local;
        let mut ranges: Vec<(Range<u64>, Vec<Wanted>)> = Vec::new();
        for wanted in self.wanted {
            match ranges.last_mut() {
                Some((range, list)) if wanted.start - range.end <= gap => {
                    self.totals.between += wanted.start - range.end;
                    range.end = wanted.end();
                    list.push(wanted);
                }
                _ => ranges.push((wanted.start..wanted.end(), vec![wanted])),
            }
        }
        steps.extend(ranges.into_iter().map(|(range, wanted)| Step::Fetch { range, wanted }));
        steps.extend(self.patches.into_iter().map(Step::Patch));
        steps.extend(self.repeats);
        Plan { steps, totals: self.totals, image_len, gap }
    }
}
