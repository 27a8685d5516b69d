//! Directory entries.

use std::io::Read;

use super::{Inode, Reader, damaged, u16_at, u64_at};
use crate::erofs::BLOCK;
use crate::{Entry, FileType, ReadAt, Result};

/// Largest directory that is read, in bytes: some ten million names.
const MAX_SIZE: u64 = 1 << 30;

impl<R: ReadAt> Reader<R> {
    /// All entries of a directory in the order on disk, `.` and `..` among them.
    ///
    /// Returns [`crate::Error::Damaged`] with the inode's offset for a block that isn't sound.
    pub fn entries(&self, inode: &Inode) -> Result<Vec<Entry>> {
        let bad = |reason: &str| damaged(inode.offset, format!("in the directory here, {reason}"));
        if inode.kind != FileType::Directory {
            return Err(damaged(inode.offset, "this is no directory".into()));
        }
        if inode.size > MAX_SIZE.min(self.source.len()) {
            return Err(bad("there is more than the image can hold"));
        }
        let mut entries = Vec::new();
        let mut data = self.open(inode)?;
        let mut left = inode.size;
        while left > 0 {
            let mut block = vec![0; left.min(BLOCK) as usize];
            data.read_exact(&mut block).map_err(|e| damaged(inode.offset, e.to_string()))?;
            left -= block.len() as u64;
            let names_at = block.get(8..10).map(|b| usize::from(u16_at(b, 0))).unwrap_or(0);
            if names_at < 12 || !names_at.is_multiple_of(12) || names_at > block.len() {
                return Err(bad("a block doesn't begin with an entry"));
            }
            let offset = |n: usize| usize::from(u16_at(&block, n * 12 + 8));
            let count = names_at / 12;
            for n in 0..count {
                let end = if n + 1 < count { offset(n + 1) } else { block.len() };
                let name = block.get(offset(n)..end).ok_or_else(|| bad("a name lies outside its block"))?;
                let name = name.split(|b| *b == 0).next().unwrap_or_default();
                if name.is_empty() || name.contains(&b'/') || name.len() > 255 || offset(n) < names_at {
                    return Err(bad("there is a name that can't be one"));
                }
                entries.push(Entry { name: name.to_vec(), number: u64_at(&block, n * 12) });
            }
        }
        Ok(entries)
    }
}
