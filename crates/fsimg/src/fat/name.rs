//! Long names, their 8.3 aliases, and times, as FAT stores them.

use std::collections::HashSet;

use crate::{Error, Result};

pub(super) const ATTR_VOLUME: u8 = 0x08;
pub(super) const ATTR_DIRECTORY: u8 = 0x10;
pub(super) const ATTR_ARCHIVE: u8 = 0x20;
const ATTR_LONG_NAME: u8 = 0x0F;

/// A name as directory slots: the long-name slots in disk order, and the 8.3 alias.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) long: Vec<[u8; 32]>,
    pub(super) short: [u8; 11],
}

/// Refuses what FAT can't hold in any component of `path`.
pub(super) fn check(path: &str) -> Result<()> {
    for part in path.split('/') {
        let bad = part.chars().find(|c| *c < ' ' || "\"*:<>?\\|".contains(*c));
        let reason = match bad {
            Some(c) => format!("FAT does not allow {c:?} in a name"),
            None if part.is_empty() || part == "." || part == ".." => {
                "empty and dot names are not allowed".into()
            }
            None if part.ends_with(['.', ' ']) => "FAT drops a dot or blank at the end of a name".into(),
            None if part.encode_utf16().count() > 255 => "the name is longer than 255 characters".into(),
            None => continue,
        };
        return Err(Error::Unsupported { path: path.to_owned(), reason });
    }
    Ok(())
}

/// Encodes the names of one directory, in order, with aliases that differ from each other.
pub(super) fn encode_all(names: &[&str]) -> Result<Vec<Encoded>> {
    let mut folded = HashSet::new();
    let mut taken: HashSet<[u8; 11]> = names.iter().filter_map(|n| plain_short(n)).collect();
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        if !folded.insert(name.to_lowercase()) {
            return Err(Error::Unsupported {
                path: (*name).to_owned(),
                reason: "FAT does not tell upper from lower case, and the folder has this name already"
                    .into(),
            });
        }
        if let Some(short) = plain_short(name) {
            all.push(Encoded { long: Vec::new(), short });
            continue;
        }
        let short = alias(name, &taken)?;
        taken.insert(short);
        all.push(Encoded { long: long_slots(name, &short), short });
    }
    Ok(all)
}

/// The volume label in eleven bytes.
pub(super) fn label(text: &str) -> Result<[u8; 11]> {
    let ok = text.len() <= 11
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"_- ".contains(&b));
    if !ok {
        return Err(Error::BadSize(format!(
            "{text:?} is no FAT label: at most 11 upper-case letters or digits"
        )));
    }
    let mut out = [b' '; 11];
    out[..text.len()].copy_from_slice(text.as_bytes());
    Ok(out)
}

fn short_char(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || "!#$%&'()-@^_`{}~".contains(c)
}

/// The 8.3 form of a name that is one already.
fn plain_short(name: &str) -> Option<[u8; 11]> {
    let (base, ext) = name.split_once('.').unwrap_or((name, ""));
    let ok = (1..=8).contains(&base.len())
        && ext.len() <= 3
        && !(ext.is_empty() && name.contains('.'))
        && base.chars().chain(ext.chars()).all(short_char);
    if !ok {
        return None;
    }
    let mut out = [b' '; 11];
    out[..base.len()].copy_from_slice(base.as_bytes());
    out[8..8 + ext.len()].copy_from_slice(ext.as_bytes());
    Some(out)
}

/// `BASE~N.EXT` with the smallest number that is free.
fn alias(name: &str, taken: &HashSet<[u8; 11]>) -> Result<[u8; 11]> {
    let clean = |text: &str, max: usize| -> Vec<u8> {
        let upper = text.chars().filter(|c| *c != ' ' && *c != '.').map(|c| c.to_ascii_uppercase());
        upper.map(|c| if short_char(c) { c as u8 } else { b'_' }).take(max).collect()
    };
    let (base, ext) = name.rsplit_once('.').filter(|(b, _)| !b.is_empty()).unwrap_or((name, ""));
    let (base, ext) = (clean(base, 8), clean(ext, 3));
    for number in 1..1_000_000 {
        let tail = format!("~{number}");
        let keep = base.len().min(8 - tail.len());
        let mut out = [b' '; 11];
        out[..keep].copy_from_slice(&base[..keep]);
        out[keep..keep + tail.len()].copy_from_slice(tail.as_bytes());
        out[8..8 + ext.len()].copy_from_slice(&ext);
        if !taken.contains(&out) {
            return Ok(out);
        }
    }
    Err(Error::Unsupported { path: name.to_owned(), reason: "no 8.3 alias is left in its folder".into() })
}

fn long_slots(name: &str, short: &[u8; 11]) -> Vec<[u8; 32]> {
    let checksum = short.iter().fold(0_u8, |sum, b| sum.rotate_right(1).wrapping_add(*b));
    let mut units: Vec<u16> = name.encode_utf16().collect();
    if !units.len().is_multiple_of(13) {
        units.push(0);
        units.resize(units.len().next_multiple_of(13), 0xFFFF);
    }
    let count = units.len() / 13;
    let mut slots = Vec::with_capacity(count);
    for (index, part) in units.chunks(13).enumerate().rev() {
        let mut slot = [0; 32];
        slot[0] = (index + 1) as u8 | if index + 1 == count { 0x40 } else { 0 };
        slot[11] = ATTR_LONG_NAME;
        slot[13] = checksum;
        let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
        for (at, unit) in places.zip(part) {
            slot[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        slots.push(slot);
    }
    slots
}

/// DOS date and time of a UNIX time, from 1980 to 2107, in UTC.
pub(super) fn dos_time(secs: u64) -> (u16, u16) {
    const FIRST: u64 = 315_532_800; // 1980-01-01
    const LAST: u64 = 4_354_819_198; // 2107-12-31 23:59:58
    let secs = secs.clamp(FIRST, LAST);
    let (days, rest) = (secs / 86_400, secs % 86_400);
    // Civil date from days since 1970, counting years from March.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let date = (year - 1980) << 9 | month << 5 | day;
    let time = (rest / 3600) << 11 | (rest / 60 % 60) << 5 | (rest % 60 / 2);
    (date as u16, time as u16)
}

/// The UNIX time of a date and a time of day in UTC: what [`dos_time`] makes a FAT's time of.
pub(super) fn unix_time((year, month, day): (u16, u16, u16), (hour, minute, second): (u16, u16, u16)) -> u64 {
    let (month, day) = (u64::from(month).clamp(1, 12), u64::from(day).max(1));
    // Years and months from March, so that the day that is sometimes there comes last.
    let year = u64::from(year) - u64::from(month <= 2);
    let (era, yoe, mp) = (year / 400, year % 400, (month + 9) % 12);
    let doy = (153 * mp + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    days * 86_400 + u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_differ() {
        let names = ["box_1.efi", "box_2.efi", "BOX_1~1.EFI", "boxer_long_name.efi", "EFI", "loader"];
        let all = encode_all(&names).unwrap();
        let shorts: HashSet<_> = all.iter().map(|e| e.short).collect();
        assert_eq!(shorts.len(), names.len());
        assert!(all[4].long.is_empty() && !all[5].long.is_empty());
        assert!(encode_all(&["a", "A"]).is_err());
    }

    #[test]
    fn times() {
        let civil = |y: u16, m: u16, d: u16| (y - 1980) << 9 | m << 5 | d;
        for (secs, date, time) in [
            (0, civil(1980, 1, 1), 0),
            (951_782_400, civil(2000, 2, 29), 0),
            (1_700_000_000, civil(2023, 11, 14), 22 << 11 | 13 << 5 | 10),
            (u64::MAX, civil(2107, 12, 31), 23 << 11 | 59 << 5 | 29),
        ] {
            assert_eq!(dos_time(secs), (date, time), "{secs}");
            let (date, time) = dos_time(secs);
            let read = unix_time(
                (1980 + (date >> 9), date >> 5 & 15, date & 31),
                (time >> 11, time >> 5 & 63, (time & 31) * 2),
            );
            assert_eq!(dos_time(read), (date, time), "{secs}");
        }
    }

    #[test]
    fn bad_names() {
        for path in ["a:b", "a//b", "a.", "x\u{1}", "..", "q?"] {
            assert!(check(path).is_err(), "{path:?}");
        }
        assert!(check("EFI/Linux/box_1+3.efi").is_ok());
    }
}
