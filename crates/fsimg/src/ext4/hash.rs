//! The hash by which large directories find their names: MD4 cut down to 24 steps, over 32 bytes at a time.

/// The largest hash means "end of directory".
const END: u32 = u32::MAX - 1;

/// Hash of `name`, an even number, and the minor hash that only orders names. `seed` are the superblock's four
/// words; characters count as signed, as mke2fs has it on most machines.
pub(super) fn half_md4(name: &[u8], seed: [u32; 4]) -> (u32, u32) {
    let mut state = if seed == [0; 4] { [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476] } else { seed };
    let mut rest = name;
    while !rest.is_empty() {
        transform(&mut state, &words(rest));
        rest = rest.get(32..).unwrap_or_default();
    }
    let hash = state[1] & !1;
    (if hash == END { END - 2 } else { hash }, state[2])
}

/// The next 32 bytes as eight words, padded with what is left of the length.
fn words(name: &[u8]) -> [u32; 8] {
    let len = name.len() as u32 & 0xff;
    let padding = len << 24 | len << 16 | len << 8 | len;
    let mut words = [padding; 8];
    for (word, bytes) in words.iter_mut().zip(name.chunks(4)) {
        let signed = |byte: u8| i32::from(byte.cast_signed()).cast_unsigned();
        *word = bytes.iter().fold(padding, |word, byte| (word << 8).wrapping_add(signed(*byte)));
    }
    words
}

fn transform(state: &mut [u32; 4], words: &[u32; 8]) {
    type Mix = fn(u32, u32, u32) -> u32;
    const ROUNDS: [(Mix, u32, [usize; 8], [u32; 4]); 3] = [
        (|x, y, z| z ^ (x & (y ^ z)), 0, [0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 11, 19]),
        (|x, y, z| (x & y).wrapping_add((x ^ y) & z), 0x5a82_7999, [1, 3, 5, 7, 0, 2, 4, 6], [3, 5, 9, 13]),
        (|x, y, z| x ^ y ^ z, 0x6ed9_eba1, [3, 7, 2, 6, 1, 5, 0, 4], [3, 9, 11, 15]),
    ];
    let [mut a, mut b, mut c, mut d] = *state;
    for (mix, constant, order, shifts) in ROUNDS {
        for (step, word) in order.into_iter().enumerate() {
            let sum = a.wrapping_add(mix(b, c, d)).wrapping_add(words[word]).wrapping_add(constant);
            (a, b, c, d) = (d, sum.rotate_left(shifts[step % 4]), b, c);
        }
    }
    for (old, new) in state.iter_mut().zip([a, b, c, d]) {
        *old = old.wrapping_add(new);
    }
}
