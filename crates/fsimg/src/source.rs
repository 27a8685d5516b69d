//! Bytes that are read from any position: a part of a file, or memory.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;

/// Something of known length to read from.
pub trait ReadAt {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing to read.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from byte `offset`; `UnexpectedEof` when there are fewer bytes.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;
}

impl ReadAt for &[u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let found = usize::try_from(offset).ok().and_then(|from| self.get(from..)?.get(..buf.len()));
        buf.copy_from_slice(found.ok_or(Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }
}

/// A range of a file, for example a partition of a disk image.
#[derive(Debug)]
pub struct Part {
    file: File,
    offset: u64,
    len: u64,
}

impl Part {
    /// The `len` bytes of `file` from byte `offset`, fewer when the file ends before.
    pub fn new(file: File, offset: u64, len: u64) -> Result<Self> {
        let end = file.metadata()?.len();
        Ok(Part { len: len.min(end.saturating_sub(offset)), file, offset })
    }
}

impl ReadAt for Part {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buf, self.offset + offset)
    }
}
