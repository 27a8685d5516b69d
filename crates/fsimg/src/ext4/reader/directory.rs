//! Directory entries.

use std::io::Read;

use super::{Inode, Reader, damaged, u16_at, u32_at};
use crate::{Entry, FileType, ReadAt, Result};

/// Largest directory that is read, in bytes: some ten million names.
const MAX_SIZE: u64 = 1 << 30;
/// Bytes of an entry before its name.
const HEAD: usize = 8;

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
        for _ in 0..inode.size / self.block {
            let mut block = vec![0; self.block as usize];
            data.read_exact(&mut block).map_err(|e| damaged(inode.offset, e.to_string()))?;
            // Nodes of an index are unused entries, as are checksums.
            let mut rest = block.as_slice();
            while !rest.is_empty() {
                let head = rest.get(..HEAD).ok_or_else(|| bad("a block ends within an entry"))?;
                let (number, len) = (u32_at(head, 0), usize::from(u16_at(head, 4)));
                let entry = rest.get(..len).filter(|_| len >= HEAD && len.is_multiple_of(4));
                let entry = entry.ok_or_else(|| bad("an entry can't be as long as it says"))?;
                rest = &rest[len..];
                if number == 0 {
                    continue;
                }
                let name = entry.get(HEAD..HEAD + usize::from(head[6])).unwrap_or_default();
                if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
                    return Err(bad("there is a name that can't be one"));
                }
                entries.push(Entry { name: name.to_vec(), number: u64::from(number) });
            }
        }
        Ok(entries)
    }
}
