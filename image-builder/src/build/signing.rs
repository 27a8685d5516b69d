//! Secure Boot in a build: the certificate that programs on the ESP are signed for, the key if it is at hand, and
//! the files with which machines learn the keys.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use twinhull_secureboot::{self as secureboot, Certificate, Key, Role, Signer};
use twinhull_spec::{Enroll, SecureBoot, Spec};
use twinhull_tree::Content;

use super::Options;

/// Largest file for enrolment, in bytes.
const MAX_AUTH: u64 = 1 << 20;

/// What `boot.secure-boot` asks for.
#[derive(Debug)]
pub(super) struct Signing {
    pub(super) certificate: Certificate,
    /// None when the image is signed later.
    signer: Option<Signer>,
    pub(super) enroll: Option<Enrolment>,
}

/// Keys that systemd-boot enrols.
#[derive(Debug)]
pub(super) struct Enrolment {
    pub(super) mode: Enroll,
    /// Name and content of every file.
    pub(super) files: Vec<(String, Content)>,
}

impl Signing {
    /// Reads what the spec names; none when it wants no signatures.
    ///
    /// Returns an error when the key doesn't work or isn't the certificate's.
    pub(super) fn load(spec: &Spec, options: &Options<'_>) -> Result<Option<Self>> {
        let Some(wanted) = &spec.boot.secure_boot else { return Ok(None) };
        let certificate = Certificate::read(&options.base.join(&wanted.certificate))
            .context("boot.secure-boot.certificate")?;
        let signer = match &wanted.key {
            None => None,
            Some(text) => {
                let key = Key::parse(text, options.base).context("boot.secure-boot.key")?;
                let signer = Signer::new(key, certificate.clone(), options.pin.clone());
                signer.sign(b"a trial").context("boot.secure-boot.key")?;
                Some(signer)
            }
        };
        let enroll = enrolment(wanted, options.base).context("boot.secure-boot.enroll-files")?;
        Ok(Some(Signing { certificate, signer, enroll }))
    }

    /// Whether programs are signed now.
    pub(super) fn signs(&self) -> bool {
        self.signer.is_some()
    }

    /// The signed program; as it is when there is no key. `role` names it in errors.
    pub(super) fn sign(&self, role: &str, program: Vec<u8>) -> Result<Vec<u8>> {
        match &self.signer {
            None => Ok(program),
            Some(signer) => {
                secureboot::sign(&program, signer).with_context(|| format!("the {role} can't be signed"))
            }
        }
    }

    /// Length of the program in bytes once it is signed, now or later.
    pub(super) fn signed_len(&self, role: &str, program: &[u8]) -> Result<u64> {
        let length = secureboot::signed_len(program, &self.certificate);
        Ok(length.with_context(|| format!("the {role} can't be signed"))? as u64)
    }
}

fn enrolment(wanted: &SecureBoot, base: &Path) -> Result<Option<Enrolment>> {
    let Some(dir) = &wanted.enroll_files else { return Ok(None) };
    let read = |role: Role| -> Result<(String, Content)> {
        let name = format!("{}.auth", role.name());
        let path = base.join(dir).join(&name);
        let length = fs_err::metadata(&path)
            .context("`image-builder secure-boot enroll-files` makes the three files that are needed")?
            .len();
        ensure!(length <= MAX_AUTH, "{} has {length} bytes; no such file is that large", path.display());
        Ok((name, fs_err::read(&path)?.into()))
    };
    let files = Role::ALL.into_iter().map(read).collect::<Result<_>>()?;
    Ok(Some(Enrolment { mode: wanted.enroll, files }))
}
