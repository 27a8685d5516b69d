//! Which package a file belongs to, from dpkg's lists of files.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::dpkg;
use crate::image::Image;
use crate::image::snapshot::Snapshot;

/// Top-level folders that are links into /usr on a machine, or are filled from the factory.
const MOVED: [(&str, &str); 6] = [
    ("/bin/", "/usr"),
    ("/sbin/", "/usr"),
    ("/lib/", "/usr"),
    ("/lib64/", "/usr"),
    ("/etc/", "/usr/share/factory"),
    ("/var/", "/usr/share/factory"),
];

/// Package by path in the image; folders belong to nobody. `None` when there are no lists.
pub(super) fn read(image: &Image, snapshot: &Snapshot) -> Result<Option<BTreeMap<Vec<u8>, String>>> {
    let (mut owners, mut any) = (BTreeMap::new(), false);
    for dir in dpkg::DATABASES {
        let dir = format!("{dir}/info/");
        for (name, _) in snapshot.list(&dir) {
            let name = String::from_utf8_lossy(name);
            let Some(package) = name.strip_suffix(".list") else { continue };
            let Some(text) = snapshot.text(image, &format!("{dir}{name}"))? else { continue };
            any = true;
            let package = package.split(':').next().unwrap_or(package);
            for path in text.lines() {
                let moved = MOVED.iter().find(|(top, _)| path.starts_with(top));
                let places = [Some(path.to_owned()), moved.map(|(_, to)| format!("{to}{path}"))];
                for place in places.into_iter().flatten() {
                    let found = snapshot.entries.get(place.as_bytes());
                    if found.is_some_and(|e| e.kind != twinhull_fsimg::FileType::Directory) {
                        owners.entry(place.into_bytes()).or_insert_with(|| package.to_owned());
                    }
                }
            }
        }
    }
    Ok(any.then_some(owners))
}
