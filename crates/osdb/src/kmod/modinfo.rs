//! What a module's ELF file tells: its `.modinfo` strings, exported and needed symbols.

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};

use crate::{Error, Result};

/// Size of an entry of `__versions` in a 64-bit module: a checksum of 8 bytes and a name.
const VERSION_ENTRY: usize = 64;

/// The strings of a module's `.modinfo` section that matter for loading it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModInfo {
    /// `name=`, when the module carries one.
    pub name: Option<String>,
    /// `alias=`, wildcard patterns in their order.
    pub aliases: Vec<String>,
    /// `depends=`, names of modules this one needs itself.
    pub depends: Vec<String>,
    /// `softdep=`, such as `pre: a b post: c`.
    pub softdeps: Vec<String>,
    /// `weakdep=`, names of modules this one may load itself.
    pub weakdeps: Vec<String>,
    /// `firmware=`, paths below `/usr/lib/firmware`.
    pub firmware: Vec<String>,
}

/// A module with its symbols.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModuleFile {
    pub(super) info: ModInfo,
    /// Names it exports.
    pub(super) exports: Vec<String>,
    /// Names it needs from elsewhere, in the order of its symbol table.
    pub(super) imports: Vec<String>,
}

/// Reads the `.modinfo` section of a decompressed 64-bit module of either endianness. `path` is
/// for messages.
///
/// Returns [`Error::Damaged`] when the bytes are no such ELF file.
pub fn parse_modinfo(path: &str, bytes: &[u8]) -> Result<ModInfo> {
    Ok(Elf::open(path, bytes)?.info())
}

/// Reads a decompressed module with its symbols.
pub(super) fn parse_module(path: &str, bytes: &[u8]) -> Result<ModuleFile> {
    let elf = Elf::open(path, bytes)?;
    let (exports, imports) = elf.symbols(path)?;
    Ok(ModuleFile { info: elf.info(), exports, imports })
}

struct Elf<'a> {
    bytes: &'a [u8],
    endian: Endianness,
    header: &'a elf::FileHeader64<Endianness>,
}

fn damaged(path: &str, e: object::read::Error) -> Error {
    Error::Damaged { path: path.to_owned(), reason: format!("it isn't a 64-bit kernel module ({e})") }
}

impl<'a> Elf<'a> {
    fn open(path: &str, bytes: &'a [u8]) -> Result<Self> {
        let open = || {
            let header = elf::FileHeader64::<Endianness>::parse(bytes)?;
            let endian = header.endian()?;
            header.sections(endian, bytes)?;
            Ok(Elf { bytes, endian, header })
        };
        open().map_err(|e| damaged(path, e))
    }

    fn section(&self, name: &str) -> &'a [u8] {
        let find = || {
            let sections = self.header.sections(self.endian, self.bytes).ok()?;
            let (_, section) = sections.section_by_name(self.endian, name.as_bytes())?;
            section.data(self.endian, self.bytes).ok()
        };
        find().unwrap_or_default()
    }

    fn info(&self) -> ModInfo {
        let mut info = ModInfo::default();
        for (key, value) in strings(self.section(".modinfo")).filter_map(|s| split_pair(&s)) {
            match key.as_str() {
                "name" => info.name = Some(value),
                "alias" => info.aliases.push(value),
                "depends" => {
                    info.depends.extend(value.split(',').filter(|d| !d.is_empty()).map(str::to_owned))
                }
                "softdep" => info.softdeps.push(value),
                "weakdep" => info.weakdeps.push(value),
                "firmware" => info.firmware.push(value),
                _ => {}
            }
        }
        info
    }

    /// Exported and needed names. Exports are known by their checksum symbols, or by the table
    /// of their names in kernels without checksums.
    fn symbols(&self, path: &str) -> Result<(Vec<String>, Vec<String>)> {
        let table = self
            .header
            .sections(self.endian, self.bytes)
            .and_then(|s| s.symbols(self.endian, self.bytes, elf::SHT_SYMTAB))
            .map_err(|e| damaged(path, e))?;
        let (mut exports, mut imports) = (Vec::new(), Vec::new());
        for symbol in table.iter().skip(1) {
            let Ok(name) = symbol.name(self.endian, table.strings()) else { continue };
            if symbol.st_shndx(self.endian) == elf::SHN_UNDEF {
                imports.push(String::from_utf8_lossy(name).into_owned());
            } else if let Some(name) = name.strip_prefix(b"__crc_") {
                exports.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        if exports.is_empty() {
            exports.extend(strings(self.section("__ksymtab_strings")));
        }
        let listed: std::collections::HashSet<&String> = imports.iter().collect();
        let more: Vec<String> = self
            .section("__versions")
            .chunks_exact(VERSION_ENTRY)
            .filter_map(|entry| strings(entry.get(8..)?).next())
            .filter(|name| !listed.contains(name))
            .collect();
        imports.extend(more);
        imports.retain(|name| !name.is_empty());
        Ok((exports, imports))
    }
}

/// The NUL-terminated strings of a section, empty ones left out.
pub(super) fn strings(section: &[u8]) -> impl Iterator<Item = String> {
    section.split(|b| *b == 0).filter(|s| !s.is_empty()).map(|s| String::from_utf8_lossy(s).into_owned())
}

/// Splits `key=value`.
pub(super) fn split_pair(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A module with nothing but `.modinfo`: header, contents, three section headers.
    pub(in crate::kmod) fn module(info: &str) -> Vec<u8> {
        let names = b"\0.modinfo\0.shstrtab\0";
        let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        out.extend([1, 0, 62, 0, 1, 0, 0, 0]);
        let table = 64 + info.len() + names.len();
        for long in [0, 0, table as u64] {
            out.extend(long.to_le_bytes());
        }
        out.extend([0; 4]);
        for half in [64u16, 0, 0, 64, 3, 2] {
            out.extend(half.to_le_bytes());
        }
        out.extend(info.as_bytes());
        out.extend(names);
        for (name, kind, offset, len) in
            [(0u32, 0u32, 0, 0), (1, 1, 64, info.len()), (10, 3, 64 + info.len(), names.len())]
        {
            out.extend(name.to_le_bytes());
            out.extend(kind.to_le_bytes());
            for long in [0, 0, offset as u64, len as u64, 0, 1, 0] {
                out.extend(long.to_le_bytes());
            }
        }
        out
    }

    #[test]
    fn modinfo_is_read() {
        let file = module(
            "name=a_b\0alias=pci:v1*\0alias=x\0depends=c,d\0softdep=pre: e\0firmware=f.bin\0license=GPL\0",
        );
        let info = parse_modinfo("a-b.ko", &file).unwrap();
        assert_eq!(info.name.as_deref(), Some("a_b"));
        assert_eq!(info.aliases, ["pci:v1*", "x"]);
        assert_eq!(info.depends, ["c", "d"]);
        assert_eq!(info.softdeps, ["pre: e"]);
        assert_eq!(info.firmware, ["f.bin"]);
        assert!(parse_module("a-b.ko", &file).unwrap().imports.is_empty());
        assert!(matches!(parse_modinfo("a.ko", b"#!/bin/sh"), Err(Error::Damaged { .. })));
    }

    proptest! {
        #[test]
        fn damage_never_panics(damage in proptest::collection::vec((0usize..400, any::<u8>()), 0..6), cut in 0usize..400) {
            let mut data = module("name=a\0alias=b\0depends=c\0");
            for (at, byte) in damage {
                if let Some(b) = data.get_mut(at) { *b = byte; }
            }
            data.truncate(cut);
            let _ = parse_module("a.ko", &data);
        }
    }
}
