//! Private keys, which stay where they are: `openssl` signs with a key file, or through PKCS #11 with a token.

use std::fmt;
use std::path::{Path, PathBuf};

use twinhull_sysutil::command::Cmd;

use crate::{Certificate, Error, Result};

/// What a PKCS #11 URI (RFC 7512) begins with.
const PKCS11: &str = "pkcs11:";
/// The variable in which `openssl` gets the passphrase or PIN.
const PIN_VARIABLE: &str = "TWINHULL_KEY_PIN";

/// The passphrase of a key file or the PIN of a token; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(String);

impl Pin {
    /// A PIN or passphrase.
    pub fn new(text: impl Into<String>) -> Self {
        Pin(text.into())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A PEM file (PKCS #8 or PKCS #1).
    File(PathBuf),
    /// A PKCS #11 URI.
    Pkcs11(String),
}

impl Key {
    /// Reads a file name, relative to `base`, or a PKCS #11 URI.
    ///
    /// Returns [`Error::Key`] for a URI with a PIN in it: everybody could see it in the list of processes.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        if !text.starts_with(PKCS11) {
            return Ok(Key::File(base.join(text)));
        }
        match text.split_once("pin-value=") {
            None => Ok(Key::Pkcs11(text.to_owned())),
            Some((before, _)) => Err(Error::Key {
                key: format!("{before}pin-value=..."),
                reason: format!(
                    "a PIN in the URI would be seen by everybody; put it into {PIN_VARIABLE}, or name a file with \
                     pin-source="
                ),
            }),
        }
    }

    /// Signs the SHA-256 of `message` (RSA, PKCS #1 v1.5) with `openssl`, which asks for a passphrase on the terminal
    /// when it needs one and there is no `pin`.
    fn sign(&self, message: &[u8], pin: Option<&Pin>) -> Result<Vec<u8>> {
        let file = tempfile::NamedTempFile::new()?;
        fs_err::write(file.path(), message)?;
        let mut cmd = Cmd::new("openssl");
        if let Key::Pkcs11(_) = self {
            // The token's module is set up by variables that only it knows.
            cmd = cmd.inherit_env();
        }
        cmd = cmd.args(["dgst", "-sha256"]);
        if let Some(pin) = pin {
            cmd = cmd.env(PIN_VARIABLE, &pin.0).args(["-passin", &format!("env:{PIN_VARIABLE}")]);
        }
        cmd = match self {
            Key::File(path) => {
                // A name that isn't there is clearer from us than from openssl.
                fs_err::File::open(path)?;
                cmd.arg("-sign").arg(path)
            }
            Key::Pkcs11(uri) => cmd.args(pkcs11_options()).arg("-sign").arg(uri),
        };
        Ok(cmd.arg(file.path()).output()?)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::File(path) => path.display().fmt(f),
            Key::Pkcs11(uri) => f.write_str(uri),
        }
    }
}

/// OpenSSL 3 has the engine where it is installed; what comes after engines is the provider.
fn pkcs11_options() -> &'static [&'static str] {
    if Cmd::new("openssl").inherit_env().args(["engine", "pkcs11"]).output().is_ok() {
        &["-engine", "pkcs11", "-keyform", "engine"]
    } else {
        &["-provider", "pkcs11", "-provider", "default"]
    }
}

/// A private key with its certificate.
#[derive(Debug, Clone)]
pub struct Signer {
    key: Key,
    certificate: Certificate,
    pin: Option<Pin>,
}

impl Signer {
    /// Puts key and certificate together; whether they belong together shows when something is signed.
    pub fn new(key: Key, certificate: Certificate, pin: Option<Pin>) -> Self {
        Signer { key, certificate, pin }
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The signature over the SHA-256 of `message`, checked.
    ///
    /// Returns [`Error::Tool`] when `openssl` fails and [`Error::Key`] when the key isn't the certificate's.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let signature = self.key.sign(message, self.pin.as_ref())?;
        self.certificate.verify(message, &signature).map_err(|_| Error::Key {
            key: self.key.to_string(),
            reason: format!(
                "it doesn't belong to the certificate {:?}; name the key that this certificate was made for",
                self.certificate.subject()
            ),
        })?;
        Ok(signature)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::keygen;

    /// A fresh key in a folder that must outlive it.
    pub(crate) fn signer() -> (tempfile::TempDir, Signer) {
        let dir = tempfile::tempdir().unwrap();
        let keys = keygen::generate(&dir.path().join("keys"), "test", 2048, 30).unwrap();
        let db = &keys[2];
        let certificate = Certificate::read(&db.certificate).unwrap();
        (dir, Signer::new(Key::File(db.key.clone()), certificate, None))
    }

    #[test]
    fn keys_are_named_without_their_secrets() {
        let base = Path::new("/spec");
        assert_eq!(Key::parse("db.key", base).unwrap(), Key::File("/spec/db.key".into()));
        let uri = "pkcs11:token=t;object=db?pin-source=/run/pin";
        assert_eq!(Key::parse(uri, base).unwrap(), Key::Pkcs11(uri.into()));
        let error = Key::parse("pkcs11:token=t?pin-value=1234", base).unwrap_err().to_string();
        assert!(error.contains("TWINHULL_KEY_PIN") && !error.contains("1234"), "{error}");
        assert_eq!(format!("{:?}", Pin::new("1234")), "Pin");
    }

    #[test]
    fn another_key_is_refused() {
        let (dir, ours) = signer();
        let (other_dir, other) = signer();
        let mixed = Signer::new(ours.key.clone(), other.certificate.clone(), None);
        let error = mixed.sign(b"x").unwrap_err().to_string();
        assert!(error.contains("doesn't belong to the certificate \"CN=test db\""), "{error}");
        assert_eq!(ours.sign(b"x").unwrap(), ours.sign(b"x").unwrap());
        let missing = Signer::new(Key::File("/nonexistent.key".into()), ours.certificate.clone(), None);
        assert!(missing.sign(b"x").unwrap_err().to_string().contains("/nonexistent.key"));
        drop((dir, other_dir));
    }

    #[test]
    fn a_passphrase_is_handed_on_but_never_shown() {
        let (dir, plain) = signer();
        let path = dir.path().join("locked.key");
        let Key::File(from) = &plain.key else { panic!("a file") };
        let cmd = Cmd::new("openssl").args(["pkcs8", "-topk8", "-passout", "pass:s3cret", "-in"]);
        cmd.arg(from).arg("-out").arg(&path).output().unwrap();
        let signer =
            |pin: &str| Signer::new(Key::File(path.clone()), plain.certificate.clone(), Some(Pin::new(pin)));
        assert_eq!(signer("s3cret").sign(b"x").unwrap(), plain.sign(b"x").unwrap());
        let error = signer("wr0ng").sign(b"x").unwrap_err().to_string();
        assert!(!error.contains("wr0ng"), "{error}");
    }
}
