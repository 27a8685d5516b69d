//! What saves machines bytes: indexes of what a release has, and patches from versions they run.

use std::collections::BTreeSet;
use std::io::{Read as _, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use twinhull_delta::write_patches;
use twinhull_fsimg::erofs::Compression;
use twinhull_fsimg::{Part as Range, ReadAt};
use twinhull_release::{Channel, Kind, Part, Release, Root, names};

use super::ReleaseArgs;
use super::folder::Folder;

/// Most bytes of a manifest that are read.
const MAX_MANIFEST: u64 = 64 << 20;

/// How the usr image of a disk is packed, as the manifest beside it says; `Err` has the reason why nobody knows.
pub(super) fn packing(disk: &Path) -> Result<Option<Compression>, String> {
    #[derive(Deserialize)]
    struct Manifest {
        usr_compression: Option<Packing>,
    }
    #[derive(Deserialize)]
    struct Packing {
        algorithm: String,
        cluster: u32,
    }
    let path = disk.with_extension("manifest.json");
    let read = || -> Result<Option<Compression>> {
        let mut text = Vec::new();
        fs_err::File::open(&path)?.take(MAX_MANIFEST).read_to_end(&mut text)?;
        let manifest: Manifest = serde_json::from_slice(&text)?;
        let Some(packing) = manifest.usr_compression else { return Ok(None) };
        let algorithm = packing.algorithm.parse().map_err(anyhow::Error::msg)?;
        Ok(Some(Compression { algorithm, cluster: packing.cluster }))
    };
    read().map_err(|error| format!("{}: {error:#}", path.display()))
}

/// The earlier versions that get patches: those that were asked for, or the newest ones of all channels, which is what
/// most machines run. A release that is written again keeps those it has.
pub(super) fn earlier(
    args: &ReleaseArgs,
    folder: &Folder,
    root: &Root,
    version: &str,
    there: Option<&Release>,
) -> Result<Vec<Release>> {
    if args.no_patches {
        return Ok(Vec::new());
    }
    if args.patches_from.iter().any(|from| from == version) {
        bail!("there are no patches from {version} to itself");
    }
    if !args.patches_from.is_empty() {
        return args.patches_from.iter().map(|from| Ok(folder.release(root, from)?.0)).collect();
    }
    let mut versions = BTreeSet::new();
    if let Some(there) = there {
        versions.extend(there.patches.iter().map(|patches| patches.from.clone()));
    } else {
        for channel in folder.channels()? {
            if let Some(pointer) = folder.read(Kind::Channel, &names::channel(&channel))? {
                versions.insert(pointer.contents::<Channel>()?.newest);
            }
        }
        versions.remove(version);
    }
    // Nobody asked for these: what can't be used, such as a release of forgotten keys, is left out.
    Ok(versions
        .iter()
        .filter_map(|version| folder.release(root, version).ok())
        .map(|found| found.0)
        .collect())
}

/// Writes the patches from the usr image of `old`, which is in the folder, to `new`.
pub(super) fn patches(
    folder: &Folder,
    old: &Release,
    new: &dyn ReadAt,
    packing: Option<Compression>,
    out: &mut impl Write,
) -> Result<()> {
    let path = folder.path(&old.file(Part::Usr));
    let file = fs_err::File::open(&path)?;
    let old_image = Range::new(file.into_file(), 0, old.usr.length)?;
    write_patches(&old_image, new, packing, out)
        .with_context(|| format!("patches from {} can't be made", path.display()))
}
