//! Reading the text indices that depmod left in a tree, instead of its thousand module files.

use std::collections::HashMap;

use twinhull_tree::Tree;

use super::scan::builtin;
use super::{INDEX_LIMIT, Module, ModuleDb, module_dir, name_of, normalize};
use crate::input::{lines, read_optional, shown};
use crate::{Error, Result};

/// Reads `modules.dep`, `modules.alias`, `modules.softdep` and, if there, `modules.weakdep` and
/// `modules.symbols`; `None` when one of the first three is missing or lists nothing.
pub(super) fn read(tree: &Tree, version: &str) -> Result<Option<ModuleDb>> {
    let dir = module_dir(version);
    let file = |name: &str| read_optional(tree, &format!("{dir}/{name}"), INDEX_LIMIT, "a module index");
    let (Some(dep), Some(alias), Some(softdep)) =
        (file("modules.dep")?, file("modules.alias")?, file("modules.softdep")?)
    else {
        return Ok(None);
    };
    let mut modules = dependencies(&format!("{dir}/modules.dep"), &dep)?;
    if modules.is_empty() {
        return Ok(None);
    }
    let index: HashMap<String, usize> =
        modules.iter().enumerate().map(|(i, m)| (m.name.clone(), i)).collect();
    let mut at = |name: &str, put: &mut dyn FnMut(&mut Module)| {
        if let Some(module) = index.get(&normalize(name)).and_then(|i| modules.get_mut(*i)) {
            put(module);
        }
    };
    for line in records(&alias, "alias ") {
        if let Some((alias, name)) = line.rsplit_once(' ') {
            at(name, &mut |m| m.aliases.push(alias.to_owned()));
        }
    }
    for line in records(&file("modules.symbols")?.unwrap_or_default(), "alias symbol:") {
        if let Some((symbol, name)) = line.rsplit_once(' ') {
            at(name, &mut |m| m.exports.push(symbol.to_owned()));
        }
    }
    for line in records(&softdep, "softdep ") {
        if let Some((name, rest)) = line.split_once(' ') {
            at(name, &mut |m| m.softdeps.push(rest.to_owned()));
        }
    }
    for line in records(&file("modules.weakdep")?.unwrap_or_default(), "weakdep ") {
        if let Some((name, rest)) = line.split_once(' ') {
            at(name, &mut |m| m.weakdeps.push(rest.to_owned()));
        }
    }
    Ok(Some(ModuleDb::new(version, modules, builtin(tree, &dir)?)))
}

/// The rests of the lines that start with a keyword.
fn records(text: &[u8], keyword: &str) -> Vec<String> {
    lines(text).filter_map(|line| line.strip_prefix(keyword.as_bytes())).map(shown).collect()
}

/// Modules with what they need, from `modules.dep` lines `path: path path`.
fn dependencies(path: &str, text: &[u8]) -> Result<Vec<Module>> {
    let mut modules = Vec::new();
    for (line, number) in
        lines(text).map(shown).zip(1u32..).filter(|(l, _)| !l.is_empty() && !l.starts_with('#'))
    {
        let bad =
            |reason: &str| Error::BadLine { path: path.to_owned(), line: number, reason: reason.to_owned() };
        let (file, needs) =
            line.split_once(':').ok_or_else(|| bad("it has no colon after the module's path"))?;
        if file.split('/').any(|part| part == "..") {
            return Err(bad("the path leaves the module directory"));
        }
        let name = name_of(file).ok_or_else(|| bad("it doesn't start with a module's path"))?;
        let needs: Option<Vec<String>> = needs.split_ascii_whitespace().map(name_of).collect();
        modules.push(Module {
            name,
            path: file.to_owned(),
            needs: needs.ok_or_else(|| bad("a dependency isn't a module's path"))?,
            ..Module::default()
        });
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use twinhull_tree::Node;

    fn tree(dep: &str) -> Tree {
        let mut tree = Tree::new();
        let files = [
            ("modules.dep", dep),
            ("modules.alias", "# x\nalias pci:v1* a_b\n"),
            ("modules.softdep", "softdep a_b pre: c\n"),
            ("modules.symbols", "alias symbol:run c\n"),
        ];
        for (name, text) in files {
            tree.insert(format!("/usr/lib/modules/6.1/{name}"), Node::file(text)).unwrap();
        }
        tree
    }

    #[test]
    fn indices_are_enough() {
        let db = ModuleDb::from_index(&tree("k/a-b.ko.xz: k/d.ko\nk/c.ko:\nk/d.ko:\n"), "6.1").unwrap();
        assert_eq!(db.closure(&["pci:v1d2"]).unwrap(), ["k/d.ko", "k/c.ko", "k/a-b.ko.xz"]);
        assert_eq!(db.modules[1].exports, ["run"]);
        assert!(ModuleDb::from_index(&tree("k/a.ko\n"), "6.1").is_err());
        assert!(ModuleDb::from_index(&tree("../a.ko:\n"), "6.1").is_err());
        assert!(matches!(ModuleDb::from_index(&tree(""), "6.1"), Err(Error::NoModules { .. })));
    }

    proptest! {
        #[test]
        fn any_index_is_read_or_refused(dep in "([a-z/.:]{0,9}(ko)?:? ?\n){0,5}") {
            let _ = ModuleDb::from_index(&tree(&dep), "6.1");
        }
    }
}
