//! udev's hardware database, `/usr/lib/udev/hwdb.bin`.
//!
//! udev looks every device up in it, and `systemd-hwdb update` can't write to an immutable
//! `/usr`. Sources are `*.hwdb` files: records of match lines (wildcard patterns for a device's
//! modalias), then indented `KEY=value` lines, then an empty line. The binary format is that of
//! systemd v257's `hwdb-internal.h`; see [`trie`].

mod reader;
mod trie;

use twinhull_tree::Tree;

use crate::input::{conf_files, read_optional};
use crate::{Error, Result};
pub use reader::HwdbReader;
use trie::{Source, Trie};

/// Where sources are, the first winning.
const DIRS: [&str; 2] = ["/etc/udev/hwdb.d", "/usr/lib/udev/hwdb.d"];
/// Largest source file, in bytes; the largest known one has 5 MiB.
const LIMIT: u64 = 64 << 20;
/// Longest line, in bytes.
const LINE_LIMIT: usize = 1 << 20;

/// The sources of a tree's hardware database: its `*.hwdb` files that aren't empty, as path and text, in the order
/// in which they count. A file in `/etc/udev/hwdb.d` hides the file of the same name in `/usr/lib/udev/hwdb.d`.
///
/// Returns [`Error::TooLarge`] for a file over 64 MiB.
pub fn hwdb_sources(tree: &Tree) -> Result<Vec<(String, Vec<u8>)>> {
    let mut sources = Vec::new();
    for path in conf_files(tree, &DIRS, ".hwdb") {
        if let Some(text) = read_optional(tree, &path, LIMIT, "a hardware database source")?
            && !text.is_empty()
        {
            sources.push((path, text));
        }
    }
    Ok(sources)
}

/// Writes the hardware database from its `sources`. `version` goes into the header's tool version field, systemd's
/// release number (257); readers ignore it.
///
/// Lines that make no sense are skipped as `systemd-hwdb` does without `--strict`. Returns [`Error::BadLine`] for
/// a line over 1 MiB and [`Error::DoesNotFit`] when more than 255 different bytes follow one prefix.
pub fn hwdb(sources: &[(String, Vec<u8>)], version: u64) -> Result<Vec<u8>> {
    let mut trie = Trie::new();
    let mut priority = 0u16;
    for (path, text) in sources {
        priority = priority.checked_add(1).ok_or_else(|| Error::DoesNotFit {
            database: "the hardware database",
            reason: "it has more than 65535 sources".into(),
        })?;
        import(&mut trie, path, priority, text)?;
    }
    trie.write(version)
}

/// Puts the records of one file into the trie.
fn import(trie: &mut Trie, path: &str, priority: u16, text: &[u8]) -> Result<()> {
    let mut matches: Vec<&[u8]> = Vec::new();
    let mut in_data = false;
    for (line, number) in text.split(|b| matches!(b, b'\n' | 0)).zip(1u32..) {
        if line.len() > LINE_LIMIT {
            let reason = "the line is longer than 1 MiB".to_owned();
            return Err(Error::BadLine { path: path.to_owned(), line: number, reason });
        }
        if line.first() == Some(&b'#') {
            continue;
        }
        let line = line.split(|b| *b == b'#').next().unwrap_or_default();
        let line = trim_end(line);
        let indented = line.first() == Some(&b' ');
        if line.is_empty() || (in_data && !indented) {
            // The end of a record, or a match line in the middle of one, which spoils the rest.
            matches.clear();
            in_data = false;
        } else if !indented {
            matches.push(line);
        } else if !matches.is_empty() {
            in_data = true;
            if let Some((key, value)) = property(line) {
                for pattern in &matches {
                    trie.insert(pattern, key, value, &Source { path, line: number, priority });
                }
            }
        }
    }
    Ok(())
}

/// Splits ` KEY=value`; the key keeps one blank before it, as the format has it.
fn property(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|b| *b == b'=')?;
    let (mut key, value) = (line.get(..at)?, line.get(at + 1..)?);
    while let [b' ' | b'\t', b' ' | b'\t', ..] = key {
        key = key.get(1..).unwrap_or_default();
    }
    (key.len() > 1).then_some((key, value))
}

/// Without blanks at the end, vertical tabs and form feeds included.
fn trim_end(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\r' | 0x0b | 0x0c] = line {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use twinhull_tree::Node;

    fn built(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tree = Tree::new();
        for (path, text) in files {
            tree.insert(path, Node::file(*text)).unwrap();
        }
        hwdb(&hwdb_sources(&tree).unwrap(), 257).unwrap()
    }

    fn query(data: &[u8], modalias: &str) -> Vec<(String, String)> {
        HwdbReader::parse(data).unwrap().query(modalias).unwrap().into_iter().collect()
    }

    #[test]
    fn records_are_found_by_wildcards() {
        let data = built(&[
            ("/usr/lib/udev/hwdb.d/10-a.hwdb", "usb:v1*\nusb:v2*\n  A=1 # note\n B=x\n\npci:v*:x\n C=3\n"),
            ("/usr/lib/udev/hwdb.d/20-b.hwdb", "usb:v1p2\n A=2\n"),
            ("/usr/lib/udev/hwdb.d/30-c.hwdb", "usb:v1p2\n A=hidden\n"),
            ("/etc/udev/hwdb.d/30-c.hwdb", "zzz\n A=3\n"),
        ]);
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(query(&data, "usb:v1p2"), [pair("A", "2"), pair("B", "x")]);
        assert_eq!(query(&data, "usb:v2p9"), [pair("A", "1"), pair("B", "x")]);
        assert_eq!(query(&data, "pci:v7:x"), [pair("C", "3")]);
        assert!(query(&data, "pci:v7:y").is_empty());
    }

    #[test]
    fn nonsense_is_skipped() {
        let data =
            built(&[("/usr/lib/udev/hwdb.d/a.hwdb", " X=1\nm\n\nn\n novalue\n  =y\n A=1\nstray\n B=2\n")]);
        assert_eq!(query(&data, "n"), [("A".to_owned(), "1".to_owned())]);
        assert!(query(&data, "m").is_empty() && query(&data, "stray").is_empty());
        let mut tree = Tree::new();
        tree.insert("/etc/udev/hwdb.d/a.hwdb", Node::file("")).unwrap();
        assert!(hwdb_sources(&tree).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..400, byte: u8, cut in 80usize..400, name in "[a-z:*]{0,8}") {
            let mut data = built(&[("/etc/udev/hwdb.d/a.hwdb", "ab*\nabc\nx?\n A=1\n B=2\n")]);
            if let Some(b) = data.get_mut(at) { *b = byte; }
            data.truncate(cut);
            if let Ok(reader) = HwdbReader::parse(&data) {
                let _ = reader.query(&name);
            }
        }

        #[test]
        fn any_source_gives_a_readable_database(text in "([a-c*]{0,4}\n| [A-C]=[0-9]\n|\n){0,12}x") {
            let data = built(&[("/etc/udev/hwdb.d/a.hwdb", &text)]);
            HwdbReader::parse(&data).unwrap().query("abc").unwrap();
        }
    }
}
