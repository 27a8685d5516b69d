//! qcow2 version 3 with clusters of 64 KiB, of which only those that hold something are stored.
//!
//! Source: docs/interop/qcow2.txt in QEMU. On disk: header, L1 table, refcount table, data with an L2 table behind
//! each 512 MiB of it, refcount blocks. Everything has a refcount of one; there are no snapshots.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::Result;
use crate::disk::Disk;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;

/// Entries of 8 bytes in a cluster: L2 tables, L1 table, refcount table.
const ENTRIES: u64 = CLUSTER / 8;

/// Refcounts of 16 bits in a refcount block.
const REFCOUNTS: u64 = CLUSTER / 2;

/// Flag of L1 and L2 entries: the refcount is exactly one.
const COPIED: u64 = 1 << 63;

const HEADER_LEN: u32 = 104;

/// Writes `disk` to the empty file `out`.
pub(crate) fn write(disk: &Disk, out: &File, progress: &mut dyn FnMut(u64)) -> Result<()> {
    let l1_len = disk.size().div_ceil(CLUSTER * ENTRIES);
    let l1_clusters = l1_len.div_ceil(ENTRIES);
    // The tables in front have room for a disk without holes.
    let most = 2 + l1_clusters + l1_len + disk.size().div_ceil(CLUSTER);
    let refcount_clusters = refcount_blocks(most).div_ceil(ENTRIES) + 1;
    let l1_at = 1;
    let refcounts_at = l1_at + l1_clusters;
    let mut next = refcounts_at + refcount_clusters;

    let mut l1 = vec![0; l1_len as usize];
    let mut l2: Vec<u64> = Vec::new();
    let mut l2_index = 0;
    let finish_l2 = |l2: &mut Vec<u64>, index: usize, l1: &mut [u64], next: &mut u64| -> Result<()> {
        if !l2.is_empty() {
            out.write_all_at(&table(l2, ENTRIES), *next * CLUSTER)?;
            l1[index] = (*next * CLUSTER) | COPIED;
            *next += 1;
            l2.clear();
        }
        Ok(())
    };
    for chunk in disk.chunks(CLUSTER) {
        let mut chunk = chunk?;
        let number = chunk.offset / CLUSTER;
        let index = (number / ENTRIES) as usize;
        if index != l2_index {
            finish_l2(&mut l2, l2_index, &mut l1, &mut next)?;
            l2_index = index;
        }
        // The disk's last cluster is stored whole.
        chunk.data.resize(CLUSTER as usize, 0);
        out.write_all_at(&chunk.data, next * CLUSTER)?;
        l2.resize((number % ENTRIES) as usize, 0);
        l2.push((next * CLUSTER) | COPIED);
        next += 1;
        progress(chunk.offset);
    }
    finish_l2(&mut l2, l2_index, &mut l1, &mut next)?;

    let blocks = refcount_blocks(next);
    let total = next + blocks;
    let mut refcounts = Vec::new();
    for block in 0..blocks {
        let used = (total - block * REFCOUNTS).min(REFCOUNTS);
        let mut bytes = 1_u16.to_be_bytes().repeat(used as usize);
        bytes.resize(CLUSTER as usize, 0);
        out.write_all_at(&bytes, (next + block) * CLUSTER)?;
        refcounts.push((next + block) * CLUSTER);
    }
    out.write_all_at(&table(&refcounts, refcount_clusters * ENTRIES), refcounts_at * CLUSTER)?;
    out.write_all_at(&table(&l1, l1_clusters * ENTRIES), l1_at * CLUSTER)?;

    let mut header = Vec::new();
    let mut u32s = |values: &[u32]| values.iter().for_each(|v| header.extend(v.to_be_bytes()));
    let halves = |value: u64| [(value >> 32) as u32, value as u32];
    u32s(&[u32::from_be_bytes(*b"QFI\xfb"), 3]);
    u32s(&[0, 0, 0]); // no backing file
    u32s(&[CLUSTER_BITS]);
    u32s(&halves(disk.size()));
    u32s(&[0]); // no encryption
    u32s(&[l1_len as u32]);
    u32s(&halves(l1_at * CLUSTER));
    u32s(&halves(refcounts_at * CLUSTER));
    u32s(&[refcount_clusters as u32]);
    u32s(&[0, 0, 0]); // no snapshots
    u32s(&[0; 6]); // no features
    u32s(&[4]); // refcounts of 1 << 4 bits
    u32s(&[HEADER_LEN]);
    // The end of the header extensions is 8 zeros; the rest of the cluster is as well.
    header.resize(CLUSTER as usize, 0);
    out.write_all_at(&header, 0)?;
    progress(disk.size());
    Ok(())
}

/// How many refcount blocks count `used` clusters and themselves.
fn refcount_blocks(used: u64) -> u64 {
    used.div_ceil(REFCOUNTS - 1)
}

/// A table of big-endian numbers, filled up with zeros to `entries`.
fn table(values: &[u64], entries: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    bytes.resize(entries as usize * 8, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::{content, sample};

    #[test]
    fn refcount_blocks_count_themselves() {
        for (used, want) in [(1, 1), (32767, 1), (32768, 2), (65534, 2), (65535, 3)] {
            assert_eq!(refcount_blocks(used), want, "{used}");
            assert!(want * REFCOUNTS >= used + want);
        }
    }

    #[test]
    fn every_cluster_is_found_through_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let disk = sample(&dir.path().join("a.raw"), 6 << 20);
        let path = dir.path().join("a.qcow2");
        write(&disk, &File::create_new(&path).unwrap(), &mut |_| ()).unwrap();
        let bytes = fs_err::read(&path).unwrap();
        let be = |at: u64| u64::from_be_bytes(bytes[at as usize..][..8].try_into().unwrap());
        assert_eq!(be(24), 6 << 20);
        let l2 = be(be(40)) & !COPIED;
        let mut got = Vec::new();
        for cluster in 0..disk.size() / CLUSTER {
            match be(l2 + cluster * 8) & !COPIED {
                0 => got.extend([0; CLUSTER as usize]),
                at => got.extend(&bytes[at as usize..][..CLUSTER as usize]),
            }
        }
        assert!(got == content(&disk));
        assert_eq!(bytes.len() as u64 % CLUSTER, 0);
        assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    }
}
