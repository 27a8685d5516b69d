//! What can go wrong, as sentences: what happened, where, and what to do.

use std::io;
use std::path::PathBuf;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be used.
    #[error("{role} {path} can't be used: {source}")]
    File {
        /// What the file is for.
        role: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A metadata service didn't give a usable answer.
    #[error("{method} {url}: {came_back}")]
    Http {
        /// How it was asked.
        method: &'static str,
        /// What was asked.
        url: String,
        /// What came back, without its contents.
        came_back: String,
    },
    /// A document of a platform says something impossible.
    #[error("{place}: {problem}")]
    Document {
        /// URL or path.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An address given to the agent is of no use.
    #[error("{what} `{value}` is of no use: {problem}")]
    Address {
        /// Which address.
        what: &'static str,
        /// The address.
        value: String,
        /// Why.
        problem: &'static str,
    },
    /// A file system that by its label is a source could not be mounted.
    #[error(
        "{device} can't be mounted, although its label says that it describes this machine: {problem}; \
             check that the initrd has the modules isofs and vfat, and that the disk is whole"
    )]
    Mount {
        /// The device.
        device: PathBuf,
        /// What mount said.
        problem: String,
    },
    /// The image lacks something that every image has.
    #[error("the image's {path} is unusable: {problem}; build the image again")]
    Image {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The kernel gave no random numbers.
    #[error("the kernel gave no random numbers for a machine id: {0}")]
    Random(io::Error),
    /// Provisioning failed, and the command line asks for that to be fatal.
    #[error("provisioning failed, and `twinhull.provision=strict` makes that fatal; see the lines above")]
    Strict,
}

impl Error {
    /// For `map_err`: an I/O error in a role.
    pub(crate) fn file(role: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { role, path, source }
    }
}
