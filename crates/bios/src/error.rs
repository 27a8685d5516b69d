//! What can be wrong with the stock images.

/// Why there is no core.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A stock image isn't what it should be.
    #[error("GRUB's {name} can't be used: {problem}")]
    Stock {
        /// File name.
        name: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A module is needed that isn't there.
    #[error("GRUB has no module {0}")]
    NoModule(String),
    /// The core doesn't fit below the BIOS's memory.
    #[error("GRUB's core has {size} bytes; {most} are the most")]
    TooLarge {
        /// Bytes.
        size: usize,
        /// Bytes allowed.
        most: usize,
    },
    /// The compressor failed.
    #[error("GRUB's core can't be compressed: {0}")]
    Packing(String),
}

/// A result with an error of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
