//! Boot files of an image on the ESP: which there are, which have to go before an update, and how a new one comes.
//!
//! A boot entry is a promise that its slot is whole. So the entry of a slot that will be overwritten goes before the
//! slot is touched, and a new one comes, whole and under its name at once, after its slot was verified.

use std::io::{ErrorKind, Read, Write};

use sha2::{Digest, Sha256};
use twinhull_disk::slot;

use crate::{Assessment, EntryName, Error, Esp, Image, Result, name};

/// Tries that a new version gets before the machine falls back to the old one.
pub const TRIES: u32 = 3;

/// How names of files end that are not whole yet; no boot loader looks at them.
const TEMPORARY: &str = ".part";

/// Bytes that are read and written at once.
const CHUNK: usize = 256 << 10;

/// A boot file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// Name of the file.
    pub file: String,
    /// Length in bytes.
    pub len: u64,
    /// What the name says.
    pub name: EntryName,
}

/// The boot entries of the image `id`.
///
/// Returns [`Error::Esp`].
pub fn boot_files(esp: &(impl Esp + ?Sized), id: &str) -> Result<Vec<BootFile>> {
    Ok(Menu::read(esp)?
        .0
        .into_iter()
        .filter(|f| !f.temporary && f.boot.name.id == id)
        .map(|f| f.boot)
        .collect())
}

/// What is on the ESP of any image: entries, and files that were to become some.
pub(crate) struct Menu(Vec<Found>);

struct Found {
    boot: BootFile,
    temporary: bool,
}

impl Found {
    fn parse(file: String, len: u64) -> Option<Self> {
        let (name, temporary) = match file.strip_suffix(TEMPORARY) {
            Some(label) => (EntryName::parse(&format!("{label}.efi"))?, true),
            None => (EntryName::parse(&file)?, false),
        };
        Some(Found { boot: BootFile { file, len, name }, temporary })
    }

    fn is(&self, id: &str, version: &str) -> bool {
        self.boot.name.id == id && name::same_version(&self.boot.name.version, version)
    }
}

impl Menu {
    /// Reads what is there.
    pub(crate) fn read(esp: &(impl Esp + ?Sized)) -> Result<Self> {
        let files = esp.list().map_err(failed("EFI/Linux", "read"))?;
        Ok(Menu(files.into_iter().filter_map(|(file, len)| Found::parse(file, len)).collect()))
    }

    /// What boot counting says of a version; `None` when it has no entry, or an empty one as fsck leaves it.
    pub(crate) fn assessment(&self, id: &str, version: &str) -> Option<Assessment> {
        let found = self.0.iter().filter(|f| !f.temporary && f.is(id, version) && f.boot.len > 0);
        // Of twins the longest is the whole one.
        found.max_by_key(|f| f.boot.len).map(|f| f.boot.name.assessment())
    }

    /// What has to go before a slot is emptied whose data partition has the label `target`: its entries, those of the
    /// image `id` that have no slot, temporary files, and twins that fsck has cut off. `kept` are the labels of the
    /// slots that stay.
    ///
    /// Returns [`Error::OneFile`].
    pub(crate) fn leftovers(&self, id: &str, kept: &[&str], target: &str) -> Result<Vec<&BootFile>> {
        let mut leftovers = Vec::new();
        for found in &self.0 {
            let EntryName { id: image, version, .. } = &found.boot.name;
            let label = slot::label(image, version);
            if image != id && label != target {
                continue;
            }
            let others =
                self.0.iter().filter(|other| other.boot.file != found.boot.file && other.is(image, version));
            for other in others.clone() {
                if other.boot.len == found.boot.len && found.boot.len > 0 {
                    return Err(Error::OneFile(found.boot.file.clone(), other.boot.file.clone()));
                }
            }
            let stays = kept.iter().any(|kept| kept.eq_ignore_ascii_case(&label));
            let cut = others.clone().any(|other| !other.temporary && other.boot.len > found.boot.len);
            if found.temporary || !stays || cut {
                leftovers.push(&found.boot);
            }
        }
        Ok(leftovers)
    }
}

/// Removes files and waits for the medium.
pub(crate) fn remove(esp: &(impl Esp + ?Sized), files: &[&BootFile]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    for file in files {
        esp.remove(&file.file).map_err(failed(&file.file, "removed"))?;
    }
    esp.sync().map_err(failed("EFI/Linux", "flushed"))
}

/// Takes an entry away: its version isn't booted any more, and the slot stays as it is.
///
/// Returns [`Error::Esp`].
pub fn remove_entry(esp: &(impl Esp + ?Sized), entry: &BootFile) -> Result<()> {
    remove(esp, &[entry])
}

/// Makes the boot entry of an image from its UKI. Until the last step there is only a file that isn't an entry.
///
/// Returns [`Error::Source`], [`Error::WrongLength`], [`Error::WrongDigest`] and [`Error::Esp`].
pub(crate) fn install(esp: &(impl Esp + ?Sized), image: &Image, uki: &mut dyn Read) -> Result<BootFile> {
    let temporary = format!("{}{TEMPORARY}", image.label());
    let written = write(esp, &temporary, image.uki_len, uki).and_then(|()| check(esp, &temporary, image));
    if let Err(error) = written {
        // What is left is removed before the next update at the latest.
        let _ = esp.remove(&temporary);
        return Err(error);
    }
    let name = EntryName { id: image.id.clone(), version: image.version.clone(), counter: Some((TRIES, 0)) };
    let file = name.to_string();
    esp.rename(&temporary, &file).map_err(failed(&file, "given its name"))?;
    esp.sync().map_err(failed(&file, "flushed"))?;
    Ok(BootFile { file, len: image.uki_len, name })
}

fn write(esp: &(impl Esp + ?Sized), name: &str, len: u64, uki: &mut dyn Read) -> Result<()> {
    let mut file = esp.create(name).map_err(failed(name, "made"))?;
    let mut written = 0;
    // One byte more tells a longer one.
    each_chunk(&mut uki.take(len.saturating_add(1)), Error::Source, &mut |bytes| {
        written += bytes.len() as u64;
        if written > len {
            return Err(Error::WrongLength { found: written, expected: len });
        }
        file.write_all(bytes).map_err(failed(name, "written"))
    })?;
    if written < len {
        return Err(Error::WrongLength { found: written, expected: len });
    }
    file.sync().map_err(failed(name, "flushed"))
}

/// Reads the file back.
fn check(esp: &(impl Esp + ?Sized), name: &str, image: &Image) -> Result<()> {
    let mut file = esp.open(name).map_err(failed(name, "read"))?;
    let mut digest = Sha256::new();
    each_chunk(&mut file, failed(name, "read"), &mut |bytes| {
        digest.update(bytes);
        Ok(())
    })?;
    if digest.finalize()[..] == image.uki_sha256 {
        Ok(())
    } else {
        Err(Error::WrongDigest { file: name.to_owned() })
    }
}

fn each_chunk(
    source: &mut dyn Read,
    failed: impl FnOnce(std::io::Error) -> Error,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => each(&buffer[..count])?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
}

/// Turns an I/O error into an [`Error::Esp`].
pub(crate) fn failed(file: &str, verb: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    let file = file.to_owned();
    move |source| Error::Esp { file, verb, source }
}
