//! The inodes of a tree with what EROFS needs to know of them before it gives them places.

use twinhull_tree::{Kind, Node, Tree};

use super::files::Data;
use super::inode::{self, Form};
use super::{BLOCK, Options, directory};
use crate::Result;
use crate::numbered::{self, Entry, Numbered};

/// Everything known about one inode.
pub(super) struct Inode<'a> {
    pub(super) path: Vec<u8>,
    pub(super) node: &'a Node,
    /// Its attributes, encoded.
    pub(super) xattrs: Vec<u8>,
    /// Entries with `.` and `..`, sorted, when this is a directory.
    pub(super) entries: Vec<Entry<'a>>,
    /// Bytes of data.
    pub(super) size: u64,
    pub(super) links: u32,
    pub(super) form: Form,
    /// How the data is stored.
    pub(super) data: Data,
    /// Byte offset of the inode from the start of the metadata.
    pub(super) offset: u64,
}

impl Inode<'_> {
    /// Length of inode and attributes in bytes.
    pub(super) fn head(&self) -> u64 {
        self.form.len() + self.xattrs.len() as u64
    }

    /// Bytes of flat data that can go behind the inode: the last block, if it is partial and both fit one block.
    pub(super) fn tail(&self) -> u64 {
        let tail = self.size % BLOCK;
        if self.head() + tail <= BLOCK { tail } else { 0 }
    }
}

/// The inodes of `tree`, the root first. No data has its place yet.
pub(super) fn inodes<'a>(tree: &'a Tree, options: &Options<'_>) -> Result<Vec<Inode<'a>>> {
    numbered::inodes(tree)?.into_iter().enumerate().map(|(n, found)| inode(n, found, options)).collect()
}

fn inode<'a>(index: usize, found: Numbered<'a>, options: &Options<'_>) -> Result<Inode<'a>> {
    let Numbered { path, node, parent, links, mut entries } = found;
    if node.entries().is_some() {
        entries.extend([
            Entry { name: b".", target: index, file_type: 2 },
            Entry { name: b"..", target: parent, file_type: 2 },
        ]);
        entries.sort_unstable_by_key(|e| e.name);
    }
    let xattrs = inode::encode_xattrs(&path, &node.meta)?;
    let size = match &node.kind {
        Kind::Directory(_) => directory::size(&entries),
        Kind::File(data) => data.content.len(),
        Kind::Symlink(target) => target.len() as u64,
        _ => 0,
    };
    let form = Form::of(&node.meta, size, links, options.build_time);
    Ok(Inode { path, node, xattrs, entries, size, links, form, data: Data::default(), offset: 0 })
}
