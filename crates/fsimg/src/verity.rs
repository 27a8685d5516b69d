//! dm-verity hash trees: format 1, SHA-256, blocks of 4096 bytes, with a superblock
//! (Documentation/admin-guide/device-mapper/verity in the kernel, and cryptsetup's on-disk format).

use std::fs::File;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use crate::{Error, ReadAt, Result};

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

/// As [`verify`], for data and tree in two places of their own, such as the partitions of a running machine: with one
/// hash block a level in memory and half a MiB of data, and on one thread, beside whatever else the machine does.
///
/// Returns the length of the data, or [`Error::Damaged`] for a superblock that isn't ours or doesn't fit and
/// [`Error::Mismatch`] with the first wrong block.
pub fn check(data: &dyn ReadAt, tree: &dyn ReadAt, root: &RootHash) -> Result<u64> {
    let mut sb = [0; 512];
    tree.read_exact_at(&mut sb, 0)?;
    let found = parse_superblock(&sb, 0)?;
    // Neither product nor sum can overflow once the blocks are known to fit into `data`.
    let len = found.data_blocks * BLOCK;
    if len == 0 || len > data.len() || tree_len(len) > tree.len() {
        let rooms = (data.len(), tree.len());
        return Err(damaged(0, format!("it covers {len} bytes, data and tree have room for {rooms:?}")));
    }
    let mut levels = vec![Level { start: 0, blocks: found.data_blocks }];
    levels.extend(self::levels(found.data_blocks).into_iter().map(|blocks| Level { start: 0, blocks }));
    // The block that the root hash is of comes first, the leaves last.
    let mut at = BLOCK;
    for level in levels[1..].iter_mut().rev() {
        level.start = at;
        at += level.blocks * BLOCK;
    }
    let salted = Sha256::new_with_prefix(&found.options.salt);
    Check { data, tree, salted, levels: &levels }.below(levels.len() - 1, 0, root)?;
    Ok(len)
}

/// Blocks of the data (level 0) or of a level of the tree.
struct Level {
    /// Byte offset of the first one.
    start: u64,
    blocks: u64,
}

/// Makes the tree of `data` behind `superblock`, the first 512 bytes of a tree of the same data and salt: by the data
/// alone, with one hash block in memory and on one thread. `write` gets blocks and their byte offset in the tree, and
/// `tree` reads back what was written.
///
/// Returns the root hash; [`Error::Damaged`] for a superblock that isn't ours or not for data of this length.
pub fn rebuild(
    data: &dyn ReadAt,
    superblock: &[u8; 512],
    tree: &dyn ReadAt,
    mut write: impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<RootHash> {
    let found = parse_superblock(superblock, 0)?;
    let len = found.data_blocks * BLOCK;
    if len == 0 || len != data.len() || tree_len(len) > tree.len() {
        let rooms = (data.len(), tree.len());
        return Err(damaged(0, format!("it is for {len} bytes, data and tree have {rooms:?}")));
    }
    let levels = levels(found.data_blocks);
    let mut above: Vec<u64> = levels.iter().map(|blocks| blocks * BLOCK).collect();
    // Of each level the bytes of all that come before it: those nearer to the root.
    let mut at = BLOCK;
    for len in above.iter_mut().rev() {
        at += std::mem::replace(len, at);
    }
    let mut block = superblock.to_vec();
    block.resize(BLOCK as usize, 0);
    write(&block, 0)?;
    let salt = &found.options.salt;
    let (mut below, mut start, mut blocks) = (data, 0, found.data_blocks);
    let mut read = vec![0; (PER_BLOCK * BLOCK) as usize];
    for (level, to) in levels.into_iter().zip(above) {
        for n in 0..level {
            let now = &mut read[..((blocks - n * PER_BLOCK).min(PER_BLOCK) * BLOCK) as usize];
            below.read_exact_at(now, start + n * PER_BLOCK * BLOCK)?;
            let mut hashes = hash_blocks(now, salt);
            hashes.resize(BLOCK as usize, 0);
            write(&hashes, to + n * BLOCK)?;
        }
        (below, start, blocks) = (tree, to, level);
    }
    let mut top = [0; BLOCK as usize];
    below.read_exact_at(&mut top, start)?;
    let mut root = [0; DIGEST];
    root.copy_from_slice(&hash_blocks(&top, salt));
    Ok(root)
}

struct Check<'a> {
    data: &'a dyn ReadAt,
    tree: &'a dyn ReadAt,
    salted: Sha256,
    levels: &'a [Level],
}

impl Check<'_> {
    /// Checks `block` of `level`, whose hash is to be `want`, and all that it has hashes of.
    fn below(&self, level: usize, block: u64, want: &[u8]) -> Result<()> {
        let mut bytes = [0; BLOCK as usize];
        let source = if level == 0 { self.data } else { self.tree };
        source.read_exact_at(&mut bytes, self.levels[level].start + block * BLOCK)?;
        self.compare(&bytes, want, if level == 0 { block } else { self.data_block(level, block) }, level)?;
        if level == 0 {
            return Ok(());
        }
        let first = block * PER_BLOCK;
        let count = (self.levels[level - 1].blocks - first).min(PER_BLOCK);
        let (hashes, rest) = bytes.split_at(count as usize * DIGEST);
        if rest.iter().any(|b| *b != 0) {
            // The superblock, which no hash covers, has fewer blocks than the tree.
            return Err(Error::Mismatch {
                block: self.data_block(level, block),
                what: "the tree has more blocks",
            });
        }
        if level == 1 {
            let mut data = vec![0; (count * BLOCK) as usize];
            self.data.read_exact_at(&mut data, first * BLOCK)?;
            let pairs = data.chunks(BLOCK as usize).zip(hashes.chunks(DIGEST));
            return (first..).zip(pairs).try_for_each(|(n, (bytes, want))| self.compare(bytes, want, n, 0));
        }
        (first..).zip(hashes.chunks(DIGEST)).try_for_each(|(n, want)| self.below(level - 1, n, want))
    }

    /// The first data block that `block` of `level` stands for.
    fn data_block(&self, level: usize, block: u64) -> u64 {
        (0..level).fold(block, |n, _| n.saturating_mul(PER_BLOCK))
    }

    fn compare(&self, bytes: &[u8], want: &[u8], block: u64, level: usize) -> Result<()> {
        if self.salted.clone().chain_update(bytes).finalize()[..] == *want {
            return Ok(());
        }
        let what = if level == 0 {
            "the data or its hash was altered"
        } else if level + 1 == self.levels.len() {
            "the tree is another image's, or its topmost block was altered"
        } else {
            "a hash inside the tree was altered"
        };
        Err(Error::Mismatch { block, what })
    }
}

struct Superblock {
    data_blocks: u64,
    options: Options,
}

fn read_superblock(file: &File, offset: u64) -> Result<Superblock> {
    let mut sb = [0; 512];
    file.read_exact_at(&mut sb, offset)?;
    parse_superblock(&sb, offset)
}

fn parse_superblock(sb: &[u8; 512], offset: u64) -> Result<Superblock> {
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
            let part = |at, len| crate::Part::new(file.try_clone().unwrap(), at, len).unwrap();
            let checked = || check(&part(8192, len), &part(hash_at, tree_len(len)), &root);
            assert_eq!(checked().unwrap(), len);
            let mut superblock = [0; 512];
            file.read_exact_at(&mut superblock, hash_at).unwrap();
            let again = tempfile::tempfile().unwrap();
            again.set_len(tree_len(len)).unwrap();
            let tree = crate::Part::new(again.try_clone().unwrap(), 0, tree_len(len)).unwrap();
            let write = |bytes: &[u8], at| Ok(again.write_all_at(bytes, at)?);
            assert_eq!(rebuild(&part(8192, len), &superblock, &tree, write).unwrap(), root);
            assert_eq!(check(&part(8192, len), &tree, &root).unwrap(), len);
            assert!(rebuild(&part(8192, len - BLOCK), &superblock, &tree, |_, _| Ok(())).is_err());
            assert!(check(&part(8192, len - 1), &part(hash_at, tree_len(len)), &root).is_err());
            assert!(check(&part(8192, len), &part(hash_at, tree_len(len) - 1), &root).is_err());
            let mut places = vec![8192 + len / 2, 8192 + len - 1];
            if blocks > 1 {
                places.extend([hash_at + BLOCK + 5, hash_at + tree_len(len) - 1]);
            }
            // Fewer blocks than there are hashes of.
            places.push(hash_at + 72);
            for at in places {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ 1], at).unwrap();
                assert!(verify(&file, 8192, len, hash_at, &root).is_err(), "{blocks} blocks, byte {at}");
                assert!(checked().is_err(), "{blocks} blocks, byte {at}");
                file.write_all_at(&byte, at).unwrap();
            }
        }
    }
}
