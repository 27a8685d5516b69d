//! Copies of large files that share blocks or at least keep their holes.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

use rustix::fs::{FallocateFlags, SeekFrom as Place};
use rustix::io::Errno;

/// What is copied at once, in bytes.
const CHUNK: u64 = 1 << 20;

/// Copies all of `from` into the empty file `to`: by sharing blocks where the file system can, and without holes
/// otherwise.
pub fn copy(from: &File, to: &mut File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(&*to, from).is_ok() {
        return Ok(());
    }
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut at = 0;
    while at < length {
        let data = match rustix::fs::seek(from, Place::Data(at)) {
            Ok(data) => data,
            // Only a hole is left.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        at = rustix::fs::seek(from, Place::Hole(data))?.min(length);
        copy_range(from, to, data, at)?;
    }
    Ok(())
}

fn copy_range(from: &File, to: &File, mut at: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK as usize];
    while at < end {
        let piece = &mut buffer[..(end - at).min(CHUNK) as usize];
        from.read_exact_at(piece, at)?;
        to.write_all_at(piece, at)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Makes `length` bytes from `offset` on zeros, as a hole where the file system can.
pub fn clear(file: &mut File, offset: u64, length: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if rustix::fs::fallocate(&*file, flags, offset, length).is_ok() {
        return Ok(());
    }
    file.seek(SeekFrom::Start(offset))?;
    let zeros = vec![0; CHUNK as usize];
    let mut left = length;
    while left > 0 {
        let piece = left.min(CHUNK);
        file.write_all(&zeros[..piece as usize])?;
        left -= piece;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_bytes_and_can_be_cleared() {
        let from = tempfile::tempfile().unwrap();
        from.set_len(8 << 20).unwrap();
        from.write_all_at(b"start", 10).unwrap();
        from.write_all_at(&[7; 100], (5 << 20) - 50).unwrap();
        let mut to = tempfile::tempfile().unwrap();
        copy(&from, &mut to).unwrap();
        let read = |file: &File| {
            let mut bytes = vec![0; 8 << 20];
            file.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        assert!(read(&from) == read(&to));
        assert_eq!(to.metadata().unwrap().len(), 8 << 20);
        clear(&mut to, 0, 5 << 20).unwrap();
        let bytes = read(&to);
        assert!(bytes[..5 << 20].iter().all(|b| *b == 0) && bytes[5 << 20] == 7);
    }
}
