//! What an update from one usr image to another costs on the wire, for measurements.
//!
//! `delta OLD NEW` makes NEW's index, plans the update, carries it out in memory and compares the result.
//! `delta OLD NEW lz4hc:9` makes patches, too; NEW is packed like that in clusters of 64 KiB, or `none`.

use std::fs::File;
use std::time::Instant;

use twinhull_delta::{DEFAULT_GAP, Head, Patches, Planner, Reuse, Scan, Step, write_index, write_patches};
use twinhull_fsimg::erofs::Compression;
use twinhull_fsimg::{Part, ReadAt};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, old, new, packing @ ..] = args.as_slice() else {
        return Err("usage: delta OLD NEW [PACKING]".into());
    };
    let (old, new) = (open(old)?, open(new)?);
    let started = Instant::now();
    let mut index = Vec::new();
    let len = write_index(&new, &mut index)?;
    let indexed = started.elapsed();
    let started = Instant::now();
    let sources = [Scan::new(&old)?];
    let head = Head::parse(&index)?;
    let mut planner = Planner::new(&head, &sources, None, Reuse::Extents)?;
    let (mut details, ranges) = (0, planner.wanted(256));
    for range in &ranges {
        details += range.end - range.start;
        planner.add(range.start, &index[range.start as usize..range.end as usize])?;
    }
    let mut plan = planner.plan(DEFAULT_GAP)?;
    let planned = started.elapsed();
    let (mut patches, mut table) = (Vec::new(), 0);
    if let Some(packing) = packing.first() {
        let compression = packing.parse().ok().map(|algorithm| Compression { algorithm, cluster: 65_536 });
        let started = Instant::now();
        write_patches(&old, &new, compression, &mut patches)?;
        table = Patches::needed(&patches)?;
        plan.patch(&Patches::parse(&patches)?, &[&old]);
        println!("patches {} of which table {table}, {:?}", patches.len(), started.elapsed());
    }

    let mut result = vec![0; len as usize];
    let mut fetches = 0;
    for step in &plan.steps {
        match step {
            Step::Copy { from, to, len, .. } => old.read_exact_at(part(&mut result, *to, *len), *from)?,
            Step::Write { to, bytes } => part(&mut result, *to, bytes.len() as u64).copy_from_slice(bytes),
            Step::Fetch { wanted, .. } => {
                fetches += 1;
                for wanted in wanted {
                    let bytes = part(&mut result, wanted.start, wanted.len);
                    new.read_exact_at(bytes, wanted.start)?;
                    wanted.verify(bytes)?;
                }
            }
            Step::Patch(patch) => {
                let range = patch.range.start as usize..patch.range.end as usize;
                let bytes = patch.apply(&old, &patches[range])?;
                part(&mut result, patch.to, patch.len).copy_from_slice(&bytes);
            }
            Step::Repeat { from, to, len } => {
                result.copy_within(*from as usize..(from + len) as usize, *to as usize);
            }
            _ => {}
        }
    }
    let mut wanted = vec![0; len as usize];
    new.read_exact_at(&mut wanted, 0)?;
    println!("image {len}, index {} of which head {}, made in {indexed:?}", index.len(), head.head_len);
    println!("details {details} in {} ranges, planned in {planned:?}", ranges.len());
    println!("{:?} in {fetches} ranges, {} steps", plan.totals, plan.steps.len());
    let fetched = plan.totals.wanted + plan.totals.between + table + plan.patch_bytes();
    println!("on the wire: {}", head.head_len + details + fetched);
    if result == wanted { Ok(()) } else { Err("the result is not the new image".into()) }
}

fn open(path: &str) -> std::io::Result<Part> {
    let file: File = fs_err::File::open(path)?.into_parts().0;
    let len = file.metadata()?.len();
    Part::new(file, 0, len)
}

fn part(bytes: &mut [u8], at: u64, len: u64) -> &mut [u8] {
    &mut bytes[at as usize..(at + len) as usize]
}
