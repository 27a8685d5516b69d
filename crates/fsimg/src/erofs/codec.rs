//! The compression algorithms of EROFS, filling clusters of a given size, and their inverse.

use std::io::{Error, ErrorKind, Result};
use std::str::FromStr;

use lzzzz::{lz4, lz4_hc};

use super::BLOCK;

/// A Zstandard cluster is full enough when less than a SLACKth is free: a fifth less work than for a 512th, in an
/// image larger by a thousandth.
const SLACK: usize = 40;

/// How many sizes are tried for one Zstandard cluster; two or three are usual.
const ATTEMPTS: usize = 10;

/// A compression algorithm with its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// LZ4, as fast as it gets.
    Lz4,
    /// LZ4 with a thorough search, levels 1 to 12. Read by the same kernels as LZ4, from 5.13.
    Lz4hc(u8),
    /// Zstandard, levels 1 to 22. Read by kernels from 6.10.
    Zstd(u8),
}

impl Algorithm {
    /// The first kernel that reads images of the writer with it, as major and minor version.
    pub fn first_kernel(self) -> (u32, u32) {
        match self {
            Algorithm::Lz4 | Algorithm::Lz4hc(_) => (5, 15),
            Algorithm::Zstd(_) => (6, 10),
        }
    }

    /// Number of the algorithm in the format.
    pub(super) fn id(self) -> u8 {
        match self {
            Algorithm::Lz4 | Algorithm::Lz4hc(_) => 0,
            Algorithm::Zstd(_) => 3,
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Algorithm::Lz4 => f.write_str("lz4"),
            Algorithm::Lz4hc(level) => write!(f, "lz4hc:{level}"),
            Algorithm::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

impl FromStr for Algorithm {
    type Err = String;

    /// Reads `lz4`, `lz4hc`, `zstd`, the latter two with `:LEVEL` if need be.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let level = |default: u8, max: u8| match level {
            None => Ok(default),
            Some(given) => given
                .parse()
                .ok()
                .filter(|n| (1..=max).contains(n))
                .ok_or_else(|| format!("{name} has the levels 1 to {max}, not {given:?}")),
        };
        match name {
            "lz4" if text == "lz4" => Ok(Algorithm::Lz4),
            "lz4" => Err("lz4 has no levels; lz4hc has".into()),
            "lz4hc" => Ok(Algorithm::Lz4hc(level(9, 12)?)),
            "zstd" => Ok(Algorithm::Zstd(level(9, 22)?)),
            _ => Err(format!(
                "{text:?} is no compression; there are lz4, lz4hc:1 to lz4hc:12 and zstd:1 to zstd:22"
            )),
        }
    }
}

/// How file data is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Compression {
    /// Algorithm and level.
    pub algorithm: Algorithm,
    /// Largest physical cluster in bytes: a multiple of [`BLOCK`] from 4 KiB to 1 MiB. Larger ones compress
    /// better, smaller ones make a random read cheaper.
    pub cluster: u32,
}

impl Compression {
    /// Largest `cluster` in bytes, the kernel's own limit.
    pub const MAX_CLUSTER: u32 = 1 << 20;

    /// Whether `cluster` is one that the format has.
    pub fn is_valid(&self) -> bool {
        u64::from(self.cluster).is_multiple_of(BLOCK) && (1..=Self::MAX_CLUSTER).contains(&self.cluster)
    }

    /// Whether physical clusters may have several blocks.
    pub(super) fn big(&self) -> bool {
        u64::from(self.cluster) > BLOCK
    }

    /// Logarithm of Zstandard's window: eight clusters, since data rarely shrinks more; the kernel has to hold as
    /// much in memory for every processor, at most 1 MiB.
    fn window_log(&self) -> u32 {
        (self.cluster * 8).next_power_of_two().ilog2().clamp(10, 20)
    }

    /// The record behind the superblock: `struct z_erofs_lz4_cfgs` or `z_erofs_zstd_cfgs`.
    pub(super) fn record(&self) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Lz4 | Algorithm::Lz4hc(_) => {
                let mut out = vec![0; 14];
                out[0..2].copy_from_slice(&u16::MAX.to_le_bytes());
                out[2..4].copy_from_slice(&((u64::from(self.cluster) / BLOCK) as u16).to_le_bytes());
                out
            }
            Algorithm::Zstd(_) => vec![0, (self.window_log() - 10) as u8, 0, 0, 0, 0],
        }
    }
}

/// A compressor with its working memory, one a thread.
pub(super) enum Encoder {
    Lz4,
    Lz4hc(i32),
    Zstd { context: zstd::bulk::Compressor<'static>, ratio: usize, scratch: Vec<u8> },
}

impl Encoder {
    pub(super) fn new(compression: &Compression) -> Result<Self> {
        Ok(match compression.algorithm {
            Algorithm::Lz4 => Encoder::Lz4,
            Algorithm::Lz4hc(level) => Encoder::Lz4hc(i32::from(level)),
            Algorithm::Zstd(level) => {
                use zstd::zstd_safe::CParameter;
                // Frames have their content's size, which erofs-utils asks for.
                let mut context = zstd::bulk::Compressor::new(i32::from(level))?;
                context.set_parameter(CParameter::WindowLog(compression.window_log()))?;
                Encoder::Zstd { context, ratio: 0, scratch: vec![0; compression.cluster as usize * 2] }
            }
        })
    }

    /// Forgets what was learnt from earlier data, so that the result depends on the next data alone.
    pub(super) fn reset(&mut self) {
        if let Encoder::Zstd { ratio, .. } = self {
            *ratio = 0;
        }
    }

    /// Compresses as long a prefix of `src` as fits `dst`. Returns the lengths read and written; the latter may
    /// be 0 or the larger when that much of `src` doesn't get smaller.
    pub(super) fn fill(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(usize, usize)> {
        match self {
            Encoder::Lz4 => lz4::compress_fill(src, dst).map_err(Error::other),
            Encoder::Lz4hc(level) => lz4_hc::compress_fill(src, dst, *level).map_err(Error::other),
            Encoder::Zstd { context, ratio, scratch } => {
                let compress = |src: &[u8], dst: &mut [u8]| context.compress_to_buffer(src, dst).ok();
                let (used, written) = search(src, dst.len(), ratio, scratch, compress);
                dst[..written].copy_from_slice(&scratch[..written]);
                Ok((used, written))
            }
        }
    }
}

/// Searches for the longest prefix of `src` that `compress` gets into `room` bytes, and leaves it compressed in
/// the first bytes of `scratch`, which is longer than that so that near misses tell their length.
///
/// `ratio` is bytes in per byte out, times 256, of the cluster before; 0 when there was none. Returns the lengths
/// read and written; the latter is 0 when that much of `src` doesn't get smaller.
fn search(
    src: &[u8],
    room: usize,
    ratio: &mut usize,
    scratch: &mut [u8],
    mut compress: impl FnMut(&[u8], &mut [u8]) -> Option<usize>,
) -> (usize, usize) {
    let (enough, aim) = (room - room / SLACK, room - room / SLACK / 4);
    // The longest prefix known to fit and the shortest known not to, each with its compressed length.
    let mut fits = (0, 0);
    let mut misses = (src.len() + 1, None);
    let mut last = 0;
    // Programs and texts shrink to a third or so.
    let mut guess =
        if *ratio == 0 { (3 * room).min(src.len()) } else { (room * *ratio / 256).clamp(1, src.len()) };
    for _ in 0..ATTEMPTS {
        let len = compress(&src[..guess], scratch);
        last = guess;
        match len {
            Some(len) if len <= room => fits = (guess, len),
            _ => misses = (guess, len),
        }
        if fits.0 == src.len() || fits.1 >= enough || misses.0 <= room {
            break;
        }
        // Straight lines between what is known; compression is even enough for that.
        guess = match (fits, misses) {
            ((0, _), (miss, Some(len))) => aim * miss / len,
            ((0, _), (miss, None)) => miss / 2,
            ((fit, at), (miss, Some(len))) => fit + aim.saturating_sub(at) * (miss - fit) / (len - at),
            ((fit, at), _) => fit + aim.saturating_sub(at) * fit / at.max(1),
        };
        guess = guess.min(misses.0 - 1);
        if guess <= fits.0 {
            break;
        }
    }
    match (fits, misses) {
        ((0, _), (miss, len)) => {
            *ratio = len.map_or(0, |len| miss * 256 / len);
            (miss.min(src.len()), 0)
        }
        ((fit, len), _) => {
            if len >= room / 2 {
                *ratio = fit * 256 / len;
            }
            // The scratch holds the last attempt, which may have been another one.
            let again = last != fit && compress(&src[..fit], scratch) != Some(len);
            if again { (fit, 0) } else { (fit, len) }
        }
    }
}

/// Decompresses one cluster: `src` with its leading zeros, `dst` exactly as long as the data or a prefix.
///
/// Returns `InvalidData` for anything that isn't a valid stream of that length.
pub(super) fn decompress(id: u8, src: &[u8], dst: &mut [u8]) -> Result<()> {
    let start = src.iter().take(BLOCK as usize).position(|b| *b != 0);
    let Some(start) = start else { return Err(invalid("a compressed cluster holds only zeros")) };
    let src = &src[start..];
    let got = match id {
        0 => {
            let want = dst.len();
            lz4::decompress_partial(src, dst, want).map_err(|_| invalid("not a valid LZ4 block"))?
        }
        3 => {
            use std::io::Read;
            let mut decoder = zstd::stream::read::Decoder::with_buffer(src)?.single_frame();
            decoder.window_log_max(27)?;
            let mut got = 0;
            while got < dst.len() {
                match decoder.read(&mut dst[got..])? {
                    0 => break,
                    n => got += n,
                }
            }
            got
        }
        _ => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("compression algorithm {id} is not known"),
            ));
        }
    };
    if got == dst.len() {
        Ok(())
    } else {
        Err(invalid("a compressed cluster is shorter than its index says"))
    }
}

fn invalid(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}
