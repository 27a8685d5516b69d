//! Reads a tree from a folder on the host. Content is read when it is needed.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, access};

use crate::{Content, DeviceNumber, Error, FileData, Kind, Metadata, Node, Result, Timestamp, Tree};

/// Reads the folder at `path`.
///
/// Owners are taken as they are on disk, with one exception: files owned by the calling user become
/// root's when that user is not root, because an unprivileged user can't have made them any other
/// way. Returns [`Error::Source`] when something in the folder can't be read.
pub fn read(path: &Path) -> Result<Tree> {
    let meta = fs_err::metadata(path)?;
    if !meta.is_dir() {
        return Err(Error::Source(format!("{} is no folder; a `dir:` tree must be one", path.display())));
    }
    let mut tree = Tree::new();
    tree.insert("/", node(path)?)?;
    Ok(tree)
}

/// Reads what is at `path`: a folder with all in it, or a single file. Owners are as with [`read`].
///
/// Returns [`Error::Source`] when something can't be read.
pub fn node(path: &Path) -> Result<Node> {
    let mut reader = Reader {
        own_uid: rustix::process::geteuid().as_raw(),
        own_gid: rustix::process::getegid().as_raw(),
        links: HashMap::new(),
    };
    reader.node(path)
}

struct Reader {
    own_uid: u32,
    own_gid: u32,
    /// Regular files with more than one link, by device and inode number.
    links: HashMap<(u64, u64), Arc<FileData>>,
}

impl Reader {
    fn node(&mut self, path: &Path) -> Result<Node> {
        let stat = fs_err::symlink_metadata(path)?;
        let file_type = stat.file_type();
        let device =
            || DeviceNumber { major: rustix::fs::major(stat.rdev()), minor: rustix::fs::minor(stat.rdev()) };
        let kind = if file_type.is_dir() {
            let mut entries = BTreeMap::new();
            for entry in fs_err::read_dir(path)? {
                let entry = entry?;
                entries.insert(entry.file_name().into_vec(), self.node(&entry.path())?);
            }
            Kind::Directory(entries)
        } else if file_type.is_file() {
            access(path, Access::READ_OK).map_err(|e| {
                Error::Source(format!(
                    "{} can't be read ({e}); a tree must be readable as a whole",
                    path.display()
                ))
            })?;
            let data =
                || Arc::new(FileData { content: Content::Host { path: path.to_owned(), len: stat.len() } });
            if stat.nlink() > 1 {
                Kind::File(self.links.entry((stat.dev(), stat.ino())).or_insert_with(data).clone())
            } else {
                Kind::File(data())
            }
        } else if file_type.is_symlink() {
            Kind::Symlink(fs_err::read_link(path)?.into_os_string().into_vec())
        } else if file_type.is_char_device() {
            Kind::CharDevice(device())
        } else if file_type.is_block_device() {
            Kind::BlockDevice(device())
        } else if file_type.is_fifo() {
            Kind::Fifo
        } else {
            Kind::Socket
        };
        let owner = |id: u32, own: u32| if self.own_uid != 0 && id == own { 0 } else { id };
        let meta = Metadata {
            mode: (stat.mode() & 0o7777) as u16,
            uid: owner(stat.uid(), self.own_uid),
            gid: owner(stat.gid(), self.own_gid),
            mtime: Timestamp { secs: stat.mtime(), nanos: u32::try_from(stat.mtime_nsec()).unwrap_or(0) },
            xattrs: xattrs(path)?,
        };
        Ok(Node { meta, kind })
    }
}

/// All extended attributes except those the host's own security module put there.
fn xattrs(path: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut names = vec![0; 1 << 16];
    let len = match rustix::fs::llistxattr(path, names.as_mut_slice()) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::PERM) => 0,
        Err(e) => {
            return Err(Error::Source(format!("{}: extended attributes can't be read: {e}", path.display())));
        }
    };
    let mut value = vec![0; 1 << 16];
    for name in names[..len].split_inclusive(|b| *b == 0) {
        let Ok(cname) = CStr::from_bytes_with_nul(name) else { continue };
        if cname.to_bytes() == b"security.selinux" {
            continue;
        }
        let len = rustix::fs::lgetxattr(path, cname, value.as_mut_slice()).map_err(|e| {
            let name = std::ffi::OsStr::from_bytes(cname.to_bytes());
            Error::Source(format!("{}: attribute {} can't be read: {e}", path.display(), name.display()))
        })?;
        found.insert(cname.to_bytes().to_vec(), value[..len].to_vec());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_links() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("usr/bin")).unwrap();
        fs_err::write(dir.path().join("usr/bin/a"), "abc").unwrap();
        fs_err::hard_link(dir.path().join("usr/bin/a"), dir.path().join("usr/bin/b")).unwrap();
        fs_err::os::unix::fs::symlink("usr/bin", dir.path().join("bin")).unwrap();
        let tree = read(dir.path()).unwrap();
        assert_eq!(tree.read("/bin/b").unwrap(), b"abc");
        let data = |path: &str| tree.get(path).unwrap().data().unwrap();
        assert!(Arc::ptr_eq(data("/usr/bin/a"), data("/usr/bin/b")));
        assert!(read(&dir.path().join("usr/bin/a")).is_err());
    }
}
