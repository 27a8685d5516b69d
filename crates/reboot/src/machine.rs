//! The machine's identity towards others: derived from the machine id, never the machine id itself.
//!
//! systemd asks for this (machine-id(5)): the machine id is confidential, and applications hash it with a key of
//! their own. The same hash as `sd_id128_get_machine_app_specific()`, so that people can compute it with
//! `systemd-id128 -a`.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};

use crate::{Error, Result};

/// What Twinhull's identities are for; printed by `systemd-id128 new` once and never changed, as every holder of a
/// lock and every place in line depends on it.
const TWINHULL: [u8; 16] =
    [0x8b, 0xe7, 0x31, 0xe8, 0xeb, 0x41, 0x47, 0xde, 0x96, 0x90, 0x33, 0x75, 0xb3, 0x34, 0x6b, 0xdb];

/// The machine id: 128 bits that no network should see. Debug doesn't show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MachineId([u8; 16]);

/// A machine's identity for Twinhull's updates, as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppId(String);

impl MachineId {
    /// Reads the text of `/etc/machine-id`.
    ///
    /// # Errors
    /// [`Error::MachineId`] when it isn't 32 hexadecimal digits, or nothing but zeros.
    pub fn parse(text: &str) -> Result<Self> {
        let error = |reason| Err(Error::MachineId { reason });
        let text = text.strip_suffix('\n').unwrap_or(text);
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return error("it isn't 32 hexadecimal digits");
        }
        let Ok(number) = u128::from_str_radix(text, 16) else {
            return error("it isn't 32 hexadecimal digits");
        };
        if number == 0 {
            return error("it is nothing but zeros, which every machine could have");
        }
        Ok(MachineId(number.to_be_bytes()))
    }

    /// The identity for updates: HMAC-SHA256 over Twinhull's application id with the machine id as key, cut to a UUID
    /// of version 4.
    pub fn app_specific(&self) -> AppId {
        AppId(format!("{:032x}", u128::from_be_bytes(self.derive(&TWINHULL))))
    }

    fn derive(&self, application: &[u8; 16]) -> [u8; 16] {
        // A key of 16 bytes is shorter than a block, and HMAC takes keys of any length anyway.
        let mut key = [0; 64];
        key[..16].copy_from_slice(&self.0);
        let mut mac = Hmac::<sha2::Sha256>::new(&key.into());
        mac.update(application);
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        id
    }
}

impl fmt::Debug for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MachineId(..)")
    }
}

impl AppId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `systemd-id128 -a APPLICATION machine-id` of systemd 252 with these in /etc/machine-id.
    const VECTORS: &[(&str, &str, &str)] = &[
        (
            "0123456789abcdef0123456789abcdef",
            "8be731e8eb4147de96903375b3346bdb",
            "dfd6ba9c84094a5e918bea8057c40e0b",
        ),
        (
            "0123456789abcdef0123456789abcdef",
            "00112233445566778899aabbccddeeff",
            "4e7a918525b94da8ad4b4f264a130726",
        ),
        (
            "c988d2509fdf5cdcbed39037c56406fb",
            "8be731e8eb4147de96903375b3346bdb",
            "a5d1b880cdfe4cba80f2b72889b86109",
        ),
        (
            "c988d2509fdf5cdcbed39037c56406fb",
            "00112233445566778899aabbccddeeff",
            "59e7c10f4185400ca1935d11df231022",
        ),
        (
            "ffffffffffffffffffffffffffffffff",
            "8be731e8eb4147de96903375b3346bdb",
            "bcf717ac1c00466287d7dcc497173b63",
        ),
        (
            "ffffffffffffffffffffffffffffffff",
            "00112233445566778899aabbccddeeff",
            "ff89427ba97041f89a9054d71a7f4f33",
        ),
    ];

    #[test]
    fn the_hash_is_systemds() {
        for (machine, application, want) in VECTORS {
            let machine = MachineId::parse(machine).unwrap();
            let application = u128::from_str_radix(application, 16).unwrap().to_be_bytes();
            let got = u128::from_be_bytes(machine.derive(&application));
            assert_eq!(format!("{got:032x}"), *want);
            if application == TWINHULL {
                assert_eq!(machine.app_specific().as_str(), *want);
            }
        }
    }

    #[test]
    fn machine_ids() {
        let good = "3d1219c7c4c5404aaa1f6d2a48adfda4";
        assert_eq!(MachineId::parse(&format!("{good}\n")).unwrap(), MachineId::parse(good).unwrap());
        assert_eq!(format!("{:?}", MachineId::parse(good).unwrap()), "MachineId(..)");
        let zeros = "0".repeat(32);
        for text in ["", "\n", "uninitialized\n", &good[1..], &zeros, &format!("+{}", &good[1..])] {
            let error = MachineId::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("this is no machine id"), "{error}");
        }
    }
}
