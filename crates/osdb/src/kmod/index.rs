//! kmod's binary index, a radix trie from names or wildcard patterns to values.
//!
//! Format (kmod 34's depmod; numbers are big-endian `u32`): magic 0xB007F457, version
//! 0x00020001, the root's offset; then nodes, parents before their children (kmod 30 wrote
//! children first; readers don't mind). A node is, each part only if its flag is set in the
//! offset that points to it: its prefix with NUL (0x80000000); first and last byte of its
//! children and an offset for each byte between (0x20000000); a count of values and for each a
//! priority and a NUL-terminated string (0x40000000). The low 28 bits of an offset count from the
//! file's start; 0 is no node.

use std::collections::BTreeMap;

use crate::input::c_str;
use crate::{Error, Result, glob};

const MAGIC: u32 = 0xB007_F457;
const VERSION: u32 = 0x0002_0001;
const PREFIX: u32 = 0x8000_0000;
const VALUES: u32 = 0x4000_0000;
const CHILDREN: u32 = 0x2000_0000;
const OFFSET: u32 = 0x0FFF_FFFF;
/// Most nodes that one lookup visits, so that a damaged file with circles ends.
const VISIT_LIMIT: u32 = 4_000_000;
/// Most nodes that wait to be visited.
const TODO_LIMIT: usize = 100_000;
/// Longest key followed, in bytes; depmod's are below 1 KiB.
const KEY_LIMIT: usize = 4096;

/// An index being built.
pub(super) struct Index {
    /// What is kept, for messages.
    database: &'static str,
    keys: BTreeMap<Vec<u8>, Vec<(u32, String)>>,
}

impl Index {
    pub(super) fn new(database: &'static str) -> Self {
        Index { database, keys: BTreeMap::new() }
    }

    /// Adds a value to a key. Values come out by ascending priority; of equal ones the last
    /// added comes first.
    pub(super) fn insert(&mut self, key: &str, value: &str, priority: u32) -> Result<()> {
        if !key.is_ascii() || !value.is_ascii() || key.contains('\0') || value.contains('\0') {
            return Err(self.error(format!("{key:?} isn't ASCII")));
        }
        let values = self.keys.entry(key.as_bytes().to_vec()).or_default();
        let at = values.partition_point(|(p, _)| *p < priority);
        values.insert(at, (priority, value.to_owned()));
        Ok(())
    }

    fn error(&self, reason: String) -> Error {
        Error::DoesNotFit { database: self.database, reason }
    }

    /// The whole file.
    pub(super) fn write(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for number in [MAGIC, VERSION, 0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        let keys: Vec<Entry<'_>> = self.keys.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).collect();
        let root = self.nodes(&keys, &mut out)?;
        out.splice(8..12, root.to_be_bytes());
        Ok(out)
    }

    /// Writes the trie for sorted keys and returns the root's flagged offset. Keeps its own
    /// stack, since a key may be as deep as it is long.
    fn nodes(&self, keys: &[Entry<'_>], out: &mut Vec<u8>) -> Result<u32> {
        let full = || self.error("it would be larger than 256 MiB".into());
        let root = Node::new(keys, 0, true);
        let (offset, table) = root.write(out).ok_or_else(full)?;
        let mut todo = root.children(table);
        while let Some((group, depth, slot)) = todo.pop() {
            let node = Node::new(group, depth, false);
            let (child, table) = node.write(out).ok_or_else(full)?;
            if let Some(bytes) = out.get_mut(slot..slot + 4) {
                bytes.copy_from_slice(&child.to_be_bytes());
            }
            todo.extend(node.children(table));
        }
        Ok(offset)
    }
}

type Entry<'a> = (&'a [u8], &'a [(u32, String)]);

/// A node about to be written.
struct Node<'a> {
    prefix: &'a [u8],
    values: &'a [(u32, String)],
    /// Keys below this node by their next byte, in its order.
    groups: Vec<(u8, &'a [Entry<'a>])>,
    /// Length of the keys' part that is in this node and those above it.
    depth: usize,
}

impl<'a> Node<'a> {
    /// The node of keys that agree in their first `depth` bytes. The root has no prefix.
    fn new(keys: &'a [Entry<'a>], depth: usize, root: bool) -> Self {
        let first = keys.first().map_or(&[][..], |(k, _)| k.get(depth..).unwrap_or_default());
        let last = keys.last().map_or(&[][..], |(k, _)| k.get(depth..).unwrap_or_default());
        let same = if root { 0 } else { first.iter().zip(last).take_while(|(a, b)| a == b).count() };
        let depth = depth + same;
        let (values, rest) = match keys.split_first() {
            Some(((key, values), rest)) if key.len() == depth => (*values, rest),
            _ => (&[][..], keys),
        };
        let groups = rest
            .chunk_by(|(a, _), (b, _)| a.get(depth) == b.get(depth))
            .filter_map(|group| Some((*group.first()?.0.get(depth)?, group)))
            .collect();
        Node { prefix: first.get(..same).unwrap_or_default(), values, groups, depth }
    }

    /// The children's keys, the length of their known part and the place for their offset, the
    /// first child last.
    fn children(&self, table: usize) -> Vec<(&'a [Entry<'a>], usize, usize)> {
        let first = self.groups.first().map_or(0, |(byte, _)| *byte);
        let child = |(byte, group): &(u8, &'a [Entry<'a>])| {
            (*group, self.depth + 1, table + 4 * usize::from(byte.saturating_sub(first)))
        };
        self.groups.iter().rev().map(child).collect()
    }

    /// Writes the node with empty places for its children and returns its flagged offset and
    /// where these places start; `None` when the file gets too large.
    fn write(&self, out: &mut Vec<u8>) -> Option<(u32, usize)> {
        let mut offset = u32::try_from(out.len()).ok().filter(|o| *o <= OFFSET)?;
        if !self.prefix.is_empty() {
            offset |= PREFIX;
            out.extend_from_slice(self.prefix);
            out.push(0);
        }
        let mut table = out.len();
        if let (Some((first, _)), Some((last, _))) = (self.groups.first(), self.groups.last()) {
            offset |= CHILDREN;
            out.extend_from_slice(&[*first, *last]);
            table = out.len();
            out.resize(table + 4 * (usize::from(last.saturating_sub(*first)) + 1), 0);
        }
        if !self.values.is_empty() {
            offset |= VALUES;
            out.extend_from_slice(&u32::try_from(self.values.len()).ok()?.to_be_bytes());
            for (priority, value) in self.values {
                out.extend_from_slice(&priority.to_be_bytes());
                out.extend_from_slice(value.as_bytes());
                out.push(0);
            }
        }
        Some((offset, table))
    }
}

/// Looks a name up in a binary index: all values of keys that match it as wildcard patterns,
/// by priority, as `(priority, value)`.
///
/// Returns [`Error::Damaged`] for other formats and for offsets that point outside.
pub fn lookup_index(data: &[u8], name: &str) -> Result<Vec<(u32, String)>> {
    let damaged = |reason: &str| Error::Damaged { path: "the module index".into(), reason: reason.into() };
    if (be32(data, 0), be32(data, 4)) != (Some(MAGIC), Some(VERSION)) {
        return Err(damaged("it isn't of kmod's format 2.1"));
    }
    let mut found = Vec::new();
    let mut todo = vec![(be32(data, 8).unwrap_or(0), Vec::new())];
    let mut visits = 0;
    while let Some((offset, mut key)) = todo.pop() {
        visits += 1;
        if visits > VISIT_LIMIT || todo.len() > TODO_LIMIT || key.len() > KEY_LIMIT {
            return Err(damaged("its nodes form a circle"));
        }
        let node = read_node(data, offset).ok_or_else(|| damaged("a node points outside of the file"))?;
        key.extend_from_slice(node.prefix);
        let plain = key.iter().position(|b| matches!(b, b'*' | b'?' | b'[')).unwrap_or(key.len());
        if !name.as_bytes().starts_with(key.get(..plain).unwrap_or_default()) {
            continue;
        }
        if !node.values.is_empty() && glob::matches(&key, name.as_bytes()) {
            found.extend(node.values);
        }
        for (byte, child) in node.children {
            let mut longer = key.clone();
            longer.push(byte);
            todo.push((child, longer));
        }
    }
    found.sort();
    Ok(found)
}

struct RawNode<'a> {
    prefix: &'a [u8],
    children: Vec<(u8, u32)>,
    values: Vec<(u32, String)>,
}

fn read_node(data: &[u8], offset: u32) -> Option<RawNode<'_>> {
    let mut at = usize::try_from(offset & OFFSET).ok()?;
    let mut node = RawNode { prefix: &[], children: Vec::new(), values: Vec::new() };
    if offset & PREFIX != 0 {
        node.prefix = c_str(data, at)?;
        at += node.prefix.len() + 1;
    }
    if offset & CHILDREN != 0 {
        let (first, last) = (*data.get(at)?, *data.get(at + 1)?);
        at += 2;
        for byte in first..=last {
            match be32(data, at)? {
                0 => {}
                child => node.children.push((byte, child)),
            }
            at += 4;
        }
    }
    if offset & VALUES != 0 {
        let count = be32(data, at)?;
        at += 4;
        for _ in 0..count {
            let value = c_str(data, at.checked_add(4)?)?;
            node.values.push((be32(data, at)?, String::from_utf8_lossy(value).into_owned()));
            at += 5 + value.len();
        }
    }
    Some(node)
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn built(entries: &[(&str, &str, u32)]) -> Vec<u8> {
        let mut index = Index::new("modules.alias.bin");
        for (key, value, priority) in entries {
            index.insert(key, value, *priority).unwrap();
        }
        index.write().unwrap()
    }

    #[test]
    fn lookups_match_wildcards() {
        let data =
            built(&[("pci:v1*", "one", 5), ("pci:v1d2", "two", 3), ("pci:*", "all", 9), ("usb", "u", 1)]);
        let values = |name: &str| -> Vec<String> {
            lookup_index(&data, name).unwrap().into_iter().map(|(_, v)| v).collect()
        };
        assert_eq!(values("pci:v1d2"), ["two", "one", "all"]);
        assert_eq!(values("pci:v2"), ["all"]);
        assert_eq!(values("usb"), ["u"]);
        assert_eq!(values("us"), [""; 0]);
        assert_eq!(lookup_index(&built(&[]), "x").unwrap(), []);
    }

    #[test]
    fn the_layout_is_known_to_the_byte() {
        let expected = [
            &b"\xB0\x07\xF4\x57\x00\x02\x00\x01\x20\x00\x00\x0C"[..],
            b"aa\x20\0\0\x12",
            b"st\xC0\0\0\x1C\x40\0\0\x27",
            b"k\0\0\0\0\x01\0\0\0\0\0",
            b"\0\0\0\x01\0\0\0\x07v\0",
        ]
        .concat();
        assert_eq!(built(&[("at", "v", 7), ("ask", "", 0)]), expected);
        assert!(Index::new("x").insert("ä", "", 0).is_err());
    }

    proptest! {
        #[test]
        fn every_key_is_found(keys in proptest::collection::btree_set("[a-d_]{0,6}", 0..20)) {
            let entries: Vec<(&str, &str, u32)> = keys.iter().map(|k| (k.as_str(), k.as_str(), 1)).collect();
            let data = built(&entries);
            for key in &keys {
                prop_assert_eq!(lookup_index(&data, key).unwrap(), [(1, key.clone())]);
            }
        }

        #[test]
        fn damage_never_panics(damage in proptest::collection::vec((8usize..120, any::<u8>()), 0..6), cut in 0usize..120) {
            let mut data = built(&[("pci:v1*", "one", 5), ("pci:v1d2", "two", 3), ("usb", "u", 1)]);
            for (at, byte) in damage {
                if let Some(b) = data.get_mut(at) { *b = byte; }
            }
            data.truncate(cut);
            let _ = lookup_index(&data, "pci:v1d2");
        }
    }
}
