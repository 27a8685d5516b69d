//! Directories as bytes: blocks of sorted entries, each with its names behind it.

use super::BLOCK;
use crate::numbered::Entry;

const DIRENT: usize = 12;

/// How many of `entries` fit the first block, always at least one.
fn take_block(entries: &[Entry<'_>]) -> usize {
    let mut used = 0;
    for (n, entry) in entries.iter().enumerate() {
        used += DIRENT + entry.name.len();
        if used > BLOCK as usize {
            return n;
        }
    }
    entries.len()
}

/// Length in bytes of a directory's data: whole blocks, the last one cut behind its last name.
pub(super) fn size(mut entries: &[Entry<'_>]) -> u64 {
    let mut size = 0;
    while !entries.is_empty() {
        let (now, rest) = entries.split_at(take_block(entries));
        size += if rest.is_empty() {
            now.iter().map(|e| DIRENT + e.name.len()).sum::<usize>() as u64
        } else {
            BLOCK
        };
        entries = rest;
    }
    size
}

/// A directory's data; `nid` gives the node number of an inode by its index in the plan.
pub(super) fn encode(mut entries: &[Entry<'_>], nid: impl Fn(usize) -> u64) -> Vec<u8> {
    let mut out = Vec::new();
    while !entries.is_empty() {
        let (now, rest) = entries.split_at(take_block(entries));
        let start = out.len();
        let mut name_offset = now.len() * DIRENT;
        for entry in now {
            out.extend(nid(entry.target).to_le_bytes());
            out.extend((name_offset as u16).to_le_bytes());
            out.extend([entry.file_type, 0]);
            name_offset += entry.name.len();
        }
        for entry in now {
            out.extend(entry.name);
        }
        if !rest.is_empty() {
            out.resize(start + BLOCK as usize, 0);
        }
        entries = rest;
    }
    out
}
