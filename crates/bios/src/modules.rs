//! Modules behind the kernel: which are needed, in which order, and how they lie there.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Error, Result};

/// `mimg`
const MAGIC: u32 = 0x676d_696d;
/// Kinds of what follows: an ELF object, a script, a prefix.
const ELF: u32 = 0;
const CONFIG: u32 = 2;
const PREFIX: u32 = 3;
/// Bytes of the header before all, and of the one before each.
const INFO: usize = 12;
const HEADER: usize = 8;

/// What each module needs, by moddep.lst.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    needs: BTreeMap<String, Vec<String>>,
}

impl Modules {
    /// Reads moddep.lst: `NAME: NAME NAME` a line.
    pub fn parse(list: &str) -> Self {
        let line = |line: &str| {
            let (name, needs) = line.split_once(':')?;
            Some((name.trim().to_owned(), needs.split_whitespace().map(str::to_owned).collect()))
        };
        Modules { needs: list.lines().filter_map(line).collect() }
    }

    /// `wanted` and all that they need, each after those it needs.
    ///
    /// # Errors
    /// [`Error::NoModule`] for one that the list doesn't have.
    pub fn order(&self, wanted: &[&str]) -> Result<Vec<String>> {
        let (mut seen, mut out) = (BTreeSet::new(), Vec::new());
        for name in wanted {
            self.visit(name, &mut seen, &mut out)?;
        }
        Ok(out)
    }

    fn visit(&self, name: &str, seen: &mut BTreeSet<String>, out: &mut Vec<String>) -> Result<()> {
        if !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let needs = self.needs.get(name).ok_or_else(|| Error::NoModule(name.to_owned()))?;
        // From the last to the first, as grub-mkimage does.
        for need in needs.iter().rev() {
            self.visit(need, seen, out)?;
        }
        out.push(name.to_owned());
        Ok(())
    }
}

/// Puts modules, a script and an empty prefix behind the kernel.
pub(crate) fn append(kernel: &mut Vec<u8>, modules: &[&[u8]], script: &str) {
    let padded = |bytes: usize| bytes.next_multiple_of(4);
    let script = [script.as_bytes(), &[0]].concat();
    let prefix = [0u8];
    let parts = (modules.iter().map(|bytes| (ELF, *bytes)))
        .chain([(CONFIG, script.as_slice()), (PREFIX, prefix.as_slice())]);
    let mut body = Vec::new();
    for (kind, bytes) in parts {
        let size = HEADER + padded(bytes.len());
        body.extend(kind.to_le_bytes());
        body.extend(u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        body.extend(bytes);
        body.resize(padded(body.len()), 0);
    }
    let total = u32::try_from(INFO + body.len()).unwrap_or(u32::MAX);
    for word in [MAGIC, INFO as u32, total] {
        kernel.extend(word.to_le_bytes());
    }
    kernel.extend(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let modules = Modules::parse("linux: video boot\nvideo:\nboot:\nfat: fshelp\nfshelp:\na: b\nb: a\n");
        assert_eq!(
            modules.order(&["linux", "fat", "boot"]).unwrap(),
            ["boot", "video", "linux", "fshelp", "fat"]
        );
        assert_eq!(modules.order(&["a"]).unwrap(), ["b", "a"], "a circle ends");
        assert!(modules.order(&["ext2"]).unwrap_err().to_string().contains("no module ext2"));
    }

    #[test]
    fn each_part_has_its_length() {
        let mut kernel = vec![1, 2, 3, 4];
        append(&mut kernel, &[b"abcde"], "x");
        let word = |at: usize| u32::from_le_bytes(kernel[at..at + 4].try_into().unwrap());
        assert_eq!((word(4), word(8)), (MAGIC, 12));
        assert_eq!(word(12) as usize, kernel.len() - 4);
        // A module of five bytes, padded to eight; a script; a prefix.
        assert_eq!((word(16), word(20)), (ELF, 16));
        assert_eq!((word(32), word(36)), (CONFIG, 12));
        assert_eq!((word(44), word(48), kernel.len()), (PREFIX, 12, 56));
    }
}
