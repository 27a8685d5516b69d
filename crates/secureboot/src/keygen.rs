//! New keys for a fleet: platform key (PK), key exchange key (KEK) and signature database key (db), made by
//! `openssl`. The one place where randomness of the system goes into a result.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use twinhull_sysutil::{atomic, command::Cmd};

use crate::{Error, Result, Role};

/// Sizes of RSA keys that firmware takes, in bits: UEFI asks for the first one.
const BITS: [u32; 2] = [2048, 3072];
/// Longest name before the role, so that all fits the 64 characters of a common name.
const MAX_NAME: usize = 60;
/// Longest validity in days; no firmware looks at it.
const MAX_DAYS: u32 = 36_500;

/// What a certificate says besides names: it signs programs and is nobody's authority.
const CONFIG: &str = "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n[name]\n[extensions]\n\
    basicConstraints = critical,CA:FALSE\nkeyUsage = critical,digitalSignature\nextendedKeyUsage = codeSigning\n\
    subjectKeyIdentifier = hash\n";

/// Files of a key.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// What the key is for.
    pub role: Role,
    /// The private key, PEM, readable by its owner only.
    pub key: PathBuf,
    /// The certificate, PEM.
    pub certificate: PathBuf,
}

/// Makes the three keys in the folder `dir`, all of them or none. The certificates are called `name` and the key's
/// role, and are valid from now on for `days`.
///
/// Returns [`Error::NotEmpty`] when something is in `dir`, [`Error::Argument`] and [`Error::Tool`].
pub fn generate(dir: &Path, name: &str, bits: u32, days: u32) -> Result<Vec<KeyPair>> {
    let good = |c: char| c.is_alphanumeric() || " ._-".contains(c);
    if name.is_empty() || name.chars().count() > MAX_NAME || !name.chars().all(good) || name.trim() != name {
        return Err(Error::Argument(format!(
            "{name:?} is no common name; use up to {MAX_NAME} letters, digits, spaces, dots, dashes and underscores"
        )));
    }
    if !BITS.contains(&bits) {
        return Err(Error::Argument(format!("an RSA key has 2048 or 3072 bits here, not {bits}")));
    }
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Error::Argument(format!("a certificate is valid for 1 to {MAX_DAYS} days, not {days}")));
    }
    let there = fs_err::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if there || dir.is_file() {
        return Err(Error::NotEmpty { path: dir.to_owned() });
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(parent)?;
    // tempfile makes it for its owner only, and so it stays.
    let temporary = tempfile::Builder::new().prefix(".twinhull-").tempdir_in(parent)?;
    atomic::note_unfinished(temporary.path());
    let made = make(temporary.path(), name, bits, days);
    let renamed = made.and_then(|()| Ok(fs_err::rename(temporary.path(), dir)?));
    atomic::forget_unfinished(temporary.path());
    renamed?;
    // It is elsewhere now.
    let _ = temporary.keep();
    Ok(Role::ALL.map(|role| pair(dir, role)).to_vec())
}

fn pair(dir: &Path, role: Role) -> KeyPair {
    let file = |ending: &str| dir.join(format!("{}.{ending}", role.name()));
    KeyPair { role, key: file("key"), certificate: file("crt") }
}

fn make(dir: &Path, name: &str, bits: u32, days: u32) -> Result<()> {
    let config = tempfile::NamedTempFile::new()?;
    fs_err::write(config.path(), CONFIG)?;
    for role in Role::ALL {
        let KeyPair { key, certificate, .. } = pair(dir, role);
        let bits = format!("rsa_keygen_bits:{bits}");
        let cmd =
            Cmd::new("openssl").args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", &bits, "-out"]);
        cmd.arg(&key).output()?;
        fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
        let subject = format!("/CN={name} {}", role.name());
        let cmd = Cmd::new("openssl")
            .args(["req", "-new", "-x509", "-sha256", "-utf8", "-subj", &subject, "-config"]);
        let cmd = cmd.arg(config.path()).args(["-days", &days.to_string(), "-key"]).arg(&key);
        cmd.arg("-out").arg(&certificate).output()?;
        for file in [&key, &certificate] {
            fs_err::File::open(file)?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Certificate;

    #[test]
    fn keys_are_the_owners_alone_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("new/keys");
        let made = generate(&keys, "Müller", 2048, 10).unwrap();
        for pair in &made {
            let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&pair.key), 0o600);
            let subject = Certificate::read(&pair.certificate).unwrap().subject();
            assert_eq!(subject, format!("CN=Müller {}", pair.role.name()));
        }
        let before = fs_err::read(&made[0].key).unwrap();
        let error = generate(&keys, "other", 2048, 10).unwrap_err();
        assert!(matches!(error, Error::NotEmpty { .. }), "{error}");
        assert_eq!(fs_err::read(&made[0].key).unwrap(), before);
        assert_eq!(fs_err::read_dir(dir.path().join("new")).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn arguments_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bits, days) in
            [("", 2048, 1), ("a/CN=b", 2048, 1), ("a", 1024, 1), ("a", 4096, 1), ("a", 2048, 0)]
        {
            let error = generate(&dir.path().join("x"), name, bits, days).unwrap_err();
            assert!(matches!(error, Error::Argument(_)), "{name}: {error}");
        }
    }
}
