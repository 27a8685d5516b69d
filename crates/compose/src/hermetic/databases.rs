//! Databases that a distribution makes at installation or at first boot, made here instead.

use twinhull_osdb as osdb;
use twinhull_tree::{Node, Tree};

use crate::Result;

/// Version that the hwdb names as its maker's; systemd reads but does not judge it.
const HWDB_TOOL_VERSION: u64 = 257;

/// Makes hwdb.bin, the journal catalogue, ld.so.cache and the module indexes for `kernel`.
pub(super) fn make(tree: &mut Tree, kernel: &str) -> Result<()> {
    if let Some(hwdb) = osdb::hwdb(tree, HWDB_TOOL_VERSION)? {
        tree.insert("/usr/lib/udev/hwdb.bin", Node::file(hwdb))?;
    }
    if let Some(catalog) = osdb::catalog(tree)? {
        tree.insert("/usr/share/factory/var/lib/systemd/catalog/database", Node::file(catalog))?;
    }
    let cache = osdb::ld_cache(tree)?;
    tree.insert("/etc/ld.so.cache", Node::file(cache))?;
    let modules = format!("/usr/lib/modules/{kernel}");
    if !tree.exists(format!("{modules}/modules.dep.bin")) {
        for (name, bytes) in osdb::ModuleDb::scan(tree, kernel)?.index_files(&osdb::IndexOptions::default())?
        {
            tree.insert(format!("{modules}/{name}"), Node::file(bytes))?;
        }
    }
    Ok(())
}
