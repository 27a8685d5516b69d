//! Updates with patches, and patches that are wrong.

use proptest::prelude::*;
use twinhull_fsimg::erofs::{Algorithm, Compression};
use twinhull_tree::{Node, Tree};

use super::{Patches, codec, write_patches};
use crate::samples::{bytes, erofs, ext4, tree, update_patched};
use crate::{Error, Reuse};

const PACKING: Option<Compression> = Some(Compression { algorithm: Algorithm::Lz4, cluster: 65_536 });

/// The tree with a long file of which some bytes are others and some are new.
fn rebuilt() -> Tree {
    let mut file = bytes(1000, 1_500_000);
    file.splice(100_000..100_000, bytes(77, 3000));
    file.iter_mut().step_by(2500).for_each(|byte| *byte ^= 0x55);
    let mut tree = tree();
    tree.insert("/d3/large", Node::file(file)).unwrap();
    tree
}

fn patches(old: &[u8], new: &[u8], compression: Option<Compression>) -> Vec<u8> {
    let mut out = Vec::new();
    write_patches(&old, &new, compression, &mut out).unwrap();
    out
}

#[test]
fn a_rebuilt_file_costs_its_patch() {
    for (packed, make) in
        [(true, (|t| erofs(t, true)) as fn(&Tree) -> _), (false, |t| erofs(t, false)), (false, ext4)]
    {
        let (old, new) = (make(&tree()), make(&rebuilt()));
        let patches = patches(&old, &new, PACKING.filter(|_| packed));
        assert!(patches.len() < 20_000, "{}", patches.len());
        let mut target = vec![0; new.len()];
        let cost = update_patched(&[&old], &new, &mut target, Reuse::Extents, Some(&patches)).unwrap();
        assert!(target == new);
        assert!(cost.plan.totals.patched > 500_000, "{:?}", cost.plan.totals);
        assert!(cost.image < 130_000, "{}", cost.image);
        // The second try finds what the first one wrote.
        let again = update_patched(&[&old], &new, &mut target, Reuse::Extents, Some(&patches)).unwrap();
        assert!(again.plan.steps.is_empty());
    }
}

/// A tree with kernel modules of a release, as a distribution packs them.
fn kernel(release: &str, change: u8) -> Tree {
    let mut tree = tree();
    for n in 0..6_u64 {
        // The last one is so short that it lies behind its inode.
        let mut module = bytes(n, if n == 5 { 3000 } else { 300_000 });
        module.iter_mut().step_by(20_000).for_each(|byte| *byte ^= change);
        let packed = super::xz::pack(&module).unwrap();
        tree.insert(format!("/lib/modules/{release}/kernel/m{n}.ko.xz"), Node::file(packed)).unwrap();
    }
    tree
}

#[test]
fn modules_of_another_kernel_cost_what_is_in_them() {
    for make in [(|t| erofs(t, true)) as fn(&Tree) -> _, |t| erofs(t, false), ext4] {
        let (old, new) = (make(&kernel("6.12.1", 0)), make(&kernel("6.12.2", 1)));
        let patches = patches(&old, &new, PACKING);
        let table = Patches::parse(&patches).unwrap();
        let xz = table.entries.iter().filter(|entry| entry.xz).count();
        assert_eq!(xz, 6, "{:?}", table.entries);
        assert!(patches.len() < 20_000, "{}", patches.len());
        let mut target = vec![0; new.len()];
        let cost = update_patched(&[&old], &new, &mut target, Reuse::Extents, Some(&patches)).unwrap();
        assert!(target == new);
        assert!(cost.plan.totals.patched > 5 * 150_000, "{:?}", cost.plan.totals);
    }
}

#[test]
fn a_part_of_what_an_xz_file_has_is_no_patch() {
    let (old, new) = (erofs(&kernel("6.12.1", 0), true), erofs(&kernel("6.12.2", 1), true));
    let good = Patches::parse(&patches(&old, &new, PACKING)).unwrap();
    for range in [1..300_000, 0..(8 << 20) + 1] {
        let mut table = good.clone();
        table.entries.iter_mut().filter(|entry| entry.xz).for_each(|entry| entry.old = range.clone());
        let parsed = Patches::parse(&table.encode().unwrap());
        assert!(matches!(parsed, Err(Error::BadIndex(text)) if text.contains("xz")), "{range:?}: {parsed:?}");
    }
}

#[test]
fn files_that_moved_in_more_ways_than_one_are_other_files() {
    let file = |seed| Node::file(bytes(seed, 200_000));
    let mut before = tree();
    for path in ["/a/1/x", "/a/2/x", "/b/1/y", "/c/1/z"] {
        before.insert(path, file(7)).unwrap();
    }
    let mut after = tree();
    // From two places, from one with two other folders, from one that is a folder deeper.
    for path in ["/a/3/x", "/d/2/y", "/c/1/2/z"] {
        let mut data = bytes(7, 200_000);
        data[100_000] ^= 1;
        after.insert(path, Node::file(data)).unwrap();
    }
    let (old, new) = (erofs(&before, true), erofs(&after, true));
    let table = Patches::parse(&patches(&old, &new, PACKING)).unwrap();
    assert!(table.entries.is_empty(), "{:?}", table.entries);
}

#[test]
fn a_file_of_several_parts_gets_several_patches() {
    let mut file: Vec<u8> = bytes(5, 500_000).repeat(18);
    let (mut before, mut after) = (tree(), tree());
    before.insert("/d5/huge", Node::file(file.clone())).unwrap();
    file.splice(0..0, bytes(6, 30_000));
    file.iter_mut().step_by(50_000).for_each(|byte| *byte ^= 0x55);
    after.insert("/d5/huge", Node::file(file)).unwrap();
    let (old, new) = (erofs(&before, true), erofs(&after, true));
    let patches = patches(&old, &new, PACKING);
    assert_eq!(Patches::parse(&patches).unwrap().entries.len(), 2);
    let mut target = vec![0; new.len()];
    let cost = update_patched(&[&old], &new, &mut target, Reuse::Extents, Some(&patches)).unwrap();
    assert!(target == new);
    assert!(cost.image < 60_000, "{}", cost.image);
}

#[test]
fn patches_for_other_files_are_passed_over() {
    let (old, new) = (erofs(&tree(), true), erofs(&rebuilt(), true));
    let patches = patches(&old, &new, PACKING);
    let mut other = tree();
    other.insert("/d3/large", Node::file(bytes(1001, 1_500_000))).unwrap();
    for other in [erofs(&other, true), bytes(1, 100_000), Vec::new()] {
        let mut target = vec![0; new.len()];
        let cost = update_patched(&[&other], &new, &mut target, Reuse::Extents, Some(&patches)).unwrap();
        assert!(target == new);
        assert_eq!(cost.plan.totals.patched, 0);
        // Another source may have it.
        let cost =
            update_patched(&[&other, &old], &new, &mut vec![0; new.len()], Reuse::Extents, Some(&patches));
        assert!(cost.unwrap().plan.totals.patched > 500_000);
    }
}

#[test]
fn patches_that_lead_out_of_the_image_are_passed_over() {
    let (old, new) = (erofs(&tree(), true), erofs(&rebuilt(), true));
    let good = patches(&old, &new, PACKING);
    let mut table = Patches::parse(&good).unwrap();
    table.entries.iter_mut().for_each(|entry| entry.len = 9 << 20);
    let bad = [table.encode().unwrap(), good[Patches::needed(&good).unwrap() as usize..].to_vec()].concat();
    let mut target = vec![0; new.len()];
    let cost = update_patched(&[&old], &new, &mut target, Reuse::Extents, Some(&bad)).unwrap();
    assert!(target == new && cost.plan.totals.patched == 0);
}

#[test]
fn what_a_wrong_patch_makes_is_refused() {
    let (old, new) = (erofs(&tree(), true), erofs(&rebuilt(), true));
    let mut patches = patches(&old, &new, PACKING);
    let at = patches.len() - 30;
    patches[at] ^= 0x10;
    let mut target = vec![0; new.len()];
    let result = update_patched(&[&old], &new, &mut target, Reuse::Extents, Some(&patches));
    assert!(matches!(result, Err(Error::NotVerified { .. })));
}

#[test]
fn a_packing_that_the_image_has_not_gives_no_patches() {
    let (old, new) = (erofs(&tree(), true), erofs(&rebuilt(), true));
    let other = Some(Compression { algorithm: Algorithm::Lz4hc(12), cluster: 16_384 });
    assert!(Patches::parse(&patches(&old, &new, other)).unwrap().entries.is_empty());
    assert!(write_patches(&&b"nothing"[..], &new.as_slice(), None, &mut Vec::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_patches_are_read_without_panic(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        static PATCHES: std::sync::LazyLock<Vec<u8>> =
            std::sync::LazyLock::new(|| patches(&erofs(&tree(), true), &erofs(&rebuilt(), true), PACKING));
        let mut bytes = PATCHES.clone();
        let len = bytes.len();
        for (at, value) in changes {
            bytes[at % len] = value;
        }
        let _ = codec::apply(&bytes[..len / 2], &bytes[Patches::needed(&PATCHES).unwrap() as usize..], 1_503_000);
        let Ok(table) = Patches::parse(&bytes) else { return Ok(()) };
        prop_assert!(table.entries.len() < 1000);
    }

    #[test]
    fn any_table_is_parsed_without_panic(plain in prop::collection::vec(any::<u8>(), 0..200)) {
        let packed = zstd::bulk::compress(&plain, 1).unwrap();
        let mut bytes = b"TWINHPAT\x01\0\0\0".to_vec();
        for number in [packed.len() as u32, plain.len() as u32, 0] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(packed);
        let _ = Patches::parse(&bytes);
    }
}
