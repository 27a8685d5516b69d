//! One wish is one edit: what a line more, or another one, in examples/personal-server.yaml does to the image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use twinhull_tests::{program, run, top};

/// Builds `text` in a folder of its own below `dir`, beside the files of the example.
fn build(dir: &Path, name: &str, text: &str) -> PathBuf {
    let folder = dir.join(name);
    fs_err::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(top().join("examples/personal-server"), folder.join("personal-server"))
        .unwrap();
    fs_err::write(folder.join("server.yaml"), text).unwrap();
    // The numbers of users that are there already stay what they are.
    let lock = dir.join("base/server.lock.json");
    if lock.exists() && name != "base" {
        fs_err::copy(lock, folder.join("server.lock.json")).unwrap();
    }
    let spec = folder.join("server.yaml");
    let built = run(program("image-builder").args(["build", "--quiet", "--out"]).arg(&folder).arg(spec)).ok();
    PathBuf::from(built.stdout.trim())
}

/// The paths of what was added and of what is different.
fn paths(report: &Value, list: &str) -> BTreeSet<String> {
    let files = report["files"][list].as_array().unwrap();
    let path = |file: &Value| file["path"].as_str().or(file["new"]["path"].as_str()).unwrap().to_owned();
    files.iter().map(path).collect()
}

#[test]
fn one_edit_is_one_change() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let text = fs_err::read_to_string(top().join("examples/personal-server.yaml")).unwrap();
    let base = build(dir.path(), "base", &text);
    let site = "  fish: { template: nginx.site, server: web, hosts: [fish.example] }\n";
    let pool = "  cat: { template: php-fpm.pool, user: cat }\n";
    for (name, edited, added, changed) in [
        ("site", text.clone() + site, &["/usr/lib/services/web/site-fish.conf"][..], &[][..]),
        (
            "port",
            text.replace("listen-tls: [443]", "listen-tls: [8443]"),
            &[],
            &[
                "/usr/lib/services/firewall/rules.nft",
                "/usr/lib/services/web/nginx.conf",
                "/usr/lib/services/web/site-blog.conf",
                "/usr/lib/services/web/site-wuffs.conf",
            ],
        ),
        (
            "pool",
            text.clone() + pool,
            &[
                "/usr/lib/services/cat",
                "/usr/lib/services/cat/pool.conf",
                "/usr/lib/systemd/system/cat.service",
            ],
            &[
                "/usr/lib/systemd/system/multi-user.target.d/50-services.conf",
                "/usr/lib/sysusers.d/50-services.conf",
            ],
        ),
    ] {
        assert_ne!(edited, text, "{name}");
        let image = build(dir.path(), name, &edited);
        let ran = run(program("image-builder").args(["diff", "--json"]).arg(&base).arg(&image));
        assert_eq!(ran.code, 1, "{name}: {}", ran.stderr);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let set = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(paths(&report, "added"), set(added), "{name}: {}", report["files"]);
        assert_eq!(paths(&report, "removed"), set(&[]), "{name}");
        // Account files have the new user in them, too, and what machines plan services with has every edit.
        let follows = |path: &String| {
            path.starts_with("/usr/share/factory/etc/")
                || path.contains("userdb")
                || path == "/usr/lib/twinhull/services.json"
        };
        let found: BTreeSet<_> =
            paths(&report, "changed").into_iter().filter(|path| !follows(path)).collect();
        assert_eq!(found, set(changed), "{name}: {}", report["files"]);
        let users: Vec<_> = report["users"]["added"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user["name"].as_str().unwrap())
            .collect();
        assert_eq!(users, if name == "pool" { vec!["cat"] } else { vec![] }, "{name}");
    }
}
