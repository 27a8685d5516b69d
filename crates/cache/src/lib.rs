//! Keeps the results of expensive work from one build to the next, by a digest of everything they depend on.
//!
//! Values lie in packs: files that are written once, at the end of a build, and never changed. A build adds one
//! pack with what it had to make. A pack that no build has used for longest goes first when there is too much.
//! Several builds can share a folder: packs appear whole, by rename, and one that vanishes while it is being
//! read is still read to the end.
//!
//! A value that isn't what was kept (a flipped bit, a truncated file) is never returned: packs with a damaged
//! index are removed, values with a wrong checksum count as not there.

mod pack;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pack::{Pack, Writer};

/// What a value is found by: the digest of everything it depends on.
pub type Key = [u8; 32];

/// Most packs in a folder; every build opens them all.
const MAX_PACKS: usize = 256;

/// Unfinished packs of builds that ended early go after this time.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

const SUFFIX: &str = "pack";

/// How often values were there, and how often not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Values that were found.
    pub hits: u64,
    /// Values that were not.
    pub misses: u64,
}

/// An open folder of packs.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    limit: u64,
    packs: Vec<(Pack, AtomicBool)>,
    /// The newest pack with each key.
    index: HashMap<Key, usize>,
    new: Mutex<Option<Writer>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    /// Opens the packs in `dir`, which is made when it isn't there. At the end of the build no more than about
    /// `limit` bytes are kept.
    pub fn open(dir: &Path, limit: u64) -> io::Result<Self> {
        fs_err::create_dir_all(dir)?;
        let mut found: Vec<PathBuf> = Vec::new();
        for entry in fs_err::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == SUFFIX) {
                found.push(path);
            }
        }
        found.sort();
        let mut packs = Vec::new();
        let mut index = HashMap::new();
        for path in found {
            match Pack::open(&path) {
                Ok(pack) => {
                    for key in pack.keys() {
                        index.insert(*key, packs.len());
                    }
                    packs.push((pack, AtomicBool::new(false)));
                }
                // Another build has just removed it, or it is somebody else's.
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
                Err(e) if e.kind() == io::ErrorKind::InvalidData => drop(fs_err::remove_file(&path)),
                Err(e) => return Err(e),
            }
        }
        let new = Mutex::new(None);
        Ok(Cache {
            dir: dir.to_owned(),
            limit,
            packs,
            index,
            new,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// The value for `key`, if it is here and whole.
    pub fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let found = self.index.get(key).and_then(|n| {
            let (pack, used) = &self.packs[*n];
            let value = pack.get(key)?;
            used.store(true, Ordering::Relaxed);
            Some(value)
        });
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps `value` for `key` until [`Cache::finish`] makes it permanent. A full disk only means that nothing
    /// is kept.
    pub fn put(&self, key: &Key, value: &[u8]) {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        if new.is_none() {
            *new = Writer::new(&self.dir).ok();
        }
        if new.as_mut().is_some_and(|writer| writer.put(key, value).is_err()) {
            *new = None;
        }
    }

    /// How often values were found so far.
    pub fn stats(&self) -> Stats {
        Stats { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed) }
    }

    /// Writes the new pack and removes the packs that were not used for longest until the rest fits the limit.
    pub fn finish(self, now: SystemTime) -> io::Result<()> {
        for (pack, _) in self.packs.iter().filter(|(_, used)| used.load(Ordering::Relaxed)) {
            pack.touch(now);
        }
        if let Some(writer) = self.new.into_inner().unwrap_or_else(PoisonError::into_inner) {
            writer.finish(&self.dir, now)?;
        }
        evict(&self.dir, self.limit, now)
    }
}

/// Removes packs, least recently used first, and what interrupted builds left.
fn evict(dir: &Path, limit: u64, now: SystemTime) -> io::Result<()> {
    let mut packs = Vec::new();
    for entry in fs_err::read_dir(dir)? {
        let path = entry?.path();
        // Another build may remove it at the same time.
        let Ok(meta) = fs_err::metadata(&path) else { continue };
        let used = meta.modified().unwrap_or(now);
        if path.extension().is_some_and(|e| e == SUFFIX) {
            packs.push((used, path, meta.len()));
        } else if meta.is_file() && now.duration_since(used).is_ok_and(|age| age > ABANDONED) {
            let _ = fs_err::remove_file(&path);
        }
    }
    packs.sort();
    let mut total: u64 = packs.iter().map(|(_, _, len)| len).sum();
    let mut count = packs.len();
    for (_, path, len) in packs {
        if total <= limit && count <= MAX_PACKS {
            break;
        }
        let _ = fs_err::remove_file(&path);
        total -= len;
        count -= 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Key {
        [n; 32]
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn add(dir: &Path, values: &[(u8, &[u8])], now: u64) {
        let cache = Cache::open(dir, 1 << 20).unwrap();
        values.iter().for_each(|(n, value)| cache.put(&key(*n), value));
        cache.finish(at(now)).unwrap();
    }

    #[test]
    fn values_come_back_from_later_builds() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), &[(1, b"one"), (2, b""), (3, &[7; 100_000])], 0);
        add(dir.path(), &[(4, b"four")], 1);
        let cache = Cache::open(dir.path(), 1 << 20).unwrap();
        assert_eq!(cache.get(&key(1)).unwrap(), b"one");
        assert_eq!(cache.get(&key(2)).unwrap(), b"");
        assert_eq!(cache.get(&key(3)).unwrap(), [7; 100_000]);
        assert_eq!(cache.get(&key(4)).unwrap(), b"four");
        assert_eq!(cache.get(&key(5)), None);
        assert_eq!(cache.stats(), Stats { hits: 4, misses: 1 });
    }

    #[test]
    fn nothing_damaged_is_returned() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), &[(1, b"one value"), (2, b"another")], 0);
        let path = fs_err::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let whole = fs_err::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs_err::write(&path, &bytes).unwrap();
            let cache = Cache::open(dir.path(), 1 << 20).unwrap();
            assert!(cache.get(&key(1)).is_none_or(|v| v == b"one value"), "byte {at}");
            assert!(cache.get(&key(2)).is_none_or(|v| v == b"another"), "byte {at}");
            assert!(cache.stats().misses > 0, "byte {at} went unnoticed");
        }
        for len in 0..whole.len() {
            fs_err::write(&path, &whole[..len]).unwrap();
            let cache = Cache::open(dir.path(), 1 << 20).unwrap();
            assert_eq!(cache.get(&key(1)), None, "{len} bytes");
        }
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), &[(1, &[1; 10_000])], 0);
        add(dir.path(), &[(2, &[2; 10_000])], 1);
        let cache = Cache::open(dir.path(), 25_000).unwrap();
        cache.get(&key(1)).unwrap();
        cache.put(&key(3), &[3; 10_000]);
        cache.finish(at(2)).unwrap();
        let cache = Cache::open(dir.path(), 25_000).unwrap();
        assert!(cache.get(&key(1)).is_some() && cache.get(&key(3)).is_some());
        assert_eq!(cache.get(&key(2)), None);
    }

    #[test]
    fn two_builds_at_once_disturb_nobody() {
        let dir = tempfile::tempdir().unwrap();
        add(dir.path(), &[(1, b"one")], 0);
        let (a, b) = (Cache::open(dir.path(), 1 << 20).unwrap(), Cache::open(dir.path(), 1).unwrap());
        a.put(&key(2), b"two");
        b.put(&key(2), b"two");
        b.finish(at(1)).unwrap();
        assert_eq!(a.get(&key(1)).unwrap(), b"one", "removed by the other, but still open here");
        a.finish(at(2)).unwrap();
        assert_eq!(Cache::open(dir.path(), 1 << 20).unwrap().get(&key(2)).unwrap(), b"two");
    }
}
