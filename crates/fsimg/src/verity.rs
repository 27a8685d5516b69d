//! dm-verity hash trees: format 1, SHA-256, blocks of 4096 bytes, with a superblock
//! (Documentation/admin-guide/device-mapper/verity in the kernel, and cryptsetup's on-disk format).

use std::fs::File;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Size of data and hash blocks in bytes.
pub const BLOCK: u64 = 4096;

const DIGEST: usize = 32;
const PER_BLOCK: u64 = BLOCK / DIGEST as u64;
const MAGIC: &[u8; 8] = b"verity\0\0";

/// A root hash: the one number that stands for the whole data.
pub type RootHash = [u8; DIGEST];

/// What determines a hash tree besides the data.
#[derive(Debug, Clone)]
pub struct Options {
    /// UUID in the superblock, big-endian bytes.
    pub uuid: [u8; 16],
    /// Salt that goes before every block that is hashed, at most 256 bytes.
    pub salt: Vec<u8>,
}

/// Blocks of each level for `data_blocks`, leaves first.
fn levels(data_blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut blocks = data_blocks;
    while blocks > 1 {
        blocks = blocks.div_ceil(PER_BLOCK);
        levels.push(blocks);
    }
    levels
}

/// Length in bytes of superblock and tree for data of `data_len` bytes.
pub fn tree_len(data_len: u64) -> u64 {
    (1 + levels(data_len.div_ceil(BLOCK)).iter().sum::<u64>()) * BLOCK
}

/// Hashes `data_len` bytes (a multiple of [`BLOCK`]) of `file` from `data_offset` and writes the tree to
/// the same file at `hash_offset`. Uses all processors.
pub fn write(
    file: &File,
    data_offset: u64,
    data_len: u64,
    hash_offset: u64,
    options: &Options,
) -> Result<RootHash> {
    let (header, layers, root) = compute(file, data_offset, data_len, options)?;
    file.write_all_at(&header, hash_offset)?;
    let mut at = hash_offset + BLOCK;
    for layer in layers.iter().rev() {
        file.write_all_at(layer, at)?;
        at += layer.len() as u64;
    }
    Ok(root)
}

/// Checks that the data and every block of the tree match, down from `root`.
///
/// Returns [`Error::Damaged`] for a superblock that isn't ours and [`Error::Mismatch`] with the first
/// wrong block.
pub fn verify(
    file: &File,
    data_offset: u64,
    data_room: u64,
    hash_offset: u64,
    root: &RootHash,
) -> Result<u64> {
    let found = read_superblock(file, hash_offset)?;
    let data_len = found.data_blocks * BLOCK;
    if data_len > data_room {
        return Err(damaged(
            hash_offset,
            format!("it covers {data_len} bytes, the partition has {data_room}"),
        ));
    }
    let (_, layers, computed) = compute(file, data_offset, data_len, &found.options)?;
    let mut at = hash_offset + BLOCK;
    let mut stored = Vec::new();
    for layer in layers.iter().rev() {
        let mut bytes = vec![0; layer.len()];
        file.read_exact_at(&mut bytes, at)?;
        at += bytes.len() as u64;
        stored.push(bytes);
    }
    stored.reverse();
    if let (Some(have), Some(want)) = (layers.first(), stored.first())
        && let Some(wrong) = have.chunks(DIGEST).zip(want.chunks(DIGEST)).position(|(a, b)| a != b)
    {
        return Err(Error::Mismatch { block: wrong as u64, what: "the data or its hash was altered" });
    }
    if stored != layers {
        return Err(Error::Mismatch { block: 0, what: "a hash inside the tree was altered" });
    }
    if computed != *root {
        return Err(Error::Mismatch { block: 0, what: "the tree is another image's: its root hash differs" });
    }
    Ok(data_len)
}

struct Superblock {
    data_blocks: u64,
    options: Options,
}

fn read_superblock(file: &File, offset: u64) -> Result<Superblock> {
    let mut sb = [0; 512];
    file.read_exact_at(&mut sb, offset)?;
    let word = |at: usize| u32::from_le_bytes([sb[at], sb[at + 1], sb[at + 2], sb[at + 3]]);
    let supported = sb[..8] == *MAGIC
        && word(8) == 1
        && word(12) == 1
        && sb[32..39] == *b"sha256\0"
        && u64::from(word(64)) == BLOCK
        && u64::from(word(68)) == BLOCK;
    if !supported {
        return Err(damaged(offset, "no hash tree of format 1 with SHA-256 and 4096-byte blocks".into()));
    }
    let salt_len = usize::from(u16::from_le_bytes([sb[80], sb[81]]));
    let salt = sb[88..].get(..salt_len.min(256)).unwrap_or_default().to_vec();
    let data_blocks = u64::from(word(72)) | u64::from(word(76)) << 32;
    if data_blocks > u64::MAX / BLOCK {
        return Err(damaged(offset, format!("{data_blocks} blocks are more than a disk can have")));
    }
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&sb[16..32]);
    Ok(Superblock { data_blocks, options: Options { uuid, salt } })
}

fn damaged(offset: u64, reason: String) -> Error {
    Error::Damaged { format: "verity superblock", offset, reason }
}

/// Superblock padded to a block, the levels leaves first, and the root hash.
type Computed = (Vec<u8>, Vec<Vec<u8>>, RootHash);

fn compute(file: &File, offset: u64, len: u64, options: &Options) -> Result<Computed> {
    if len == 0 || !len.is_multiple_of(BLOCK) || options.salt.len() > 256 {
        return Err(Error::BadSize(format!(
            "{len} bytes can't have a hash tree: whole 4096-byte blocks are needed"
        )));
    }
    let mut layers: Vec<Vec<u8>> = Vec::new();
    let mut below = hash_file(file, offset, len, &options.salt)?;
    while below.len() > DIGEST {
        below.resize(below.len().next_multiple_of(BLOCK as usize), 0);
        let above = hash_blocks(&below, &options.salt);
        layers.push(below);
        below = above;
    }
    let mut root = [0; DIGEST];
    root.copy_from_slice(&below);
    let mut header = Vec::with_capacity(BLOCK as usize);
    header.extend(MAGIC);
    header.extend(1_u32.to_le_bytes()); // superblock version
    header.extend(1_u32.to_le_bytes()); // hash format
    header.extend(options.uuid);
    header.extend(b"sha256");
    header.resize(64, 0);
    header.extend((BLOCK as u32).to_le_bytes());
    header.extend((BLOCK as u32).to_le_bytes());
    header.extend((len / BLOCK).to_le_bytes());
    header.extend((options.salt.len() as u16).to_le_bytes());
    header.resize(88, 0);
    header.extend(&options.salt);
    header.resize(BLOCK as usize, 0);
    Ok((header, layers, root))
}

/// Digests of all blocks in `bytes`, joined.
fn hash_blocks(bytes: &[u8], salt: &[u8]) -> Vec<u8> {
    let salted = Sha256::new_with_prefix(salt);
    let digest = |block: &[u8]| salted.clone().chain_update(block).finalize();
    bytes.chunks(BLOCK as usize).flat_map(digest).collect()
}

/// Digests of all blocks in a range of a file, joined; the range is shared out over the processors.
fn hash_file(file: &File, offset: u64, len: u64, salt: &[u8]) -> Result<Vec<u8>> {
    const CHUNK: u64 = 1 << 20;
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let share = len.div_ceil(workers).next_multiple_of(CHUNK);
    let hash_range = |from: u64, to: u64| -> Result<Vec<u8>> {
        let mut digests = Vec::with_capacity(((to - from) / PER_BLOCK) as usize);
        let mut buffer = vec![0; CHUNK as usize];
        let mut at = from;
        while at < to {
            let now = &mut buffer[..(to - at).min(CHUNK) as usize];
            file.read_exact_at(now, offset + at)?;
            digests.extend(hash_blocks(now, salt));
            at += now.len() as u64;
        }
        Ok(digests)
    };
    std::thread::scope(|scope| {
        let hash_range = &hash_range;
        let handles: Vec<_> = (0..len.div_ceil(share))
            .map(|n| scope.spawn(move || hash_range(n * share, len.min((n + 1) * share))))
            .collect();
        let mut all = Vec::with_capacity((len / PER_BLOCK) as usize);
        for handle in handles {
            let part = handle.join().map_err(|_| std::io::Error::other("a hashing thread panicked"))?;
            all.extend(part?);
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_byte_is_found_wherever_it_is() {
        for blocks in [1_u64, 2, 127, 128, 129, 700] {
            let len = blocks * BLOCK;
            let file = tempfile::tempfile().unwrap();
            let data: Vec<u8> = (0..len).map(|n| ((n * n) >> 7) as u8).collect();
            file.write_all_at(&data, 8192).unwrap();
            let hash_at = 8192 + len;
            let options = Options { uuid: [3; 16], salt: vec![9; 32] };
            let root = write(&file, 8192, len, hash_at, &options).unwrap();
            assert_eq!(file.metadata().unwrap().len(), hash_at + tree_len(len));
            assert_eq!(verify(&file, 8192, len, hash_at, &root).unwrap(), len);
            let mut places = vec![8192 + len / 2, 8192 + len - 1];
            if blocks > 1 {
                places.push(hash_at + BLOCK + 5);
            }
            for at in places {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ 1], at).unwrap();
                assert!(verify(&file, 8192, len, hash_at, &root).is_err(), "{blocks} blocks, byte {at}");
                file.write_all_at(&byte, at).unwrap();
            }
        }
    }
}
