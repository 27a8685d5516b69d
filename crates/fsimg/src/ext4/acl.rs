//! POSIX ACLs: programs and archives have them as version 2, ext4 as version 1, which is shorter.

const VERSION_OUTSIDE: u32 = 2;
const VERSION_ON_DISK: u32 = 1;
/// An entry's tag and permissions, and with the user or group it is about.
const SHORT: usize = 4;
const LONG: usize = 8;
/// Tags whose entries name a user or a group.
const USER: u16 = 0x02;
const GROUP: u16 = 0x08;
/// User or group of an entry that names none.
const NOBODY: u32 = u32::MAX;

/// The value that ext4 has for the attribute's `value`; `None` when that is no ACL.
pub(super) fn to_disk(value: &[u8]) -> Option<Vec<u8>> {
    let entries = value.strip_prefix(&VERSION_OUTSIDE.to_le_bytes())?;
    let mut out = VERSION_ON_DISK.to_le_bytes().to_vec();
    for entry in entries.chunks(LONG) {
        let entry: &[u8; LONG] = entry.try_into().ok()?;
        out.extend(&entry[..if is_long(entry) { LONG } else { SHORT }]);
    }
    Some(out)
}

/// The attribute's value for the value that ext4 has; `None` when that is no ACL.
pub(super) fn from_disk(value: &[u8]) -> Option<Vec<u8>> {
    let mut rest = value.strip_prefix(&VERSION_ON_DISK.to_le_bytes())?;
    let mut out = VERSION_OUTSIDE.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let (entry, behind) = rest.split_at_checked(if is_long(rest.get(..2)?) { LONG } else { SHORT })?;
        out.extend(entry);
        if entry.len() == SHORT {
            out.extend(NOBODY.to_le_bytes());
        }
        rest = behind;
    }
    Some(out)
}

fn is_long(entry: &[u8]) -> bool {
    matches!(u16::from_le_bytes([entry[0], entry[1]]), USER | GROUP)
}
