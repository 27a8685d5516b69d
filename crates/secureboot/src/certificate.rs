//! X.509 certificates (RFC 5280) of RSA keys, as PEM or DER, and checking signatures with them.

use std::path::Path;

use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Encode, Reader, SliceReader};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use twinhull_sysutil::digest;

use crate::{Error, Result};

/// `rsaEncryption` of PKCS #1.
pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Largest certificate file that is read, in bytes.
const MAX_FILE: usize = 64 << 10;

/// A certificate that firmware can check a signature with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    pub(crate) parsed: x509_cert::Certificate,
    /// Length of the modulus, and so of a signature, in bytes.
    pub(crate) signature_len: usize,
}

impl Certificate {
    /// Reads the file at `path`, PEM or DER.
    ///
    /// Returns [`Error::Certificate`] and [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&fs_err::read(path)?, path)
    }

    /// Parses PEM or DER; `path` names it in errors.
    ///
    /// Returns [`Error::Certificate`] for anything else than one certificate of an RSA key.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Certificate { path: path.to_owned(), reason };
        if bytes.len() > MAX_FILE {
            return Err(bad("it is larger than 64 KiB".into()));
        }
        let der = if bytes.starts_with(&[0x30]) {
            bytes.to_vec()
        } else {
            let (label, der) = der::pem::decode_vec(bytes)
                .map_err(|e| bad(format!("it is neither PEM nor DER ({e}); `openssl x509` converts")))?;
            if label != "CERTIFICATE" {
                return Err(bad(format!("it is a PEM file with {label:?}, not with one CERTIFICATE")));
            }
            der
        };
        Self::from_der(&der).map_err(bad)
    }

    /// As [`Certificate::parse`] for DER; the error is a reason.
    pub(crate) fn from_der(der: &[u8]) -> std::result::Result<Self, String> {
        let parsed =
            x509_cert::Certificate::from_der(der).map_err(|e| format!("it can't be decoded ({e})"))?;
        if parsed.to_der().ok().as_deref() != Some(der) {
            return Err("its encoding is not DER".into());
        }
        let info = &parsed.tbs_certificate.subject_public_key_info;
        if info.algorithm.oid != RSA_ENCRYPTION {
            return Err("its key is not RSA, which is all that firmware has to know; make an RSA key".into());
        }
        let length = modulus_len(info.subject_public_key.raw_bytes())
            .map_err(|e| format!("its RSA key can't be decoded ({e})"))?;
        if !(256..=512).contains(&length) {
            return Err(format!(
                "its RSA key has {} bits; firmware takes 2048, most of it 3072 and 4096",
                length * 8
            ));
        }
        Ok(Certificate { der: der.to_vec(), parsed, signature_len: length })
    }

    /// The certificate as DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its subject as RFC 4514 writes it: `CN=example db`.
    pub fn subject(&self) -> String {
        self.parsed.tbs_certificate.subject.to_string()
    }

    /// SHA-256 of the DER, as 64 hexadecimal digits.
    pub fn sha256(&self) -> String {
        digest::sha256_hex(&self.der)
    }

    /// Checks an RSA PKCS #1 v1.5 signature over the SHA-256 of `message`.
    ///
    /// Returns [`Error::Mismatch`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<()> {
        let key = self.parsed.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(message, signature)
            .map_err(|_| Error::Mismatch { subject: self.subject() })
    }
}

/// Bytes of the modulus of a DER `RSAPublicKey`.
fn modulus_len(key: &[u8]) -> der::Result<usize> {
    let mut reader = SliceReader::new(key)?;
    reader.sequence(|inner| {
        let modulus = UintRef::decode(inner)?;
        UintRef::decode(inner)?;
        Ok(modulus.as_bytes().len())
    })
}
