//! What EROFS took over from ext4 and both share: type bits, device numbers, name spaces of attributes.

use twinhull_tree::{DeviceNumber, Kind};

use crate::Result;
use crate::error::unsupported;

/// Name spaces of extended attributes with their numbers; the first that fits counts.
const NAME_SPACES: [(&[u8], u8); 5] = [
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"user.", 1),
    (b"trusted.", 4),
    (b"security.", 6),
];

/// File type bits and directory entry type of a kind.
pub(crate) fn types(kind: &Kind) -> (u16, u8) {
    match kind {
        Kind::File(_) => (0o100_000, 1),
        Kind::Directory(_) => (0o040_000, 2),
        Kind::CharDevice(_) => (0o020_000, 3),
        Kind::BlockDevice(_) => (0o060_000, 4),
        Kind::Fifo => (0o010_000, 5),
        Kind::Socket => (0o140_000, 6),
        Kind::Symlink(_) => (0o120_000, 7),
    }
}

/// A device number as the kernel's `new_encode_dev` packs it.
pub(crate) fn encode_device(device: DeviceNumber) -> u32 {
    (device.minor & 0xff) | (device.major & 0xfff) << 8 | (device.minor & !0xff) << 12
}

/// A device number as the kernel's `new_decode_dev` unpacks it.
pub(crate) fn decode_device(packed: u32) -> DeviceNumber {
    DeviceNumber { major: packed >> 8 & 0xfff, minor: packed & 0xff | packed >> 12 & 0xf_ff00 }
}

/// The rest of an attribute's `name` behind its name space, and that one's number.
///
/// Returns [`crate::Error::Unsupported`] for an attribute of the file at `path` that `format` can't name.
pub(crate) fn split_attribute<'a>(path: &[u8], name: &'a [u8], format: &str) -> Result<(&'a [u8], u8)> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    let (suffix, number) = NAME_SPACES
        .iter()
        .find_map(|(space, number)| Some((name.strip_prefix(*space)?, *number)))
        .ok_or_else(|| {
            unsupported(path, format!("{format} has no name space for the attribute {}", shown()))
        })?;
    if suffix.len() > usize::from(u8::MAX) {
        return Err(unsupported(path, format!("the attribute name {} is too long", shown())));
    }
    Ok((suffix, number))
}

/// The full name of an attribute; `None` for a name space nobody writes into an image.
pub(crate) fn join_attribute(number: u8, suffix: &[u8]) -> Option<Vec<u8>> {
    let (space, _) = NAME_SPACES.iter().find(|(_, n)| *n == number)?;
    Some([space, suffix].concat())
}
