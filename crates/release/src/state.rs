//! What a machine remembers of the releases it has seen, against being shown older ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::documents::{FORMAT, Kind, Rule};
use crate::{Envelope, Error, Result, Root};

/// Largest state that is read, in bytes.
const MAX: usize = 4 << 20;

/// The last document of a channel that was believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The keys it was believed by. Under other keys everything here is void: that is how an owner recovers from
    /// numbers that a thief of the key made too high.
    pub rule: Rule,
    /// Its serial.
    pub serial: u64,
    /// Digest of its first line.
    pub digest: String,
    /// When it was signed, seconds since 1970.
    pub issued: u64,
    /// Oldest version that may still be offered.
    pub floor: Option<String>,
}

/// What is remembered. It changes only by [`crate::check`], after everything was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// The newest root, as it was published.
    root: String,
    channels: BTreeMap<String, Pinned>,
}

impl State {
    /// The state of a machine that has seen nothing but the `root` in its image.
    ///
    /// Returns [`Error::Malformed`].
    pub fn new(root: &Envelope) -> Result<Self> {
        root.contents::<Root>()?;
        Ok(State { format: FORMAT, root: root.to_string(), channels: BTreeMap::new() })
    }

    /// Reads what [`State::to_json`] wrote.
    ///
    /// Returns [`Error::State`]. Whoever has it starts again with [`State::new`], which forgets what was seen since.
    pub fn parse(text: &[u8]) -> Result<Self> {
        if text.len() > MAX {
            return Err(Error::State(format!("it has {} bytes", text.len())));
        }
        let state: State = serde_json::from_slice(text).map_err(|e| Error::State(e.to_string()))?;
        if state.format != FORMAT {
            return Err(Error::State(format!("its format is {}, this program knows {FORMAT}", state.format)));
        }
        state.root().map_err(|e| Error::State(e.to_string()))?;
        Ok(state)
    }

    /// The state as a file; replace the old one atomically.
    ///
    /// Returns [`Error::State`] when it can't be encoded.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).map_err(|e| Error::State(e.to_string()))? + "\n")
    }

    /// The newest root.
    ///
    /// Returns [`Error::Malformed`].
    pub fn root(&self) -> Result<Root> {
        Envelope::parse(Kind::Root, self.root.as_bytes())?.contents()
    }

    pub(crate) fn set_root(&mut self, root: &Envelope) {
        self.root = root.to_string();
    }

    /// What is pinned for `channel` under the keys of `rule`.
    pub(crate) fn pinned(&self, channel: &str, rule: &Rule) -> Option<&Pinned> {
        self.channels.get(channel).filter(|pinned| pinned.rule == *rule)
    }

    pub(crate) fn pin(&mut self, channel: &str, pinned: Pinned) {
        self.channels.insert(channel.into(), pinned);
    }
}
