//! Decides where every inode and block goes, then writes them in one pass.
//!
//! All sizes are known before the first byte is written, so the file data streams straight from the
//! tree to the image; only the metadata (about 100 bytes a file, and tails) is held in memory.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use twinhull_tree::{FileData, Kind, Node, Tree};

use super::inode::{self, Entry, FLAT_INLINE, FLAT_PLAIN, INODE_SIZE, Placement};
use super::{BLOCK, Options, superblock};
use crate::error::unsupported;
use crate::{Error, Result};

/// Node numbers count these units from the start of the image.
const SLOT: u64 = 32;

/// How many partly filled metadata blocks are kept open for tails that fit.
const OPEN_BLOCKS: usize = 32;

/// Everything known about one inode.
struct Inode<'a> {
    path: Vec<u8>,
    node: &'a Node,
    xattrs: Vec<u8>,
    /// Entries with `.` and `..`, sorted, when this is a directory.
    entries: Vec<Entry<'a>>,
    size: u64,
    links: u32,
    data_layout: u16,
    /// Byte offset of the inode in the image.
    offset: u64,
    /// First data block; meaningless when there is none.
    block: u32,
}

impl Inode<'_> {
    /// Bytes that go behind the inode.
    fn tail(&self) -> u64 {
        if self.data_layout == FLAT_INLINE { self.size % BLOCK } else { 0 }
    }

    /// Whole blocks of data.
    fn blocks(&self) -> u64 {
        (self.size - self.tail()).div_ceil(BLOCK)
    }
}

/// A complete layout of an image.
pub(super) struct Plan<'a> {
    inodes: Vec<Inode<'a>>,
    metadata_blocks: u64,
    total_blocks: u32,
}

impl<'a> Plan<'a> {
    /// Lays out `tree`: inodes and data blocks in the order of the walk.
    pub(super) fn new(tree: &'a Tree) -> Result<Self> {
        let mut collector = Collector { inodes: Vec::new(), links: HashMap::new() };
        collector.add(&mut Vec::new(), tree.root(), 0)?;
        let mut inodes = collector.inodes;
        for inode in &mut inodes {
            inode.xattrs = inode::encode_xattrs(&inode.path, &inode.node.meta)?;
            inode.size = match &inode.node.kind {
                Kind::Directory(_) => inode::directory_size(&inode.entries),
                Kind::File(data) => data.content.len(),
                Kind::Symlink(target) => target.len() as u64,
                _ => 0,
            };
        }
        let metadata_end = place_metadata(&mut inodes);
        let metadata_blocks = metadata_end.div_ceil(BLOCK);
        let mut next = metadata_blocks;
        for inode in &mut inodes {
            let blocks = inode.blocks();
            if blocks > 0 {
                inode.block = block_number(next)?;
                next += blocks;
            }
        }
        Ok(Plan { inodes, metadata_blocks, total_blocks: block_number(next)? })
    }

    /// Length of the image in bytes.
    pub(super) fn len(&self) -> u64 {
        u64::from(self.total_blocks) * BLOCK
    }

    /// Writes the image; `progress` is told the bytes done.
    pub(super) fn write<W: Write + Seek>(
        &self,
        options: &Options,
        out: &mut W,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let start = out.stream_position()?;
        let mut metadata = vec![0; (self.metadata_blocks * BLOCK) as usize];
        let nid = |index: usize| self.inodes[index].offset / SLOT;
        out.seek(SeekFrom::Start(start + metadata.len() as u64))?;
        let mut buffer = vec![0; 1 << 20];
        for (index, inode) in self.inodes.iter().enumerate() {
            let place = Placement {
                data_layout: inode.data_layout,
                union: match &inode.node.kind {
                    Kind::CharDevice(d) | Kind::BlockDevice(d) => inode::encode_device(*d),
                    _ => inode.block,
                },
                size: inode.size,
                number: index as u32 + 1,
                links: inode.links,
            };
            let mut at = inode.offset as usize;
            let mut put = |bytes: &[u8]| {
                metadata[at..at + bytes.len()].copy_from_slice(bytes);
                at += bytes.len();
            };
            put(&inode::encode(inode.node, &place, inode.xattrs.len()));
            put(&inode.xattrs);
            let whole = inode.size - inode.tail();
            if whole > 0 {
                progress(u64::from(inode.block) * BLOCK);
            }
            match &inode.node.kind {
                Kind::Directory(_) => {
                    let data = inode::encode_directory(&inode.entries, nid);
                    write_blocks(out, &data[..whole as usize])?;
                    put(&data[whole as usize..]);
                }
                Kind::Symlink(target) => {
                    write_blocks(out, &target[..whole as usize])?;
                    put(&target[whole as usize..]);
                }
                Kind::File(data) => {
                    let mut reader = data.content.open()?;
                    copy_blocks(&mut reader, whole, &mut buffer, out).map_err(|e| shrunk(&inode.path, e))?;
                    let tail = &mut buffer[..inode.tail() as usize];
                    reader.read_exact(tail).map_err(|e| shrunk(&inode.path, e))?;
                    put(tail);
                }
                _ => {}
            }
        }
        let end = out.stream_position()?;
        let root =
            u16::try_from(nid(0)).map_err(|_| Error::BadSize("the root inode is too far away".into()))?;
        superblock::fill(
            &mut metadata[..BLOCK as usize],
            options,
            root,
            self.inodes.len() as u64,
            self.total_blocks,
        );
        out.seek(SeekFrom::Start(start))?;
        out.write_all(&metadata)?;
        out.seek(SeekFrom::Start(end))?;
        debug_assert_eq!(end - start, self.len());
        progress(self.len());
        Ok(())
    }
}

/// Collects inodes parents first; names of one hard-linked file share an inode.
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
            data_layout: FLAT_PLAIN,
            offset: 0,
            block: u32::MAX,
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

/// Gives every inode its offset and layout; returns where the metadata ends, in bytes.
///
/// A tail must lie in the same block as the end of its inode. Blocks with room are kept open, so a
/// tail goes to the first that takes it.
fn place_metadata(inodes: &mut [Inode<'_>]) -> u64 {
    let mut end = (superblock::OFFSET + superblock::SIZE) as u64;
    // Free ranges inside blocks already begun, as (start, end).
    let mut open: Vec<(u64, u64)> = Vec::new();
    for (index, inode) in inodes.iter_mut().enumerate() {
        let head = (INODE_SIZE + inode.xattrs.len()) as u64;
        let tail = inode.size % BLOCK;
        // The root's node number has 16 bits in the superblock, so nothing goes before it.
        let inline = tail > 0 && head + tail <= BLOCK && (index > 0 || head + tail <= BLOCK - end);
        inode.data_layout = if inline { FLAT_INLINE } else { FLAT_PLAIN };
        let need = head + if inline { tail } else { 0 };
        if need <= BLOCK
            && let Some(slot) = open.iter().position(|(from, to)| to - from >= need)
        {
            inode.offset = open[slot].0;
            open[slot].0 = (inode.offset + need).next_multiple_of(SLOT);
            if open[slot].0 >= open[slot].1 {
                open.remove(slot);
            }
            continue;
        }
        let room = end.next_multiple_of(BLOCK) - end;
        if need <= BLOCK && need > room && room > 0 {
            open.push((end, end + room));
            if open.len() > OPEN_BLOCKS {
                let fullest = (0..open.len()).min_by_key(|i| open[*i].1 - open[*i].0).unwrap_or(0);
                open.remove(fullest);
            }
            end += room;
        }
        inode.offset = end;
        end = (end + need).next_multiple_of(SLOT);
    }
    end
}

fn block_number(block: u64) -> Result<u32> {
    u32::try_from(block).map_err(|_| Error::BadSize("the image would be larger than 16 TiB".into()))
}

/// Writes `data` and pads it to whole blocks.
fn write_blocks(out: &mut impl Write, data: &[u8]) -> Result<()> {
    out.write_all(data)?;
    pad(out, data.len() as u64)
}

fn pad(out: &mut impl Write, len: u64) -> Result<()> {
    let missing = len.next_multiple_of(BLOCK) - len;
    out.write_all(&[0; BLOCK as usize][..missing as usize])?;
    Ok(())
}

/// Copies exactly `len` bytes and pads them to whole blocks.
fn copy_blocks(reader: &mut impl Read, len: u64, buffer: &mut [u8], out: &mut impl Write) -> Result<()> {
    let mut left = len;
    while left > 0 {
        let chunk = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        reader.read_exact(&mut buffer[..chunk])?;
        out.write_all(&buffer[..chunk])?;
        left -= chunk as u64;
    }
    pad(out, len)
}

/// A file that became shorter between planning and writing.
fn shrunk(path: &[u8], error: impl Into<Error>) -> Error {
    match error.into() {
        Error::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            unsupported(path, "it became shorter while the image was being written; build again")
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinhull_tree::Node;

    #[test]
    fn tails_never_cross_a_block_and_inodes_never_overlap() {
        let mut tree = Tree::new();
        for n in 0..500_usize {
            tree.insert(format!("/d/{n:03}"), Node::file(vec![7_u8; (n * 37) % 9000])).unwrap();
        }
        let plan = Plan::new(&tree).unwrap();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for inode in &plan.inodes {
            let head = inode.offset + (INODE_SIZE + inode.xattrs.len()) as u64;
            let end = head + inode.tail();
            assert_eq!(inode.offset % SLOT, 0);
            if inode.tail() > 0 {
                assert_eq!(head / BLOCK, (end - 1) / BLOCK);
            }
            ranges.push((inode.offset, end));
        }
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|w| w[0].1 <= w[1].0));
        let used: u64 = ranges.iter().map(|(a, b)| b - a).sum();
        assert!(plan.metadata_blocks * BLOCK < used + used / 5, "more than a fifth is wasted");
    }
}
