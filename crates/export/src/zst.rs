//! The raw disk as Zstandard frames of 4 MiB behind each other, which every reader takes for one file.
//!
//! A frame is compressed by nothing but its own content, so the number of threads changes nothing, and each says
//! how long it is and has a checksum.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use twinhull_sysutil::ordered;
use zstd::zstd_safe::CParameter;

use crate::disk::{Chunk, Disk};
use crate::{Options, Result};

/// Bytes of the disk in a frame.
const FRAME: u64 = 4 << 20;

/// At this level the window is half a frame and a thread's tables take 4 MiB.
const LEVEL: i32 = 6;

/// Writes `disk` to the empty file `out`.
pub(crate) fn write(
    disk: &Disk,
    options: &Options<'_>,
    out: &mut File,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let empty = frame(&vec![0; FRAME as usize])?;
    let mut done = 0;
    let mut skip_to = |out: &mut BufWriter<&mut File>, offset: u64, next: u64| -> Result<()> {
        while done < offset {
            let length = FRAME.min(offset - done);
            if length == FRAME {
                out.write_all(&empty)?;
            } else {
                out.write_all(&frame(&vec![0; length as usize])?)?;
            }
            done += length;
        }
        done = next;
        Ok(())
    };
    let compress = |chunk: io::Result<Chunk>| -> io::Result<(u64, u64, Vec<u8>)> {
        let chunk = chunk?;
        Ok((chunk.offset, chunk.offset + chunk.data.len() as u64, frame(&chunk.data)?))
    };
    ordered::map(options.workers(), disk.chunks(FRAME), compress, |result| -> Result<()> {
        let (offset, end, frame) = result?;
        skip_to(&mut out, offset, end)?;
        out.write_all(&frame)?;
        progress(end);
        Ok(())
    })?;
    skip_to(&mut out, disk.size(), disk.size())?;
    out.flush()?;
    progress(disk.size());
    Ok(())
}

fn frame(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    compressor.compress(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::{content, sample};

    #[test]
    fn frames_give_the_disk_whatever_the_workers() {
        let dir = tempfile::tempdir().unwrap();
        for size in [6 << 20, (9 << 20) + 512] {
            let disk = sample(&dir.path().join("a.raw"), size);
            let write = |workers| {
                let path = dir.path().join("a.zst");
                let options = Options { name: "a", created: 0, workers };
                write(&disk, &options, &mut fs_err::File::create(&path).unwrap().into_file(), &mut |_| ())
                    .unwrap();
                fs_err::read(&path).unwrap()
            };
            let bytes = write(1);
            assert!(bytes == write(3));
            assert!(zstd::decode_all(&bytes[..]).unwrap() == content(&disk));
            assert_eq!(zstd::zstd_safe::get_frame_content_size(&bytes).unwrap(), Some(FRAME));
        }
    }
}
