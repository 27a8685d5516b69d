//! What the writer writes, the reader reads; and the reader stands whatever it is given.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use twinhull_sysutil::store::Store;
use twinhull_tree::{DeviceNumber, Kind, Metadata, Node, Timestamp, Tree};

use super::reader::{FileType, Reader};
use super::{Algorithm, BLOCK, Compression, Options, write};
use crate::Result;

fn image(tree: &Tree, options: &Options<'_>) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let len = write(tree, options, &mut out, &mut |_| ()).unwrap();
    let mut bytes = out.into_inner();
    bytes.truncate(len as usize);
    bytes
}

fn with(algorithm: Option<Algorithm>, cluster: u32) -> Options<'static> {
    let compression = algorithm.map(|algorithm| Compression { algorithm, cluster });
    Options { compression, ..Options::new([7; 16], 1_700_000_000) }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

fn sample() -> Tree {
    let mut tree = Tree::new();
    let words = b"words that come again and again, ".repeat(9000);
    for len in [0, 1, 4000, 4095, 4096, 4097, 8192, 8193, 12_289, 70_000, 262_144, 290_000] {
        tree.insert(format!("/words/{len}"), Node::file(words[..len].to_vec())).unwrap();
        tree.insert(format!("/noise/{len}"), Node::file(noise(len, len as u64))).unwrap();
        tree.insert(format!("/again/{len}"), Node::file(words[..len].to_vec())).unwrap();
    }
    let mut mixed = Vec::new();
    for n in 0..40 {
        mixed.extend(noise(10_000 + n * 777, n as u64));
        mixed.extend_from_slice(&words[..20_000 + n * 333]);
        mixed.extend(std::iter::repeat_n(0, n * 5000));
    }
    tree.insert("/mixed", Node::file(mixed)).unwrap();
    let mut long = noise(3 << 20, 5);
    long.resize(11 << 20, 0);
    long.extend(words.iter().cycle().take(6 << 20));
    tree.insert("/long", Node::file(long)).unwrap();
    tree.insert("/long-noise", Node::file(noise((9 << 20) + 5, 9))).unwrap();
    for n in 0..700 {
        tree.insert(format!("/many/a longer name of the file {n:04}"), Node::file(format!("{n}"))).unwrap();
    }
    let meta = Metadata {
        mode: 0o4711,
        uid: 1000,
        gid: 100_000,
        mtime: Timestamp { secs: -3, nanos: 999_999_999 },
        xattrs: [(b"user.a".to_vec(), vec![1; 300]), (b"security.capability".to_vec(), vec![2; 20])].into(),
    };
    let data = Kind::file(b"held by two names".to_vec());
    tree.insert("/one", Node { meta: meta.clone(), kind: data.clone() }).unwrap();
    tree.insert("/two", Node { meta: meta.clone(), kind: data }).unwrap();
    tree.insert("/packed with attributes", Node { meta: meta.clone(), kind: Kind::file(words) }).unwrap();
    for (name, kind) in [
        ("/link", Kind::Symlink(b"../words".to_vec())),
        ("/long link", Kind::Symlink(vec![b'l'; 4095])),
        ("/null", Kind::CharDevice(DeviceNumber { major: 1, minor: 3 })),
        ("/disk", Kind::BlockDevice(DeviceNumber { major: 259, minor: 70_000 })),
        ("/pipe", Kind::Fifo),
        ("/socket", Kind::Socket),
    ] {
        tree.insert(name, Node { meta: meta.clone(), kind }).unwrap();
    }
    // The superblock's time and small owners: compact inodes.
    tree.for_each_mut(|path, node| {
        if path.starts_with(b"/many") || path.starts_with(b"/words") {
            node.meta.mtime = Timestamp { secs: 1_700_000_000, nanos: 0 };
        }
    });
    tree
}

fn compare(tree: &Tree, image: &[u8]) {
    let reader = Reader::new(image).unwrap();
    assert_eq!(reader.length, image.len() as u64);
    let mut expected = tree.walk();
    reader
        .walk(|path, inode| -> Result<()> {
            let shown = String::from_utf8_lossy(path);
            let (at, node) = expected.next().unwrap();
            assert_eq!(shown, String::from_utf8_lossy(&at));
            assert_eq!(
                (inode.mode, inode.uid, inode.gid),
                (node.meta.mode, node.meta.uid, node.meta.gid),
                "{shown}"
            );
            assert_eq!(inode.mtime, node.meta.mtime, "{shown}");
            assert_eq!(reader.xattrs(inode)?, node.meta.xattrs, "{shown}");
            let mut data = Vec::new();
            let mut read = || reader.open(inode).and_then(|mut r| Ok(r.read_to_end(&mut data)?));
            match &node.kind {
                Kind::Directory(entries) => assert_eq!(reader.entries(inode)?.len(), entries.len() + 2),
                Kind::File(content) => {
                    read()?;
                    assert!(data == content.content.read()?, "{shown}");
                }
                Kind::Symlink(target) => {
                    read()?;
                    assert_eq!(data, *target, "{shown}");
                }
                Kind::CharDevice(d) | Kind::BlockDevice(d) => assert_eq!(inode.device(), *d, "{shown}"),
                Kind::Fifo => assert_eq!(inode.kind, FileType::Fifo),
                Kind::Socket => assert_eq!(inode.kind, FileType::Socket),
            }
            Ok(())
        })
        .unwrap();
    assert!(expected.next().is_none());
}

#[test]
fn everything_comes_back() {
    let tree = sample();
    let plain = image(&tree, &with(None, 0));
    compare(&tree, &plain);
    for (algorithm, cluster) in [
        (Algorithm::Lz4, 4096),
        (Algorithm::Lz4, 65_536),
        (Algorithm::Lz4hc(4), 16_384),
        (Algorithm::Zstd(3), 4096),
        (Algorithm::Zstd(3), 32_768),
        (Algorithm::Zstd(1), 1 << 20),
    ] {
        let packed = image(&tree, &with(Some(algorithm), cluster));
        compare(&tree, &packed);
        assert!(packed.len() < plain.len(), "{algorithm}");
    }
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let tree = sample();
    for algorithm in [None, Some(Algorithm::Lz4), Some(Algorithm::Zstd(3))] {
        let options = with(algorithm, 65_536);
        let one = image(&tree, &Options { workers: 1, ..options });
        assert!(one == image(&tree, &Options { workers: 5, ..options }));
    }
}

#[test]
fn equal_files_and_zeros_take_no_room() {
    let data = noise(200_000, 1);
    let mut tree = Tree::new();
    tree.insert("/a", Node::file(data.clone())).unwrap();
    let once = image(&tree, &with(None, 0)).len();
    tree.insert("/b", Node::file(data)).unwrap();
    assert!(image(&tree, &with(None, 0)).len() <= once + BLOCK as usize);
    let mut sparse = vec![0; 64 << 20];
    sparse[40 << 20] = 1;
    tree.insert("/sparse", Node::file(sparse)).unwrap();
    let plain = image(&tree, &with(None, 0));
    assert!(plain.len() < once + (150 << 10), "{}", plain.len());
    compare(&tree, &plain);
}

/// A store in memory that counts.
#[derive(Default)]
struct Memory {
    values: Mutex<HashMap<[u8; 32], Vec<u8>>>,
    hits: AtomicUsize,
}

impl Store for Memory {
    fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        let found = self.values.lock().unwrap().get(key).cloned();
        self.hits.fetch_add(usize::from(found.is_some()), Ordering::Relaxed);
        found
    }

    fn put(&self, key: &[u8; 32], _: &[u8], value: &[u8]) {
        self.values.lock().unwrap().insert(*key, value.to_vec());
    }
}

#[test]
fn a_store_saves_work_and_changes_nothing() {
    let tree = sample();
    let store = Memory::default();
    let cold = with(Some(Algorithm::Lz4hc(6)), 65_536);
    let warm = Options { store: Some(&store), ..cold };
    let want = image(&tree, &cold);
    assert!(image(&tree, &warm) == want);
    assert!(image(&tree, &warm) == want);
    let (kept, hits) = (store.values.lock().unwrap().len(), store.hits.load(Ordering::Relaxed));
    assert!(hits >= kept, "{hits} of {kept}");
    // Values that were cut short are not used.
    for value in store.values.lock().unwrap().values_mut() {
        value.truncate(value.len() / 2);
    }
    assert!(image(&tree, &warm) == want);
}

/// Reads whatever there is, bounded, and must neither panic nor hang.
fn read_all(image: &[u8]) {
    let Ok(reader) = Reader::new(image) else { return };
    let mut budget = 64_u64 << 20;
    let _ = reader.walk(|_, inode| -> Result<()> {
        let _ = reader.xattrs(inode);
        if let Ok(mut file) = reader.open(inode) {
            budget = budget.saturating_sub(
                std::io::copy(&mut (&mut file).take(budget), &mut std::io::sink()).unwrap_or(0),
            );
        }
        Ok(())
    });
}

fn small(algorithm: Option<Algorithm>) -> Vec<u8> {
    let mut tree = Tree::new();
    for n in 0..20_usize {
        let text = format!("line {n}\n").repeat(n * n * 20);
        tree.insert(format!("/d{}/f{n}", n % 3), Node::file(text)).unwrap();
    }
    tree.insert("/hole", Node::file(vec![0; 2 << 20])).unwrap();
    image(&tree, &with(algorithm, 16_384))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn damage_never_panics(which in 0_usize..3, flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40), cut: prop::sample::Index, cuts: bool) {
        static IMAGES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let images = IMAGES.get_or_init(|| [None, Some(Algorithm::Lz4), Some(Algorithm::Zstd(1))].map(small).to_vec());
        let mut bytes = images[which].clone();
        // Metadata is at the end; most damage goes there, where the structure is.
        let from = bytes.len().saturating_sub(8 << 10);
        for (index, byte) in flips {
            let at = from + index.index(bytes.len() - from);
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }
}

#[test]
fn data_is_in_blocks_and_tails() {
    let mut tree = Tree::new();
    tree.insert("/noise", Node::file(noise(100_000, 3))).unwrap();
    tree.insert("/tail", Node::file(noise(5000, 4))).unwrap();
    // Packed into as many blocks as its flat form has whole ones, but without that one's tail.
    tree.insert("/words", Node::file(b"words and words, ".repeat(420))).unwrap();
    tree.insert("/zeros", Node::file(vec![0; 1 << 20])).unwrap();
    tree.insert("/empty", Node::file("")).unwrap();
    for options in [with(None, 4096), with(Some(Algorithm::Lz4), 65_536)] {
        let bytes = image(&tree, &options);
        let reader = Reader::new(bytes.as_slice()).unwrap();
        let mut sum = 0;
        let walked = reader.walk(|path, inode| -> Result<()> {
            let stored = reader.places(inode)?.iter().map(|(_, len)| len).sum::<u64>();
            sum += stored;
            match path {
                b"/noise" => assert!((100_000..100_000 + BLOCK).contains(&stored), "{stored}"),
                b"/tail" => assert!((5000..=2 * BLOCK).contains(&stored), "{stored}"),
                b"/words" if options.compression.is_some() => assert_eq!(stored, BLOCK),
                b"/zeros" => assert!(stored <= 64 << 10, "{stored}"),
                b"/empty" => assert_eq!(stored, 0),
                _ => {}
            }
            Ok(())
        });
        walked.unwrap();
        assert!(sum < bytes.len() as u64);
    }
}
