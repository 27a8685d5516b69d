//! What somebody may have meant, when the key exists elsewhere in the spec.

use crate::schema::Key;

pub(crate) use twinhull_source::suggest::{list, nearest};

use twinhull_source::suggest::fold;

/// Where else in the spec there is a key of this name.
pub(crate) fn elsewhere(keys: &'static [Key], path: &str, name: &str) -> Option<String> {
    let folded = fold(name)?;
    keys.iter().find_map(|key| {
        let here = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        if !path.is_empty() && key.name == folded {
            return Some(here);
        }
        elsewhere(key.kind.keys(), &here, name)
    })
}
