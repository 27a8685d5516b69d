//! Patches: parts of files of one version from those of another, for what no search for equal bytes finds.
//!
//! A rebuilt library has other addresses nearly everywhere, and compressed clusters show any of that as a whole. A patch
//! is against the plain data of the old file; the new data is packed again into the clusters that the image has, which
//! works as packing is deterministic, and is checked as it needn't be. The builder makes patches for pairs of versions it
//! chooses; whoever has no patch, or the wrong file, fetches as ever. Data that lies in xz files is patched in the same
//! way, as every byte of such a file depends on all before it.

mod codec;
mod make;
mod table;
#[cfg(test)]
mod tests;
mod xz;

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::Range;

use twinhull_fsimg::erofs::SEGMENT;
use twinhull_fsimg::{FileSystem, FileType, ReadAt};

use crate::cut::Lent;
use crate::extent::{GroupHash, digest, short};
use crate::plan::{Plan, Step};
use crate::{Error, Result};

pub use make::write_patches;
pub(crate) use table::Entry;
pub use table::Patches;

/// A part of a file that is made from an old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Which of the sources has the old file.
    pub source: usize,
    /// Byte range of the patch in the file of patches.
    pub range: Range<u64>,
    /// Byte offset in the new image.
    pub to: u64,
    /// Bytes of the new image.
    pub len: u64,
    inode: u64,
    old: Range<u64>,
    plain_len: u64,
    form: codec::Form,
    xz: bool,
    hash: GroupHash,
}

impl Patch {
    /// The bytes of the new image, from the old image and the patch that was fetched.
    ///
    /// Returns [`Error::NotVerified`] when they aren't right; the range has to be fetched from the image then.
    pub fn apply(&self, image: &(impl ReadAt + ?Sized), patch: &[u8]) -> Result<Vec<u8>> {
        let wrong = Error::NotVerified { start: self.to, len: self.len };
        let Some(old) = old_data(image, self.inode, &self.old, self.xz) else { return Err(wrong) };
        let Ok(mut plain) = codec::apply(&old, patch, self.plain_len) else { return Err(wrong) };
        drop(old);
        if self.xz {
            let Some(packed) = xz::pack(&plain) else { return Err(wrong) };
            plain = packed;
        }
        match self.form.store(&plain, self.len) {
            Some(bytes) if short::<8>(digest(&bytes)) == self.hash => Ok(bytes),
            _ => Err(wrong),
        }
    }
}

impl Plan {
    /// Replaces what would be fetched by patches, where those are smaller and the old file is in one of the `sources`,
    /// which are the images that were scanned, in the same order.
    pub fn patch(&mut self, patches: &Patches, sources: &[&dyn ReadAt]) {
        let wanted: Vec<Range<u64>> = self.wanted().map(|w| w.start..w.end()).collect();
        let useful: Vec<&Entry> = patches
            .entries
            .iter()
            .filter(|entry| {
                // Nobody has signed what the table says.
                if entry.to + entry.len > self.image_len {
                    return false;
                }
                let first = wanted.partition_point(|w| w.end <= entry.to);
                let inside = wanted[first..].iter().take_while(|w| w.end <= entry.to + entry.len);
                inside.map(|w| w.end - w.start).sum::<u64>() > entry.range.end - entry.range.start
            })
            .collect();
        let mut found: BTreeMap<u64, Patch> = BTreeMap::new();
        for (source, image) in sources.iter().enumerate() {
            let files = files(*image);
            for entry in &useful {
                if found.contains_key(&entry.to) {
                    continue;
                }
                let Some(inode) = files.get(entry.path.as_slice()) else { continue };
                let old = old_data(*image, *inode, &entry.old, entry.xz);
                if old.is_none_or(|old| short::<8>(digest(&old)) != entry.old_hash) {
                    continue;
                }
                let patch = Patch {
                    source,
                    range: entry.range.clone(),
                    to: entry.to,
                    len: entry.len,
                    inode: *inode,
                    old: entry.old.clone(),
                    plain_len: entry.plain_len,
                    form: patches.form(entry),
                    xz: entry.xz,
                    hash: entry.hash,
                };
                found.insert(entry.to, patch);
            }
        }
        self.replace(found.into_values().collect());
    }

    /// Bytes of patches that are fetched.
    pub fn patch_bytes(&self) -> u64 {
        let len = |step: &Step| if let Step::Patch(p) = step { p.range.end - p.range.start } else { 0 };
        self.steps.iter().map(len).sum()
    }
}

/// Numbers of all regular files by path; none when the image can't be read.
fn files(image: &(impl ReadAt + ?Sized)) -> HashMap<Vec<u8>, u64> {
    let mut files = HashMap::new();
    let Ok(fs) = FileSystem::new(Lent(image)) else { return files };
    let walked = fs.walk(|path, inode| {
        if inode.kind == FileType::File {
            files.insert(path.to_vec(), inode.number);
        }
        Ok::<_, twinhull_fsimg::Error>(())
    });
    if walked.is_err() {
        files.clear();
    }
    files
}

/// A part of a file's data, or of what an xz file has; nothing when there isn't so much or it can't be read.
fn old_data(image: &(impl ReadAt + ?Sized), inode: u64, range: &Range<u64>, xz: bool) -> Option<Vec<u8>> {
    let fs = FileSystem::new(Lent(image)).ok()?;
    let inode = fs.inode(inode).ok()?;
    let mut data = fs.open(&inode).ok()?;
    let (mut out, len) = (Vec::new(), range.end - range.start);
    if xz {
        (&mut data).take(SEGMENT).read_to_end(&mut out).ok()?;
        let plain = xz::unpack(&out, len)?;
        return (plain.len() as u64 == len).then_some(plain);
    }
    std::io::copy(&mut (&mut data).take(range.start), &mut std::io::sink()).ok()?;
    data.take(len).read_to_end(&mut out).ok()?;
    (out.len() as u64 == len).then_some(out)
}
