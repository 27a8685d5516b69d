//! Reads files out of a FAT file system in a disk image, through the `fatfs` crate.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use super::{Options, name};
use crate::{Error, Result};

/// Most files and folders that are read.
const MAX_ENTRIES: usize = 10_000;
/// Deepest folder that is entered.
const MAX_DEPTH: usize = 16;
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// A file in a FAT file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path with slashes, without a leading one.
    pub path: String,
    /// Content.
    pub data: Vec<u8>,
}

/// All files whose path `wanted` accepts, in the file system of `size` bytes at `offset` of `file`.
///
/// Returns [`Error::Damaged`] for anything that is no FAT or leads nowhere.
pub fn read(file: &File, offset: u64, size: u64, wanted: impl Fn(&str) -> bool) -> Result<Vec<Entry>> {
    open(file, offset, size, |fs| {
        let mut found = Vec::new();
        let mut budget = Budget { entries: MAX_ENTRIES, bytes: size };
        walk(&fs.root_dir(), "", 0, &mut budget, &wanted, &mut found)?;
        found.sort_by(|a: &Entry, b| a.path.cmp(&b.path));
        Ok(found)
    })
}

/// What [`write`](super::write) was told when it wrote the file system of `size` bytes at `offset` of `file`: with
/// the same files it writes the same again. Times are those of its first file or folder.
///
/// Returns [`Error::Damaged`].
pub fn options(file: &File, offset: u64, size: u64) -> Result<Options> {
    open(file, offset, size, |fs| {
        let first = fs.root_dir().iter().next().transpose()?;
        let time = first.map_or(0, |entry| {
            let fatfs::DateTime { date, time } = entry.modified();
            name::unix_time((date.year, date.month, date.day), (time.hour, time.min, time.sec))
        });
        Ok(Options { size, serial: fs.volume_id(), label: fs.volume_label(), time })
    })
}

/// Calls `work` with the file system of `size` bytes at `offset` of `file`.
fn open<T>(
    file: &File,
    offset: u64,
    size: u64,
    work: impl FnOnce(&fatfs::FileSystem<Window>) -> io::Result<T>,
) -> Result<T> {
    let damaged = |reason: String| Error::Damaged { format: "FAT", offset, reason };
    let window = Window { file: file.try_clone()?, offset, size, position: 0 };
    // fatfs asserts on some damage that it could report; a hostile image must not end the program.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let fs = fatfs::FileSystem::new(window, fatfs::FsOptions::new());
        fs.and_then(|fs| work(&fs)).map_err(|e| damaged(e.to_string()))
    }))
    .unwrap_or_else(|_| Err(damaged("it is damaged in a way that its reader can't handle".into())))
}

/// What may still be read.
struct Budget {
    entries: usize,
    bytes: u64,
}

fn walk(
    dir: &fatfs::Dir<'_, Window>,
    prefix: &str,
    depth: usize,
    budget: &mut Budget,
    wanted: &impl Fn(&str) -> bool,
    found: &mut Vec<Entry>,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other("folders are nested too deeply"));
    }
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        budget.entries =
            budget.entries.checked_sub(1).ok_or_else(|| io::Error::other("there are too many files"))?;
        let path = format!("{prefix}{name}");
        if entry.is_dir() {
            walk(&entry.to_dir(), &format!("{path}/"), depth + 1, budget, wanted, found)?;
        } else if wanted(&path) {
            if entry.len() > MAX_FILE {
                return Err(io::Error::other(format!("{path} is larger than 1 GiB")));
            }
            // Files that share clusters could otherwise take any amount of memory.
            budget.bytes = budget
                .bytes
                .checked_sub(entry.len())
                .ok_or_else(|| io::Error::other("the files are larger than their file system"))?;
            let mut data = Vec::new();
            entry.to_file().take(MAX_FILE).read_to_end(&mut data)?;
            found.push(Entry { path, data });
        }
    }
    Ok(())
}

/// A read-only range of a file as the stream fatfs wants.
struct Window {
    file: File,
    offset: u64,
    size: u64,
    position: u64,
}

impl Read for Window {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let want = buf.len().min(left);
        let got = self.file.read_at(&mut buf[..want], self.offset + self.position)?;
        self.position += got as u64;
        Ok(got)
    }
}

impl Write for Window {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "an image is only read here"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::Current(n) => self.position.checked_add_signed(n),
            SeekFrom::End(n) => self.size.checked_add_signed(n),
        };
        self.position = target.ok_or_else(|| io::Error::other("a seek before the start"))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinhull_tree::Content;

    #[test]
    fn garbage_is_an_error_and_not_a_panic() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(40 << 20).unwrap();
        assert!(read(&file, 0, 40 << 20, |_| true).is_err());
        let mut out = file.try_clone().unwrap();
        let options = super::super::Options { size: 40 << 20, serial: 1, label: "ESP".into(), time: 0 };
        super::super::write(&[("a/b.txt".into(), Content::from("hi"))], &options, &mut out).unwrap();
        let files = read(&file, 0, 40 << 20, |_| true).unwrap();
        assert_eq!(files, [Entry { path: "a/b.txt".into(), data: b"hi".to_vec() }]);
        assert_eq!(super::options(&file, 0, 40 << 20).unwrap().serial, 1);
        for at in (0..600).chain([16_384, 16_388, 16_392]) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 0xFF], at).unwrap();
            let _ = read(&file, 0, 40 << 20, |_| true);
            let _ = super::options(&file, 0, 40 << 20);
            file.write_all_at(&byte, at).unwrap();
        }
    }
}
