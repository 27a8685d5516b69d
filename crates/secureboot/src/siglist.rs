//! EFI signature lists (UEFI 2.10, 32.4.1 "Signature Database") of X.509 certificates.

use std::path::Path;

use uuid::{Uuid, uuid};

use crate::{Certificate, Error, Result};

/// `EFI_CERT_X509_GUID`.
const X509: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
/// Length of an `EFI_SIGNATURE_LIST` header in bytes.
const HEADER: usize = 28;
/// Length of the owner before every signature in bytes.
const OWNER: usize = 16;
/// Most certificates that are read.
const MAX_CERTIFICATES: usize = 256;

/// A signature list for every certificate, since one list holds only entries of the same length.
pub fn signature_list(certificates: &[Certificate], owner: Uuid) -> Vec<u8> {
    let mut out = Vec::new();
    for der in certificates.iter().map(Certificate::der) {
        // A certificate has at most 64 KiB.
        let signature = (OWNER + der.len()) as u32;
        out.extend(X509.to_bytes_le());
        out.extend((HEADER as u32 + signature).to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(signature.to_le_bytes());
        out.extend(owner.to_bytes_le());
        out.extend(der);
    }
    out
}

/// The certificates in `lists`, which may have lists of other kinds, too; `path` names it in errors.
///
/// Returns [`Error::SignatureList`] and [`Error::Certificate`].
pub fn certificates(lists: &[u8], path: &Path) -> Result<Vec<Certificate>> {
    let bad = |offset, reason| Error::SignatureList { offset, reason };
    let mut found = Vec::new();
    let mut at = 0;
    while at < lists.len() {
        let header = lists.get(at..at + HEADER).ok_or(bad(at, "its header is cut off"))?;
        let number =
            |n: usize| u32::from_le_bytes([header[n], header[n + 1], header[n + 2], header[n + 3]]) as usize;
        let (length, extra, signature) = (number(16), number(20), number(24));
        let list = at.checked_add(length).and_then(|end| lists.get(at..end)).filter(|_| length >= HEADER);
        let list = list.ok_or(bad(at, "it is longer than the file"))?;
        let entries =
            list.get(HEADER.saturating_add(extra)..).ok_or(bad(at, "its header is longer than itself"))?;
        if header[..16] == X509.to_bytes_le() {
            if signature <= OWNER || entries.len() % signature != 0 {
                return Err(bad(at, "its entries don't fill it"));
            }
            for entry in entries.chunks_exact(signature) {
                if found.len() == MAX_CERTIFICATES {
                    return Err(bad(at, "it has more than 256 certificates"));
                }
                found.push(Certificate::parse(&entry[OWNER..], path)?);
            }
        }
        at += length;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::tests::signer;

    #[test]
    fn lists_are_read_back() {
        let (_dir, signer) = signer();
        let ours = vec![signer.certificate().clone(); 2];
        let list = signature_list(&ours, Uuid::from_u128(1));
        assert_eq!(certificates(&list, Path::new("x")).unwrap(), ours);
        for length in 1..list.len() {
            let whole = length == list.len() / 2;
            assert_eq!(certificates(&list[..length], Path::new("x")).is_ok(), whole, "{length}");
        }
        for at in 0..60 {
            let mut changed = list.clone();
            changed[at] ^= 0xFF;
            let _ = certificates(&changed, Path::new("x"));
        }
    }
}
