//! Wrong specs, each with what must be said of it and where.

mod schema;

use std::path::Path;

use twinhull_spec::{Code, parse};

const GOOD_IMAGE: &str = "image: {id: hello, version: 1.0}\n";
const GOOD_TREE: &str = "tree: {debian: {suite: trixie}}\n";

/// One mistake: a name for the row, the spec, and line, column, code, part of the message, part of the hint.
type Row<'a> = (&'a str, &'a str, (usize, usize, Code, &'a str, &'a str));

fn expect(rows: &[Row<'_>], wrap: impl Fn(&str) -> String) {
    let mut seen = Vec::new();
    for (name, text, (line, column, code, message, hint)) in rows {
        let text = wrap(text);
        let found = parse("spec.yaml", &text, None).expect_err(name);
        let item = &found.items[0];
        let rendered = found.render(false);
        assert_eq!(found.items.len(), 1, "{name}:\n{rendered}");
        assert_eq!((item.place.line, item.place.column), (*line, *column), "{name}:\n{rendered}");
        assert_eq!(item.code, *code, "{name}:\n{rendered}");
        assert!(item.message.contains(message), "{name}:\n{rendered}");
        assert!(item.hint.as_deref().unwrap_or_default().contains(hint), "{name}:\n{rendered}");
        // The header of a snippet and the fields agree.
        assert!(rendered.contains(&format!("--> spec.yaml:{line}:{column}\n")), "{name}:\n{rendered}");
        assert!(rendered.contains(&format!("error[{}]: ", item.code)), "{name}:\n{rendered}");
        seen.push((text, *code, item.message.clone()));
    }
    schema::agrees(&seen);
}

#[test]
fn image() {
    use Code::*;
    let rows: &[Row<'_>] = &[
        ("underscore", "id: my_box\nversion: 1.0", (2, 7, BadValue, "NAME_VERSION", "\"my-box\"")),
        ("capitals", "id: Box\nversion: 1.0", (2, 7, BadValue, "capital", "\"box\"")),
        ("slash", "id: a/b\nversion: 1.0", (2, 7, BadValue, "not an image name", "lower-case")),
        ("dash first", "id: -a\nversion: 1.0", (2, 7, BadValue, "not an image name", "beginning")),
        ("long id", "id: abcdefghijklmnopqrstu\nversion: 1", (2, 7, TooLong, "21 characters; 20", "")),
        ("empty id", "id: ''\nversion: 1", (2, 7, BadValue, "is empty", "web-server")),
        ("null id", "id:\nversion: 1", (2, 3, WrongType, "expected text, found nothing", "value")),
        ("tilde id", "id: ~\nversion: 1", (2, 7, WrongType, "expected text, found nothing", "")),
        ("boolean id", "id: true\nversion: 1", (2, 7, WrongType, "found a boolean", "\"true\"")),
        ("no version", "id: a", (1, 1, MissingKey, "needs the key `version`", "version: 1.0.0")),
        ("plus", "id: a\nversion: 1.0+3", (3, 12, BadValue, "boot counter", "^")),
        ("version underscore", "id: a\nversion: 1_0", (3, 12, BadValue, "NAME_VERSION", ".~^-")),
        ("version list", "id: a\nversion: [1, 0]", (3, 12, WrongType, "expected text, found a list", "")),
        ("long version", "id: a\nversion: 12345678901234567", (3, 12, TooLong, "17 characters; 16", "")),
        ("arch alias", "id: a\nversion: 1\narch: amd64", (4, 9, UnknownValue, "not one of", "`x86-64`")),
        ("arch typo", "id: a\nversion: 1\narch: amr64", (4, 9, UnknownValue, "not one of", "`arm64`")),
        ("arch unknown", "id: a\nversion: 1\narch: riscv64", (4, 9, UnknownValue, "riscv64", "one of")),
        ("kernel path", "id: a\nversion: 1\nkernel: ../x", (4, 11, BadValue, "kernel release", "uname -r")),
        ("timestamp", "id: a\nversion: 1\ntimestamp: -5", (4, 14, BadValue, "before 1970", "")),
        ("float time", "id: a\nversion: 1\ntimestamp: 1.5", (4, 14, BadValue, "whole number", "")),
        ("quoted time", "id: a\nversion: 1\ntimestamp: '5'", (4, 14, WrongType, "found text", "quotes")),
        ("date", "id: a\nversion: 1\ntimestamp: 2026-01-01", (4, 14, WrongType, "found text", "1970")),
        ("alias of a key", "id: a\nversion: 1\nname: b", (4, 3, UnknownKey, "\"name\" in `image:`", "`id`")),
        ("typo", "id: a\nversion: 1\nachr: b", (4, 3, UnknownKey, "\"achr\"", "`arch`")),
        ("elsewhere", "id: a\nversion: 1\nhostname: b", (4, 3, UnknownKey, "", "system.hostname")),
        ("nowhere", "id: a\nversion: 1\nqqq: b", (4, 3, UnknownKey, "", "`id`, `version`")),
        ("twice", "id: a\nversion: 1\nid: b", (4, 3, DuplicateKey, "image.id is there twice", "")),
        ("anchor", "id: &x a\nversion: 1", (2, 7, Unsupported, "no anchors", "")),
        ("tag", "id: !!str a\nversion: 1", (2, 7, Unsupported, "no tags", "")),
        ("no host name", "id: a-\nversion: 1", (2, 7, Conflict, "host name", "system.hostname")),
        ("key is a list", "id: a\nversion: 1\n? [x]\n: 1", (4, 5, WrongType, "a key is text", "")),
    ];
    expect(rows, |image| format!("image:\n  {}\n{GOOD_TREE}", image.replace('\n', "\n  ")));
}

#[test]
fn keys_are_named_not_given() {
    use Code::*;
    let rows: &[Row<'_>] = &[
        ("pin", "\"pkcs11:token=a?pin-value=1\"", (5, 10, BadValue, "has a PIN", "TWINHULL_KEY_PIN")),
        ("pem", "\"-----BEGIN PRIVATE KEY-----\"", (5, 10, BadValue, "is a key", "file")),
    ];
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("db.crt"), "").unwrap();
    let head =
        format!("{GOOD_IMAGE}{GOOD_TREE}boot:\n  secure-boot:\n    key: KEY\n    certificate: db.crt\n");
    expect(rows, |key| head.replace("KEY", key));
    let pin = head.replace("KEY", "\"pkcs11:token=a?pin-value=4711\"");
    let said = parse("spec", &pin, None).unwrap_err().render(false);
    assert!(said.contains("key: *****") && !said.contains("4711"), "{said}");
    let good = head.replace("KEY", "\"pkcs11:token=a?pin-source=/run/pin\"");
    assert!(parse("spec", &good, Some(dir.path())).is_ok());
}

#[test]
fn ext4_is_not_compressed() {
    let text =
        format!("{GOOD_IMAGE}{GOOD_TREE}disk:\n  filesystem: ext4\n  compression: none\n  cluster: 64K\n");
    let found = parse("spec", &text, None).unwrap_err();
    let places: Vec<_> = found.items.iter().map(|i| (i.code, i.place.line, i.place.column)).collect();
    let first = text.lines().position(|l| l.contains("compression")).unwrap() + 1;
    assert_eq!(places, [(Code::Conflict, first, 16), (Code::Conflict, first + 1, 12)]);
    assert!(found.items[0].message.contains("ext4 can't be compressed"), "{}", found.items[0].message);
    let hint = found.items[1].hint.as_deref().unwrap_or_default();
    assert!(hint.contains("remove disk.cluster"), "{hint}");
    assert!(parse("spec", &text.replace("ext4", "erofs"), None).is_ok());
}

#[test]
fn labels_that_are_too_long_come_with_numbers() {
    let text = format!("image:\n  id: a-rather-long-name-1\n  version: 2026.08.01\n{GOOD_TREE}");
    let found = parse("spec", &text, None).unwrap_err();
    let item = &found.items[0];
    assert_eq!((found.items.len(), item.code, item.place.line, item.place.column), (1, Code::TooLong, 3, 12));
    assert!(item.message.contains("has 38 characters; a GPT label has at most 36"), "{}", item.message);
    assert!(item.hint.as_deref().unwrap_or_default().contains("by 2 together"));
    let fits = text.replace("name-1", "name");
    assert!(parse("spec", &fits, None).is_ok(), "36 units are allowed");
}

#[test]
fn tree() {
    use Code::*;
    let rows: &[Row<'_>] = &[
        ("misspelt", "tree: {debain: {}}", (2, 8, UnknownKey, "debain", "`debian`")),
        ("none", "tree: {}", (2, 1, MissingKey, "needs one of `debian`, `tar` and `dir`", "")),
        ("null", "tree:", (2, 1, MissingKey, "needs one of", "")),
        ("text", "tree: debian", (2, 7, WrongType, "expected a mapping, found text", "`debian`")),
        ("two", "tree:\n  dir: a\n  tar: b", (4, 3, Conflict, "tree.tar and dir exclude", "")),
        ("typo", "tree:\n  debain: {suite: sid}\n  dir: x", (3, 3, UnknownKey, "debain", "`debian`")),
        ("empty path", "tree: {dir: ''}", (2, 13, BadValue, "not a path", "")),
        ("no suite", "tree:\n  debian:\n    packages: []", (3, 3, MissingKey, "the key `suite`", "trixie")),
        ("suite", "tree: {debian: {suite: Trixie}}", (2, 24, BadValue, "capital", "\"trixie\"")),
        ("number", "tree: {debian: {suite: 13}}", (2, 24, BadValue, "is a version", "code name")),
    ];
    expect(rows, |tree| format!("{GOOD_IMAGE}{tree}\n"));

    let rows: &[Row<'_>] = &[
        ("words", "packages: curl vim", (5, 15, WrongType, "expected a list", "[curl, vim]")),
        ("mapping", "packages: {curl: 1}", (5, 15, WrongType, "found a mapping", "`- `")),
        ("twice", "packages: [vim, curl, vim]", (5, 27, Duplicate, "packages[2]: \"vim\"", "")),
        ("capital", "packages: [Vim]", (5, 16, BadValue, "Debian package name", "lower-case")),
        ("pinned", "packages:\n- curl=8.1", (6, 7, BadValue, "names a version", "\"curl\"")),
        ("removal", "packages: [vim-]", (5, 16, BadValue, "remove", "")),
        ("foreign", "packages: ['vim:i386']", (5, 16, BadValue, "architecture", "\"vim\"")),
        ("nested", "packages: [[vim]]", (5, 16, WrongType, "packages[0]: expected text", "")),
        ("empty item", "packages:\n-\n- vim", (6, 6, WrongType, "found nothing", "")),
        ("kernel", "kernel: linux_image", (5, 13, BadValue, "Debian package name", "")),
        ("ftp", "mirror: ftp://a/b", (5, 13, BadValue, "URL", "https://")),
        ("secret", "mirror: https://me:pw@host/x", (5, 13, BadValue, "manifest", "auth.conf")),
        ("no host", "mirror: 'https:///x'", (5, 13, BadValue, "mirror's URL", "")),
    ];
    expect(rows, |debian| {
        format!("{GOOD_IMAGE}tree:\n  debian:\n    suite: trixie\n    {}\n", debian.replace('\n', "\n    "))
    });
}

#[test]
fn system_boot_and_disk() {
    use Code::*;
    let rows: &[Row<'_>] = &[
        ("host name", "system: {hostname: my_host}", (3, 20, BadValue, "`_`", "my-host")),
        ("dot", "system: {hostname: a..b}", (3, 20, BadValue, "not a host name", "")),
        ("no suffix", "system: {enable: [ssh]}", (3, 19, BadValue, "no suffix", "ssh.service")),
        ("template", "system: {enable: [a@.service]}", (3, 19, BadValue, "template", "a@INSTANCE.service")),
        ("unknown suffix", "system: {enable: [a.servce]}", (3, 19, BadValue, "can be enabled", ".service")),
        ("device", "system: {enable: [a.device]}", (3, 19, BadValue, "[Install]", "")),
        ("profile", "boot: {profile: baremetal}", (3, 17, UnknownValue, "baremetal", "`bare-metal`")),
        ("profile typo", "boot: {profile: colud}", (3, 17, UnknownValue, "colud", "`cloud`")),
        ("firmware name", "boot: {firmware: [uefi, legacy]}", (3, 25, BadValue, "another name", "\"bios\"")),
        (
            "no such firmware",
            "boot: {firmware: [uefi, coreboot]}",
            (3, 25, BadValue, "coreboot", "uefi or bios"),
        ),
        ("bios alone", "boot: {firmware: [bios]}", (3, 18, Conflict, "uefi is missing", "[uefi, bios]")),
        ("firmware twice", "boot: {firmware: [uefi, uefi]}", (3, 25, Duplicate, "twice", "")),
        ("emergency", "boot: {emergency: bash}", (3, 19, UnknownValue, "bash", "`shell`")),
        ("module file", "boot: {modules: [nvme.ko.zst]}", (3, 18, BadValue, "file", "\"nvme\"")),
        ("same module", "boot: {modules: [a_b, a-b]}", (3, 23, Duplicate, "twice", "")),
        ("root", "boot: {cmdline: [quiet, root=/dev/sda]}", (3, 25, Reserved, "root=tmpfs", "remove")),
        ("usrhash", "boot: {cmdline: [usrhash=00]}", (3, 18, Reserved, "root hash of /usr", "")),
        ("auto", "boot: {cmdline: [systemd.gpt_auto]}", (3, 18, Reserved, "turns it off", "")),
        ("two words", "boot: {cmdline: [a b]}", (3, 18, BadValue, "space", "list item")),
        ("quotes", "boot: {cmdline: ['a=\"b\"']}", (3, 18, BadValue, "kernel command line", "quotes")),
        ("size", "disk: {esp: 1.5G}", (3, 13, BadValue, "not a size", "512M")),
        ("lower case", "disk: {usr: 512m}", (3, 13, BadValue, "not a size", "write 512M")),
        ("small", "disk: {esp: 33M}", (3, 13, BadValue, "too small", "at least 34M")),
        ("small usr", "disk: {usr: 1024}", (3, 13, BadValue, "too small", "at least 16M")),
        ("large", "disk: {var: 17T}", (3, 13, BadValue, "more than 16T", "")),
        ("overflow", "disk: {var: 99999999999T}", (3, 13, BadValue, "not a size", "")),
        ("negative", "disk: {var: -1}", (3, 13, BadValue, "not a size", "")),
        ("unknown", "disks: {var: 1G}", (3, 1, UnknownKey, "\"disks\"", "`disk`")),
        ("list", "disk: [1G]", (3, 7, WrongType, "expected a mapping, found a list", "")),
    ];
    expect(rows, |rest| format!("{GOOD_IMAGE}{GOOD_TREE}{rest}\n"));
}

#[test]
fn yaml() {
    use Code::*;
    let good = format!("{GOOD_IMAGE}{GOOD_TREE}");
    let rows: &[Row<'_>] = &[
        ("empty", "", (1, 1, MissingKey, "empty", "image:")),
        ("comment only", "# nothing\n", (1, 1, MissingKey, "empty", "image:")),
        ("a list", "- a\n", (1, 1, WrongType, "the spec: expected a mapping", "")),
        ("tab", &format!("{good}disk:\n\tesp: 64M\n"), (4, 1, Syntax, "tab", "spaces")),
        ("colon", &format!("{good}system: a: b\n"), (3, 10, Syntax, "mapping values", "quotes")),
        ("quotes", &format!("{good}system: {{hostname: \"a\n"), (3, 20, Syntax, "quote", "")),
        ("documents", &format!("{good}---\na: b\n"), (3, 1, Unsupported, "second document", "---")),
        ("alias", &format!("{good}system: *x\n"), (3, 9, Unsupported, "no aliases", "")),
    ];
    expect(rows, str::to_owned);
    let text = format!("{good}system: {{hostname: 'é', é: 1}}");
    let found = parse("spec", &text, None).unwrap_err();
    assert_eq!(
        (found.items[1].code, found.items[1].place.column),
        (UnknownKey, 25),
        "columns are characters"
    );
}

#[test]
fn every_mistake_is_named_in_one_run() {
    let text = "image:\n  id: my_box\n  versoin: 1.0\ntree:\n  debian:\n    suite: trixie\n    packages: curl\n\
                boot:\n  profile: clodu\ndisk:\n  esp: 1M\nsystem:\n  enable: [ssh]\n";
    let found = parse("spec.yaml", text, None).unwrap_err();
    let places: Vec<_> = found.items.iter().map(|i| (i.place.line, i.place.column, i.code.name())).collect();
    let want = [
        (2, 7, "bad-value"),
        (3, 3, "unknown-key"),
        (7, 15, "wrong-type"),
        (9, 12, "unknown-value"),
        (11, 8, "bad-value"),
        (13, 12, "bad-value"),
    ];
    assert_eq!(places, want, "{found}");
    let rendered = found.to_string();
    for (line, column, _) in want {
        assert!(rendered.contains(&format!("spec.yaml:{line}:{column}")));
    }
    assert!(rendered.ends_with("spec.yaml: 6 mistakes\n"));
}

#[test]
fn a_snippet_looks_as_rustc_s() {
    let text = "image:\n  id: a\n  version: 1\n  id: b\ntree: {dir: x}\ndisk: {esp: 1M}\n";
    let want = "\
error[duplicate-key]: image.id is there twice
 --> spec.yaml:4:3
  |
2 |   id: a
  |   -- first here
3 |   version: 1
4 |   id: b
  |   ^^

error[bad-value]: disk.esp: \"1M\" is too small: a FAT32 file system is not smaller
 --> spec.yaml:6:13
  |
6 | disk: {esp: 1M}
  |             ^^
  |
  = help: write at least 34M

spec.yaml: 2 mistakes
";
    let found = parse("spec.yaml", text, None).unwrap_err();
    assert_eq!(found.render(false), want);
    assert!(found.render(true).contains("\u{1b}["));
}

#[test]
fn what_stands_before_broken_yaml_is_checked() {
    let text = "image:\n  id: my_box\n  version: 1.0\nboot: {profile: nope}\ndisk: ]\n";
    let found = parse("spec", text, None).unwrap_err();
    let codes: Vec<_> = found.items.iter().map(|item| (item.place.line, item.code)).collect();
    assert_eq!(codes, [(2, Code::BadValue), (4, Code::UnknownValue), (5, Code::Syntax)], "{found}");
}

#[test]
fn json_has_the_documented_fields() {
    let text = format!("image: {{id: a, version: 1, versoin: 2}}\n{GOOD_TREE}");
    let found = parse("spec.yaml", &text, None).unwrap_err().to_json();
    let want = serde_json::json!([{
        "file": "spec.yaml", "line": 1, "column": 28, "length": 7, "code": "unknown-key",
        "message": "there is no key \"versoin\" in `image:`", "hint": "did you mean `version`?",
        "path": "image.versoin",
    }]);
    assert_eq!(found, want);
}

#[test]
fn good_specs() {
    for (name, text) in [
        ("smallest", format!("{GOOD_IMAGE}{GOOD_TREE}")),
        ("example", twinhull_spec::EXAMPLE.to_owned()),
        ("byte-order mark", format!("\u{feff}{GOOD_IMAGE}{GOOD_TREE}")),
        ("line breaks", format!("{GOOD_IMAGE}{GOOD_TREE}").replace('\n', "\r\n")),
        ("empty sections", format!("{GOOD_IMAGE}{GOOD_TREE}system:\nboot:\n  modules:\ndisk: {{}}\n")),
        ("markers", format!("---\n{GOOD_IMAGE}{GOOD_TREE}...\n")),
        ("bytes", format!("{GOOD_IMAGE}{GOOD_TREE}disk: {{esp: 134217728}}\n")),
        ("consoles", format!("{GOOD_IMAGE}{GOOD_TREE}boot: {{cmdline: [quiet, quiet, console=tty1]}}\n")),
        ("number in quotes", format!("image: {{id: '1', version: \"1.10\"}}\n{GOOD_TREE}")),
    ] {
        if let Err(found) = parse(name, &text, None) {
            panic!("{name}\n{found}");
        }
    }
    let spec = twinhull_spec::from_str(&format!("image: {{id: a, version: 1.10}}\n{GOOD_TREE}")).unwrap();
    assert_eq!(spec.image.version, "1.10", "a number is read as it is written");
}

#[test]
fn files_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("a.tar"), "").unwrap();
    for (tree, want) in [
        ("tar: a.tar", None),
        ("tar: b.tar", Some((Code::NotFound, "does not exist"))),
        ("tar: .", Some((Code::WrongType, "is a folder"))),
        ("dir: .", None),
        ("dir: a.tar", Some((Code::WrongType, "is not a folder"))),
        ("dir: a.tar/x", Some((Code::NotFound, "can't be read"))),
    ] {
        let text = format!("{GOOD_IMAGE}tree: {{{tree}}}\n");
        let found = parse("spec", &text, Some(dir.path()));
        match (found, want) {
            (Ok(_), None) => {}
            (Err(found), Some((code, message))) => {
                let item = &found.items[0];
                assert_eq!((item.code, item.place.line, item.place.column), (code, 2, 13), "{found}");
                assert!(item.message.contains(message), "{found}");
            }
            (found, want) => panic!("{tree}: {found:?}, but {want:?}"),
        }
        assert!(parse("spec", &text, None::<&Path>).is_ok());
    }
}

#[test]
fn limits() {
    let large = format!("{GOOD_IMAGE}{GOOD_TREE}#{}\n", "x".repeat(1 << 20));
    assert_eq!(parse("spec", &large, None).unwrap_err().items[0].code, Code::TooLarge);

    for nested in ["[".repeat(1000), "{a: [".repeat(500)] {
        let deep = format!("{GOOD_IMAGE}{GOOD_TREE}disk: {nested}\n");
        let found = parse("spec", &deep, None).unwrap_err();
        let item = found.items.iter().find(|item| item.code == Code::TooLarge).unwrap();
        assert!(item.place.line == 3 && item.message.contains("64 levels"), "{found}");
    }

    let many: String = (0..500).map(|n| format!("unknown{n}: 1\n")).collect();
    let found = parse("spec", &format!("{GOOD_IMAGE}{GOOD_TREE}{many}"), None).unwrap_err();
    assert_eq!((found.items.len(), found.omitted), (100, 400));
    assert!(found.summary().contains("500 mistakes (100 are listed)"));

    let found = twinhull_spec::parse_bytes("spec", b"image:\n  id: \xff\n", None).unwrap_err();
    let place = &found.items[0].place;
    assert_eq!((found.items[0].code, place.line, place.column), (Code::Syntax, 2, 7));

    // A key that is twice at the ends of a long file is shown without the file between.
    let far = format!("{GOOD_IMAGE}{GOOD_TREE}{}image: 1\n", "# filler\n".repeat(20_000));
    let rendered = parse("spec", &far, None).unwrap_err().to_string();
    assert!(rendered.contains("first here, in line 1") && rendered.len() < 1000, "{rendered}");

    // A place in an endless line is named without the line.
    let wide =
        format!("{GOOD_IMAGE}tree: {{debian: {{suite: trixie, packages: [{}]}}}}", "A, ".repeat(300_000));
    let found = parse("spec", &wide, None).unwrap_err();
    assert_eq!(found.items.len() + found.omitted, 300_000);
    let rendered = found.to_string();
    assert!(rendered.contains("--> spec:2:46\n") && rendered.len() < 100_000, "{}", rendered.len());
}

#[test]
fn updates() {
    use Code::*;
    let rows: &[Row<'_>] = &[
        ("no root", "urls: ['http://a']", (3, 1, MissingKey, "needs the key `root`", "")),
        ("password", "root: r\n  urls: ['http://me:pw@a/b']", (5, 10, BadValue, "a user name", "public")),
        ("query", "root: r\n  urls: ['http://a/b?c']", (5, 10, BadValue, "a query", "")),
        (
            "ftp",
            "root: r\n  urls: ['ftp://a/b']",
            (5, 10, BadValue, "release folder's URL", "an http or https URL"),
        ),
        ("one text", "root: r\n  urls: http://a", (5, 9, WrongType, "expected a list", "")),
        ("alias", "root: r\n  url: ['http://a']", (5, 3, UnknownKey, "\"url\"", "`urls`")),
        ("channel", "root: r\n  urls: ['http://a']\n  channel: a.b", (6, 12, BadValue, "a dot", "")),
        (
            "through",
            "root: r\n  urls: ['http://a']\n  reboot-through: fast",
            (6, 19, UnknownValue, "", "`kexec`"),
        ),
        ("reboot", "root: r\n  urls: ['http://a']\n  reboot: never", (6, 11, UnknownValue, "", "`manual`")),
        (
            "day",
            "root: r\n  urls: ['http://a']\n  windows: [Saturday 02:00 1h]",
            (6, 13, BadValue, "window", "`Sat Sun`"),
        ),
        ("short", "root: r\n  urls: ['http://a']\n  windows: [02:00 5m]", (6, 13, BadValue, "5 minutes", "")),
        (
            "long",
            "root: r\n  urls: ['http://a']\n  windows: [02:00 24h1m]",
            (6, 13, BadValue, "1441 minutes", ""),
        ),
        ("zone", "root: r\n  urls: ['http://a']\n  time-zone: ../x", (6, 14, BadValue, "time zone", "IANA")),
        ("no lock", "root: r\n  urls: ['http://a']\n  fleet-lock: {}", (6, 3, MissingKey, "`url`", "")),
        ("slow", "root: r\n  urls: ['http://a']\n  bandwidth: 1K", (6, 14, BadValue, "bandwidth", "")),
        (
            "manual with windows",
            "root: r\n  urls: ['http://a']\n  reboot: manual\n  windows: [02:00 1h]",
            (7, 12, Conflict, "reboot by themselves", "remove updates.windows"),
        ),
    ];
    expect(rows, |text| format!("{GOOD_IMAGE}{GOOD_TREE}updates:\n  {text}\n"));
}

#[test]
fn data_disks() {
    use Code::*;
    let rows: &[Row<'_>] = &[
        ("no list", "  name: a", (4, 3, WrongType, "expected a list, found a mapping", "`- `")),
        ("no mapping", "  - a", (4, 5, WrongType, "expected a mapping", "`name`")),
        (
            "no name",
            "  - {disk: LABEL=x, mount: /srv/x}",
            (4, 6, MissingKey, "needs the key `name`", "store"),
        ),
        (
            "node",
            "  - {name: a, disk: /dev/vdb, mount: /srv/x}",
            (4, 21, BadValue, "another disk", "by-path"),
        ),
        (
            "uuid",
            "  - {name: a, disk: /dev/disk/by-uuid/1, mount: /srv/x}",
            (4, 21, BadValue, "file system", "LABEL="),
        ),
        (
            "relative",
            "  - {name: a, disk: LABEL=x, mount: srv}",
            (4, 37, BadValue, "not a mount point", "absolute"),
        ),
        (
            "dots",
            "  - {name: a, disk: LABEL=x, mount: /srv/../usr}",
            (4, 37, BadValue, "not a mount point", ""),
        ),
        (
            "usr",
            "  - {name: a, disk: LABEL=x, mount: /usr/x}",
            (4, 37, BadValue, "/usr is read-only", "/srv"),
        ),
        (
            "true",
            "  - {name: a, disk: LABEL=x, mount: /srv/x, foreign-data: true}",
            (4, 59, UnknownValue, "not one of", "`wipe`"),
        ),
        (
            "wiped label",
            "  - {name: a, disk: LABEL=x, mount: /srv/x, foreign-data: wipe}",
            (4, 59, Conflict, "never wiped", "by-path"),
        ),
        (
            "twice",
            "  - {name: a, disk: LABEL=x, mount: /srv/x}\n  - {name: b, disk: LABEL=y, mount: /var/srv/x}",
            (5, 37, Duplicate, "there twice", ""),
        ),
    ];
    expect(rows, |text| format!("{GOOD_IMAGE}{GOOD_TREE}data-disks:\n{text}\n"));
}
