//! The clouds a guest can find around itself, and what their metadata have in common.

pub(crate) mod disk;
mod documents;
pub(crate) mod fault;
mod hetzner;
pub(crate) mod http;
pub(crate) mod platform;
pub(crate) mod routes;

use anyhow::{Context as _, Result, ensure};

use crate::options::Options;

/// The host name of a guest that was given none.
pub(crate) const HOSTNAME: &str = "runvm";

/// Files handed to a guest are limited to this; clouds are stricter.
const FILE_MAX: u64 = 16 << 20;

/// A text for a YAML document, where JSON's notation of it is at home too.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A list of texts for a YAML document.
pub(crate) fn quoted_list<S: AsRef<str>>(texts: &[S]) -> String {
    serde_json::Value::from_iter(texts.iter().map(|t| t.as_ref().to_owned())).to_string()
}

/// The host name for the metadata.
pub(crate) fn hostname(options: &Options) -> &str {
    options.hostname.as_deref().unwrap_or(HOSTNAME)
}

/// The public keys in all the files named.
pub(crate) fn public_keys(options: &Options) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for path in &options.ssh_keys {
        let text = fs_err::read_to_string(path).context("the public key could not be read")?;
        ensure!(
            !text.contains("PRIVATE KEY"),
            "{} is a private key, which a guest has no business with; give the .pub file beside it",
            path.display()
        );
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let before = keys.len();
        keys.extend(lines.map(str::to_owned));
        ensure!(keys.len() > before, "{} holds no public key", path.display());
    }
    Ok(keys)
}

/// The file of `--metadata`.
fn metadata(options: &Options) -> Result<Option<Vec<u8>>> {
    let path = options.metadata.as_deref();
    path.map(|path| read_template(path, options)).transpose().context("the metadata cannot be used")
}

/// The file of `--user-data`.
fn user_data(options: &Options) -> Result<Option<Vec<u8>>> {
    options.user_data.as_deref().map(read).transpose().context("the user data cannot be used")
}

/// A file for the guest.
fn read(path: &std::path::Path) -> Result<Vec<u8>> {
    let size = fs_err::metadata(path)?.len();
    ensure!(
        size <= FILE_MAX,
        "{} is larger than the {} MiB a guest is given",
        path.display(),
        FILE_MAX >> 20
    );
    Ok(fs_err::read(path)?)
}

/// A file for the guest in which `@MAC@` stands for the network card's address.
fn read_template(path: &std::path::Path, options: &Options) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    // What is not text has no place for the address, and is passed on as it is: a guest has to cope.
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text.replace("@MAC@", options.mac()).into_bytes(),
        Err(error) => error.into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_come_one_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.pub");
        fs_err::write(&path, "# mine\nssh-ed25519 AAAA a@b\n\n ssh-rsa BBBB\n").unwrap();
        let options = Options { ssh_keys: vec![path.clone()], ..Options::default() };
        assert_eq!(public_keys(&options).unwrap(), ["ssh-ed25519 AAAA a@b", "ssh-rsa BBBB"]);
        for bad in ["", "-----BEGIN OPENSSH PRIVATE KEY-----"] {
            fs_err::write(&path, bad).unwrap();
            assert!(public_keys(&options).is_err());
        }
    }
}
