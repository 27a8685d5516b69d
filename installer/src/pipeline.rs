//! Fetching, unpacking and writing at the same time, with a few buffers between them: a network, a processor and a disk that
//! wait for each other would take as long as all of them together.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

use sha2::{Digest as _, Sha256};
use twinhull_release::DiskImage;
use twinhull_sysutil::digest::hex;

use crate::{Error, Result};

/// Length of a piece, compressed or not, in bytes.
pub(crate) const PIECE: usize = 1 << 20;

/// Pieces that wait between two threads.
const WAITING: usize = 4;

/// What has come of the compressed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// Bytes.
    pub(crate) length: u64,
    /// Their SHA-256 in hexadecimal.
    pub(crate) sha256: String,
}

/// Pieces that go round: full ones one way, empty ones the other.
pub(crate) struct Pieces {
    full: Receiver<Vec<u8>>,
    empty: Sender<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

struct Feed {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

fn pieces() -> (Feed, Pieces) {
    let ((full_in, full), (empty, empty_out)) = (sync_channel(WAITING), channel());
    (Feed { full: full_in, empty: empty_out }, Pieces { full, empty, piece: Vec::new(), at: 0 })
}

impl Feed {
    /// Cuts what `reader` gives into pieces, all but the last of them whole, and shows each to `look`. Ends early when nobody
    /// wants them any more.
    fn run(
        &self,
        mut reader: impl Read,
        mut look: impl FnMut(&[u8]) -> Result<()>,
    ) -> io::Result<Result<()>> {
        loop {
            let mut piece = self.empty.try_recv().unwrap_or_default();
            piece.resize(PIECE, 0);
            let mut length = 0;
            while length < PIECE {
                match reader.read(&mut piece[length..]) {
                    Ok(0) => break,
                    Ok(n) => length += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            piece.truncate(length);
            if let Err(error) = look(&piece) {
                return Ok(Err(error));
            }
            if length > 0 && self.full.send(piece).is_err() || length < PIECE {
                return Ok(Ok(()));
            }
        }
    }
}

impl Pieces {
    /// The next piece; `None` when all have come, or the thread before has failed.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        // The thread before may have ended.
        let _ = self.empty.send(std::mem::take(&mut self.piece));
        self.piece = self.full.recv().ok()?;
        self.at = 0;
        Some(&self.piece)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.piece.len() {
            self.at = 0;
            if self.next().is_none() {
                return Ok(&[]);
            }
        }
        Ok(&self.piece[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

/// The threads before the writing one.
pub(crate) struct Threads<'scope> {
    fetching: std::thread::ScopedJoinHandle<'scope, Result<Fetched>>,
    unpacking: std::thread::ScopedJoinHandle<'scope, Result<u64>>,
}

/// Starts fetching and unpacking; the pieces that come are those of the disk.
pub(crate) fn start<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    source: impl Read + Send + 'scope,
    document: Option<&'env DiskImage>,
) -> (Pieces, Threads<'scope>) {
    let (feed, compressed) = pieces();
    let fetching = scope.spawn(move || fetch(source, &feed, document));
    let (feed, disk) = pieces();
    let unpacking = scope.spawn(move || unpack(compressed, &feed));
    (disk, Threads { fetching, unpacking })
}

impl Threads<'_> {
    /// What has come, and how long the disk in it was; the first thing that went wrong, if something did.
    pub(crate) fn join(self) -> Result<(Fetched, u64)> {
        let lost = || Error::Io(io::Error::other("a thread has ended before its time"));
        let fetched = self.fetching.join().map_err(|_| lost())?;
        let unpacked = self.unpacking.join().map_err(|_| lost())?;
        // What breaks off looks damaged to whoever unpacks it.
        Ok((fetched?, unpacked?))
    }
}

fn fetch(source: impl Read, feed: &Feed, document: Option<&DiskImage>) -> Result<Fetched> {
    let (mut hash, mut length) = (Sha256::new(), 0_u64);
    let most = document.map(|document| document.file.length);
    let wrong = |found: String, signed| Error::WrongLength { found, signed };
    let mut ended = false;
    let fed = feed.run(source, |piece| {
        hash.update(piece);
        length += piece.len() as u64;
        ended = piece.len() < PIECE;
        match most {
            Some(most) if length > most => Err(wrong(format!("more than {most}"), most)),
            Some(most) if ended && length < most => Err(wrong(length.to_string(), most)),
            _ => Ok(()),
        }
    });
    fed.map_err(|e| Error::Source { name: "the image".into(), reason: e.to_string() })??;
    Ok(Fetched { length, sha256: hex(&hash.finalize()) })
}

fn unpack(compressed: Pieces, feed: &Feed) -> Result<u64> {
    let mut length = 0;
    let unpacked = zstd::stream::read::Decoder::with_buffer(compressed).and_then(|reader| {
        feed.run(reader, |piece| {
            length += piece.len() as u64;
            Ok(())
        })
    });
    match unpacked {
        Ok(fed) => fed.map(|()| length),
        Err(error) if length == 0 => Err(Error::NoZstd { reason: error.to_string() }),
        Err(error) => Err(Error::Damaged { at: length, reason: error.to_string() }),
    }
}
