//! A file system that is being read, whichever it is: what looks at images need not know.

use std::collections::BTreeMap;
use std::io::Read;

use twinhull_tree::{DeviceNumber, Timestamp};

use crate::{Entry, Error, FileType, ReadAt, Result, erofs, ext4};

/// What a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// EROFS.
    Erofs,
    /// ext4, or one of those before it.
    Ext4,
}

impl Format {
    /// What the magic number of `source` says; `None` when it is none of these.
    pub fn of(source: &impl ReadAt) -> Option<Self> {
        let mut head = [0; 58];
        source.read_exact_at(&mut head, 1024).ok()?;
        if head[..4] == erofs::MAGIC.to_le_bytes() {
            return Some(Format::Erofs);
        }
        (head[56..] == ext4::MAGIC.to_le_bytes()).then_some(Format::Ext4)
    }

    /// What the kernel calls it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Erofs => "erofs",
            Format::Ext4 => "ext4",
        }
    }
}

/// What every file system knows of an inode.
#[derive(Debug, Clone)]
pub struct Inode {
    /// Its number.
    pub number: u64,
    /// What it is.
    pub kind: FileType,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Timestamp,
    /// Bytes of data.
    pub size: u64,
    /// Number of names.
    pub links: u32,
    /// The number of a device; `None` for what is none.
    pub device: Option<DeviceNumber>,
}

/// An image that is being read, safe on any bytes.
#[derive(Debug)]
pub enum FileSystem<R> {
    /// EROFS.
    Erofs(erofs::reader::Reader<R>),
    /// ext4.
    Ext4(ext4::reader::Reader<R>),
}

impl<R: ReadAt> FileSystem<R> {
    /// Reads the superblock of `source`.
    ///
    /// Returns [`Error::Damaged`] when there is none, or when it isn't sound.
    pub fn new(source: R) -> Result<Self> {
        match Format::of(&source) {
            Some(Format::Erofs) => Ok(FileSystem::Erofs(erofs::reader::Reader::new(source)?)),
            Some(Format::Ext4) => Ok(FileSystem::Ext4(ext4::reader::Reader::new(source)?)),
            None => Err(Error::Damaged {
                format: "file system",
                offset: 1024,
                reason: "there is no superblock of EROFS or ext4".into(),
            }),
        }
    }

    /// Which one it is.
    pub fn format(&self) -> Format {
        match self {
            FileSystem::Erofs(_) => Format::Erofs,
            FileSystem::Ext4(_) => Format::Ext4,
        }
    }

    /// Length in bytes as the superblock has it.
    pub fn length(&self) -> u64 {
        match self {
            FileSystem::Erofs(reader) => reader.length,
            FileSystem::Ext4(reader) => reader.length,
        }
    }

    /// Time of the build, seconds since 1970.
    pub fn build_time(&self) -> u64 {
        match self {
            FileSystem::Erofs(reader) => reader.build_time,
            FileSystem::Ext4(reader) => reader.build_time,
        }
    }

    /// Names of the compression algorithms used.
    pub fn algorithms(&self) -> &[&'static str] {
        match self {
            FileSystem::Erofs(reader) => &reader.algorithms,
            FileSystem::Ext4(_) => &[],
        }
    }

    /// The root directory.
    pub fn root(&self) -> Result<Inode> {
        Ok(match self {
            FileSystem::Erofs(reader) => reader.root()?.common,
            FileSystem::Ext4(reader) => reader.root()?.common,
        })
    }

    /// The inode with this number.
    pub fn inode(&self, number: u64) -> Result<Inode> {
        Ok(match self {
            FileSystem::Erofs(reader) => reader.inode(number)?.common,
            FileSystem::Ext4(reader) => reader.inode(number)?.common,
        })
    }

    /// All entries of a directory in the order on disk, `.` and `..` among them.
    pub fn entries(&self, inode: &Inode) -> Result<Vec<Entry>> {
        match self {
            FileSystem::Erofs(reader) => reader.entries(&reader.inode(inode.number)?),
            FileSystem::Ext4(reader) => reader.entries(&reader.inode(inode.number)?),
        }
    }

    /// A reader over the data of a file, directory or symbolic link. Damage in the data itself is an error when
    /// it is reached.
    pub fn open(&self, inode: &Inode) -> Result<Box<dyn Read + '_>> {
        Ok(match self {
            FileSystem::Erofs(reader) => Box::new(reader.open(&reader.inode(inode.number)?)?),
            FileSystem::Ext4(reader) => Box::new(reader.open(&reader.inode(inode.number)?)?),
        })
    }

    /// The extended attributes of an inode by full name.
    pub fn xattrs(&self, inode: &Inode) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        match self {
            FileSystem::Erofs(reader) => reader.xattrs(&reader.inode(inode.number)?),
            FileSystem::Ext4(reader) => reader.xattrs(&reader.inode(inode.number)?),
        }
    }

    /// Where in the image the data of `inode` is, as byte offsets and lengths; nothing for holes.
    pub fn places(&self, inode: &Inode) -> Result<Vec<(u64, u64)>> {
        match self {
            FileSystem::Erofs(reader) => reader.places(&reader.inode(inode.number)?),
            FileSystem::Ext4(reader) => reader.places(&reader.inode(inode.number)?),
        }
    }

    /// Calls `visit` with the path (`/` for the root, `/usr/bin`) and inode of everything, parents first, names
    /// in byte order. An error of `visit` ends the walk.
    pub fn walk<E: From<Error>>(
        &self,
        mut visit: impl FnMut(&[u8], &Inode) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        match self {
            FileSystem::Erofs(reader) => reader.walk(|path, inode| visit(path, inode)),
            FileSystem::Ext4(reader) => reader.walk(|path, inode| visit(path, inode)),
        }
    }
}
