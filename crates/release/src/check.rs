//! What a machine does to learn whether there is something new: from the root it trusts to the newest root, to the
//! channel, to the release. Nothing is remembered unless all of it holds.

use std::cmp::Ordering;
use std::fmt;

use crate::documents::{Channel, Kind, Release, Root};
use crate::{Attack, Envelope, Error, MAX_DOCUMENT, Pinned, Result, State, compare, names};

/// Most roots that are followed at once.
const MAX_ROTATIONS: u64 = 1024;

/// Why a file can't be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceError {
    /// There is more than the limit.
    TooLong,
    /// Anything else, as a sentence.
    Other(String),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::TooLong => f.write_str("it is too long"),
            SourceError::Other(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for SourceError {}

/// A release folder.
pub trait Source {
    /// The file `name`, `None` when there is none.
    ///
    /// Returns [`SourceError::TooLong`] instead of reading more than `limit` bytes.
    fn fetch(&mut self, name: &str, limit: u64) -> std::result::Result<Option<Vec<u8>>, SourceError>;
}

/// What a machine is.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its image.
    pub image: String,
    /// The version that runs.
    pub version: String,
    /// Its processor: `x86-64`, `arm64`.
    pub arch: String,
    /// The channel it follows.
    pub channel: String,
    /// The clock, in seconds since 1970.
    pub now: u64,
    /// Time of the running image, in seconds since 1970: it can't be earlier.
    pub built: u64,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What to remember from now on.
    pub state: State,
    /// The channel's document.
    pub channel: Channel,
    /// The newest release, when it is newer than what runs.
    pub offer: Option<Release>,
}

/// Looks for something newer in `source`.
///
/// Returns an [`Attack`] for everything that doesn't hold, [`Error::Missing`], [`Error::Malformed`] and
/// [`Error::Source`]. On any error the old `state` stays in force.
pub fn check(state: &State, machine: &Machine, source: &mut dyn Source) -> Result<Checked> {
    let mut state = state.clone();
    let root = follow_roots(&mut state, source)?;
    belongs("the image of the root", &root.image, &machine.image)?;

    let name = names::channel(&machine.channel);
    let envelope = required(fetch(source, Kind::Channel, &name)?, &name)?;
    let digest = envelope.digest();
    let channel: Channel = envelope.open(&root.channel)?;
    belongs("the image of the channel", &channel.image, &machine.image)?;
    belongs("the channel's name", &channel.channel, &machine.channel)?;
    let pinned = state.pinned(&machine.channel, &root.channel);
    let now = machine.now.max(machine.built).max(pinned.map_or(0, |p| p.issued));
    for (kind, expires) in [(Kind::Root, root.expires), (Kind::Channel, channel.expires)] {
        if expires <= now {
            return Err(Attack::Freeze { kind, expires, now }.into());
        }
    }
    if let Some(pinned) = pinned {
        not_older(&channel, &digest, pinned)?;
    }

    let name = names::release(&machine.image, &channel.newest);
    let envelope = required(fetch(source, Kind::Release, &name)?, &name)?;
    belongs("the digest of the release", &envelope.digest(), &channel.release)?;
    let release: Release = envelope.open(&root.release)?;
    belongs("the image of the release", &release.image, &machine.image)?;
    belongs("the version of the release", &release.version, &channel.newest)?;
    belongs("the processor of the release", &release.arch, &machine.arch)?;

    state.pin(
        &machine.channel,
        Pinned {
            rule: root.channel.clone(),
            serial: channel.serial,
            digest,
            issued: channel.issued,
            floor: channel.floor.clone(),
        },
    );
    let newer = compare(&release.version, &machine.version) == Ordering::Greater;
    Ok(Checked { state, channel, offer: newer.then_some(release) })
}

/// Goes from root to root until the server has no newer one.
fn follow_roots(state: &mut State, source: &mut dyn Source) -> Result<Root> {
    let mut root = state.root()?;
    for _ in 0..MAX_ROTATIONS {
        let name = names::root(root.version.saturating_add(1));
        let Some(next) = fetch(source, Kind::Root, &name)? else { return Ok(root) };
        root = root.follow(&next)?;
        state.set_root(&next);
    }
    Err(Attack::EndlessData { what: "the chain of roots".into(), limit: MAX_ROTATIONS }.into())
}

fn not_older(channel: &Channel, digest: &str, pinned: &Pinned) -> Result<()> {
    let name = &channel.channel;
    if channel.serial < pinned.serial {
        return Err(Attack::Rollback {
            what: format!("the serial of channel {name:?}"),
            found: channel.serial.to_string(),
            seen: pinned.serial.to_string(),
        }
        .into());
    }
    if channel.serial == pinned.serial && digest != pinned.digest {
        return Err(Attack::Equivocation { channel: name.clone(), serial: channel.serial }.into());
    }
    let below = |floor: &&String| compare(&channel.newest, floor) == Ordering::Less;
    if let Some(floor) = pinned.floor.as_ref().filter(below) {
        return Err(Attack::Rollback {
            what: format!("the newest version of channel {name:?}"),
            found: channel.newest.clone(),
            seen: format!("the floor {floor}"),
        }
        .into());
    }
    Ok(())
}

fn fetch(source: &mut dyn Source, kind: Kind, name: &str) -> Result<Option<Envelope>> {
    match source.fetch(name, MAX_DOCUMENT) {
        Ok(bytes) => bytes.map(|bytes| Envelope::parse(kind, &bytes)).transpose(),
        Err(SourceError::TooLong) => {
            Err(Attack::EndlessData { what: name.into(), limit: MAX_DOCUMENT }.into())
        }
        Err(reason) => Err(Error::Source { name: name.into(), reason }),
    }
}

fn required(envelope: Option<Envelope>, name: &str) -> Result<Envelope> {
    envelope.ok_or_else(|| Error::Missing { name: name.into() })
}

fn belongs(what: &str, found: &str, expected: &str) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Attack::MixAndMatch { what: what.into(), found: found.into(), expected: expected.into() }.into())
}
