//! The UKI, as a reader: the ESP has no room for a file that is written in any order and then moved, so it is made from
//! its first byte to its last.

use std::io::{self, Read};
use std::ops::Range;

use twinhull_delta::{Reuse, Scan, Step, Wanted};
use twinhull_fsimg::{Part as File, ReadAt as _};
use twinhull_release::{Part, Release};

use super::{CHUNK, Remote, plan};
use crate::http::{Download, Folders};

/// A run of the file.
enum Run {
    /// Bytes of the UKI that runs, from this offset.
    Old(u64),
    Bytes(Vec<u8>),
    Zeros,
    /// Bytes of the new UKI, as part of this range.
    New(Wanted, Range<u64>),
    /// Bytes of the new UKI that are elsewhere in it as well.
    Again(u64),
}

/// A UKI that is being put together.
pub(crate) struct Uki<'a> {
    old: File,
    new: Remote<'a>,
    /// Offset, length and origin, the last one first.
    runs: Vec<(u64, u64, Run)>,
    /// The range that is being read, and from where it goes on.
    body: Option<(Download<'a>, Range<u64>)>,
    chunk: io::Cursor<Vec<u8>>,
}

/// Plans the UKI of `release`, with what `old`, the one that runs, has of it.
pub(crate) fn begin<'a>(folders: &'a Folders, release: &Release, old: File) -> anyhow::Result<Uki<'a>> {
    let scan = Scan::new(&old)?;
    let parts = (Part::Uki, Part::UkiIndex);
    let plan = plan(folders, release, parts, &[scan], None, Reuse::Extents)?;
    let mut runs = Vec::new();
    for step in plan.steps {
        match step {
            Step::Copy { from, to, len, .. } => runs.push((to, len, Run::Old(from))),
            Step::Write { to, bytes } => runs.push((to, bytes.len() as u64, Run::Bytes(bytes))),
            Step::Zero { to, len } => runs.push((to, len, Run::Zeros)),
            Step::Fetch { range, wanted } => {
                runs.extend(wanted.into_iter().map(|w| (w.start, w.len, Run::New(w, range.clone()))));
            }
            Step::Repeat { from, to, len } => runs.push((to, len, Run::Again(from))),
            _ => anyhow::bail!("a UKI is not patched"),
        }
    }
    runs.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let new = Remote::of(folders, release, Part::Uki);
    Ok(Uki { old, new, runs, body: None, chunk: io::Cursor::default() })
}

impl Uki<'_> {
    /// The next bytes; none at the end.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let Some((at, len, run)) = self.runs.pop() else { return Ok(Vec::new()) };
        let now = len.min(CHUNK);
        match run {
            Run::Old(from) => {
                let mut bytes = vec![0; now as usize];
                self.old.read_exact_at(&mut bytes, from)?;
                self.rest(at, len, now, Run::Old(from + now));
                Ok(bytes)
            }
            Run::Zeros => {
                self.rest(at, len, now, Run::Zeros);
                Ok(vec![0; now as usize])
            }
            Run::Bytes(bytes) => Ok(bytes),
            Run::Again(from) => self.new.range(from, from + len),
            Run::New(wanted, range) => {
                let (mut body, read) = match self.body.take() {
                    Some(open) if open.1.end == range.end => open,
                    _ => {
                        let body =
                            self.new.folders.open_range(&self.new.name, self.new.length, range.clone());
                        (body, range.clone())
                    }
                };
                let between = wanted.start.saturating_sub(read.start);
                io::copy(&mut (&mut body).take(between), &mut io::sink())?;
                let mut bytes = Vec::with_capacity(wanted.len as usize);
                (&mut body).take(wanted.len).read_to_end(&mut bytes)?;
                wanted.verify(&bytes).map_err(io::Error::other)?;
                self.body = Some((body, wanted.start + wanted.len..range.end));
                Ok(bytes)
            }
        }
    }

    fn rest(&mut self, at: u64, len: u64, done: u64, run: Run) {
        if len > done {
            self.runs.push((at + done, len - done, run));
        }
    }
}

impl Read for Uki<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.position() == self.chunk.get_ref().len() as u64 {
            self.chunk = io::Cursor::new(self.next()?);
        }
        self.chunk.read(buffer)
    }
}
