//! Fills a slot. It is written in any order, so ranges are fetched over several connections at once.

use std::io::{self, Read as _};
use std::sync::Mutex;

use anyhow::Context as _;
use twinhull_delta::{DEFAULT_GAP, Patch, Plan, Reuse, Scan, Step, Wanted};
use twinhull_fsimg::{ReadAt, verity};
use twinhull_release::{Part, Release};
use twinhull_slots::{Device, SlotWriter};

use super::{CHUNK, PatchFile, Remote, Result, Trouble, plan};
use crate::http::Folders;

/// Connections at once.
const CONNECTIONS: usize = 4;
/// Bytes of a hash tree's superblock.
const SUPERBLOCK: usize = 512;

/// A slot to fill.
pub(crate) struct Slot<'a, D: ?Sized> {
    pub(crate) folders: &'a Folders,
    pub(crate) release: &'a Release,
    /// The slot that runs, and what is in it.
    pub(crate) running: &'a (dyn ReadAt + Sync),
    pub(crate) scan: &'a [Scan],
    /// The version that runs.
    pub(crate) version: &'a str,
    pub(crate) writer: &'a SlotWriter<'a, D>,
    /// Told how many more bytes are in their place.
    pub(crate) done: &'a (dyn Fn(u64) + Sync),
}

/// Fills the slot's usr image and makes its hash tree. Afterwards it has the root hash that was signed.
pub(crate) fn fill<D: Device + Sync + ?Sized>(slot: &Slot<'_, D>, reuse: Reuse) -> Result<()> {
    let data = Data(slot.writer);
    let parts = (Part::Usr, Part::UsrIndex);
    let mut plan =
        plan(slot.folders, slot.release, parts, slot.scan, Some(&data), reuse).map_err(Trouble::doubt)?;
    let mut patches = None;
    if reuse == Reuse::Extents && plan.totals.wanted > 0 {
        match PatchFile::find(slot.folders, slot.release, slot.version) {
            Ok(Some(found)) => {
                plan.patch(&found.table, &[slot.running]);
                patches = Some(found.remote);
            }
            Ok(None) => {}
            // It goes without them.
            Err(error) => log::info!("{error:#}"),
        }
    }
    slot.carry_out(&plan, patches.as_ref())?;
    let superblock = Remote::of(slot.folders, slot.release, Part::Verity).range(0, SUPERBLOCK as u64);
    let superblock: [u8; SUPERBLOCK] = superblock
        .map_err(Trouble::fatal)?
        .try_into()
        .map_err(|_| Trouble::Doubt(anyhow::anyhow!("the hash tree has no superblock")))?;
    let write =
        |bytes: &[u8], at| slot.writer.write_tree(bytes, at).map_err(|error| io::Error::other(error).into());
    let root =
        verity::rebuild(&data, &superblock, &Tree(slot.writer), write).map_err(|error| match error {
            twinhull_fsimg::Error::Io(_) => Trouble::fatal(error),
            _ => Trouble::doubt(error),
        })?;
    (slot.done)(slot.release.verity.length);
    if root == slot.writer.image().root {
        return Ok(());
    }
    Err(Trouble::Doubt(anyhow::anyhow!("what came out has another root hash")))
}

impl<D: Device + Sync + ?Sized> Slot<'_, D> {
    fn write(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.writer.write_data(bytes, at).map_err(Trouble::fatal)?;
        (self.done)(bytes.len() as u64);
        Ok(())
    }

    fn carry_out(&self, plan: &Plan, patches: Option<&Remote<'_>>) -> Result<()> {
        (self.done)(plan.totals.kept);
        let (mut ranges, mut made, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
        for step in &plan.steps {
            match step {
                Step::Copy { from, to, len, .. } => self.copy(self.running, *from, *to, *len)?,
                Step::Write { to, bytes } => self.write(bytes, *to)?,
                Step::Zero { to, len } => self.zero(*to, *len)?,
                Step::Repeat { from, to, len } => repeats.push((*from, *to, *len)),
                Step::Fetch { range, wanted } => ranges.push((range, wanted)),
                Step::Patch(patch) => made.push(patch),
                _ => return Err(Trouble::Doubt(anyhow::anyhow!("there is a step that is not known here"))),
            }
        }
        let image = Remote::of(self.folders, self.release, Part::Usr);
        let todo = Mutex::new(ranges.into_iter());
        let next = || todo.lock().ok().and_then(|mut todo| todo.next());
        let work = || -> Result<()> {
            while let Some((range, wanted)) = next() {
                self.fetch(&image, range.start, range.end, wanted)?;
            }
            Ok(())
        };
        let failed = |_| Trouble::Fatal(anyhow::anyhow!("a thread that fetches panicked"));
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(work)).collect();
            // All of them end before one's error is returned: the slot is nobody's then.
            let results: Vec<_> = threads.into_iter().map(|t| t.join().map_err(failed)?).collect();
            results.into_iter().collect::<Result<()>>()
        })?;
        // They need much memory, and on one thread it is the same memory for all of them.
        if let Some(patches) = patches {
            self.make(&image, patches, made)?;
        }
        repeats.into_iter().try_for_each(|(from, to, len)| self.copy(&Data(self.writer), from, to, len))
    }

    fn copy(&self, source: &dyn ReadAt, from: u64, to: u64, len: u64) -> Result<()> {
        let mut buffer = vec![0; len.min(CHUNK) as usize];
        let mut at = 0;
        while at < len {
            let now = &mut buffer[..(len - at).min(CHUNK) as usize];
            source
                .read_exact_at(now, from + at)
                .context("what the machine has can't be read")
                .map_err(Trouble::Doubt)?;
            self.write(now, to + at)?;
            at += now.len() as u64;
        }
        Ok(())
    }

    fn zero(&self, to: u64, len: u64) -> Result<()> {
        let zeros = vec![0; len.min(CHUNK) as usize];
        let mut at = 0;
        while at < len {
            let now = (len - at).min(CHUNK);
            self.write(&zeros[..now as usize], to + at)?;
            at += now;
        }
        Ok(())
    }

    /// Fetches a range of the image and writes what is wanted of it.
    fn fetch(&self, image: &Remote<'_>, start: u64, end: u64, wanted: &[Wanted]) -> Result<()> {
        let mut body = image.folders.open_range(&image.name, image.length, start..end);
        let (mut at, mut bytes) = (start, Vec::new());
        for wanted in wanted {
            let between = wanted.start.saturating_sub(at);
            io::copy(&mut (&mut body).take(between), &mut io::sink()).map_err(Trouble::fatal)?;
            bytes.clear();
            (&mut body).take(wanted.len).read_to_end(&mut bytes).map_err(Trouble::fatal)?;
            wanted.verify(&bytes).map_err(Trouble::doubt)?;
            self.write(&bytes, wanted.start)?;
            at = wanted.start + wanted.len;
        }
        Ok(())
    }

    /// Makes parts from old files and patches. Patches that lie beside each other come with one request.
    fn make(&self, image: &Remote<'_>, patches: &Remote<'_>, mut made: Vec<&Patch>) -> Result<()> {
        made.sort_by_key(|patch| patch.range.start);
        for row in made.chunk_by(|one, next| next.range.start.saturating_sub(one.range.end) <= DEFAULT_GAP) {
            let (start, end) = (row[0].range.start, row[row.len() - 1].range.end);
            let mut body = patches.folders.open_range(&patches.name, patches.length, start..end);
            let (mut at, mut whole) = (start, true);
            for patch in row {
                let mut read = || -> io::Result<Vec<u8>> {
                    let between = patch.range.start.saturating_sub(at);
                    io::copy(&mut (&mut body).take(between), &mut io::sink())?;
                    let mut bytes = Vec::new();
                    (&mut body).take(patch.range.end - patch.range.start).read_to_end(&mut bytes)?;
                    Ok(bytes)
                };
                // A server that lost the patches may still have the image.
                let bytes = if whole { read().ok() } else { None };
                (at, whole) = (patch.range.end, bytes.is_some());
                match bytes.and_then(|bytes| patch.apply(self.running, &bytes).ok()) {
                    Some(bytes) => self.write(&bytes, patch.to)?,
                    None => self.fetch_part(image, patch)?,
                }
            }
        }
        Ok(())
    }

    /// Fetches what a patch should have made.
    fn fetch_part(&self, image: &Remote<'_>, patch: &Patch) -> Result<()> {
        let mut at = patch.to;
        let mut body = image.folders.open_range(&image.name, image.length, at..at + patch.len);
        let mut bytes = Vec::new();
        while at < patch.to + patch.len {
            bytes.clear();
            (&mut body).take(CHUNK).read_to_end(&mut bytes).map_err(Trouble::fatal)?;
            if bytes.is_empty() {
                return Err(Trouble::Doubt(anyhow::anyhow!("a patch is for more than the image has")));
            }
            self.write(&bytes, at)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }
}

/// The usr image in a slot that is written.
struct Data<'a, D: ?Sized>(&'a SlotWriter<'a, D>);

impl<D: Device + ?Sized> ReadAt for Data<'_, D> {
    fn len(&self) -> u64 {
        self.0.image().data_len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_data(buf, offset).map_err(io::Error::other)
    }
}

/// The hash tree in a slot that is written.
struct Tree<'a, D: ?Sized>(&'a SlotWriter<'a, D>);

impl<D: Device + ?Sized> ReadAt for Tree<'_, D> {
    fn len(&self) -> u64 {
        self.0.image().tree_len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_tree(buf, offset).map_err(io::Error::other)
    }
}
