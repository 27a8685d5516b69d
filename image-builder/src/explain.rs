//! `build --explain`: what had to be made again and what changed since the last build of the same image.
//!
//! Beside the kept parts lies the manifest of the last build of every image id. What differs between it and the new
//! one is why something was made again; what was made again the cache itself has noted.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;
use twinhull_sysutil::atomic;

use crate::build::initrd::NAME as INITRD;

/// Most files that are listed.
const LISTED: usize = 20;

/// What goes into an image, by its field in the manifest, and in words.
const INPUTS: &[(&str, &str)] = &[
    ("/spec_sha256", "the spec"),
    ("/tree/kind", "the kind of tree"),
    ("/tree/sha256", "the tree"),
    ("/kernel", "the kernel"),
    ("/builder", "image-builder"),
    ("/programs/firstboot-agent", "the program firstboot-agent"),
    ("/programs/twinhull-boot-generator", "the program twinhull-boot-generator"),
    ("/programs/twinhull-disk", "the program twinhull-disk"),
    ("/programs/twinhull-provision-generator", "the program twinhull-provision-generator"),
    ("/secure_boot/certificate_sha256", "the certificate of Secure Boot"),
    ("/timestamp", "the latest time stamp"),
    ("/usr_compression/algorithm", "the compression"),
    ("/usr_compression/cluster", "the size of clusters"),
];

fn record(cache: &Path, id: &str) -> PathBuf {
    cache.join("last").join(format!("{id}.json"))
}

/// The manifest of the last build of `id`, if there was one.
pub(crate) fn last(cache: &Path, id: &str) -> Option<Value> {
    serde_json::from_str(&fs_err::read_to_string(record(cache, id)).ok()?).ok()
}

/// Remembers the manifest of this build. A cache that can't be written to remembers nothing.
pub(crate) fn remember(cache: &Path, id: &str, manifest: &Value) -> Result<()> {
    let path = record(cache, id);
    if let Some(dir) = path.parent() {
        fs_err::create_dir_all(dir)?;
    }
    Ok(atomic::replace_without_sync(&path, manifest.to_string().as_bytes(), 0o644)?)
}

/// What was made again and why, for people.
pub(crate) fn explain(id: &str, last: Option<&Value>, new: &Value, made: &BTreeSet<String>) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    match last {
        None => {
            let _ = writeln!(out, "No earlier build of {id} is on record.");
        }
        Some(last) => {
            let changed: Vec<String> = INPUTS
                .iter()
                .filter(|(field, _)| last.pointer(field) != new.pointer(field))
                .map(|(field, what)| {
                    format!("  {what}: {} -> {}", shown(last.pointer(field)), shown(new.pointer(field)))
                })
                .collect();
            let _ = match changed.as_slice() {
                [] => writeln!(out, "Nothing changed since the last build of {id}."),
                changed => {
                    writeln!(out, "Since the last build of {id} these changed:\n{}", changed.join("\n"))
                }
            };
        }
    }
    let initrd = if made.contains(INITRD) { "compressed again, its content is new" } else { "kept" };
    let _ = writeln!(out, "The initrd was {initrd}.");
    let (files, rest): (Vec<&String>, Vec<&String>) =
        made.iter().filter(|name| *name != INITRD).partition(|name| name.starts_with('/'));
    for name in rest {
        let _ = writeln!(out, "Made again, from sources that are new: {name}.");
    }
    if files.is_empty() {
        let _ = writeln!(out, "All file data of /usr was kept.");
        return out;
    }
    let _ = writeln!(
        out,
        "Files of /usr that were packed again, with content or settings that are new: {}",
        files.len()
    );
    for file in files.iter().take(LISTED) {
        let _ = writeln!(out, "  {}", file.escape_debug());
    }
    if files.len() > LISTED {
        let _ = writeln!(out, "  and {} more", files.len() - LISTED);
    }
    out
}

/// A field's value, digests cut short.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".into(),
        Some(Value::String(text)) if text.len() == 64 => text.chars().take(12).collect(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_changed_and_what_was_made_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let old = json!({ "kernel": "6.1", "tree": { "sha256": "a".repeat(64) }, "usr_compression": null });
        let new = json!({ "kernel": "6.12", "tree": { "sha256": "a".repeat(64) }, "usr_compression": { "algorithm": "lz4" } });
        assert_eq!(last(dir.path(), "box"), None);
        remember(dir.path(), "box", &old).unwrap();
        let old = last(dir.path(), "box");
        let made = BTreeSet::from(["initrd", "/usr/bin/a", "the database"].map(str::to_owned));
        let text = explain("box", old.as_ref(), &new, &made);
        for part in [
            "the kernel: 6.1 -> 6.12",
            "the compression: none -> lz4",
            "compressed again",
            "Made again, from sources that are new: the database.",
            "again, with content or settings that are new: 1\n  /usr/bin/a",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("the tree"), "{text}");
        let text = explain("box", Some(&new), &new, &BTreeSet::new());
        assert!(
            text.contains("Nothing changed")
                && text.contains("The initrd was kept")
                && text.contains("All file data"),
            "{text}"
        );
        assert!(explain("box", None, &new, &BTreeSet::new()).contains("No earlier build"));
    }
}
