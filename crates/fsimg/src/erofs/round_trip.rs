//! What the writer writes, the reader reads; and the reader stands whatever it is given.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use twinhull_sysutil::store::Store;
use twinhull_tree::{Node, Tree};

use super::reader::Reader;
use super::{Algorithm, BLOCK, Compression, Options, write};
use crate::Result;
use crate::samples::{compare, noise, read_all, sample};

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
