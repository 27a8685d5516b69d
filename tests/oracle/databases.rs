//! The databases of crates/osdb against the ones in a real tree: installing its packages ran `ldconfig`,
//! `journalctl`, `systemd-hwdb` and `depmod` of the newest kind in it, so it carries what they make.

use std::collections::{BTreeMap, BTreeSet};

use twinhull_osdb::{
    HwdbReader, IndexOptions, ModuleDb, catalog, hwdb, hwdb_sources, ld_cache, parse_catalog, parse_ld_cache,
};
use twinhull_tests::{carve, hello, newer_tool, partition, tool};
use twinhull_tree::{Tree, source};

/// The default image's tree, as the distribution installed it.
fn tree() -> Tree {
    source::tar::read(&twinhull_tests::hello_tree()).unwrap()
}

fn version(tree: &Tree) -> String {
    let name = tree.list("/usr/lib/modules").into_iter().next().expect("the tree has no kernel");
    String::from_utf8(name).unwrap()
}

#[test]
fn linker_cache_is_that_of_ldconfig() {
    let tree = tree();
    let (ours, theirs) = (ld_cache(&tree).unwrap(), tree.read("/etc/ld.so.cache").unwrap());
    assert_eq!(parse_ld_cache(&ours).unwrap(), parse_ld_cache(&theirs).unwrap());
    let end = u32::from_le_bytes(theirs[32..36].try_into().unwrap()) as usize;
    assert!(ours[..end] == theirs[..end], "same entries, other bytes");
}

#[test]
fn catalogue_is_that_of_journalctl() {
    let tree = tree();
    let theirs = tree.read("/var/lib/systemd/catalog/database").unwrap();
    let ours = catalog(&tree).unwrap().unwrap();
    assert_eq!(parse_catalog(&ours).unwrap(), parse_catalog(&theirs).unwrap());
    assert!(ours == theirs, "same entries, other bytes");
}

#[test]
fn hardware_database_is_that_of_systemd_hwdb() {
    let tree = tree();
    let theirs = tree.read("/usr/lib/udev/hwdb.bin").unwrap();
    let version = u64::from_le_bytes(theirs[8..16].try_into().unwrap());
    let ours = hwdb(&hwdb_sources(&tree).unwrap(), version).unwrap();
    let name = "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00";
    let query = |data: &[u8]| HwdbReader::parse(data).unwrap().query(name).unwrap();
    assert_eq!(query(&ours), query(&theirs));
    assert!(!query(&ours).is_empty());
    assert!(ours == theirs, "{} bytes differ from {}", ours.len(), theirs.len());
}

#[test]
fn indices_are_those_of_depmod() {
    let tree = tree();
    let version = version(&tree);
    let scanned = ModuleDb::scan(&tree, &version).unwrap();
    let indexed = ModuleDb::from_index(&tree, &version).unwrap();
    let options = IndexOptions::default();
    for (how, db) in [("scan", &scanned), ("index", &indexed)] {
        let mut wrong = BTreeMap::new();
        for (name, ours) in db.index_files(&options).unwrap() {
            let theirs = tree.read(format!("{}/{name}", db.directory())).unwrap();
            let set = |data: &[u8]| -> BTreeSet<Vec<u8>> {
                data.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
            };
            // kmod lists symbols in the order of its hash table.
            let same = if name == "modules.symbols" { set(&ours) == set(&theirs) } else { ours == theirs };
            if !same {
                wrong.insert(name, (ours.len(), theirs.len()));
            }
        }
        assert!(wrong.is_empty(), "by {how}, ours and theirs: {wrong:?}");
    }
}

/// The image has fewer modules than the tree; its indexes are those that depmod would write for them.
#[test]
fn indices_of_what_is_left_are_those_of_depmod() {
    let dir = tempfile::tempdir().unwrap();
    let (usr, root) = (dir.path().join("usr.erofs"), dir.path().join("root"));
    let (offset, len) = partition("hello_1.0.0");
    carve(&hello().path, offset, len, &usr);
    fs_err::create_dir(&root).unwrap();
    let extract = format!("--extract={}", root.join("usr").display());
    newer_tool("fsck.erofs", [extract.as_str(), usr.to_str().unwrap()]).ok();
    std::os::unix::fs::symlink("usr/lib", root.join("lib")).unwrap();
    let version = hello().manifest["kernel"].as_str().unwrap();
    let modules = root.join("usr/lib/modules").join(version);
    let read = |name: &str| -> BTreeSet<String> {
        let text = fs_err::read_to_string(modules.join(name)).unwrap();
        // Modules that need nothing of each other are listed in any order.
        let line = |line: &str| {
            let (module, needs) = line.split_once(": ").unwrap_or((line, ""));
            let needs: BTreeSet<&str> = needs.split(' ').collect();
            format!("{module} {needs:?}")
        };
        text.lines().filter(|l| !l.starts_with('#')).map(line).collect()
    };
    let names = ["modules.dep", "modules.alias", "modules.softdep", "modules.symbols", "modules.devname"];
    let ours = names.map(read);
    tool("depmod", ["-b".as_ref(), root.as_os_str(), version.as_ref()]).ok();
    for ((name, ours), theirs) in names.iter().zip(ours).zip(names.map(read)) {
        let differ: Vec<&String> = ours.symmetric_difference(&theirs).take(5).collect();
        assert!(differ.is_empty(), "{name}: {differ:?}");
    }
    let whole = ModuleDb::from_index(&tree(), version).unwrap().paths().count();
    let left = read("modules.dep").len();
    assert!(left < whole && left > whole / 2, "{left} of {whole}");
}

#[test]
fn closures_agree_however_they_are_read() {
    let tree = tree();
    let version = version(&tree);
    let (scanned, indexed) =
        (ModuleDb::scan(&tree, &version).unwrap(), ModuleDb::from_index(&tree, &version).unwrap());
    let names =
        ["virtio_net", "nvme", "xfs", "vfat", "dm-verity", "overlay", "erofs", "btrfs", "crc32c", "ext4"];
    let names: Vec<&str> = names.into_iter().filter(|n| indexed.closure(&[n]).is_ok()).collect();
    let paths = indexed.closure(&names).unwrap();
    assert!(paths.len() > 8 && names.len() > 6);
    assert_eq!(paths, scanned.closure(&names).unwrap());
}
