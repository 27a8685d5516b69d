//! `diff`: what is different between two images, with what a reviewer looks for first: who gained privileges.
//!
//! Each image is read on its own into a [`Side`]; the report is made from the two sides alone.

mod boot;
mod changes;
mod files;
mod packages;
mod privileges;
mod render;
mod units;
mod users;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;

use crate::image::boot::Part;
use crate::image::snapshot::Snapshot;
use crate::image::{Image, os_field};
use crate::packages::Package;
use changes::Changes;

pub(crate) use render::render;

/// Version of the JSON report; it grows when a reader would misunderstand.
const FORMAT: u32 = 1;

/// Everything that is different. docs/reference/diff.md describes every field.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    format: u32,
    equal: bool,
    old: Facts,
    new: Facts,
    notes: Vec<String>,
    privileges: Changes<privileges::Privilege>,
    /// `None` when one of the images says nothing about its packages.
    packages: Option<Changes<Package>>,
    units: Changes<units::Unit>,
    wants: Changes<units::Want>,
    users: Changes<users::User>,
    groups: Changes<users::Group>,
    cmdline: boot::Words,
    uki: Changes<Part>,
    esp: Changes<Part>,
    files: Changes<files::File>,
    /// Entries of which the modification time differs; that alone is no difference.
    times: u64,
}

/// What one image is.
#[derive(Debug, Serialize)]
struct Facts {
    path: String,
    /// `disk`, `erofs` or `ext4`.
    kind: &'static str,
    id: Option<String>,
    version: Option<String>,
    kernel: Option<String>,
    root_hash: Option<String>,
    compression: Vec<&'static str>,
    /// Where the list of packages was found.
    packages_from: Option<&'static str>,
    sizes: Sizes,
}

/// Lengths in bytes.
#[derive(Debug, Serialize)]
struct Sizes {
    /// The image file.
    total: u64,
    /// The file system of /usr.
    usr: u64,
    /// The data of its files before compression.
    content: u64,
    /// The UKI.
    uki: Option<u64>,
}

/// One image, ready to be compared.
#[derive(Debug)]
struct Side {
    facts: Facts,
    notes: Vec<String>,
    privileges: BTreeMap<Vec<u8>, privileges::Privilege>,
    packages: Option<BTreeMap<(String, String), Package>>,
    units: BTreeMap<Vec<u8>, units::Unit>,
    wants: BTreeMap<units::Key, units::Want>,
    users: BTreeMap<String, users::User>,
    groups: BTreeMap<String, users::Group>,
    boot: Option<boot::Boot>,
    files: BTreeMap<Vec<u8>, files::File>,
}

impl Side {
    fn read(path: &Path) -> Result<Self> {
        let image = Image::open(path)?;
        let snapshot = Snapshot::take(&image, true)?;
        let os_release = snapshot.os_release(&image)?;
        let from_os = |name: &str| os_field(&os_release, name);
        let (packages, packages_from) = packages::find(&image, &snapshot)?;
        let (users, groups) = users::read(&image, &snapshot)?;
        let uki = image.boot.as_ref().and_then(|b| b.uki.as_ref());
        let facts = Facts {
            path: path.display().to_string(),
            kind: if image.label.is_some() || image.root_hash.is_some() {
                "disk"
            } else {
                image.reader.format().name()
            },
            id: from_os("IMAGE_ID").or_else(|| Some(image.label.as_ref()?.0.clone())),
            version: from_os("IMAGE_VERSION").or_else(|| Some(image.label.as_ref()?.1.clone())),
            kernel: uki.and_then(|u| u.kernel.clone()).or_else(|| kernel(&snapshot)),
            root_hash: image.root_hash.clone(),
            compression: image.reader.algorithms().to_vec(),
            packages_from,
            sizes: Sizes {
                total: image.length,
                usr: image.reader.length(),
                content: files::content(&snapshot),
                uki: uki.map(|u| u.length),
            },
        };
        let mut notes = image.notes.clone();
        if packages.is_none() {
            notes.push(format!(
                "{}: no dpkg database is in the image and no manifest of it lies beside it, so packages are not compared",
                path.display()
            ));
        }
        let privileges = privileges::read(&snapshot, &users, &groups);
        let (units, wants) = units::read(&image, &snapshot)?;
        Ok(Side {
            privileges,
            packages,
            units,
            wants,
            users,
            groups,
            boot: image.boot.map(boot::Boot::new),
            files: files::read(snapshot),
            facts,
            notes,
        })
    }
}

/// The release of the only kernel that has modules.
fn kernel(snapshot: &Snapshot) -> Option<String> {
    let mut names = snapshot.list("/usr/lib/modules/").map(|(name, _)| crate::image::shown(name));
    names.next().filter(|_| names.next().is_none())
}

/// Compares the images at `old` and `new`.
pub(crate) fn compare(old: &Path, new: &Path) -> Result<Report> {
    // Reading is mostly hashing; both at once take half the time on two processors.
    let side =
        |path: &Path| Side::read(path).with_context(|| format!("{} can't be compared", path.display()));
    let (old, new) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| side(old));
        let new = side(new);
        (reading.join().unwrap_or_else(|_| Err(anyhow!("{} can't be compared", old.display()))), new)
    });
    Ok(Report::between(old?, new?))
}

impl Report {
    fn between(old: Side, new: Side) -> Self {
        let mut notes = old.notes;
        notes.extend(new.notes.into_iter().filter(|n| !notes.contains(n)).collect::<Vec<_>>());
        let (cmdline, uki, esp) = match (old.boot, new.boot) {
            (Some(old), Some(new)) => old.compare(new),
            (None, None) => Default::default(),
            _ => {
                notes.push("only one of the images has an ESP, so what boots them is not compared".into());
                Default::default()
            }
        };
        let times = files::times(&old.files, &new.files);
        let mut report = Report {
            format: FORMAT,
            equal: false,
            old: old.facts,
            new: new.facts,
            notes,
            privileges: Changes::between(old.privileges, new.privileges),
            packages: old.packages.zip(new.packages).map(|(old, new)| Changes::between(old, new)),
            units: Changes::between(old.units, new.units),
            wants: Changes::between(old.wants, new.wants),
            users: Changes::between(old.users, new.users),
            groups: Changes::between(old.groups, new.groups),
            cmdline,
            uki,
            esp,
            files: Changes::between(old.files, new.files),
            times,
        };
        // Everything else is found in files or is a word of the command line; packages may come from a manifest.
        report.equal = report.files.is_empty()
            && report.cmdline.is_empty()
            && report.uki.is_empty()
            && report.esp.is_empty()
            && report.packages.as_ref().is_none_or(Changes::is_empty);
        report
    }

    /// Whether nothing is different.
    pub(crate) fn equal(&self) -> bool {
        self.equal
    }
}

#[cfg(test)]
mod tests;
