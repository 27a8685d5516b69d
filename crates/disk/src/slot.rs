//! A slot's labels and partition UUIDs.
//!
//! The running pair is found by its root hash alone: the data partition's UUID is the first half of the
//! hash, the hash tree's the second (systemd-veritysetup-generator(8), `usrhash=`). Labels are for people
//! and for systemd-sysupdate.

use uuid::Uuid;

/// Label of a partition whose slot is free.
pub const EMPTY: &str = "_empty";

/// Longest GPT label in UTF-16 units.
pub const LABEL_MAX: usize = 36;

/// Label of a slot's data partition: `NAME_VERSION`.
pub fn label(id: &str, version: &str) -> String {
    format!("{id}_{version}")
}

/// Label of a slot's hash-tree partition: `NAME_VERSION_verity`.
pub fn verity_label(id: &str, version: &str) -> String {
    format!("{id}_{version}_verity")
}

/// Splits `NAME_VERSION`; `None` when it isn't one.
pub fn parse_label(label: &str) -> Option<(&str, &str)> {
    label
        .split_once('_')
        .filter(|(id, version)| !id.is_empty() && !version.is_empty() && !version.contains('_'))
}

/// UUIDs of the data and the hash-tree partition of a root hash.
pub fn uuids(root: &[u8; 32]) -> (Uuid, Uuid) {
    let mut halves = [[0; 16]; 2];
    halves[0].copy_from_slice(&root[..16]);
    halves[1].copy_from_slice(&root[16..]);
    (Uuid::from_bytes(halves[0]), Uuid::from_bytes(halves[1]))
}

/// The root hash that two partition UUIDs stand for.
pub fn root_hash(data: Uuid, verity: Uuid) -> [u8; 32] {
    let mut root = [0; 32];
    root[..16].copy_from_slice(data.as_bytes());
    root[16..].copy_from_slice(verity.as_bytes());
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        let root: [u8; 32] = std::array::from_fn(|n| n as u8);
        let (data, verity) = uuids(&root);
        assert_eq!(data.to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(root_hash(data, verity), root);
        assert_eq!(parse_label(&label("box", "1.2")), Some(("box", "1.2")));
        for bad in [EMPTY, "box", "box_", "box_1_verity"] {
            assert_eq!(parse_label(bad), None, "{bad}");
        }
    }
}
