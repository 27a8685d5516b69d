//! A machine in memory, for tests: it records every write to its disk and its ESP, and can lose its power at any of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
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

    fn apply(&mut self, op: &Op) {
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

impl Op {
    fn waits_for(&self, other: &Op) -> bool {
        match (self, other) {
            (Op::SyncDisk, Op::Disk { .. }) => true,
            (Op::SyncEsp, Op::Name { .. } | Op::NoName { .. } | Op::Content { .. }) => true,
            (Op::SyncFile(synced), Op::Name { file, .. } | Op::Content { file, .. }) => synced == file,
            _ => false,
        }
    }

    /// Everything that can be left of a write that was cut short: some first or some last sectors. A file may have its
    /// length already and zeros for content.
    fn torn(&self) -> Vec<Op> {
        let cuts = |len: usize| (1..len.div_ceil(SECTOR)).map(|n| n * SECTOR);
        match self {
            Op::Disk { at, bytes } => {
                let head = |cut| Op::Disk { at: *at, bytes: bytes[..cut].to_vec() };
                let tail = |cut| Op::Disk { at: at + cut, bytes: bytes[cut..].to_vec() };
                cuts(bytes.len()).flat_map(|cut| [head(cut), tail(cut)]).collect()
            }
            Op::Content { file, at, bytes } => {
                let zeros = |cut: usize| [&bytes[..cut], &vec![0; bytes.len() - cut]].concat();
                let op = |cut| Op::Content { file: *file, at: *at, bytes: zeros(cut) };
                [0].into_iter().chain(cuts(bytes.len())).map(op).collect()
            }
            // One sector.
            _ => Vec::new(),
        }
    }
}

/// Whether everything that was written was waited for.
pub(crate) fn is_durable(log: &[Op]) -> bool {
    let sync = |op: &Op| matches!(op, Op::SyncDisk | Op::SyncFile(_) | Op::SyncEsp);
    (0..log.len()).all(|n| sync(&log[n]) || log[n..].iter().any(|later| later.waits_for(&log[n])))
}

/// Calls `each` with every state that a power cut can leave while `log` happens to `start`: after each step, with every
/// subset of the writes that nothing had waited for yet (of many: none, all, each one alone, all but each one), and with
/// each of them torn at every sector while the others are kept or lost.
///
/// States are told apart by their hashes, and those in `seen` are left out.
pub(crate) fn each_power_cut(
    start: &State,
    log: &[Op],
    seen: &mut HashSet<u64>,
    each: &mut dyn FnMut(State),
) {
    let (mut durable, mut pending) = (start.clone(), Vec::<&Op>::new());
    let mut report = |state: State| {
        let mut hasher = FastHasher::default();
        state.hash(&mut hasher);
        if seen.insert(hasher.finish()) {
            each(state);
        }
    };
    for step in 0..=log.len() {
        let count = pending.len();
        // Whether a write is kept, and what is instead of the torn one.
        let state = |kept: &dyn Fn(usize) -> bool, torn: Option<(usize, &Op)>| {
            let mut state = durable.clone();
            for (n, op) in pending.iter().enumerate() {
                match torn {
                    Some((at, torn)) if at == n => state.apply(torn),
                    _ if kept(n) => state.apply(op),
                    _ => {}
                }
            }
            state
        };
        if count <= 8 {
            (0..1_u32 << count).for_each(|set| report(state(&|n| set >> n & 1 == 1, None)));
        } else {
            report(state(&|_| true, None));
            report(state(&|_| false, None));
            for alone in 0..count {
                report(state(&|n| n == alone, None));
                report(state(&|n| n != alone, None));
            }
        }
        for (n, op) in pending.iter().enumerate() {
            for torn in op.torn() {
                report(state(&|_| true, Some((n, &torn))));
                report(state(&|_| false, Some((n, &torn))));
            }
        }
        let Some(op) = log.get(step) else { return };
        match op {
            Op::SyncDisk | Op::SyncFile(_) | Op::SyncEsp => {
                let (done, rest) = pending.into_iter().partition(|pending| op.waits_for(pending));
                Vec::into_iter(done).for_each(|op| durable.apply(op));
                pending = rest;
            }
            _ => pending.push(op),
        }
    }
}

/// States are large: two checksums, one of them of the halves swapped, take a tenth of the time of the usual hash.
#[derive(Default)]
struct FastHasher(crc32fast::Hasher, crc32fast::Hasher);

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.0.update(bytes);
        self.1.update(second);
        self.1.update(first);
    }

    fn finish(&self) -> u64 {
        u64::from(self.0.clone().finalize()) << 32 | u64::from(self.1.clone().finalize())
    }
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
