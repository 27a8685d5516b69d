//! Small images and disks, for tests.

use sha2::{Digest, Sha256};
use twinhull_disk::slot;
use twinhull_disk::table::{self, Partition, Table};
use twinhull_disk::types::{self, Arch};
use twinhull_fsimg::verity;
use uuid::Uuid;

use crate::sim::State;
use crate::{Esp, Image, Result, Update, sim::Machine};

pub(crate) const ARCH: Arch = Arch::X86_64;
const DATA_ROOM: u64 = 6 * 4096;
const TREE_ROOM: u64 = 3 * 4096;

/// An image with everything a release has.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) image: Image,
    pub(crate) data: Vec<u8>,
    pub(crate) tree: Vec<u8>,
    pub(crate) uki: Vec<u8>,
}

impl Release {
    /// A version of the image `box`; every version has other bytes, and a UKI of another length.
    pub(crate) fn new(version: &str) -> Self {
        let salt = Sha256::digest(version).to_vec();
        let data: Vec<u8> = (0..5 * 4096_usize).map(|n| salt[n % 32] ^ (n >> 7) as u8).collect();
        let temp = tempfile::NamedTempFile::new().unwrap();
        let len = data.len() as u64;
        fs_err::write(temp.path(), &data).unwrap();
        let options = verity::Options { uuid: [1; 16], salt };
        let root = verity::write(temp.as_file(), 0, len, len, &options).unwrap();
        let tree = fs_err::read(temp.path()).unwrap().split_off(data.len());
        let uki = format!("UKI of {version}, ").repeat(200).into_bytes();
        let image = Image {
            arch: ARCH,
            id: "box".into(),
            version: version.into(),
            root,
            data_len: len,
            uki_len: uki.len() as u64,
            uki_sha256: Sha256::digest(&uki).into(),
        };
        Release { image, data, tree, uki }
    }

    pub(crate) fn version(&self) -> &str {
        &self.image.version
    }
}

/// The partitions of a disk with two slots: partitions 2 and 3, and 4 and 5.
pub(crate) fn partitions(slots: [Option<&Release>; 2]) -> Vec<Partition> {
    let mut at = 40 * 512;
    let mut all = Vec::new();
    let mut add = |kind, uuid, size, label: String, flags| {
        let number = all.len() as u32 + 1;
        all.push(Partition { number, kind, uuid, offset: at, size, label, flags });
        at += size;
    };
    add(types::ESP, Uuid::from_u128(1), 4096, "esp".into(), 0);
    for (n, release) in (0..).zip(slots) {
        let (usr, verity) = (types::usr(ARCH), types::usr_verity(ARCH));
        match release {
            None => {
                let uuid = |role: u128| Uuid::from_u128(0xe0 + n * 2 + role);
                add(usr, uuid(0), DATA_ROOM, slot::EMPTY.into(), types::NO_AUTO);
                add(verity, uuid(1), TREE_ROOM, slot::EMPTY.into(), types::NO_AUTO);
            }
            Some(Release { image, .. }) => {
                let (data, tree) = slot::uuids(&image.root);
                let flags = types::NO_AUTO | types::READ_ONLY;
                add(usr, data, DATA_ROOM, slot::label(&image.id, &image.version), flags);
                add(verity, tree, TREE_ROOM, slot::verity_label(&image.id, &image.version), flags);
            }
        }
    }
    all
}

/// A disk with these partitions, its table written by the crate `gpt`.
pub(crate) fn disk(partitions: Vec<Partition>) -> Vec<u8> {
    let end = partitions.iter().map(|p| p.offset + p.size).max().unwrap_or(1 << 16);
    let temp = tempfile::NamedTempFile::new().unwrap();
    temp.as_file().set_len(end + 40 * 512).unwrap();
    table::write(&mut temp.reopen().unwrap(), &Table { uuid: Uuid::from_u128(0xd15c), partitions }).unwrap();
    fs_err::read(temp.path()).unwrap()
}

/// The table of a disk as the crate `gpt` reads it.
pub(crate) fn foreign_table(disk: &[u8]) -> Table {
    let temp = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(temp.path(), disk).unwrap();
    table::read(temp.path(), temp.as_file()).unwrap()
}

/// A machine with these slots, and the named boot files of versions.
pub(crate) fn state(slots: [Option<&Release>; 2], files: &[(&str, &Release)]) -> State {
    let partitions = partitions(slots);
    let mut disk = disk(partitions.clone());
    for (n, release) in slots.into_iter().enumerate() {
        let Some(release) = release else { continue };
        for (part, bytes) in [(1, &release.data), (2, &release.tree)] {
            let at = partitions[2 * n + part].offset as usize;
            disk[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
    let mut state = State { disk, ..State::default() };
    files.iter().for_each(|(name, release)| state.put(name, &release.uki));
    state
}

/// Updates a machine that runs `from`, as an agent would: what is in the slot already is kept.
pub(crate) fn update(machine: &Machine, from: &Release, to: &Release) -> Result<()> {
    update_with(machine, machine, from, to)
}

/// As [`update`], with another disk or ESP.
pub(crate) fn update_with(
    device: &impl crate::Device,
    esp: &impl Esp,
    from: &Release,
    to: &Release,
) -> Result<()> {
    let update = Update::begin(device, esp, &to.image, &from.image.root)?;
    let writer = update.writer();
    if writer.verify().is_err() {
        let mut there = vec![0; 8192];
        for (offset, piece) in (0..).step_by(8192).zip(to.data.chunks(8192)) {
            writer.read_data(&mut there[..piece.len()], offset)?;
            if there[..piece.len()] != *piece {
                writer.write_data(piece, offset)?;
            }
        }
        writer.write_tree(&to.tree, 0)?;
    }
    update.finish(&mut &to.uki[..]).map(drop)
}
