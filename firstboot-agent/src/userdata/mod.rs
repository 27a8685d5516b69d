//! User data: what somebody asked this machine to be.
//!
//! [`read`] takes layers and messages apart, recognises each document, and has it read by the reader of its
//! format; the readers know nothing of one another and make the same checked types. All of them are strict:
//! what isn't known or can't be had is an error with its place, and all errors are collected, because each
//! attempt at first boot costs a machine. Nothing here quotes a value: user data has secrets.

mod cloud_config;
mod credentials;
mod envelope;
pub mod explain;
mod fields;
mod files;
mod format;
mod ignition;
mod install;
mod merge;
mod mime;
mod native;
mod phone_home;
mod reading;
mod services;
mod settings;
mod units;
mod users;

pub use credentials::Credential;
pub use envelope::Layer;
pub use files::{Directory, File, Link};
pub use format::Format;
pub use install::links as install_links;
pub use phone_home::{PhoneHome, Told};
pub use reading::{Part, Reading, read};
pub use services::{Parameter, Service};
pub use units::{DropIn, Enable, Unit};
pub use users::{Sudo, User};

use crate::machine::{Hostname, SshKey};
use crate::yaml::{Place, Problem};
use fields::Fields;

/// Checked user data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserData {
    /// The formats it came in.
    pub formats: Vec<Format>,
    /// Host name; wins over the platform's.
    pub hostname: Option<Set<Hostname>>,
    /// Time zone, as `Europe/Berlin`.
    pub time_zone: Option<Set<String>>,
    /// Time servers.
    pub ntp: Option<Set<Vec<String>>>,
    /// Keys for root, beside the platform's.
    pub root_keys: Vec<SshKey>,
    /// Accounts.
    pub users: Vec<User>,
    /// Files in /etc and /var.
    pub files: Vec<File>,
    /// Folders in /etc and /var.
    pub directories: Vec<Directory>,
    /// Links in /etc.
    pub links: Vec<Link>,
    /// Units and drop-ins.
    pub units: Vec<Unit>,
    /// Parameters of services that the image has.
    pub services: Vec<Service>,
    /// Credentials of services.
    pub credentials: Vec<Credential>,
    /// Who is told that the machine is up.
    pub phone_home: Option<Set<PhoneHome>>,
    /// What was read and makes no difference, and why.
    pub notes: Vec<Problem>,
}

/// A setting there can be one of, and where the document has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set<T> {
    /// The setting.
    pub value: T,
    /// Where the document has it.
    pub place: Place,
}

impl<T> Set<T> {
    /// A text under a key, through a check.
    fn read<E: Into<String>>(
        fields: &Fields<'_>,
        key: &str,
        check: impl FnOnce(&str) -> Result<T, E>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let value = fields.checked(key, check, problems)?;
        Some(Set { value, place: fields.node(key)?.place.clone() })
    }
}

impl UserData {
    /// One line for the console.
    pub fn summary(&self) -> String {
        let mut formats: Vec<&str> = Vec::new();
        for format in self.formats.iter().filter(|f| **f != Format::Empty).map(|f| f.name()) {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        let counts: Vec<_> = [
            (usize::from(self.hostname.is_some()), "host name"),
            (usize::from(self.time_zone.is_some()), "time zone"),
            (self.ntp.as_ref().map_or(0, |ntp| ntp.value.len()), "time server"),
            (self.root_keys.len(), "key"),
            (self.users.len(), "user"),
            (self.files.len(), "file"),
            (self.directories.len(), "folder"),
            (self.links.len(), "link"),
            (self.units.len(), "unit"),
            (self.services.iter().map(|s| s.parameters.len()).sum(), "parameter"),
            (self.credentials.len(), "credential"),
            (usize::from(self.phone_home.is_some()), "call home"),
        ]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}{}", if n == 1 { "" } else { "s" }))
        .collect();
        let counts = if counts.is_empty() { "nothing".into() } else { counts.join(", ") };
        format!("{}: {counts}", formats.join(" + "))
    }

    /// Marks all places as those of a part.
    fn in_part(&mut self, part: u32) {
        let singles = [
            self.hostname.as_mut().map(|s| &mut s.place),
            self.time_zone.as_mut().map(|s| &mut s.place),
            self.ntp.as_mut().map(|s| &mut s.place),
            self.phone_home.as_mut().map(|s| &mut s.place),
        ];
        singles
            .into_iter()
            .flatten()
            .chain(self.users.iter_mut().map(|u| &mut u.place))
            .chain(self.files.iter_mut().map(|f| &mut f.place))
            .chain(self.directories.iter_mut().map(|d| &mut d.place))
            .chain(self.links.iter_mut().map(|l| &mut l.place))
            .chain(self.units.iter_mut().map(|u| &mut u.place))
            .chain(self.services.iter_mut().flat_map(Service::places))
            .chain(self.credentials.iter_mut().map(|c| &mut c.place))
            .chain(self.notes.iter_mut().map(|n| &mut n.place))
            .for_each(|place| place.part = part);
    }
}

/// Reads user data; `None` when there is none. The problems come in the order of the document.
pub fn parse(bytes: &[u8]) -> Result<Option<UserData>, Vec<Problem>> {
    let reading = read(bytes);
    let mut problems = reading.all_problems();
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    if !problems.is_empty() {
        return Err(problems);
    }
    if reading.parts.iter().all(|part| part.format == Format::Empty) {
        return Ok(None);
    }
    Ok(Some(merge::merge(reading.parts.into_iter().map(|p| p.data).collect())))
}

#[cfg(test)]
mod tests;
