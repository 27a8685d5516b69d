//! Tells data from runs of zeros in a stream, so that gigabytes of nothing cost no writes.

use std::io;

/// What is written or left out as a whole, in bytes; disk offsets are multiples of it.
pub(crate) const BLOCK: usize = 64 << 10;

/// Zeros that are given to the disk at once, so that a slow one shows progress.
const MOST: u64 = 64 << 20;

/// Where data and zeros go.
pub(crate) trait Sink {
    /// Writes `bytes` at `at`.
    fn data(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes `length` bytes at `at` read as zeros.
    fn zeros(&mut self, at: u64, length: u64) -> io::Result<()>;
}

/// A stream from an offset on, cut into runs.
#[derive(Debug)]
pub(crate) struct Runs {
    /// Where the next byte goes.
    at: u64,
    /// Zeros before it that the sink hasn't seen.
    pending: u64,
}

impl Runs {
    /// A stream that begins at `at`, a multiple of [`BLOCK`].
    pub(crate) fn new(at: u64) -> Self {
        Runs { at, pending: 0 }
    }

    /// Goes on with `bytes`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> io::Result<()> {
        while !bytes.is_empty() {
            let zeros = blocks(bytes, self.at, true);
            self.pending += zeros as u64;
            self.at += zeros as u64;
            bytes = &bytes[zeros..];
            let data = blocks(bytes, self.at, false);
            if data > 0 || self.pending >= MOST {
                self.finish(sink)?;
            }
            if data > 0 {
                sink.data(self.at, &bytes[..data])?;
                self.at += data as u64;
                bytes = &bytes[data..];
            }
        }
        Ok(())
    }

    /// Hands over the zeros that are left.
    pub(crate) fn finish(&mut self, sink: &mut impl Sink) -> io::Result<()> {
        let length = std::mem::take(&mut self.pending);
        if length > 0 { sink.zeros(self.at - length, length) } else { Ok(()) }
    }
}

/// Length of the blocks at the start of `bytes` that are all zero, or of those that are not. The first block is what is left
/// of the one that `at` is in.
fn blocks(bytes: &[u8], at: u64, zero: bool) -> usize {
    const NOTHING: &[u8] = &[0; BLOCK];
    let mut length = 0;
    while length < bytes.len() {
        let within = ((at + length as u64) % BLOCK as u64) as usize;
        let block = &bytes[length..bytes.len().min(length + BLOCK - within)];
        if (block == &NOTHING[..block.len()]) != zero {
            break;
        }
        length += block.len();
    }
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A disk that was full of something else, and the runs that came.
    #[derive(Default)]
    struct Memory {
        disk: Vec<u8>,
        zeros: Vec<(u64, u64)>,
        written: u64,
    }

    impl Sink for Memory {
        fn data(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            self.disk[at as usize..][..bytes.len()].copy_from_slice(bytes);
            self.written += bytes.len() as u64;
            Ok(())
        }

        fn zeros(&mut self, at: u64, length: u64) -> io::Result<()> {
            self.disk[at as usize..][..length as usize].fill(0);
            self.zeros.push((at, length));
            Ok(())
        }
    }

    fn write(at: u64, pieces: &[&[u8]]) -> Memory {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut memory = Memory { disk: vec![0xff; at as usize + length], ..Memory::default() };
        let mut runs = Runs::new(at);
        pieces.iter().for_each(|piece| runs.push(piece, &mut memory).unwrap());
        runs.finish(&mut memory).unwrap();
        memory
    }

    #[test]
    fn runs_of_zeros_are_joined_and_short_ones_are_data() {
        let (mib, one) = (1 << 20, [vec![0; BLOCK - 1], vec![1]].concat());
        let nothing = vec![0; 3 * BLOCK];
        let memory = write(mib, &[&nothing, &nothing, &one, &nothing[..5]]);
        assert_eq!(memory.zeros, [(mib, 6 * BLOCK as u64), (mib + 7 * BLOCK as u64, 5)]);
        assert_eq!(memory.written, BLOCK as u64);
        // A disk of nothing is given over in parts.
        let much = vec![0; 16 << 20];
        let memory = write(0, &[&much[..]; 9]);
        assert_eq!(memory.zeros, [(0, MOST), (MOST, MOST), (2 * MOST, 16 << 20)]);
    }

    fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let length = prop_oneof![1..10_usize, 1..4 * BLOCK, Just(BLOCK), Just(2 * BLOCK)];
        let piece = (length, 0..4_u8, any::<proptest::sample::Index>()).prop_map(|(length, kind, index)| {
            let mut bytes = vec![if kind == 0 { 7 } else { 0 }; length];
            if kind == 1 {
                let at = index.index(length);
                bytes[at] = 1;
            }
            bytes
        });
        prop::collection::vec(piece, 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn every_stream_is_on_the_disk_byte_for_byte(pieces in pieces(), start in 0..3_u64) {
            let at = start * BLOCK as u64;
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let memory = write(at, &slices);
            prop_assert!(memory.disk[at as usize..] == slices.concat()[..]);
            let zeros: u64 = memory.zeros.iter().map(|(_, length)| length).sum();
            prop_assert_eq!(zeros + memory.written, slices.concat().len() as u64);
        }
    }
}
