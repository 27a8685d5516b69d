//! Databases that a distribution makes at installation or at first boot, made here instead.

use twinhull_osdb as osdb;
use twinhull_sysutil::digest;
use twinhull_sysutil::store::Store;
use twinhull_tree::{Node, Tree};

use crate::Result;

/// Version that the hwdb names as its maker's; systemd reads but does not judge it.
const HWDB_TOOL_VERSION: u64 = 257;

/// Changes whenever the hardware database would come out otherwise from the same sources.
const HWDB_FORMAT: &str = "hwdb 1";

/// Makes hwdb.bin, the journal catalogue, ld.so.cache and the module indexes for `kernel`. The first takes longest
/// and is kept in `store`.
pub(super) fn make(tree: &mut Tree, kernel: &str, store: Option<&dyn Store>) -> Result<()> {
    let modules = format!("/usr/lib/modules/{kernel}");
    let source = &*tree;
    let (hwdb, others) = std::thread::scope(|scope| {
        let hwdb = scope.spawn(|| hwdb(source, store));
        let others = others(source, kernel, &modules);
        (hwdb.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), others)
    });
    let mut made = others?;
    made.extend(hwdb?.map(|bytes| ("/usr/lib/udev/hwdb.bin".to_owned(), bytes)));
    for (path, bytes) in made {
        tree.insert(path, Node::file(bytes))?;
    }
    let devname = tree.read_text(format!("{modules}/modules.devname")).unwrap_or_default();
    tree.insert("/usr/lib/tmpfiles.d/00-twinhull-static-nodes.conf", Node::file(static_nodes(&devname)))?;
    // A kernel without modules is an error of the initrd's, which says what to do about it.
    if osdb::ModuleDb::from_index(tree, kernel).is_ok_and(|db| db.closure(&["efi_pstore"]).is_ok()) {
        tree.insert("/usr/lib/modules-load.d/10-twinhull.conf", Node::file("efi_pstore\n"))?;
    }
    Ok(())
}

/// The hardware database, unless the tree has no sources of one.
fn hwdb(tree: &Tree, store: Option<&dyn Store>) -> Result<Option<Vec<u8>>> {
    let sources = osdb::hwdb_sources(tree)?;
    if sources.is_empty() {
        return Ok(None);
    }
    let mut key = format!("{HWDB_FORMAT} {HWDB_TOOL_VERSION}");
    for (path, text) in &sources {
        key.push_str(&format!("\n{} {path}", digest::sha256_hex(text)));
    }
    let key = digest::sha256(key.as_bytes());
    if let Some(kept) = store.and_then(|s| s.get(&key)) {
        return Ok(Some(kept));
    }
    let made = osdb::hwdb(&sources, HWDB_TOOL_VERSION)?;
    if let Some(store) = store {
        store.put(&key, b"the hardware database", &made);
    }
    Ok(Some(made))
}

/// All databases but the hardware's, with their paths.
fn others(tree: &Tree, kernel: &str, modules: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut made = vec![("/etc/ld.so.cache".to_owned(), osdb::ld_cache(tree)?)];
    if let Some(catalog) = osdb::catalog(tree)? {
        made.push(("/usr/share/factory/var/lib/systemd/catalog/database".to_owned(), catalog));
    }
    if !tree.exists(format!("{modules}/modules.dep.bin")) {
        let files = osdb::ModuleDb::scan(tree, kernel)?.index_files(&osdb::IndexOptions::default())?;
        made.extend(files.into_iter().map(|(name, bytes)| (format!("{modules}/{name}"), bytes)));
    }
    Ok(made)
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
