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
    let devname = tree.read_text(format!("{modules}/modules.devname")).unwrap_or_default();
    tree.insert("/usr/lib/tmpfiles.d/00-twinhull-static-nodes.conf", Node::file(static_nodes(&devname)))?;
    // A kernel without modules is an error of the initrd's, which says what to do about it.
    if osdb::ModuleDb::from_index(tree, kernel).is_ok_and(|db| db.closure(&["efi_pstore"]).is_ok()) {
        tree.insert("/usr/lib/modules-load.d/10-twinhull.conf", Node::file("efi_pstore\n"))?;
    }
    Ok(())
}

/// Lines of tmpfiles.d(5) for the nodes whose modules load when they are opened, as `kmod static-nodes` writes
/// them on every boot. `devname` has lines like `tun net/tun c10:200`.
fn static_nodes(devname: &str) -> String {
    let mut text =
        String::from("# Nodes of /dev whose modules load when they are opened; made by image-builder.\n");
    for line in devname.lines().filter(|l| !l.starts_with('#')) {
        let mut fields = line.split_whitespace().skip(1);
        let (Some(name), Some(device)) = (fields.next(), fields.next()) else { continue };
        let Some((kind, number)) = device.split_at_checked(1).filter(|(kind, _)| matches!(*kind, "b" | "c"))
        else {
            continue;
        };
        if let Some((dir, _)) = name.rsplit_once('/') {
            text.push_str(&format!("d /dev/{dir} 0755 - - -\n"));
        }
        text.push_str(&format!("{kind}! /dev/{name} 0600 - - - {number}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_as_kmod_writes_them() {
        let text = static_nodes("# comment\nfuse fuse c10:229\ntun net/tun c10:200\nodd\nodd x y10:1\n");
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            ["c! /dev/fuse 0600 - - - 10:229", "d /dev/net 0755 - - -", "c! /dev/net/tun 0600 - - - 10:200"]
        );
    }
}
