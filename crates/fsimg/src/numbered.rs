//! The inodes of a tree, parents first; names of one hard-linked file share an inode.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use twinhull_tree::{FileData, Kind, Node, Tree};

use crate::error::unsupported;
use crate::{Result, unix};

/// One directory entry.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Name in the directory.
    pub(crate) name: &'a [u8],
    /// Index of the inode.
    pub(crate) target: usize,
    /// Directory entry type.
    pub(crate) file_type: u8,
}

/// One inode.
#[derive(Debug)]
pub(crate) struct Numbered<'a> {
    /// Path of its first name.
    pub(crate) path: Vec<u8>,
    pub(crate) node: &'a Node,
    /// Index of the folder it is in, its own for the root.
    pub(crate) parent: usize,
    /// Number of names; of a directory with `.` and the `..` of those in it.
    pub(crate) links: u32,
    /// Entries in byte order, without `.` and `..`, when this is a directory.
    pub(crate) entries: Vec<Entry<'a>>,
}

/// The inodes of `tree`, the root first.
///
/// Returns [`crate::Error::Unsupported`] when there are more than 2^32.
pub(crate) fn inodes(tree: &Tree) -> Result<Vec<Numbered<'_>>> {
    let mut collector = Collector { inodes: Vec::new(), links: HashMap::new() };
    collector.add(&mut Vec::new(), tree.root(), 0)?;
    Ok(collector.inodes)
}

/// Bytes of all regular files of `tree`, hard links counted once; what `progress` of the writers goes up to.
pub fn content_len(tree: &Tree) -> u64 {
    let mut seen = HashSet::new();
    let files = tree.walk().filter_map(|(_, node)| node.data());
    files.filter(|data| seen.insert(Arc::as_ptr(data))).map(|data| data.content.len()).sum()
}

struct Collector<'a> {
    inodes: Vec<Numbered<'a>>,
    links: HashMap<*const FileData, usize>,
}

impl<'a> Collector<'a> {
    fn add(&mut self, path: &mut Vec<u8>, node: &'a Node, parent: usize) -> Result<usize> {
        let index = self.inodes.len();
        if let Kind::File(data) = &node.kind {
            if let Some(&known) = self.links.get(&Arc::as_ptr(data)) {
                self.inodes[known].links += 1;
                return Ok(known);
            }
            self.links.insert(Arc::as_ptr(data), index);
        }
        if index >= u32::MAX as usize {
            return Err(unsupported(path, "there are more than 2^32 files"));
        }
        let shown = if path.is_empty() { b"/".to_vec() } else { path.clone() };
        self.inodes.push(Numbered { path: shown, node, parent, links: 1, entries: Vec::new() });
        let Some(children) = node.entries() else { return Ok(index) };
        let (mut entries, mut links) = (Vec::with_capacity(children.len()), 2);
        for (name, child) in children {
            let len = path.len();
            path.push(b'/');
            path.extend_from_slice(name);
            let target = self.add(path, child, index)?;
            path.truncate(len);
            links += u32::from(child.entries().is_some());
            entries.push(Entry { name, target, file_type: unix::types(&child.kind).1 });
        }
        self.inodes[index].entries = entries;
        self.inodes[index].links = links;
        Ok(index)
    }
}
