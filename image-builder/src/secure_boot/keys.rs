//! New keys, and the files with which firmware learns them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use twinhull_secureboot::{self as secureboot, Certificate, Key, Role, Signer};
use twinhull_sysutil::{atomic, digest};
use uuid::Uuid;

use super::{EnrollFiles, Keygen, pin};

/// Makes the keys and returns their files.
pub(super) fn generate(args: &Keygen) -> Result<Vec<PathBuf>> {
    let made = secureboot::generate(&args.dir, &args.common_name, args.bits, args.days)?;
    Ok(made.into_iter().flat_map(|pair| [pair.key, pair.certificate]).collect())
}

/// Writes lists, variables and certificates and returns their paths.
pub(super) fn enroll_files(args: &EnrollFiles) -> Result<Vec<PathBuf>> {
    let certificate = |role: Role| Certificate::read(&args.keys.join(format!("{}.crt", role.name())));
    let signer = |role: Role, key: &Option<String>| -> Result<Signer> {
        let key = match key {
            Some(text) => Key::parse(text, Path::new(""))?,
            None => Key::File(args.keys.join(format!("{}.key", role.name()))),
        };
        Ok(Signer::new(key, certificate(role)?, pin()))
    };
    let (platform, exchange) = (signer(Role::Pk, &args.pk_key)?, signer(Role::Kek, &args.kek_key)?);
    let owner = Uuid::new_v8(first(&digest::sha256(platform.certificate().der())));
    let time = match crate::cli::source_date_epoch()? {
        Some(time) => time,
        None => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs().try_into()?,
    };
    let mut files = Vec::new();
    for role in Role::ALL {
        let (by, more): (_, &[PathBuf]) = match role {
            Role::Pk => (&platform, &[]),
            Role::Kek => (&platform, &args.kek),
            Role::Db => (&exchange, &args.db),
        };
        let mut certificates = vec![certificate(role)?];
        for path in more {
            certificates.push(Certificate::read(path)?);
        }
        let list = secureboot::signature_list(&certificates, owner);
        let variable = secureboot::authenticated(role, &list, time, by)?;
        files.push((format!("{}.auth", role.name()), variable));
        files.push((format!("{}.esl", role.name()), list));
        files.push((format!("{}.der", role.name()), certificates[0].der().to_vec()));
    }
    fs_err::create_dir_all(&args.out)?;
    let write = |(name, bytes): (String, Vec<u8>)| -> Result<PathBuf> {
        let path = args.out.join(name);
        atomic::replace(&path, &bytes, 0o644)
            .with_context(|| format!("{} was not written", path.display()))?;
        Ok(path)
    };
    files.into_iter().map(write).collect()
}

fn first(digest: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|n| digest[n])
}
