//! The native format: good documents, and every mistake with its place.

use super::*;

fn problems(text: &str) -> String {
    let problems = parse(text.as_bytes()).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn everything_at_once() {
    let data = parse(
        b"#twinhull\nhostname: boxy\nusers:\n- name: ann\n  gecos: Ann\n  ssh-keys: [ssh-ed25519 AAAAx]\n  \
          password-hash: $6$salt$hash\n  sudo: true\nfiles:\n- {path: /home/ann/x, content-base64: aGkK, mode: 0600, owner: ann}\n\
          units:\n- name: app.service\n  enable: true\n  content: |\n    [Service]\n    ExecStart=a \\\n      b\n- name: ssh.service\n  \
          drop-ins: [{name: a.conf, content: \"[Unit]\\n\"}]\n- {name: x.timer, enable: true, target: timers.target}\n",
    )
    .unwrap()
    .unwrap();
    assert_eq!(data.summary(), "twinhull: 1 host name, 1 user, 1 file, 3 units");
    assert_eq!(
        (data.files[0].path.as_str(), data.files[0].content.as_slice()),
        ("/var/home/ann/x", &b"hi\n"[..])
    );
    assert_eq!((data.files[0].mode, data.files[0].owner.as_str()), (0o600, "ann"));
    assert_eq!(data.units[0].enable, Enable::Links(vec!["multi-user.target.wants/app.service".into()]));
    assert_eq!(data.units[2].enable, Enable::Links(vec!["timers.target.wants/x.timer".into()]));
    assert!(!format!("{data:?}").contains("salt"), "a hash must not show in debug output");
    assert_eq!(
        parse(b"twinhull: 1\n"),
        Ok(Some(UserData { formats: vec![Format::Native], ..UserData::default() }))
    );
    assert_eq!(
        parse(b"#twinhull\n"),
        Ok(Some(UserData { formats: vec![Format::Native], ..UserData::default() }))
    );
    assert_eq!(parse(b" \n"), Ok(None));
}

#[test]
fn all_mistakes_are_found_each_with_its_place() {
    assert_eq!(
        problems(
            "#twinhull\nhostnam: x\nusers:\n- nme: ann\n- {name: Ann}\n- {name: b, uid: 5, password-hash: hunter2}\n\
             files:\n- {path: /usr/bin/x, content: a}\n- {path: /etc/../x, content: a}\n- {path: /etc/passwd, content: a}\n\
             - {path: /run/x, content: a}\n- {path: /etc/a, content: b, mode: 644}\n- {path: /etc/b}\nunits:\n\
             - {name: a, enable: true}\n- {name: a.service, content: \"[Install]\\n\"}\nx y: 1\n"
        ),
        "2:1: user data has no key `hostnam`; did you mean `hostname`?\n\
         4:3: a user has no key `nme`; did you mean `name`?\n\
         4:3: a user needs `name`\n\
         5:10: a user's name has lower-case letters, digits, `-` and `_`, 31 at most\n\
         6:18: `uid` is a number from 1000 to 59999\n\
         6:36: `password-hash` is a hash as `openssl passwd -6` or `mkpasswd` makes it, not a password\n\
         8:10: /usr belongs to the image, is read-only and verified; change the image, or use /etc or /var\n\
         9:10: a path has no empty parts, no `.` and no `..`, and names a file\n\
         10:10: /etc/passwd can't be written by user data: accounts are made from `users`\n\
         11:10: a file can be below /etc, /var, /home, /root, /srv or /opt; the rest is made anew on every boot\n\
         12:36: `mode` is octal, with its zero: 0600\n\
         13:3: a file needs either `content` or `content-base64`\n\
         15:10: a unit's name ends in its type, as in app.service\n\
         16:30: line 1 of this text: [Install] has no effect here: nothing runs `systemctl enable`; say `enable: \
         true`, and `target` if it isn't multi-user.target\n\
         17:1: user data has no such key; it has `twinhull`, `hostname`, `users`, `files`, `units`, `services`, `credentials`, \
         `time-zone`, `ntp`, `phone-home`"
    );
}

#[test]
fn what_cant_be_used_is_named() {
    for (bytes, want) in [
        (
            &b"#!/bin/sh\n"[..],
            "this is a script, which can't be used: nothing of user data is run: make a unit",
        ),
        (b"#cloud-boothook\n", "boothook"),
        (b"#include\nhttp://x\n", "include list, which can't be used: nothing is fetched"),
        (b"#part-handler\n", "part handler"),
        (b"## template: jinja\n#cloud-config\n", "template"),
        (b"#cloud-config-archive\n", "MIME"),
        (b"variant: fcos\nversion: 1.5.0\n", "Butane"),
        (b"\x28\xb5\x2f\xfd12", "zstd-compressed data, which can't be used: compress it with gzip"),
        (b"\x1f\x8b\x08\0", "damaged or cut off"),
        (b"Content-Type: multipart/mixed; boundary=x\n\n", "nowhere in it"),
        (b"MIME-Version: 1.0\n", "no format that is known"),
        (b"hello", "no format that is known"),
        (b"{\"a\": 1}", "no format that is known"),
        (b"#twinhull\n\xff", "UTF-8"),
        (b"#twinhull\nusers: [", "isn't valid YAML"),
        (b"#twinhull\n- 1\n", "must be a mapping, but this is a list"),
        (b"twinhull: 2\n", "it is 1"),
        (b"#systemd-userdata\n{", "2:"),
    ] {
        let text = match parse(bytes) {
            Err(problems) => problems[0].to_string(),
            Ok(None) => "no format that is known: none".into(),
            Ok(Some(data)) => data.summary(),
        };
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn values_are_never_quoted() {
    let text = problems("#twinhull\nusers:\n- name: a\n  password-hash: s3cret\n  hunter2 is my: x\n");
    assert!(!text.contains("s3cret") && !text.contains("hunter2"), "{text}");
    for broken in [
        "#twinhull\nhostname: [s3cret\n",
        "#twinhull\na: \"s3cret\n",
        "#twinhull\na: s3cret: x\n",
        "#twinhull\na: !!int s3cret\n",
        "#twinhull\na: *s3cret\n",
    ] {
        let text = problems(broken);
        assert!(!text.contains("s3cret") || broken.contains('*'), "{text}");
    }
}

#[test]
fn clashes() {
    for (text, want) in [
        ("files: [{path: /etc/a, content: x}, {path: /etc/a/b, content: x}]", "in each other's way"),
        ("files: [{path: /root/a, content: x}, {path: /var/roothome/a, content: x}]", "in each other's way"),
        ("users: [{name: a}, {name: a}]", "already at 2:9"),
        ("units: [{name: a.service, enable: true}, {name: a.service, enable: true}]", "already at"),
        ("units: [{name: a@.service, enable: true}]", "a template"),
    ] {
        let text = problems(&format!("#twinhull\n{text}\n"));
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn clock_and_credentials() {
    let data = parse(
        b"#twinhull\ntime-zone: Europe/Berlin\nntp: [ntp.example, 2001:db8::1]\ncredentials:\n- {name: db.password, content: s3cret}\n\
          - {name: key, content-base64: aGk=}\n- {name: tls, encrypted: aGkK}\n",
    )
    .unwrap()
    .unwrap();
    assert_eq!(data.summary(), "twinhull: 1 time zone, 2 time servers, 3 credentials");
    let paths: Vec<_> = data.credentials.iter().map(Credential::path).collect();
    assert_eq!(paths, ["/etc/credstore/db.password", "/etc/credstore/key", "/etc/credstore.encrypted/tls"]);
    assert!(!format!("{data:?}").contains("s3cret"));
    for (text, want) in [
        ("time-zone: ../../x", "a time zone is a name"),
        ("time-zone: 1", "put it in quotes"),
        ("ntp: a.example", "must be a list"),
        ("ntp: ['a b']", "host name or an address"),
        ("credentials: [{name: a/b, content: x}]", "a credential's name"),
        ("credentials: [{name: a}]", "exactly one of `content`, `content-base64` and `encrypted`"),
        ("credentials: [{name: a, content: x, encrypted: aGk=}]", "exactly one"),
        ("credentials: [{name: a, encrypted: '!'}]", "isn't base64"),
        ("credentials: [{name: a, content: x}, {name: a, content: z}]", "credential `a` is already at 2:15"),
        (
            "credentials: [{name: a, content: x}]\nfiles: [{path: /etc/credstore/a, content: z}]",
            "each other's way",
        ),
        ("files: [{path: /etc/localtime, content: z}]", "use `time-zone`"),
        (
            "files: [{path: /etc/systemd/system/a.service, content: z}]\nunits: [{name: a.service, content: \"[Service]\"}]",
            "each other's way",
        ),
    ] {
        let text = problems(&format!("#twinhull\n{text}\n"));
        assert!(text.contains(want), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = parse(&[b"#twinhull\n", bytes.as_slice()].concat());
        let _ = parse(&bytes);
    }

    #[test]
    fn never_panics_on_likely_keys(
        text in "(users|files|units|name|path|content|mode|uid|sudo|/etc/|\\.service|[-:,\\[\\]{} \n0-9a-f])*"
    ) {
        let _ = parse(format!("#twinhull\n{text}").as_bytes());
    }
}

mod cloud_config;
mod envelope;
mod ignition;

#[test]
fn what_is_too_long_is_not_counted_to_its_end() {
    let long = vec![b'#'; crate::http::USER_DATA_LIMIT + 1];
    assert_eq!(parse(&long).unwrap_err()[0].message, "it has more than 1048576 bytes, which are the most");
}
