//! Images for tests, and a machine in memory that carries out a plan.

use std::io::Cursor;

use twinhull_fsimg::{ReadAt, erofs, ext4};
use twinhull_tree::{Node, Tree};

use crate::{DEFAULT_GAP, Head, Patches, Plan, Planner, Result, Reuse, Scan, Step, write_index};

/// Bytes that compress to about half: each one is there three times, or once.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 24);
    while out.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = (state ^ state >> 29).to_le_bytes();
        (0..1 + (state >> 62) % 3).for_each(|_| out.extend(word));
    }
    out.truncate(len);
    out
}

/// Files of many lengths, so that there are several groups.
pub(crate) fn tree() -> Tree {
    let mut tree = Tree::new();
    for n in 0..300_u64 {
        let len = (n as usize * 7919) % 40_000;
        tree.insert(format!("/d{}/f{n:03}", n % 7), Node::file(bytes(n, len))).unwrap();
    }
    tree.insert("/d3/large", Node::file(bytes(1000, 1_500_000))).unwrap();
    tree.insert("/d3/zeros", Node::file(vec![0; 200_000])).unwrap();
    tree.insert("/link", Node::symlink("d1/f001")).unwrap();
    tree
}

/// An EROFS image of `tree`.
pub(crate) fn erofs(tree: &Tree, packed: bool) -> Vec<u8> {
    let algorithm = erofs::Algorithm::Lz4;
    let options = erofs::Options {
        compression: packed.then_some(erofs::Compression { algorithm, cluster: 65_536 }),
        workers: 1,
        ..erofs::Options::new([7; 16], 0)
    };
    let mut out = Cursor::new(Vec::new());
    let len = erofs::write(tree, &options, &mut out, &mut |_| ()).unwrap();
    let mut image = out.into_inner();
    image.truncate(len as usize);
    image
}

/// An ext4 image of `tree`.
pub(crate) fn ext4(tree: &Tree) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    ext4::write(tree, &ext4::Options { uuid: [7; 16], build_time: 0 }, &mut out, &mut |_| ()).unwrap();
    out.into_inner()
}

/// A PE file with these sections, as far as readers of its section table care.
pub(crate) fn pe(sections: &[&[u8]]) -> Vec<u8> {
    let mut file = b"MZ".to_vec();
    file.resize(60, 0);
    file.extend(64_u32.to_le_bytes());
    file.extend(b"PE\0\0\x64\x86");
    file.extend((sections.len() as u16).to_le_bytes());
    file.resize(84, 0);
    file.extend([240, 0, 0, 0, 0x0b, 2]);
    file.resize(196, 0);
    file.push(16);
    file.resize(328, 0);
    let mut at = 1024;
    for section in sections {
        let len = section.len().next_multiple_of(512) as u32;
        file.extend(b".section");
        [section.len() as u32, 0, len, at].iter().for_each(|n| file.extend(n.to_le_bytes()));
        file.extend([0; 16]);
        at += len;
    }
    file.resize(1024, 0);
    for section in sections {
        file.extend_from_slice(section);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    file
}

/// The index of an image.
pub(crate) fn index(image: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_index(&image, &mut out).unwrap();
    out
}

/// What an update cost.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Bytes of the index.
    pub(crate) index: u64,
    /// Bytes of the image.
    pub(crate) image: u64,
    pub(crate) plan: Plan,
}

/// Updates `target` from `old` to `new`, of which the server has the index, and says what was fetched.
pub(crate) fn update(old: &[&[u8]], new: &[u8], target: &mut [u8], reuse: Reuse) -> Result<Cost> {
    update_patched(old, new, target, reuse, None)
}

/// As [`update`], with a file of patches on the server.
pub(crate) fn update_patched(
    old: &[&[u8]],
    new: &[u8],
    target: &mut [u8],
    reuse: Reuse,
    patches: Option<&[u8]>,
) -> Result<Cost> {
    let index = index(new);
    let scans = old.iter().map(Scan::new).collect::<Result<Vec<Scan>>>()?;
    let head = Head::parse(&index)?;
    let mut fetched = head.head_len;
    let mut plan = {
        let there: &[u8] = target;
        let mut planner = Planner::new(&head, &scans, Some(&there as &dyn ReadAt), reuse)?;
        for range in planner.wanted(100) {
            fetched += range.end - range.start;
            planner.add(range.start, &index[range.start as usize..range.end as usize])?;
        }
        planner.plan(DEFAULT_GAP)?
    };
    if let Some(patches) = patches {
        let sources: Vec<&dyn ReadAt> = old.iter().map(|image| image as &dyn ReadAt).collect();
        plan.patch(&Patches::parse(patches)?, &sources);
    }
    let mut cost = Cost { index: fetched, image: 0, plan };
    for step in &cost.plan.steps {
        match step {
            Step::Copy { source, from, to, len } => {
                part(target, *to, *len).copy_from_slice(&old[*source][*from as usize..(from + len) as usize]);
            }
            Step::Write { to, bytes } => part(target, *to, bytes.len() as u64).copy_from_slice(bytes),
            Step::Zero { to, len } => part(target, *to, *len).fill(0),
            Step::Fetch { range, wanted } => {
                cost.image += range.end - range.start;
                for wanted in wanted {
                    let bytes = &new[wanted.start as usize..(wanted.start + wanted.len) as usize];
                    wanted.verify(bytes)?;
                    part(target, wanted.start, wanted.len).copy_from_slice(bytes);
                }
            }
            Step::Patch(patch) => {
                let range = patch.range.start as usize..patch.range.end as usize;
                cost.image += patch.range.end - patch.range.start;
                let bytes = patch.apply(&old[patch.source], &patches.unwrap_or_default()[range])?;
                part(target, patch.to, patch.len).copy_from_slice(&bytes);
            }
            Step::Repeat { from, to, len } => {
                target.copy_within(*from as usize..(from + len) as usize, *to as usize);
            }
        }
    }
    Ok(cost)
}

fn part(bytes: &mut [u8], at: u64, len: u64) -> &mut [u8] {
    &mut bytes[at as usize..(at + len) as usize]
}
