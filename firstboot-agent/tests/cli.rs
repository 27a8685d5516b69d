//! The binary's own face: exit codes and what goes where.

// Helpers of tests aren't tests to clippy.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn agent(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_firstboot-agent"))
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[test]
fn validate() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs_err::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = path("good", "#twinhull\nhostname: a\n");
    assert_eq!(agent(&["validate", &good]), (Some(0), format!("{good}: good: twinhull: 1 host name\n")));
    let bad = path("bad", "#twinhull\nhostname: a_b\nfile: []\n");
    let (code, out) = agent(&["validate", &bad]);
    assert_eq!(code, Some(2));
    assert_eq!(
        out,
        format!(
            "{bad}:2:11: a host name consists of letters, digits, hyphens and dots\n\
             {bad}:3:1: user data has no key `file`; did you mean `files`?\n"
        )
    );
    let script = path("script", "#cloud-config\nhostname: a\nruncmd: [s3cret]\n");
    let (code, out) = agent(&["explain", &script]);
    assert_eq!(code, Some(2));
    assert!(out.starts_with("cloud-config\n  host name a: /etc/hostname\n  refused, 3:9: `runcmd`"), "{out}");
    let (code, json) = agent(&["explain", "--json", &good]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["usable"]), (Some(0), &true.into()));
    assert_eq!(json["parts"][0]["things"][0]["becomes"], "/etc/hostname");
    let (code, help) = agent(&["explain", "--help"]);
    assert!(
        code == Some(0) && help.contains("Examples:\n  firstboot-agent explain cloud-config.yaml"),
        "{help}"
    );
    // Nothing on standard input is no user data.
    assert_eq!(
        agent(&["validate", "-"]),
        (Some(0), "standard input: empty; that counts as no user data\n".into())
    );
    assert_eq!(agent(&["validate", "/nonexistent"]).0, Some(1));
    assert_eq!(agent(&["vaildate"]).0, Some(2));
}

#[test]
fn status_and_network() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let (code, out) = agent(&["status", "--root", root]);
    assert!(code == Some(0) && out.starts_with("Nothing is stored"), "{out}");
    let json: serde_json::Value =
        serde_json::from_str(&agent(&["status", "--json", "--root", root]).1).unwrap();
    assert_eq!(json, serde_json::json!({"boot": null, "machine": null}));
    fs_err::create_dir_all(dir.path().join("run/twinhull")).unwrap();
    fs_err::write(
        dir.path().join("run/twinhull/provision.json"),
        r#"{"basis": "stored", "source": "aws", "warnings": ["GET x: status 503"], "failures": []}"#,
    )
    .unwrap();
    let (code, out) = agent(&["status", "--root", root]);
    let want =
        "this boot:  what an earlier boot stored, from aws\nwarning:    GET x: status 503\nNothing is stored";
    assert!(code == Some(0) && out.starts_with(want), "{out}");
    assert_eq!(agent(&["provisioned"]).0, Some(0), "here it doesn't have to be");
    let config = dir.path().join("config");
    fs_err::write(&config, "ethernets: {a: {match: {macaddress: '52:54:00:00:00:01'}, dhcp4: true}}")
        .unwrap();
    let (code, out) = agent(&["network", "--source", "nocloud", config.to_str().unwrap()]);
    assert!(code == Some(0) && out.contains("[Network]\nDHCP=ipv4\n"), "{out}");
    let (code, out) = agent(&["initrd", "--root", root, "--host", root]);
    assert!(code == Some(1) && out.contains("00-twinhull-etc.conf"), "{out}");
}
