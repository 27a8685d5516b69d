//! A semaphore for each group: who holds a slot. It is changed only by comparing and swapping, so that any number of
//! servers can share a store.

use anyhow::{Context as _, Result, bail};

/// How often a change is tried when others change the semaphore too.
const TRIES: usize = 100;

/// Where semaphores are kept.
pub(crate) trait Store {
    /// A value and its revision; nothing, at revision 0, when there is none.
    fn get(&self, key: &str) -> Result<(i64, Option<String>)>;

    /// Writes a value unless it has another revision by now. Whether it was written.
    fn swap(&self, key: &str, revision: i64, value: &str) -> Result<bool>;
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is as was asked for.
    Done,
    /// Others have all slots.
    Full,
}

/// The semaphores of all groups.
#[derive(Debug)]
pub(crate) struct Semaphores<S> {
    store: S,
    slots: usize,
}

impl<S: Store> Semaphores<S> {
    /// Semaphores with as many slots each.
    pub(crate) fn new(store: S, slots: usize) -> Self {
        Semaphores { store, slots }
    }

    /// Takes a slot for `id`, if it has none.
    pub(crate) fn lock(&self, group: &str, id: &str) -> Result<Outcome> {
        self.change(group, |holders| {
            if holders.iter().any(|h| h == id) {
                return Change::Nothing(Outcome::Done);
            }
            if holders.len() >= self.slots {
                return Change::Nothing(Outcome::Full);
            }
            holders.push(id.to_owned());
            Change::Write
        })
    }

    /// Gives the slot of `id` back, if it has one.
    pub(crate) fn unlock(&self, group: &str, id: &str) -> Result<Outcome> {
        self.change(group, |holders| {
            let before = holders.len();
            holders.retain(|h| h != id);
            if holders.len() == before { Change::Nothing(Outcome::Done) } else { Change::Write }
        })
    }

    fn change(&self, group: &str, change: impl Fn(&mut Vec<String>) -> Change) -> Result<Outcome> {
        let key = format!("fleetlock/{group}");
        for _ in 0..TRIES {
            let (revision, value) = self.store.get(&key)?;
            let mut holders: Vec<String> = match value {
                Some(value) => {
                    serde_json::from_str(&value).with_context(|| format!("{key} isn't a list of holders"))?
                }
                None => Vec::new(),
            };
            match change(&mut holders) {
                Change::Nothing(outcome) => return Ok(outcome),
                Change::Write => {
                    if self.store.swap(&key, revision, &serde_json::to_string(&holders)?)? {
                        return Ok(Outcome::Done);
                    }
                }
            }
        }
        bail!("others changed the semaphore all the time; ask again")
    }
}

/// What to do with changed holders.
enum Change {
    /// They are as they were.
    Nothing(Outcome),
    /// Write them.
    Write,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::*;

    /// A store in memory, where somebody else is faster as often as `lose` says.
    #[derive(Debug, Default)]
    pub(crate) struct Memory {
        values: RefCell<BTreeMap<String, (i64, String)>>,
        lose: Cell<usize>,
    }

    impl Store for Memory {
        fn get(&self, key: &str) -> Result<(i64, Option<String>)> {
            let found = self.values.borrow().get(key).cloned();
            Ok(found.map_or((0, None), |(revision, value)| (revision, Some(value))))
        }

        fn swap(&self, key: &str, revision: i64, value: &str) -> Result<bool> {
            let now = self.get(key)?.0;
            if self.lose.get() > 0 {
                self.lose.set(self.lose.get() - 1);
                let mut values = self.values.borrow_mut();
                values.entry(key.into()).or_insert((0, "[]".into())).0 = now + 1;
                return Ok(false);
            }
            if now != revision {
                return Ok(false);
            }
            self.values.borrow_mut().insert(key.into(), (now + 1, value.into()));
            Ok(true)
        }
    }

    #[test]
    fn slots_are_counted_by_holder() {
        let semaphores = Semaphores::new(Memory::default(), 2);
        for (lock, id, want) in [
            (true, "a", Outcome::Done),
            (true, "a", Outcome::Done),
            (true, "b", Outcome::Done),
            (true, "c", Outcome::Full),
            (false, "c", Outcome::Done),
            (true, "c", Outcome::Full),
            (false, "a", Outcome::Done),
            (false, "a", Outcome::Done),
            (true, "c", Outcome::Done),
            (true, "a", Outcome::Full),
        ] {
            let got = if lock { semaphores.lock("g", id) } else { semaphores.unlock("g", id) };
            assert_eq!(got.unwrap(), want, "{lock} {id}");
        }
    }

    #[test]
    fn a_lost_race_is_run_again() {
        let semaphores = Semaphores::new(Memory::default(), 1);
        semaphores.store.lose.set(TRIES - 1);
        assert_eq!(semaphores.lock("g", "a").unwrap(), Outcome::Done);
        semaphores.store.lose.set(TRIES);
        assert!(semaphores.unlock("g", "a").is_err());
        assert_eq!(semaphores.lock("g", "b").unwrap(), Outcome::Full);
    }

    #[test]
    fn a_damaged_value_is_an_error() {
        let semaphores = Semaphores::new(Memory::default(), 1);
        semaphores.store.swap("fleetlock/g", 0, "{").unwrap();
        assert!(semaphores.lock("g", "a").unwrap_err().to_string().contains("fleetlock/g"));
    }
}
