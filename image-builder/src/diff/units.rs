//! systemd's units, and what starts what: links in `.wants/` and its like, and the lines of targets that say
//! the same.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use twinhull_fsimg::FileType;

use super::changes::{Item, respects};
use crate::image::snapshot::{Entry, Snapshot};
use crate::image::{Image, shown};

/// Folders with units, and whose they are.
const FOLDERS: [(&str, &str); 6] = [
    ("/usr/lib/systemd/system/", "system"),
    ("/usr/lib/systemd/user/", "user"),
    ("/usr/share/factory/etc/systemd/system/", "system"),
    ("/usr/share/factory/etc/systemd/user/", "user"),
    ("/etc/systemd/system/", "system"),
    ("/etc/systemd/user/", "user"),
];

/// Endings of unit names, from systemd.unit(5).
const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".slice",
    ".scope",
];

/// Folders of links beside a unit, and lines in it that mean the same.
const RELATIONS: [(&str, &str); 3] =
    [("wants", "Wants="), ("requires", "Requires="), ("upholds", "Upholds=")];

/// A unit or a drop-in of one.
#[derive(Debug, Serialize)]
pub(super) struct Unit {
    pub(super) name: String,
    /// `system` or `user`.
    pub(super) scope: &'static str,
    pub(super) path: String,
    /// `file`, `alias` of another unit, or `masked`.
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<String>,
}

/// That one unit starts another.
#[derive(Debug, Serialize)]
pub(super) struct Want {
    pub(super) scope: &'static str,
    /// Who wants.
    pub(super) by: String,
    /// `wants`, `requires` or `upholds`.
    pub(super) relation: &'static str,
    /// What is wanted.
    pub(super) unit: String,
    /// Path of the link or of the file with the line.
    pub(super) path: String,
}

/// Scope, who wants, relation, what is wanted.
pub(super) type Key = (&'static str, String, &'static str, String);

impl Item for Unit {
    fn differs(&self, new: &Self) -> Vec<&'static str> {
        respects([
            ("state", self.state != new.state),
            ("content", self.state == new.state && self.sha256 != new.sha256),
            ("target", self.state == new.state && self.target != new.target),
        ])
    }
}

impl Item for Want {
    fn differs(&self, _: &Self) -> Vec<&'static str> {
        Vec::new()
    }
}

fn is_unit(name: &str) -> bool {
    SUFFIXES.iter().any(|s| name.len() > s.len() && name.ends_with(s))
}

fn unit(name: &str, scope: &'static str, path: &[u8], entry: &Entry) -> Unit {
    let masked = entry.target.as_deref() == Some(b"/dev/null");
    Unit {
        name: shown(name.as_bytes()),
        scope,
        path: shown(path),
        state: match (masked, entry.kind) {
            (true, _) => "masked",
            (false, FileType::Symlink) => "alias",
            _ => "file",
        },
        sha256: entry.sha256.clone(),
        target: entry.target.as_deref().filter(|_| !masked).map(shown),
    }
}

type Found = (BTreeMap<Vec<u8>, Unit>, BTreeMap<Key, Want>);

pub(super) fn read(image: &Image, snapshot: &Snapshot) -> Result<Found> {
    let (mut units, mut wants) = (BTreeMap::new(), BTreeMap::new());
    for (folder, scope) in FOLDERS {
        let inside = snapshot.entries.range(folder.as_bytes().to_vec()..);
        for (path, entry) in inside.take_while(|(path, _)| path.starts_with(folder.as_bytes())) {
            let Ok(relative) = std::str::from_utf8(&path[folder.len()..]) else { continue };
            let mut want = |by: &str, relation: &'static str, unit: &str| {
                let key = (scope, shown(by.as_bytes()), relation, shown(unit.as_bytes()));
                let want =
                    Want { scope, by: key.1.clone(), relation, unit: key.3.clone(), path: shown(path) };
                wants.entry(key).or_insert(want);
            };
            let (dir, name) = relative.rsplit_once('/').unwrap_or(("", relative));
            if let Some((by, relation)) = link_folder(dir) {
                if is_unit(name) && entry.target.as_deref() != Some(b"/dev/null") {
                    want(by, relation, name);
                }
                continue;
            }
            let of_target = match dir.strip_suffix(".d") {
                None if dir.is_empty() && is_unit(name) => name,
                Some(of) if name.ends_with(".conf") && !of.contains('/') => of,
                _ => continue,
            };
            let full = if dir.is_empty() { name } else { relative };
            units.insert(path.clone(), unit(full, scope, path, entry));
            if of_target.ends_with(".target") && entry.kind == FileType::File {
                let text = snapshot.text(image, &String::from_utf8_lossy(path))?.unwrap_or_default();
                for (relation, line) in RELATIONS {
                    let lines = text.lines().filter_map(|l| l.trim().strip_prefix(line));
                    lines.flat_map(str::split_whitespace).for_each(|unit| want(of_target, relation, unit));
                }
            }
        }
    }
    Ok((units, wants))
}

/// Unit and relation of a folder such as `multi-user.target.wants`.
fn link_folder(dir: &str) -> Option<(&str, &'static str)> {
    RELATIONS.iter().find_map(|(relation, _)| {
        let by = dir.strip_suffix(relation)?.strip_suffix('.')?;
        is_unit(by).then_some((by, *relation))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_folders() {
        for (name, want) in
            [("a.service", true), ("dbus-org.x.slice", true), (".service", false), ("a.conf", false)]
        {
            assert_eq!(is_unit(name), want, "{name}");
        }
        assert_eq!(link_folder("multi-user.target.wants"), Some(("multi-user.target", "wants")));
        for no in ["wants", "x.wants", "a.target.d", "a.target-wants"] {
            assert_eq!(link_folder(no), None, "{no}");
        }
    }
}
