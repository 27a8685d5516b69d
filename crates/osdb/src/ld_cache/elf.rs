//! What the linker cache needs of a shared object: its soname and the flags of its machine.

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

/// `FLAG_ELF_LIBC6` of glibc's `ldconfig.h`, with which all other flags are combined.
const LIBC6: u32 = 3;

/// A shared object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Library {
    /// `DT_SONAME`, when there is one.
    pub(super) soname: Option<String>,
    /// The cache entry's flags.
    pub(super) flags: u32,
}

/// Reads a 64-bit ELF shared object; `None` for anything else, linker scripts and programs
/// included.
pub(super) fn library(data: &[u8]) -> Option<Library> {
    let header = elf::FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    if header.e_type(endian) != elf::ET_DYN {
        return None;
    }
    let flags = match header.e_machine(endian) {
        elf::EM_X86_64 => 0x0300,
        elf::EM_AARCH64 => 0x0a00,
        elf::EM_RISCV => 0x1000,
        _ => return None,
    };
    let segments = header.program_headers(endian, data).ok()?;
    let dynamic = segments.iter().find_map(|s| s.dynamic(endian, data).ok().flatten())?;
    let (mut soname, mut strings) = (None, None);
    for entry in dynamic {
        match entry.d_tag(endian) {
            elf::DT_NULL => break,
            elf::DT_SONAME => soname = Some(entry.d_val(endian)),
            elf::DT_STRTAB => strings = Some(entry.d_val(endian)),
            _ => {}
        }
    }
    let text = |offset: u64, table: u64| {
        let address = table.checked_add(offset)?;
        let segment = segments.iter().find(|s| {
            let start = s.p_vaddr(endian);
            s.p_type(endian) == elf::PT_LOAD
                && (start..start.saturating_add(s.p_filesz(endian))).contains(&address)
        })?;
        let at = address.checked_sub(segment.p_vaddr(endian))?.checked_add(segment.p_offset(endian))?;
        let name = crate::input::c_str(data, usize::try_from(at).ok()?)?;
        (!name.is_empty() && !name.contains(&b'/')).then(|| String::from_utf8_lossy(name).into_owned())
    };
    let soname = soname.zip(strings).and_then(|(offset, table)| text(offset, table));
    Some(Library { soname, flags: flags | LIBC6 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_no_library() {
        assert_eq!(library(b"/* GNU ld script */ GROUP ( libc.so.6 )"), None);
        assert_eq!(library(b""), None);
    }

    proptest! {
        #[test]
        fn damage_never_panics(damage in proptest::collection::vec((0usize..1024, any::<u8>()), 0..6), cut in 0usize..1024) {
            let mut data = crate::ld_cache::scan::tests::shared_object("libx.so.1");
            for (at, byte) in damage {
                if let Some(b) = data.get_mut(at) { *b = byte; }
            }
            data.truncate(cut);
            let _ = library(&data);
        }
    }
}
