//! Renews the bridge from a version that has proved to be good, with a way back.
//!
//! The bridge that the machine came up by stays as it is; the new one goes to the other side, is read back, and GRUB is told
//! to try it at the next start. If the machine comes up by it, it is the good one from then on; if not, the start after that
//! is by the old one again, and the new one has its next try later, [`TRIES`] in all.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use twinhull_kexec::Uki;

use crate::{Error, FOLDER, Result, Side, State};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The bridge is that of this version.
    Current,
    /// The bridge of this version will be tried at the next start.
    Staged(Side),
    /// It had all its tries and the machine didn't come up by it.
    Failed(Side),
}

/// Tries of a new bridge, as many as a version has.
const TRIES: u8 = 3;

/// Files of a bridge.
const FILES: [&str; 2] = ["linux", "initrd"];

/// Makes the bridge of the ESP mounted at `esp` that of the running version: the kernel of its UKI, and the initrd at
/// `initrd`. `booted` is the bridge that the machine came up by.
///
/// Returns [`Error::Io`] also when the ESP is full, [`Error::State`], [`Error::Damaged`] and [`Error::Kexec`]; the machine
/// still starts then as it did before.
pub fn update(esp: &Path, booted: Side, uki: &mut Uki, initrd: &Path) -> Result<Done> {
    let mut kernel = Vec::new();
    uki.kernel()?.read_to_end(&mut kernel)?;
    renew(esp, booted, &[kernel, fs_err::read(initrd)?])
}

/// [`update`] with the files of the bridge that is wanted.
fn renew(esp: &Path, booted: Side, wanted: &[Vec<u8>; 2]) -> Result<Done> {
    let folder = esp.join(FOLDER);
    let file = folder.join(State::FILE);
    let mut state = State::read(&file)?;
    if state.good != booted {
        state = State::new(booted);
        state.write(&file)?;
    }
    if holds(&folder, booted, wanted)? {
        return Ok(Done::Current);
    }
    let other = booted.other();
    if holds(&folder, other, wanted)? {
        if state.next == other {
            return Ok(Done::Staged(other));
        }
        if state.offers >= TRIES {
            return Ok(Done::Failed(other));
        }
    } else {
        // Neither half a bridge is started, nor are tries of another one counted for it.
        state = State::new(booted);
        state.write(&file)?;
        let written = write(&folder, other, wanted);
        if written.is_err() {
            // Room for updates is worth more than half a bridge.
            let _ = fs_err::remove_dir_all(folder.join(other.name()));
        }
        written?;
    }
    State { next: other, offers: state.offers + 1, ..state }.write(&file)?;
    Ok(Done::Staged(other))
}

/// Whether a side has these files.
fn holds(folder: &Path, side: Side, wanted: &[Vec<u8>; 2]) -> Result<bool> {
    for (path, content) in paths(folder, side).iter().zip(wanted) {
        let Ok(file) = fs_err::File::open(path) else { return Ok(false) };
        if file.metadata()?.len() != content.len() as u64 {
            return Ok(false);
        }
        let (mut reader, mut buffer) = (BufReader::new(file), vec![0; 256 << 10]);
        for chunk in content.chunks(buffer.len()) {
            reader.read_exact(&mut buffer[..chunk.len()])?;
            if buffer[..chunk.len()] != *chunk {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Writes files and reads them back from the medium.
fn write(folder: &Path, side: Side, wanted: &[Vec<u8>; 2]) -> Result<()> {
    fs_err::create_dir_all(folder.join(side.name()))?;
    for (path, content) in paths(folder, side).iter().zip(wanted) {
        fs_err::write(path, content)?;
        let file = fs_err::File::open(path)?;
        file.sync_all()?;
        // Only a hint: what is read next then comes from the medium.
        let _ = rustix::fs::fadvise(file.file(), 0, None, rustix::fs::Advice::DontNeed);
    }
    rustix::fs::syncfs(fs_err::File::open(folder)?.file()).map_err(std::io::Error::from)?;
    if holds(folder, side, wanted)? { Ok(()) } else { Err(Error::Damaged(folder.join(side.name()))) }
}

fn paths(folder: &Path, side: Side) -> [PathBuf; 2] {
    FILES.map(|name| folder.join(side.name()).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ESP with the bridge A, and what a version brings.
    struct Disk(tempfile::TempDir);

    impl Disk {
        fn new() -> Self {
            let disk = Disk(tempfile::tempdir().unwrap());
            fs_err::create_dir_all(disk.path("twinhull/a")).unwrap();
            fs_err::write(disk.path("twinhull/bridge.env"), State::new(Side::A).to_bytes()).unwrap();
            fs_err::write(disk.path("twinhull/a/linux"), "kernel 1").unwrap();
            fs_err::write(disk.path("twinhull/a/initrd"), "initrd 1").unwrap();
            disk
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn state(&self) -> State {
            State::read(&self.path("twinhull/bridge.env")).unwrap()
        }

        /// What GRUB does; returns what it starts.
        fn grub(&self) -> Side {
            let state = self.state();
            State { next: state.good, ..state }.write(&self.path("twinhull/bridge.env")).unwrap();
            state.next
        }

        fn update(&self, booted: Side, version: u32) -> Done {
            let [kernel, initrd] = ["kernel", "initrd"].map(|what| format!("{what} {version}").into_bytes());
            renew(self.0.path(), booted, &[kernel, initrd]).unwrap()
        }
    }

    #[test]
    fn a_bridge_that_works_becomes_the_good_one() {
        let disk = Disk::new();
        assert_eq!(disk.grub(), Side::A);
        assert_eq!(disk.update(Side::A, 1), Done::Current);
        assert_eq!(disk.update(Side::A, 2), Done::Staged(Side::B));
        assert_eq!(disk.update(Side::A, 2), Done::Staged(Side::B), "no start by GRUB since");
        assert_eq!(disk.grub(), Side::B);
        assert_eq!(disk.update(Side::B, 2), Done::Current);
        assert_eq!(disk.state(), State::new(Side::B));
        assert_eq!(disk.update(Side::B, 3), Done::Staged(Side::A));
        assert_eq!((disk.grub(), disk.grub()), (Side::A, Side::B), "one try");
    }

    #[test]
    fn a_bridge_that_does_not_work_is_given_up() {
        let disk = Disk::new();
        for _ in 0..TRIES {
            assert_eq!(disk.update(Side::A, 2), Done::Staged(Side::B));
            assert_eq!((disk.grub(), disk.grub()), (Side::B, Side::A), "one try at a time");
        }
        assert_eq!(disk.update(Side::A, 2), Done::Failed(Side::B));
        assert_eq!(disk.grub(), Side::A);
        assert_eq!(disk.update(Side::A, 2), Done::Failed(Side::B));
        assert_eq!(disk.update(Side::A, 3), Done::Staged(Side::B), "another one has a try of its own");
        assert_eq!(disk.grub(), Side::B);
    }

    #[test]
    fn a_half_written_bridge_is_written_again_and_never_started() {
        let disk = Disk::new();
        disk.update(Side::A, 2);
        // Version 3 comes, and the power fails while its bridge is written.
        let half = [b"kernel 3".to_vec(), b"initrd 3".to_vec()];
        State::new(Side::A).write(&disk.path("twinhull/bridge.env")).unwrap();
        fs_err::write(disk.path("twinhull/b/linux"), &half[0][..4]).unwrap();
        assert_eq!(disk.grub(), Side::A);
        assert_eq!(disk.update(Side::A, 3), Done::Staged(Side::B));
        assert_eq!(fs_err::read(disk.path("twinhull/b/linux")).unwrap(), half[0]);
        // It fails once more, after the files and before the state.
        State::new(Side::A).write(&disk.path("twinhull/bridge.env")).unwrap();
        assert_eq!(disk.update(Side::A, 3), Done::Staged(Side::B));
        assert_eq!(disk.state().offers, 1, "it had no try yet");
    }
}
