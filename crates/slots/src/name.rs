//! Names of images, versions and boot entries: `NAME_VERSION.efi`, or with a boot counter `NAME_VERSION+LEFT-DONE.efi`
//! (UAPI.1 Boot Loader Specification, "Boot counting").
//!
//! A version becomes part of a label and of a file name on the ESP, so it is checked before anything else is done. The
//! rules are the spec's.

use std::fmt;

use twinhull_disk::slot;

use crate::{Error, Result};

/// Checks an image's name.
///
/// Returns [`Error::BadName`].
pub fn check_id(text: &str) -> Result<()> {
    let rule = "at most 20 lower-case letters, digits, `-` and `.`, beginning with a letter or a digit";
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    check("image name", text, rule, 20, fine)
}

/// Checks an image's version.
///
/// Returns [`Error::BadName`].
pub fn check_version(text: &str) -> Result<()> {
    let rule = "at most 16 letters, digits and `.~^-`, beginning with a letter or a digit";
    check("version", text, rule, 16, |c| c.is_ascii_alphanumeric() || ".~^-".contains(c))
}

fn check(
    what: &'static str,
    text: &str,
    rule: &'static str,
    max: usize,
    fine: fn(char) -> bool,
) -> Result<()> {
    let fits =
        text.len() <= max && text.chars().all(fine) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fits { Ok(()) } else { Err(Error::BadName { what, text: text.to_owned(), rule }) }
}

/// The version of a label `NAME_VERSION` of the image `id`.
pub(crate) fn version_of<'a>(label: &'a str, id: &str) -> Option<&'a str> {
    let (found, version) = slot::parse_label(label)?;
    (found == id && check_version(version).is_ok()).then_some(version)
}

/// Whether two versions can't be told apart by file names: FAT doesn't tell upper from lower case.
pub(crate) fn same_version(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// What boot counting says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assessment {
    /// No counter: the version has proved to be good.
    Blessed,
    /// Still being tried.
    Trying {
        /// Tries left, at least one.
        left: u32,
        /// Tries made.
        done: u32,
    },
    /// No tries are left.
    Failed {
        /// Tries made.
        done: u32,
    },
}

/// The name of a boot entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    /// The image's name.
    pub id: String,
    /// The version.
    pub version: String,
    /// Tries left and tries made; `None` for a blessed entry.
    pub counter: Option<(u32, u32)>,
}

impl EntryName {
    /// Takes a file name apart; `None` when it isn't one of an image. As systemd-boot, it doesn't mind how `.efi` is
    /// written.
    pub fn parse(file: &str) -> Option<Self> {
        let (stem, suffix) = file.split_at_checked(file.len().checked_sub(4)?)?;
        if !suffix.eq_ignore_ascii_case(".efi") {
            return None;
        }
        let (label, counter) = match stem.split_once('+') {
            Some((label, counter)) => (label, Some(parse_counter(counter)?)),
            None => (stem, None),
        };
        let (id, version) = slot::parse_label(label)?;
        check_id(id).and(check_version(version)).ok()?;
        Some(EntryName { id: id.to_owned(), version: version.to_owned(), counter })
    }

    /// What boot counting says.
    pub fn assessment(&self) -> Assessment {
        match self.counter {
            None => Assessment::Blessed,
            Some((0, done)) => Assessment::Failed { done },
            Some((left, done)) => Assessment::Trying { left, done },
        }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&slot::label(&self.id, &self.version))?;
        match self.counter {
            None => Ok(()),
            Some((left, 0)) => write!(f, "+{left}"),
            Some((left, done)) => write!(f, "+{left}-{done}"),
        }?;
        f.write_str(".efi")
    }
}

/// `LEFT` or `LEFT-DONE`.
fn parse_counter(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    match text.split_once('-') {
        Some((left, done)) => Some((number(left)?, number(done)?)),
        None => Some((number(text)?, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_apart_and_put_together() {
        for (file, version, counter, assessment) in [
            ("box_1.0.efi", "1.0", None, Assessment::Blessed),
            ("box_1.0+3.efi", "1.0", Some((3, 0)), Assessment::Trying { left: 3, done: 0 }),
            ("box_1-2+2-1.efi", "1-2", Some((2, 1)), Assessment::Trying { left: 2, done: 1 }),
            ("box_1~rc1+0-3.efi", "1~rc1", Some((0, 3)), Assessment::Failed { done: 3 }),
        ] {
            let name = EntryName::parse(file).unwrap();
            assert_eq!((name.id.as_str(), name.version.as_str(), name.counter), ("box", version, counter));
            assert_eq!(name.assessment(), assessment);
            assert_eq!(name.to_string(), file);
        }
        assert_eq!(EntryName::parse("box_1.EFI").unwrap().version, "1");
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        for file in [
            "",
            "efi",
            ".efi",
            "linux.efi",
            "box_.efi",
            "_1.efi",
            "box_1.efi.old",
            "box_1",
            "box_1+.efi",
            "box_1+3-.efi",
            "box_1+-1.efi",
            "box_1+3-1-1.efi",
            "box_1+3+2.efi",
            "box_1++3.efi",
            "box_1+x.efi",
            "box_1+99999999999.efi",
            "../box_1.efi",
            "box_../x.efi",
            "box_1_verity.efi",
            "Box_1.efi",
            "box_1\0.efi",
            "bóx_1.efi",
            "éfi",
            "xéfi",
        ] {
            assert_eq!(EntryName::parse(file), None, "{file:?}");
        }
    }

    #[test]
    fn versions_never_leave_their_folder() {
        for bad in
            ["", ".", "..", "../1", "a/b", "a\0", "1+3", "1_2", "-1", "1 2", "1\n", "ü", "12345678901234567"]
        {
            assert!(check_version(bad).is_err(), "{bad:?}");
        }
        for good in ["1", "2026.11.25", "1.0~rc1", "1.0^2", "1-2", "A"] {
            check_version(good).unwrap();
        }
        assert!(check_id("box").is_ok() && check_id("a/b").is_err() && check_id("").is_err());
    }
}
