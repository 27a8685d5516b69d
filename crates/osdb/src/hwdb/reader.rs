//! Looking devices up in a hardware database, to check what was written.

use std::collections::BTreeMap;

use super::trie::{CHILD, HEADER, NODE, SIGNATURE, VALUE};
use crate::input::{c_str, le32, le64};
use crate::{Error, Result, glob};

/// Most nodes that one lookup visits, so that a damaged file with circles ends.
const VISIT_LIMIT: u32 = 10_000_000;
/// Most nodes that wait to be visited.
const TODO_LIMIT: usize = 100_000;
/// Longest pattern followed, in bytes; systemd's own are below 1 KiB.
const PATTERN_LIMIT: usize = 16 << 10;

/// A hardware database in memory.
#[derive(Debug)]
pub struct HwdbReader<'a> {
    data: &'a [u8],
    root: usize,
}

impl<'a> HwdbReader<'a> {
    /// Checks the header of a `hwdb.bin` with version 2 values (systemd 233 and later).
    ///
    /// Returns [`Error::Damaged`] when signature, sizes or lengths are off.
    pub fn parse(data: &'a [u8]) -> Result<Self> {
        let field = |index: usize| le64(data, 8 + 8 * index).and_then(|n| usize::try_from(n).ok());
        let sizes = [field(2), field(3), field(4), field(5)];
        if data.get(..8) != Some(SIGNATURE) || sizes != [HEADER, NODE, CHILD, VALUE].map(Some) {
            return Err(damaged("its header isn't one of this format"));
        }
        match (field(1), field(6)) {
            (Some(size), Some(root)) if size == data.len() => Ok(HwdbReader { data, root }),
            _ => Err(damaged("its length isn't the one that its header tells")),
        }
    }

    /// All properties of a device, later sources winning.
    ///
    /// Returns [`Error::Damaged`] when an offset points outside of the file.
    pub fn query(&self, modalias: &str) -> Result<BTreeMap<String, String>> {
        let mut found: BTreeMap<String, (u16, u32, String)> = BTreeMap::new();
        let mut todo = vec![(self.root, Vec::new())];
        let mut visits = 0;
        while let Some((at, mut pattern)) = todo.pop() {
            visits += 1;
            if visits > VISIT_LIMIT || todo.len() > TODO_LIMIT || pattern.len() > PATTERN_LIMIT {
                return Err(damaged("its nodes form a circle"));
            }
            let outside = || damaged("a node points outside of the file");
            let node = self.node(at).ok_or_else(outside)?;
            pattern.extend_from_slice(node.prefix);
            let plain = pattern.iter().position(|b| matches!(b, b'*' | b'?' | b'[' | b'\\'));
            let literal = pattern.get(..plain.unwrap_or(pattern.len())).unwrap_or_default();
            if !modalias.as_bytes().starts_with(literal) {
                continue;
            }
            if glob::matches(&pattern, modalias.as_bytes()) {
                for value in node.values.chunks_exact(VALUE) {
                    let (key, text, rank) = self.value(value).ok_or_else(outside)?;
                    let better = found.get(&key).is_none_or(|(p, l, _)| (*p, *l) <= rank);
                    if better {
                        found.insert(key, (rank.0, rank.1, text));
                    }
                }
            }
            for child in node.children.chunks_exact(CHILD) {
                let offset = le64(child, 8).and_then(|n| usize::try_from(n).ok()).ok_or_else(outside)?;
                let mut longer = pattern.clone();
                longer.extend(child.first());
                todo.push((offset, longer));
            }
        }
        Ok(found.into_iter().map(|(key, (_, _, text))| (key, text)).collect())
    }

    fn node(&self, at: usize) -> Option<RawNode<'a>> {
        let head = self.data.get(at..at.checked_add(NODE)?)?;
        let children = at + NODE;
        let values = children.checked_add(usize::from(*head.get(8)?) * CHILD)?;
        let end = usize::try_from(le64(head, 16)?).ok()?.checked_mul(VALUE)?.checked_add(values)?;
        Some(RawNode {
            prefix: c_str(self.data, usize::try_from(le64(head, 0)?).ok()?)?,
            children: self.data.get(children..values)?,
            values: self.data.get(values..end)?,
        })
    }

    /// Key without its leading blank, value, and file priority with line number.
    fn value(&self, raw: &[u8]) -> Option<(String, String, (u16, u32))> {
        let text = |at| {
            let bytes = c_str(self.data, usize::try_from(le64(raw, at)?).ok()?)?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let priority = u16::from_le_bytes(raw.get(28..30)?.try_into().ok()?);
        Some((text(0)?.trim_start().to_owned(), text(8)?, (priority, le32(raw, 24)?)))
    }
}

/// The parts of a node in the file.
struct RawNode<'a> {
    prefix: &'a [u8],
    children: &'a [u8],
    values: &'a [u8],
}

fn damaged(reason: &str) -> Error {
    Error::Damaged { path: "the hardware database".into(), reason: reason.into() }
}
