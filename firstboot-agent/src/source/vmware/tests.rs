//! Variables as people set them, told by a stand-in of vmware-rpctool.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::source::tests::{host, told};

/// Lets a machine's `vmware-rpctool` answer like the real one, with these variables.
fn machine(variables: &[(&str, &str)]) -> (tempfile::TempDir, Host<'static>) {
    let (dir, host) = host(&["00:50:56:00:00:01"], "");
    let values = dir.path().join("values");
    for (key, value) in variables {
        fs_err::create_dir_all(&values).unwrap();
        fs_err::write(values.join(format!("info-get guestinfo.{key}")), value).unwrap();
    }
    tool(
        &dir,
        &format!(
            "cat \"{}/$1\" 2>/dev/null && echo || {{ echo 'No value found' >&2; exit 1; }}",
            values.display()
        ),
    );
    (dir, host)
}

fn tool(dir: &tempfile::TempDir, script: &str) {
    let path = dir.path().join("usr/bin/vmware-rpctool");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// gzip and base64 of a text.
fn packed(text: &str) -> String {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    base64(&gzip.finish().unwrap())
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn variables() {
    let network = "{version: 2, ethernets: {nic: {match: {macaddress: '00:50:56:00:00:01'}, addresses: [192.0.2.5/24]}}}";
    let wrapped = format!("{{config: {network}}}");
    let metadata = format!(
        "instance-id: vm-1\nlocal-hostname: boxy\npublic-keys-data: |\n  ssh-rsa AAAAx\nnetwork: {network}\n"
    );
    let (in_base64, in_gzip) = (base64(b"#twinhull\n"), packed("#twinhull\n"));
    let encoded = format!("{{instance-id: vm-1, network: {}, network.encoding: gz+b64}}", packed(&wrapped));
    let whole = "instance vm-1, host name boxy, 1 key, 1 interface; ";
    for (variables, want) in [
        (&[("metadata", metadata.as_str()), ("userdata", "#twinhull\n")][..], format!("{whole}#twinhull\n; ")),
        (&[("metadata", &packed(&metadata)), ("metadata.encoding", "gzip+base64")], format!("{whole}none; ")),
        (&[("metadata", &encoded)], "instance vm-1, 0 keys, 1 interface; none; ".into()),
        (
            &[("metadata", "{\"instance-id\": \"vm-1\"}"), ("userdata", &in_base64), ("userdata.encoding", "base64")],
            "instance vm-1, 0 keys, 0 interfaces; #twinhull\n; ".into(),
        ),
        (
            &[("ignition.config.data", &in_gzip), ("ignition.config.data.encoding", "gz+b64")],
            "0 keys, 0 interfaces; #twinhull\n; instance-id is missing, so a copy of this machine would take \
             itself for this one"
                .into(),
        ),
        // What tools write over a secret once it was read.
        (&[("metadata", "---"), ("userdata", "")], "nothing".into()),
        (&[], "nothing".into()),
        (&[("metadata", "[")], "guestinfo.metadata: 1:".into()),
        (&[("metadata", "- 1")], "guestinfo.metadata: it should be a mapping, but it is a list".into()),
        (&[("metadata", "x"), ("metadata.encoding", "rot13")], "guestinfo.metadata: its encoding `rot13` isn't known".into()),
        (&[("metadata", "{}"), ("metadata.encoding", "b64")], "guestinfo.metadata: it should be base64".into()),
        (
            &[("metadata", "instance-id: a"), ("userdata", "eA=="), ("userdata.encoding", "gz+b64")],
            "instance a, 0 keys, 0 interfaces; failed: guestinfo.userdata: its gzip data is damaged or cut off; ".into(),
        ),
        (
            &[("metadata", "{instance-id: a, network: '%', network.encoding: b64}")],
            "instance a, 0 keys, 0 interfaces; none; network is left out: it should be base64, but isn't".into(),
        ),
    ] {
        let (_dir, host) = machine(variables);
        let got = match fetch(&host) {
            Ok(Some(found)) => told(&found),
            Ok(None) => "nothing".into(),
            Err(error) => error.to_string(),
        };
        assert!(got.starts_with(&want), "{variables:?}: {got}");
    }
}

#[test]
fn a_tool_that_fails_is_named() {
    for (script, want) in [
        (
            "echo secret; echo 'Failed: not in a virtual machine' >&2; exit 1",
            "guestinfo.metadata: /usr/bin/vmware-rpctool failed with exit status: 1: Failed",
        ),
        ("printf '\\377'", "it isn't UTF-8 text"),
        ("head -c 3000000 /dev/zero; exit 0", "it has more than"),
    ] {
        let (dir, host) = host(&[], "");
        tool(&dir, script);
        let text = fetch(&host).unwrap_err().to_string();
        assert!(text.contains(want), "{script}: {text}");
    }
    let (_dir, host) = host(&[], "");
    assert!(fetch(&host).unwrap_err().to_string().contains("can't be started"));
}

#[test]
fn nothing_unpacks_to_gigabytes() {
    let bomb = packed(&"x".repeat(USER_DATA_LIMIT + 1));
    assert!(bomb.len() < 10_000);
    let error = decode(&bomb, "gz+b64", USER_DATA_LIMIT).unwrap_err();
    assert!(error.contains("more than"), "{error}");
}
