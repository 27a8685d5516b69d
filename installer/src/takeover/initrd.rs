//! The initrd that the installer's kernel gets. It is an archive in memory, and the image is fetched right into its place there,
//! so that it is in memory once.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

use rustix::fs::{MemfdFlags, memfd_create};
use sha2::{Digest as _, Sha256};
use twinhull_fsimg::cpio;
use twinhull_release::{Artefact, DiskImage};
use twinhull_sysutil::digest::hex;
use twinhull_tree::{Metadata, Node, Tree};

use super::Error;
use super::job::{IMAGE, JOB, Job, MODULES};
use crate::{Error as Failure, Result, table};

/// Longest image: kernels of before 2022 read less than 2 GiB.
const MOST: u64 = (2 << 30) - (256 << 20);

/// An archive that has the image, whole.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    /// Where the image begins.
    at: u64,
    /// What came.
    pub(super) image: Artefact,
    /// Length of the disk in it, and its first bytes.
    pub(super) disk_length: u64,
    pub(super) head: Vec<u8>,
}

impl Archive {
    /// Fetches the image, all of it, and checks that it is what was signed, and a disk.
    ///
    /// Returns [`crate::Error::WrongLength`], [`crate::Error::WrongDigest`] and others that say what is wrong with an image.
    pub(super) fn fetch(
        mut source: impl Read,
        document: Option<&DiskImage>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let file = memfd_create("initrd", MemfdFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let mut file = File::from(file);
        let at = header(0)?.len() as u64;
        file.seek(SeekFrom::Start(at))?;
        let most = document.map_or(MOST, |document| document.file.length);
        let (mut hash, mut length, mut piece) = (Sha256::new(), 0_u64, vec![0; 1 << 20]);
        loop {
            let n = match source.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Failure::Source { name: "the image".into(), reason: e.to_string() }),
            };
            length += n as u64;
            if length > most {
                return Err(match document {
                    Some(_) => Failure::WrongLength { found: format!("more than {most}"), signed: most },
                    None => Error::TooLong(length).into(),
                });
            }
            hash.update(&piece[..n]);
            file.write_all(&piece[..n])?;
            progress(length);
        }
        let image = Artefact { length, sha256: hex(&hash.finalize()) };
        if let Some(document) = document {
            let signed = document.file.clone();
            if image.length != signed.length {
                return Err(Failure::WrongLength { found: length.to_string(), signed: signed.length });
            }
            if image.sha256 != signed.sha256 {
                return Err(Failure::WrongDigest { found: image.sha256, signed: signed.sha256 });
            }
        }
        file.seek(SeekFrom::Start(at))?;
        let (disk_length, head) = unpacked(&file)?;
        if let Some(document) = document
            && document.disk_length != disk_length
        {
            let (found, expected) = (disk_length.to_string(), document.disk_length);
            return Err(Failure::WrongDisk { found, expected, whom: "the signed document" });
        }
        file.write_all_at(&header(u32::try_from(length).unwrap_or(u32::MAX))?, 0)?;
        Ok(Archive { file, at, image, disk_length, head })
    }

    /// Adds the program, the modules, and what is to be done.
    ///
    /// Returns [`Error::Initrd`].
    pub(super) fn complete(
        mut self,
        program: Vec<u8>,
        modules: Vec<(String, Vec<u8>)>,
        job: &Job,
    ) -> Result<File, Error> {
        let failed = |e: &dyn std::fmt::Display| Error::Initrd(e.to_string());
        let job = serde_json::to_vec(job).map_err(|e| failed(&e))?;
        let mut tree = Tree::new();
        let mut put = |path: &str, mode, bytes: Vec<u8>| {
            let node = Node { meta: Metadata::root(mode), kind: twinhull_tree::Kind::file(bytes) };
            tree.insert(path, node).map_err(|e| failed(&e))
        };
        put("/init", 0o755, program)?;
        put(JOB, 0o600, job)?;
        for (name, bytes) in modules {
            put(&format!("{MODULES}/{name}"), 0o600, bytes)?;
        }
        // Archives may follow each other, each from a multiple of four bytes on.
        let end = (self.at + self.image.length).next_multiple_of(4);
        self.file.seek(SeekFrom::Start(end)).map_err(|e| failed(&e))?;
        cpio::write(tree.walk(), 0, &self.file).map_err(|e| failed(&e))?;
        self.file.flush().map_err(|e| failed(&e))?;
        Ok(self.file)
    }
}

/// What is before the image in the archive.
fn header(length: u32) -> Result<Vec<u8>, Error> {
    cpio::file_header(&IMAGE[1..], length).map_err(|e| Error::Initrd(e.to_string()))
}

/// Unpacks an image to see that it can be done, and returns the length of the disk and its first mebibyte.
fn unpacked(file: &File) -> Result<(u64, Vec<u8>)> {
    let mut reader = zstd::stream::read::Decoder::new(file)?;
    let mut head = Vec::new();
    let read = (&mut reader).take(crate::disk::END).read_to_end(&mut head);
    read.map_err(|e| Failure::NoZstd { reason: e.to_string() })?;
    let length = table::disk_length(&head).map_err(|reason| Failure::NoTable { reason })?;
    let mut at = head.len() as u64;
    let mut piece = vec![0; 1 << 20];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => at += n as u64,
            Err(e) => return Err(Failure::Damaged { at, reason: e.to_string() }),
        }
        if at > length {
            break;
        }
    }
    if at == length {
        Ok((length, head))
    } else {
        Err(Failure::WrongDisk { found: at.to_string(), expected: length, whom: "its partition table" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::head;
    use crate::takeover::job::Identity;

    const LENGTH: u64 = 6 << 20;

    fn image() -> Vec<u8> {
        let mut image = head(LENGTH);
        image.resize(LENGTH as usize, 0);
        zstd::encode_all(&image[..], 1).unwrap()
    }

    fn document(file: &[u8]) -> DiskImage {
        DiskImage {
            format: twinhull_release::FORMAT,
            image: "web".into(),
            version: "1".into(),
            arch: "x86-64".into(),
            file: Artefact { length: file.len() as u64, sha256: twinhull_sysutil::digest::sha256_hex(file) },
            disk_length: LENGTH,
        }
    }

    #[test]
    fn kernels_and_others_find_all_files() {
        let packed = image();
        let archive = Archive::fetch(&packed[..], Some(&document(&packed)), &mut |_| ()).unwrap();
        assert_eq!((archive.disk_length, archive.head.len()), (LENGTH, 1 << 20));
        let job = Job {
            disk: Identity { name: "/dev/vda".into(), size: 1, length: 2, sha256: "x".into() },
            what: "web 1".into(),
            image: document(&packed),
            seed: vec![("meta-data".into(), "x".into())],
        };
        let modules = vec![("0000-a.ko".into(), b"a".to_vec()), ("0001-b.ko".into(), b"bb".to_vec())];
        let mut file = archive.complete(b"program".to_vec(), modules, &job).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let mut found = Vec::new();
        // As the kernel reads it: entries at multiples of four, whatever zeros and ends are between them.
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == 0 {
                at += 1;
                continue;
            }
            assert_eq!((&bytes[at..at + 6], at % 4), (&b"070701"[..], 0));
            let field = |n: usize| {
                let text = std::str::from_utf8(&bytes[at + 6 + 8 * n..][..8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, name) = (field(1), field(6), field(11));
            let from = (at + 110 + name).next_multiple_of(4);
            let name = String::from_utf8(bytes[at + 110..at + 109 + name].to_vec()).unwrap();
            found.push((name, mode, bytes[from..from + size].to_vec()));
            at = (from + size).next_multiple_of(4);
        }
        let content = |name: &str| &found.iter().find(|(n, _, _)| n == name).unwrap().2;
        assert!(content("image.raw.zst") == &packed);
        assert_eq!((&content("init")[..], &content("modules/0001-b.ko")[..]), (&b"program"[..], &b"bb"[..]));
        let read: Job = serde_json::from_slice(content("job.json")).unwrap();
        assert_eq!((read.disk, read.seed), (job.disk, job.seed));
        let folder =
            found.iter().position(|(name, mode, _)| name == "modules" && mode & 0o170_000 == 0o040_000);
        assert!(folder < found.iter().position(|(name, _, _)| name == "modules/0000-a.ko"));
    }

    #[test]
    fn what_is_not_the_image_is_refused() {
        let packed = image();
        let good = document(&packed);
        let with = |change: fn(&mut DiskImage)| {
            let mut document = good.clone();
            change(&mut document);
            Some(document)
        };
        let short = &packed[..packed.len() - 9];
        for (bytes, document, word) in [
            (&packed[..], with(|d| d.file.length -= 1), "more than"),
            (&packed, with(|d| d.file.length += 1), "were signed"),
            (&packed, with(|d| d.file.sha256 = "0".repeat(64)), "not what was signed"),
            (&packed, with(|d| d.disk_length += 512), "the signed document"),
            (short, None, "can't be unpacked"),
            (b"no image", None, "can't be unpacked"),
        ] {
            let error = Archive::fetch(bytes, document.as_ref(), &mut |_| ()).unwrap_err().to_string();
            assert!(
                error.contains(word) || word == "can't be unpacked" && error.contains("damaged"),
                "{error}"
            );
        }
        assert!(Archive::fetch(&packed[..], None, &mut |_| ()).is_ok());
    }
}
