//! Writing below a root without ever leaving it.
//!
//! /sysroot/var has folders that belong to users, and the agent is root in an initrd where a link to /etc is
//! a link into another system. So every path is walked from the root's descriptor, component by component,
//! and no link is followed.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

/// Permission bits and owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Meta {
    /// Root's, with these permission bits.
    pub const fn root(mode: u32) -> Self {
        Meta { mode, uid: 0, gid: 0 }
    }
}

/// A root to write below.
#[derive(Debug)]
pub struct Rooted(OwnedFd);

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Rooted {
    /// Opens the root.
    pub fn open(root: &Path) -> io::Result<Self> {
        Ok(Rooted(rustix::fs::openat(
            CWD,
            root,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?))
    }

    /// The folder of a path and the path's last part; missing folders are made as `missing`.
    fn parent<'p>(&self, path: &'p str, missing: Meta) -> io::Result<(OwnedFd, &'p str)> {
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.is_empty() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let mut at = rustix::io::fcntl_dupfd_cloexec(&self.0, 3)?;
        for part in dirs.split('/').filter(|p| !p.is_empty()) {
            at = match rustix::fs::openat(&at, part, DIR, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) => make_dir(&at, part, missing)?,
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    let message = format!("`{part}` is in the way: it is a link or a file, not a folder");
                    return Err(io::Error::other(message));
                }
                Err(e) => return Err(e.into()),
            };
        }
        Ok((at, name))
    }

    /// Makes a folder; one that is there stays as it is.
    pub fn dir(&self, path: &str, meta: Meta) -> io::Result<()> {
        let (at, name) = self.parent(path, Meta::root(0o755))?;
        match rustix::fs::openat(&at, name, DIR, Mode::empty()) {
            Ok(_) => Ok(()),
            Err(Errno::NOENT) => make_dir(&at, name, meta).map(drop),
            Err(e) => Err(e.into()),
        }
    }

    /// Replaces a file: temporary file, fsync, rename, fsync of the folder.
    pub fn file(&self, path: &str, bytes: &[u8], meta: Meta, missing: Meta) -> io::Result<()> {
        let (at, name) = self.parent(path, missing)?;
        let temp = format!(".twinhull-{}", std::process::id());
        match rustix::fs::unlinkat(&at, &temp, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file =
            std::fs::File::from(rustix::fs::openat(&at, &temp, flags, Mode::from_raw_mode(0o600))?);
        let finish = |file: &mut std::fs::File| -> io::Result<()> {
            file.write_all(bytes)?;
            // Owner before mode: chown takes set-uid bits away.
            rustix::fs::fchown(&*file, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)))?;
            rustix::fs::fchmod(&*file, Mode::from_raw_mode(meta.mode))?;
            file.sync_all()?;
            rustix::fs::renameat(&at, &temp, &at, name)?;
            Ok(rustix::fs::fsync(&at)?)
        };
        finish(&mut file).inspect_err(|_| {
            let _ = rustix::fs::unlinkat(&at, &temp, AtFlags::empty());
        })
    }

    /// Makes a link; what is there already stays, if it is a link.
    pub fn link(&self, path: &str, target: &str) -> io::Result<()> {
        let (at, name) = self.parent(path, Meta::root(0o755))?;
        match rustix::fs::symlinkat(target, &at, name) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) if self.is(path, FileType::Symlink) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether something of this kind is at a path.
    pub fn is(&self, path: &str, kind: FileType) -> bool {
        let path = path.trim_start_matches('/');
        rustix::fs::statat(&self.0, path, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == kind)
    }
}

fn make_dir(at: &OwnedFd, name: &str, meta: Meta) -> io::Result<OwnedFd> {
    rustix::fs::mkdirat(at, name, Mode::from_raw_mode(0o700))?;
    let dir = rustix::fs::openat(at, name, DIR, Mode::empty())?;
    rustix::fs::fchown(&dir, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)))?;
    rustix::fs::fchmod(&dir, Mode::from_raw_mode(meta.mode))?;
    rustix::fs::fsync(at)?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs_err::create_dir_all(root.join("home/ann")).unwrap();
        fs_err::create_dir_all(&outside).unwrap();
        symlink(&outside, root.join("home/ann/.config")).unwrap();
        symlink(outside.join("file"), root.join("home/ann/file")).unwrap();
        let rooted = Rooted::open(&root).unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&fs_err::metadata(&root).unwrap());
        let group = std::os::unix::fs::MetadataExt::gid(&fs_err::metadata(&root).unwrap());
        let meta = |mode| Meta { mode, uid: owner, gid: group };
        let error = rooted.file("/home/ann/.config/x", b"x", meta(0o600), meta(0o755)).unwrap_err();
        assert!(error.to_string().contains("`.config` is in the way"), "{error}");
        // The last part is replaced, not followed.
        rooted.file("/home/ann/file", b"x", meta(0o600), meta(0o755)).unwrap();
        assert_eq!(fs_err::read_dir(&outside).unwrap().count(), 0);
        rooted.file("/home/ann/a/b/c", b"x", meta(0o4640), meta(0o750)).unwrap();
        let mode = |p: &str| fs_err::metadata(root.join(p)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("home/ann/a/b/c"), mode("home/ann/a/b")), (0o4640, 0o750));
        assert_eq!(fs_err::read_dir(root.join("home/ann/a/b")).unwrap().count(), 1);
    }
}
