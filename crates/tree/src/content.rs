//! File content that is read only when somebody needs it.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the bytes of a regular file are.
#[derive(Clone)]
pub enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// A range of an open file, usually a tar archive.
    Range {
        /// The file, shared by all entries of the archive.
        file: Arc<fs_err::File>,
        /// Byte offset of the first byte.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
    /// A file on the host.
    Host {
        /// Its path.
        path: PathBuf,
        /// Length in bytes when the tree was read.
        len: u64,
    },
}

impl Content {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Content::Bytes(b) => b.len() as u64,
            Content::Range { len, .. } | Content::Host { len, .. } => *len,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reader over exactly [`Content::len`] bytes.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.open_at(0)
    }

    /// A reader over the bytes from `skip` on; over none when there are no more than that.
    pub fn open_at(&self, skip: u64) -> io::Result<Box<dyn Read + Send>> {
        let skip = skip.min(self.len());
        Ok(match self {
            Content::Bytes(bytes) => {
                let mut cursor = io::Cursor::new(bytes.clone());
                cursor.set_position(skip);
                Box::new(cursor)
            }
            Content::Range { file, offset, len } => {
                Box::new(RangeReader { file: file.clone(), pos: offset + skip, end: offset + len })
            }
            Content::Host { path, len } => {
                let mut file = fs_err::File::open(path)?;
                file.seek(SeekFrom::Start(skip))?;
                Box::new(file.take(len - skip))
            }
        })
    }

    /// All bytes at once. A file that shrank since the tree was read is `UnexpectedEof`.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(usize::try_from(self.len()).unwrap_or(0));
        self.open()?.read_to_end(&mut out)?;
        if out.len() as u64 != self.len() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{self:?} gave {} bytes, {} were expected", out.len(), self.len()),
            ));
        }
        Ok(out)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Bytes(b) => write!(f, "{} bytes in memory", b.len()),
            Content::Range { file, offset, len } => {
                write!(f, "{}[{offset}..+{len}]", file.path().display())
            }
            Content::Host { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Content::Bytes(bytes.into())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Content::Bytes(text.as_bytes().into())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Content::Bytes(text.into_bytes().into())
    }
}

/// Reads a byte range with `pread`, so that any number of readers can share one descriptor.
struct RangeReader {
    file: Arc<fs_err::File>,
    pos: u64,
    end: u64,
}

impl Read for RangeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.pos).unwrap_or(usize::MAX);
        let want = buf.len().min(left);
        if want == 0 {
            return Ok(0);
        }
        let got = self.file.file().read_at(&mut buf[..want], self.pos)?;
        self.pos += got as u64;
        Ok(got)
    }
}
