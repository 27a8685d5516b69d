//! Indexes for deltas: read the head and all details, and make plans, with a source that is cut from the same bytes; and
//! tables of patches.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinhull_delta::{DEFAULT_GAP, Head, Patches, Planner, Reuse, Scan, write_index};

fuzz_target!(|data: &[u8]| {
    plan(data, &[]);
    let _ = Patches::parse(data);
    // As an image, it is cut somehow, and what was made of it finds all of it.
    let mut index = Vec::new();
    let Ok(len) = write_index(&data, &mut index) else { return };
    let source = Scan::new(&data).expect("what can be indexed can be scanned");
    let totals = plan(&index, &[source]).expect("our own index is one").totals;
    assert_eq!((totals.copied, totals.wanted), (len, 0));
});

/// The plan that an index leads to.
fn plan(index: &[u8], sources: &[Scan]) -> Option<twinhull_delta::Plan> {
    let head = Head::parse(index).ok()?;
    let mut planner = Planner::new(&head, sources, None, Reuse::Extents).ok()?;
    for range in planner.wanted(10) {
        planner.add(range.start, index.get(range.start as usize..range.end as usize)?).ok()?;
    }
    planner.plan(DEFAULT_GAP).ok()
}
