//! The journal's message catalogue, `/var/lib/systemd/catalog/database`.
//!
//! `journalctl -x` explains messages from this file, and nothing in an immutable image can run
//! `journalctl --update-catalog`. Format: systemd v257, `sd-journal/catalog.c`. All numbers are
//! little-endian: a header of 40 bytes (signature `RHHHKSLP`, two `u32` flag words, three `u64`:
//! header size, number of items, item size), items of 56 bytes sorted by id and language (16
//! bytes of id, 32 bytes of NUL-padded language, `u64` offset into the strings), the strings.

use std::collections::HashMap;

use twinhull_tree::Tree;

use crate::input::{c_str, conf_files, le64, read_optional};
use crate::strings::StringPool;
use crate::{Error, Result};

/// Where catalogue sources are, the first winning.
const DIRS: [&str; 2] = ["/usr/local/lib/systemd/catalog", "/usr/lib/systemd/catalog"];
const SIGNATURE: &[u8; 8] = b"RHHHKSLP";
const HEADER: usize = 40;
const ITEM: usize = 56;
/// Largest source file, in bytes; systemd's own have under 100 KiB.
const LIMIT: u64 = 16 << 20;

/// Message id and language; the order of fields is the order in the database.
type Key = ([u8; 16], Vec<u8>);

/// One explanation in a catalogue database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The `MESSAGE_ID`, 16 bytes.
    pub id: [u8; 16],
    /// Language (`de`, `pt_BR`), empty for the one that needs no translation.
    pub language: String,
    /// Header lines, an empty line, the text.
    pub text: String,
}

/// Writes the message catalogue from the `*.catalog` files of a tree.
///
/// Returns `None` when the tree has no catalogue sources, [`Error::BadLine`] for a source that
/// systemd refuses too, and [`Error::TooLarge`] for one over 16 MiB.
pub fn catalog(tree: &Tree) -> Result<Option<Vec<u8>>> {
    let mut messages = Messages::default();
    for path in conf_files(tree, &DIRS, ".catalog") {
        if let Some(text) = read_optional(tree, &path, LIMIT, "a message catalogue")? {
            messages.import(&path, &text)?;
        }
    }
    if messages.list.is_empty() {
        return Ok(None);
    }
    let mut pool = StringPool::new();
    let mut items: Vec<(Key, u64)> =
        messages.list.into_iter().map(|(key, text)| (key, pool.add(&text) as u64)).collect();
    items.sort();
    let mut out = Vec::with_capacity(HEADER + items.len() * ITEM + pool.bytes().len());
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
    for number in [HEADER, items.len(), ITEM] {
        out.extend_from_slice(&(number as u64).to_le_bytes());
    }
    for ((id, language), offset) in items {
        out.extend_from_slice(&id);
        out.extend_from_slice(&language);
        out.resize(out.len() + 32 - language.len(), 0);
        out.extend_from_slice(&offset.to_le_bytes());
    }
    out.extend_from_slice(pool.bytes());
    Ok(Some(out))
}

/// Reads a catalogue database, as [`catalog`] or `journalctl --update-catalog` write it.
///
/// Returns [`Error::Damaged`] when a field points outside.
pub fn parse_catalog(data: &[u8]) -> Result<Vec<CatalogEntry>> {
    let damaged =
        |reason: &str| Error::Damaged { path: "the message catalogue".into(), reason: reason.into() };
    if data.get(..8) != Some(SIGNATURE) {
        return Err(damaged("it doesn't start with its signature"));
    }
    let field = |at| le64(data, at).and_then(|n| usize::try_from(n).ok());
    let (Some(header), Some(count), Some(size)) = (field(16), field(24), field(32)) else {
        return Err(damaged("its header is cut short"));
    };
    let strings = count.checked_mul(size).and_then(|n| n.checked_add(header));
    let Some(strings) = strings.filter(|s| header >= HEADER && size >= ITEM && *s <= data.len()) else {
        return Err(damaged("its items reach outside of the file"));
    };
    let mut entries = Vec::new();
    for item in data.get(header..strings).unwrap_or_default().chunks_exact(size) {
        let entry = || {
            let offset = usize::try_from(le64(item, 48)?).ok()?.checked_add(strings)?;
            let language = item.get(16..48)?.split(|b| *b == 0).next()?;
            Some(CatalogEntry {
                id: item.get(..16)?.try_into().ok()?,
                language: String::from_utf8_lossy(language).into_owned(),
                text: String::from_utf8_lossy(c_str(data, offset)?).into_owned(),
            })
        };
        entries.push(entry().ok_or_else(|| damaged("an item points outside of the file"))?);
    }
    Ok(entries)
}

/// The messages read so far, in the order they were first seen.
#[derive(Default)]
struct Messages {
    list: Vec<(Key, Vec<u8>)>,
    index: HashMap<Key, usize>,
}

impl Messages {
    fn put(&mut self, key: Key, text: Vec<u8>) {
        match self.index.get(&key).and_then(|at| self.list.get_mut(*at)) {
            Some((_, old)) => *old = combine(&text, old),
            None => {
                self.index.insert(key.clone(), self.list.len());
                self.list.push((key, text));
            }
        }
    }

    fn import(&mut self, path: &str, text: &[u8]) -> Result<()> {
        let default = file_language(path);
        let mut current: Option<(Key, Vec<u8>)> = None;
        let mut after_empty = true;
        for (line, number) in text.split(|b| matches!(b, b'\n' | 0)).zip(1u32..) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let bad = |reason: &str| Error::BadLine {
                path: path.to_owned(),
                line: number,
                reason: reason.to_owned(),
            };
            match line.first() {
                None => {
                    after_empty = true;
                    continue;
                }
                Some(b'#' | b';') => continue,
                Some(_) => {}
            }
            if let Some((id, language)) = entry_start(line).filter(|_| after_empty) {
                if let Some((key, text)) = current.take() {
                    if text.is_empty() {
                        return Err(bad("the message before this one has no text"));
                    }
                    self.put(key, text);
                }
                let language = match language {
                    None => default.clone(),
                    Some(l) if (2..32).contains(&l.len()) => l.to_vec(),
                    Some(_) => return Err(bad("a language has 2 to 31 characters")),
                };
                current = Some(((id, language), Vec::new()));
            } else {
                let (_, text) =
                    current.as_mut().ok_or_else(|| bad("there is text before the first message id"))?;
                if after_empty {
                    text.push(b'\n');
                }
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            after_empty = false;
        }
        if let Some((key, text)) = current {
            if text.is_empty() {
                return Err(Error::BadLine {
                    path: path.to_owned(),
                    line: 1,
                    reason: "the last message of the file has no text".into(),
                });
            }
            self.put(key, text);
        }
        Ok(())
    }
}

/// The id, and the language if one is given, of a line such as `-- 8d45620c1a4348dbb17410da57c60c66 de`.
fn entry_start(line: &[u8]) -> Option<([u8; 16], Option<&[u8]>)> {
    let rest = line.strip_prefix(b"-- ")?;
    let language = match rest.get(32) {
        None => None,
        Some(b' ') => Some(rest.get(33..)?.trim_ascii()),
        Some(_) => return None,
    };
    let mut id = [0; 16];
    for (byte, hex) in id.iter_mut().zip(rest.get(..32)?.chunks_exact(2)) {
        let hex = std::str::from_utf8(hex).ok().filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(hex, 16).ok()?;
    }
    Some((id, language))
}

/// The language in a file name such as `systemd.pt_BR.catalog`, or nothing.
fn file_language(path: &str) -> Vec<u8> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.strip_suffix(".catalog").unwrap_or(name);
    match stem.rsplit_once('.') {
        Some((_, language)) if (1..32).contains(&language.len()) => language.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// Joins two texts for one message: the headers of both, then the newer body, or the older one
/// where the newer has none.
fn combine(new: &[u8], old: &[u8]) -> Vec<u8> {
    let (new_head, new_body) = new.split_at(headers_len(new));
    let (old_head, old_body) = old.split_at(headers_len(old));
    [new_head, old_head, if new_body.is_empty() { old_body } else { new_body }].concat()
}

/// Bytes before the first empty line.
fn headers_len(text: &[u8]) -> usize {
    let mut len = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        if line == b"\n" || !line.ends_with(b"\n") {
            break;
        }
        len += line.len();
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use twinhull_tree::Node;

    const ID: &str = "-- 8d45620c1a4348dbb17410da57c60c66";

    fn built(files: &[(&str, &str)]) -> Result<Vec<CatalogEntry>> {
        let mut tree = Tree::new();
        for (name, text) in files {
            tree.insert(format!("/usr/lib/systemd/catalog/{name}"), Node::file(*text)).unwrap();
        }
        parse_catalog(&catalog(&tree)?.unwrap())
    }

    #[test]
    fn languages_come_from_the_name_or_the_line() {
        let text = format!("# x\n{ID}\nSubject: a\n\nbody\n\n\n{ID} fr\nSubject: b\n");
        let entries =
            built(&[("x.catalog", &text), ("x.de.catalog", &format!("{ID}\nSubject: c\n"))]).unwrap();
        let seen: Vec<_> = entries.iter().map(|e| (e.language.as_str(), e.text.as_str())).collect();
        assert_eq!(seen, [("", "Subject: a\n\nbody\n"), ("de", "Subject: c\n"), ("fr", "Subject: b\n")]);
    }

    #[test]
    fn later_files_add_headers_and_replace_the_body() {
        let entries = built(&[
            ("a.catalog", &format!("{ID}\nA: 1\n\nold\n")),
            ("b.catalog", &format!("{ID}\nB: 2\n\nnew\n")),
        ])
        .unwrap();
        assert_eq!(entries[0].text, "B: 2\nA: 1\n\nnew\n");
    }

    #[test]
    fn bad_sources_are_refused() {
        for text in ["text\n", &format!("{ID}\n\n{ID}\nx\n"), &format!("{ID}\n"), &format!("{ID} x\ny\n")] {
            assert!(matches!(built(&[("a.catalog", text)]), Err(Error::BadLine { .. })), "{text}");
        }
        assert!(catalog(&Tree::new()).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..200, byte: u8, cut in 0usize..200) {
            let mut tree = Tree::new();
            tree.insert("/usr/lib/systemd/catalog/a.catalog", Node::file(format!("{ID}\nA: 1\n"))).unwrap();
            let mut data = catalog(&tree).unwrap().unwrap();
            if let Some(b) = data.get_mut(at) { *b = byte; }
            data.truncate(cut);
            let _ = parse_catalog(&data);
        }

        #[test]
        fn any_source_is_read_or_refused(text in "(-- [0-9a-f]{32}( [a-z]{0,3})?\n|[a-zA-Z: ]*\n|\n){0,8}") {
            let mut tree = Tree::new();
            tree.insert("/usr/lib/systemd/catalog/a.catalog", Node::file(text)).unwrap();
            let _ = catalog(&tree);
        }
    }
}
