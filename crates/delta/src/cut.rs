//! Cuts an image into extents where its contents begin and end, so that the same file gives the same extents wherever it
//! lies.
//!
//! Compressed clusters of a file that didn't change are the same bytes in every image (ADR 15); only their place differs.
//! What is between the data of files, inodes, their indexes and directories, is full of places; in ext4 also of checksums
//! that begin with the file system's UUID, and so are others in every version.
//!
//! A UKI is cut where its sections begin: kernel and initrd move when a command line gets longer.

use std::collections::HashSet;

use twinhull_fsimg::{FileSystem, FileType, Format, ReadAt};

use crate::{Error, Result};

/// Longest extent whose bytes are hashed: the default cluster.
pub(crate) const PIECE: u64 = 64 << 10;
/// Longest extent where nothing is known of what is in it: an ext4 block.
const BLOCK: u64 = 4096;
/// File data that is shorter isn't worth a hash: it goes into the index.
const SHORT: u64 = 64;
/// Longest section of a PE file that is wanted in the index: command line, release, and what else is new in every UKI.
const SMALL: u64 = 4096;
/// Most extents of an image.
pub(crate) const MAX_EXTENTS: usize = 4 << 20;

/// A piece of the image before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) len: u64,
    /// Whether it is wanted in the index itself.
    pub(crate) inline: bool,
}

/// Lends an image to a reader.
pub(crate) struct Lent<'a, R: ?Sized>(pub(crate) &'a R);

impl<R: ReadAt + ?Sized> ReadAt for Lent<'_, R> {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

/// The pieces of `image` in its order, without gaps, up to the end of the file system; what is behind that belongs to the
/// slot.
///
/// What the readers don't know is cut into pieces of fixed length.
pub(crate) fn pieces(image: &(impl ReadAt + ?Sized)) -> Result<Vec<Piece>> {
    let Ok(fs) = FileSystem::new(Lent(image)) else {
        let sections = sections(image)?;
        let inline = if sections.is_empty() { 0 } else { PIECE };
        return fill(sections, image.len(), PIECE, inline);
    };
    let len = fs.length();
    if len > image.len() {
        return Err(Error::BadImage(format!("it should have {len} bytes, but has {}", image.len())));
    }
    let erofs = fs.format() == Format::Erofs;
    match data(&fs, len) {
        // A gap of EROFS that is longer than any index of a file is something else. ext4 has tables of inodes, and free
        // blocks among them, which are zeros.
        Ok(found) if erofs => fill(found, len, PIECE, PIECE),
        Ok(found) => fill(found, len, BLOCK, u64::MAX),
        Err(Stop::TooMany) => Err(too_many()),
        Err(Stop::Image) => fill(Vec::new(), len, PIECE, 0),
    }
}

/// The places of long sections, when `image` is a PE file; the short ones and the headers are left between them. An initrd
/// is a row of Zstandard frames, which move when one of them gets longer.
fn sections(image: &(impl ReadAt + ?Sized)) -> Result<Vec<Piece>> {
    let mut head = vec![0; image.len().min(BLOCK) as usize];
    image.read_exact_at(&mut head, 0)?;
    let mut pieces = Vec::new();
    for (start, len) in twinhull_uki::section_places("UKI", &head).unwrap_or_default() {
        let end = start.saturating_add(len).min(image.len());
        let mut at = start;
        while len > SMALL && at < end {
            let part = frame(image, at, end)?.unwrap_or(end);
            while at < part {
                let now = (part - at).min(PIECE);
                pieces.push(Piece { start: at, len: now, inline: false });
                at += now;
                if pieces.len() > MAX_EXTENTS {
                    return Err(too_many());
                }
            }
        }
    }
    Ok(pieces)
}

/// Where the Zstandard frame ends that begins at `at` (RFC 8878, 3.1.1); nothing when there is none up to `end`.
fn frame(image: &(impl ReadAt + ?Sized), mut at: u64, end: u64) -> Result<Option<u64>> {
    let mut head = [0; 5];
    if end - at < head.len() as u64 {
        return Ok(None);
    }
    image.read_exact_at(&mut head, at)?;
    if head[..4] != [0x28, 0xb5, 0x2f, 0xfd] {
        return Ok(None);
    }
    let (flags, single) = (head[4], head[4] & 0x20 != 0);
    let content_size = match flags >> 6 {
        0 => u64::from(single),
        n => 1 << n,
    };
    at += 5 + u64::from(!single) + [0, 1, 2, 4][usize::from(flags & 3)] + content_size;
    loop {
        let mut block = [0; 4];
        if at.checked_add(3).is_none_or(|next| next > end) {
            return Ok(None);
        }
        image.read_exact_at(&mut block[..3], at)?;
        let block = u32::from_le_bytes(block);
        at += 3 + match block >> 1 & 3 {
            1 => 1,
            3 => return Ok(None),
            _ => u64::from(block >> 3),
        };
        if block & 1 != 0 {
            at += u64::from(flags & 4);
            return Ok((at <= end).then_some(at));
        }
    }
}

/// Why a walk ended.
enum Stop {
    TooMany,
    Image,
}

impl From<twinhull_fsimg::Error> for Stop {
    fn from(_: twinhull_fsimg::Error) -> Self {
        Stop::Image
    }
}

fn too_many() -> Error {
    Error::BadImage(format!("it has more than {MAX_EXTENTS} extents"))
}

/// The places of all data, unsorted.
fn data<R: ReadAt>(fs: &FileSystem<R>, len: u64) -> Result<Vec<Piece>, Stop> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut seen = HashSet::new();
    fs.walk(|_, inode| {
        if inode.kind != FileType::File || !seen.insert(inode.number) {
            return Ok(());
        }
        let mut run: Option<Piece> = None;
        for (at, place) in fs.places(inode)? {
            if at.checked_add(place).is_none_or(|end| end > len) || place == 0 {
                return Err(Stop::Image);
            }
            match &mut run {
                Some(run) if run.start + run.len == at && run.len + place <= PIECE => run.len += place,
                _ => {
                    pieces.extend(run.take());
                    let mut left = Piece { start: at, len: place, inline: place < SHORT };
                    while left.len > PIECE {
                        pieces.push(Piece { len: PIECE, ..left });
                        (left.start, left.len) = (left.start + PIECE, left.len - PIECE);
                        if pieces.len() > MAX_EXTENTS {
                            return Err(Stop::TooMany);
                        }
                    }
                    run = Some(left);
                }
            }
        }
        pieces.extend(run);
        if pieces.len() > MAX_EXTENTS { Err(Stop::TooMany) } else { Ok(()) }
    })?;
    Ok(pieces)
}

/// Sorts pieces, cuts off what overlaps, and fills the gaps up to `len` with pieces of at most `step` bytes, which are
/// wanted in the index when the gap has at most `inline` bytes.
fn fill(mut found: Vec<Piece>, len: u64, step: u64, inline: u64) -> Result<Vec<Piece>> {
    found.sort_unstable();
    let mut out: Vec<Piece> = Vec::with_capacity(found.len());
    let mut at = 0;
    let end = Piece { start: len, len: 0, inline: false };
    for piece in found.into_iter().chain([end]) {
        let inline = piece.start.saturating_sub(at) <= inline;
        while at < piece.start {
            let now = (step - at % step).min(piece.start - at);
            out.push(Piece { start: at, len: now, inline });
            at += now;
            if out.len() > MAX_EXTENTS {
                return Err(too_many());
            }
        }
        let piece_end = piece.start + piece.len;
        if piece_end > at {
            out.push(Piece { start: at, len: piece_end - at, ..piece });
            at = piece_end;
        }
    }
    Ok(out)
}
