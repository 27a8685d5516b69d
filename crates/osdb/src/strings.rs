//! The string pool that systemd's databases end with.
//!
//! Both the message catalogue and the hardware database point into one run of NUL-terminated
//! strings, where a string that ends an earlier one shares its bytes. To come out byte for byte
//! as systemd's `strbuf` does, strings have to be shared exactly when it would: it keeps the
//! strings in a trie from their last byte backwards and gives a new string its own leaf.

/// Pool of NUL-terminated strings in which common ends are stored once. Offset 0 is the empty
/// string.
#[derive(Debug)]
pub(crate) struct StringPool {
    bytes: Vec<u8>,
    nodes: Vec<Leaf>,
}

/// One stored string, and the leaves below it by their next byte from the end, sorted.
#[derive(Debug, Default)]
struct Leaf {
    offset: usize,
    len: usize,
    next: Vec<(u8, usize)>,
}

impl StringPool {
    /// A pool with only the empty string.
    pub(crate) fn new() -> Self {
        StringPool { bytes: vec![0], nodes: vec![Leaf::default()] }
    }

    /// Stores `text`, which must not contain NUL, and returns its offset in bytes.
    pub(crate) fn add(&mut self, text: &[u8]) -> usize {
        if text.is_empty() {
            return 0;
        }
        let mut here = 0;
        let mut backwards = text.iter().rev();
        while let Some(leaf) = self.nodes.get(here) {
            let stored = self.bytes.get(leaf.offset..leaf.offset + leaf.len).unwrap_or_default();
            if stored.ends_with(text) {
                return leaf.offset + leaf.len - text.len();
            }
            let Some(byte) = backwards.next() else { break };
            match leaf.next.binary_search_by_key(byte, |(b, _)| *b) {
                Ok(at) => here = leaf.next.get(at).map_or(0, |(_, child)| *child),
                Err(at) => {
                    let child = self.nodes.len();
                    if let Some(leaf) = self.nodes.get_mut(here) {
                        leaf.next.insert(at, (*byte, child));
                    }
                    break;
                }
            }
        }
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        self.nodes.push(Leaf { offset, len: text.len(), next: Vec::new() });
        offset
    }

    /// The string at `offset`, without its NUL.
    pub(crate) fn get(&self, offset: usize) -> &[u8] {
        crate::input::c_str(&self.bytes, offset).unwrap_or_default()
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_shared() {
        let mut pool = StringPool::new();
        assert_eq!(pool.add(b""), 0);
        assert_eq!(pool.add(b"foobar"), 1);
        assert_eq!(pool.add(b"bar"), 4);
        assert_eq!(pool.add(b"foobar"), 1);
        assert_eq!(pool.add(b"foo"), 8);
        assert_eq!(pool.add(b"xbar"), 12);
        assert_eq!(pool.add(b"yxbar"), 17);
        assert_eq!(pool.bytes(), b"\0foobar\0foo\0xbar\0yxbar\0");
        assert_eq!(pool.get(4), b"bar");
    }
}
