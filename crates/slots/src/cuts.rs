//! Every state that a power cut can leave while a simulated machine does something.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use crate::sim::{Op, SECTOR, State};

impl Op {
    fn waits_for(&self, other: &Op) -> bool {
        match (self, other) {
            (Op::SyncDisk, Op::Disk { .. }) => true,
            (Op::SyncEsp, Op::Name { .. } | Op::NoName { .. } | Op::Content { .. }) => true,
            (Op::SyncFile(synced), Op::Name { file, .. } | Op::Content { file, .. }) => synced == file,
            _ => false,
        }
    }

    /// Everything that can be left of a write that was cut short: some first or some last sectors. A file may have its
    /// length already and zeros for content.
    fn torn(&self) -> Vec<Op> {
        let cuts = |len: usize| (1..len.div_ceil(SECTOR)).map(|n| n * SECTOR);
        match self {
            Op::Disk { at, bytes } => {
                let head = |cut| Op::Disk { at: *at, bytes: bytes[..cut].to_vec() };
                let tail = |cut| Op::Disk { at: at + cut, bytes: bytes[cut..].to_vec() };
                cuts(bytes.len()).flat_map(|cut| [head(cut), tail(cut)]).collect()
            }
            Op::Content { file, at, bytes } => {
                let zeros = |cut: usize| [&bytes[..cut], &vec![0; bytes.len() - cut]].concat();
                let op = |cut| Op::Content { file: *file, at: *at, bytes: zeros(cut) };
                [0].into_iter().chain(cuts(bytes.len())).map(op).collect()
            }
            // One sector.
            _ => Vec::new(),
        }
    }
}

/// Whether everything that was written was waited for.
pub(crate) fn is_durable(log: &[Op]) -> bool {
    let sync = |op: &Op| matches!(op, Op::SyncDisk | Op::SyncFile(_) | Op::SyncEsp);
    (0..log.len()).all(|n| sync(&log[n]) || log[n..].iter().any(|later| later.waits_for(&log[n])))
}

/// Calls `each` with every state that a power cut can leave while `log` happens to `start`: after each step, with every
/// subset of the writes that nothing had waited for yet, and with each of them torn at every sector while the others
/// are kept or lost.
///
/// States are told apart by their hashes, and those in `seen` are left out.
pub(crate) fn each_power_cut(
    start: &State,
    log: &[Op],
    seen: &mut HashSet<u64>,
    each: &mut dyn FnMut(State),
) {
    let (mut durable, mut pending) = (start.clone(), Vec::<&Op>::new());
    let mut report = |state: State| {
        let mut hasher = FastHasher::default();
        state.hash(&mut hasher);
        if seen.insert(hasher.finish()) {
            each(state);
        }
    };
    for step in 0..=log.len() {
        let count = pending.len();
        // Whether a write is kept, and what is instead of the torn one.
        let state = |kept: &dyn Fn(usize) -> bool, torn: Option<(usize, &Op)>| {
            let mut state = durable.clone();
            for (n, op) in pending.iter().enumerate() {
                match torn {
                    Some((at, torn)) if at == n => state.apply(torn),
                    _ if kept(n) => state.apply(op),
                    _ => {}
                }
            }
            state
        };
        assert!(count <= 10, "more subsets than a test has time for");
        (0..1_u32 << count).for_each(|set| report(state(&|n| set >> n & 1 == 1, None)));
        for (n, op) in pending.iter().enumerate() {
            for torn in op.torn() {
                report(state(&|_| true, Some((n, &torn))));
                report(state(&|_| false, Some((n, &torn))));
            }
        }
        let Some(op) = log.get(step) else { return };
        match op {
            Op::SyncDisk | Op::SyncFile(_) | Op::SyncEsp => {
                let (done, rest) = pending.into_iter().partition(|pending| op.waits_for(pending));
                Vec::into_iter(done).for_each(|op| durable.apply(op));
                pending = rest;
            }
            _ => pending.push(op),
        }
    }
}

/// States are large: two checksums, one of them of the halves swapped, take a tenth of the time of the usual hash.
#[derive(Default)]
struct FastHasher(crc32fast::Hasher, crc32fast::Hasher);

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.0.update(bytes);
        self.1.update(second);
        self.1.update(first);
    }

    fn finish(&self) -> u64 {
        u64::from(self.0.clone().finalize()) << 32 | u64::from(self.1.clone().finalize())
    }
}
