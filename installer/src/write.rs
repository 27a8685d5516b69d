//! The order in which a disk is written, so that it boots the whole image or nothing.
//!
//! 1. The image's first mebibyte is unpacked into memory: it says how long the disk is, and whether it is one.
//! 2. What the disk had at both of its ends is taken away. From now on it boots nothing.
//! 3. Everything between the ends is written.
//! 4. When length and digest are right, the ends are written, the first page last.

use std::io::Read;

use serde::Serialize;
use twinhull_release::DiskImage;

use crate::disk::{Disk, END};
use crate::pipeline::{self, Pieces};
use crate::zeros::Runs;
use crate::{Error, Result, table};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Length of the disk in the image, in bytes.
    pub disk_length: u64,
    /// Bytes of it that were written; the others are zeros.
    pub data: u64,
    /// Length of the compressed image in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// Writes the compressed image that `source` gives to `disk`. It has to be the one in `document`, which was verified before;
/// without one, only checksums are checked. `progress` is told how many bytes of the disk are done, and of how many.
///
/// Returns [`Error::Unfinished`] for everything that went wrong after the disk was touched.
pub fn write(
    source: impl Read + Send,
    disk: &mut Disk,
    document: Option<&DiskImage>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written> {
    write_with(source, disk, document, progress, &mut |_, _| Ok(Vec::new()))
}

/// Changes what was held back when it is known to be right, and says what else is to be written, and where. The size of the
/// disk is given.
pub(crate) type Amend<'a> = dyn FnMut(&mut Ends, u64) -> Result<Vec<(u64, Vec<u8>)>> + 'a;

/// As [`write()`], with a change before the ends are written.
pub(crate) fn write_with(
    source: impl Read + Send,
    disk: &mut Disk,
    document: Option<&DiskImage>,
    progress: &mut dyn FnMut(u64, u64),
    amend: &mut Amend<'_>,
) -> Result<Written> {
    let path = disk.path().to_owned();
    let mut touched = false;
    std::thread::scope(|scope| {
        let (mut pieces, threads) = pipeline::start(scope, source, document);
        let copied = copy(&mut pieces, disk, document, progress, &mut touched);
        // Whoever still waits to hand over a piece ends now.
        drop(pieces);
        let came = threads.join();
        // A pipe that broke is why the rest is missing.
        let ends = copied.map_err(|error| came.as_ref().err().map_or(Some(error), |_| None));
        let ends = match (ends, came) {
            (Err(Some(error)), _) | (_, Err(error)) => return Err(error),
            (Err(None), Ok(_)) => return Err(Error::Io(std::io::Error::other("nothing came"))),
            (Ok(ends), Ok((fetched, _))) => {
                if let Some(document) = document
                    && fetched.sha256 != document.file.sha256
                {
                    let signed = document.file.sha256.clone();
                    return Err(Error::WrongDigest { found: fetched.sha256, signed });
                }
                (ends, fetched)
            }
        };
        let (mut ends, fetched) = ends;
        let besides = amend(&mut ends, disk.size())?;
        disk.finish(&ends, &besides)?;
        Ok(Written {
            disk_length: ends.length,
            data: disk.data_written() + 2 * END,
            length: fetched.length,
            sha256: fetched.sha256,
        })
    })
    .map_err(
        |reason| if touched { Error::Unfinished { disk: path, reason: Box::new(reason) } } else { reason },
    )
}

/// What was held back of a disk.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The first bytes.
    pub(crate) head: Vec<u8>,
    /// The last ones.
    pub(crate) tail: Vec<u8>,
    /// Length of the disk in the image, in bytes.
    pub(crate) length: u64,
}

/// Copies everything but the ends.
fn copy(
    pieces: &mut Pieces,
    disk: &mut Disk,
    document: Option<&DiskImage>,
    progress: &mut dyn FnMut(u64, u64),
    touched: &mut bool,
) -> Result<Ends> {
    let head = pieces.next().unwrap_or_default().to_vec();
    let length = table::disk_length(&head).map_err(|reason| Error::NoTable { reason })?;
    if let Some(document) = document
        && document.disk_length != length
    {
        let whom = "the signed document";
        return Err(Error::WrongDisk { found: length.to_string(), expected: document.disk_length, whom });
    }
    if disk.size() < length {
        return Err(Error::TooSmall { path: disk.path().to_owned(), disk: disk.size(), image: length });
    }
    *touched = true;
    disk.erase(length)?;
    let mut at = head.len() as u64;
    let tail_at = length - END;
    let mut tail = Vec::with_capacity(END as usize);
    let mut runs = Runs::new(at);
    let whom = "its partition table";
    while let Some(piece) = pieces.next() {
        let end = at + piece.len() as u64;
        if end > length {
            return Err(Error::WrongDisk { found: format!("more than {length}"), expected: length, whom });
        }
        let held = usize::try_from(end.saturating_sub(tail_at.max(at))).unwrap_or(usize::MAX);
        let (body, end_of_disk) = piece.split_at(piece.len() - held.min(piece.len()));
        runs.push(body, disk).map_err(|e| disk.failed(at, e))?;
        tail.extend_from_slice(end_of_disk);
        at = end;
        progress(at, length);
    }
    if at != length {
        return Err(Error::WrongDisk { found: at.to_string(), expected: length, whom });
    }
    runs.finish(disk).map_err(|e| disk.failed(at, e))?;
    Ok(Ends { head, tail, length })
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write as _};
    use std::path::Path;

    use proptest::prelude::*;
    use twinhull_release::{Artefact, FORMAT};
    use twinhull_sysutil::digest::sha256_hex;

    use super::*;
    use crate::disk::Found;
    use crate::table::tests::head;

    const LENGTH: usize = 6 << 20;

    /// A disk image with `content` behind its table.
    fn image(content: &[u8]) -> Vec<u8> {
        let mut image = head(LENGTH as u64);
        image.extend_from_slice(content);
        image.resize(LENGTH, 0);
        image[LENGTH - 512..][..8].copy_from_slice(b"EFI PART");
        image
    }

    /// As `image-builder convert` does it.
    fn compress(image: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        for chunk in image.chunks(2 << 20) {
            let mut encoder = zstd::stream::write::Encoder::new(&mut file, 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(chunk).unwrap();
            encoder.finish().unwrap();
        }
        file
    }

    fn document(file: &[u8]) -> DiskImage {
        DiskImage {
            format: FORMAT,
            image: "web".into(),
            version: "1".into(),
            arch: "x86-64".into(),
            file: Artefact { length: file.len() as u64, sha256: sha256_hex(file) },
            disk_length: LENGTH as u64,
        }
    }

    /// Writes to a disk of `size` bytes that was full of something else, and returns it.
    fn install(file: &[u8], document: Option<&DiskImage>, size: usize) -> (Result<Written>, Vec<u8>) {
        let temp = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(temp.path(), vec![0xee; size]).unwrap();
        let mut disk = Disk::open(&Found::look(Path::new("/"), temp.path()).unwrap()).unwrap();
        let written = write(file, &mut disk, document, &mut |_, _| ());
        (written, fs_err::read(temp.path()).unwrap())
    }

    /// What doesn't compress.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        };
        (0..length).map(next).collect()
    }

    fn boots_nothing(disk: &[u8]) -> bool {
        let nothing = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        nothing(&disk[..1 << 20]) && nothing(&disk[disk.len() - (1 << 20)..])
    }

    #[test]
    fn a_larger_disk_has_the_image_and_an_empty_end() {
        let image = image(&[7; 100_000]);
        let file = compress(&image);
        for document in [Some(&document(&file)), None] {
            let (written, disk) = install(&file, document, LENGTH + (3 << 20));
            let written = written.unwrap();
            assert!(disk[..LENGTH] == image[..]);
            assert!(disk[LENGTH..LENGTH + (2 << 20)].iter().all(|byte| *byte == 0xee), "not ours");
            assert!(disk[LENGTH + (2 << 20)..].iter().all(|byte| *byte == 0), "the old backup table");
            assert_eq!((written.length, written.disk_length), (file.len() as u64, LENGTH as u64));
            assert_eq!(written.sha256, sha256_hex(&file));
            // Two ends and two blocks of content.
            assert_eq!(written.data, (2 << 20) + (128 << 10));
        }
    }

    #[test]
    fn whatever_is_wrong_nothing_boots() {
        let image = image(&noise(2_000_000));
        let file = compress(&image);
        let document = document(&file);
        // In the first frame, whose checksum comes after the table; in the last one; in a checksum.
        for at in [300_000, file.len() - 30, file.len() - 1] {
            let mut file = file.clone();
            file[at] ^= 1;
            for document in [Some(&document), None] {
                let (written, disk) = install(&file, document, LENGTH);
                assert!(boots_nothing(&disk), "byte {at}");
                let error = written.unwrap_err();
                assert!(matches!(error, Error::Unfinished { .. }), "byte {at}: {error}");
            }
        }
        // Sound frames that are others, or too many, or too few.
        let another = compress(&super::tests::image(b"x"));
        let half = compress(&image[..4 << 20]);
        let twice = [&file[..], &file].concat();
        let cut = &file[..file.len() - 100];
        for (file, signed, word) in [
            (&another[..], "bytes, ", "breaks off"),
            (&half, "were signed", "are expected by its partition table"),
            (&twice, "were signed", "are expected by its partition table"),
            (cut, "were signed", "damaged"),
        ] {
            let (written, disk) = install(file, Some(&document), LENGTH);
            // A short one is known to be wrong before the disk is touched.
            let untouched = disk.iter().all(|byte| *byte == 0xee);
            assert!(untouched || boots_nothing(&disk));
            assert!(written.unwrap_err().to_string().contains(signed));
            let (written, disk) = install(file, None, LENGTH);
            // Without a document, a sound image is as good as another.
            match written {
                Ok(_) => assert_eq!(file, another),
                Err(error) => assert!(error.to_string().contains(word) && boots_nothing(&disk), "{error}"),
            }
        }
        let mut wrong = document.clone();
        wrong.file.sha256 = "0".repeat(64);
        let (written, disk) = install(&file, Some(&wrong), LENGTH);
        assert!(boots_nothing(&disk) && written.unwrap_err().to_string().contains("not what was signed"));
    }

    #[test]
    fn what_is_known_to_be_wrong_leaves_the_disk_alone() {
        let file = compress(&image(b"x"));
        let mut wrong = document(&file);
        wrong.disk_length += 512;
        let no_table = compress(&vec![0; LENGTH]);
        for (file, document, size, word) in [
            (&file[..], None, LENGTH - 512, "the image needs 6.0 MiB"),
            (&file, Some(&wrong), LENGTH, "the signed document"),
            (&no_table, None, LENGTH, "no GUID partition table"),
            (b"no image at all", None, LENGTH, "can't be unpacked"),
            (b"", None, LENGTH, "can't be unpacked"),
        ] {
            let (written, disk) = install(file, document, size);
            let error = written.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert!(disk.iter().all(|byte| *byte == 0xee), "{word}");
        }
    }

    /// A network that breaks.
    struct Breaks<'a>(&'a [u8]);

    impl Read for Breaks<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::other("the cable was pulled")),
                n => Ok(n),
            }
        }
    }

    #[test]
    fn a_source_that_breaks_says_so() {
        let file = compress(&image(&[3; 3 << 20]));
        let temp = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(temp.path(), vec![0xee; LENGTH]).unwrap();
        let mut disk = Disk::open(&Found::look(Path::new("/"), temp.path()).unwrap()).unwrap();
        let error = write(Breaks(&file), &mut disk, None, &mut |_, _| ()).unwrap_err().to_string();
        assert!(error.contains("the cable was pulled"), "{error}");
        assert!(boots_nothing(&fs_err::read(temp.path()).unwrap()) || error.starts_with("the image can't"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn every_disk_is_written_byte_for_byte(
            pieces in prop::collection::vec((0..LENGTH - (2 << 20), 1..200_000_usize, any::<u8>()), 0..12),
        ) {
            let mut content = vec![0; LENGTH - (2 << 20)];
            for (at, length, byte) in pieces {
                let end = content.len().min(at + length);
                content[at..end].fill(byte);
            }
            let image = image(&content);
            let file = compress(&image);
            let (written, disk) = install(&file, Some(&document(&file)), LENGTH);
            prop_assert!(written.is_ok() && disk == image);
        }
    }
}
