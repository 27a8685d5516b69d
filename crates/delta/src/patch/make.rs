//! Makes the patches from one image to another.

use std::io::{Read, Write};

use twinhull_fsimg::erofs::{BLOCK, Compression, SEGMENT};
use twinhull_fsimg::{FileSystem, FileType, Inode, ReadAt};

use super::codec::{self, Form};
use super::table::{AROUND, Entry, Patches};
use crate::cut::Lent;
use crate::extent::{digest, short};
use crate::{Error, Result};

/// Parts that have fewer bytes in the image are fetched.
const SHORT: u64 = 4096;

/// Writes patches from `old` to `new` to `out`, for files of the same path; `compression` is that of the new image. The
/// same images give the same file.
///
/// A part of a file gets one when its patch is smaller by a quarter, and when packing its data gives the bytes of the image.
///
/// Returns [`Error::BadImage`] when one of them can't be read.
pub fn write_patches(
    old: &(impl ReadAt + ?Sized),
    new: &(impl ReadAt + ?Sized),
    compression: Option<Compression>,
    out: &mut impl Write,
) -> Result<()> {
    let bad = |e: twinhull_fsimg::Error| Error::BadImage(e.to_string());
    let (old_fs, new_fs) =
        (FileSystem::new(Lent(old)).map_err(bad)?, FileSystem::new(Lent(new)).map_err(bad)?);
    let old_files = super::files(old);
    let mut files: Vec<(Vec<u8>, Inode)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    new_fs
        .walk(|path, inode| {
            let wanted = inode.kind == FileType::File && inode.size >= SHORT && seen.insert(inode.number);
            if wanted && old_files.contains_key(path) {
                files.push((path.to_vec(), inode.clone()));
            }
            Ok::<_, twinhull_fsimg::Error>(())
        })
        .map_err(bad)?;
    let (mut patches, mut data) = (Patches { compression, entries: Vec::new() }, Vec::new());
    let mut starts = std::collections::HashSet::new();
    for (path, inode) in files {
        let places = new_fs.places(&inode).map_err(bad)?;
        let Some((mut at, _)) = places.first().copied() else { continue };
        let before = old_fs.inode(old_files[&path]).map_err(bad)?;
        let (mut reader, mut earlier) = (new_fs.open(&inode).map_err(bad)?, Old::new(&old_fs, &before)?);
        // Packing takes long, and most files don't change.
        if inode.size == before.size
            && same(&mut new_fs.open(&inode).map_err(bad)?, &mut old_fs.open(&before).map_err(bad)?)?
        {
            continue;
        }
        let mut offset = 0;
        while offset < inode.size {
            let mut plain = Vec::new();
            (&mut reader).take(SEGMENT).read_to_end(&mut plain)?;
            let range = offset.saturating_sub(AROUND)..(offset + SEGMENT + AROUND).min(before.size);
            let start = offset;
            offset += SEGMENT;
            let old_data = earlier.window(&range)?;
            let same = old_data.get((start - range.start.min(start)) as usize..);
            let same = same.is_some_and(|old| old.starts_with(&plain));
            let Some((form, bytes)) = stored(new, at, &plain, compression)? else { break };
            let (to, len) = (at, bytes.len() as u64);
            at += len;
            // Files with the same content share a place.
            if range.is_empty() || same || len < SHORT || !starts.insert(to) {
                continue;
            }
            let patch = codec::make(old_data, &plain)?;
            if patch.len() as u64 > len / 4 * 3 {
                continue;
            }
            patches.entries.push(Entry {
                path: path.clone(),
                old_hash: short(digest(old_data)),
                old: range,
                to,
                len,
                hash: short(digest(&bytes)),
                plain_len: plain.len() as u64,
                packed: form != Form::Plain,
                range: 0..patch.len() as u64,
            });
            data.extend(patch);
        }
    }
    out.write_all(&patches.encode()?)?;
    out.write_all(&data)?;
    Ok(())
}

/// Whether two files have the same data.
fn same(one: &mut impl Read, other: &mut impl Read) -> Result<bool> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        for (reader, buf) in [(&mut *one as &mut dyn Read, &mut a), (other, &mut b)] {
            buf.clear();
            reader.take(1 << 20).read_to_end(buf)?;
        }
        if a != b || a.is_empty() {
            return Ok(a == b);
        }
    }
}

/// In which form `plain` is at byte `at` of the image, and its bytes there.
fn stored(
    image: &(impl ReadAt + ?Sized),
    at: u64,
    plain: &[u8],
    compression: Option<Compression>,
) -> Result<Option<(Form, Vec<u8>)>> {
    let len = plain.len() as u64;
    let packed = compression.map(Form::Packed);
    let up = (Some(Form::Plain), Some(len.next_multiple_of(BLOCK)));
    // The tail may lie behind the inode.
    let down = (Some(Form::Plain), Some(len / BLOCK * BLOCK));
    for (form, len) in [up, down, (packed, None)] {
        let Some(form) = form else { continue };
        let bytes = match (form, len) {
            (Form::Packed(compression), _) => {
                let packed = twinhull_fsimg::erofs::pack_segment(plain, &compression);
                packed.map_err(|e| Error::BadImage(e.to_string()))?
            }
            (_, len) => form.store(plain, len.unwrap_or_default()).unwrap_or_default(),
        };
        if at.checked_add(bytes.len() as u64).is_none_or(|end| end > image.len()) || bytes.is_empty() {
            continue;
        }
        let mut there = vec![0; bytes.len()];
        image.read_exact_at(&mut there, at)?;
        if there == bytes {
            return Ok(Some((form, bytes)));
        }
    }
    Ok(None)
}

/// The old file's data, of which a window moves to its end.
struct Old<'a> {
    reader: Box<dyn Read + 'a>,
    start: u64,
    data: Vec<u8>,
}

impl<'a> Old<'a> {
    fn new<R: ReadAt>(fs: &'a FileSystem<R>, inode: &Inode) -> Result<Self> {
        let reader = fs.open(inode).map_err(|e| Error::BadImage(e.to_string()))?;
        Ok(Old { reader, start: 0, data: Vec::new() })
    }

    /// A range that begins and ends no earlier than the last one; nothing when it is empty.
    fn window(&mut self, range: &std::ops::Range<u64>) -> Result<&[u8]> {
        if range.is_empty() {
            return Ok(&[]);
        }
        let missing = range.end.saturating_sub(self.start + self.data.len() as u64);
        (&mut self.reader).take(missing).read_to_end(&mut self.data)?;
        let gone = (range.start - self.start).min(self.data.len() as u64);
        self.data.drain(..gone as usize);
        self.start += gone;
        Ok(&self.data)
    }
}
