//! The bytes of the linker cache.
//!
//! Format `glibc-ld.so.cache1.1` of glibc 2.33 and later (`sysdeps/generic/dl-cache.h`), here
//! always little-endian: 20 bytes of magic, `u32` number of libraries, `u32` length of strings,
//! a flag byte (2: little-endian) with 3 bytes of padding, `u32` offset of the extensions, 12
//! bytes unused; per library `u32` flags, offset of the soname, offset of the path, 0, and a
//! `u64` of hardware capabilities; the strings; the extensions. Offsets count from the file's
//! start.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use crate::input::{c_str, le32, le64};
use crate::{Error, Result};

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const LITTLE_ENDIAN: u8 = 2;
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
const TAG_GENERATOR: u32 = 0;
const TAG_HWCAPS: u32 = 1;
/// Marks a capability word whose low half is an index into the names of hardware capabilities.
const HWCAPS_BIT: u64 = 1 << 62;
/// What `ldconfig -p` shows as the cache's origin.
const GENERATOR: &[u8] = b"twinhull for GNU libc 2.41";

/// One library in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdCacheEntry {
    /// The name that programs ask for.
    pub soname: String,
    /// The file that they get.
    pub path: String,
    /// Kind of library: 0x0303 for x86-64, 0x0a03 for AArch64, 0x1003 for RISC-V.
    pub flags: u32,
    /// The `glibc-hwcaps` subdirectory the file is for (`x86-64-v3`), or none for any processor.
    pub hwcaps: Option<String>,
}

/// glibc's order of library names, in which runs of digits compare as numbers. A digit sorts
/// after anything else at the same place.
pub(super) fn compare_names(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        match (left, right) {
            ([], []) => return Ordering::Equal,
            ([], _) => return Ordering::Less,
            ([l, ..], r) if l.is_ascii_digit() => {
                if !r.first().is_some_and(u8::is_ascii_digit) {
                    return Ordering::Greater;
                }
                let (l, r) = (number(&mut left), number(&mut right));
                match l.len().cmp(&r.len()).then_with(|| l.cmp(r)) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                }
            }
            (_, [r, ..]) if r.is_ascii_digit() => return Ordering::Less,
            (_, []) => return Ordering::Greater,
            ([l, l_rest @ ..], [r, r_rest @ ..]) => {
                if l != r {
                    return l.cmp(r);
                }
                (left, right) = (l_rest, r_rest);
            }
        }
    }
}

/// Takes a run of digits off the front and returns it without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len).unwrap_or((text, &[]));
    *text = rest;
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

/// The order of entries: names descending, flags descending, hardware capabilities first and
/// ascending.
fn compare(a: &LdCacheEntry, b: &LdCacheEntry) -> Ordering {
    compare_names(&b.soname, &a.soname)
        .then_with(|| b.flags.cmp(&a.flags))
        .then_with(|| b.hwcaps.is_some().cmp(&a.hwcaps.is_some()))
        .then_with(|| a.hwcaps.cmp(&b.hwcaps))
}

/// Writes a cache; entries that compare equal keep their order.
pub(super) fn write(entries: &[LdCacheEntry]) -> Result<Vec<u8>> {
    let mut sorted: Vec<&LdCacheEntry> = entries.iter().collect();
    sorted.sort_by(|a, b| compare(a, b));
    let hwcaps: BTreeSet<&str> = sorted.iter().filter_map(|e| e.hwcaps.as_deref()).collect();
    let mut texts: Vec<&str> = sorted.iter().flat_map(|e| [e.soname.as_str(), e.path.as_str()]).collect();
    texts.extend(&hwcaps);
    let (strings, offsets) = string_table(texts);
    let start = HEADER + sorted.len() * ENTRY;
    let offset = |text: &str| start + offsets.get(text).copied().unwrap_or(0);
    let mut out = Vec::with_capacity(start + strings.len() + 256);
    out.extend_from_slice(MAGIC);
    for number in [sorted.len(), strings.len()] {
        out.extend_from_slice(&word(number)?);
    }
    let extensions = (start + strings.len()).next_multiple_of(4);
    out.extend_from_slice(&[LITTLE_ENDIAN, 0, 0, 0]);
    out.extend_from_slice(&word(extensions)?);
    out.resize(HEADER, 0);
    for entry in sorted {
        out.extend_from_slice(&entry.flags.to_le_bytes());
        out.extend_from_slice(&word(offset(&entry.soname))?);
        out.extend_from_slice(&word(offset(&entry.path))?);
        out.extend_from_slice(&[0; 4]);
        let index = entry.hwcaps.as_deref().and_then(|name| hwcaps.iter().position(|h| *h == name));
        out.extend_from_slice(&index.map_or(0, |at| HWCAPS_BIT | at as u64).to_le_bytes());
    }
    out.extend_from_slice(&strings);
    out.resize(extensions, 0);
    let mut sections = vec![(TAG_GENERATOR, GENERATOR.to_vec())];
    if !hwcaps.is_empty() {
        let mut names = Vec::new();
        for name in &hwcaps {
            names.extend_from_slice(&word(offset(name))?);
        }
        sections.push((TAG_HWCAPS, names));
    }
    out.extend_from_slice(&EXTENSION_MAGIC.to_le_bytes());
    out.extend_from_slice(&word(sections.len())?);
    let mut at = extensions + 8 + 16 * sections.len();
    let mut tail = Vec::new();
    for (tag, body) in sections {
        tail.resize(tail.len().next_multiple_of(4), 0);
        at = at.next_multiple_of(4);
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&word(at)?);
        out.extend_from_slice(&word(body.len())?);
        at += body.len();
        tail.extend_from_slice(&body);
    }
    out.extend_from_slice(&tail);
    Ok(out)
}

/// Lays strings out so that one which ends another shares its bytes, as glibc does: sorted by
/// their last bytes descending, longer ones first.
fn string_table(mut texts: Vec<&str>) -> (Vec<u8>, HashMap<&str, usize>) {
    texts.sort_by(|a, b| {
        let (mut a, mut b) = (a.bytes().rev(), b.bytes().rev());
        loop {
            match (a.next(), b.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Greater,
                (Some(_), None) => return Ordering::Less,
                (Some(x), Some(y)) if x != y => return y.cmp(&x),
                _ => {}
            }
        }
    });
    texts.dedup();
    let mut strings = Vec::new();
    let mut offsets = HashMap::new();
    let mut previous: Option<(&str, usize)> = None;
    for text in texts {
        let offset = match previous {
            Some((longer, at)) if longer.ends_with(text) => at + longer.len() - text.len(),
            _ => {
                let at = strings.len();
                strings.extend_from_slice(text.as_bytes());
                strings.push(0);
                at
            }
        };
        offsets.insert(text, offset);
        previous = Some((text, offset));
    }
    (strings, offsets)
}

fn word(number: usize) -> Result<[u8; 4]> {
    u32::try_from(number).map(u32::to_le_bytes).map_err(|_| Error::DoesNotFit {
        database: "the linker cache",
        reason: "it would be larger than 4 GiB".into(),
    })
}

/// Reads a little-endian linker cache, entries in their order.
///
/// Returns [`Error::Damaged`] for other formats and for offsets that point outside.
pub fn parse_ld_cache(data: &[u8]) -> Result<Vec<LdCacheEntry>> {
    let damaged = |reason: &str| Error::Damaged { path: "the linker cache".into(), reason: reason.into() };
    if !data.starts_with(MAGIC) || data.get(28).is_none_or(|flags| !matches!(flags & 3, 0 | 2)) {
        return Err(damaged("it isn't a little-endian cache of format 1.1"));
    }
    let read = || {
        let field = |at| le32(data, at).and_then(|n| usize::try_from(n).ok());
        let names = hwcaps_names(data, field(32)?);
        let end = field(20)?.checked_mul(ENTRY)?.checked_add(HEADER)?;
        let text = |at: usize| Some(String::from_utf8_lossy(c_str(data, at)?).into_owned());
        let mut entries = Vec::new();
        for entry in data.get(HEADER..end)?.chunks_exact(ENTRY) {
            let capability = le64(entry, 16)?;
            let hwcaps = match capability & HWCAPS_BIT {
                0 => None,
                _ => Some(text(*names.get(usize::try_from(capability & 0xffff_ffff).ok()?)?)?),
            };
            entries.push(LdCacheEntry {
                soname: text(usize::try_from(le32(entry, 4)?).ok()?)?,
                path: text(usize::try_from(le32(entry, 8)?).ok()?)?,
                flags: le32(entry, 0)?,
                hwcaps,
            });
        }
        Some(entries)
    };
    read().ok_or_else(|| damaged("an entry points outside of the file"))
}

/// Offsets of the names of hardware capabilities.
fn hwcaps_names(data: &[u8], extensions: usize) -> Vec<usize> {
    let read = || {
        if extensions == 0 || le32(data, extensions)? != EXTENSION_MAGIC {
            return None;
        }
        let count = usize::try_from(le32(data, extensions.checked_add(4)?)?).ok()?;
        let table = data.get(extensions.checked_add(8)?..)?;
        let section = table.chunks_exact(16).take(count).find(|s| le32(s, 0) == Some(TAG_HWCAPS))?;
        let start = usize::try_from(le32(section, 8)?).ok()?;
        let end = start.checked_add(usize::try_from(le32(section, 12)?).ok()?)?;
        let names = data.get(start..end)?;
        names.chunks_exact(4).map(|n| usize::try_from(le32(n, 0)?).ok()).collect()
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(soname: &str, hwcaps: Option<&str>) -> LdCacheEntry {
        let path =
            format!("/lib/{}{soname}", hwcaps.map(|h| format!("glibc-hwcaps/{h}/")).unwrap_or_default());
        LdCacheEntry { soname: soname.into(), path, flags: 0x303, hwcaps: hwcaps.map(str::to_owned) }
    }

    #[test]
    fn names_compare_by_number() {
        for (left, right, expected) in [
            ("libx.so.9", "libx.so.10", Ordering::Less),
            ("libx.so.01", "libx.so.1", Ordering::Equal),
            ("libx1", "libxa", Ordering::Greater),
            ("libxa", "libx1", Ordering::Less),
            ("libx", "libx.so", Ordering::Less),
            ("libx1", "libx", Ordering::Greater),
            ("libx", "libx1", Ordering::Less),
            ("libB", "liba", Ordering::Less),
        ] {
            assert_eq!(compare_names(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn entries_come_back_sorted() {
        let v2 = entry("liba.so.1", Some("x86-64-v2"));
        let v3 = entry("liba.so.1", Some("x86-64-v3"));
        let (a, b) = (entry("liba.so.1", None), entry("libb.so.2", None));
        let data = write(&[a.clone(), v3.clone(), b.clone(), v2.clone()]).unwrap();
        assert_eq!(parse_ld_cache(&data).unwrap(), [b, v2, v3, a]);
    }

    proptest! {
        #[test]
        fn damage_never_panics(damage in proptest::collection::vec((0usize..400, any::<u8>()), 0..4), cut in 0usize..400) {
            let mut data = write(&[entry("liba.so.1", None), entry("liba.so.1", Some("x86-64-v2"))]).unwrap();
            for (at, byte) in damage {
                if let Some(b) = data.get_mut(at) { *b = byte; }
            }
            data.truncate(cut);
            let _ = parse_ld_cache(&data);
        }
    }
}
