//! Kernel modules of the initrd: the closure of a list, unpacked, with indexes of their own.
//!
//! They are carried uncompressed: the initrd is compressed as a whole, and the boot need not unpack each.

use twinhull_osdb::{IndexOptions, ModuleDb, decompress_module};
use twinhull_sysutil::ordered;
use twinhull_tree::{Kind, Node, Tree};

use super::{Options, contents};
use crate::{Error, Result};

/// Largest module that is unpacked, in bytes.
const MODULE_LIMIT: u64 = 64 << 20;

/// Adds modules and indexes to `initrd`.
///
/// Returns the database's error for an unknown module of the required ones or of the spec's.
pub(super) fn add(os: &Tree, initrd: &mut Tree, options: &Options) -> Result<()> {
    let required = contents::REQUIRED_MODULES.iter().chain([&options.filesystem]);
    let mut names: Vec<String> = required.map(|n| (*n).to_owned()).collect();
    names.extend(options.extra_modules.iter().cloned());
    let mut drivers = options.profile.drivers();
    if os.exists(contents::ENCRYPTION) {
        names.extend(contents::ENCRYPTION_MODULES.iter().map(|n| (*n).to_owned()));
        drivers.extend(contents::ENCRYPTION_DRIVERS);
    }
    copy(os, initrd, &options.kernel, names, drivers)?;
    // These have no hardware to announce them. Without loop devices systemd-repart would make file systems in a
    // temporary file and copy them.
    let always = format!("dm_mod\ndm_verity\n{}\nloop\n", options.filesystem);
    initrd.insert("/usr/lib/modules-load.d/twinhull.conf", Node::file(always))?;
    Ok(())
}

/// Copies the modules `names` and those of `drivers` that the kernel has, with all they need and indexes.
pub(super) fn copy(
    os: &Tree,
    initrd: &mut Tree,
    kernel: &str,
    mut names: Vec<String>,
    drivers: Vec<&str>,
) -> Result<()> {
    let db = ModuleDb::from_index(os, kernel)?;
    // A driver that this kernel doesn't have is no error, an unknown name in the spec is.
    names.extend(drivers.into_iter().filter(|n| db.closure(&[n]).is_ok()).map(str::to_owned));
    let paths = db.closure(&names)?;
    let dir = db.directory();
    let unpack = |path: &String| -> Result<_> {
        let packed = os.read(format!("{dir}/{path}"))?;
        Ok(decompress_module(path, &packed, MODULE_LIMIT)?)
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    ordered::map(workers, paths.iter(), unpack, |unpacked| {
        let (name, bytes) = unpacked?;
        initrd.insert(format!("{dir}/{name}"), Node::file(bytes))?;
        Ok::<_, Error>(())
    })?;
    for (name, bytes) in db.subset(&paths)?.index_files(&IndexOptions { decompressed: true })? {
        initrd.insert(format!("{dir}/{name}"), Node::file(bytes))?;
    }
    for name in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        if let Some(Node { kind: Kind::File(data), .. }) = os.get(format!("{dir}/{name}")) {
            initrd.insert(format!("{dir}/{name}"), Node::file(data.content.clone()))?;
        }
    }
    for path in &paths {
        if initrd
            .get(format!(
                "{dir}/{}",
                path.trim_end_matches(".xz").trim_end_matches(".zst").trim_end_matches(".gz")
            ))
            .is_none()
        {
            return Err(Error::Lacks {
                what: "kernel module",
                path: format!("{dir}/{path}"),
                advice: "the tree's modules.dep names it; reinstall the kernel package in the tree".into(),
            });
        }
    }
    Ok(())
}
