//! Everything in an image's file system by path: what it is, whose, and the digest of its data.
//!
//! Memory grows with the number of names, never with the size of files, and both have bounds: an image is
//! not to be trusted before somebody has looked at it.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;

use anyhow::{Context as _, Result, anyhow, ensure};
use twinhull_fsimg::{FileType, Inode};
use twinhull_sysutil::digest;
use twinhull_tree::{DeviceNumber, Timestamp};

use super::{Image, capability, shown};

/// Most memory that names may take, in bytes, and what an entry takes besides its path.
const MAX_NAMES: u64 = 1 << 30;
const ENTRY: u64 = 300;
/// Most file data that is hashed, in bytes: holes and shared blocks make more of it than the image has.
const MAX_HASHED: u64 = 1 << 40;
/// Longest symbolic link, in bytes, as Linux has it.
const MAX_TARGET: u64 = 4096;
/// How many symbolic links one lookup may follow, as Linux has it.
const MAX_LINKS: u32 = 40;
/// Largest file that is read as text, in bytes.
const MAX_TEXT: u64 = 64 << 20;

/// All entries of an image, by path as on a machine (`/usr/bin/true`).
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The entries.
    pub(crate) entries: BTreeMap<Vec<u8>, Entry>,
}

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Number of its inode.
    pub(crate) number: u64,
    /// What it is.
    pub(crate) kind: FileType,
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u16,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Modification time.
    pub(crate) mtime: Timestamp,
    /// Bytes of data; 0 for a directory, whose size says nothing.
    pub(crate) size: u64,
    /// SHA-256 of a regular file's data in hexadecimal, when it was asked for.
    pub(crate) sha256: Option<String>,
    /// Target of a symbolic link.
    pub(crate) target: Option<Vec<u8>>,
    /// Number of a device.
    pub(crate) device: Option<DeviceNumber>,
    /// File capabilities as text.
    pub(crate) capabilities: Option<String>,
    /// SHA-256 over all other extended attributes, when there are any.
    pub(crate) attributes: Option<String>,
}

impl Snapshot {
    /// Reads all of `image`; with `hash` the data of files, too.
    pub(crate) fn take(image: &Image, hash: bool) -> Result<Self> {
        let failed = || format!("the file system of {} can't be read", image.path.display());
        let reader = &image.reader;
        let root = reader.root().with_context(failed)?;
        let names = reader.entries(&root).with_context(failed)?;
        // What the image of a slot holds is /usr itself.
        let prefix: &[u8] = if names.iter().any(|e| e.name == b"usr") { b"" } else { b"/usr" };
        let mut taker = Taker { image, hash, digests: HashMap::new(), hashed: 0, names: 0 };
        let mut entries = BTreeMap::new();
        reader.walk(|path, inode| -> Result<()> {
            let mut full = prefix.to_vec();
            full.extend_from_slice(if path == b"/" && !prefix.is_empty() { b"" } else { path });
            let entry = taker
                .entry(&full, inode)
                .with_context(|| format!("{} in {} can't be read", shown(&full), image.path.display()))?;
            entries.insert(full, entry);
            Ok(())
        })?;
        Ok(Snapshot { entries })
    }

    /// The entry at `path`, symbolic links followed, with its real path.
    pub(crate) fn resolve(&self, path: &[u8]) -> Option<(Vec<u8>, &Entry)> {
        let mut todo: Vec<Vec<u8>> = path.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect();
        let (mut here, mut links) = (Vec::new(), 0);
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    here.truncate(here.iter().rposition(|b| *b == b'/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = [&here[..], b"/", &part].concat();
            // A /usr by itself has no entry for the root.
            match self.entries.get(&next).map(|e| &e.target) {
                None => return None,
                Some(None) => here = next,
                Some(Some(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        here.clear();
                    }
                    todo.extend(target.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
                }
            }
        }
        let entry = self.entries.get(&here)?;
        Some((here, entry))
    }

    /// The text of the file at `path` of `image`, symbolic links followed; what is no UTF-8 is replaced.
    /// `None` when there is no such file.
    pub(crate) fn text(&self, image: &Image, path: &str) -> Result<Option<String>> {
        let Some((_, entry)) = self.resolve(path.as_bytes()) else { return Ok(None) };
        if entry.kind != FileType::File {
            return Ok(None);
        }
        let failed = || format!("{path} in {} can't be read", image.path.display());
        let (size, most) = (entry.size, MAX_TEXT);
        ensure!(size <= most, "{}: it has {size} bytes, more than {most}", failed());
        let inode = image.reader.inode(entry.number).with_context(failed)?;
        let mut bytes = Vec::new();
        image
            .reader
            .open(&inode)
            .with_context(failed)?
            .take(most)
            .read_to_end(&mut bytes)
            .with_context(failed)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The text of os-release(5); empty when there is none.
    pub(crate) fn os_release(&self, image: &Image) -> Result<String> {
        Ok(match self.text(image, "/usr/lib/os-release")? {
            Some(text) => text,
            None => self.text(image, "/etc/os-release")?.unwrap_or_default(),
        })
    }

    /// Names of the entries directly below the folder `dir`, which ends with a slash.
    pub(crate) fn list<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = (&'a [u8], &'a Entry)> {
        let dir = dir.as_bytes();
        self.entries
            .range(dir.to_vec()..)
            .map_while(move |(path, entry)| Some((path.strip_prefix(dir)?, entry)))
            .filter(|(name, _)| !name.is_empty() && !name.contains(&b'/'))
    }
}

/// Makes entries and keeps count.
struct Taker<'a> {
    image: &'a Image,
    hash: bool,
    /// Digests by inode, for files with several names.
    digests: HashMap<u64, String>,
    hashed: u64,
    names: u64,
}

impl Taker<'_> {
    fn entry(&mut self, path: &[u8], inode: &Inode) -> Result<Entry> {
        let reader = &self.image.reader;
        self.names += ENTRY + path.len() as u64;
        ensure!(self.names <= MAX_NAMES, "there are more names than this program keeps in memory");
        let target = match inode.kind {
            FileType::Symlink => {
                ensure!(inode.size <= MAX_TARGET, "the link is longer than one can be");
                let mut target = Vec::new();
                reader.open(inode)?.read_to_end(&mut target)?;
                self.names += target.len() as u64;
                Some(target)
            }
            _ => None,
        };
        let mut xattrs = reader.xattrs(inode)?;
        let capabilities = xattrs.remove(capability::ATTRIBUTE).map(|v| capability::describe(&v));
        let attributes = (!xattrs.is_empty()).then(|| {
            let mut text = Vec::new();
            for (name, value) in &xattrs {
                for part in [name, value] {
                    text.extend_from_slice(&(part.len() as u64).to_le_bytes());
                    text.extend_from_slice(part);
                }
            }
            digest::sha256_hex(&text)
        });
        Ok(Entry {
            number: inode.number,
            kind: inode.kind,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime,
            size: if inode.kind == FileType::Directory { 0 } else { inode.size },
            sha256: self.digest(inode)?,
            target,
            device: inode.device,
            capabilities,
            attributes,
        })
    }

    fn digest(&mut self, inode: &Inode) -> Result<Option<String>> {
        if !self.hash || inode.kind != FileType::File {
            return Ok(None);
        }
        if let Some(known) = self.digests.get(&inode.number) {
            return Ok(Some(known.clone()));
        }
        self.hashed = self.hashed.saturating_add(inode.size);
        if self.hashed > MAX_HASHED {
            return Err(anyhow!("the files together have more than {MAX_HASHED} bytes; no real image does"));
        }
        let digest = digest::sha256_reader(self.image.reader.open(inode)?)?;
        if inode.links > 1 {
            self.digests.insert(inode.number, digest.clone());
        }
        Ok(Some(digest))
    }
}

/// What a kind is called in reports.
pub(crate) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::File => "file",
        FileType::Symlink => "symlink",
        FileType::CharDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use twinhull_fsimg::{erofs, ext4};
    use twinhull_tree::{Node, Tree};

    /// An image of `tree` in a file that lives as long as the first value.
    pub(crate) fn image(tree: &Tree) -> (tempfile::TempDir, Image) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usr.erofs");
        let mut file = fs_err::File::create(&path).unwrap();
        let options = erofs::Options::new([1; 16], 1_700_000_000);
        let length = erofs::write(tree, &options, &mut file, &mut |_| ()).unwrap();
        file.set_len(length).unwrap();
        let image = Image::open(&path).unwrap();
        (dir, image)
    }

    #[test]
    fn paths_are_those_of_a_machine_and_links_are_followed() {
        let mut tree = Tree::new();
        tree.insert("/share/doc/a/copyright", Node::file("text")).unwrap();
        tree.insert("/share/doc/b", Node::symlink("a")).unwrap();
        tree.insert("/share/doc/c", Node::symlink("/usr/share/doc/b")).unwrap();
        tree.insert("/share/doc/loop", Node::symlink("loop")).unwrap();
        let (_dir, image) = image(&tree);
        let snapshot = Snapshot::take(&image, true).unwrap();
        assert_eq!(snapshot.text(&image, "/usr/share/doc/c/copyright").unwrap().as_deref(), Some("text"));
        assert_eq!(
            snapshot.text(&image, "/usr/share/../share/doc/b/copyright").unwrap().as_deref(),
            Some("text")
        );
        for nothing in ["/usr/share/doc/loop/x", "/usr/share/doc", "/usr/nothing"] {
            assert_eq!(snapshot.text(&image, nothing).unwrap(), None, "{nothing}");
        }
        let names: Vec<_> = snapshot.list("/usr/share/doc/").map(|(n, _)| n.to_vec()).collect();
        assert_eq!(names, [b"a".as_slice(), b"b", b"c", b"loop"]);
        let file = &snapshot.entries[b"/usr/share/doc/a/copyright".as_slice()];
        assert_eq!(file.sha256.as_deref(), Some(digest::sha256_hex(b"text").as_str()));
    }

    #[test]
    fn the_file_system_makes_no_difference() {
        let mut tree = Tree::new();
        let mut ping = Node::program("ping".repeat(3000));
        let capability = vec![1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        ping.meta.xattrs.insert(b"security.capability".to_vec(), capability);
        ping.meta.xattrs.insert(b"user.note".to_vec(), vec![1; 500]);
        tree.insert("/bin/ping", ping).unwrap();
        tree.insert("/bin/ping4", Node::symlink("ping")).unwrap();
        tree.insert("/lib/os-release", Node::file("ID=x\n")).unwrap();
        let (dir, erofs) = image(&tree);
        let path = dir.path().join("usr.ext4");
        let mut file = fs_err::File::create(&path).unwrap();
        let options = ext4::Options { uuid: [1; 16], build_time: 1_700_000_000 };
        ext4::write(&tree, &options, &mut file, &mut |_| ()).unwrap();
        let ext4 = Image::open(&path).unwrap();
        let take = |image: &Image| {
            let mut snapshot = Snapshot::take(image, true).unwrap();
            assert_eq!(snapshot.os_release(image).unwrap(), "ID=x\n");
            // All else must be the same.
            snapshot.entries.values_mut().for_each(|e| e.number = 0);
            format!("{snapshot:?}")
        };
        assert_eq!(take(&erofs), take(&ext4));
        assert!(take(&ext4).contains("cap_net_raw"), "{}", take(&ext4));
    }

    #[test]
    fn an_image_with_usr_in_it_is_a_whole_root() {
        let mut tree = Tree::new();
        tree.insert("/usr/bin/true", Node::program("x")).unwrap();
        let (_dir, image) = image(&tree);
        let snapshot = Snapshot::take(&image, false).unwrap();
        assert!(snapshot.entries.contains_key(b"/usr/bin/true".as_slice()));
        assert!(snapshot.entries.contains_key(b"/".as_slice()));
    }
}
