//! gzip, base64 and MIME around documents, and what attackers put there.

use std::io::Write as _;

use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    text.as_bytes().chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..])
}

fn first(bytes: &[u8]) -> String {
    parse(bytes).unwrap_err()[0].to_string()
}

const NATIVE: &[u8] = b"#twinhull\nhostname: boxy\n";

#[test]
fn layers() {
    for bytes in [
        gzip(NATIVE),
        base64(NATIVE),
        base64(&gzip(NATIVE)),
        gzip(&base64(&gzip(NATIVE))),
        [gzip(&NATIVE[..7]), gzip(&NATIVE[7..])].concat(),
        [base64(NATIVE).as_slice(), b"\n\n"].concat(),
    ] {
        assert_eq!(parse(&bytes).unwrap().unwrap().summary(), "twinhull: 1 host name");
    }
    assert_eq!(parse(&gzip(b"")), Ok(None));
    let four = gzip(&gzip(&gzip(&gzip(NATIVE))));
    assert!(first(&four).contains("more than 3 layers"));
    let damaged = gzip(NATIVE);
    assert!(first(&damaged[..20]).contains("damaged or cut off"));
    // Places are those of the document inside.
    assert!(first(&gzip(b"#twinhull\nx: y\n")).starts_with("2:1: "));
}

#[test]
fn bombs() {
    let zeros = vec![b' '; 64 << 20];
    let bomb = gzip(&zeros);
    assert!(bomb.len() < 100_000);
    for bytes in [bomb.clone(), base64(&bomb), gzip(&bomb)] {
        assert!(first(&bytes).contains("a decompression bomb?"), "{}", first(&bytes));
    }
    // One byte more than there can be.
    let full = [b"#twinhull\n".as_slice(), &vec![b'\n'; (1 << 20) - 10]].concat();
    assert!(parse(&gzip(&full)).is_ok());
    assert!(parse(&gzip(&[full.as_slice(), b"\n"].concat())).is_err());
    // Many that are small enough each.
    let file = String::from_utf8(base64(&gzip(&vec![b'x'; 900 << 10]))).unwrap().replace("\r\n", "");
    let files: String =
        (0..5).map(|n| format!("- {{path: /etc/f{n}, encoding: gz+b64, content: {file}}}\n")).collect();
    assert!(
        first(format!("#cloud-config\nwrite_files:\n{files}").as_bytes()).contains("a decompression bomb?")
    );
    let part = [b"#twinhull\n".as_slice(), &vec![b'\n'; 600 << 10]].concat();
    let part = String::from_utf8(base64(&gzip(&part))).unwrap();
    let part = format!("--b\nContent-Transfer-Encoding: base64\n\n{part}\n");
    let message = format!("Content-Type: multipart/mixed; boundary=b\n\n{part}{part}--b--\n");
    assert!(first(message.as_bytes()).contains("a decompression bomb?"), "{}", first(message.as_bytes()));
}

/// As Terraform's cloudinit_config writes it: line ends of both kinds.
const TERRAFORM: &str = "Content-Type: multipart/mixed; boundary=\"MIMEBOUNDARY\"\nMIME-Version: 1.0\r\n\r\n\
    --MIMEBOUNDARY\r\nContent-Disposition: attachment; filename=\"a.cfg\"\r\nContent-Transfer-Encoding: 7bit\r\n\
    Content-Type: text/cloud-config\r\nMime-Version: 1.0\r\n\r\nhostname: web1\nusers:\n- ann\r\n\
    --MIMEBOUNDARY\r\nContent-Type: text/x-twinhull; charset=\"utf-8\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    dHdpbmh1bGw6IDEKZmlsZXM6IFt7cGF0aDogL2V0Yy9hLCBjb250\r\nZW50OiB4fV0K\r\n\
    --MIMEBOUNDARY\r\nContent-Type: text/plain\r\n\r\n\r\n--MIMEBOUNDARY--\r\n";

#[test]
fn messages() {
    for text in
        [TERRAFORM.to_owned(), format!("\u{feff}{TERRAFORM}"), format!("From nobody Thu Jan  1\n{TERRAFORM}")]
    {
        for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes()), base64(&gzip(text.as_bytes()))] {
            let data = parse(&bytes).unwrap_or_else(|p| panic!("{p:?}")).unwrap();
            assert_eq!(data.summary(), "cloud-config + twinhull: 1 host name, 1 user, 1 file");
        }
    }
    let message = |parts: &[&str]| {
        let parts: String = parts.iter().map(|p| format!("--=_b\n{p}\n")).collect();
        format!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"=_b\"\n\npreamble\n{parts}--=_b--\n"
        )
    };
    let quoted = "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n#twinhull\nhost=\nname: =77eb\n";
    let ignition =
        "\n{\"ignition\": {\"version\": \"3.0.0\"}, \"passwd\": {\"users\": [{\"name\": \"ann\"}]}}";
    let inner =
        "Content-Type: multipart/mixed; boundary=in\n\n--in\n\n#cloud-config\ntimezone: UTC\n--in--\n";
    let data = parse(message(&[quoted, ignition, inner]).as_bytes()).unwrap().unwrap();
    assert_eq!(data.summary(), "twinhull + Ignition + cloud-config: 1 host name, 1 time zone, 1 user");
    let same = "\n#cloud-config\nhostname: b\nusers:\n- ann\nwrite_files:\n- {path: /etc/a}\n";
    let text = problems(&message(&[quoted, ignition, same, same]));
    for want in [
        "part 3, 2:11: the host name is already at part 1, 2:11",
        "part 3, 4:3: user `ann` is already at part 2, passwd.users[0]",
        "part 4, 4:3: user `ann` is already at part 2, passwd.users[0]",
        "part 4, 6:3: this file and the one at part 3, 6:3 are in each other's way",
    ] {
        assert!(text.contains(want), "{want}: {text}");
    }
    for (part, want) in [
        ("Content-Type: text/x-shellscript\n\n#!/bin/sh\nrm s3cret", "part 2, 1:1: this is a script"),
        ("Content-Type: text/x-shellscript\n\nrm s3cret", "part 2, 1:1: this is a script"),
        ("\n#!/bin/sh\n", "part 2, 1:1: this is a script"),
        ("Content-Type: text/cloud-config\n\n#!/bin/sh\n", "this is a script"),
        ("Content-Type: text/cloud-boothook\n\nx", "boothook"),
        ("Content-Type: text/x-include-url\n\nhttp://x", "include list"),
        ("Content-Type: text/part-handler\n\nx", "part handler"),
        ("Content-Type: text/plain\n\nx", "no format that is known"),
        ("Content-Transfer-Encoding: uuencode\n\nx", "Content-Transfer-Encoding isn't"),
        ("Content-Transfer-Encoding: base64\n\n!!!", "isn't base64"),
        ("Content-Type: multipart/mixed\n\nx", "needs a `boundary`"),
        ("s3cret without headers", "aren't headers"),
        ("\n#cloud-config\nx: y\n", "part 2, 2:1: cloud-config has no key `x`"),
    ] {
        let text = problems(&message(&["\n#twinhull\n", part]));
        let want = want.replace("aren't headers", "isn't a header");
        assert!(text.contains(&want) && !text.contains("s3cret"), "{want}: {text}");
    }
    let text = problems(&message(&["\n", "\n#twinhull\nx: z"]));
    assert!(text.starts_with("part 2, 2:1: "), "an empty part counts: {text}");
    assert_eq!(parse(message(&["\n", "Content-Type: text/cloud-config\n\n"]).as_bytes()), Ok(None));
    let cut = &TERRAFORM[..TERRAFORM.len() - 20];
    assert!(problems(cut).contains("cut off"));
    let mut deep = "#twinhull\n".to_owned();
    for n in 0..4 {
        deep = format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n{deep}\n--b{n}--\n");
    }
    assert!(problems(&deep).contains("messages in messages"), "{}", problems(&deep));
}

#[test]
fn explained() {
    let text = |bytes: &[u8]| {
        let mut out = Vec::new();
        explain::text(&read(bytes), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        text(&gzip(TERRAFORM.as_bytes())),
        "MIME message, in gzip\npart 1: cloud-config\n  host name web1: /etc/hostname\n  user ann: account\n\
         part 2: twinhull\n  file /etc/a: 0644 root:root, 1 bytes\npart 3: empty\n"
    );
    let data = b"#cloud-config\nssh_pwauth: false\nruncmd: [s3cret]\nusers: [{name: a, lock_passwd: false, passwd: $6$a$s3cret}]\n";
    let out = text(data);
    assert!(out.contains("  no effect, 2:13: ") && out.contains("  refused, 3:9: `runcmd`"), "{out}");
    assert!(out.contains("user a: account, password\n") && out.ends_with("would use none of it.\n"), "{out}");
    let json = explain::as_json(&read(data)).to_string();
    assert!(json.contains(r#""usable":false"#) && json.contains(r#""place":"3:9""#), "{json}");
    assert!(!out.contains("s3cret") && !json.contains("s3cret"));
    assert!(text(b" \n").starts_with("empty"));
}

const SEEDS: &[&[u8]] = &[
    TERRAFORM.as_bytes(),
    b"#cloud-config\nhostname: a\nusers: [default, {name: a, sudo: [x=y]}]\nwrite_files: [{path: /etc/a, encoding: b64, content: aGk=}]\n",
    b"{\"ignition\": {\"version\": \"3.4.0\"}, \"storage\": {\"files\": [{\"path\": \"/etc/a\", \"contents\": {\"source\": \"data:;base64,aGk=\"}}]}}",
    b"#systemd-userdata\n{\"systemd.credentials\": [{\"name\": \"a\", \"text\": \"b\"}]}",
    NATIVE,
];

proptest::proptest! {
    #[test]
    fn mutations_never_panic(
        seed in 0..SEEDS.len(),
        edits in proptest::collection::vec((0..10_000_usize, 0..4_u8, proptest::prelude::any::<u8>()), 0..12),
        wrap in 0..4_u8,
    ) {
        let mut bytes = SEEDS[seed].to_vec();
        for (at, kind, byte) in edits {
            let at = at % bytes.len().max(1);
            match kind {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if !bytes.is_empty() => _ = bytes.remove(at),
                _ => bytes.truncate(at.max(8)),
            }
        }
        let bytes = match wrap {
            0 => gzip(&bytes),
            1 => base64(&bytes),
            _ => bytes,
        };
        let reading = read(&bytes);
        let mut out = Vec::new();
        explain::text(&reading, &mut out).unwrap();
        let _ = (explain::as_json(&reading), parse(&bytes));
    }

    #[test]
    fn arbitrary_bytes_never_panic(start in 0..6_usize, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let starts = [&b""[..], b"#cloud-config\n", b"{\"ignition\":", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n", b"\x1f\x8b\x08", b"#systemd-userdata\n"];
        let _ = parse(&[starts[start], &bytes].concat());
    }
}
