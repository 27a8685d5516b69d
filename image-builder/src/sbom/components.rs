//! What dpkg knows of its packages, from a tree that is being built or from a finished image.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use twinhull_tree::Tree;

use super::licence;
use crate::dpkg::{self, Paragraph};
use crate::image::Image;
use crate::image::snapshot::Snapshot;

/// Where files can be read by their path on a machine.
pub(crate) trait Files {
    /// The text of a file, symbolic links followed; `None` when it isn't there.
    fn text(&self, path: &str) -> Result<Option<String>>;
}

impl Files for Tree {
    fn text(&self, path: &str) -> Result<Option<String>> {
        match self.resolve(path)? {
            Some((_, node)) if node.data().is_some() => Ok(Some(self.read_text(path)?)),
            _ => Ok(None),
        }
    }
}

impl Files for (&Image, &Snapshot) {
    fn text(&self, path: &str) -> Result<Option<String>> {
        self.1.text(self.0, path)
    }
}

/// A package of the distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) arch: String,
    /// Name and version of the source package.
    pub(super) source: (String, String),
    pub(super) maintainer: Option<String>,
    pub(super) homepage: Option<String>,
    pub(super) summary: Option<String>,
    /// SPDX expression.
    pub(super) licence: Option<String>,
    /// Names that each dependency accepts.
    depends: Vec<Vec<String>>,
    provides: Vec<String>,
}

impl Component {
    /// A package of which no more is known.
    pub(super) fn named(name: String, version: String, arch: String) -> Self {
        let source = (name.clone(), version.clone());
        Component { name, version, arch, source, ..Component::default() }
    }
}

/// The installed packages by name and architecture; `None` without dpkg's database.
pub(crate) fn components(files: &impl Files) -> Result<Option<Vec<Component>>> {
    for dir in dpkg::DATABASES {
        if let Some(status) = files.text(&format!("{dir}/status"))? {
            let mut all = Vec::new();
            for paragraph in dpkg::paragraphs(&status).iter().filter(|p| dpkg::is_installed(p)) {
                let Some(mut component) = parse(paragraph) else { continue };
                let copyright = files.text(&format!("/usr/share/doc/{}/copyright", component.name))?;
                component.licence = copyright.as_deref().and_then(licence::declared);
                all.push(component);
            }
            all.sort_by(|a, b| (&a.name, &a.arch).cmp(&(&b.name, &b.arch)));
            return Ok(Some(all));
        }
    }
    Ok(None)
}

fn parse(paragraph: &Paragraph<'_>) -> Option<Component> {
    let field = |name: &str| paragraph.get(name).filter(|v| !v.is_empty()).cloned();
    let mut component = Component::named(field("Package")?, field("Version")?, field("Architecture")?);
    // A name that has slashes is no package's, and would lead out of /usr/share/doc.
    if !component.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return None;
    }
    if let Some(source) = field("Source") {
        // `NAME (VERSION)`, the version only when it is another.
        let (name, version) = source.split_once(" (").unwrap_or((&source, ""));
        component.source.0 = name.to_owned();
        if let Some(version) = version.strip_suffix(')') {
            component.source.1 = version.to_owned();
        }
    }
    component.maintainer = field("Maintainer");
    component.homepage = field("Homepage");
    component.summary = field("Description").and_then(|d| d.lines().next().map(str::to_owned));
    for name in ["Pre-Depends", "Depends"] {
        component.depends.extend(field(name).iter().flat_map(|text| relations(text)));
    }
    component.provides = field("Provides").iter().flat_map(|text| relations(text)).flatten().collect();
    Some(component)
}

/// The names in `a (>= 1), b:any | c [amd64]`, alternatives together.
fn relations(text: &str) -> Vec<Vec<String>> {
    let name = |one: &str| {
        let end = one.find(|c: char| c.is_whitespace() || "([:<".contains(c)).unwrap_or(one.len());
        one[..end].to_owned()
    };
    let each = |group: &str| {
        group.split('|').map(|one| name(one.trim())).filter(|n| !n.is_empty()).collect::<Vec<_>>()
    };
    text.split(',').map(each).filter(|group| !group.is_empty()).collect()
}

/// Which component needs which, by their places in `all`: of several that would do, the first that is there.
pub(super) fn dependencies(all: &[Component]) -> BTreeSet<(usize, usize)> {
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, component) in all.iter().enumerate() {
        for name in &component.provides {
            by_name.entry(name).or_insert(n);
        }
    }
    // A real package wins over who provides its name.
    by_name.extend(all.iter().enumerate().rev().map(|(n, c)| (c.name.as_str(), n)));
    let mut found = BTreeSet::new();
    for (from, component) in all.iter().enumerate() {
        for group in &component.depends {
            if let Some(to) =
                group.iter().find_map(|name| by_name.get(name.as_str())).filter(|to| **to != from)
            {
                found.insert((from, *to));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinhull_tree::Node;

    #[test]
    fn fields_and_dependencies() {
        let mut tree = Tree::new();
        let status = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1-2+b1\nSource: src (1-2)\n\
                      Pre-Depends: nothing\nDepends: mail-agent | b, c:any (>= 1) [amd64],\n d <!x>\nDescription: short\n long\n\n\
                      Package: b\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nProvides: mail-agent (= 1), c\n\n\
                      Package: c\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n\
                      Package: d\nStatus: install ok half-installed\nArchitecture: all\nVersion: 1\n\n\
                      Package: ../../etc\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n";
        tree.insert("/var/lib/dpkg/status", Node::file(status)).unwrap();
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n";
        tree.insert("/usr/share/doc/common/copyright", Node::file(text)).unwrap();
        tree.insert("/usr/share/doc/a", Node::symlink("common")).unwrap();
        let all = components(&tree).unwrap().unwrap();
        assert_eq!(all.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(all[0].source, ("src".to_owned(), "1-2".to_owned()));
        assert_eq!((all[0].summary.as_deref(), all[0].licence.as_deref()), (Some("short"), Some("MIT")));
        assert_eq!(dependencies(&all).into_iter().collect::<Vec<_>>(), [(0, 1), (0, 2)]);
        assert_eq!(components(&Tree::new()).unwrap(), None);
    }
}
