//! The packages of a tree, from its package database.

use std::collections::BTreeMap;

use serde::Serialize;
use twinhull_tree::Tree;

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Package {
    /// Name.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// Architecture.
    pub(crate) arch: String,
}

/// Packages that dpkg has installed, by name; empty for a tree without dpkg.
pub(crate) fn installed(tree: &Tree) -> Vec<Package> {
    let status = ["/var/lib/dpkg/status", "/usr/share/factory/var/lib/dpkg/status"]
        .into_iter()
        .find_map(|path| tree.read_text(path).ok())
        .unwrap_or_default();
    parse(&status)
}

fn parse(status: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = status
        .split("\n\n")
        .filter_map(|paragraph| {
            let fields: BTreeMap<&str, &str> = paragraph
                .lines()
                .filter(|l| !l.starts_with(' '))
                .filter_map(|l| l.split_once(": "))
                .collect();
            let field = |name| fields.get(name).map(|v| v.trim().to_owned());
            let package =
                Package { name: field("Package")?, version: field("Version")?, arch: field("Architecture")? };
            field("Status")?.ends_with(" installed").then_some(package)
        })
        .collect();
    packages.sort_by(|a, b| (&a.name, &a.arch).cmp(&(&b.name, &b.arch)));
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_count() {
        let status = "Package: b\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2-3\nDescription: x\n y: z\n\n\
                      Package: a\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n";
        let b = Package { name: "b".into(), version: "1:2-3".into(), arch: "amd64".into() };
        assert_eq!(parse(status), [b]);
    }
}
