//! The variable store of OVMF with keys in it, for virtual machines that begin with Secure Boot on
//! (edk2's `VariableFormat.h`: a firmware volume with an authenticated variable store).

use uuid::{Uuid, uuid};

use crate::variable::{ATTRIBUTES, Role, efi_time, utf16};
use crate::{Error, Result};

/// `gEfiAuthenticatedVariableGuid`.
const AUTHENTICATED: Uuid = uuid!("aaf32c78-947b-439a-a180-2e144ec37792");
/// `gEfiSecureBootEnableDisableGuid`: the vendor of the switch in the firmware's setup.
const ENABLE: Uuid = uuid!("f0a30bc7-af08-4556-99c4-001009c93a44");
/// Length of `VARIABLE_STORE_HEADER` in bytes.
const STORE_HEADER: usize = 28;
/// Largest variable store that is read.
const MAX_STORE: usize = 64 << 20;

/// The store `empty`, OVMF's template, with `variables` (signature lists of PK, KEK and db) and Secure Boot
/// switched on.
///
/// Returns [`Error::VariableStore`] when it is no such template or has too little room.
pub fn enroll(empty: &[u8], variables: &[(Role, Vec<u8>)]) -> Result<Vec<u8>> {
    let bad = Error::VariableStore;
    let Some([b'_', b'F', b'V', b'H', _, _, _, _, low, high]) = empty.get(40..50) else {
        return Err(bad("it has no firmware volume header"));
    };
    if empty.len() > MAX_STORE {
        return Err(bad("it is larger than 64 MiB"));
    }
    let header = usize::from(u16::from_le_bytes([*low, *high]));
    let store = empty.get(header..header + STORE_HEADER).ok_or(bad("it is cut off"))?;
    if store[..16] != AUTHENTICATED.to_bytes_le() {
        return Err(bad("its variables are not authenticated ones"));
    }
    // Formatted and healthy.
    if store[20..22] != [0x5A, 0xFE] {
        return Err(bad("it is not formatted"));
    }
    let size = u32::from_le_bytes([store[16], store[17], store[18], store[19]]) as usize;
    let end = header.checked_add(size).filter(|end| *end <= empty.len()).ok_or(bad("it is cut off"))?;
    let start = header + STORE_HEADER;
    if empty.get(start..end).is_none_or(|free| free.iter().any(|byte| *byte != 0xFF)) {
        return Err(bad("it has variables already"));
    }
    let mut records = Vec::new();
    for (role, lists) in variables {
        record(&mut records, role.name(), role.vendor(), ATTRIBUTES, lists)?;
    }
    // Non-volatile and for boot services.
    record(&mut records, "SecureBootEnable", ENABLE, 0x03, &[1])?;
    let mut out = empty.to_vec();
    let place = out.get_mut(start..start + records.len()).filter(|_| start + records.len() <= end);
    place.ok_or(bad("the keys don't fit into it"))?.copy_from_slice(&records);
    Ok(out)
}

/// Appends an `AUTHENTICATED_VARIABLE_HEADER` with name and data.
fn record(out: &mut Vec<u8>, name: &str, vendor: Uuid, attributes: u32, data: &[u8]) -> Result<()> {
    let mut name = utf16(name);
    name.extend([0, 0]);
    out.extend(0x55AA_u16.to_le_bytes());
    // VAR_ADDED
    out.extend([0x3F, 0]);
    out.extend(attributes.to_le_bytes());
    // Monotonic count, which only an older kind of variable uses.
    out.extend(0_u64.to_le_bytes());
    // The oldest time there is: any update is newer.
    out.extend(if attributes == ATTRIBUTES { efi_time(0)? } else { [0; 16] });
    // Index of a public key, as above.
    out.extend(0_u32.to_le_bytes());
    out.extend((name.len() as u32).to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(vendor.to_bytes_le());
    out.extend(name);
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0xFF);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty store of 64 KiB.
    fn template() -> Vec<u8> {
        let mut out = vec![0xFF; 64 << 10];
        out[40..44].copy_from_slice(b"_FVH");
        out[48..50].copy_from_slice(&72_u16.to_le_bytes());
        out[72..88].copy_from_slice(&AUTHENTICATED.to_bytes_le());
        out[88..92].copy_from_slice(&(32_u32 << 10).to_le_bytes());
        out[92..94].copy_from_slice(&[0x5A, 0xFE]);
        out
    }

    #[test]
    fn only_an_empty_store_with_room_is_taken() {
        let keys = [(Role::Pk, vec![1; 100]), (Role::Db, vec![2; 101])];
        let full = enroll(&template(), &keys).unwrap();
        assert_eq!(full.len(), template().len());
        assert_eq!(full[100..104], [0xAA, 0x55, 0x3F, 0]);
        let error = enroll(&full, &keys).unwrap_err().to_string();
        assert!(error.contains("variables already"), "{error}");
        let error = enroll(&template(), &[(Role::Db, vec![0; 40_000])]).unwrap_err().to_string();
        assert!(error.contains("don't fit"), "{error}");
        for length in 0..200 {
            assert!(enroll(&template()[..length], &keys).is_err());
        }
        for at in 0..100 {
            let mut changed = template();
            changed[at] ^= 0xFF;
            let _ = enroll(&changed, &keys);
        }
    }
}
