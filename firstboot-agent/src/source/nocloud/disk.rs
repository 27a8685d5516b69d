//! The cidata disk: found by its label, mounted read-only where nobody looks, read and unmounted.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{NoCloud, Seed};
use crate::http::{METADATA_LIMIT, USER_DATA_LIMIT};
use crate::source::{Host, UserDataState};
use crate::{Error, Result};

/// How long udev may take to look at the disks.
const SETTLE: Duration = Duration::from_secs(5);

const MOUNT_POINT: &str = "/run/twinhull/cidata";

/// The seed on a cidata disk, when there is such a disk.
pub fn from_disk(host: &Host<'_>) -> Result<Option<NoCloud>> {
    let Some(device) = find(host) else { return Ok(None) };
    let seed = if device.is_dir() {
        // A folder stands for the mounted file system; tests use that.
        read(&device)?
    } else {
        let mounted = Mounted::new(&device, &host.path(MOUNT_POINT))?;
        let seed = read(&mounted.0)?;
        drop(mounted);
        Seed { place: format!("{}:", device.display()), ..seed }
    };
    NoCloud::parse(Seed { removable: true, ..seed }, &host.cards()).map(Some)
}

/// Looks again until udev has worked off its queue: a disk that is there at boot is then known.
fn find(host: &Host<'_>) -> Option<PathBuf> {
    let until = host.clock.now() + SETTLE;
    loop {
        let settled = !host.path("/run/udev/queue").exists();
        let found = ["cidata", "CIDATA"].iter().map(|l| host.path(&format!("/dev/disk/by-label/{l}")));
        if let Some(found) = found.into_iter().find(|p| p.exists()) {
            return Some(found);
        }
        if settled || host.clock.now() >= until {
            return None;
        }
        host.clock.sleep(Duration::from_millis(50));
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

/// The files of a seed in a folder.
fn read(dir: &Path) -> Result<Seed> {
    let role = "the seed's";
    let meta_data = file(dir, "meta-data", METADATA_LIMIT)
        .map_err(Error::file(role, dir.join("meta-data")))?
        .ok_or_else(|| Error::Document {
            place: dir.display().to_string(),
            problem: "there is no file meta-data; a NoCloud seed has one with an instance-id".into(),
        })?;
    let user_data = match file(dir, "user-data", USER_DATA_LIMIT) {
        Ok(None) => UserDataState::None,
        Ok(Some(bytes)) => UserDataState::Some(bytes),
        Err(error) => UserDataState::Failed(format!("user-data: {error}")),
    };
    Ok(Seed {
        place: format!("{}/", dir.display()),
        meta_data,
        network_config: file(dir, "network-config", METADATA_LIMIT)
            .map_err(Error::file(role, dir.join("network-config")))?,
        user_data,
        vendor_data: dir.join("vendor-data").exists(),
        ..Seed::default()
    })
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
