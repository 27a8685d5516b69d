//! Signatures for a document that is there already: with a key, or in two steps with one that is elsewhere.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use twinhull_release::{Envelope, PublicKey};
use twinhull_sysutil::atomic;

use super::folder::{Folder, kind_of, read};
use super::{Outcome, SignArgs, keys};

/// Runs `sign`.
pub(super) fn run(args: &SignArgs) -> Result<Outcome> {
    let path = &args.document;
    let (kind, name) = kind_of(path)?;
    let mut envelope = read(kind, path)?.with_context(|| format!("{} does not exist", path.display()))?;
    let folder = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => Folder::open(dir)?,
        _ => Folder::open(".".as_ref())?,
    };
    if let Some(out) = &args.prepare {
        atomic::replace(out, &envelope.to_be_signed(), 0o644)
            .with_context(|| format!("{} was not written", out.display()))?;
        return Ok(Outcome { written: vec![out.clone()], ..Outcome::default() });
    }
    let rules = folder.rules(&envelope)?;
    let coming = folder.coming_rule(kind)?;
    let counts = |key: &PublicKey| rules.iter().chain(&coming).any(|(_, rule)| rule.keys.contains(key));
    let whose = || rules.iter().map(|(of, _)| of.as_str()).collect::<Vec<_>>().join(" or ");
    let keys = keys::read(&args.keys)?;
    for (path, key) in args.keys.iter().zip(&keys) {
        ensure!(counts(&key.public()), "{} is no key of {}", path.display(), whose());
        envelope.sign(key);
    }
    match (&args.attach, &args.public) {
        (Some(signature), Some(public)) => {
            let key = PublicKey::read(public)?;
            ensure!(counts(&key), "{} is no key of {}", public.display(), whose());
            attach(&mut envelope, signature, key)?;
        }
        _ if args.keys.is_empty() => {
            // A root that waited for others can be put in its place without another signature.
            let complete =
                rules.iter().all(|(_, rule)| envelope.signers(rule).len() >= rule.threshold as usize);
            if !complete {
                bail!("nothing to sign with; give --key, --attach with --public, or --prepare");
            }
        }
        _ => {}
    }
    let mut outcome = Outcome::default();
    folder.place(&name, &envelope, &mut outcome)?;
    Ok(outcome)
}

/// Adds the signature of `key` in the file `signature`.
pub(super) fn attach(envelope: &mut Envelope, signature: &Path, key: PublicKey) -> Result<()> {
    let length = fs_err::metadata(signature)?.len();
    let bytes = if length == 64 { fs_err::read(signature)?.try_into().ok() } else { None };
    let bytes: [u8; 64] = bytes.with_context(|| {
        format!(
            "{} has {length} bytes, an ed25519 signature has 64; is it in PEM or base64?",
            signature.display()
        )
    })?;
    Ok(envelope.attach(key, &bytes)?)
}
