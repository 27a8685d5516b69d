//! Inodes as bytes.

use twinhull_tree::{DeviceNumber, Node, Timestamp};

use super::checksum::crc;
use crate::error::unsupported;
use crate::{Result, unix};

/// Bytes of an inode.
pub(super) const SIZE: usize = 256;
/// Bytes of an inode for extents, a short link's target or a device's number.
pub(super) const MAP: usize = 60;
/// Where an inode's attributes begin: behind the times' nanoseconds and the time of creation.
pub(super) const ATTRIBUTES: usize = 128 + EXTRA;
/// Bytes of fields behind the first 128.
pub(super) const EXTRA: usize = 32;

/// The data is in extents.
pub(super) const EXTENTS: u32 = 0x8_0000;
/// The directory has an index.
pub(super) const INDEXED: u32 = 0x1000;

/// The fields of an inode that its node doesn't know.
#[derive(Debug)]
pub(super) struct Facts {
    /// Bytes of data.
    pub(super) size: u64,
    /// Number of names.
    pub(super) links: u16,
    /// Blocks of data, attributes and extents.
    pub(super) blocks: u64,
    pub(super) flags: u32,
    /// Where the data is.
    pub(super) map: [u8; MAP],
    /// Block with further attributes, or 0.
    pub(super) attribute_block: u32,
    /// Attributes in the inode; empty when there are none.
    pub(super) attributes: Vec<u8>,
}

/// `struct ext4_inode` and what is behind it. `seed` is the inode's checksum.
pub(super) fn encode(node: &Node, facts: &Facts, seed: u32) -> [u8; SIZE] {
    let meta = &node.meta;
    let mut out = [0; SIZE];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    let halves = |n: u32| ((n as u16).to_le_bytes(), ((n >> 16) as u16).to_le_bytes());
    let (seconds, more) = time(meta.mtime);
    let (uid, uid_high) = halves(meta.uid);
    let (gid, gid_high) = halves(meta.gid);
    // In units of 512 bytes.
    let sectors = facts.blocks * 8;
    put(0x00, &(unix::types(&node.kind).0 | meta.mode & 0o7777).to_le_bytes());
    put(0x02, &uid);
    put(0x04, &(facts.size as u32).to_le_bytes());
    // The tree has one time only; access, change, modification, creation.
    for at in [0x08, 0x0c, 0x10, 0x90] {
        put(at, &seconds);
    }
    put(0x18, &gid);
    put(0x1a, &facts.links.to_le_bytes());
    put(0x1c, &(sectors as u32).to_le_bytes());
    put(0x20, &facts.flags.to_le_bytes());
    put(0x28, &facts.map);
    put(0x68, &facts.attribute_block.to_le_bytes());
    put(0x6c, &((facts.size >> 32) as u32).to_le_bytes());
    put(0x74, &((sectors >> 32) as u16).to_le_bytes());
    put(0x78, &uid_high);
    put(0x7a, &gid_high);
    put(0x80, &(EXTRA as u16).to_le_bytes());
    for at in [0x84, 0x88, 0x8c, 0x94] {
        put(at, &more);
    }
    put(ATTRIBUTES, &facts.attributes);
    let (low, high) = halves(crc(seed, &out));
    out[0x7c..0x7e].copy_from_slice(&low);
    out[0x82..0x84].copy_from_slice(&high);
    out
}

/// Seconds since 1970 as 32 bits, and a word of two more bits and the nanoseconds.
fn time(time: Timestamp) -> ([u8; 4], [u8; 4]) {
    let first = i64::from(i32::MIN);
    let secs = time.secs.clamp(first, first + (1 << 34) - 1);
    let low = secs as i32;
    let epoch = ((secs - i64::from(low)) >> 32) as u32;
    (low.to_le_bytes(), (epoch | time.nanos << 2).to_le_bytes())
}

/// A device's number: small ones as they always were, others as `new_encode_dev` packs them.
pub(super) fn device_map(path: &[u8], device: DeviceNumber) -> Result<[u8; MAP]> {
    let DeviceNumber { major, minor } = device;
    if major > 0xfff || minor > 0xf_ffff {
        return Err(unsupported(path, format!("there is no device number {major}:{minor} in Linux")));
    }
    let mut map = [0; MAP];
    if major < 256 && minor < 256 {
        map[..4].copy_from_slice(&(major << 8 | minor).to_le_bytes());
    } else {
        map[4..8].copy_from_slice(&unix::encode_device(device).to_le_bytes());
    }
    Ok(map)
}

/// The target of a symbolic link that is shorter than the map.
pub(super) fn target_map(target: &[u8]) -> [u8; MAP] {
    let mut map = [0; MAP];
    map[..target.len()].copy_from_slice(target);
    map
}
