//! Keys: ed25519, in the files that `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use twinhull_sysutil::digest::hex;

use crate::{Error, Result};

/// Largest key file that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// A public key, named by its 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Whether `signature` of this key over `message` holds, by the strict rules: no malleable signatures, no
    /// keys of small order.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    /// Reads a public key (SubjectPublicKeyInfo, PEM) at `path`.
    ///
    /// Returns [`Error::KeyFile`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = read(path)?;
        let key = VerifyingKey::from_public_key_pem(&text).map_err(|e| Error::KeyFile {
            path: path.to_owned(),
            reason: format!("it is no ed25519 public key in PEM ({e}); `openssl pkey -pubout` writes one"),
        })?;
        Ok(PublicKey(key.to_bytes()))
    }

    /// The key in `text`: 64 hexadecimal digits, or PEM as in a file.
    ///
    /// Returns [`Error::BadKey`].
    pub fn parse(text: &str) -> Result<Self> {
        match VerifyingKey::from_public_key_pem(text) {
            Ok(key) => PublicKey(key.to_bytes()).to_string().parse(),
            Err(_) => text.trim().parse(),
        }
    }

    /// The key as PEM.
    ///
    /// Returns [`Error::BadKey`] when the bytes are no point of the curve.
    pub fn to_pem(self) -> Result<String> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| Error::BadKey { text: self.to_string() })?;
        key.to_public_key_pem(LineEnding::LF).map_err(|_| Error::BadKey { text: self.to_string() })
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    /// Returns [`Error::BadKey`] for anything but 64 lower-case hexadecimal digits of a usable key.
    fn from_str(text: &str) -> Result<Self> {
        let bytes: Option<[u8; 32]> = from_hex(text);
        let key = bytes.filter(|b| VerifyingKey::from_bytes(b).is_ok_and(|key| !key.is_weak()));
        key.map(PublicKey).ok_or_else(|| Error::BadKey { text: text.chars().take(80).collect() })
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A private key. Its bytes are never shown.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        SecretKey(SigningKey::from_bytes(seed))
    }

    /// Reads a private key (PKCS #8, PEM, without passphrase) at `path`.
    ///
    /// Returns [`Error::KeyFile`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = read(path)?;
        let bad = |reason: String| Error::KeyFile { path: path.to_owned(), reason };
        if text.contains("ENCRYPTED") {
            return Err(bad(
                "it has a passphrase; sign in two steps with openssl, see `image-builder sign --help`".into(),
            ));
        }
        let key = SigningKey::from_pkcs8_pem(&text).map_err(|e| {
            bad(format!("it is no ed25519 private key in PEM ({e}); `image-builder keygen` makes one"))
        })?;
        Ok(SecretKey(key))
    }

    /// The key as PEM.
    ///
    /// Returns [`Error::BadKey`] if it can't be encoded.
    pub fn to_pem(&self) -> Result<String> {
        // The first version of PKCS #8, without the public key in it: OpenSSL reads no other.
        let pair = ed25519_dalek::pkcs8::KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = pair.to_pkcs8_pem(LineEnding::LF);
        Ok(pem.map_err(|_| Error::BadKey { text: self.public().to_string() })?.to_string())
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

fn read(path: &Path) -> Result<String> {
    let length = fs_err::metadata(path)?.len();
    if length > MAX_FILE {
        return Err(Error::KeyFile { path: path.to_owned(), reason: format!("{length} bytes are no key") });
    }
    Ok(fs_err::read_to_string(path)?)
}

/// `N` bytes of `2 * N` lower-case hexadecimal digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| if c <= b'9' { c - b'0' } else { c - b'a' + 10 };
        *byte = digit(pair[0]) << 4 | digit(pair[1]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn openssl(args: &[&str]) {
        let ran = Command::new("openssl").args(args).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    #[test]
    fn openssl_signs_for_us_and_checks_our_signatures() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let ours = SecretKey::from_seed(&[7; 32]);
        fs_err::write(path("ours.key"), ours.to_pem().unwrap()).unwrap();
        fs_err::write(path("ours.pub"), ours.public().to_pem().unwrap()).unwrap();
        assert_eq!(SecretKey::read(path("ours.key").as_ref()).unwrap().public(), ours.public());
        assert_eq!(PublicKey::read(path("ours.pub").as_ref()).unwrap(), ours.public());
        fs_err::write(path("message"), "hello").unwrap();
        let (message, signature, key, public) =
            (path("message"), path("signature"), path("ours.key"), path("ours.pub"));
        openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", &key, "-in", &message, "-out", &signature]);
        let theirs: [u8; 64] = fs_err::read(&signature).unwrap().try_into().unwrap();
        assert_eq!(theirs, ours.sign(b"hello"));
        assert!(ours.public().verify(b"hello", &theirs) && !ours.public().verify(b"hellp", &theirs));
        openssl(&[
            "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", &public, "-in", &message, "-sigfile",
            &signature,
        ]);

        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &path("their.key")]);
        openssl(&["pkey", "-in", &path("their.key"), "-pubout", "-out", &path("their.pub")]);
        let theirs = SecretKey::read(path("their.key").as_ref()).unwrap();
        assert_eq!(theirs.public(), PublicKey::read(path("their.pub").as_ref()).unwrap());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let ours = SecretKey::from_seed(&[7; 32]).public();
        for text in [ours.to_string(), format!("{ours}\n"), ours.to_pem().unwrap()] {
            assert_eq!(PublicKey::parse(&text).unwrap(), ours);
        }
        assert!(PublicKey::parse("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n").is_err());
        let weak = "01".to_owned() + &"0".repeat(62);
        for text in ["", "ab", &"F".repeat(64), &"0".repeat(63), &weak] {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for (text, word) in [("x", "no ed25519"), ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "passphrase")] {
            fs_err::write(&path, text).unwrap();
            assert!(SecretKey::read(&path).unwrap_err().to_string().contains(word));
        }
        fs_err::write(&path, vec![b' '; 70_000]).unwrap();
        assert!(PublicKey::read(&path).unwrap_err().to_string().contains("are no key"));
        assert!(!format!("{:?}", SecretKey::from_seed(&[9; 32])).contains("0909"));
    }
}
