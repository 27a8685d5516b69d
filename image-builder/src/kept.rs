//! Results kept from one build to the next: packed file data, databases and the compressed initrd.
//!
//! A cache that can't be opened or written to only costs time; the image is the same with and without it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Result;
use twinhull_cache::{Cache, Key, Stats};
use twinhull_sysutil::store::Store;

/// What is kept, or nothing, and what had to be made.
#[derive(Debug)]
pub struct Kept {
    cache: Option<Cache>,
    made: Mutex<BTreeSet<String>>,
}

impl Kept {
    /// Opens the parts kept below `cache`, of which no more than about `limit` bytes stay. With a limit of 0,
    /// or when the folder can't be used, nothing is found and nothing is kept.
    pub fn open(cache: &Path, limit: u64) -> Self {
        let cache = if limit == 0 { None } else { Cache::open(&cache.join("parts"), limit).ok() };
        Kept { cache, made: Mutex::default() }
    }

    /// The store for packed file data and databases.
    pub fn store(&self) -> Option<&dyn Store> {
        self.cache.as_ref().map(|_| self as &dyn Store)
    }

    /// How often values were there so far, and how often not.
    pub fn stats(&self) -> Stats {
        self.cache.as_ref().map(Cache::stats).unwrap_or_default()
    }

    /// What was not kept and had to be made in this build: files of /usr, databases, and names given to
    /// [`Kept::value`].
    pub fn made(&self) -> BTreeSet<String> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: String) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// The value for `key`, made by `make` under the name `name` unless it is kept.
    pub fn value(&self, name: &str, key: &Key, make: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let Some(cache) = &self.cache else { return make() };
        if let Some(value) = cache.get(key) {
            return Ok(value);
        }
        let value = make()?;
        self.note(name.to_owned());
        cache.put(key, &value);
        Ok(value)
    }

    /// Keeps what is new. A full disk or a foreign folder is no reason to fail: the image is there.
    pub fn finish(self) {
        if let Some(cache) = self.cache
            && let Err(error) = cache.finish(SystemTime::now())
        {
            eprintln!("note: what this build made could not be kept for the next one: {error}");
        }
    }
}

impl Store for Kept {
    fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        self.cache.as_ref()?.get(key)
    }

    fn put(&self, key: &[u8; 32], made: &[u8], value: &[u8]) {
        let made = String::from_utf8_lossy(made).into_owned();
        self.note(if made.starts_with('/') { format!("/usr{made}") } else { made });
        if let Some(cache) = &self.cache {
            cache.put(key, value);
        }
    }
}
