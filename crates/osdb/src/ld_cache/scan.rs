//! Which files of the searched directories become cache entries, and under which names.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use twinhull_tree::{Kind, Node, Tree};

use super::conf::{Dir, directories};
use super::elf::{Library, library};
use super::{LdCacheEntry, SonameLink};
use crate::Result;
use crate::input::{read_data, shown};

/// Largest library, in bytes.
const LIMIT: u64 = 1 << 30;

/// What a scan finds.
#[derive(Default)]
pub(super) struct Scan {
    /// Cache entries, in the order they are found.
    pub(super) entries: Vec<LdCacheEntry>,
    /// Links that are missing.
    pub(super) links: Vec<SonameLink>,
}

/// One library that won its name within a directory.
struct Candidate {
    name: String,
    is_link: bool,
    flags: u32,
}

/// Looks through all directories.
pub(super) fn scan(tree: &Tree) -> Result<Scan> {
    let mut scan = Scan::default();
    // By address of the file data, since most libraries are seen through several links.
    let mut known = HashMap::new();
    for dir in directories(tree)? {
        scan_dir(tree, &dir, &mut known, &mut scan)?;
    }
    Ok(scan)
}

fn scan_dir(
    tree: &Tree,
    dir: &Dir,
    known: &mut HashMap<usize, Option<Library>>,
    scan: &mut Scan,
) -> Result<()> {
    let Some((_, node)) = tree.resolve(&dir.path)? else { return Ok(()) };
    let mut found: BTreeMap<String, Candidate> = BTreeMap::new();
    for (name, entry) in node.entries().into_iter().flatten() {
        let name = shown(name);
        if !is_library_name(&name) {
            continue;
        }
        let path = format!("{}/{name}", dir.path);
        let Some(library) = load(tree, &path, entry, known)? else { continue };
        let soname = library.soname.unwrap_or_else(|| name.clone());
        // A link counts under its own name if that is the soname or the soname's development
        // name; any other link is taken for one more file with that soname.
        let is_link = matches!(entry.kind, Kind::Symlink(_))
            && (name == soname || (name.ends_with(".so") && soname.starts_with(&name)));
        let key = if is_link { name.clone() } else { soname };
        let better = found.get(&key).is_none_or(|old| {
            (!is_link && old.is_link)
                || (is_link == old.is_link && super::format::compare_names(&old.name, &name).is_lt())
        });
        if better {
            found.insert(key, Candidate { name, is_link, flags: library.flags });
        }
    }
    for (soname, candidate) in found {
        let path = |name: &str| format!("{}/{name}", dir.path);
        let present = tree.exists(path(&soname));
        if !present {
            scan.links.push(SonameLink { path: path(&soname), target: candidate.name.clone() });
        }
        // Below glibc-hwcaps the cache names real files.
        let file = if dir.hwcaps.is_some() || !present { &candidate.name } else { &soname };
        if dir.hwcaps.is_some() && candidate.is_link {
            continue;
        }
        scan.entries.push(LdCacheEntry {
            path: path(file),
            flags: candidate.flags,
            hwcaps: dir.hwcaps.clone(),
            soname,
        });
    }
    Ok(())
}

/// The library behind a directory entry, if it is one.
fn load(
    tree: &Tree,
    path: &str,
    entry: &Node,
    known: &mut HashMap<usize, Option<Library>>,
) -> Result<Option<Library>> {
    let node = match entry.kind {
        Kind::Symlink(_) => match tree.resolve(path) {
            Ok(Some((_, node))) => node,
            // Links that lead nowhere or in circles are nobody's library.
            Ok(None) | Err(_) => return Ok(None),
        },
        _ => entry,
    };
    let Some(data) = node.data() else { return Ok(None) };
    let address = Arc::as_ptr(data) as usize;
    if let Some(library) = known.get(&address) {
        return Ok(library.clone());
    }
    let found = library(&read_data(data, path, LIMIT, "a shared library")?);
    known.insert(address, found.clone());
    Ok(found)
}

/// Whether `ldconfig` would look into a file of this name.
fn is_library_name(name: &str) -> bool {
    const LEFTOVERS: [&str; 4] = [".dpkg-new", ".dpkg-tmp", "-gdb.py", ".#prelink#"];
    ["lib", "ld-", "ld.so."].iter().any(|start| name.starts_with(start))
        && name.contains(".so")
        && !name.contains(".#prelink#.")
        && !name.contains(';')
        && !LEFTOVERS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use twinhull_tree::Metadata;

    /// The smallest shared object with a soname: ELF header, two segments, dynamic section.
    pub(in crate::ld_cache) fn shared_object(soname: &str) -> Vec<u8> {
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let half = |out: &mut Vec<u8>, n: &[u16]| n.iter().for_each(|n| out.extend(n.to_le_bytes()));
        let word = |out: &mut Vec<u8>, n: &[u32]| n.iter().for_each(|n| out.extend(n.to_le_bytes()));
        let long = |out: &mut Vec<u8>, n: &[u64]| n.iter().for_each(|n| out.extend(n.to_le_bytes()));
        half(&mut out, &[3, 62]);
        word(&mut out, &[1]);
        long(&mut out, &[0, 64, 0]);
        word(&mut out, &[0]);
        half(&mut out, &[64, 56, 2, 64, 0, 0]);
        let (dynamic, strings) = (64 + 112, 64 + 112 + 48);
        let total = strings + soname.len() as u64 + 2;
        for (kind, offset, len) in [(1, 0, total), (2, dynamic, 48)] {
            word(&mut out, &[kind, 4]);
            long(&mut out, &[offset, 0x1000 + offset, 0, len, len, 8]);
        }
        long(&mut out, &[14, 1, 5, 0x1000 + strings, 0, 0]);
        out.push(0);
        out.extend(soname.as_bytes());
        out.push(0);
        out
    }

    fn tree(nodes: &[(&str, Node)]) -> Tree {
        let mut tree = Tree::new();
        for (path, node) in nodes {
            tree.insert(path, node.clone()).unwrap();
        }
        tree
    }

    #[test]
    fn names_of_links_and_files() {
        let node = Node { meta: Metadata::root(0o644), kind: Kind::file(shared_object("libx.so.1")) };
        let scan = scan(&tree(&[
            ("/usr/lib/libx.so.1.2", node.clone()),
            ("/usr/lib/libx.so.1", Node::symlink("libx.so.1.2")),
            ("/usr/lib/libx.so", Node::symlink("libx.so.1")),
            ("/usr/lib/liby.so", Node::file("GROUP ( libx.so )")),
            ("/usr/lib/x.so", node.clone()),
            ("/usr/lib/libz.so.dpkg-new", node),
            ("/usr/lib/libloop.so", Node::symlink("libloop.so")),
            ("/lib", Node::symlink("usr/lib")),
        ]))
        .unwrap();
        let names: Vec<_> = scan.entries.iter().map(|e| (e.soname.as_str(), e.path.as_str())).collect();
        assert_eq!(names, [("libx.so", "/lib/libx.so"), ("libx.so.1", "/lib/libx.so.1")]);
        assert!(scan.links.is_empty());
    }

    #[test]
    fn missing_links_are_reported_and_the_newest_file_wins() {
        let scan = scan(&tree(&[
            ("/lib/libx.so.1.9", Node::file(shared_object("libx.so.1"))),
            ("/lib/libx.so.1.10", Node::file(shared_object("libx.so.1"))),
        ]))
        .unwrap();
        assert_eq!(scan.links, [SonameLink { path: "/lib/libx.so.1".into(), target: "libx.so.1.10".into() }]);
        assert_eq!(scan.entries[0].path, "/lib/libx.so.1.10");
        assert_eq!(scan.entries[0].flags, 0x303);
    }
}
