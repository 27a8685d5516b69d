//! The message catalogue against the host's `journalctl`.

mod common;

use std::path::Path;

use common::{copy_files, load, run};
use twinhull_osdb::catalog;

#[test]
fn journalctl_writes_and_reads_the_same_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let sources = dir.path().join("usr/lib/systemd/catalog");
    copy_files(Path::new("/usr/lib/systemd/catalog"), &sources);
    let extra = "-- f77379a8490b408bbe5f6940505a777b\nX-Extra: yes\n\nAnother text\n\n\
                 -- 00000000000000000000000000000001\nSubject: so\n\n\
                 -- 00000000000000000000000000000001 nl\nSubject: zo\n\nja\n";
    fs_err::write(sources.join("zz.catalog"), extra).unwrap();
    let ours = catalog(&load(dir.path())).unwrap().unwrap();
    let database = dir.path().join("var/lib/systemd/catalog/database");
    fs_err::create_dir_all(database.parent().unwrap()).unwrap();
    fs_err::write(&database, &ours).unwrap();
    let root = format!("--root={root}");
    let listed = run("journalctl", &[&root, "--list-catalog"]);
    assert!(listed.contains("f77379a8490b408bbe5f6940505a777b"), "{listed}");
    run("journalctl", &[&root, "--update-catalog"]);
    assert_eq!(listed, run("journalctl", &[&root, "--list-catalog"]));
    let theirs = fs_err::read(&database).unwrap();
    assert!(ours == theirs, "journalctl writes {} bytes that differ from our {}", theirs.len(), ours.len());
}
