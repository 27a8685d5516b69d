//! What boots an image. The root hash is in every command line and differs whenever /usr does, so it is not
//! compared, and neither is the UKI as a whole but its sections.

use std::collections::BTreeMap;

use serde::Serialize;

use super::changes::Changes;
use crate::image::boot::{self, Part};

/// Words of a kernel command line that only one image has, in their order there.
#[derive(Debug, Default, Serialize)]
pub(super) struct Words {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    /// Whether the words are the same but in another order, in which later ones may win.
    pub(super) reordered: bool,
}

impl Words {
    /// How many differences there are.
    pub(super) fn len(&self) -> usize {
        self.added.len() + self.removed.len() + usize::from(self.reordered)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn between(old: &[String], new: &[String]) -> Self {
        let words = |all: &[String]| -> Vec<String> {
            all.iter().filter(|w| !w.starts_with("usrhash=")).cloned().collect()
        };
        let (old, new) = (words(old), words(new));
        // A word may be there several times (console=).
        let without = |from: &[String], taken: &[String]| {
            let mut taken = taken.to_vec();
            let mut rest = from.to_vec();
            rest.retain(|word| match taken.iter().position(|t| t == word) {
                Some(at) => {
                    taken.remove(at);
                    false
                }
                None => true,
            });
            rest
        };
        let (added, removed) = (without(&new, &old), without(&old, &new));
        let reordered = added.is_empty() && removed.is_empty() && old != new;
        Words { added, removed, reordered }
    }
}

/// What is compared.
#[derive(Debug)]
pub(super) struct Boot {
    cmdline: Vec<String>,
    sections: BTreeMap<String, Part>,
    files: BTreeMap<String, Part>,
}

impl Boot {
    pub(super) fn new(boot: boot::Boot) -> Self {
        let by_name = |parts: Vec<Part>| parts.into_iter().map(|p| (p.name.clone(), p)).collect();
        let (cmdline, sections) = boot.uki.map(|u| (u.cmdline, u.sections)).unwrap_or_default();
        Boot { cmdline, sections: by_name(sections), files: by_name(boot.files) }
    }

    pub(super) fn compare(self, new: Boot) -> (Words, Changes<Part>, Changes<Part>) {
        (
            Words::between(&self.cmdline, &new.cmdline),
            Changes::between(self.sections, new.sections),
            Changes::between(self.files, new.files),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let compare = |old: &str, new: &str| Words::between(&words(old), &words(new));
        assert!(compare("usrhash=1 quiet", "usrhash=2 quiet").is_empty());
        let found = compare("console=a console=a quiet", "console=a console=b");
        assert_eq!((found.added, found.removed), (words("console=b"), words("console=a quiet")));
        assert!(compare("a b", "b a").reordered);
    }
}
