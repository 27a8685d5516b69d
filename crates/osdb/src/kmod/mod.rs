//! Kernel modules: what `depmod` writes about them, and which of them an initrd needs.
//!
//! `depmod` reads every module of a kernel and leaves indices for `modprobe` and udev. An initrd
//! carries a few modules only and needs indices of its own, which this module writes as kmod 34
//! would: [`scan`] reads module files, [`text`] reads a tree's existing indices instead (much
//! faster), [`output`] writes text and binary indices.

mod decompress;
mod index;
mod modinfo;
mod order;
mod output;
mod scan;
mod text;

use std::collections::{BTreeSet, HashMap, HashSet};

use twinhull_tree::Tree;

use crate::{Error, Result, glob};
pub use decompress::decompress_module;
pub use index::lookup_index;
pub use modinfo::{ModInfo, parse_modinfo};
pub use output::IndexOptions;

/// Largest module, in bytes, before or after decompression; Debian's largest has 30 MiB.
pub(crate) const MODULE_LIMIT: u64 = 512 << 20;
/// Largest index file read, in bytes.
const INDEX_LIMIT: u64 = 64 << 20;

/// What is known about one module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Module {
    /// Normalised name, `virtio_blk`.
    name: String,
    /// Path below the module directory, `kernel/drivers/block/virtio_blk.ko.xz`.
    path: String,
    aliases: Vec<String>,
    /// `pre: a b post: c`.
    softdeps: Vec<String>,
    weakdeps: Vec<String>,
    exports: Vec<String>,
    /// Names of modules this one needs itself; only a scan knows them.
    direct: Option<Vec<String>>,
    /// Names of all modules this one needs, the ones to load last first.
    needs: Vec<String>,
}

/// A kernel's built-in modules.
#[derive(Debug, Clone, Default)]
struct Builtin {
    /// Normalised names in the order of `modules.builtin`.
    names: Vec<String>,
    /// Alias and normalised name, in the order of `modules.builtin.modinfo`.
    aliases: Vec<(String, String)>,
}

/// The modules of one kernel, in the order of its `modules.order`.
#[derive(Debug, Clone)]
pub struct ModuleDb {
    version: String,
    modules: Vec<Module>,
    by_name: HashMap<String, usize>,
    builtin: Builtin,
}

impl ModuleDb {
    /// Reads every module of a kernel (`uname -r` form of the version) and works out their
    /// dependencies from the symbols they export and need, as depmod does. Decompresses all of
    /// them, on as many threads as there are processors; seconds for a distribution's kernel.
    ///
    /// Returns [`Error::NoModules`] without `/usr/lib/modules/VERSION`, [`Error::Damaged`] for a
    /// file that is no module and [`Error::TooLarge`] for one over 512 MiB.
    pub fn scan(tree: &Tree, version: &str) -> Result<ModuleDb> {
        scan::scan(tree, version)
    }

    /// As [`ModuleDb::scan`], but from the tree's own `modules.dep`, `modules.alias`,
    /// `modules.softdep`, `modules.weakdep` and `modules.symbols` when all but the last two are
    /// there, which takes milliseconds. The indices have to fit the module files.
    ///
    /// Errors are those of [`ModuleDb::scan`], and [`Error::BadLine`] for indices that depmod
    /// didn't write.
    pub fn from_index(tree: &Tree, version: &str) -> Result<ModuleDb> {
        match text::read(tree, version)? {
            Some(db) => Ok(db),
            None => ModuleDb::scan(tree, version),
        }
    }

    fn new(version: &str, modules: Vec<Module>, builtin: Builtin) -> ModuleDb {
        let by_name = modules.iter().enumerate().map(|(at, m)| (m.name.clone(), at)).collect();
        ModuleDb { version: version.to_owned(), modules, by_name, builtin }
    }

    /// The kernel version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where the modules are in a tree, `/usr/lib/modules/VERSION`.
    pub fn directory(&self) -> String {
        module_dir(&self.version)
    }

    /// Paths of all modules, relative to [`ModuleDb::directory`], in the kernel's order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|m| m.path.as_str())
    }

    /// The modules that `names` need, as paths relative to [`ModuleDb::directory`], each once
    /// and in the order in which modprobe loads them: hard dependencies, soft dependencies
    /// before it, the module, soft dependencies after it. Names may use `-` for `_` and may be aliases
    /// (`fs-ext4`, a device's modalias). Built-in modules give nothing; soft dependencies that
    /// don't exist are ignored, as by modprobe.
    ///
    /// Returns [`Error::UnknownModule`] for other names.
    pub fn closure<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<String>> {
        let mut walk = Walk { db: self, seen: HashSet::new(), paths: Vec::new() };
        for name in names {
            let found = self.find(name.as_ref()).ok_or_else(|| Error::UnknownModule {
                name: name.as_ref().to_owned(),
                version: self.version.clone(),
                near: self.near(&normalize(name.as_ref())),
            })?;
            found.into_iter().for_each(|at| walk.load(at));
        }
        Ok(walk.paths)
    }

    /// The modules a name or alias stands for; `Some` of nothing when built in, `None` when
    /// nothing has that name.
    fn find(&self, name: &str) -> Option<Vec<usize>> {
        let name = normalize(name);
        if let Some(at) = self.by_name.get(&name) {
            return Some(vec![*at]);
        }
        if self.builtin.names.contains(&name) {
            return Some(Vec::new());
        }
        let hit = |alias: &str| glob::matches(normalize(alias).as_bytes(), name.as_bytes());
        let found: Vec<usize> = self
            .modules
            .iter()
            .enumerate()
            .filter(|(_, m)| m.aliases.iter().any(|a| hit(a)))
            .map(|(at, _)| at)
            .collect();
        let known = !found.is_empty() || self.builtin.aliases.iter().any(|(alias, _)| hit(alias));
        known.then_some(found)
    }

    /// Up to five existing names that look like `name`.
    fn near(&self, name: &str) -> Vec<String> {
        let all = self.modules.iter().map(|m| &m.name).chain(&self.builtin.names);
        let mut ranked: Vec<(usize, &String)> = all
            .filter_map(|other| {
                let distance = if other.contains(name) && name.len() > 2 { 1 } else { edits(name, other) };
                (distance <= 1 + name.len() / 4).then_some((distance, other))
            })
            .collect();
        ranked.sort();
        ranked.dedup();
        ranked.into_iter().take(5).map(|(_, other)| other.clone()).collect()
    }

    /// A database of only the modules at `paths` (relative to [`ModuleDb::directory`], as
    /// [`ModuleDb::closure`] gives them), in this database's order. Dependencies on other modules
    /// are dropped.
    ///
    /// Returns [`Error::UnknownPath`] for a path that isn't in this database.
    pub fn subset<S: AsRef<str>>(&self, paths: &[S]) -> Result<ModuleDb> {
        let wanted: BTreeSet<&str> = paths.iter().map(AsRef::as_ref).collect();
        let known: HashSet<&str> = self.paths().collect();
        if let Some(path) = wanted.iter().find(|p| !known.contains(*p)) {
            return Err(Error::UnknownPath { path: (*path).to_owned(), version: self.version.clone() });
        }
        let mut modules: Vec<Module> =
            self.modules.iter().filter(|m| wanted.contains(m.path.as_str())).cloned().collect();
        let kept: HashSet<String> = modules.iter().map(|m| m.name.clone()).collect();
        for module in &mut modules {
            module.needs.retain(|name| kept.contains(name));
            if let Some(direct) = &mut module.direct {
                direct.retain(|name| kept.contains(name));
            }
        }
        order::resolve(&mut modules);
        Ok(ModuleDb::new(&self.version, modules, self.builtin.clone()))
    }

    /// Firmware files that the modules at `paths` may ask for, relative to `/usr/lib/firmware`,
    /// sorted. Reads and decompresses these modules from the tree.
    ///
    /// Errors are those of [`ModuleDb::scan`].
    pub fn firmware<S: AsRef<str>>(&self, tree: &Tree, paths: &[S]) -> Result<Vec<String>> {
        let mut firmware = BTreeSet::new();
        for path in paths {
            let path = format!("{}/{}", self.directory(), path.as_ref());
            let (_, bytes) = decompress_module(&path, &tree.read(&path)?, MODULE_LIMIT)?;
            firmware.extend(parse_modinfo(&path, &bytes)?.firmware);
        }
        Ok(firmware.into_iter().collect())
    }

    /// What depmod would write for these modules: `modules.dep`, `modules.alias`,
    /// `modules.softdep`, `modules.weakdep`, `modules.symbols`, `modules.devname` and the binary
    /// `modules.dep.bin`, `modules.alias.bin`, `modules.symbols.bin`, `modules.builtin.bin`,
    /// `modules.builtin.alias.bin`, each with its file name. `modules.builtin`,
    /// `modules.builtin.modinfo` and `modules.order` are the kernel package's and stay as they
    /// are.
    ///
    /// Returns [`Error::DoesNotFit`] when a binary index would exceed 256 MiB or a name isn't
    /// ASCII.
    pub fn index_files(&self, options: &IndexOptions) -> Result<Vec<(String, Vec<u8>)>> {
        output::index_files(self, options)
    }
}

/// State of [`ModuleDb::closure`].
struct Walk<'a> {
    db: &'a ModuleDb,
    seen: HashSet<usize>,
    paths: Vec<String>,
}

impl Walk<'_> {
    /// Adds a module and all it needs. Soft dependencies may form circles and long chains, so
    /// the walk keeps its own stack.
    fn load(&mut self, at: usize) {
        enum Step {
            Enter(usize),
            Emit(usize),
        }
        let mut todo = vec![Step::Enter(at)];
        while let Some(step) = todo.pop() {
            let (Step::Enter(at) | Step::Emit(at)) = step;
            let Some(module) = self.db.modules.get(at) else { continue };
            if matches!(step, Step::Emit(_)) {
                self.paths.push(module.path.clone());
                continue;
            }
            if !self.seen.insert(at) {
                continue;
            }
            let (pre, post) = soft(&module.softdeps);
            let find = |name: &String| self.db.find(name).unwrap_or_default();
            let hard = module.needs.iter().rev().filter_map(|n| self.db.by_name.get(n).copied());
            let before: Vec<usize> = hard.chain(pre.iter().flat_map(find)).collect();
            todo.extend(post.iter().rev().flat_map(find).map(Step::Enter));
            todo.push(Step::Emit(at));
            todo.extend(before.into_iter().rev().map(Step::Enter));
        }
    }
}

/// Names before and after a module from `pre: a b post: c` lists. Names without a heading mean
/// nothing to modprobe.
fn soft(lists: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut pre, mut post) = (Vec::new(), Vec::new());
    for list in lists {
        let mut side = None;
        for word in list.split_ascii_whitespace() {
            match word {
                "pre:" => side = Some(false),
                "post:" => side = Some(true),
                name => match side {
                    Some(false) => pre.push(name.to_owned()),
                    Some(true) => post.push(name.to_owned()),
                    None => {}
                },
            }
        }
    }
    (pre, post)
}

fn module_dir(version: &str) -> String {
    format!("/usr/lib/modules/{version}")
}

/// A module's name or alias with `-` made `_` except within brackets, as modprobe compares them.
fn normalize(alias: &str) -> String {
    let mut inside = false;
    let plain = |c| match c {
        '[' => {
            inside = true;
            c
        }
        ']' => {
            inside = false;
            c
        }
        '-' if !inside => '_',
        _ => c,
    };
    alias.chars().map(plain).collect()
}

/// The module name in a path such as `kernel/fs/9p/9p.ko.xz`; `None` when it's no module file.
fn name_of(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let stem = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().find_map(|end| file.strip_suffix(end))?;
    (!stem.is_empty()).then(|| normalize(stem))
}

/// How many bytes have to be changed, added or dropped to get from one name to another.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(to.bytes()) {
            let best = (corner + usize::from(a != b)).min(*cell + 1).min(left + 1);
            corner = std::mem::replace(cell, best);
            left = best;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, direct: &[&str], softdep: &str) -> Module {
        Module {
            name: name.into(),
            path: format!("kernel/{name}.ko.xz"),
            aliases: vec![format!("alias-{name}-*")],
            softdeps: vec![softdep.into()],
            direct: Some(direct.iter().map(|d| d.to_string()).collect()),
            ..Module::default()
        }
    }

    fn db() -> ModuleDb {
        let mut modules = vec![
            module("a_b", &["base", "mid"], "pre: early nothing post: late"),
            module("base", &[], ""),
            module("mid", &["base"], ""),
            module("early", &[], "pre: alias-late-x"),
            module("late", &[], "pre: a_b"),
        ];
        order::resolve(&mut modules);
        ModuleDb::new(
            "6.1",
            modules,
            Builtin { names: vec!["ext4".into()], aliases: vec![("fs-ext4".into(), "ext4".into())] },
        )
    }

    #[test]
    fn closures_put_needs_first() {
        let path =
            |names: &[&str]| -> Vec<String> { names.iter().map(|n| format!("kernel/{n}.ko.xz")).collect() };
        let db = db();
        assert_eq!(db.closure(&["mid"]).unwrap(), path(&["base", "mid"]));
        assert_eq!(db.closure(&["alias_mid_7", "ext4", "fs-ext4"]).unwrap(), path(&["base", "mid"]));
        let all = db.closure(&["a-b"]).unwrap();
        assert_eq!(all, path(&["base", "mid", "late", "early", "a_b"]));
        let subset = db.subset(&path(&["mid", "a_b"])).unwrap();
        assert_eq!(subset.modules[0].needs, ["mid"]);
        assert_eq!(subset.modules[1].needs, [""; 0]);
    }

    #[test]
    fn unknown_names_suggest_others() {
        let error = db().closure(&["erly"]).unwrap_err().to_string();
        assert_eq!(error, "kernel 6.1 has no module erly, but it has early; correct the name or drop it");
        assert!(db().subset(&["x.ko"]).is_err());
    }

    #[test]
    fn names_and_aliases_are_normalised() {
        assert_eq!(name_of("kernel/a-b.ko.zst").as_deref(), Some("a_b"));
        assert_eq!(name_of("kernel/a-b.txt"), None);
        assert_eq!(name_of(".ko"), None);
        assert_eq!(normalize("a-[1-3]-b"), "a_[1-3]_b");
        assert_eq!(edits("virtio", "vritio"), 2);
        assert_eq!(edits("", "abc"), 3);
    }
}
