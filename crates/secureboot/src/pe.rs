//! PE files as Authenticode sees them: what its digest covers, and the certificate table at the end
//! (Microsoft's "Windows Authenticode Portable Executable Signature Format" and PE format specification).

use std::ops::Range;

use object::LittleEndian as LE;
use object::pe::{IMAGE_DIRECTORY_ENTRY_SECURITY, ImageDosHeader, ImageNtHeaders64};
use object::read::pe::ImageNtHeaders;
use ring::digest::{Context, SHA256};

use crate::{Error, Result};

/// `WIN_CERT_REVISION_2_0`.
const REVISION: u16 = 0x0200;
/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const PKCS_SIGNED_DATA: u16 = 0x0002;
/// Length of a `WIN_CERTIFICATE` header in bytes.
const HEADER: usize = 8;
/// Entries of the certificate table begin at multiples of this.
const ALIGN: usize = 8;
/// Most entries of a certificate table that are read.
const MAX_ENTRIES: usize = 16;
/// Offset of the checksum in the optional header.
const CHECKSUM: usize = 64;
/// Offset of the data directories in a PE32+ optional header.
const DIRECTORIES: usize = 112;

/// Where the parts of a PE file are.
struct Layout {
    checksum: usize,
    /// Offset of the certificate table's data directory entry.
    directory: usize,
    headers: usize,
    /// The certificate table, the last thing in the file; empty when there is none.
    table: Range<usize>,
}

impl Layout {
    fn parse(data: &[u8]) -> Result<Self> {
        let bad = |e: object::read::Error| Error::NotPe(e.to_string());
        let dos = ImageDosHeader::parse(data).map_err(bad)?;
        let mut offset = u64::from(dos.nt_headers_offset());
        let optional = dos.nt_headers_offset() as usize + 24;
        let (nt, directories) = ImageNtHeaders64::parse(data, &mut offset).map_err(bad)?;
        let Some(entry) = directories.iter().nth(IMAGE_DIRECTORY_ENTRY_SECURITY) else {
            return Err(Error::NotPe("its header has no room for a certificate table".into()));
        };
        let start = entry.virtual_address.get(LE) as usize;
        let size = entry.size.get(LE) as usize;
        let table = if size == 0 { data.len()..data.len() } else { start..start.saturating_add(size) };
        if table.end != data.len() {
            return Err(Error::CertificateTable {
                offset: start,
                reason: "it doesn't end where the file ends",
            });
        }
        let headers = nt.optional_header.size_of_headers.get(LE) as usize;
        let mut sections: Vec<Range<usize>> = nt
            .sections(data, offset)
            .map_err(bad)?
            .iter()
            .map(|s| {
                let start = s.pointer_to_raw_data.get(LE) as usize;
                start..start.saturating_add(s.size_of_raw_data.get(LE) as usize)
            })
            .filter(|range| !range.is_empty())
            .collect();
        sections.sort_by_key(|range| range.start);
        let directory = optional + DIRECTORIES + 8 * IMAGE_DIRECTORY_ENTRY_SECURITY;
        if headers < directory + 8 || headers > table.start {
            return Err(Error::NotPe(format!("its headers can't have a length of {headers} bytes")));
        }
        let mut end = headers;
        for section in &sections {
            // Firmware counts hashed bytes; with gaps or overlaps it would hash something else than we do.
            if section.start != end || section.end > table.start {
                return Err(Error::NotPe(format!(
                    "a section's data begins at byte {}, where {end} was expected, or ends behind the file",
                    section.start
                )));
            }
            end = section.end;
        }
        Ok(Layout { checksum: optional + CHECKSUM, directory, headers, table })
    }
}

/// The Authenticode digest (SHA-256) of an EFI program, which a signature doesn't change. A program whose length
/// is no multiple of 8 is taken with the zeros that signing puts behind it.
///
/// Returns [`Error::NotPe`] and [`Error::CertificateTable`].
pub fn digest(program: &[u8]) -> Result<[u8; 32]> {
    let layout = Layout::parse(program)?;
    let mut context = Context::new(&SHA256);
    context.update(&program[..layout.checksum]);
    context.update(&program[layout.checksum + 4..layout.directory]);
    context.update(&program[layout.directory + 8..layout.headers]);
    // Sections follow each other without gaps, so they and what is behind them are one piece.
    context.update(&program[layout.headers..layout.table.start]);
    context.update(&[0; ALIGN][..padding(layout.table.start)]);
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Ok(out)
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(ALIGN) - length
}

/// The program with `pkcs7` as its only signature; one that is there goes.
pub(crate) fn with_signature(program: &[u8], pkcs7: &[u8]) -> Result<Vec<u8>> {
    let layout = Layout::parse(program)?;
    let too_large = |_| Error::NotPe("with a signature it would be larger than 4 GiB".into());
    let mut out = program[..layout.table.start].to_vec();
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    let start = u32::try_from(out.len()).map_err(too_large)?;
    let length = u32::try_from(HEADER + pkcs7.len()).map_err(too_large)?;
    out.extend(length.to_le_bytes());
    out.extend(REVISION.to_le_bytes());
    out.extend(PKCS_SIGNED_DATA.to_le_bytes());
    out.extend(pkcs7);
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    let size = u32::try_from(out.len()).map_err(too_large)? - start;
    out[layout.directory..layout.directory + 4].copy_from_slice(&start.to_le_bytes());
    out[layout.directory + 4..layout.directory + 8].copy_from_slice(&size.to_le_bytes());
    // None rather than one that would be wrong: firmware doesn't look at it.
    out[layout.checksum..layout.checksum + 4].fill(0);
    Ok(out)
}

/// Length of the program once it has a signature of `pkcs7` bytes.
pub(crate) fn length_with(program: &[u8], pkcs7: usize) -> Result<usize> {
    let start = Layout::parse(program)?.table.start.next_multiple_of(ALIGN);
    Ok(start + (HEADER + pkcs7).next_multiple_of(ALIGN))
}

/// The PKCS #7 signatures in the certificate table.
pub(crate) fn signatures(program: &[u8]) -> Result<Vec<&[u8]>> {
    let table = Layout::parse(program)?.table;
    let bad = |offset, reason| Error::CertificateTable { offset, reason };
    let mut found = Vec::new();
    let mut at = table.start;
    while at < table.end {
        let header = program.get(at..at + HEADER).ok_or(bad(at, "an entry's header is cut off"))?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let end = at.checked_add(length).filter(|end| length >= HEADER && *end <= table.end);
        let end = end.ok_or(bad(at, "an entry is longer than the table"))?;
        if found.len() == MAX_ENTRIES {
            return Err(bad(at, "it has more than 16 entries"));
        }
        // X.509 and other kinds, which UEFI doesn't use here, are none of our business.
        if u16::from_le_bytes([header[6], header[7]]) == PKCS_SIGNED_DATA {
            found.push(&program[at + HEADER..end]);
        }
        at = end.next_multiple_of(ALIGN);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticode::tests::program;

    #[test]
    fn a_signature_changes_neither_digest_nor_itself() {
        for extra in [0, 3, 8] {
            let plain = program(extra);
            let signed = with_signature(&plain, b"a signature").unwrap();
            assert_eq!(digest(&plain).unwrap(), digest(&signed).unwrap());
            assert_eq!(signatures(&signed).unwrap(), [b"a signature"]);
            assert_eq!(signed.len(), length_with(&plain, 11).unwrap());
            assert_eq!(signed.len(), length_with(&signed, 11).unwrap());
            assert_eq!(with_signature(&signed, b"a signature").unwrap(), signed);
            assert!(signatures(&plain).unwrap().is_empty());
        }
    }

    #[test]
    fn truncated_and_flipped_files_are_errors() {
        let signed = with_signature(&program(0), b"a signature").unwrap();
        for length in 0..signed.len() {
            assert!(digest(&signed[..length]).is_err(), "{length}");
            assert!(signatures(&signed[..length]).is_err(), "{length}");
        }
        for at in 0..signed.len() {
            let mut changed = signed.clone();
            changed[at] ^= 0xFF;
            let _ = (signatures(&changed), with_signature(&changed, b"x"), digest(&changed));
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(edits in proptest::collection::vec((0_usize..1600, proptest::num::u8::ANY), 0..20)) {
            let mut bytes = with_signature(&program(0), &[7; 40]).unwrap();
            for (at, byte) in edits {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let _ = (digest(&bytes), signatures(&bytes), with_signature(&bytes, b"x"), length_with(&bytes, 9));
        }
    }
}
