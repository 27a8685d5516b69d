//! The linker cache against the host's `ldconfig`, over the host's own libraries.

mod common;

use std::collections::BTreeSet;

use common::{load, run};
use twinhull_osdb::{ld_cache, parse_ld_cache, soname_links};

/// `soname (flags) => path` lines of `ldconfig -p`.
fn listed(text: &str) -> BTreeSet<String> {
    text.lines().filter(|l| l.contains("=>")).map(|l| l.trim().to_owned()).collect()
}

#[test]
fn ldconfig_lists_what_it_would_write_itself() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    common::copy_libraries(root);
    let tree = load(root);
    assert!(soname_links(&tree).unwrap().is_empty());
    let ours = ld_cache(&tree).unwrap();
    let path = root.join("ours.cache");
    fs_err::write(&path, &ours).unwrap();
    run("ldconfig", &["-X", "-r", root.to_str().unwrap(), "-C", "/theirs.cache"]);
    let theirs_path = root.join("theirs.cache");
    let print = |p: &std::path::Path| run("ldconfig", &["-p", "-C", p.to_str().unwrap()]);
    let (mine, theirs) = (listed(&print(&path)), listed(&print(&theirs_path)));
    assert!(mine.len() >= 8, "{mine:?}");
    assert_eq!(mine, theirs);
    let theirs = fs_err::read(&theirs_path).unwrap();
    assert_eq!(parse_ld_cache(&ours).unwrap(), parse_ld_cache(&theirs).unwrap());
    // All but the extensions, which hold the generator's name, is the same to the byte.
    let end = u32::from_le_bytes(ours[32..36].try_into().unwrap()) as usize;
    assert_eq!(ours[..end], theirs[..end]);
}
