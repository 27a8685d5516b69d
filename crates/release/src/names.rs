//! Names of the files in a release folder. They are made from validated parts, never taken from a document: no
//! document can name a file outside the folder.

use twinhull_disk::slot;

use crate::key::from_hex;

/// Longest image name, version or channel in bytes.
const MAX: usize = 64;

/// Whether `text` can be an image's name: lower-case letters, digits, `-` and `.`, beginning with a letter or digit.
pub fn is_image(text: &str) -> bool {
    let byte = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    (1..=MAX).contains(&text.len())
        && text.bytes().all(byte)
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && !text.contains("..")
}

/// Whether `text` can be a channel's name: as for images, without `.`.
pub fn is_channel(text: &str) -> bool {
    is_image(text) && !text.contains('.')
}

/// Whether `text` can be a version: letters, digits and `.~^-`, beginning with a letter or digit. `_` and `+` are
/// what stands behind a version in file names.
pub fn is_version(text: &str) -> bool {
    let byte = |c: u8| c.is_ascii_alphanumeric() || b".~^-".contains(&c);
    (1..=MAX).contains(&text.len())
        && text.bytes().all(byte)
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && !text.contains("..")
}

/// Whether `text` is a SHA-256 digest in lower-case hexadecimal.
pub fn is_digest(text: &str) -> bool {
    parse_digest(text).is_some()
}

/// The bytes of a SHA-256 digest in lower-case hexadecimal.
pub fn parse_digest(text: &str) -> Option<[u8; 32]> {
    from_hex(text)
}

/// Version `n` of the root.
pub fn root(n: u64) -> String {
    format!("{n}.root.json")
}

/// A channel's pointer.
pub fn channel(channel: &str) -> String {
    format!("{channel}.channel.json")
}

/// The document of a release.
pub fn release(image: &str, version: &str) -> String {
    format!("{image}_{version}.release.json")
}

/// The usr image; systemd-sysupdate takes the partition's UUID from the name (`@u`).
///
/// `root_hash` is 64 hexadecimal digits.
pub fn usr(image: &str, version: &str, root_hash: &str) -> String {
    format!("{image}_{version}_{}.usr", uuids(root_hash).0)
}

/// The hash tree, named as [`usr`].
pub fn verity(image: &str, version: &str, root_hash: &str) -> String {
    format!("{image}_{version}_{}.verity", uuids(root_hash).1)
}

/// The UKI.
pub fn uki(image: &str, version: &str) -> String {
    format!("{image}_{version}.efi")
}

/// The index of the file `name`.
pub fn index(name: &str) -> String {
    format!("{name}.index")
}

/// Patches from the version `from`.
pub fn patches(image: &str, version: &str, from: &str) -> String {
    format!("{image}_{version}_{from}.patches")
}

/// What systemd-sysupdate reads to find versions.
pub const SUMS: &str = "SHA256SUMS";

fn uuids(root_hash: &str) -> (String, String) {
    // Anything but a root hash gives the UUIDs of an empty slot, which no file is called after.
    let (data, tree) = slot::uuids(&from_hex(root_hash).unwrap_or_default());
    (data.to_string(), tree.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_folder() {
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a/b",
            "../a",
            "/a",
            "a\0",
            "a b",
            "a\n",
            "A",
            "-a",
            "é",
            &"a".repeat(65),
        ] {
            assert!(!is_image(bad) && !is_channel(bad), "{bad:?}");
        }
        for bad in ["", ".", "..", "1/2", "1\0", "1_2", "1+3", "~1", "1..2", "-1", "é"] {
            assert!(!is_version(bad), "{bad:?}");
        }
        assert!(
            is_image("web-1.x") && is_channel("a-1") && !is_channel("a.b") && is_version("2026.11~rc1-2^a")
        );
        let hash: String = (0..32).map(|n| format!("{n:02x}")).collect();
        assert_eq!(usr("box", "1.0", &hash), "box_1.0_00010203-0405-0607-0809-0a0b0c0d0e0f.usr");
        assert_eq!(verity("box", "1.0", &hash), "box_1.0_10111213-1415-1617-1819-1a1b1c1d1e1f.verity");
    }
}
