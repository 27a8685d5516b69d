//! The root of trust: which keys may sign what. A machine has one version in its image and follows newer ones step by
//! step, each signed by the keys of the version before and by its own.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Document, Kind, common};
use crate::{Attack, Envelope, PublicKey, Result};

/// Most keys of one role.
const MAX_KEYS: usize = 32;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Signs the next root; kept offline.
    Root,
    /// Signs releases.
    Release,
    /// Signs channels; used often, so perhaps by a machine.
    Channel,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Root, Role::Release, Role::Channel];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Root => "root",
            Role::Release => "release",
            Role::Channel => "channel",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Keys, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The keys.
    pub keys: BTreeSet<PublicKey>,
    /// How many different ones it takes; at least 1.
    pub threshold: u32,
}

impl Rule {
    fn validate(&self, role: Role) -> std::result::Result<(), String> {
        let keys = self.keys.len();
        if !(1..=MAX_KEYS).contains(&keys) {
            return Err(format!("the role {role} has {keys} keys; 1 to {MAX_KEYS} are allowed"));
        }
        if self.threshold < 1 || self.threshold as usize > keys {
            return Err(format!("{} of {keys} keys of the role {role} can't sign", self.threshold));
        }
        Ok(())
    }
}

/// Which keys may sign what, for one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Version of the format.
    pub format: u32,
    /// The image's name.
    pub image: String,
    /// 1, 2, 3, ...
    pub version: u64,
    /// Until when it is believed, seconds since 1970.
    pub expires: u64,
    /// Who signs the next root.
    pub root: Rule,
    /// Who signs releases.
    pub release: Rule,
    /// Who signs channels.
    pub channel: Rule,
}

impl Root {
    /// Keys and threshold of a role.
    pub fn rule(&self, role: Role) -> &Rule {
        match role {
            Role::Root => &self.root,
            Role::Release => &self.release,
            Role::Channel => &self.channel,
        }
    }

    /// As [`Root::rule`], to change it.
    pub fn rule_mut(&mut self, role: Role) -> &mut Rule {
        match role {
            Role::Root => &mut self.root,
            Role::Release => &mut self.release,
            Role::Channel => &mut self.channel,
        }
    }

    /// The root in `next`, if it may take this one's place.
    ///
    /// Returns [`Attack::ArbitrarySoftware`] unless both this root's keys and its own have signed it,
    /// [`Attack::SkippedRoot`] unless it is the very next version, [`Attack::MixAndMatch`] for another image's.
    pub fn follow(&self, next: &Envelope) -> Result<Root> {
        let root: Root = next.open(&self.root)?;
        next.open::<Root>(&root.root)?;
        let expected = self.version.saturating_add(1);
        if root.version != expected {
            return Err(Attack::SkippedRoot { found: root.version, expected }.into());
        }
        if root.image != self.image {
            let what = "the image of the root".into();
            return Err(Attack::MixAndMatch { what, found: root.image, expected: self.image.clone() }.into());
        }
        Ok(root)
    }
}

impl Document for Root {
    const KIND: Kind = Kind::Root;

    fn validate(&self) -> std::result::Result<(), String> {
        common(self.format, &self.image, &[self.expires])?;
        if self.version == 0 {
            return Err("the first version is 1".into());
        }
        Role::ALL.into_iter().try_for_each(|role| self.rule(role).validate(role))
    }
}
