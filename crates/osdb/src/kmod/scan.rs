//! Reading every module file of a kernel, on all processors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use twinhull_tree::{FileData, Tree};

use super::modinfo::{ModuleFile, parse_module, split_pair, strings};
use super::{
    Builtin, INDEX_LIMIT, MODULE_LIMIT, Module, ModuleDb, decompress_module, module_dir, name_of, normalize,
    order,
};
use crate::input::{lines, read_data, read_optional, shown};
use crate::{Error, Result};

/// A module file before it is read.
struct Found {
    name: String,
    path: String,
    data: Arc<FileData>,
}

/// Reads all modules below `/usr/lib/modules/VERSION`.
pub(super) fn scan(tree: &Tree, version: &str) -> Result<ModuleDb> {
    let dir = module_dir(version);
    let found = files(tree, &dir)?;
    if found.is_empty() {
        return Err(Error::NoModules { path: dir });
    }
    let mut modules: Vec<Module> = Vec::with_capacity(found.len());
    let mut imports = Vec::with_capacity(found.len());
    let read = read_all(&dir, &found)?;
    for (found, file) in found.into_iter().zip(read) {
        imports.push(file.imports);
        modules.push(Module {
            name: found.name,
            path: found.path,
            aliases: file.info.aliases,
            softdeps: file.info.softdeps,
            weakdeps: file.info.weakdeps,
            exports: file.exports,
            direct: None,
            needs: Vec::new(),
        });
    }
    // Of two modules that export one name, the later one in the kernel's order counts.
    let mut owner: HashMap<&str, usize> = HashMap::new();
    for (at, module) in modules.iter().enumerate() {
        owner.extend(module.exports.iter().map(|name| (name.as_str(), at)));
    }
    let direct: Vec<Vec<String>> = imports
        .iter()
        .enumerate()
        .map(|(at, names)| {
            let mut seen = HashSet::from([at]);
            let needed = names.iter().filter_map(|name| {
                let name = name.strip_prefix('.').unwrap_or(name);
                owner.get(name).copied().filter(|o| seen.insert(*o))
            });
            needed.filter_map(|o| modules.get(o)).map(|m| m.name.clone()).collect()
        })
        .collect();
    for (module, direct) in modules.iter_mut().zip(direct) {
        module.direct = Some(direct);
    }
    order::resolve(&mut modules);
    Ok(ModuleDb::new(version, modules, builtin(tree, &dir)?))
}

/// The module files in the order of `modules.order`, unlisted ones after them by path. Of two
/// files for one module, the one below `updates` counts, else the first.
fn files(tree: &Tree, dir: &str) -> Result<Vec<Found>> {
    let Some((real, _)) = tree.resolve(dir)? else { return Ok(Vec::new()) };
    let mut by_name: BTreeMap<String, Found> = BTreeMap::new();
    for (path, node) in tree.walk_from(&real) {
        let Some(path) = path.strip_prefix(real.as_bytes()).and_then(|p| p.strip_prefix(b"/")) else {
            continue;
        };
        let path = shown(path);
        let linked = path.split('/').any(|part| matches!(part, "build" | "source"));
        if let (Some(name), Some(data), false) = (name_of(&path), node.data(), linked) {
            let replaces = by_name
                .get(&name)
                .is_none_or(|old| path.starts_with("updates/") && !old.path.starts_with("updates/"));
            if replaces {
                by_name.insert(name.clone(), Found { name, path, data: data.clone() });
            }
        }
    }
    let order = read_optional(tree, &format!("{dir}/modules.order"), INDEX_LIMIT, "a list of modules")?;
    let order = order.unwrap_or_default();
    let rank: HashMap<String, usize> = lines(&order).enumerate().map(|(at, l)| (shown(l), at)).collect();
    let mut found: Vec<Found> = by_name.into_values().collect();
    found.sort_by_cached_key(|f| {
        let plain = f.path.rfind(".ko").and_then(|at| f.path.get(..at + 3)).unwrap_or(&f.path);
        (rank.get(plain).copied().unwrap_or(usize::MAX), f.path.clone())
    });
    Ok(found)
}

/// Reads and decompresses all modules, results in the order of `found`.
fn read_all(dir: &str, found: &[Found]) -> Result<Vec<ModuleFile>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(found.len().max(1));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((at, one)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    found.get(at).map(|one| (at, one))
                } {
                    let result = read_one(dir, one);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(at, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn read_one(dir: &str, found: &Found) -> Result<ModuleFile> {
    let path = format!("{dir}/{}", found.path);
    let packed = read_data(&found.data, &path, MODULE_LIMIT, "a kernel module")?;
    let (_, bytes) = decompress_module(&path, &packed, MODULE_LIMIT)?;
    parse_module(&path, &bytes)
}

/// The kernel's built-in modules from `modules.builtin` and `modules.builtin.modinfo`.
pub(super) fn builtin(tree: &Tree, dir: &str) -> Result<Builtin> {
    let read = |name: &str| read_optional(tree, &format!("{dir}/{name}"), INDEX_LIMIT, "a list of modules");
    let names = read("modules.builtin")?.unwrap_or_default();
    let info = read("modules.builtin.modinfo")?.unwrap_or_default();
    let aliases = strings(&info).filter_map(|line| {
        let (key, value) = split_pair(&line)?;
        let (module, key) = key.split_once('.')?;
        (key == "alias").then(|| (value, normalize(module)))
    });
    Ok(Builtin {
        names: lines(&names).filter_map(|line| name_of(&shown(line))).collect(),
        aliases: aliases.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::modinfo::tests::module;
    use super::*;
    use twinhull_tree::Node;

    #[test]
    fn files_are_found_ordered_and_read() {
        let mut tree = Tree::new();
        let put = |tree: &mut Tree, path: &str, node| {
            tree.insert(format!("/usr/lib/modules/6.1/{path}"), node).unwrap()
        };
        put(&mut tree, "kernel/b.ko", Node::file(module("alias=bb\0")));
        put(&mut tree, "kernel/a.ko", Node::file(module("alias=old\0")));
        put(
            &mut tree,
            "updates/a.ko.zst",
            Node::file(zstd::encode_all(&module("alias=new\0")[..], 1).unwrap()),
        );
        put(&mut tree, "build/c.ko", Node::file("junk"));
        put(&mut tree, "modules.order", Node::file("kernel/b.ko\nkernel/a.ko\n"));
        put(&mut tree, "modules.builtin", Node::file("kernel/fs/ext-4.ko\n"));
        put(&mut tree, "modules.builtin.modinfo", Node::file("ext_4.alias=fs-ext4\0ext_4.license=GPL\0"));
        let db = scan(&tree, "6.1").unwrap();
        assert_eq!(db.paths().collect::<Vec<_>>(), ["kernel/b.ko", "updates/a.ko.zst"]);
        assert_eq!(db.closure(&["new", "ext-4", "fs-ext4"]).unwrap(), ["updates/a.ko.zst"]);
        assert!(matches!(scan(&tree, "6.2"), Err(Error::NoModules { .. })));
        put(&mut tree, "kernel/d.ko", Node::file("junk"));
        assert!(matches!(scan(&tree, "6.1"), Err(Error::Damaged { .. })));
    }
}
