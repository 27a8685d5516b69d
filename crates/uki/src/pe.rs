//! PE files: reading section tables and appending sections (Microsoft's PE format specification).
//!
//! The `object` crate checks and reads; it can't add sections to an existing file, so the few header
//! fields that change are patched here.

use std::fmt;

use object::LittleEndian as LE;
use object::pe::{self, ImageDosHeader, ImageNtHeaders64};
use object::read::pe::ImageNtHeaders;

use crate::{Error, Result};

/// CPU a PE file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// 64-bit ARM.
    Arm64,
}

impl Machine {
    /// `x86-64` or `arm64`.
    pub fn name(self) -> &'static str {
        match self {
            Machine::X86_64 => "x86-64",
            Machine::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One section of a PE file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Name, for example `.linux`.
    pub name: String,
    /// Byte offset in the file.
    pub offset: usize,
    /// Length in bytes, without padding.
    pub size: usize,
}

struct Headers {
    machine: Machine,
    /// Byte offset of the COFF file header.
    coff: usize,
    /// Byte offset of the optional header.
    optional: usize,
    /// Byte offset of the section table.
    table: usize,
    sections: Vec<pe::ImageSectionHeader>,
    section_alignment: u32,
    file_alignment: u32,
    headers_size: u32,
}

const SECTION_HEADER: usize = 40;

fn parse(role: &'static str, data: &[u8]) -> Result<Headers> {
    let bad = |reason: String| Error::NotPe { role, reason };
    let dos = ImageDosHeader::parse(data).map_err(|e| bad(e.to_string()))?;
    let coff = dos.nt_headers_offset() as usize + 4;
    let mut offset = u64::from(dos.nt_headers_offset());
    let (nt, _) = ImageNtHeaders64::parse(data, &mut offset).map_err(|e| bad(e.to_string()))?;
    let machine = match nt.file_header.machine.get(LE) {
        pe::IMAGE_FILE_MACHINE_AMD64 => Machine::X86_64,
        pe::IMAGE_FILE_MACHINE_ARM64 => Machine::Arm64,
        other => {
            return Err(bad(format!("machine type {other:?} at offset {coff} is neither x86-64 nor arm64")));
        }
    };
    let sections = nt.sections(data, offset).map_err(|e| bad(e.to_string()))?;
    let optional = coff + 20;
    Ok(Headers {
        machine,
        coff,
        optional,
        table: optional + usize::from(nt.file_header.size_of_optional_header.get(LE)),
        sections: sections.iter().copied().collect(),
        section_alignment: nt.optional_header.section_alignment.get(LE),
        file_alignment: nt.optional_header.file_alignment.get(LE),
        headers_size: nt.optional_header.size_of_headers.get(LE),
    })
}

/// The machine of a PE file; `role` names the file in errors.
///
/// Returns [`Error::NotPe`].
pub fn machine(role: &'static str, data: &[u8]) -> Result<Machine> {
    parse(role, data).map(|headers| headers.machine)
}

/// All sections of a PE file in table order.
///
/// Returns [`Error::NotPe`], also when a section lies outside the file.
pub fn sections(role: &'static str, data: &[u8]) -> Result<Vec<Section>> {
    let sections = section_table(role, data)?;
    for Section { name, offset, size } in &sections {
        if offset.checked_add(*size).is_none_or(|end| end > data.len()) {
            return Err(Error::NotPe {
                role,
                reason: format!("section {name} at offset {offset} ends behind the end of the file"),
            });
        }
    }
    Ok(sections)
}

/// All sections in a file that begins with `head`, in table order, whether the file has them or not.
///
/// Returns [`Error::NotPe`], also when `head` ends before the section table.
pub fn section_table(role: &'static str, head: &[u8]) -> Result<Vec<Section>> {
    let section = |header: &pe::ImageSectionHeader| Section {
        name: String::from_utf8_lossy(header.raw_name()).into_owned(),
        offset: header.pointer_to_raw_data.get(LE) as usize,
        size: header.virtual_size.get(LE).min(header.size_of_raw_data.get(LE)) as usize,
    };
    Ok(parse(role, head)?.sections.iter().map(section).collect())
}

/// Byte offset and length, with padding, of all sections in a file that begins with `head`, whether the file has them or
/// not.
///
/// Returns [`Error::NotPe`], also when `head` ends before the section table.
pub fn section_places(role: &'static str, head: &[u8]) -> Result<Vec<(u64, u64)>> {
    let place = |header: &pe::ImageSectionHeader| {
        (u64::from(header.pointer_to_raw_data.get(LE)), u64::from(header.size_of_raw_data.get(LE)))
    };
    Ok(parse(role, head)?.sections.iter().map(place).collect())
}

/// The bytes of the first section called `name`, or `None`.
///
/// Returns [`Error::NotPe`].
pub fn section<'a>(role: &'static str, data: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    let all = sections(role, data)?;
    Ok(all.iter().find(|s| s.name == name).and_then(|s| data.get(s.offset..s.offset + s.size)))
}

/// Appends `parts` (name, bytes) to `stub`, in order. `.linux` should come last, so that the kernel can
/// unpack behind itself.
///
/// Returns [`Error::WrongMachine`] when `.linux` is for another machine than the stub,
/// [`Error::NoSectionRoom`] and [`Error::TooLarge`].
pub fn build(stub: &[u8], parts: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let headers = parse("stub", stub)?;
    if let Some((_, kernel)) = parts.iter().find(|(name, _)| *name == ".linux") {
        let found = machine("kernel", kernel)?;
        if found != headers.machine {
            return Err(Error::WrongMachine {
                role: "kernel",
                found: found.name(),
                other: "stub",
                wanted: headers.machine.name(),
            });
        }
    }
    let (align_memory, align_file) = (headers.section_alignment, headers.file_alignment);
    if !align_memory.is_power_of_two() || !align_file.is_power_of_two() || align_memory < align_file {
        return Err(Error::NotPe {
            role: "stub",
            reason: format!("its alignments {align_memory} and {align_file} are no powers of two"),
        });
    }
    let old = headers.sections.len();
    let room = (headers.headers_size as usize).saturating_sub(headers.table) / SECTION_HEADER;
    let first_data = headers.sections.iter().map(|s| s.pointer_to_raw_data.get(LE)).filter(|p| *p > 0).min();
    let room = room.min((first_data.unwrap_or(0) as usize).saturating_sub(headers.table) / SECTION_HEADER);
    if room < old + parts.len() {
        return Err(Error::NoSectionRoom { room: room.saturating_sub(old), needed: parts.len() });
    }
    let mut address = headers
        .sections
        .iter()
        .filter_map(|s| s.virtual_address.get(LE).checked_add(s.virtual_size.get(LE)))
        .max()
        .unwrap_or(0);
    let file_end = headers
        .sections
        .iter()
        .map(|s| s.pointer_to_raw_data.get(LE) as usize + s.size_of_raw_data.get(LE) as usize)
        .max()
        .unwrap_or(0);
    // What follows the last section (a signature, debug symbols) does not survive new sections.
    let mut out = stub.get(..file_end).unwrap_or(stub).to_vec();
    let mut initialized = 0_u32;
    for (index, (name, bytes)) in parts.iter().enumerate() {
        address = address.checked_next_multiple_of(align_memory).ok_or(Error::TooLarge)?;
        out.resize(out.len().next_multiple_of(align_file as usize), 0);
        let offset = u32::try_from(out.len()).map_err(|_| Error::TooLarge)?;
        let size = u32::try_from(bytes.len()).map_err(|_| Error::TooLarge)?;
        let raw_size = size.checked_next_multiple_of(align_file).ok_or(Error::TooLarge)?;
        out.extend_from_slice(bytes);
        out.resize(offset as usize + raw_size as usize, 0);

        let mut header = [0; SECTION_HEADER];
        let name = name.as_bytes();
        let len = name.len().min(8);
        header[..len].copy_from_slice(&name[..len]);
        header[8..12].copy_from_slice(&size.to_le_bytes());
        header[12..16].copy_from_slice(&address.to_le_bytes());
        header[16..20].copy_from_slice(&raw_size.to_le_bytes());
        header[20..24].copy_from_slice(&offset.to_le_bytes());
        let flags = pe::IMAGE_SCN_CNT_INITIALIZED_DATA.0 | pe::IMAGE_SCN_MEM_READ.0;
        header[36..40].copy_from_slice(&flags.to_le_bytes());
        let at = headers.table + (old + index) * SECTION_HEADER;
        out[at..at + SECTION_HEADER].copy_from_slice(&header);
        address = address.checked_add(size).ok_or(Error::TooLarge)?;
        initialized = initialized.checked_add(raw_size).ok_or(Error::TooLarge)?;
    }
    let image_size = address.checked_next_multiple_of(align_memory).ok_or(Error::TooLarge)?;
    let count = (old + parts.len()) as u16;
    let mut patch = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    patch(headers.coff + 2, &count.to_le_bytes());
    patch(headers.optional + 56, &image_size.to_le_bytes());
    patch(headers.optional + 64, &[0; 4]); // checksum: firmware ignores it, an old one would be wrong
    // A signature and symbols lay behind the sections, and are gone.
    patch(headers.coff + 8, &[0; 8]);
    let certificates = headers.optional + 112 + 4 * 8;
    if certificates + 8 <= headers.table {
        patch(certificates, &[0; 8]);
    }
    let before = u32::from_le_bytes([
        stub[headers.optional + 8],
        stub[headers.optional + 9],
        stub[headers.optional + 10],
        stub[headers.optional + 11],
    ]);
    patch(headers.optional + 8, &before.saturating_add(initialized).to_le_bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_refused_with_a_role() {
        for bytes in [&b""[..], b"MZ", &[0; 4096]] {
            let error = build(bytes, &[]).unwrap_err().to_string();
            assert!(error.starts_with("the stub is no EFI program"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            if bytes.len() > 64 {
                bytes[..2].copy_from_slice(b"MZ");
                bytes[60..64].copy_from_slice(&64_u32.to_le_bytes());
                let end = bytes.len().min(68);
                bytes[64..end].copy_from_slice(&b"PE\0\0"[..end - 64]);
            }
            let _ = sections("UKI", &bytes);
            let _ = build(&bytes, &[(".x", b"y")]);
        }
    }
}
