//! The inodes of a tree, parents first; names of one hard-linked file share an inode.

use std::collections::HashMap;
use std::sync::Arc;

use twinhull_tree::{FileData, Kind, Node, Tree};

use super::directory::{self, Entry};
use super::files::Data;
use super::inode::{self, Form};
use super::{BLOCK, Options};
use crate::Result;
use crate::error::unsupported;

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
    let mut collector = Collector { inodes: Vec::new(), links: HashMap::new() };
    collector.add(&mut Vec::new(), tree.root(), 0)?;
    for inode in &mut collector.inodes {
        inode.xattrs = inode::encode_xattrs(&inode.path, &inode.node.meta)?;
        inode.size = match &inode.node.kind {
            Kind::Directory(_) => directory::size(&inode.entries),
            Kind::File(data) => data.content.len(),
            Kind::Symlink(target) => target.len() as u64,
            _ => 0,
        };
        inode.form = Form::of(&inode.node.meta, inode.size, inode.links, options.build_time);
    }
    Ok(collector.inodes)
}

struct Collector<'a> {
    inodes: Vec<Inode<'a>>,
    links: HashMap<*const FileData, usize>,
}

impl<'a> Collector<'a> {
    fn add(&mut self, path: &mut Vec<u8>, node: &'a Node, parent: usize) -> Result<usize> {
        if let Kind::File(data) = &node.kind {
            if let Some(&known) = self.links.get(&Arc::as_ptr(data)) {
                self.inodes[known].links += 1;
                return Ok(known);
            }
            self.links.insert(Arc::as_ptr(data), self.inodes.len());
        }
        let index = self.inodes.len();
        if index >= u32::MAX as usize {
            return Err(unsupported(path, "there are more than 2^32 files"));
        }
        self.inodes.push(Inode {
            path: if path.is_empty() { b"/".to_vec() } else { path.clone() },
            node,
            xattrs: Vec::new(),
            entries: Vec::new(),
            size: 0,
            links: 1,
            form: Form::Extended,
            data: Data::default(),
            offset: 0,
        });
        let Some(children) = node.entries() else { return Ok(index) };
        let mut entries = vec![
            Entry { name: b".", target: index, file_type: 2 },
            Entry { name: b"..", target: parent, file_type: 2 },
        ];
        let mut links = 2;
        for (name, child) in children {
            let len = path.len();
            path.push(b'/');
            path.extend_from_slice(name);
            let target = self.add(path, child, index)?;
            path.truncate(len);
            links += u32::from(child.entries().is_some());
            entries.push(Entry { name, target, file_type: inode::types(&child.kind).1 });
        }
        entries.sort_unstable_by_key(|e| e.name);
        self.inodes[index].entries = entries;
        self.inodes[index].links = links;
        Ok(index)
    }
}
