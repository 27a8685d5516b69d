//! Paths inside a tree: bytes, slash separated, without `.`, `..` or empty components.

use crate::{Error, Result};

/// Longest file name EROFS, ext4 and the kernel's VFS accept, in bytes.
const NAME_MAX: usize = 255;

/// Longest path the kernel takes, in bytes.
const PATH_MAX: usize = 4096;

/// Splits `path` into its components. A leading slash, doubled slashes and `.` are dropped.
///
/// Returns [`Error::BadPath`] for `..`, NUL bytes and components over 255 bytes.
pub fn normalize(path: &[u8]) -> Result<Vec<&[u8]>> {
    let mut parts = Vec::new();
    if path.len() > PATH_MAX {
        let path = String::from_utf8_lossy(&path[..64]).into_owned();
        return Err(Error::BadPath { path, reason: "it is longer than 4096 bytes" });
    }
    for part in path.split(|b| *b == b'/') {
        let reason = match part {
            b"" | b"." => continue,
            b".." => "it contains `..`",
            _ if part.contains(&0) => "it contains a NUL byte",
            _ if part.len() > NAME_MAX => "a name in it is longer than 255 bytes",
            _ => {
                parts.push(part);
                continue;
            }
        };
        let path = String::from_utf8_lossy(path).into_owned();
        return Err(Error::BadPath { path, reason });
    }
    Ok(parts)
}
