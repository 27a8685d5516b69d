//! Which of the two bridges GRUB starts: a GRUB environment block on the ESP, which GRUB reads and writes with `load_env` and
//! `save_env`.
//!
//! `good` is the bridge that is known to work, `next` the one to be started now. GRUB's script makes `next` the good one
//! again before it starts anything, so that each offer of a new bridge is one try. `offers` is for the running system: a bridge that
//! was offered and isn't the next one any more has had that try. What failed may have been the version and not the bridge, so
//! there is more than one.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::{Error, Result};

/// First line of an environment block.
const MAGIC: &str = "# GRUB Environment Block\n";

/// Bytes of the file. GRUB writes it in place and never makes it longer.
const SIZE: usize = 1024;

/// One of the two bridges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first one, which a new disk has.
    A,
    /// The other one.
    B,
}

impl Side {
    /// Its folder's name, and its name in GRUB's script.
    pub fn name(self) -> &'static str {
        match self {
            Side::A => "a",
            Side::B => "b",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        [Side::A, Side::B].into_iter().find(|side| side.name() == name)
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// What the environment block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The bridge that is known to work.
    pub good: Side,
    /// The bridge that GRUB starts next.
    pub next: Side,
    /// How often GRUB was told to try the bridge that isn't good, as it is now.
    pub offers: u8,
}

impl State {
    /// Name of the file in [`crate::FOLDER`].
    pub const FILE: &str = "bridge.env";

    /// With one bridge that is taken to work, as on a new disk.
    pub fn new(good: Side) -> Self {
        State { good, next: good, offers: 0 }
    }

    /// The environment block. All that counts is in its first sector, which is written as a whole or not at all.
    pub fn to_bytes(self) -> Vec<u8> {
        let State { good, next, offers } = self;
        let text = format!("{MAGIC}good={}\nnext={}\noffers={offers}\n", good.name(), next.name());
        let mut bytes = text.into_bytes();
        bytes.resize(SIZE, b'#');
        bytes
    }

    /// Takes an environment block apart. Lines it doesn't know are left out. An error says what is wrong.
    pub fn parse(bytes: &[u8]) -> std::result::Result<Self, &'static str> {
        if bytes.len() != SIZE {
            return Err("it doesn't have 1024 bytes");
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text")?;
        let lines = text.strip_prefix(MAGIC).ok_or("it doesn't begin as GRUB's environment blocks do")?;
        let value = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let side = |name: &str| value(name).and_then(Side::parse);
        let offers = value("offers").and_then(|count| count.parse().ok()).unwrap_or(0);
        let good = side("good").ok_or("it doesn't say which bridge is good")?;
        Ok(State { good, next: side("next").unwrap_or(good), offers })
    }

    /// Reads the environment block at `path`.
    ///
    /// Returns [`Error::State`].
    pub fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        fs_err::File::open(path)?.take(SIZE as u64 + 1).read_to_end(&mut bytes)?;
        State::parse(&bytes).map_err(|problem| Error::State { path: path.to_owned(), problem })
    }

    /// Writes it over the block at `path`, in place: GRUB knows where it lies, and a power cut leaves the old or the new.
    ///
    /// Returns [`Error::Io`].
    pub fn write(self, path: &Path) -> Result<()> {
        let mut file = fs_err::OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&self.to_bytes())?;
        Ok(file.sync_all()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), State::new(Side::A).to_bytes()).unwrap();
        for (good, next, offers) in [(Side::A, Side::A, 0), (Side::A, Side::B, 1), (Side::B, Side::B, 255)] {
            let state = State { good, next, offers };
            state.write(file.path()).unwrap();
            assert_eq!(State::read(file.path()).unwrap(), state);
            assert_eq!(fs_err::metadata(file.path()).unwrap().len(), 1024);
            let bytes = state.to_bytes();
            assert!(bytes[512..].iter().all(|byte| *byte == b'#'), "all that counts is in one sector");
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let padded = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(SIZE, b'#');
            bytes
        };
        for (bytes, word) in [
            (Vec::new(), "1024 bytes"),
            (vec![0xff; SIZE], "no text"),
            (padded("good=a\n"), "begin"),
            (padded(MAGIC), "which bridge is good"),
            (padded(&format!("{MAGIC}good=c\n")), "which bridge is good"),
        ] {
            fs_err::write(file.path(), bytes).unwrap();
            let error = State::read(file.path()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        fs_err::write(file.path(), padded(&format!("{MAGIC}x=1\ngood=b\nnext=\n"))).unwrap();
        assert_eq!(State::read(file.path()).unwrap(), State::new(Side::B));
    }
}
