//! What is kept in /var/lib/twinhull, so that a later boot without metadata is the same machine.
//!
//! `provision/` is written beside its place and swapped in, so a power cut leaves the old or the new one
//! whole. It has secrets and is root's alone.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::render::Plan;
use crate::{Error, Result};

const ROLE: &str = "the stored provision";

/// `machine.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of this file.
    pub version: u32,
    /// The machine as its platform last described it.
    pub machine: Machine,
    /// When that was, in seconds since 1970 by a clock that may not have been set yet.
    pub fetched: u64,
    /// Whether user data is kept beside this file.
    pub user_data: bool,
    /// Numbers that user names have, also of users that are gone.
    pub uids: BTreeMap<String, u32>,
}

/// A provision as loaded.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// `machine.json`.
    pub state: State,
    /// `user-data`, as it came.
    pub user_data: Option<Vec<u8>>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The folder /var/lib/twinhull below a root.
#[derive(Debug, Clone)]
pub struct Store {
    base: PathBuf,
}

/// Longest file name, in bytes.
const NAME_MAX: usize = 255;

impl Store {
    /// The store of a root.
    pub fn new(root: &Path) -> Self {
        Store { base: root.join("var/lib/twinhull") }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// Makes the folder.
    pub fn prepare(&self) -> Result<()> {
        fs_err::create_dir_all(&self.base).map_err(Error::file("the state folder", &self.base))
    }

    /// What an earlier boot stored.
    pub fn load(&self) -> Result<Option<Stored>> {
        let path = self.path("provision/machine.json");
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file(ROLE, path)(e)),
        };
        let state: State = serde_json::from_slice(&bytes).map_err(|e| Error::Document {
            place: path.display().to_string(),
            problem: format!("this isn't a provision of ours: {e}"),
        })?;
        let path = self.path("provision/user-data");
        let user_data = match state.user_data {
            true => Some(fs_err::read(&path).map_err(Error::file(ROLE, path))?),
            false => None,
        };
        Ok(Some(Stored { state, user_data }))
    }

    /// Puts a provision in place. `before_swap` runs when the new one is complete on disk.
    pub fn save(&self, stored: &Stored, plan: &Plan, before_swap: impl FnOnce() -> Result<()>) -> Result<()> {
        let (new, place) = (self.path(".provision.new"), self.path("provision"));
        let failed = |e: io::Error| Error::file(ROLE, &new)(e);
        remove(&new).map_err(failed)?;
        self.fill(&new, stored, plan).map_err(failed)?;
        before_swap()?;
        let swap = || -> io::Result<()> {
            if place.exists() {
                rustix::fs::renameat_with(CWD, &new, CWD, &place, RenameFlags::EXCHANGE)?;
                remove(&new)?;
            } else {
                fs_err::rename(&new, &place)?;
            }
            fs_err::File::open(&self.base)?.sync_all()
        };
        swap().map_err(Error::file(ROLE, &place))
    }

    fn fill(&self, new: &Path, stored: &Stored, plan: &Plan) -> io::Result<()> {
        let make = |dir: &Path| std::fs::DirBuilder::new().mode(0o700).create(dir);
        let write = |path: PathBuf, bytes: &[u8]| twinhull_sysutil::atomic::replace(&path, bytes, 0o600);
        make(new)?;
        let mut json = serde_json::to_vec_pretty(&stored.state).map_err(io::Error::other)?;
        json.push(b'\n');
        write(new.join("machine.json"), &json)?;
        if let Some(bytes) = &stored.user_data {
            write(new.join("user-data"), bytes)?;
        }
        // For people: what this was turned into.
        for (folder, from) in [("network", "/etc/systemd/network/"), ("units", "/etc/systemd/system/")] {
            make(&new.join(folder))?;
            for (name, bytes) in plan.below(from) {
                // A flattened path may be longer than a name can be; the copy is then left out.
                let flat = name.replace('/', "_");
                if flat.len() <= NAME_MAX {
                    write(new.join(folder).join(flat), bytes)?;
                }
            }
            fs_err::File::open(new.join(folder))?.sync_all()?;
        }
        fs_err::set_permissions(new, std::fs::Permissions::from_mode(0o700))?;
        fs_err::File::open(new)?.sync_all()
    }

    /// Forgets who this machine was: its id and its SSH host keys are another machine's.
    pub fn forget_identity(&self) -> Result<()> {
        for name in ["machine-id", "ssh"] {
            let path = self.path(name);
            remove(&path).map_err(Error::file("the identity of another machine", &path))?;
        }
        let synced = fs_err::File::open(&self.base).and_then(|d| d.sync_all());
        synced.map_err(Error::file("the state folder", &self.base))
    }

    /// What was last written to each file below /var, by digest.
    pub fn written(&self) -> BTreeMap<String, String> {
        let bytes = fs_err::read(self.path("written.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Remembers what was written.
    pub fn set_written(&self, written: &BTreeMap<String, String>) -> Result<()> {
        let path = self.path("written.json");
        let bytes = serde_json::to_vec_pretty(written).unwrap_or_default();
        twinhull_sysutil::atomic::replace(&path, &bytes, 0o600)
            .map_err(Error::file("the record of files", path))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let gone = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => fs_err::remove_file(path),
        Err(e) => Err(e),
    };
    match gone {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
