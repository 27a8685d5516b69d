//! Makes the patches from one image to another.

use std::collections::HashMap;
use std::io::{Read, Write};

use twinhull_fsimg::erofs::{BLOCK, Compression, SEGMENT};
use twinhull_fsimg::{FileSystem, FileType, Inode, ReadAt};

use super::codec::{self, Form};
use super::table::{AROUND, Entry, Patches};
use super::xz;
use crate::cut::Lent;
use crate::extent::{digest, short};
use crate::{Error, Result};

/// Parts that have fewer bytes in the image are fetched.
const SHORT: u64 = 4096;
/// The same for xz files, which are new as a whole: a patch of a small one still is a fraction of it.
const SHORT_XZ: u64 = 512;

/// Writes patches from `old` to `new` to `out`, for files of the same path or one that differs in the name of one folder
/// only; `compression` is that of the new image. The same images give the same file.
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
    let moved = Moved::new(old_files.keys());
    let mut files: Vec<(Vec<u8>, Inode)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    new_fs
        .walk(|path, inode| {
            let short = if xz::is_named(path) { SHORT_XZ } else { SHORT };
            let wanted = inode.kind == FileType::File && inode.size >= short && seen.insert(inode.number);
            let before = if old_files.contains_key(path) { Some(path) } else { moved.from(path) };
            if let Some(before) = before.filter(|_| wanted) {
                files.push((before.to_vec(), inode.clone()));
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
        if xz::is_named(&path) {
            // Where that doesn't do, there is nothing to find in packed data either.
            if let Some((entry, patch)) =
                packed(&new_fs, &old_fs, (&path, &inode, &before), new, compression)?
                && starts.insert(entry.to)
            {
                patches.entries.push(entry);
                data.extend(patch);
            }
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
                xz: false,
                range: 0..patch.len() as u64,
            });
            data.extend(patch);
        }
    }
    out.write_all(&patches.encode()?)?;
    out.write_all(&data)?;
    Ok(())
}

/// The patch for what an xz file has, if both are such files and packing gives the new one.
fn packed<A: ReadAt, B: ReadAt>(
    new_fs: &FileSystem<A>,
    old_fs: &FileSystem<B>,
    (path, inode, before): (&[u8], &Inode, &Inode),
    new: &(impl ReadAt + ?Sized),
    compression: Option<Compression>,
) -> Result<Option<(Entry, Vec<u8>)>> {
    if inode.size.max(before.size) > SEGMENT {
        return Ok(None);
    }
    let bad = |e: twinhull_fsimg::Error| Error::BadImage(e.to_string());
    let (mut file, mut old_file) = (Vec::new(), Vec::new());
    new_fs.open(inode).map_err(bad)?.read_to_end(&mut file)?;
    old_fs.open(before).map_err(bad)?.read_to_end(&mut old_file)?;
    let (Some(plain), Some(old)) = (xz::unpack(&file, SEGMENT), xz::unpack(&old_file, SEGMENT)) else {
        return Ok(None);
    };
    if xz::pack(&plain).as_ref() != Some(&file) {
        return Ok(None);
    }
    let Some((to, _)) = new_fs.places(inode).map_err(bad)?.first().copied() else { return Ok(None) };
    let Some((form, bytes)) = stored(new, to, &file, compression)? else { return Ok(None) };
    let (patch, len) = (codec::make(&old, &plain)?, bytes.len() as u64);
    if patch.len() as u64 > len / 4 * 3 {
        return Ok(None);
    }
    let entry = Entry {
        path: path.to_vec(),
        old_hash: short(digest(&old)),
        old: 0..old.len() as u64,
        to,
        len,
        hash: short(digest(&bytes)),
        plain_len: plain.len() as u64,
        packed: form != Form::Plain,
        xz: true,
        range: 0..patch.len() as u64,
    };
    Ok(Some((entry, patch)))
}

/// Where files were that have moved: into a folder of another name, as kernel modules do with every kernel.
struct Moved<'a> {
    by_name: HashMap<&'a [u8], Vec<&'a [u8]>>,
}

impl<'a> Moved<'a> {
    fn new(paths: impl Iterator<Item = &'a Vec<u8>>) -> Self {
        let mut by_name: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for path in paths {
            by_name.entry(name(path)).or_default().push(path);
        }
        Moved { by_name }
    }

    /// The only old file whose path differs from `path` in one folder.
    fn from(&self, path: &[u8]) -> Option<&'a [u8]> {
        let folders = |path: &'a [u8]| path.split(|b| *b == b'/');
        let differs_in_one = |old: &&&'a [u8]| {
            let (mut a, mut b, mut different) = (folders(old), path.split(|b| *b == b'/'), 0);
            loop {
                match (a.next(), b.next()) {
                    (None, None) => return different == 1,
                    (Some(a), Some(b)) => different += u32::from(a != b),
                    _ => return false,
                }
            }
        };
        let mut found = self.by_name.get(name(path))?.iter().filter(differs_in_one);
        let first = found.next()?;
        found.next().is_none().then_some(*first)
    }
}

/// The last part of a path.
fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
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
    // The tail, or all of a short file, may lie behind the inode.
    let all = (Some(Form::Plain), Some(len));
    let down = (Some(Form::Plain), Some(len / BLOCK * BLOCK));
    for (form, len) in [up, all, down, (packed, None)] {
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
