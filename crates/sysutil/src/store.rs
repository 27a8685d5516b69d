//! Where the results of expensive work can be kept from one run to the next.

/// Keeps values by key, the digest of everything they depend on. Losing one costs time, nothing else; a wrong one
/// would be a wrong result, so an implementation must notice when what it returns isn't what it was given.
pub trait Store: Sync {
    /// The value for `key`, if it is here and whole.
    fn get(&self, key: &[u8; 32]) -> Option<Vec<u8>>;
    /// Keeps `value` for `key`, or doesn't. It was not there, and had to be made; `made` says what it is, for people.
    fn put(&self, key: &[u8; 32], made: &[u8], value: &[u8]);
}
