//! Files that give whoever runs them more than they had: setuid, setgid, capabilities.

use std::collections::BTreeMap;

use serde::Serialize;
use twinhull_fsimg::FileType;

use super::changes::{Item, respects};
use super::users::{Group, User};
use crate::image::shown;
use crate::image::snapshot::Snapshot;

/// What one file gives.
#[derive(Debug, Serialize)]
pub(super) struct Privilege {
    pub(super) path: String,
    /// Whose rights a program gets: a user's name, or the number when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) setuid: Option<String>,
    /// The same for groups; for a folder, the group of what is made in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) setgid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capabilities: Option<String>,
}

impl Privilege {
    /// All of it in a few words.
    pub(super) fn describe(&self) -> String {
        let part = |name: &str, value: &Option<String>| value.as_ref().map(|v| format!("{name}{v}"));
        let parts =
            [part("setuid ", &self.setuid), part("setgid ", &self.setgid), part("", &self.capabilities)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Item for Privilege {
    fn differs(&self, new: &Self) -> Vec<&'static str> {
        respects([
            ("setuid", self.setuid != new.setuid),
            ("setgid", self.setgid != new.setgid),
            ("capabilities", self.capabilities != new.capabilities),
        ])
    }
}

pub(super) fn read(
    snapshot: &Snapshot,
    users: &BTreeMap<String, User>,
    groups: &BTreeMap<String, Group>,
) -> BTreeMap<Vec<u8>, Privilege> {
    let user = |uid: u32| {
        let name = users.values().find(|u| u.uid == Some(uid)).map(|u| u.name.clone());
        name.or_else(|| (uid == 0).then(|| "root".into())).unwrap_or_else(|| uid.to_string())
    };
    let group = |gid: u32| {
        let name = groups.values().find(|g| g.gid == Some(gid)).map(|g| g.name.clone());
        name.or_else(|| (gid == 0).then(|| "root".into())).unwrap_or_else(|| gid.to_string())
    };
    let privilege = |(path, e): (&Vec<u8>, &crate::image::snapshot::Entry)| {
        // On a folder setuid means nothing, and on a link neither bit does.
        let counts = e.kind != FileType::Symlink;
        let setuid = counts && e.kind != FileType::Directory && e.mode & 0o4000 != 0;
        let setgid = counts && e.mode & 0o2000 != 0;
        (setuid || setgid || e.capabilities.is_some()).then(|| {
            let found = Privilege {
                path: shown(path),
                setuid: setuid.then(|| user(e.uid)),
                setgid: setgid.then(|| group(e.gid)),
                capabilities: e.capabilities.clone(),
            };
            (path.clone(), found)
        })
    };
    snapshot.entries.iter().filter_map(privilege).collect()
}
