//! Work on many items with several threads, results in the order of the items: what is written then doesn't
//! depend on how many processors there are.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

/// How many results per thread may wait for a slow one before them; bounds the memory.
const AHEAD: usize = 2;

/// Calls `work` for every item on `workers` threads, and `take` for every result on this thread, in the
/// items' order. At most three results a worker are in memory at once. The first error of `take` ends it.
pub fn map<T: Send, R: Send, E>(
    workers: usize,
    items: impl Iterator<Item = T> + Send,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let workers = workers.max(1);
    // Every item's result has a channel of its own; the queue holds their receiving ends in order.
    let (queue, pending) = sync_channel::<Receiver<R>>(workers * AHEAD);
    let source = Mutex::new(Some((items, queue)));
    let next = || {
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        let (items, queue) = source.as_mut()?;
        let Some(item) = items.next() else {
            // Drops the queue's only sending end, which ends the loop below.
            *source = None;
            return None;
        };
        let (result, receiver) = sync_channel(1);
        queue.send(receiver).ok()?;
        Some((item, result))
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((item, result)) = next() {
                    // Nobody listens any more once `take` has failed.
                    let _ = result.send(work(item));
                }
            });
        }
        // A result that never comes is a panic of its thread, which the scope passes on.
        pending.into_iter().map_while(|receiver| receiver.recv().ok()).try_for_each(&mut take)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_errors_end_it() {
        for workers in [1, 2, 7] {
            let mut seen = Vec::new();
            let slow_evens = |n: u64| {
                if n.is_multiple_of(2) {
                    std::thread::sleep(std::time::Duration::from_micros(50));
                }
                n * n
            };
            let take = |n| {
                seen.push(n);
                Ok::<_, ()>(())
            };
            map(workers, 0..200_u64, slow_evens, take).unwrap();
            assert_eq!(seen, (0..200).map(|n| n * n).collect::<Vec<_>>());
            let stopped = map(workers, 0.., |n| n, |n| if n == 50 { Err(n) } else { Ok(()) });
            assert_eq!(stopped, Err(50));
        }
    }
}
