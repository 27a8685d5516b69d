//! What can go wrong while composing, each with its way out.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tree lacks something that every image needs.
    #[error("the tree has no {what} ({path}); {advice}")]
    Lacks {
        /// What it is for.
        what: &'static str,
        /// Where it was looked for.
        path: String,
        /// What to do.
        advice: String,
    },
    /// Several kernels where one is needed.
    #[error("the tree has {} kernels ({}); leave one, or name it under image.kernel", versions.len(), versions.join(", "))]
    SeveralKernels {
        /// Their versions.
        versions: Vec<String>,
    },
    /// The tree is laid out in a way that can't become a hermetic /usr.
    #[error("{path} in the tree {problem}; {advice}")]
    Layout {
        /// Path in the tree.
        path: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// A configuration file of the tree that can't be understood.
    #[error("{path}:{line}: {reason}")]
    Config {
        /// Path in the tree.
        path: String,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A program needs a library that the tree doesn't have.
    #[error("{program} in the tree needs {library}, which is in none of {}", searched.join(", "))]
    Library {
        /// The program or library that needs it.
        program: String,
        /// File name of the missing library.
        library: String,
        /// Directories searched.
        searched: Vec<String>,
    },
    /// An agent was built for a newer C library than the tree has.
    #[error(
        "{program} needs {needed} of the C library, the tree has {available}; build the agents on an older \
         system or take a newer tree"
    )]
    LibcTooOld {
        /// The agent.
        program: String,
        /// The newest symbol version it needs.
        needed: String,
        /// The newest the tree's libc.so.6 defines.
        available: String,
    },
    /// The tree itself.
    #[error(transparent)]
    Tree(#[from] twinhull_tree::Error),
    /// One of the databases.
    #[error(transparent)]
    Database(#[from] twinhull_osdb::Error),
    /// Reading content failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
