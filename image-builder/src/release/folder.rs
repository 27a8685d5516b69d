//! A release folder: finding, believing and placing its documents. A document is put in its place when enough keys
//! have signed it, and not before; until then it is a draft beside it, which no machine asks for.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use twinhull_release::{
    Channel, Document, Envelope, Kind, Part, Release, Role, Root, Rule, Source, SourceError, names,
};
use twinhull_sysutil::atomic;

use super::Outcome;

/// The channel that machines follow unless they are told otherwise, and that SHA256SUMS is of.
pub(super) const STABLE: &str = "stable";

/// What a document is called until it has its signatures.
const DRAFT: &str = ".draft";

/// A release folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// Signatures that a document still needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Missing {
    /// The draft.
    document: String,
    /// Whose signatures: `the role release of root 1`.
    of: String,
    /// Good ones there are.
    signed: usize,
    /// Good ones it needs.
    threshold: u32,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { document, of, signed, threshold } = self;
        write!(
            f,
            "{document} has {signed} of {threshold} signatures by {of}; add others with `image-builder sign`"
        )
    }
}

impl Folder {
    /// The folder at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        ensure!(
            path.is_dir(),
            "{} is no folder; give the release folder, BASE/IMAGE, that `image-builder release` has made",
            path.display()
        );
        Ok(Folder(path.to_owned()))
    }

    /// Path of a file in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The document `name`, if there is one.
    pub(super) fn read(&self, kind: Kind, name: &str) -> Result<Option<Envelope>> {
        read(kind, &self.path(name))
    }

    /// The document `name`, or else its draft.
    pub(super) fn read_or_draft(&self, kind: Kind, name: &str) -> Result<Option<Envelope>> {
        match self.read(kind, name)? {
            Some(found) => Ok(Some(found)),
            None => self.read(kind, &format!("{name}{DRAFT}")),
        }
    }

    /// The newest root, reached from the first one as machines reach it.
    pub(super) fn root(&self) -> Result<Root> {
        let first = self.read(Kind::Root, &names::root(1))?.with_context(|| {
            format!(
                "{} has no {}; give the one of keygen with `release --root`",
                self.0.display(),
                names::root(1)
            )
        })?;
        let contents: Root = first.contents()?;
        let mut root: Root = first.open(&contents.root)?;
        while let Some(next) = self.read(Kind::Root, &names::root(root.version.saturating_add(1)))? {
            root = root
                .follow(&next)
                .with_context(|| format!("the roots in {} don't hold", self.0.display()))?;
        }
        Ok(root)
    }

    /// The names of the folder's channels.
    pub(super) fn channels(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs_err::read_dir(&self.0)? {
            let name = entry?.file_name();
            let channel = name.to_str().and_then(|name| name.strip_suffix(&names::channel("")));
            found.extend(channel.filter(|channel| names::is_channel(channel)).map(str::to_owned));
        }
        found.sort();
        Ok(found)
    }

    /// The release of `version`, believed under `root`.
    pub(super) fn release(&self, root: &Root, version: &str) -> Result<(Release, String)> {
        let name = names::release(&root.image, version);
        let Some(envelope) = self.read(Kind::Release, &name)? else {
            ensure!(
                !self.path(&format!("{name}{DRAFT}")).exists(),
                "{name} has too few signatures and is still a draft; sign it with `image-builder sign`"
            );
            bail!("{} has no {name}; write it with `image-builder release`", self.0.display());
        };
        let release: Release =
            envelope.open(&root.release).with_context(|| format!("{name} does not hold"))?;
        ensure!(
            release.version == version && release.image == root.image,
            "{name} is about {} {}",
            release.image,
            release.version
        );
        Ok((release, envelope.digest()))
    }

    /// Puts a document in its place, or beside it as a draft while signatures are missing. Whatever must be there
    /// before machines see it is written first.
    pub(super) fn place(&self, name: &str, envelope: &Envelope, outcome: &mut Outcome) -> Result<()> {
        let draft = self.path(&format!("{name}{DRAFT}"));
        let missing = self.missing(name, envelope)?;
        if !missing.is_empty() {
            atomic::replace(&draft, envelope.to_string().as_bytes(), 0o644)?;
            outcome.written.push(draft);
            outcome.missing.extend(missing);
            return Ok(());
        }
        self.check_order(name, envelope)?;
        match envelope.kind() {
            Kind::Root => {
                if let Some(unbelieved) = self.unbelieved(&envelope.contents()?)? {
                    atomic::replace(&draft, envelope.to_string().as_bytes(), 0o644)?;
                    outcome.written.push(draft);
                    outcome.notes.push(unbelieved);
                    return Ok(());
                }
            }
            Kind::Channel => {
                let channel: Channel = envelope.contents()?;
                let (release, digest) = self.release(&self.root()?, &channel.newest)?;
                ensure!(
                    digest == channel.release,
                    "{name} points to another document than the {} that is here; promote the version again",
                    names::release(&release.image, &release.version)
                );
                if channel.channel == STABLE {
                    let path = self.path(names::SUMS);
                    atomic::replace(&path, sums(&release).as_bytes(), 0o644)?;
                    outcome.written.push(path);
                }
            }
            Kind::Release | Kind::DiskImage => {}
        }
        let path = self.path(name);
        atomic::replace(&path, envelope.to_string().as_bytes(), 0o644)?;
        outcome.written.push(path);
        if draft.exists() {
            fs_err::remove_file(draft)?;
        }
        Ok(())
    }

    /// Refuses a document that would take the place of a newer or another one.
    fn check_order(&self, name: &str, envelope: &Envelope) -> Result<()> {
        let Some(there) = self.read(envelope.kind(), name)? else { return Ok(()) };
        if there.digest() == envelope.digest() {
            return Ok(());
        }
        ensure!(
            envelope.kind() == Kind::Channel,
            "{name} is in its place already, with other contents; machines have seen it, so it has to stay"
        );
        let (old, new): (Channel, Channel) = (there.contents()?, envelope.contents()?);
        let forgotten = there.open::<Channel>(&self.root()?.channel).is_err();
        ensure!(
            new.serial > old.serial || forgotten,
            "{name} has the serial {} already and the draft has {}; promote the version again",
            old.serial,
            new.serial
        );
        Ok(())
    }

    /// Whose signatures `envelope` needs. A root needs those of the root before, too.
    pub(super) fn rules(&self, envelope: &Envelope) -> Result<Vec<(String, Rule)>> {
        if envelope.kind() != Kind::Root {
            return Ok(vec![of(&self.root()?, role(envelope.kind()))]);
        }
        let root: Root = envelope.contents()?;
        let mut rules = vec![of(&root, Role::Root)];
        if root.version > 1 {
            let name = names::root(root.version - 1);
            let before = self.read(Kind::Root, &name)?;
            let before: Root =
                before.with_context(|| format!("{name} is missing in the folder"))?.contents()?;
            if before.root != root.root {
                rules.push(of(&before, Role::Root));
            }
        }
        Ok(rules)
    }

    /// Whose signatures documents of this kind will need when a root that is still a draft is in its place: they are
    /// signed before it.
    pub(super) fn coming_rule(&self, kind: Kind) -> Result<Option<(String, Rule)>> {
        let next = format!("{}{DRAFT}", names::root(self.root()?.version.saturating_add(1)));
        match self.read(Kind::Root, &next)? {
            Some(next) => Ok(Some(of(&next.contents()?, role(kind)))),
            None => Ok(None),
        }
    }

    fn missing(&self, name: &str, envelope: &Envelope) -> Result<Vec<Missing>> {
        let missing = |(of, rule): (String, Rule)| {
            let signed = envelope.signers(&rule).len();
            let document = format!("{name}{DRAFT}");
            (signed < rule.threshold as usize).then_some(Missing {
                document,
                of,
                signed,
                threshold: rule.threshold,
            })
        };
        Ok(self.rules(envelope)?.into_iter().filter_map(missing).collect())
    }

    /// What machines that follow `root` would not believe, as a sentence.
    fn unbelieved(&self, root: &Root) -> Result<Option<String>> {
        for (name, envelope, role) in self.followed(root)? {
            let rule = root.rule(role);
            if envelope.signers(rule).len() < rule.threshold as usize {
                let draft = self.path(&format!("{}{DRAFT}", names::root(root.version)));
                return Ok(Some(format!(
                    "root {} waits as a draft: machines that follow it would not believe {name}; sign that with keys of \
                     its role {role}, then put the root in its place with `image-builder sign {}`",
                    root.version,
                    draft.display()
                )));
            }
        }
        Ok(None)
    }

    /// The documents that machines read after `root`: channels, and the releases they point to.
    pub(super) fn followed(&self, root: &Root) -> Result<Vec<(String, Envelope, Role)>> {
        let mut found = Vec::new();
        for channel in self.channels()? {
            let name = names::channel(&channel);
            let Some(pointer) = self.read(Kind::Channel, &name)? else { continue };
            let newest = pointer.contents::<Channel>()?.newest;
            found.push((name, pointer, Role::Channel));
            let name = names::release(&root.image, &newest);
            if let Some(release) = self.read(Kind::Release, &name)? {
                found.push((name, release, Role::Release));
            }
        }
        Ok(found)
    }
}

fn role(kind: Kind) -> Role {
    match kind {
        Kind::Root => Role::Root,
        Kind::Channel => Role::Channel,
        // There are none of the latter in a release folder.
        Kind::Release | Kind::DiskImage => Role::Release,
    }
}

fn of(root: &Root, role: Role) -> (String, Rule) {
    (format!("the role {role} of root {}", root.version), root.rule(role).clone())
}

/// Reads the document at `path`, if there is one.
pub(crate) fn read(kind: Kind, path: &Path) -> Result<Option<Envelope>> {
    Envelope::read(kind, path).with_context(|| format!("{} can't be used", path.display()))
}

/// Which document a file is by its name, and the name without `.draft`.
pub(super) fn kind_of(path: &Path) -> Result<(Kind, String)> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(DRAFT).unwrap_or(name);
    let kinds =
        [(".root.json", Kind::Root), (".channel.json", Kind::Channel), (".release.json", Kind::Release)];
    match kinds.into_iter().find(|(ending, _)| name.ends_with(ending)) {
        Some((_, kind)) => Ok((kind, name.to_owned())),
        None => bail!(
            "{} is no document of a release folder; those end in .root.json, .channel.json or .release.json, and \
             .draft behind that while signatures are missing",
            path.display()
        ),
    }
}

/// Lines as sha256sum(1) writes them.
pub(super) fn sums(release: &Release) -> String {
    let mut parts = Part::NEEDED.map(|part| (release.file(part), &release.part(part).sha256));
    parts.sort();
    parts.iter().map(|(name, sha256)| format!("{sha256}  {name}\n")).collect()
}

/// A machine's view of the folder.
impl Source for Folder {
    fn fetch(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let other = |error: std::io::Error| SourceError::Other(error.to_string());
        let file = match fs_err::File::open(self.path(name)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(other)?,
        };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(other)?;
        if bytes.len() as u64 > limit { Err(SourceError::TooLong) } else { Ok(Some(bytes)) }
    }
}

/// A document as a new envelope with the signatures of `keys`.
pub(super) fn signed<D: Document>(document: &D, keys: &[twinhull_release::SecretKey]) -> Result<Envelope> {
    document.validate().map_err(|reason| anyhow::anyhow!("the {} would make no sense: {reason}", D::KIND))?;
    let mut envelope = Envelope::new(document)?;
    keys.iter().for_each(|key| envelope.sign(key));
    Ok(envelope)
}
