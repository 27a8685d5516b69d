//! A machine in memory, for tests: it records every write to its disk and its ESP, and can lose its power at any of
//! them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Read, Result, Write};

use crate::{Device, Esp, EspFile};

/// Bytes that a medium writes at once or not at all.
pub(crate) const SECTOR: usize = 512;

/// What is on the media.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) disk: Vec<u8>,
    /// The ESP's folder: files by name. After a rename that was cut short, two names lead to one file.
    pub(crate) names: BTreeMap<String, usize>,
    pub(crate) files: BTreeMap<usize, Vec<u8>>,
    /// Files that were removed under one of two names: the other one's content is anything now.
    pub(crate) destroyed: BTreeSet<usize>,
}

impl State {
    /// The content of a file that is neither destroyed nor gone.
    pub(crate) fn content(&self, name: &str) -> Option<&[u8]> {
        let file = self.names.get(name).filter(|file| !self.destroyed.contains(file))?;
        self.files.get(file).map(Vec::as_slice)
    }

    /// Puts a file on the ESP.
    pub(crate) fn put(&mut self, name: &str, content: &[u8]) {
        let file = self.files.keys().next_back().map_or(0, |last| last + 1);
        self.names.insert(name.to_owned(), file);
        self.files.insert(file, content.to_vec());
    }

    /// Pairs of names that lead to one file.
    pub(crate) fn twins(&self) -> Vec<(String, String)> {
        let pairs = self.names.iter().flat_map(|a| self.names.iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| a.0 < b.0 && a.1 == b.1).map(|(a, b)| (a.0.clone(), b.0.clone())).collect()
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Disk { at, bytes } => self.disk[*at..at + bytes.len()].copy_from_slice(bytes),
            Op::Name { name, file } => {
                self.names.insert(name.clone(), *file);
                self.files.entry(*file).or_default();
            }
            Op::NoName { name, freed } => {
                let file = self.names.remove(name);
                let left = file.filter(|file| *freed && self.names.values().any(|other| other == file));
                self.destroyed.extend(left);
            }
            Op::Content { file, at, bytes } => {
                let content = self.files.entry(*file).or_default();
                content.resize(content.len().max(at + bytes.len()), 0);
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Op::SyncDisk | Op::SyncFile(_) | Op::SyncEsp => {}
        }
    }
}

/// What a machine did.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Wrote to the disk.
    Disk {
        at: usize,
        bytes: Vec<u8>,
    },
    /// Made a name in the ESP's folder.
    Name {
        name: String,
        file: usize,
    },
    /// Removed one, and the file with it unless it is renamed.
    NoName {
        name: String,
        freed: bool,
    },
    /// Wrote to a file of the ESP.
    Content {
        file: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    /// Waited.
    SyncDisk,
    SyncFile(usize),
    SyncEsp,
}

/// A machine that runs. It is its own disk and ESP.
#[derive(Debug)]
pub(crate) struct Machine {
    state: RefCell<State>,
    log: RefCell<Vec<Op>>,
    /// Bytes that the ESP has room for.
    pub(crate) room: u64,
}

impl Machine {
    pub(crate) fn new(state: State) -> Self {
        Machine { state: state.into(), log: RefCell::default(), room: 1 << 20 }
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// What it did until now.
    pub(crate) fn log(&self) -> Vec<Op> {
        self.log.borrow().clone()
    }

    fn act(&self, op: Op) {
        self.state.borrow_mut().apply(&op);
        self.log.borrow_mut().push(op);
    }

    fn file(&self, name: &str) -> Result<usize> {
        self.state.borrow().names.get(name).copied().ok_or(ErrorKind::NotFound.into())
    }
}

impl Device for Machine {
    fn len(&self) -> u64 {
        self.state.borrow().disk.len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.state.borrow().disk.as_slice().read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        assert!(offset as usize + bytes.len() <= self.state.borrow().disk.len());
        self.act(Op::Disk { at: offset as usize, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.act(Op::SyncDisk);
        Ok(())
    }
}

impl Esp for Machine {
    fn list(&self) -> Result<Vec<(String, u64)>> {
        let state = self.state.borrow();
        Ok(state.names.iter().map(|(name, file)| (name.clone(), state.files[file].len() as u64)).collect())
    }

    fn free(&self) -> Result<u64> {
        let state = self.state.borrow();
        let used: usize = state.names.values().map(|file| state.files[file].len()).sum();
        Ok(self.room.saturating_sub(used as u64))
    }

    fn create(&self, name: &str) -> Result<Box<dyn EspFile + '_>> {
        if self.file(name).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let file = self.state.borrow().files.keys().next_back().map_or(0, |last| last + 1);
        self.act(Op::Name { name: name.to_owned(), file });
        Ok(Box::new(OpenFile { machine: self, file, len: 0 }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        let content = self.state.borrow().files[&self.file(name)?].clone();
        Ok(Box::new(std::io::Cursor::new(content)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.act(Op::Name { name: to.to_owned(), file: self.file(from)? });
        self.act(Op::NoName { name: from.to_owned(), freed: false });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.file(name)?;
        self.act(Op::NoName { name: name.to_owned(), freed: true });
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.act(Op::SyncEsp);
        Ok(())
    }
}

struct OpenFile<'a> {
    machine: &'a Machine,
    file: usize,
    len: usize,
}

impl Write for OpenFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        // In pieces, so that there are several writes.
        let bytes = &bytes[..bytes.len().min(3 * SECTOR)];
        self.machine.act(Op::Content { file: self.file, at: self.len, bytes: bytes.to_vec() });
        self.len += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl EspFile for OpenFile<'_> {
    fn sync(&mut self) -> Result<()> {
        self.machine.act(Op::SyncFile(self.file));
        Ok(())
    }
}

/// A disk that is only read.
impl Device for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let found = usize::try_from(offset).ok().and_then(|from| self.get(from..)?.get(..buf.len()));
        buf.copy_from_slice(found.ok_or(Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}
