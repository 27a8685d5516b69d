//! Ignition as Butane and Terraform write it, and systemd's JSON.

use super::*;

const DOCUMENT: &str = r#"{
  "ignition": {"version": "3.4.0", "config": {"replace": {"verification": {}}}, "proxy": {}, "security": {"tls": {}}, "timeouts": {}},
  "kernelArguments": {},
  "passwd": {"users": [
    {"name": "core", "sshAuthorizedKeys": ["ssh-ed25519 AAAAcore core"], "passwordHash": "$6$salt$s3cret", "groups": ["adm"]},
    {"name": "ann", "uid": 1500, "gecos": "Ann", "shell": "/bin/bash", "homeDir": "/home/ann"}
  ]},
  "storage": {
    "directories": [{"path": "/var/lib/app/", "mode": 448, "user": {"name": "ann"}, "group": {"id": 4}}],
    "files": [
      {"path": "/etc/hostname", "mode": 420, "contents": {"source": "data:,web1%0A"}},
      {"path": "/etc/app.conf", "overwrite": true, "mode": 384, "contents": {
        "compression": "", "source": "data:text/plain;charset=utf-8;base64,aGkK",
        "verification": {"hash": "sha256-98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"}}},
      {"path": "/etc/gz", "contents": {"compression": "gzip", "source": "data:;base64,H4sIAAAAAAACA8vI5AIAenpv7QMAAAA="}},
      {"path": "/etc/empty"}
    ],
    "links": [
      {"path": "/etc/localtime", "target": "../usr/share/zoneinfo/Europe/Berlin"},
      {"path": "/etc/app/current", "target": "/usr/share/app", "hard": false}
    ],
    "disks": [], "raid": [], "filesystems": null
  },
  "systemd": {"units": [
    {"name": "app.service", "enabled": true, "contents": "[Unit]\nDescription=App\n\n[Service]\nExecStart=/usr/bin/app\n\n[Install]\nWantedBy=multi-user.target a.target\nRequiredBy=b.target\nAlias=web.service\n"},
    {"name": "idle.service", "enabled": false, "contents": "[Service]\nExecStart=true\n[Install]\nWantedBy=x.target\n"},
    {"name": "ssh.service", "dropins": [{"name": "10-a.conf", "contents": "[Service]\nNice=1\n"}]},
    {"name": "systemd-resolved.service", "enabled": true},
    {"name": "cups.service", "mask": true}
  ]}
}"#;

#[test]
fn everything_at_once() {
    let data = parse(DOCUMENT.as_bytes()).unwrap().unwrap();
    assert_eq!(
        data.summary(),
        "Ignition: 1 host name, 1 time zone, 2 users, 3 files, 1 folder, 1 link, 5 units"
    );
    assert_eq!(data.hostname.as_ref().unwrap().value.as_str(), "web1");
    assert_eq!(data.time_zone.as_ref().unwrap().value, "Europe/Berlin");
    let files: Vec<_> = data.files.iter().map(|f| (f.mode, f.content.as_slice())).collect();
    assert_eq!(files, [(0o600, &b"hi\n"[..]), (0o644, b"hi\n"), (0o644, b"")]);
    let folder = &data.directories[0];
    assert_eq!((folder.path.as_str(), folder.mode, folder.group.as_str()), ("/var/lib/app", 0o700, "4"));
    let links = [
        "multi-user.target.wants/app.service",
        "a.target.wants/app.service",
        "b.target.requires/app.service",
    ];
    let links = links.into_iter().chain(["web.service"]).map(str::to_owned).collect();
    assert_eq!(data.units[0].enable, Enable::Links(links));
    let rest: Vec<_> = data.units[1..].iter().map(|u| u.enable.clone()).collect();
    assert_eq!(rest, [Enable::No, Enable::No, Enable::AsTheImageSays, Enable::Masked]);
    assert!(!format!("{data:?}").contains("s3cret"));
}

#[test]
fn what_cant_be_had_is_refused_by_path() {
    let disk = r#""storage": {"disks": [{"device": "/dev/sda"}]}"#;
    let unit = |unit: &str| format!(r#""systemd": {{"units": [{unit}]}}"#);
    let file = |file: &str| {
        format!(r#""storage": {{"files": [{{"path": "/etc/a"}}, {{"path": "/etc/b", {file}}}]}}"#)
    };
    let user = |user: &str| format!(r#""passwd": {{"users": [{{"name": "a", {user}}}]}}"#);
    for (text, want) in [
        (disk.into(), "storage.disks[0]: `disks` can't be had here: the image's spec"),
        (r#""storage": {"filesystems": [{}]}"#.into(), "storage.filesystems[0]"),
        (r#""storage": {"luks": [{}]}"#.into(), "storage.luks[0]"),
        (r#""kernelArguments": {"shouldExist": ["a"]}"#.into(), "kernelArguments.shouldExist[0]: "),
        (r#""passwd": {"groups": [{"name": "g"}]}"#.into(), "passwd.groups[0]: `groups` can't be had here"),
        (
            r#""storag": {}"#.into(),
            "storag: an Ignition configuration has no key `storag`; did you mean `storage`?",
        ),
        (
            file(r#""contents": {"source": "https://s3cret/x"}"#),
            "storage.files[1].contents.source: `https:` isn't fetched",
        ),
        (
            file(r#""contents": {"source": "data:,s3cret", "verification": {"hash": "sha512-00"}}"#),
            "verification.hash: the contents don't",
        ),
        (file(r#""contents": {"source": "data:,s3cret", "compression": "xz"}"#), "contents.compression: "),
        (file(r#""contents": {"source": "data:,s3cret", "compression": "gzip"}"#), "gzip data is damaged"),
        (file(r#""append": [{"source": "data:,s3cret"}]"#), "storage.files[1].append[0]: "),
        (file(r#""mode": "0644""#), "storage.files[1].mode: `mode` is a decimal number"),
        (file(r#""mode": 4096"#), "decimal number"),
        (
            r#""storage": {"links": [{"path": "/var/a", "target": "b"}]}"#.into(),
            "storage.links[0]: links are made below /etc",
        ),
        (
            r#""storage": {"links": [{"path": "/etc/a", "target": "b", "hard": true}]}"#.into(),
            "links[0].hard: ",
        ),
        (
            r#""storage": {"directories": [{"path": "/usr/a"}]}"#.into(),
            "storage.directories[0].path: /usr belongs",
        ),
        (user(r#""homeDir": "/srv/a""#), "passwd.users[0].homeDir: "),
        (user(r#""shouldExist": false"#), "passwd.users[0].shouldExist: "),
        (user(r#""passwordHash": "s3cret""#), "`passwordHash` is a hash"),
        (
            unit(r#"{"name": "a.service", "enabled": true, "contents": "[Service]\n"}"#),
            "systemd.units[0]: this unit can't be enabled: nothing starts it",
        ),
        (
            unit(r#"{"name": "a.service", "enabled": true, "contents": "[Install]\nAlso=b.socket\n"}"#),
            "`Also=`",
        ),
        (
            unit(r#"{"name": "a.service", "enabled": true, "contents": "[Install]\nWantedBy=%i.target\n"}"#),
            "specifiers",
        ),
        (unit(r#"{"name": "a.service", "enabled": false}"#), "`mask: true` keeps it"),
        (unit(r#"{"name": "a.service", "mask": true, "enabled": true}"#), "a masked unit"),
        (unit(r#"{"name": "a@.service", "enabled": true}"#), "a template"),
        (unit(r#"{"name": "../a.service", "mask": true}"#), "systemd.units[0].name: a unit's name"),
    ] {
        let text = problems(&format!(r#"{{"ignition": {{"version": "3.0.0"}}, {text}}}"#));
        assert!(text.contains(want) && !text.contains("s3cret"), "{want}: {text}");
    }
    for (text, want) in [
        (r#"{"ignition": {"version": "2.3.0"}}"#, "ignition.version: versions 3.0.0 to 3.5.0 can be read"),
        (r#"{"ignition": {"version": "3.6.0-experimental"}}"#, "another one"),
        (r#"{"ignition": {}}"#, "needs `version`"),
        (
            r#"{"ignition": {"version": "3.0.0", "config": {"merge": [{"source": "x"}]}}}"#,
            "ignition.config.merge[0]: ",
        ),
        (
            r#"{"ignition": {"version": "3.0.0", "config": {"replace": {"source": "x"}}}}"#,
            "ignition.config.replace: ",
        ),
        (r#"{"ignition": {"version": "3.0.0"},}"#, "1:35: this isn't valid JSON"),
        (
            r#"{"ignition": {"version": "3.0.0"}, "passwd": {"users": [{"name": "s3cret A"}]}}"#,
            "passwd.users[0].name: ",
        ),
    ] {
        let text = problems(text);
        assert!(text.contains(want) && !text.contains("s3cret"), "{want}: {text}");
    }
}

#[test]
fn credentials_for_systemd() {
    let list = r#"{"systemd.credentials": [{"name": "a", "text": "s3cret"}, {"name": "b", "data": "aGk="},
        {"name": "c", "encrypted": "aGk="}]}"#;
    for text in [
        list.to_owned(),
        format!("#systemd-userdata\n{list}"),
        format!("\u{feff}#systemd-userdata\r\n{list}\r\n"),
    ] {
        let data = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(data.summary(), "systemd-userdata: 3 credentials");
        assert_eq!(data.credentials[1].content, b"hi");
        assert!(data.credentials[2].encrypted && !format!("{data:?}").contains("s3cret"));
    }
    for (text, want) in [
        (
            r#"{"systemd.credentials": [{"name": "a", "text": "s3cret", "data": ""}]}"#,
            "systemd.credentials[0]: a credential needs exactly one",
        ),
        (r#"{"systemd.credentials": [{"text": "s3cret"}]}"#, "needs `name`"),
        (r#"{"systemd.credentials": {}}"#, "must be a list"),
        (r#"{"systemd.credentials": [], "systemd.units": []}"#, "has no key `systemd.units`"),
    ] {
        let text = problems(text);
        assert!(text.contains(want) && !text.contains("s3cret"), "{want}: {text}");
    }
}
