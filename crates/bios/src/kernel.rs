//! Loads kernel.img, an ELF program, as it would lie in memory.

use crate::{Error, Result};

/// Where GRUB's kernel is linked to.
const LINK: u32 = 0x9000;
/// Most bytes of it.
const MOST: usize = 1 << 20;

/// The bytes from [`LINK`] on that the file has, without what is only zeros.
pub(crate) fn load(elf: &[u8]) -> Result<Vec<u8>> {
    let wrong = |problem| Error::Stock { name: "kernel.img", problem };
    let half = |at: usize| elf.get(at..at.checked_add(2)?).map(|b| u16::from_le_bytes([b[0], b[1]]));
    let word =
        |at: usize| elf.get(at..at.checked_add(4)?).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let head = elf.get(..52).ok_or(wrong("it is too short"))?;
    // ELF, 32 bits, little endian; EXEC, for i386.
    if !head.starts_with(b"\x7fELF\x01\x01") || half(16) != Some(2) || half(18) != Some(3) {
        return Err(wrong("it is no ELF program for i386"));
    }
    if word(24) != Some(LINK) {
        return Err(wrong("it starts at another address than 0x9000"));
    }
    let (table, size, count) = (word(28), half(42), half(44));
    let (Some(table), Some(size), Some(count)) = (table, size, count) else {
        return Err(wrong("it is too short"));
    };
    let mut out = Vec::new();
    for n in 0..usize::from(count) {
        let at = (table as usize).saturating_add(n * usize::from(size));
        let field = |offset: usize| word(at.checked_add(offset)?);
        let (Some(kind), Some(offset), Some(address), Some(length)) =
            (field(0), field(4), field(8), field(16))
        else {
            return Err(wrong("its program headers are cut off"));
        };
        // PT_LOAD
        if kind != 1 || length == 0 {
            continue;
        }
        let (offset, length) = (offset as usize, length as usize);
        let bytes = offset.checked_add(length).and_then(|end| elf.get(offset..end));
        let bytes = bytes.ok_or(wrong("a segment is cut off"))?;
        let start = address.checked_sub(LINK).ok_or(wrong("a segment is below 0x9000"))? as usize;
        if start + length > MOST {
            return Err(wrong("it is larger than 1 MiB"));
        }
        if out.len() < start + length {
            out.resize(start + length, 0);
        }
        out[start..start + length].copy_from_slice(bytes);
    }
    if out.is_empty() { Err(wrong("it has nothing to load")) } else { Ok(out) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A program with one segment.
    pub(crate) fn elf(segment: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 84];
        out[..6].copy_from_slice(b"\x7fELF\x01\x01");
        let mut put = |at: usize, value: u32| out[at..at + 4].copy_from_slice(&value.to_le_bytes());
        put(16, 2 | 3 << 16);
        put(24, LINK);
        put(28, 52);
        // Size and number of program headers.
        put(42, 32 | 1 << 16);
        put(52, 1);
        put(56, 84);
        put(60, LINK);
        put(68, u32::try_from(segment.len()).unwrap());
        out.extend(segment);
        out
    }

    #[test]
    fn segments_lie_where_they_are_linked_to() {
        assert_eq!(load(&elf(b"abc")).unwrap(), b"abc");
        let mut later = elf(b"abc");
        later[60..64].copy_from_slice(&(LINK + 2).to_le_bytes());
        assert_eq!(load(&later).unwrap(), b"\0\0abc");
    }

    #[test]
    fn other_files_are_refused() {
        let good = elf(b"abc");
        for (at, value, word) in [
            (0, 0, "no ELF"),
            (18, 62, "no ELF"),
            (25, 0xff, "another address"),
            (28, 0xff, "cut off"),
            (56, 0xff, "a segment is cut off"),
            (61, 0x10, "below 0x9000"),
            (63, 0x10, "larger than 1 MiB"),
            (44, 0, "nothing to load"),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            let problem = load(&bad).unwrap_err().to_string();
            assert!(problem.contains(word), "{at}: {problem}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), real in proptest::prelude::any::<bool>()) {
            if real {
                let good = elf(b"kernel");
                let head = bytes.len().min(28);
                bytes[..head].copy_from_slice(&good[..head]);
            }
            let _ = load(&bytes);
        }
    }
}
