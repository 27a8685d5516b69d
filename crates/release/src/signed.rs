//! A signed document: two lines of JSON, what is signed and the signatures.
//!
//! The signatures are over the bytes of the first line, so they are checked before anything is parsed and no
//! canonical form is needed; it is one file, so readers never see a document with another's signatures.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use twinhull_sysutil::digest::{hex, sha256_hex};

use crate::documents::{Document, Kind, Rule};
use crate::key::from_hex;
use crate::{Attack, Error, PublicKey, Result, SecretKey};

/// Largest signed document in bytes, signatures and all.
pub const MAX_DOCUMENT: u64 = 256 << 10;

/// Most signatures of one document.
const MAX_SIGNATURES: usize = 64;

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The key that made it.
    pub key: PublicKey,
    /// 64 bytes as hexadecimal digits.
    pub signature: String,
}

#[derive(Serialize, Deserialize)]
struct Signatures {
    signatures: Vec<Signature>,
}

/// A document and its signatures, whose contents are not believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    kind: Kind,
    line: String,
    signatures: Vec<Signature>,
}

impl Envelope {
    /// Wraps a document of yours, still unsigned.
    ///
    /// Returns [`Error::Malformed`] when it can't be written as JSON or is too long.
    pub fn new<D: Document>(document: &D) -> Result<Self> {
        let line = serde_json::to_string(document).map_err(|e| Error::malformed(D::KIND, &e))?;
        let envelope = Envelope { kind: D::KIND, line, signatures: Vec::new() };
        Envelope::parse(D::KIND, envelope.to_string().as_bytes())
    }

    /// Takes the two lines apart without believing them.
    ///
    /// Returns [`Error::Malformed`], and [`Attack::EndlessData`] beyond [`MAX_DOCUMENT`].
    pub fn parse(kind: Kind, bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(Attack::EndlessData { what: kind.to_string(), limit: MAX_DOCUMENT }.into());
        }
        let text = str::from_utf8(bytes).map_err(|e| Error::malformed(kind, &e))?;
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
        let [line, signatures] = lines[..] else {
            return Err(Error::malformed(kind, &format!("it has {} lines, not two", lines.len())));
        };
        let Signatures { signatures } =
            serde_json::from_str(signatures).map_err(|e| Error::malformed(kind, &format!("line 2: {e}")))?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Error::malformed(kind, &format!("it has {} signatures", signatures.len())));
        }
        Ok(Envelope { kind, line: line.into(), signatures })
    }

    /// Reads the document in the file `path`; `None` when there is none.
    ///
    /// Returns [`Error::Io`] and the errors of [`Envelope::parse`].
    pub fn read(kind: Kind, path: &Path) -> Result<Option<Self>> {
        let file = match fs_err::File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
        Envelope::parse(kind, &bytes).map(Some)
    }

    /// What a signature is made over: the kind of document, so that none can stand for another, and the first line.
    pub fn to_be_signed(&self) -> Vec<u8> {
        format!("twinhull {} 1\n{}\n", self.kind, self.line).into_bytes()
    }

    /// Signs with `key`; a signature that is there already stays one.
    pub fn sign(&mut self, key: &SecretKey) {
        self.add(key.public(), &key.sign(&self.to_be_signed()));
    }

    /// Adds a signature made elsewhere.
    ///
    /// Returns [`Error::WrongSignature`] when it isn't `key`'s over [`Envelope::to_be_signed`].
    pub fn attach(&mut self, key: PublicKey, signature: &[u8; 64]) -> Result<()> {
        if !key.verify(&self.to_be_signed(), signature) {
            return Err(Error::WrongSignature { key });
        }
        self.add(key, signature);
        Ok(())
    }

    fn add(&mut self, key: PublicKey, signature: &[u8; 64]) {
        self.signatures.retain(|s| s.key != key);
        self.signatures.push(Signature { key, signature: hex(signature) });
        self.signatures.sort_by_key(|s| s.key);
    }

    /// The keys of `rule` whose signatures hold. Each counts once, others don't count.
    pub fn signers(&self, rule: &Rule) -> BTreeSet<PublicKey> {
        let message = self.to_be_signed();
        let holds = |s: &&Signature| {
            rule.keys.contains(&s.key)
                && from_hex(&s.signature).is_some_and(|bytes| s.key.verify(&message, &bytes))
        };
        self.signatures.iter().filter(holds).map(|s| s.key).collect()
    }

    /// The document, once enough keys of `rule` have signed it.
    ///
    /// Returns [`Attack::ArbitrarySoftware`] when too few have, [`Error::Malformed`] for contents that make no sense.
    pub fn open<D: Document>(&self, rule: &Rule) -> Result<D> {
        let signed = self.signers(rule).len();
        if signed < rule.threshold as usize {
            let others = self.signatures.iter().filter(|s| !rule.keys.contains(&s.key)).count();
            return Err(Attack::ArbitrarySoftware {
                kind: self.kind,
                signed,
                threshold: rule.threshold,
                others,
            }
            .into());
        }
        self.contents()
    }

    /// The document without looking at signatures: for those who sign it.
    ///
    /// Returns [`Error::Malformed`].
    pub fn contents<D: Document>(&self) -> Result<D> {
        if D::KIND != self.kind {
            return Err(Error::malformed(self.kind, &format!("it is read as {}", D::KIND)));
        }
        let document: D = serde_json::from_str(&self.line).map_err(|e| Error::malformed(self.kind, &e))?;
        document.validate().map_err(|reason| Error::malformed(self.kind, &reason))?;
        Ok(document)
    }

    /// SHA-256 of the first line, in hexadecimal: the same whoever signs.
    pub fn digest(&self) -> String {
        sha256_hex(self.line.as_bytes())
    }

    /// What kind of document it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The signatures, believed or not.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
}

impl std::fmt::Display for Envelope {
    /// The two lines as they are in a file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let signatures = Signatures { signatures: self.signatures.clone() };
        writeln!(f, "{}", self.line)?;
        writeln!(f, "{}", serde_json::to_string(&signatures).map_err(|_| std::fmt::Error)?)
    }
}
