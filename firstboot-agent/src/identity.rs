//! Who the machine is: its machine id and its SSH host key, made once a machine and kept on /var.
//!
//! The machine id is put into /etc before PID 1 of the real root looks. The host key is made here and not by a
//! unit with ssh-keygen: on a first boot that unit was the longest of all.

use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};
use ssh_key::{LineEnding, PrivateKey};

use crate::clock::random;
use crate::console::Console;
use crate::rooted::{Meta, Rooted};
use crate::source::Host;
use crate::store::Store;
use crate::{Error, Result};

/// A machine id: 128 bits, not all zero, as 32 lower-case hexadecimal digits.
pub fn parse(text: &str) -> Option<String> {
    let id: String = text.trim().chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let good = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0');
    good.then_some(id)
}

/// A new one: random, with the bits of a version 4 UUID.
pub fn new() -> Result<String> {
    let mut bytes = [0u8; 16];
    random(&mut bytes).map_err(Error::Random)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Puts the machine id in place. Command line and credential win for this boot; they aren't kept.
pub fn apply(host: &Host<'_>, store: &Store, rooted: &Rooted, console: &mut Console<'_>) -> Result<String> {
    let credential = host.path("/run/credentials/@system/system.machine_id");
    let given = [
        ("systemd.machine_id= on the command line", host.option("systemd.machine_id")),
        ("the credential system.machine_id", fs_err::read_to_string(credential).ok()),
    ];
    let mut id = None;
    for (what, text) in given {
        let Some(text) = text.filter(|_| id.is_none()) else { continue };
        id = parse(&text);
        if id.is_none() {
            console.warn(format!("{what} isn't a machine id of 32 hexadecimal digits; it is ignored"));
        }
    }
    let id = match id {
        Some(id) => id,
        None => stored(store, console)?,
    };
    rooted
        .file("/etc/machine-id", format!("{id}\n").as_bytes(), Meta::root(0o444), Meta::root(0o755))
        .map_err(Error::file("the machine id", "/etc/machine-id"))?;
    Ok(id)
}

fn stored(store: &Store, console: &mut Console<'_>) -> Result<String> {
    let path = store.path("machine-id");
    match fs_err::read_to_string(&path) {
        Ok(text) => match parse(&text) {
            Some(id) => return Ok(id),
            None => console.warn(format!("{} isn't a machine id; a new one is made", path.display())),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::file("the machine id", path)(e)),
    }
    let id = new()?;
    twinhull_sysutil::atomic::replace(&path, format!("{id}\n").as_bytes(), 0o444)
        .map_err(Error::file("the machine id", path))?;
    console.info(format!("machine id: new, {id}"));
    Ok(id)
}

/// Makes the SSH host key in `ssh/` of the store, unless it is there, for a root that has an SSH server.
///
/// /etc/ssh links to it. The public key is written first and each file replaced as a whole, so a power cut
/// leaves no key that sshd would refuse.
pub fn host_key(root: &std::path::Path, store: &Store, console: &mut Console<'_>) -> Result<()> {
    let path = store.path("ssh/ssh_host_ed25519_key");
    let there = fs_err::metadata(&path).is_ok_and(|m| m.len() > 0);
    if there || !root.join("usr/sbin/sshd").exists() {
        return Ok(());
    }
    let failed = |e: std::io::Error| Error::file("the SSH host key", &path)(e);
    let encoded = |e: ssh_key::Error| failed(std::io::Error::other(e.to_string()));
    let mut seed = [0u8; Ed25519PrivateKey::BYTE_SIZE];
    random(&mut seed).map_err(Error::Random)?;
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let private = key.to_openssh(LineEnding::LF).map_err(encoded)?;
    let public = key.public_key().to_openssh().map_err(encoded)? + "\n";
    fs_err::create_dir_all(store.path("ssh")).map_err(failed)?;
    for (place, bytes, mode) in
        [(path.with_extension("pub"), public.as_bytes(), 0o644), (path.clone(), private.as_bytes(), 0o600)]
    {
        twinhull_sysutil::atomic::replace(&place, bytes, mode).map_err(failed)?;
    }
    console.info(format!("SSH host key: new, {}", key.fingerprint(ssh_key::HashAlg::Sha256)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_key_that_ssh_keygen_reads() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs_err::create_dir_all(root.join("usr/sbin")).unwrap();
        let store = Store::new(root);
        store.prepare().unwrap();
        let mut out = Vec::new();
        host_key(root, &store, &mut Console::new(&mut out)).unwrap();
        assert!(!store.path("ssh").exists(), "no server, no key");
        fs_err::write(root.join("usr/sbin/sshd"), "").unwrap();
        host_key(root, &store, &mut Console::new(&mut out)).unwrap();
        let path = store.path("ssh/ssh_host_ed25519_key");
        let derived = std::process::Command::new("ssh-keygen").arg("-yf").arg(&path).output().unwrap();
        assert!(derived.status.success(), "{}", String::from_utf8_lossy(&derived.stderr));
        let public = fs_err::read_to_string(path.with_extension("pub")).unwrap();
        assert_eq!(String::from_utf8_lossy(&derived.stdout), public);
        let before = fs_err::read(&path).unwrap();
        host_key(root, &store, &mut Console::new(&mut out)).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), before, "made once");
        fs_err::write(&path, "").unwrap();
        host_key(root, &store, &mut Console::new(&mut out)).unwrap();
        assert_ne!(fs_err::read(&path).unwrap(), before, "an empty one is no key");
    }

    #[test]
    fn ids() {
        let id = new().unwrap();
        assert_eq!(parse(&id).as_deref(), Some(id.as_str()));
        assert_eq!(&id[12..13], "4");
        assert_ne!(id, new().unwrap());
        assert!(parse("0".repeat(32).as_str()).is_none());
        assert!(parse("firmware").is_none());
        assert_eq!(
            parse("01234567-89AB-cdef-0123-456789abcdef\n").as_deref(),
            Some("0123456789abcdef0123456789abcdef")
        );
    }
}
