//! Time zones from the image's own database.
//!
//! One file is read, when settings are read: a zone that isn't there is a mistake somebody sees, not a surprise at
//! three in the morning. No database is compiled in: it would age with the program instead of with the
//! image's `tzdata`.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::{Error, Result};

/// More than any zone has; the largest have 4 KiB.
const LIMIT: u64 = 1 << 20;

/// A folder of compiled zones, as `tzdata` installs it.
#[derive(Debug, Clone)]
pub struct Zones {
    dir: PathBuf,
}

impl Zones {
    /// The zones in a folder, `/usr/share/zoneinfo` on a machine.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Zones { dir: dir.into() }
    }

    /// A zone by its IANA name. `UTC` needs no file.
    ///
    /// # Errors
    /// [`Error::Zone`] when the name is none, or its file is missing or damaged.
    pub fn get(&self, name: &str) -> Result<TimeZone> {
        if name == "UTC" {
            return Ok(TimeZone::UTC);
        }
        let error = |reason: String| Error::Zone { name: name.to_owned(), reason };
        // `right/` counts leap seconds, which no clock of ours does.
        let plain = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
        };
        if !name.split('/').all(plain) || name.starts_with("right/") {
            return Err(error("write an IANA name such as Europe/Berlin, or UTC".into()));
        }
        let path = self.dir.join(name);
        let missing = |e: std::io::Error| {
            error(format!("{e}; check the spelling (Europe/Berlin), or add tzdata to the image's packages"))
        };
        let size = fs_err::metadata(&path).map_err(missing)?.len();
        if size > LIMIT {
            return Err(error(format!("{} is no file of a time zone", path.display())));
        }
        let bytes = fs_err::read(&path).map_err(missing)?;
        TimeZone::tzif(name, &bytes)
            .map_err(|e| error(format!("{}: {e}; install tzdata again, or choose UTC", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_checked_when_they_are_read() {
        let zones = Zones::new("/usr/share/zoneinfo");
        for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"] {
            assert!(zones.get(name).is_ok(), "{name}");
        }
        for (name, want) in [
            ("Europe/Berlim", "check the spelling"),
            ("../../../etc/passwd", "IANA name"),
            ("/etc/localtime", "IANA name"),
            ("Europe//Berlin", "IANA name"),
            ("right/Europe/Berlin", "IANA name"),
            ("", "IANA name"),
            ("Europe", "time zone \"Europe\""),
            ("tzdata.zi", "IANA name"),
        ] {
            let error = zones.get(name).unwrap_err().to_string();
            assert!(error.contains(want), "{name}: {error}");
        }
        assert!(Zones::new("/nowhere").get("UTC").is_ok());
        let error = Zones::new("/nowhere").get("Europe/Berlin").unwrap_err().to_string();
        assert!(error.contains("add tzdata"), "{error}");
    }

    #[test]
    fn damaged_zones_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let whole = fs_err::read("/usr/share/zoneinfo/Europe/Berlin").unwrap();
        for length in [0, 1, 44, whole.len() / 2] {
            fs_err::write(dir.path().join("Zone"), &whole[..length]).unwrap();
            let error = Zones::new(dir.path()).get("Zone").unwrap_err().to_string();
            assert!(error.contains("install tzdata again"), "{length}: {error}");
        }
    }
}
