//! Writes a tree as a `newc` cpio archive, the format of an initramfs
//! (Documentation/driver-api/early-userspace/buffer-format in the kernel).

use std::io::Write;

use twinhull_tree::{Kind, Node};

use crate::Result;
use crate::error::unsupported;

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;
const S_IFIFO: u32 = 0o010_000;

/// Writes `entries` of a tree, parents first, to `out`, every time set to `mtime` (seconds since 1970). Hard links become
/// separate files.
///
/// Returns [`crate::Error::Unsupported`] for sockets and for files of 4 GiB and more.
pub fn write<'a, W: Write>(
    entries: impl IntoIterator<Item = (Vec<u8>, &'a Node)>,
    mtime: u32,
    mut out: W,
) -> Result<W> {
    for (index, (path, node)) in entries.into_iter().enumerate() {
        let name = String::from_utf8(path.strip_prefix(b"/").unwrap_or(&path).to_vec())
            .map_err(|_| unsupported(&path, "a name in an initrd must be UTF-8"))?;
        let name = if name.is_empty() { "." } else { &name };
        let (format, device, data) = parts(&path, node)?;
        let size = u32::try_from(data.len())
            .map_err(|_| unsupported(&path, "a file in an initrd must be smaller than 4 GiB"))?;
        let header = cpio::NewcBuilder::new(name)
            .ino(index as u32 + 1)
            .mode(format | u32::from(node.meta.mode))
            .uid(node.meta.uid)
            .gid(node.meta.gid)
            .nlink(if node.entries().is_some() { 2 } else { 1 })
            .mtime(mtime)
            .rdev_major(device.0)
            .rdev_minor(device.1);
        let mut entry = header.write(out, size);
        entry.write_all(&data)?;
        out = entry.finish()?;
    }
    Ok(cpio::newc::trailer(out)?)
}

/// What stands before the `length` bytes of root's file `name` in an archive, for content that is put there by other means. What
/// follows begins at a multiple of four bytes.
///
/// Returns an error of the archive's writer.
pub fn file_header(name: &str, length: u32) -> Result<Vec<u8>> {
    let header = cpio::NewcBuilder::new(name).ino(1).mode(S_IFREG | 0o600).nlink(1);
    // A file without content would have its padding here.
    let mut bytes = header.write(Vec::new(), length.max(1)).finish()?;
    bytes[54..62].copy_from_slice(format!("{length:08x}").as_bytes());
    Ok(bytes)
}

type Parts = (u32, (u32, u32), Vec<u8>);

fn parts(path: &[u8], node: &Node) -> Result<Parts> {
    Ok(match &node.kind {
        Kind::Directory(_) => (S_IFDIR, (0, 0), Vec::new()),
        Kind::File(data) => (S_IFREG, (0, 0), data.content.read()?),
        Kind::Symlink(target) => (S_IFLNK, (0, 0), target.clone()),
        Kind::CharDevice(d) => (S_IFCHR, (d.major, d.minor), Vec::new()),
        Kind::BlockDevice(d) => (S_IFBLK, (d.major, d.minor), Vec::new()),
        Kind::Fifo => (S_IFIFO, (0, 0), Vec::new()),
        Kind::Socket => {
            return Err(unsupported(path, "an initrd can't hold a socket; remove it from the tree"));
        }
    })
}
