//! The libraries a program needs, found in the tree the way the dynamic linker would.

use std::collections::{BTreeMap, BTreeSet};

use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn, FileHeader, SectionHeader};
use object::{Endianness, StringTable};
use twinhull_tree::Tree;

use crate::{Error, Result};

/// Finds libraries of programs in one tree, remembering what it has read.
pub(super) struct Resolver<'a> {
    os: &'a Tree,
    directories: Vec<String>,
    /// What each file needs, by real path.
    needs: BTreeMap<String, Needs>,
}

/// What the dynamic section of a file says.
#[derive(Debug, Clone, Default)]
struct Needs {
    libraries: Vec<String>,
    run_path: Vec<String>,
    interpreter: Option<String>,
    /// Features and libraries of `.note.dlopen`.
    dlopen: Vec<(String, Vec<String>)>,
}

impl<'a> Resolver<'a> {
    /// A resolver over `os` with the directories that its ld.so.conf names.
    pub(super) fn new(os: &'a Tree) -> Result<Self> {
        let mut directories = Vec::new();
        let conf = "/usr/share/factory/etc/ld.so.conf.d";
        for name in os.list(conf) {
            let text = os.read_text([conf.as_bytes(), b"/", &name].concat())?;
            directories.extend(text.lines().map(str::trim).filter(|l| l.starts_with('/')).map(str::to_owned));
        }
        directories.extend(["/usr/lib64", "/usr/lib", "/lib64", "/lib"].map(str::to_owned));
        Ok(Resolver { os, directories, needs: BTreeMap::new() })
    }

    /// Paths of every library and interpreter that the program at `path` needs, directly or not; nothing
    /// for a script or a static program.
    ///
    /// Returns [`Error::Library`] naming who needs what.
    pub(super) fn closure(&mut self, path: &str) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut todo = vec![path.to_owned()];
        // A library that one file found through its run path is there for the files after it too.
        let mut inherited: Vec<String> = Vec::new();
        while let Some(path) = todo.pop() {
            let Some((real, _)) = self.os.resolve(&path)? else { continue };
            let needs = self.needs(&real)?;
            let mut run_path = needs.run_path.clone();
            run_path.extend(inherited.iter().cloned());
            inherited.extend(needs.run_path.iter().filter(|d| !d.contains('$')).cloned());
            for library in &needs.libraries {
                let at = self.find(library, &real, &run_path)?.ok_or_else(|| Error::Library {
                    program: real.clone(),
                    library: library.clone(),
                    searched: run_path.iter().chain(&self.directories).cloned().collect(),
                })?;
                if found.insert(at.clone()) {
                    todo.push(at);
                }
            }
            if let Some(interpreter) = needs.interpreter
                && found.insert(interpreter.clone())
            {
                todo.push(interpreter);
            }
        }
        Ok(found)
    }

    /// Libraries that the files seen so far open by themselves for one of `features`, with what those need.
    /// A library that the tree doesn't have is left out: the feature is optional.
    pub(super) fn dlopen_libraries(&mut self, features: &[&str]) -> Result<BTreeSet<String>> {
        let mut wanted = BTreeSet::new();
        for needs in self.needs.values() {
            for (feature, names) in &needs.dlopen {
                if features.contains(&feature.as_str()) {
                    wanted.extend(names.iter().cloned());
                }
            }
        }
        // Notes may be missing for what systemd always opened: the features' usual names.
        wanted.extend(
            ["libmount.so.1", "libblkid.so.1", "libfdisk.so.1", "libcryptsetup.so.12", "libkmod.so.2"]
                .map(str::to_owned),
        );
        let mut found = BTreeSet::new();
        for name in wanted {
            if let Some(at) = self.find(&name, "", &[])? {
                found.extend(self.closure(&at)?);
                found.insert(at);
            }
        }
        Ok(found)
    }

    /// Refuses a program that needs newer symbols than the tree's C library has.
    ///
    /// Returns [`Error::LibcTooOld`] with both versions.
    pub(super) fn check_libc(&self, program: &str) -> Result<()> {
        let Some(libc) = self.find("libc.so.6", "", &[])? else { return Ok(()) };
        let needed = highest_glibc(&self.os.read(program)?);
        let available = highest_glibc(&self.os.read(&libc)?);
        let shown = |v: (u32, u32)| format!("GLIBC_{}.{}", v.0, v.1);
        if needed > available {
            return Err(Error::LibcTooOld {
                program: program.to_owned(),
                needed: shown(needed),
                available: shown(available),
            });
        }
        Ok(())
    }

    /// The path of a library by its name.
    pub(super) fn library(&self, name: &str) -> Result<Option<String>> {
        self.find(name, "", &[])
    }

    fn find(&self, name: &str, needed_by: &str, run_path: &[String]) -> Result<Option<String>> {
        let origin = needed_by.rsplit_once('/').map_or("", |(dir, _)| dir);
        let own = run_path.iter().map(|dir| dir.replace("$ORIGIN", origin).replace("${ORIGIN}", origin));
        for dir in own.chain(self.directories.iter().cloned()) {
            let path = format!("{dir}/{name}");
            if self.os.resolve(&path)?.is_some() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn needs(&mut self, real: &str) -> Result<Needs> {
        if let Some(known) = self.needs.get(real) {
            return Ok(known.clone());
        }
        let needs = parse(&self.os.read(real)?);
        self.needs.insert(real.to_owned(), needs.clone());
        Ok(needs)
    }
}

/// Reads what a 64-bit ELF file says it needs; anything else, or damage, gives nothing.
fn parse(data: &[u8]) -> Needs {
    parse_elf(data).unwrap_or_default()
}

fn parse_elf(data: &[u8]) -> object::read::Result<Needs> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let mut needs = Needs::default();
    if let Some((dynamic, link)) = sections.dynamic(endian, data)? {
        let strings: StringTable<'_> = sections.strings(endian, data, link)?;
        for entry in dynamic {
            let text = || entry.string(endian, strings).map(|s| String::from_utf8_lossy(s).into_owned());
            match entry.tag(endian) {
                elf::DT_NEEDED => needs.libraries.push(text()?),
                elf::DT_RUNPATH | elf::DT_RPATH => {
                    needs.run_path.extend(text()?.split(':').filter(|d| !d.is_empty()).map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    if let Some((_, section)) = sections.section_by_name(endian, b".interp") {
        let path = section.data(endian, data)?;
        let path = path.strip_suffix(b"\0").unwrap_or(path);
        needs.interpreter = Some(String::from_utf8_lossy(path).into_owned());
    }
    if let Some((_, section)) = sections.section_by_name(endian, b".note.dlopen")
        && let Some(mut notes) = section.notes(endian, data)?
    {
        while let Some(note) = notes.next()? {
            needs.dlopen.extend(dlopen_note(note.desc()));
        }
    }
    Ok(needs)
}

/// One note's JSON: a list of features with the names their library may have.
fn dlopen_note(desc: &[u8]) -> Vec<(String, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Feature {
        #[serde(default)]
        feature: String,
        #[serde(default)]
        soname: Vec<String>,
    }
    let end = desc.iter().position(|b| *b == 0).unwrap_or(desc.len());
    let features: Vec<Feature> = serde_json::from_slice(&desc[..end]).unwrap_or_default();
    features.into_iter().map(|f| (f.feature, f.soname)).collect()
}

/// The highest `GLIBC_x.y` that occurs in a file, (0, 0) for none.
fn highest_glibc(data: &[u8]) -> (u32, u32) {
    let mut highest = (0, 0);
    let marker = b"GLIBC_";
    let mut at = 0;
    while let Some(found) = data[at..].windows(marker.len()).position(|w| w == marker) {
        at += found + marker.len();
        let digits = data[at..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count().min(12);
        let text = String::from_utf8_lossy(&data[at..at + digits]);
        let mut parts = text.split('.').map(str::parse::<u32>);
        if let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) {
            highest = highest.max((major, minor));
        }
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_and_versions() {
        let note =
            br#"[{"feature":"kmod","description":"x","priority":"recommended","soname":["libkmod.so.2"]}]"#;
        assert_eq!(dlopen_note(note), [("kmod".to_owned(), vec!["libkmod.so.2".to_owned()])]);
        assert!(dlopen_note(b"nonsense").is_empty());
        assert_eq!(highest_glibc(b"\0GLIBC_2.4\0GLIBC_2.34\0GLIBC_PRIVATE\0GLIBC_2.17"), (2, 34));
        assert_eq!(highest_glibc(b"nothing"), (0, 0));
        assert!(parse(b"#!/bin/sh").libraries.is_empty());
    }
}
