//! Updates from one image to another, as a machine makes them, and bytes that are no index.

use proptest::prelude::*;
use twinhull_tree::{Node, Tree};

use crate::samples::{bytes, erofs, ext4, index, pe, tree, update};
use crate::{Error, Head, Planner, Reuse, Scan, cut};

/// Updates an empty slot and returns bytes of index and image.
fn cost(old: &[u8], new: &[u8]) -> (u64, u64) {
    let mut target = vec![0xaa; new.len()];
    let cost = update(&[old], new, &mut target, Reuse::Extents).unwrap();
    assert!(target == new, "the result is not the new image");
    let totals = cost.plan.totals;
    assert_eq!(totals.kept + totals.copied + totals.written + totals.wanted, new.len() as u64);
    assert_eq!(totals.wanted + totals.between, cost.image);
    (cost.index, cost.image)
}

fn packed(tree: &Tree) -> Vec<u8> {
    erofs(tree, true)
}

fn plain(tree: &Tree) -> Vec<u8> {
    erofs(tree, false)
}

#[test]
fn the_same_image_costs_a_head() {
    for image in [erofs(&tree(), true), erofs(&tree(), false), ext4(&tree())] {
        let head = Head::parse(&index(&image)).unwrap();
        assert!(head.groups.len() > 2, "{} groups", head.groups.len());
        assert_eq!(cost(&image, &image), (head.head_len, 0));
    }
}

#[test]
fn a_file_that_grows_moves_the_others_and_only_it_is_fetched() {
    for (make, room) in [(packed as fn(&_) -> _, 0), (plain, 0), (ext4, 100_000)] {
        let old = make(&tree());
        let mut grown = tree();
        grown.insert("/d0/f007", Node::file(bytes(5000, 70_000))).unwrap();
        let new = make(&grown);
        let (index_cost, image_cost) = cost(&old, &new);
        assert!(image_cost < 75_000 + room, "{image_cost}");
        assert!(index_cost <= index(&new).len() as u64);
        assert!(cost(&new, &old).1 < 40_000 + room);
    }
}

#[test]
fn sections_of_a_uki_move_when_a_short_one_grows() {
    let (stub, kernel, initrd) = (bytes(1, 90_000), bytes(2, 1_500_000), bytes(3, 2_000_000));
    let uki = |cmdline: &[u8], initrd: &[u8]| pe(&[&stub, cmdline, &kernel, initrd]);
    let old = uki(b"quiet", &initrd);
    let (index_cost, image_cost) = cost(&old, &uki(&b"quiet ".repeat(200), &initrd));
    assert_eq!(image_cost, 0);
    assert!(index_cost < 2500, "{index_cost}");
    let mut changed = initrd.clone();
    changed[1_000_000] ^= 1;
    let (_, image_cost) = cost(&old, &uki(b"loud and long, but only once", &changed));
    assert_eq!(image_cost, 64 << 10);
    // A section table that leads out of the file.
    let mut odd = old.clone();
    odd[328 + 40 + 20..328 + 40 + 24].fill(0xff);
    cost(&old, &odd);
    odd.truncate(500);
    cost(&old, &odd);
}

#[test]
fn archives_of_an_initrd_move_when_one_grows() {
    let pack = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    let archives: Vec<Vec<u8>> = (0..6).map(|n| pack(&bytes(n, 900_000 + n as usize * 777))).collect();
    let uki = |first: &[u8]| pe(&[b"quiet", &[first, &archives.concat()].concat()]);
    let (short, long) = (pack(&bytes(50, 100_000)), pack(&bytes(51, 300_001)));
    let (_, image_cost) = cost(&uki(&short), &uki(&long));
    // The last archive's last piece goes on to the end of the section.
    assert!(image_cost <= long.len() as u64 + (64 << 10), "{image_cost} for {}", long.len());
    // Frames that are none, or don't end.
    for damage in [4, 9, 10, 40_000] {
        let mut damaged = long.clone();
        damaged[damage] ^= 0x16;
        cost(&uki(&short), &uki(&damaged));
        cost(&uki(&short), &uki(&damaged[..damage]));
    }
}

#[test]
fn an_update_that_was_cut_short_keeps_what_it_wrote() {
    let (old, mut changed) = (erofs(&tree(), true), tree());
    changed.insert("/d2/new", Node::file(bytes(6000, 900_000))).unwrap();
    let new = erofs(&changed, true);
    let mut target = new.clone();
    let half = new.len() / 2;
    target[half..].fill(0x55);
    let cost = update(&[&old], &new, &mut target, Reuse::Extents).unwrap();
    assert!(target == new);
    let totals = cost.plan.totals;
    assert!(
        totals.kept + totals.written > half as u64 - 100_000 && totals.kept > totals.written,
        "{totals:?}"
    );
    let again = update(&[&old], &new, &mut target, Reuse::Extents).unwrap();
    assert_eq!((again.image, again.plan.totals.kept), (0, new.len() as u64));
    assert!(again.plan.steps.is_empty());
}

#[test]
fn nothing_is_needed_but_the_image() {
    let new = erofs(&tree(), true);
    for (old, reuse) in [(Vec::new(), Reuse::Extents), (new.clone(), Reuse::Nothing)] {
        let mut target = vec![0; new.len()];
        let cost = update(&[&old], &new, &mut target, reuse).unwrap();
        assert!(target == new);
        assert!(cost.image + cost.plan.totals.written + cost.plan.totals.copied >= new.len() as u64);
        assert_eq!(cost.plan.totals.kept, 0);
    }
}

#[test]
fn with_groups_only_no_extent_is_reused() {
    let (old, mut changed) = (erofs(&tree(), true), tree());
    changed.insert("/d6/f293", Node::file(bytes(6000, 90_000))).unwrap();
    let new = erofs(&changed, true);
    let mut target = vec![0; new.len()];
    let careful = update(&[&old], &new, &mut target, Reuse::Groups).unwrap();
    assert!(target == new);
    let normal = cost(&old, &new).1;
    assert!(normal < careful.image && careful.image < new.len() as u64, "{normal} {}", careful.image);
}

#[test]
fn several_sources_are_looked_through() {
    let (mut one, mut two) = (tree(), tree());
    one.insert("/d1/a", Node::file(bytes(7000, 300_000))).unwrap();
    two.insert("/d1/b", Node::file(bytes(8000, 300_000))).unwrap();
    let mut both = one.clone();
    both.insert("/d1/b", Node::file(bytes(8000, 300_000))).unwrap();
    let (one, two, both) = (erofs(&one, true), erofs(&two, true), erofs(&both, true));
    let mut target = vec![0; both.len()];
    let cost = update(&[&one, &two], &both, &mut target, Reuse::Extents).unwrap();
    assert!(target == both);
    assert_eq!(cost.image, 0);
}

#[test]
fn data_that_is_there_twice_is_fetched_once() {
    let old = erofs(&tree(), true);
    let mut twice = tree();
    let mut long = bytes(9000, 1 << 20);
    twice.insert("/d4/one", Node::file(long.clone())).unwrap();
    long.extend_from_slice(b"and more");
    twice.insert("/d4/two", Node::file(long)).unwrap();
    let new = erofs(&twice, false);
    let old_plain = erofs(&tree(), false);
    assert!(cost(&old_plain, &new).1 < (1 << 20) + 100_000);
    assert!(cost(&old, &new).1 > 1 << 20, "another compression shares nothing");
}

#[test]
fn fetched_bytes_are_verified() {
    let new = erofs(&tree(), true);
    let mut planner = Planner::new(&Head::parse(&index(&new)).unwrap(), &[], None, Reuse::Extents).unwrap();
    let wanted = planner.wanted(0);
    assert_eq!(wanted.len(), 1);
    planner.add(0, &index(&new)).unwrap();
    assert!(planner.wanted(0).is_empty());
    let plan = planner.plan(0).unwrap();
    let fetch = plan.steps.iter().find_map(|step| match step {
        crate::Step::Fetch { wanted, .. } => Some(wanted[0]),
        _ => None,
    });
    let wanted = fetch.unwrap();
    let mut found = new[wanted.start as usize..(wanted.start + wanted.len) as usize].to_vec();
    wanted.verify(&found).unwrap();
    assert!(wanted.verify(&found[1..]).is_err());
    found[7] ^= 1;
    assert!(matches!(wanted.verify(&found), Err(Error::NotVerified { .. })));
}

#[test]
fn a_plan_without_details_is_an_error() {
    let index = index(&erofs(&tree(), true));
    assert!(matches!(Head::parse(&index[..40]), Err(Error::TooShort { available: 40, .. })));
    let planner = Planner::new(&Head::parse(&index).unwrap(), &[], None, Reuse::Extents).unwrap();
    assert!(matches!(planner.plan(0), Err(Error::Missing(_))));
}

#[test]
fn pieces_cover_every_byte_once() {
    for image in [erofs(&tree(), true), erofs(&tree(), false), ext4(&tree()), bytes(1, 300_001), Vec::new()] {
        let mut at = 0;
        for piece in cut::pieces(&image.as_slice()).unwrap() {
            assert_eq!(piece.start, at);
            assert!(piece.len > 0 && piece.len <= cut::PIECE);
            at += piece.len;
        }
        assert_eq!(at, image.len() as u64);
    }
}

#[test]
fn what_is_behind_the_file_system_belongs_to_the_slot() {
    let image = erofs(&tree(), true);
    let mut slot = image.clone();
    slot.extend(bytes(3, 500_000));
    assert!(index(&slot) == index(&image));
    assert!(matches!(Scan::new(&&image[..image.len() - 1]), Err(Error::BadImage(_))));
}

/// Parses bytes as a machine does that believes them, and goes as far as a plan.
fn read(bytes: &[u8]) {
    let Ok(head) = Head::parse(bytes) else { return };
    let Ok(mut planner) = Planner::new(&head, &[], None, Reuse::Extents) else { return };
    for range in planner.wanted(10) {
        let part = bytes.get(range.start as usize..(range.end as usize).min(bytes.len())).unwrap_or_default();
        let _ = planner.add(range.start, part);
    }
    let _ = planner.plan(10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_indexes_are_read_without_panic(changes in prop::collection::vec((0_usize..40_000, any::<u8>()), 1..20)) {
        static INDEX: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| index(&erofs(&tree(), true)));
        let mut bytes = INDEX.clone();
        let len = bytes.len();
        for (at, value) in changes {
            // Half of them in the head, where most can go wrong.
            bytes[if at % 2 == 0 { at % 200 } else { at % len }] = value;
        }
        read(&bytes);
    }

    #[test]
    fn any_bytes_are_no_index(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut with_magic = index(&[0; 4096][..])[..16].to_vec();
        with_magic.extend(&bytes);
        read(&bytes);
        read(&with_magic);
    }

    #[test]
    fn damaged_images_are_cut_without_panic(changes in prop::collection::vec((0_usize..1 << 20, any::<u8>()), 1..30)) {
        static IMAGE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            let mut image = erofs(&tree(), true);
            // The checksum would keep the damaged ones from being read.
            image[1024 + 8] &= !1;
            image
        });
        let mut image = IMAGE.clone();
        let len = image.len();
        for (at, value) in changes {
            let at = if at % 8 == 0 { 1024 + at / 8 % 128 } else { len - 1 - at % 60_000 };
            image[at] = value;
        }
        let Ok(scan) = Scan::new(&image.as_slice()) else { return Ok(()) };
        drop(scan);
        // Where it can be indexed, an update to it works as to any other.
        let mut target = vec![0; image.len()];
        let cost = update(&[&IMAGE], &image, &mut target, Reuse::Extents).unwrap();
        let len = cost.plan.image_len as usize;
        prop_assert!(target[..len] == image[..len]);
    }
}
