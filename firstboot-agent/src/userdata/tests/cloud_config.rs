//! cloud-config as people and tools write it.

use super::*;

fn good(text: &str) -> UserData {
    parse(text.as_bytes()).unwrap_or_else(|p| panic!("{text}: {p:?}")).unwrap()
}

/// What a panel or a Terraform module gives: a bit of everything that is supported.
const DOCUMENT: &str = "\
#cloud-config
hostname: web1
fqdn: web1.example.com
manage_etc_hosts: false
timezone: Europe/Berlin
ssh_pwauth: false
disable_root: false
package_update: false
growpart:
  mode: auto
  devices: ['/']
ssh_authorized_keys:
  - ssh-ed25519 AAAAroot root
users:
  - default
  - name: ann
    gecos: Ann B.
    primary_group: ann
    groups: adm, wheel
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    lock_passwd: false
    passwd: $6$salt$s3cret
    ssh-authorized-keys:
      - ssh-ed25519 AAAAann ann
  - name: bob
    uid: '1500'
    groups: [adm]
    sudo: ['ALL=(ALL) /usr/bin/systemctl', 'ALL=(ALL) /usr/bin/journalctl']
    hashed_passwd: $6$salt$s3cret
  - carl
write_files:
  - path: /etc/motd
    content: |
      hello
  - path: /etc/app/key
    encoding: b64
    content: aGkK
    permissions: '0600'
    owner: ann:adm
  - path: /etc/empty
  - path: /etc/octal
    permissions: 0640
    append: false
    content: 5
ntp:
  enabled: true
  servers: [ntp1.example, 192.0.2.1]
  pools: [pool.example]
";

#[test]
fn everything_at_once() {
    let data = good(DOCUMENT);
    assert_eq!(
        data.summary(),
        "cloud-config: 1 host name, 1 time zone, 3 time servers, 1 key, 3 users, 4 files"
    );
    assert_eq!(data.hostname.as_ref().unwrap().value.as_str(), "web1");
    let [ann, bob, carl] = &data.users[..] else { panic!("{:?}", data.users) };
    assert_eq!((ann.groups.join(" "), ann.ssh_keys.len()), ("adm wheel".into(), 1));
    assert_eq!(ann.password_hash.as_deref(), Some("$6$salt$s3cret"));
    assert_eq!(ann.sudo, Some(Sudo(vec!["ALL=(ALL) NOPASSWD:ALL".into()])));
    // Locked unless one says otherwise, as cloud-init does it.
    assert_eq!((bob.uid, &bob.password_hash), (Some(1500), &None));
    assert_eq!(bob.sudo.as_ref().map(|s| s.0.len()), Some(2));
    assert_eq!((carl.name.as_str(), carl.uid), ("carl", None));
    let files: Vec<_> = data.files.iter().map(|f| (f.mode, f.owner.as_str(), f.content.as_slice())).collect();
    assert_eq!(
        files,
        [
            (0o644, "root", &b"hello\n"[..]),
            (0o600, "ann", b"hi\n"),
            (0o644, "root", b""),
            (0o640, "root", b"5")
        ]
    );
    assert_eq!(data.ntp.as_ref().unwrap().value, ["ntp1.example", "192.0.2.1", "pool.example"]);
    let notes: Vec<_> = data.notes.iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|n| n.contains("`ssh_pwauth` makes no difference")), "{notes:?}");
    assert!(notes.iter().any(|n| n.contains("the hash isn't used")), "{notes:?}");
    assert!(!format!("{data:?}{notes:?}").contains("s3cret"));
}

#[test]
fn oddities() {
    for text in [
        "#cloud-config",
        "#cloud-config\n",
        "#cloud-config\r\n\r\n",
        "\u{feff}#cloud-config\nhostname: a\n",
        "#cloud-config\r\nhostname: a\r\nusers:\r\n- default\r\n",
        "#cloud-config\n---\nhostname: a\n",
        "#cloud-config \nusers: default\n",
        "#cloud-config # made by a tool\nusers: []\nruncmd: []\npackages: []\n",
        "#cloud-config\nruncmd: null\nntp: {}\n",
        "#cloud-config\n{\"hostname\": \"a\", \"users\": [{\"name\": \"b\"}]}\n",
        "#cloud-config\nmanage_etc_hosts: 'false'\n",
    ] {
        good(text);
    }
    let name = |text: &str| good(&format!("#cloud-config\n{text}\n")).hostname.unwrap().value.to_string();
    assert_eq!(name("fqdn: a.b.c"), "a");
    assert_eq!(name("fqdn: a.b.c\nprefer_fqdn_over_hostname: true"), "a.b.c");
    assert_eq!(name("{fqdn: a.b.c, hostname: d, prefer_fqdn_over_hostname: false}"), "d");
}

#[test]
fn what_cant_be_had_is_refused_by_name() {
    for (text, want) in [
        ("runcmd: [ls]", "2:9: `runcmd` can't be had here: nothing of user data is run: make a unit"),
        ("bootcmd: [[ls, -l]]", "make a unit"),
        ("packages: [nginx]", "spec"),
        ("package_update: true", "2:17: `package_update` can only be false here"),
        ("package_upgrade: true", "spec"),
        ("apt: {sources: {}}", "spec"),
        ("disk_setup: {/dev/sda: {}}", "disk"),
        ("mounts: [[a, b]]", "units"),
        ("chpasswd: {list: 'root:s3cret'}", "passwords are never given as such"),
        ("password: s3cret", "passwords are never given as such"),
        ("ssh_import_id: ['gh:ann']", "give the keys themselves"),
        ("ssh_pwauth: true", "can only be false here"),
        ("disable_root: true", "can only be false here"),
        ("preserve_hostname: true", "can only be false here"),
        ("growpart: {mode: 'off'}", "can only be `mode: auto` here"),
        ("locale: de_DE.UTF-8", "image"),
        ("power_state: {mode: reboot}", "stays up"),
        ("groups: [a]", "groups are the image's"),
        ("hostnam: x", "2:1: cloud-config has no key `hostnam`; did you mean `hostname`?"),
        ("users: {a: b}", "must be a list"),
        ("users: [{name: a, plain_text_passwd: s3cret}]", "`plain_text_passwd` can't be had here"),
        ("users: [{name: a, passwd: s3cret}]", "`passwd` is a hash"),
        ("users: [{name: a, homedir: /srv/a}]", "home is /home/NAME"),
        ("users: [{name: a, primary_group: adm}]", "group of its own"),
        ("users: [{name: a, system: true}]", "accounts of services"),
        ("users: [{name: a, sudo: true}]", "one rule"),
        ("users: [{name: a, uid: 5}]", "from 1000"),
        ("users: [a, {name: a}]", "user `a` is already at 2:9"),
        (
            "write_files: [{path: /etc/a, append: true, content: s3cret}]",
            "`append` can't be had here: a file is",
        ),
        ("write_files: [{path: /etc/a, defer: true}]", "`defer` can't be had here"),
        ("write_files: [{path: /usr/a}]", "/usr belongs to the image"),
        ("write_files: [{path: /etc/hostname}]", "use `hostname`"),
        ("write_files: [{path: /etc/a, encoding: b64, content: '?'}]", "isn't base64"),
        ("write_files: [{path: /etc/a, encoding: gz, content: s3cret}]", "gzip data is damaged"),
        ("write_files: [{path: /etc/a, encoding: rot13, content: s3cret}]", "`encoding` is"),
        ("write_files: [{path: /etc/a, permissions: 644}]", "octal in quotes"),
        ("write_files: [{path: /etc/a, owner: 'A:b'}]", "user:group"),
        ("write_files: [{path: /etc/a, source: {uri: x}}]", "nothing is fetched"),
        ("ntp: {ntp_client: chrony}", "systemd-timesyncd"),
        ("ntp: {enabled: false, servers: [a]}", "aren't to be used"),
        ("users: [\n\t- x: z", "isn't valid YAML"),
    ] {
        let text = problems(&format!("#cloud-config\n{text}\n"));
        assert!(text.contains(want) && !text.contains("s3cret"), "{want}: {text}");
    }
}

#[test]
fn a_key_that_nobody_knows_is_told_of_those_that_are_of_use() {
    for (text, offered, refused) in [
        ("#cloud-config\nzzzzzzzz: 1\n", "`write_files`", "`snap`"),
        ("#cloud-config\nusers: [{name: ann, zzzzzzzz: 1}]\n", "`ssh_authorized_keys`", "`ssh_import_id`"),
        ("#cloud-config\nwrite_files: [{path: /etc/a, zzzzzzzz: 1}]\n", "`encoding`", "`defer`"),
    ] {
        let message = &parse(text.as_bytes()).unwrap_err()[0].message;
        assert!(message.contains(offered) && !message.contains(refused), "{message}");
    }
    // One that is nearly a refused key is that one, though.
    let message = &parse(b"#cloud-config\nruncmds: [a]\n").unwrap_err()[0].message;
    assert!(message.contains("did you mean `runcmd`?"), "{message}");
}
