//! Checks of the source tree that no compiler makes: licences and sources of dependencies, units without
//! [Install], source files that say why they exist.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use twinhull_sysutil::command::Cmd;

use crate::paths;

/// Licences that go with ours; an SPDX expression must be satisfiable with these.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "0BSD",
    "Unlicense",
    "CC0-1.0",
    "MIT-0",
    "NCSA",
    "BSL-1.0",
];

/// Every dependency has a licence we may ship under and comes from the crate registry, not from git. The fuzz targets' lock
/// file is their own, and nothing else would say that it is out of date.
pub(crate) fn dependencies() -> Result<()> {
    [paths::top(), paths::top().join("fuzz")].iter().try_for_each(|folder| dependencies_in(folder))
}

fn dependencies_in(folder: &Path) -> Result<()> {
    let out = paths::cargo()
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(folder)
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&out)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    for package in packages {
        let name = package["name"].as_str().unwrap_or("?");
        let licence = package["license"].as_str().unwrap_or_default();
        ensure!(
            allowed(licence),
            "{name} has the licence {licence:?}, which is not on the list in xtask/src/checks.rs"
        );
        let source = package["source"].as_str();
        ensure!(
            source.is_none_or(|s| s.starts_with("registry+")),
            "{name} comes from {source:?}; only registry releases are allowed"
        );
    }
    Ok(())
}

/// Whether an SPDX expression of AND, OR and parentheses can be met with [`LICENCES`].
fn allowed(expression: &str) -> bool {
    let expression = expression.trim();
    if LICENCES.contains(&expression) {
        return true;
    }
    for (word, all) in [(" AND ", true), (" OR ", false), ("/", false)] {
        let parts = split_outside_parentheses(expression, word);
        if parts.len() > 1 {
            return if all { parts.iter().all(|p| allowed(p)) } else { parts.iter().any(|p| allowed(p)) };
        }
    }
    expression.strip_prefix('(').and_then(|e| e.strip_suffix(')')).is_some_and(allowed)
}

fn split_outside_parentheses<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut start, mut at) = (Vec::new(), 0_i32, 0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if depth == 0 && rest.starts_with(separator) {
            parts.push(&text[start..at]);
            at += separator.len();
            start = at;
            continue;
        }
        depth += i32::from(rest.starts_with('(')) - i32::from(rest.starts_with(')'));
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    parts.push(&text[start..]);
    parts
}

/// Rules about files that git tracks.
pub(crate) fn style() -> Result<()> {
    let out = Cmd::new("git").args(["ls-files", "-z"]).current_dir(paths::top()).output()?;
    for name in String::from_utf8_lossy(&out).split('\0').filter(|n| !n.is_empty()) {
        let Ok(text) = fs_err::read_to_string(paths::top().join(name)) else { continue };
        if name.starts_with("units/") {
            ensure!(
                !text.contains("[Install]"),
                "{name}: units are wanted by targets and have no [Install] section"
            );
        }
        if name.ends_with(".rs") {
            let exempt = name.ends_with("build.rs");
            ensure!(
                exempt || text.starts_with("//!"),
                "{name}: a file begins with `//!` and says why it exists"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions() {
        for (text, want) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("(MIT OR GPL-2.0) AND Unicode-3.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("", false),
        ] {
            assert_eq!(allowed(text), want, "{text}");
        }
    }
}
