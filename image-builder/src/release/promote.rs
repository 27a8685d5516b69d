//! Points a channel to a release. Its document is the only file in a release folder that changes.

use std::cmp::Ordering;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use twinhull_release::{Channel, FORMAT, Kind, Rollout, compare, names};

use super::folder::{Folder, signed};
use super::{Outcome, PromoteArgs, keys, time, verify};
use crate::progress::Progress;

/// Writes the channel's next document.
pub(super) fn promote(args: &PromoteArgs, now: Timestamp, progress: &Progress) -> Result<Outcome> {
    ensure!(
        names::is_channel(&args.channel),
        "{:?} is no channel name: lower-case letters, digits and -",
        args.channel
    );
    let folder = Folder::open(&args.folder)?;
    let root = folder.root()?;
    let keys = keys::read(&args.keys)?;
    keys::check(&args.keys, &keys, &root.channel, &format!("the role channel of root {}", root.version))?;
    let name = names::channel(&args.channel);
    let envelope = folder.read(Kind::Channel, &name)?;
    // Numbers that the present keys did not sign don't bind anybody.
    let last: Option<Channel> = envelope.as_ref().and_then(|last| last.open(&root.channel).ok());
    let same = |last: &Channel| args.version.as_ref().is_none_or(|version| *version == last.newest);
    let version = match (&args.version, &last) {
        (Some(version), _) => version.clone(),
        (None, Some(last)) => last.newest.clone(),
        (None, None) => anyhow::bail!("the channel {} has no version yet; give one", args.channel),
    };
    ensure!(names::is_version(&version), "{version:?} is no version");
    let (release, digest) = folder.release(&root, &version)?;
    verify::parts(&folder, &release, progress)
        .with_context(|| format!("{version} can't be promoted; release it again from its image"))?;

    let issued = time::seconds(now)?;
    let rollout = match args.rollout {
        Some(span) => {
            let start = args.start.unwrap_or(now);
            let from = time::seconds(start)?;
            Some(Rollout { start: from, duration: time::later(start, span)?.saturating_sub(from) })
        }
        None => last.as_ref().filter(|last| same(last)).and_then(|last| last.rollout),
    };
    let floor = args.floor.clone().or_else(|| last.as_ref()?.floor.clone());
    if let Some(floor) = floor.as_ref().filter(|floor| compare(&version, floor) == Ordering::Less) {
        anyhow::bail!("{version} is older than the channel's floor {floor}, machines would refuse it");
    }
    let serial = match &last {
        Some(last) => {
            last.serial.checked_add(1).context("the channel's serial can't grow any more; rotate its keys")?
        }
        None => 1,
    };
    let mut outcome = Outcome::default();
    if let Some(last) = last.as_ref().filter(|last| compare(&version, &last.newest) == Ordering::Less) {
        outcome.notes.push(format!(
            "the channel had {} before; machines that run it already stay there, none goes back to {version}",
            last.newest
        ));
    }
    if let Some(last) = &last {
        ensure!(last.issued <= issued, "the channel's last document is from the future; set the clock right");
    }
    let channel = Channel {
        format: FORMAT,
        image: root.image.clone(),
        channel: args.channel.clone(),
        serial,
        issued,
        expires: time::later(now, args.expires)?,
        newest: version,
        release: digest,
        floor,
        rollout,
    };
    if channel.expires > root.expires {
        outcome.notes.push(format!(
            "root {} expires at {}, before the channel does; renew it with `image-builder rotate-keys`",
            root.version,
            time::shown(root.expires)
        ));
    }
    folder.place(&name, &signed(&channel, &keys)?, &mut outcome)?;
    Ok(outcome)
}
