//! The packages of an image: from its dpkg database, or from the manifest beside it.

use std::collections::BTreeMap;

use anyhow::Result;

use super::changes::Item;
use crate::dpkg;
use crate::image::Image;
use crate::image::snapshot::Snapshot;
use crate::packages::{Package, parse};

impl Item for Package {
    fn differs(&self, new: &Self) -> Vec<&'static str> {
        if self.version == new.version {
            return Vec::new();
        }
        let older = dpkg::compare_versions(&new.version, &self.version).is_lt();
        vec![if older { "downgrade" } else { "upgrade" }]
    }
}

/// The packages by name and architecture, and where they were found.
pub(super) type Found = (Option<BTreeMap<(String, String), Package>>, Option<&'static str>);

pub(super) fn find(image: &Image, snapshot: &Snapshot) -> Result<Found> {
    let by_name =
        |all: Vec<Package>| all.into_iter().map(|p| ((p.name.clone(), p.arch.clone()), p)).collect();
    for dir in dpkg::DATABASES {
        if let Some(status) = snapshot.text(image, &format!("{dir}/status"))? {
            return Ok((Some(by_name(parse(&status))), Some("dpkg")));
        }
    }
    let listed = image.manifest.as_ref().map(|m| m["packages"].clone());
    Ok(match listed.and_then(|list| serde_json::from_value::<Vec<Package>>(list).ok()) {
        Some(packages) => (Some(by_name(packages)), Some("manifest")),
        None => (None, None),
    })
}
