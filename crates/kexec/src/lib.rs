//! Loads the kernel of a UKI into the running kernel, which then starts it without the firmware.
//!
//! What systemd's stub does with a UKI is done here: its kernel, its initrd and its command line are taken out of their
//! sections and given to kexec_file_load(2). A UKI with sections that need the stub, such as a device tree, is refused.
//! [`load()`] takes a kernel and an initrd as they are.

mod error;
mod sys;

use std::ffi::CString;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{MemfdFlags, memfd_create};
use twinhull_uki::{Section, section_table};

pub use error::{Error, Result};

/// Most bytes of a UKI that can hold its section table.
const HEAD: u64 = 64 << 10;
/// Longest command line, in bytes (`COMMAND_LINE_SIZE` of x86-64 and arm64).
const CMDLINE_MAX: usize = 2048;
/// Bytes that are compared at once.
const CHUNK: usize = 64 << 10;
/// Most bytes of a kernel or an initrd.
const PART_MAX: usize = 1 << 30;

/// What only the stub can hand to a kernel.
const STUBS_WORK: &[&str] =
    &[".ucode", ".dtb", ".dtbauto", ".hwids", ".efifw", ".pcrsig", ".pcrpkey", ".profile"];

/// Where a UKI has what a kernel is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    kernel: Section,
    initrd: Section,
    cmdline: Section,
}

impl Parts {
    /// Finds them in a UKI that begins with `head`.
    ///
    /// Returns [`Error::Uki`] when one is missing, there twice or larger than any real one, and [`Error::Stub`] for a UKI
    /// that needs systemd's stub.
    pub fn find(head: &[u8]) -> Result<Self> {
        let table = section_table("UKI", head).map_err(|error| Error::Uki(error.to_string()))?;
        if let Some(section) = table.iter().find(|section| STUBS_WORK.contains(&section.name.as_str())) {
            return Err(Error::Stub(section.name.clone()));
        }
        let one = |name: &str, max: usize| {
            let mut found = table.iter().filter(|section| section.name == name);
            let section = found.next().ok_or_else(|| Error::Uki(format!("it has no section {name}")))?;
            if found.next().is_some() {
                return Err(Error::Uki(format!("it has two sections {name}")));
            }
            if section.size == 0 || section.size > max {
                let size = section.size;
                return Err(Error::Uki(format!("its section {name} has {size} bytes, 1 to {max} are known")));
            }
            Ok(section.clone())
        };
        Ok(Parts {
            kernel: one(".linux", PART_MAX)?,
            initrd: one(".initrd", PART_MAX)?,
            cmdline: one(".cmdline", CMDLINE_MAX)?,
        })
    }
}

/// A UKI in a file.
#[derive(Debug)]
pub struct Uki {
    file: fs_err::File,
    parts: Parts,
}

impl Uki {
    /// Opens a UKI and finds its parts.
    ///
    /// Returns [`Error::Io`] and what [`Parts::find`] returns.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = fs_err::File::open(path)?;
        let mut head = Vec::new();
        (&mut file).take(HEAD).read_to_end(&mut head)?;
        Ok(Uki { parts: Parts::find(&head)?, file })
    }

    /// Its command line, without space around it.
    ///
    /// Returns [`Error::Io`] and [`Error::Uki`] when it is no text.
    pub fn cmdline(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.part(|parts| &parts.cmdline)?.read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::Uki("its command line is no text".into()))?;
        Ok(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// Makes the kernel's part the next that is started by a kexec, with `word` at the end of its command line.
    ///
    /// Returns [`Error::Io`], [`Error::Uki`], [`Error::CommandLine`] and [`Error::Refused`]; nothing is loaded then.
    pub fn load(&mut self, word: &str) -> Result<()> {
        let text = format!("{} {word}", self.cmdline()?);
        command_line(&text)?;
        let kernel = self.in_memory("kernel", |parts| &parts.kernel)?;
        let initrd = self.in_memory("initrd", |parts| &parts.initrd)?;
        load(&kernel, &initrd, &text)
    }

    /// Its kernel's bytes.
    ///
    /// Returns [`Error::Io`].
    pub fn kernel(&mut self) -> Result<impl Read + '_> {
        self.part(|parts| &parts.kernel)
    }

    /// Whether another UKI has the same kernel and the same initrd.
    ///
    /// Returns [`Error::Io`].
    pub fn same_kernel(&mut self, other: &mut Uki) -> Result<bool> {
        for which in [(|parts| &parts.kernel) as fn(&Parts) -> &Section, |parts| &parts.initrd] {
            if which(&self.parts).size != which(&other.parts).size {
                return Ok(false);
            }
            let (mut ours, mut theirs) = (self.part(which)?, other.part(which)?);
            let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
            loop {
                let read = ours.read(&mut a)?;
                if read == 0 {
                    break;
                }
                theirs.read_exact(&mut b[..read])?;
                if a[..read] != b[..read] {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn part(&mut self, which: fn(&Parts) -> &Section) -> Result<impl Read + '_> {
        let section = which(&self.parts);
        self.file.seek(SeekFrom::Start(section.offset as u64))?;
        Ok((&mut self.file).take(section.size as u64))
    }

    /// A part as a file of its own, which is what the kernel takes.
    fn in_memory(&mut self, name: &str, which: fn(&Parts) -> &Section) -> Result<std::fs::File> {
        let size = which(&self.parts).size as u64;
        let memory = memfd_create(name, MemfdFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let mut memory = std::fs::File::from(memory);
        let copied = std::io::copy(&mut self.part(which)?, &mut memory)?;
        if copied != size {
            return Err(Error::Uki(format!("it ends inside its {name}")));
        }
        memory.flush()?;
        Ok(memory)
    }
}

/// Makes a kernel and its initrd, each the whole content of a file, the next that is started by a kexec.
///
/// Returns [`Error::CommandLine`] and [`Error::Refused`]; nothing is loaded then.
pub fn load(kernel: &std::fs::File, initrd: &std::fs::File, cmdline: &str) -> Result<()> {
    let line = command_line(cmdline)?;
    sys::load(kernel.as_fd(), initrd.as_fd(), &line).map_err(Error::Refused)
}

fn command_line(text: &str) -> Result<CString> {
    let line = CString::new(text).map_err(|_| Error::CommandLine(text.len()))?;
    if text.len() >= CMDLINE_MAX { Err(Error::CommandLine(text.len())) } else { Ok(line) }
}

/// Forgets what was loaded.
///
/// Returns [`Error::Refused`].
pub fn unload() -> Result<()> {
    sys::unload().map_err(Error::Refused)
}

#[cfg(test)]
mod tests;
