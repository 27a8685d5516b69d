//! A channel: a pointer to the newest release, which is signed anew for every change and before it expires.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Document, Kind, common};
use crate::{compare, names};

/// Over how long machines take up a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// When the first machine may, seconds since 1970.
    pub start: u64,
    /// How much later the last one may, in seconds.
    pub duration: u64,
}

/// The newest release of an image for those who follow a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Version of the format.
    pub format: u32,
    /// The image's name.
    pub image: String,
    /// The channel's name.
    pub channel: String,
    /// Grows with every change.
    pub serial: u64,
    /// When it was signed, seconds since 1970.
    pub issued: u64,
    /// Until when it is believed, seconds since 1970.
    pub expires: u64,
    /// Version of the newest release.
    pub newest: String,
    /// Digest of that release's document, its first line, SHA-256 in hexadecimal.
    pub release: String,
    /// Oldest version that may still be offered later on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<String>,
    /// Who takes it up when; all at once when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

impl Document for Channel {
    const KIND: Kind = Kind::Channel;

    fn validate(&self) -> std::result::Result<(), String> {
        let rollout = self.rollout.unwrap_or(Rollout { start: 0, duration: 0 });
        common(self.format, &self.image, &[self.issued, self.expires, rollout.start, rollout.duration])?;
        if !names::is_channel(&self.channel) {
            return Err("channel is no channel name".into());
        }
        if !names::is_version(&self.newest) || self.floor.as_deref().is_some_and(|f| !names::is_version(f)) {
            return Err("newest or floor is no version".into());
        }
        if self.floor.as_deref().is_some_and(|floor| compare(&self.newest, floor) == Ordering::Less) {
            return Err("newest is older than floor".into());
        }
        if !names::is_digest(&self.release) {
            return Err("release is no SHA-256 digest".into());
        }
        if self.expires <= self.issued {
            return Err("it expires before it was issued".into());
        }
        Ok(())
    }
}
