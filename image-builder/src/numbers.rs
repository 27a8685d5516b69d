//! The lock file beside a spec: which numbers users and groups have been given.
//!
//! Files in /var carry their owner's number from version to version. A user that is new, or gone, must not move
//! the others', so `NAME.lock.json` beside `NAME.yaml` remembers them and belongs into version control.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use twinhull_compose::Numbers;
use twinhull_spec::Spec;

/// Most bytes of a lock file.
const SIZE_MAX: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    /// Of users and groups, by name.
    numbers: Numbers,
}

/// Where the lock file of a spec is.
fn path(spec: &Path) -> PathBuf {
    spec.with_extension("lock.json")
}

/// The numbers of earlier builds of the spec in the file `spec`; none when there is no lock file.
pub(crate) fn read(spec: &Path) -> Result<Numbers> {
    let path = path(spec);
    let size = match fs_err::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Numbers::new()),
        metadata => metadata?.len(),
    };
    ensure!(size <= SIZE_MAX, "{} is larger than {SIZE_MAX} bytes", path.display());
    let advice = || {
        format!(
            "{} is no lock file of users' numbers; get it back from version control, or remove it if no machine has run the image",
            path.display()
        )
    };
    let lock: Lock = serde_json::from_slice(&fs_err::read(&path)?).with_context(advice)?;
    let mut seen = std::collections::BTreeMap::new();
    for (name, number) in &lock.numbers {
        ensure!(
            (100..1000).contains(number),
            "{}: {name} has {number}; system users have numbers from 100 to 999",
            path.display()
        );
        if let Some(other) = seen.insert(number, name) {
            anyhow::bail!("{}: {other} and {name} both have {number}", path.display());
        }
    }
    Ok(lock.numbers)
}

/// Remembers the numbers that a build gave, if services of the spec have users or there is a lock file already, and says
/// which aren't those of earlier builds, `had`.
pub(crate) fn remember(file: &Path, spec: &Spec, had: &Numbers, numbers: &Numbers) -> Result<()> {
    let path = path(file);
    for (name, old, new) in moved(had, numbers) {
        eprintln!(
            "note: {name} has the number {new} and had {old}, which the tree now gives to another; what machines keep in /var under {old} isn't {name}'s any more"
        );
    }
    let users = spec.services.files.keys().any(|path| path.starts_with("/usr/lib/sysusers.d/"));
    let text = serde_json::to_string_pretty(&Lock { numbers: numbers.clone() })? + "\n";
    let before = fs_err::read(&path).ok();
    if before.is_none() && !users || before.as_deref() == Some(text.as_bytes()) {
        return Ok(());
    }
    match twinhull_sysutil::atomic::replace_without_sync(&path, text.as_bytes(), 0o644) {
        Ok(()) => eprintln!("note: {} has the numbers of users; keep it with the spec", path.display()),
        Err(error) => eprintln!(
            "note: the numbers of users can't be remembered ({error}); they may be others in the next version, and files in /var then somebody else's"
        ),
    }
    Ok(())
}

/// Names whose number is another, with the old and the new one.
fn moved<'a>(had: &'a Numbers, numbers: &'a Numbers) -> Vec<(&'a str, u32, u32)> {
    let pairs = had.iter().filter_map(|(name, old)| Some((name.as_str(), *old, *numbers.get(name)?)));
    pairs.filter(|(_, old, new)| old != new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_moves_is_noticed() {
        let numbers = |list: &[(&str, u32)]| {
            list.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect::<Numbers>()
        };
        let (had, now) = (
            numbers(&[("a", 998), ("b", 997), ("gone", 996)]),
            numbers(&[("a", 998), ("b", 995), ("new", 994)]),
        );
        assert_eq!(moved(&had, &now), [("b", 997, 995)]);
    }

    #[test]
    fn what_is_written_is_read_and_mistakes_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("box.yaml");
        let services =
            "modules: [app]\nservices: {a: {template: app.service, user: bots, command: [/usr/bin/a]}}\n";
        let spec = |more: &str| {
            twinhull_spec::from_str(&format!("image: {{id: a, version: 1}}\ntree: {{dir: .}}\n{more}"))
                .unwrap()
        };
        let numbers = Numbers::from([("bots".to_owned(), 998)]);
        remember(&file, &spec(""), &Numbers::new(), &numbers).unwrap();
        assert_eq!(read(&file).unwrap(), Numbers::new(), "no service has a user");
        remember(&file, &spec(services), &Numbers::new(), &numbers).unwrap();
        assert_eq!(read(&file).unwrap(), numbers);
        for (text, want) in [
            ("{\"numbers\": {\"bots\": 0}}", "bots has 0; system users have numbers from 100 to 999"),
            ("{\"numbers\": {\"a\": 998, \"b\": 998}}", "a and b both have 998"),
            ("<<<<<<< HEAD", "is no lock file of users' numbers"),
            ("{\"numbers\": {}, \"users\": {}}", "is no lock file of users' numbers"),
        ] {
            fs_err::write(path(&file), text).unwrap();
            let error = format!("{:#}", read(&file).unwrap_err());
            assert!(error.contains(want) && error.contains("box.lock.json"), "{error}");
        }
    }
}
