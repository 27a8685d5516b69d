//! Puts the files of a new version together: from what the machine has, what is in their indexes, patches, and ranges
//! of what is left. docs/reference/index.md says how.
//!
//! None of that is believed. Whoever calls this checks the result against what was signed, and fetches whole files when
//! it is something else.

mod slot;
mod uki;

use std::io::{self, Read as _};

use anyhow::{Context as _, ensure};
use twinhull_delta::{DEFAULT_GAP, Head, Patches, Plan, Planner, Reuse, Scan};
use twinhull_fsimg::ReadAt;
use twinhull_release::{Artefact, Part, Release};

use crate::http::Folders;

pub(crate) use slot::{Slot, fill};
pub(crate) use uki::begin;

/// Bytes of an index between two that are wanted, up to which they are fetched as well.
const INDEX_GAP: u64 = 256;
/// Bytes that are copied at once.
const CHUNK: u64 = 256 << 10;

/// Why a file was not put together.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Fetching more and reusing less may help.
    Doubt(anyhow::Error),
    /// It won't.
    Fatal(anyhow::Error),
}

impl Trouble {
    fn fatal(error: impl Into<anyhow::Error>) -> Self {
        Trouble::Fatal(error.into())
    }

    fn doubt(error: impl Into<anyhow::Error>) -> Self {
        Trouble::Doubt(error.into())
    }
}

type Result<T> = std::result::Result<T, Trouble>;

/// A file of a release folder that ranges are read of.
#[derive(Debug, Clone)]
struct Remote<'a> {
    folders: &'a Folders,
    name: String,
    length: u64,
}

impl<'a> Remote<'a> {
    fn of(folders: &'a Folders, release: &Release, part: Part) -> Self {
        Remote { folders, name: release.file(part), length: release.part(part).length }
    }

    /// The bytes `start` to `end`, which are few enough for the memory.
    fn range(&self, start: u64, end: u64) -> io::Result<Vec<u8>> {
        if end > self.length || start > end {
            let text = format!("{} has {} bytes, {start} to {end} are wanted", self.name, self.length);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(end - start).unwrap_or(0));
        self.folders.open_range(&self.name, self.length, start..end).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The beginning of the file: `fixed` bytes, which say by `needed` how many it has.
    fn head(
        &self,
        fixed: usize,
        needed: impl Fn(&[u8]) -> twinhull_delta::Result<u64>,
    ) -> anyhow::Result<Vec<u8>> {
        let mut bytes = self.range(0, fixed as u64)?;
        let needed = needed(&bytes)?;
        bytes.extend(self.range(fixed as u64, needed)?);
        Ok(bytes)
    }
}

/// What to do to get `part` of a release, by the index in `index`.
fn plan(
    folders: &Folders,
    release: &Release,
    (part, index): (Part, Part),
    sources: &[Scan],
    target: Option<&dyn ReadAt>,
    reuse: Reuse,
) -> anyhow::Result<Plan> {
    let index = Remote::of(folders, release, index);
    let work = || -> anyhow::Result<Plan> {
        let bytes = index.head(Head::FIXED, Head::needed)?;
        let head = Head::parse(&bytes)?;
        let length = release.part(part).length;
        ensure!(
            head.image_len == length && head.index_len == index.length,
            "it is for {} bytes, {length} were signed",
            head.image_len
        );
        let mut planner = Planner::new(&head, sources, target, reuse)?;
        for range in planner.wanted(INDEX_GAP) {
            planner.add(range.start, &index.range(range.start, range.end)?)?;
        }
        Ok(planner.plan(DEFAULT_GAP)?)
    };
    work().with_context(|| index.name.clone())
}

/// Patches from one version.
struct PatchFile<'a> {
    remote: Remote<'a>,
    table: Patches,
}

impl<'a> PatchFile<'a> {
    /// Those from `version`, if the release has any.
    fn find(folders: &'a Folders, release: &Release, version: &str) -> anyhow::Result<Option<Self>> {
        let Some(found) = release.patches.iter().find(|patches| patches.from == version) else {
            return Ok(None);
        };
        let Artefact { length, .. } = found.file;
        let remote = Remote { folders, name: release.patches_file(version), length };
        let table = remote.head(Patches::FIXED, Patches::needed).and_then(|head| Ok(Patches::parse(&head)?));
        let table = table.with_context(|| remote.name.clone())?;
        Ok(Some(PatchFile { remote, table }))
    }
}
