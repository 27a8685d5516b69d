//! Reading the tree with size limits, and small helpers for little-endian fields.

use twinhull_tree::{FileData, Tree};

use crate::{Error, Result};

/// Decodes a path for messages and lookups.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Reads the data of a file that was already found, refusing more than `limit` bytes.
pub(crate) fn read_data(data: &FileData, path: &str, limit: u64, what: &'static str) -> Result<Vec<u8>> {
    if data.content.len() > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit, what });
    }
    data.content.read().map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Reads the regular file at `path`; `None` when there is nothing or something else.
pub(crate) fn read_optional(
    tree: &Tree,
    path: &str,
    limit: u64,
    what: &'static str,
) -> Result<Option<Vec<u8>>> {
    match tree.resolve(path)? {
        Some((_, node)) => node.data().map(|data| read_data(data, path, limit, what)).transpose(),
        None => Ok(None),
    }
}

/// Configuration files named `*suffix` of several directories in the order systemd reads them:
/// by file name, where a name in an earlier directory hides the same name in later ones. An
/// empty file or a link to `/dev/null` hides without adding anything.
pub(crate) fn conf_files(tree: &Tree, dirs: &[&str], suffix: &str) -> Vec<String> {
    let mut found: std::collections::BTreeMap<Vec<u8>, &str> = Default::default();
    for dir in dirs {
        for name in tree.list(dir) {
            if name.ends_with(suffix.as_bytes()) && !name.starts_with(b".") {
                found.entry(name).or_insert(dir);
            }
        }
    }
    found.into_iter().map(|(name, dir)| format!("{dir}/{}", shown(&name))).collect()
}

/// The lines of a text, without their ends.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The little-endian `u32` at `at`.
pub(crate) fn le32(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The little-endian `u64` at `at`.
pub(crate) fn le64(data: &[u8], at: usize) -> Option<u64> {
    let bytes = data.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// The bytes from `at` up to the next NUL.
pub(crate) fn c_str(data: &[u8], at: usize) -> Option<&[u8]> {
    let rest = data.get(at..)?;
    rest.get(..rest.iter().position(|b| *b == 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinhull_tree::Node;

    #[test]
    fn earlier_directories_hide_later_ones() {
        let mut tree = Tree::new();
        for path in ["/a/2.x", "/b/1.x", "/b/2.x", "/b/3.y", "/b/.4.x"] {
            tree.insert(path, Node::file("")).unwrap();
        }
        assert_eq!(conf_files(&tree, &["/a", "/b"], ".x"), ["/b/1.x", "/a/2.x"]);
    }

    #[test]
    fn numbers_and_strings_never_reach_outside() {
        assert_eq!(le32(&[1, 0, 0, 0], 0), Some(1));
        assert_eq!(le32(&[1, 0, 0, 0], 1), None);
        assert_eq!(le64(&[0; 8], usize::MAX), None);
        assert_eq!(c_str(b"ab\0c", 0), Some(&b"ab"[..]));
        assert_eq!(c_str(b"ab\0c", 3), None);
    }
}
