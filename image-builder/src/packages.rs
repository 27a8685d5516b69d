//! The packages of a tree, from its package database.

use serde::{Deserialize, Serialize};
use twinhull_tree::Tree;

use crate::dpkg;

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    let status = dpkg::DATABASES
        .iter()
        .find_map(|dir| tree.read_text(format!("{dir}/status")).ok())
        .unwrap_or_default();
    parse(&status)
}

/// The installed packages of a `status` file, by name and architecture.
pub(crate) fn parse(status: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = dpkg::paragraphs(status)
        .iter()
        .filter(|p| dpkg::is_installed(p))
        .filter_map(|p| {
            let field = |name| p.get(name).cloned();
            Some(Package {
                name: field("Package")?,
                version: field("Version")?,
                arch: field("Architecture")?,
            })
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
