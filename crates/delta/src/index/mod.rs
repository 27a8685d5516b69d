//! The index as a file: a head with the lengths and hashes of all groups, then the details of each group. A machine
//! fetches the head, and the details of the groups it doesn't have. docs/reference/index.md has every byte.

mod details;
mod head;
pub(crate) mod varint;

use std::io::Write;

use twinhull_fsimg::ReadAt;

use crate::{Error, Result, scan};

pub(crate) use details::Details;
pub(crate) use head::GroupEntry;
pub use head::Head;

/// Longest index that is read, in bytes.
pub const MAX_INDEX: u64 = 256 << 20;
/// Longest table of groups that is read, in bytes.
const MAX_TABLE: u64 = 16 << 20;

/// Writes the index of `image` to `out`, and returns the image's length: that of its file system. The same image gives
/// the same index.
///
/// Returns [`Error::BadImage`] for an image that is shorter than its file system or has too many parts.
pub fn write_index(image: &(impl ReadAt + ?Sized), out: &mut impl Write) -> Result<u64> {
    let (mut entries, mut details) = (Vec::new(), Vec::new());
    let len = scan::groups(image, |group| {
        let bytes = details::encode(&group)?;
        let entry = GroupEntry { len: group.len, details: bytes.len() as u64, hash: group.hash };
        entries.push(entry);
        details.extend(bytes);
        Ok(())
    })?;
    let head = head::encode(len, &entries)?;
    if (head.len() + details.len()) as u64 > MAX_INDEX {
        return Err(Error::BadImage(format!("its index would have more than {MAX_INDEX} bytes")));
    }
    out.write_all(&head)?;
    out.write_all(&details)?;
    Ok(len)
}
