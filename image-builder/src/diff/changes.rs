//! Two sorted lists side by side: what only one has, and what both have but not the same.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::image::boot::Part;

/// Something that can be in two images.
pub(super) trait Item {
    /// In which respects two that go by the same name differ; empty when they don't.
    fn differs(&self, new: &Self) -> Vec<&'static str>;
}

/// The differences between two lists, in the order of the lists.
#[derive(Debug, Serialize)]
pub(super) struct Changes<T> {
    pub(super) added: Vec<T>,
    pub(super) removed: Vec<T>,
    pub(super) changed: Vec<Changed<T>>,
}

/// One thing, before and after.
#[derive(Debug, Serialize)]
pub(super) struct Changed<T> {
    /// In which respects it differs.
    pub(super) what: Vec<&'static str>,
    pub(super) old: T,
    pub(super) new: T,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Changes { added: Vec::new(), removed: Vec::new(), changed: Vec::new() }
    }
}

impl<T> Changes<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.added.len() + self.removed.len() + self.changed.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Item> Changes<T> {
    /// Compares what has the same key.
    pub(super) fn between<K: Ord>(old: BTreeMap<K, T>, mut new: BTreeMap<K, T>) -> Self {
        let mut changes = Changes::default();
        for (key, old) in old {
            match new.remove(&key) {
                None => changes.removed.push(old),
                Some(new) => {
                    let what = old.differs(&new);
                    if !what.is_empty() {
                        changes.changed.push(Changed { what, old, new });
                    }
                }
            }
        }
        changes.added.extend(new.into_values());
        changes
    }
}

/// The names of those respects in which something differs.
pub(super) fn respects<const N: usize>(all: [(&'static str, bool); N]) -> Vec<&'static str> {
    all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

impl Item for Part {
    fn differs(&self, new: &Self) -> Vec<&'static str> {
        respects([("content", self.sha256 != new.sha256)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_removed_changed() {
        let map = |list: &[(&str, &str)]| -> BTreeMap<String, Part> {
            let part = |(name, sha): &(&str, &str)| {
                ((*name).to_owned(), Part { name: (*name).into(), length: 1, sha256: (*sha).into() })
            };
            list.iter().map(part).collect()
        };
        let old = map(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let changes = Changes::between(old, map(&[("b", "1"), ("c", "2"), ("d", "1")]));
        assert_eq!((changes.removed[0].name.as_str(), changes.added[0].name.as_str()), ("a", "d"));
        assert_eq!((changes.changed[0].old.name.as_str(), changes.len()), ("c", 3));
    }
}
