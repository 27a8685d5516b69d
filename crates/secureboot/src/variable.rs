//! Secure Boot's variables as files that firmware takes: `EFI_VARIABLE_AUTHENTICATION_2` and a signature list
//! (UEFI 2.10, 8.2.6 "Using the EFI_VARIABLE_AUTHENTICATION_2 descriptor").

use cms::signed_data::EncapsulatedContentInfo;
use der::Encode;
use der::asn1::ObjectIdentifier;
use uuid::{Uuid, uuid};

use crate::cms::signed_data;
use crate::{Error, Result, Signer};

/// `EFI_GLOBAL_VARIABLE`.
pub(crate) const GLOBAL: Uuid = uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");
/// `EFI_IMAGE_SECURITY_DATABASE_GUID`.
pub(crate) const SECURITY_DATABASE: Uuid = uuid!("d719b2cb-3d3a-4596-a3bc-dad00e67656f");
/// `EFI_CERT_TYPE_PKCS7_GUID`.
const PKCS7: Uuid = uuid!("4aafd29d-68df-49ee-8aa9-347d375665a7");
/// Non-volatile, for boot services and at run time, written with a signature and a time.
pub(crate) const ATTRIBUTES: u32 = 0x27;
/// `data` of PKCS #7.
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
/// Length of `WIN_CERTIFICATE_UEFI_GUID` in bytes.
const HEADER: usize = 24;

/// A variable of Secure Boot that holds certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The platform key: who may change all of them.
    Pk,
    /// Key exchange keys: who may change the database.
    Kek,
    /// The database: whose programs may run.
    Db,
}

impl Role {
    /// In the order of trust.
    pub const ALL: [Role; 3] = [Role::Pk, Role::Kek, Role::Db];

    /// Name of the variable.
    pub fn name(self) -> &'static str {
        match self {
            Role::Pk => "PK",
            Role::Kek => "KEK",
            Role::Db => "db",
        }
    }

    pub(crate) fn vendor(self) -> Uuid {
        match self {
            Role::Pk | Role::Kek => GLOBAL,
            Role::Db => SECURITY_DATABASE,
        }
    }
}

/// `lists` for the variable of `role`, signed by `signer`: the platform key for PK and KEK, a key exchange key for
/// db. `time` is seconds since 1970; firmware takes only what is newer than what it has.
///
/// Returns [`Error::Argument`] for a time that can't be expressed, and what signing returns.
pub fn authenticated(role: Role, lists: &[u8], time: i64, signer: &Signer) -> Result<Vec<u8>> {
    let time = efi_time(time)?;
    let mut message = utf16(role.name());
    message.extend(role.vendor().to_bytes_le());
    message.extend(ATTRIBUTES.to_le_bytes());
    message.extend(time);
    message.extend(lists);
    // The specification wants it detached, without attributes, and without a ContentInfo around it.
    let content = EncapsulatedContentInfo { econtent_type: DATA, econtent: None };
    let signature = signer.sign(&message)?;
    let signed = signed_data(content, None, signer.certificate(), &signature)?.to_der()?;
    let mut out = time.to_vec();
    out.extend(((HEADER + signed.len()) as u32).to_le_bytes());
    out.extend(0x0200_u16.to_le_bytes());
    // WIN_CERT_TYPE_EFI_GUID
    out.extend(0x0EF1_u16.to_le_bytes());
    out.extend(PKCS7.to_bytes_le());
    out.extend(signed);
    out.extend(lists);
    Ok(out)
}

/// UTF-16 without a NUL behind it.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// `EFI_TIME` in UTC; what is more precise than a second must be zero.
pub(crate) fn efi_time(time: i64) -> Result<[u8; 16]> {
    let bad = || Error::Argument(format!("the time {time} is no time between 1970 and 2500"));
    let time = u64::try_from(time).ok().filter(|t| *t < 16_725_225_600).ok_or_else(bad)?;
    let date = der::DateTime::from_unix_duration(std::time::Duration::from_secs(time)).map_err(|_| bad())?;
    let mut out = [0; 16];
    out[..2].copy_from_slice(&date.year().to_le_bytes());
    out[2..7].copy_from_slice(&[date.month(), date.day(), date.hour(), date.minutes(), date.seconds()]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let want = [0xE7, 0x07, 11, 14, 22, 13, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(efi_time(1_700_000_000).unwrap(), want);
        assert!(efi_time(-1).is_err() && efi_time(i64::MAX).is_err());
    }
}
