//! What the first sectors of a disk say of it: enough to know a disk from something else, and how long it is, before the
//! old one is touched.

/// Where the header of the partition table is.
const HEADER: usize = 512;

/// Length in bytes of the disk whose first sectors are `head`, by its GUID partition table.
///
/// Returns what is wrong as a sentence.
pub(crate) fn disk_length(head: &[u8]) -> Result<u64, String> {
    if head.get(4096..4104) == Some(b"EFI PART") {
        return Err("it is for a disk with sectors of 4096 bytes, and images are for 512".into());
    }
    let header = head.get(HEADER..2 * HEADER).filter(|header| header.starts_with(b"EFI PART"));
    let Some(header) = header else {
        return Err("there is no GUID partition table at its start; is it the image of a partition?".into());
    };
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = word(12) as usize;
    let sound = (92..=HEADER).contains(&length) && {
        let mut bytes = header[..length].to_vec();
        bytes[16..20].fill(0);
        crc32fast::hash(&bytes) == word(16)
    };
    if !sound {
        return Err("the checksum of its partition table is wrong".into());
    }
    let backup = u64::from(word(32)) | u64::from(word(36)) << 32;
    let length = backup.checked_add(1).and_then(|sectors| sectors.checked_mul(512));
    length
        .filter(|length| (4 << 20..=1 << 46).contains(length))
        .ok_or_else(|| format!("its partition table is for {backup} sectors, and a disk has 4 MiB to 64 TiB"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The first sectors of a disk of `length` bytes.
    pub(crate) fn head(length: u64) -> Vec<u8> {
        let mut head = vec![0; 1 << 20];
        head[510..512].copy_from_slice(&[0x55, 0xaa]);
        let header = &mut head[HEADER..2 * HEADER];
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&92_u32.to_le_bytes());
        header[32..40].copy_from_slice(&(length / 512 - 1).to_le_bytes());
        let sum = crc32fast::hash(&header[..92]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        head
    }

    #[test]
    fn only_a_sound_table_says_how_long_the_disk_is() {
        assert_eq!(disk_length(&head(8 << 30)).unwrap(), 8 << 30);
        let changed = |at: usize, byte: u8| {
            let mut head = head(8 << 30);
            head[at] = byte;
            disk_length(&head).unwrap_err()
        };
        let mut large = vec![0; 8192];
        large[4096..4104].copy_from_slice(b"EFI PART");
        for (error, word) in [
            (disk_length(&[]).unwrap_err(), "no GUID"),
            (disk_length(&[0; 4096]).unwrap_err(), "no GUID"),
            (changed(512, b'e'), "no GUID"),
            (changed(512 + 40, 1), "checksum"),
            (changed(512 + 13, 200), "checksum"),
            (disk_length(&large).unwrap_err(), "4096"),
            (disk_length(&head(1 << 20)).unwrap_err(), "4 MiB"),
        ] {
            assert!(error.contains(word), "{error}");
        }
    }
}
