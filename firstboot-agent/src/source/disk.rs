//! Disks and folders that describe a machine: found by their label, mounted read-only where nobody looks, read
//! and unmounted.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{Host, UserDataState};
use crate::http::{METADATA_LIMIT, USER_DATA_LIMIT};
use crate::{Error, Result};

/// How long udev may take to look at the disks.
const SETTLE: Duration = Duration::from_secs(5);

const MOUNT_POINT: &str = "/run/twinhull/metadata";

/// Labels of NoCloud's disks.
pub(super) const CIDATA: &[&str] = &["cidata", "CIDATA"];

/// Labels of OpenStack's.
pub(super) const CONFIG_2: &[&str] = &["config-2", "CONFIG-2"];

/// Whether udev may still find disks.
pub(super) struct Settling(Duration);

impl Settling {
    pub(super) fn new(host: &Host<'_>) -> Self {
        Settling(host.clock.now() + SETTLE)
    }

    /// The first disk there is with one of these labels. Looks again until udev has worked off its queue: a
    /// disk that is there at boot is then known.
    pub(super) fn find(&self, host: &Host<'_>, labels: &[&str]) -> Option<PathBuf> {
        loop {
            let settled = !host.path("/run/udev/queue").exists();
            let mut found = labels.iter().map(|l| host.path(&format!("/dev/disk/by-label/{l}")));
            if let Some(found) = found.find(|p| p.exists()) {
                return Some(found);
            }
            if settled || host.clock.now() >= self.0 {
                return None;
            }
            host.clock.sleep(Duration::from_millis(50));
        }
    }
}

/// A disk's files, as long as this lives.
pub(super) struct Opened {
    /// Where they are.
    pub(super) folder: PathBuf,
    /// What to call the place.
    pub(super) place: String,
    mounted: Option<Mounted>,
}

impl Opened {
    /// Mounts a disk.
    pub(super) fn new(host: &Host<'_>, device: &Path) -> Result<Self> {
        if device.is_dir() {
            // A folder stands for the mounted file system; tests use that.
            return Ok(Opened::folder(device));
        }
        let mounted = Mounted::new(device, &host.path(MOUNT_POINT))?;
        let place = format!("{}:", device.display());
        Ok(Opened { folder: mounted.0.clone(), place, mounted: Some(mounted) })
    }

    /// A folder that is there already.
    pub(super) fn folder(folder: &Path) -> Self {
        Opened { folder: folder.to_owned(), place: format!("{}/", folder.display()), mounted: None }
    }

    /// A file of metadata, if it is there.
    pub(super) fn metadata(&self, name: &str) -> Result<Option<Vec<u8>>> {
        file(&self.folder, name, METADATA_LIMIT)
            .map_err(Error::file("the metadata's", format!("{}{name}", self.place)))
    }

    /// A file of user data.
    pub(super) fn user_data(&self, name: &str) -> UserDataState {
        match file(&self.folder, name, USER_DATA_LIMIT) {
            Ok(None) => UserDataState::None,
            Ok(Some(bytes)) => UserDataState::Some(bytes),
            Err(error) => UserDataState::Failed(format!("{}{name}: {error}", self.place)),
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        drop(self.mounted.take());
    }
}

struct Mounted(PathBuf);

impl Mounted {
    fn new(device: &Path, at: &Path) -> Result<Self> {
        fs_err::create_dir_all(at).map_err(Error::file("the mount point", at))?;
        let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
        let mut problems = Vec::new();
        for kind in ["iso9660", "vfat"] {
            match mount(device, at, kind, flags, None) {
                Ok(()) => return Ok(Mounted(at.to_owned())),
                Err(e) => problems.push(format!("as {kind}: {e}")),
            }
        }
        Err(Error::Mount { device: device.to_owned(), problem: problems.join(", ") })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Detached at worst: the initrd's mounts go away with it.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A regular file of at most `limit` bytes. Links aren't followed: they could lead out of the medium.
fn file(dir: &Path, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = match rustix::fs::open(dir.join(name), flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let file = std::fs::File::from(fd);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it isn't a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok(Some(bytes))
}
