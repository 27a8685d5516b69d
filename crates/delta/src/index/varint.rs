//! Numbers of seven bits a byte, the low ones first, as LEB128 has them.

use crate::{Error, Result};

/// Appends `value`.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front of `bytes`; only its shortest form is one.
pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Error::BadIndex("it ends inside of a number"))?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let shortest = *byte != 0 || shift == 0;
            return if shortest { Ok(value) } else { Err(Error::BadIndex("a number has leading zeros")) };
        }
    }
    Err(Error::BadIndex("a number is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_nonsense_doesnt() {
        for value in [0, 1, 127, 128, 4096, 65_536, u64::from(u32::MAX), u64::MAX >> 1] {
            let mut out = Vec::new();
            put(&mut out, value);
            let mut rest = out.as_slice();
            assert_eq!((take(&mut rest).unwrap(), rest.len()), (value, 0));
        }
        for bad in [&[][..], &[0x80], &[0x80, 0], &[0xff; 12]] {
            assert!(take(&mut &*bad).is_err(), "{bad:?}");
        }
    }
}
