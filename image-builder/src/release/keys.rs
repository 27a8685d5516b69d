//! New keys with the first root, and the next root when keys change.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use jiff::Timestamp;
use twinhull_release::{Document as _, FORMAT, Kind, Role, Root, Rule, SecretKey, names};
use twinhull_sysutil::atomic;

use super::folder::{Folder, signed};
use super::{KeygenArgs, Outcome, RotateArgs, time};

/// Makes keys and the first root, and returns their files.
pub(super) fn generate(args: &KeygenArgs, now: Timestamp) -> Result<Vec<PathBuf>> {
    ensure!(
        names::is_image(&args.image),
        "{:?} is no image name; take image.id of the spec: lower-case letters, digits and -",
        args.image
    );
    let number = |of: &[(Role, u32)], role| of.iter().rev().find(|(r, _)| *r == role).map_or(1, |(_, n)| *n);
    let mut pairs = Vec::new();
    let mut rule = |role: Role| -> Result<Rule> {
        let (count, threshold) = (number(&args.keys, role), number(&args.threshold, role));
        ensure!((1..=32).contains(&count), "the role {role} can have 1 to 32 keys, not {count}");
        ensure!(
            (1..=count).contains(&threshold),
            "{threshold} of {count} keys of the role {role} can't sign; give it more with --keys {role}={threshold}"
        );
        let mut keys = std::collections::BTreeSet::new();
        for n in 1..=count {
            let name = if count == 1 { role.to_string() } else { format!("{role}-{n}") };
            let key = SecretKey::from_seed(&random()?);
            keys.insert(key.public());
            pairs.push((role, name, key));
        }
        Ok(Rule { keys, threshold })
    };
    let root = Root {
        format: FORMAT,
        image: args.image.clone(),
        version: 1,
        expires: time::later(now, args.expires)?,
        root: rule(Role::Root)?,
        release: rule(Role::Release)?,
        channel: rule(Role::Channel)?,
    };
    let mut envelope = signed(&root, &[])?;
    pairs.iter().filter(|(role, ..)| *role == Role::Root).for_each(|(_, _, key)| envelope.sign(key));

    let empty = || Ok::<_, std::io::Error>(fs_err::read_dir(&args.dir)?.next().is_none());
    ensure!(
        !args.dir.exists() || empty()?,
        "{} has files already; keys are never overwritten, give an empty folder",
        args.dir.display()
    );
    let beside = args.dir.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs_err::create_dir_all(beside)?;
    // All keys or none; nobody else may look into the folder.
    let partial = tempfile::Builder::new()
        .prefix(".twinhull-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(beside)?;
    atomic::note_unfinished(partial.path());
    let mut written = Vec::new();
    for (_, name, key) in &pairs {
        let private = partial.path().join(format!("{name}.key"));
        // Never there with wider permissions, not for a moment.
        let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&private)?;
        file.write_all(key.to_pem()?.as_bytes())?;
        file.sync_all()?;
        let public = partial.path().join(format!("{name}.pub"));
        atomic::replace(&public, key.public().to_pem()?.as_bytes(), 0o644)?;
        written.extend([private, public]);
    }
    let path = partial.path().join(names::root(1));
    atomic::replace(&path, envelope.to_string().as_bytes(), 0o644)?;
    written.push(path);
    let place = |path: PathBuf| path.file_name().map(|name| args.dir.join(name));
    let written = written.into_iter().filter_map(place).collect();
    // An empty folder gives way.
    fs_err::rename(partial.path(), &args.dir)?;
    atomic::forget_unfinished(&partial.keep());
    Ok(written)
}

fn random() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    let got = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())?;
    ensure!(got == seed.len(), "the kernel gave {got} random bytes instead of {}", seed.len());
    Ok(seed)
}

/// Reads private keys.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<SecretKey>> {
    paths.iter().map(|path| SecretKey::read(path).map_err(Into::into)).collect()
}

/// Refuses private keys whose signatures nobody would count, before there is any work.
pub(super) fn check(paths: &[PathBuf], keys: &[SecretKey], rule: &Rule, of: &str) -> Result<()> {
    for (path, key) in paths.iter().zip(keys) {
        ensure!(rule.keys.contains(&key.public()), "{} is no key of {of}", path.display());
    }
    Ok(())
}

/// Writes the next root, and signs again what needs it.
pub(super) fn rotate(args: &RotateArgs, now: Timestamp) -> Result<Outcome> {
    let folder = Folder::open(&args.folder)?;
    let before = folder.root()?;
    let keys = read(&args.keys)?;
    let mut root = before.clone();
    root.version = before.version.checked_add(1).context("the root's version can't grow any more")?;
    root.expires = time::later(now, args.expires)?;
    for (role, key) in &args.remove {
        ensure!(
            root.rule_mut(*role).keys.remove(key),
            "the role {role} has no key {key} in root {}",
            before.version
        );
    }
    for (role, key) in &args.add {
        ensure!(root.rule_mut(*role).keys.insert(*key), "the role {role} has the key {key} already");
    }
    for (role, threshold) in &args.threshold {
        root.rule_mut(*role).threshold = *threshold;
    }
    root.validate().map_err(anyhow::Error::msg)?;
    let useless = |key: &SecretKey| {
        let public = key.public();
        !before.root.keys.contains(&public)
            && !Role::ALL.iter().any(|role| root.rule(*role).keys.contains(&public))
    };
    if let Some((path, _)) = args.keys.iter().zip(&keys).find(|(_, key)| useless(key)) {
        bail!(
            "{} is neither a root key of root {} nor any key of the new root",
            path.display(),
            before.version
        );
    }
    let mut outcome = Outcome::default();
    for (name, mut envelope, role) in folder.followed(&root)? {
        let (old, new) = (before.rule(role), root.rule(role));
        if envelope.signers(new).len() >= new.threshold as usize {
            continue;
        }
        // What the old keys did not vouch for gets no new signature just because it lies here.
        ensure!(
            envelope.signers(old).len() >= old.threshold as usize,
            "{name} is not believed under root {}; look at how it came here, and promote or release anew",
            before.version
        );
        let signatures = envelope.signatures().len();
        keys.iter().filter(|key| new.keys.contains(&key.public())).for_each(|key| envelope.sign(key));
        if envelope.signatures().len() > signatures {
            folder.place(&name, &envelope, &mut outcome)?;
        }
    }
    let mut envelope = signed(&root, &[])?;
    let signs =
        |key: &&SecretKey| before.root.keys.contains(&key.public()) || root.root.keys.contains(&key.public());
    keys.iter().filter(signs).for_each(|key| envelope.sign(key));
    folder.place(&names::root(root.version), &envelope, &mut outcome)?;
    Ok(outcome)
}

/// Puts the first root into a folder, or checks that it is the one that is there.
pub(super) fn import(folder: &Folder, path: &Path) -> Result<Root> {
    let name = names::root(1);
    let envelope = super::folder::read(Kind::Root, path)?;
    let envelope = envelope.with_context(|| format!("{} does not exist", path.display()))?;
    let contents: Root = envelope.contents()?;
    ensure!(
        contents.version == 1,
        "{} is root {}; the first one is needed",
        path.display(),
        contents.version
    );
    let root: Root = envelope.open(&contents.root)?;
    match folder.read(Kind::Root, &name)? {
        Some(there) => ensure!(
            there.digest() == envelope.digest(),
            "{} is another root than the {name} of the folder; machines believe one only",
            path.display()
        ),
        None => atomic::replace(&folder.path(&name), envelope.to_string().as_bytes(), 0o644)?,
    }
    Ok(root)
}
