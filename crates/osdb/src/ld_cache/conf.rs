//! Which directories `ldconfig` searches, from `/etc/ld.so.conf`.

use std::collections::HashSet;

use twinhull_tree::Tree;

use crate::input::{lines, read_optional, shown};
use crate::{Result, glob};

/// Searched after the configured ones.
const DEFAULTS: [&str; 2] = ["/lib", "/usr/lib"];
/// Also searched, except by the glibc of Debian and its descendants, which has
/// `/lib/x86_64-linux-gnu` in their place and configures it, too.
const DEFAULTS_64: [&str; 2] = ["/lib64", "/usr/lib64"];
/// How deep `include` lines may nest.
const DEPTH: u32 = 10;
/// Most directories or files that one configuration may name.
const MOST: usize = 10_000;
const LIMIT: u64 = 1 << 20;

/// A directory to search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dir {
    /// Its name as configured, `/lib/x86_64-linux-gnu`.
    pub(super) path: String,
    /// The subdirectory of `glibc-hwcaps` that this is, such as `x86-64-v3`.
    pub(super) hwcaps: Option<String>,
}

/// The directories in the order they are searched, each once even if it has several names.
pub(super) fn directories(tree: &Tree) -> Result<Vec<Dir>> {
    let mut conf = Conf::default();
    conf.read(tree, "/etc/ld.so.conf", 0)?;
    let mut names = conf.names;
    let multiarch = names.iter().any(|name| name.contains("-linux-gnu"));
    names.extend(DEFAULTS.map(str::to_owned));
    if !multiarch {
        names.extend(DEFAULTS_64.map(str::to_owned));
    }
    let mut seen = HashSet::new();
    let mut dirs = Vec::new();
    for path in names {
        let mut add = |path: String, hwcaps: Option<String>| -> Result<bool> {
            let fresh = match tree.resolve(&path)? {
                Some((real, node)) => node.entries().is_some() && seen.insert(real),
                None => false,
            };
            if fresh {
                dirs.push(Dir { path, hwcaps });
            }
            Ok(fresh)
        };
        if add(path.clone(), None)? {
            let base = format!("{path}/glibc-hwcaps");
            for name in tree.list(&base) {
                let name = shown(&name);
                add(format!("{base}/{name}"), Some(name))?;
            }
        }
    }
    Ok(dirs)
}

/// What was read of the configuration.
#[derive(Default)]
struct Conf {
    names: Vec<String>,
    files: HashSet<String>,
}

impl Conf {
    /// Adds the directories that a file and the files it includes name. A file counts once, and
    /// includes deeper than [`DEPTH`] don't count.
    fn read(&mut self, tree: &Tree, path: &str, depth: u32) -> Result<()> {
        if depth > DEPTH || self.files.len() >= MOST || !self.files.insert(path.to_owned()) {
            return Ok(());
        }
        let text = read_optional(tree, path, LIMIT, "the linker's configuration")?.unwrap_or_default();
        for line in lines(&text) {
            let line = shown(line.split(|b| *b == b'#').next().unwrap_or_default().trim_ascii());
            let (word, rest) = line.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((&line, ""));
            if word == "include" {
                for pattern in rest.split_ascii_whitespace() {
                    let pattern = match pattern.starts_with('/') {
                        true => pattern.to_owned(),
                        false => format!("{}/{pattern}", path.rsplit_once('/').map_or("", |(dir, _)| dir)),
                    };
                    for file in expand(tree, &pattern) {
                        self.read(tree, &file, depth + 1)?;
                    }
                }
            } else if word != "hwcap" && self.names.len() < MOST {
                // A type such as `=libc6` after the name is of the past.
                let name = line.split('=').next().unwrap_or(&line).trim_end_matches(['/', ' ', '\t']);
                if name.starts_with('/') {
                    self.names.push(name.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// The paths in the tree that a shell pattern names, sorted.
fn expand(tree: &Tree, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for part in pattern.split('/').filter(|p| !p.is_empty()) {
        let mut next = Vec::new();
        for dir in &found {
            if !part.contains(['*', '?', '[']) {
                next.push(format!("{dir}/{part}"));
                continue;
            }
            let from = if dir.is_empty() { "/" } else { dir };
            for name in tree.list(from) {
                let hidden = name.starts_with(b".") && !part.starts_with('.');
                if !hidden && glob::matches(part.as_bytes(), &name) && next.len() < MOST {
                    next.push(format!("{dir}/{}", shown(&name)));
                }
            }
        }
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinhull_tree::Node;

    #[test]
    fn directories_in_order_without_doubles() {
        let mut tree = Tree::new();
        tree.insert("/lib", Node::symlink("usr/lib")).unwrap();
        tree.insert("/etc/ld.so.conf", Node::file("include ld.so.conf.d/*.conf\n")).unwrap();
        tree.insert("/etc/ld.so.conf.d/b.conf", Node::file("# x\n/lib/arch\n/usr/lib/arch/\n")).unwrap();
        tree.insert("/etc/ld.so.conf.d/a.conf", Node::file("/opt/lib=libc6 # y\n/missing")).unwrap();
        tree.insert("/etc/ld.so.conf.d/c.off", Node::file("/usr")).unwrap();
        tree.insert("/opt/lib", Node::directory()).unwrap();
        tree.insert("/usr/lib/arch/glibc-hwcaps/x86-64-v3", Node::directory()).unwrap();
        let dirs: Vec<_> = directories(&tree).unwrap().into_iter().map(|d| d.path).collect();
        assert_eq!(dirs, ["/opt/lib", "/lib/arch", "/lib/arch/glibc-hwcaps/x86-64-v3", "/lib"]);
    }

    #[test]
    fn includes_that_loop_end() {
        let mut tree = Tree::new();
        tree.insert("/etc/ld.so.conf", Node::file("include /etc/ld.so.conf\n/x\n")).unwrap();
        assert!(directories(&tree).unwrap().is_empty());
    }
}
