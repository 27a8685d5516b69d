//! What can go wrong while a database is read or written, each with the path it is about.

/// Errors of this crate. Paths inside a tree are shown with a leading slash.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tree itself refused a lookup.
    #[error(transparent)]
    Tree(#[from] twinhull_tree::Error),
    /// The bytes of a file couldn't be fetched from where the tree keeps them.
    #[error("{path} in the tree can't be read: {source}; check that the tree's source is still there")]
    Read {
        /// Path inside the tree.
        path: String,
        /// What the reader said.
        source: std::io::Error,
    },
    /// A file is larger than anything this crate expects there.
    #[error("{path} is larger than the {limit} bytes that are accepted there; is it really {what}?")]
    TooLarge {
        /// Path inside the tree.
        path: String,
        /// The cap in bytes.
        limit: u64,
        /// What the file should be.
        what: &'static str,
    },
    /// A line of a text source can't be used.
    #[error("{path}, line {line}: {reason}; correct or remove the line")]
    BadLine {
        /// Path inside the tree.
        path: String,
        /// Line number, counted from 1.
        line: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// A binary file doesn't have the format its name promises.
    #[error("{path} is damaged: {reason}; reinstall the package it came from")]
    Damaged {
        /// Path inside the tree, or a name for the database.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tree has no modules for a kernel version.
    #[error("the tree has no kernel modules in {path}; add the kernel package or correct the kernel version")]
    NoModules {
        /// The directory that was looked for.
        path: String,
    },
    /// A module was asked for that neither exists nor is built in.
    #[error("kernel {version} has no module {name}{}; correct the name or drop it", near_text(.near))]
    UnknownModule {
        /// The name as asked for.
        name: String,
        /// The kernel version.
        version: String,
        /// Up to five existing names that look alike.
        near: Vec<String>,
    },
    /// A module path isn't in the module directory.
    #[error("kernel {version} has no module file {path}; use the paths that `closure` gave")]
    UnknownPath {
        /// The path, relative to the module directory.
        path: String,
        /// The kernel version.
        version: String,
    },
    /// Something doesn't fit into the fields of a binary format.
    #[error("{database} can't be written: {reason}; remove some of its sources")]
    DoesNotFit {
        /// The database.
        database: &'static str,
        /// Which limit was hit.
        reason: String,
    },
}

fn near_text(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!(", but it has {}", near.join(", ")) }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_module_names_its_neighbours() {
        let error =
            Error::UnknownModule { name: "vritio".into(), version: "6".into(), near: vec!["virtio".into()] };
        assert_eq!(
            error.to_string(),
            "kernel 6 has no module vritio, but it has virtio; correct the name or drop it"
        );
    }
}
