//! Walking the folders of an image that is not to be trusted, the same way for every file system.

use std::collections::HashSet;

use crate::{Error, Result};

/// Deepest folder that is entered.
const MAX_DEPTH: usize = 512;
/// Most entries that a walk visits.
const MAX_ENTRIES: u64 = 16_000_000;

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileType {
    /// The type in the bits of `st_mode`; `None` when there is no such type.
    pub(crate) fn of_mode(mode: u16) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o040_000 => FileType::Directory,
            0o100_000 => FileType::File,
            0o120_000 => FileType::Symlink,
            0o020_000 => FileType::CharDevice,
            0o060_000 => FileType::BlockDevice,
            0o010_000 => FileType::Fifo,
            0o140_000 => FileType::Socket,
            _ => return None,
        })
    }

    /// Whether it is a node for a device.
    pub(crate) fn is_device(self) -> bool {
        matches!(self, FileType::CharDevice | FileType::BlockDevice)
    }
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without slash and zero.
    pub name: Vec<u8>,
    /// Number of the inode.
    pub number: u64,
}

/// What a walk needs of a reader.
pub(crate) trait Folders {
    type Inode;

    fn root(&self) -> Result<Self::Inode>;

    fn inode(&self, number: u64) -> Result<Self::Inode>;

    fn number(inode: &Self::Inode) -> u64;

    /// The entries of a directory, `.` and `..` perhaps among them; `None` when it is none.
    fn entries(&self, inode: &Self::Inode) -> Result<Option<Vec<Entry>>>;

    /// The error that there is something wrong with `inode`.
    fn refuse(&self, inode: &Self::Inode, reason: String) -> Error;
}

/// Calls `visit` with the path (`/` for the root, `/usr/bin`) and inode of everything, parents first, names in
/// byte order. An error of `visit` ends the walk.
pub(crate) fn walk<F: Folders, E: From<Error>>(
    folders: &F,
    mut visit: impl FnMut(&[u8], &F::Inode) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let root = folders.root()?;
    visit(b"/", &root)?;
    let mut entered = HashSet::from([F::number(&root)]);
    let mut visited = 0;
    // Folders being listed, each with the entries still to come, last first.
    let mut open = vec![sorted(folders, &root)?.unwrap_or_default()];
    let mut path: Vec<Vec<u8>> = Vec::new();
    while let Some(entries) = open.last_mut() {
        let Some(entry) = entries.pop() else {
            open.pop();
            path.pop();
            continue;
        };
        visited += 1;
        if visited > MAX_ENTRIES {
            return Err(folders.refuse(&root, format!("there are more than {MAX_ENTRIES} entries")).into());
        }
        let inode = folders.inode(entry.number)?;
        path.push(entry.name);
        let mut full = Vec::new();
        for part in &path {
            full.push(b'/');
            full.extend_from_slice(part);
        }
        visit(&full, &inode)?;
        let Some(below) = sorted(folders, &inode)? else {
            path.pop();
            continue;
        };
        if !entered.insert(entry.number) || open.len() >= MAX_DEPTH {
            let reason = format!("{} is nested too deeply or in itself", String::from_utf8_lossy(&full));
            return Err(folders.refuse(&inode, reason).into());
        }
        open.push(below);
    }
    Ok(())
}

/// Entries of a directory but `.` and `..`, last first.
fn sorted<F: Folders>(folders: &F, inode: &F::Inode) -> Result<Option<Vec<Entry>>> {
    let Some(mut entries) = folders.entries(inode)? else { return Ok(None) };
    entries.retain(|e| e.name != b"." && e.name != b"..");
    entries.sort_unstable_by(|a, b| b.name.cmp(&a.name));
    Ok(Some(entries))
}
