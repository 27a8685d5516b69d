//! What can go wrong with signatures and keys.

use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a PE file that can be signed.
    #[error("this is no EFI program that can be signed: {0}")]
    NotPe(String),
    /// The certificate table of a PE file is damaged.
    #[error("the certificate table at offset {offset} is damaged: {reason}")]
    CertificateTable {
        /// Byte offset of the table in the file.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A certificate that can't be used.
    #[error("{path} is no certificate for Secure Boot: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A private key that can't be used.
    #[error("the key {key}: {reason}")]
    Key {
        /// The key as it was named, without secrets.
        key: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A signature that doesn't belong to the certificate.
    #[error(
        "the signature was not made with the key of the certificate {subject:?}, or not over these bytes; \
         sign with the key that belongs to it (RSA, PKCS #1 v1.5, SHA-256)"
    )]
    Mismatch {
        /// Subject of the certificate.
        subject: String,
    },
    /// The keys would be put where something is.
    #[error("{} has files already; keys are never overwritten, name another folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// An argument of key generation that makes no sense.
    #[error("{0}")]
    Argument(String),
    /// A signature list that is damaged.
    #[error("the signature list is damaged at offset {offset}: {reason}")]
    SignatureList {
        /// Byte offset in the list.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A variable store of another kind than OVMF's.
    #[error("this is no empty variable store of OVMF: {0}")]
    VariableStore(&'static str),
    /// DER that can't be encoded or decoded.
    #[error("a structure of the signature can't be encoded or decoded: {0}")]
    Der(#[from] der::Error),
    /// `openssl` failed.
    #[error(transparent)]
    Tool(#[from] twinhull_sysutil::command::Error),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
