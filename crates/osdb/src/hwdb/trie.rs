//! Building and writing the hardware database's trie.
//!
//! The file (systemd v257, `hwdb-internal.h`, all numbers little-endian `u64` unless noted) is a
//! header of 80 bytes, the nodes with children before their parents, then the strings. A node is
//! its prefix's offset, a `u8` count of children, 7 bytes of padding, a count of values; then
//! per child its first byte (`u8`, 7 bytes of padding) and its offset; then per value the
//! offsets of key, value and file name, a `u32` line number, a `u16` file priority and 2 bytes
//! of padding. All offsets count from the start of the file.

use crate::strings::StringPool;
use crate::{Error, Result};

pub(super) const SIGNATURE: &[u8; 8] = b"KSLPHHRH";
pub(super) const HEADER: usize = 80;
pub(super) const NODE: usize = 24;
pub(super) const CHILD: usize = 16;
pub(super) const VALUE: usize = 32;

/// Where a property was read.
pub(super) struct Source<'a> {
    /// Path inside the tree.
    pub(super) path: &'a str,
    /// Line number, counted from 1.
    pub(super) line: u32,
    /// Position of the file among the sources, counted from 1; later files win.
    pub(super) priority: u16,
}

/// A radix trie over match patterns.
pub(super) struct Trie {
    pool: StringPool,
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    prefix: usize,
    children: Vec<(u8, usize)>,
    values: Vec<Value>,
}

struct Value {
    key: usize,
    value: usize,
    file: usize,
    line: u32,
    priority: u16,
}

impl Trie {
    /// A trie with an empty root.
    pub(super) fn new() -> Self {
        Trie { pool: StringPool::new(), nodes: vec![Node::default()] }
    }

    /// Adds a property to a pattern, replacing one of the same key. The order in which strings
    /// enter the pool is part of the format's identity with what systemd writes.
    pub(super) fn insert(&mut self, pattern: &[u8], key: &[u8], value: &[u8], source: &Source<'_>) {
        let mut here = 0;
        let mut rest = pattern;
        loop {
            let Some(node) = self.nodes.get(here) else { return };
            let prefix = self.pool.get(node.prefix);
            let same = prefix.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if let Some(byte) = prefix.get(same).copied() {
                let head = prefix.get(..same).unwrap_or_default().to_vec();
                self.split(here, &head, byte);
            }
            rest = rest.get(same..).unwrap_or_default();
            let Some((byte, after)) = rest.split_first() else {
                return self.add_value(here, key, value, source);
            };
            let Some(node) = self.nodes.get(here) else { return };
            match node.children.binary_search_by_key(byte, |(b, _)| *b) {
                Ok(at) => {
                    here = node.children.get(at).map_or(usize::MAX, |(_, child)| *child);
                    rest = after;
                }
                Err(at) => {
                    let prefix = self.pool.add(after);
                    let child = self.nodes.len();
                    self.nodes.push(Node { prefix, ..Node::default() });
                    if let Some(node) = self.nodes.get_mut(here) {
                        node.children.insert(at, (*byte, child));
                    }
                    return self.add_value(child, key, value, source);
                }
            }
        }
    }

    /// Shortens a node's prefix to `head`; what it held moves to a new child at `byte`.
    fn split(&mut self, here: usize, head: &[u8], byte: u8) {
        let prefix = self.pool.add(head);
        let child = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(here) {
            let mut moved = std::mem::take(node);
            moved.prefix += head.len() + 1;
            node.prefix = prefix;
            node.children.push((byte, child));
            self.nodes.push(moved);
        }
    }

    fn add_value(&mut self, here: usize, key: &[u8], value: &[u8], source: &Source<'_>) {
        let new = Value {
            key: self.pool.add(key),
            value: self.pool.add(value),
            file: self.pool.add(source.path.as_bytes()),
            line: source.line,
            priority: source.priority,
        };
        let pool = &self.pool;
        if let Some(node) = self.nodes.get_mut(here) {
            match node.values.binary_search_by(|old| pool.get(old.key).cmp(key)) {
                Ok(at) => {
                    if let Some(old) = node.values.get_mut(at) {
                        *old = Value { key: old.key, ..new };
                    }
                }
                Err(at) => node.values.insert(at, new),
            }
        }
    }

    /// The nodes so that children come before their parents and in the order of their bytes.
    fn post_order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut todo = vec![0];
        while let Some(here) = todo.pop() {
            order.push(here);
            todo.extend(self.nodes.get(here).iter().flat_map(|n| n.children.iter().map(|(_, c)| *c)));
        }
        order.reverse();
        order
    }

    /// The whole file.
    pub(super) fn write(&self, version: u64) -> Result<Vec<u8>> {
        let size = |n: &Node| NODE + CHILD * n.children.len() + VALUE * n.values.len();
        let strings = HEADER + self.nodes.iter().map(size).sum::<usize>();
        let mut out = vec![0; HEADER];
        out.reserve(strings + self.pool.bytes().len());
        let mut offsets = vec![0u64; self.nodes.len()];
        let mut root = 0;
        for here in self.post_order() {
            let Some(node) = self.nodes.get(here) else { continue };
            root = out.len() as u64;
            if let Some(offset) = offsets.get_mut(here) {
                *offset = root;
            }
            let children = u8::try_from(node.children.len()).map_err(|_| Error::DoesNotFit {
                database: "the hardware database",
                reason: "more than 255 different bytes follow one prefix".into(),
            })?;
            let string = |offset: usize| ((strings + offset) as u64).to_le_bytes();
            out.extend_from_slice(&string(node.prefix));
            out.extend_from_slice(&[children, 0, 0, 0, 0, 0, 0, 0]);
            out.extend_from_slice(&(node.values.len() as u64).to_le_bytes());
            for (byte, child) in &node.children {
                out.extend_from_slice(&[*byte, 0, 0, 0, 0, 0, 0, 0]);
                out.extend_from_slice(&offsets.get(*child).copied().unwrap_or(0).to_le_bytes());
            }
            for value in &node.values {
                for offset in [value.key, value.value, value.file] {
                    out.extend_from_slice(&string(offset));
                }
                out.extend_from_slice(&value.line.to_le_bytes());
                out.extend_from_slice(&value.priority.to_le_bytes());
                out.extend_from_slice(&[0, 0]);
            }
        }
        let nodes_len = (out.len() - HEADER) as u64;
        out.extend_from_slice(self.pool.bytes());
        let pool_len = self.pool.bytes().len() as u64;
        let mut header = SIGNATURE.to_vec();
        let sizes = [HEADER as u64, NODE as u64, CHILD as u64, VALUE as u64];
        for field in [version, out.len() as u64].into_iter().chain(sizes).chain([root, nodes_len, pool_len]) {
            header.extend_from_slice(&field.to_le_bytes());
        }
        out.splice(..HEADER, header);
        Ok(out)
    }
}
