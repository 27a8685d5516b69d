//! What Google Cloud imports: a tar.gz in the old GNU format with one file, `disk.raw`, of whole GiB.
//!
//! The gzip member is put together from pieces that were compressed on their own, as pigz does: each ends on a byte
//! (RFC 1951, a stored block of no bytes), so that they can follow each other in one stream.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use flate2::{Compress, Compression, Crc, FlushCompress};
use twinhull_sysutil::ordered;

use crate::disk::{Chunk, Disk, SECTOR};
use crate::{Options, Result};

/// Bytes compressed at once; the disk has a whole number of them.
const CHUNK: u64 = 1 << 20;

/// GNU tar writes records of this many bytes.
const RECORD: u64 = 20 * SECTOR;

/// RFC 1952: deflate, no name, no time, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty last block of deflate.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Writes `disk`, which has whole GiB, to the empty file `out`.
pub(crate) fn write(
    disk: &Disk,
    options: &Options<'_>,
    out: &mut File,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    out.write_all(&GZIP_HEADER)?;
    let mut crc = Crc::new();
    let mut put = |piece: &Piece| -> Result<()> {
        out.write_all(&piece.deflated)?;
        crc.combine(&piece.crc);
        Ok(())
    };
    put(&Piece::of(tar_header(disk.size())?.as_bytes())?)?;
    let empty = Piece::of(&vec![0; CHUNK as usize])?;
    let mut done = 0;
    let compress = |chunk: io::Result<Chunk>| -> io::Result<(u64, Piece)> {
        let chunk = chunk?;
        Ok((chunk.offset, Piece::of(&chunk.data)?))
    };
    ordered::map(options.workers(), disk.chunks(CHUNK), compress, |result| -> Result<()> {
        let (offset, piece) = result?;
        while done < offset {
            put(&empty)?;
            done += CHUNK;
        }
        put(&piece)?;
        done += CHUNK;
        progress(done);
        Ok(())
    })?;
    while done < disk.size() {
        put(&empty)?;
        done += CHUNK;
    }
    // Two empty sectors end an archive; header and disk are whole sectors.
    let end = (SECTOR + disk.size() + 2 * SECTOR).next_multiple_of(RECORD) - SECTOR - disk.size();
    put(&Piece::of(&vec![0; end as usize])?)?;
    out.write_all(&LAST_BLOCK)?;
    out.write_all(&crc.sum().to_le_bytes())?;
    out.write_all(&crc.amount().to_le_bytes())?;
    out.flush()?;
    progress(disk.size());
    Ok(())
}

fn tar_header(size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path("disk.raw")?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

/// Compressed bytes that end on a byte, and the checksum of what they were.
struct Piece {
    deflated: Vec<u8>,
    crc: Crc,
}

impl Piece {
    fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut crc = Crc::new();
        crc.update(bytes);
        let mut compress = Compress::new(Compression::default(), false);
        // Room for more than there can be. A compressor that has filled its buffer has to be asked for the end again,
        // which flate2's writers don't do.
        let mut deflated = Vec::with_capacity(bytes.len() + bytes.len() / 8 + 1024);
        loop {
            let rest = bytes.get(compress.total_in() as usize..).unwrap_or_default();
            compress.compress_vec(rest, &mut deflated, FlushCompress::Sync)?;
            if deflated.len() < deflated.capacity() {
                break;
            }
            deflated.reserve(CHUNK as usize);
        }
        deflated.shrink_to_fit();
        Ok(Piece { deflated, crc })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn pieces_make_one_stream() {
        let parts = [&b"some text, some text"[..], &[0; 100_000], b""];
        let mut stream = GZIP_HEADER.to_vec();
        let mut crc = Crc::new();
        for part in parts {
            let piece = Piece::of(part).unwrap();
            stream.extend(&piece.deflated);
            crc.combine(&piece.crc);
        }
        stream.extend(LAST_BLOCK);
        stream.extend(crc.sum().to_le_bytes());
        stream.extend(crc.amount().to_le_bytes());
        let mut got = Vec::new();
        flate2::read::GzDecoder::new(&stream[..]).read_to_end(&mut got).unwrap();
        assert!(got == parts.concat());
    }

    /// The compressor may run out of room just when the piece is to end, and forget that it was to end.
    #[test]
    fn pieces_end_whatever_is_in_them() {
        for seed in [13_u32, 22, 33] {
            let mut state = seed;
            let mut random = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8 & 15
            };
            let bytes: Vec<u8> = (0..300_000).map(&mut random).collect();
            let piece = Piece::of(&bytes).unwrap();
            assert!(piece.deflated.ends_with(&[0, 0, 0xff, 0xff]), "{seed}");
            let stream = [&piece.deflated[..], &LAST_BLOCK].concat();
            let mut got = Vec::new();
            flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut got).unwrap();
            assert!(got == bytes, "{seed}");
        }
    }

    #[test]
    fn large_disks_have_their_size_in_the_header() {
        for size in [1 << 30, 8 << 30, 3 << 40] {
            assert_eq!(tar_header(size).unwrap().entry_size().unwrap(), size);
        }
    }
}
