//! Files, folders and links, one by one.

use std::collections::BTreeMap;

use serde::Serialize;
use twinhull_tree::Timestamp;

use super::changes::{Item, respects};
use crate::image::shown;
use crate::image::snapshot::{Snapshot, kind_name};

/// An entry as reports have it.
#[derive(Debug, Serialize)]
pub(super) struct File {
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// Permission bits in octal.
    pub(super) mode: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<String>,
    /// Major and minor number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<(u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capabilities: Option<String>,
    /// SHA-256 over the other extended attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attributes: Option<String>,
    #[serde(skip)]
    mtime: Timestamp,
}

impl Item for File {
    fn differs(&self, new: &Self) -> Vec<&'static str> {
        respects([
            ("type", self.kind != new.kind),
            ("content", self.kind == new.kind && self.sha256 != new.sha256),
            ("target", self.kind == new.kind && self.target != new.target),
            ("device", self.kind == new.kind && self.device != new.device),
            // The mode of a link means nothing, and is 0777 or not by who made it.
            ("mode", self.mode != new.mode && self.kind != "symlink" && new.kind != "symlink"),
            ("owner", (self.uid, self.gid) != (new.uid, new.gid)),
            ("capabilities", self.capabilities != new.capabilities),
            ("attributes", self.attributes != new.attributes),
        ])
    }
}

pub(super) fn read(snapshot: Snapshot) -> BTreeMap<Vec<u8>, File> {
    let file = |(path, e): (Vec<u8>, crate::image::snapshot::Entry)| {
        let file = File {
            path: shown(&path),
            kind: kind_name(e.kind),
            mode: format!("{:04o}", e.mode),
            uid: e.uid,
            gid: e.gid,
            size: e.size,
            sha256: e.sha256,
            target: e.target.map(|t| shown(&t)),
            device: e.device.map(|d| (d.major, d.minor)),
            capabilities: e.capabilities,
            attributes: e.attributes,
            mtime: e.mtime,
        };
        (path, file)
    };
    snapshot.entries.into_iter().map(file).collect()
}

/// Bytes of data in all files; one with several names counts once.
pub(super) fn content(snapshot: &Snapshot) -> u64 {
    let files = snapshot.entries.values().filter(|e| e.sha256.is_some());
    let by_inode: BTreeMap<u64, u64> = files.map(|e| (e.number, e.size)).collect();
    by_inode.values().fold(0, |sum, size| sum.saturating_add(*size))
}

/// How many entries that both have differ in their modification time.
pub(super) fn times(old: &BTreeMap<Vec<u8>, File>, new: &BTreeMap<Vec<u8>, File>) -> u64 {
    old.iter().filter(|(path, old)| new.get(*path).is_some_and(|new| new.mtime != old.mtime)).count() as u64
}
