//! Signatures and keys of Secure Boot as sbsigntool, osslsigncode, efitools and openssl see them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use twinhull_fsimg::fat;
use twinhull_secureboot::{self as secureboot, Certificate, Key, Role, Signer};
use twinhull_sysutil::digest::hex;
use twinhull_tests::{Ran, hello, partition, tool};

/// Keys for all tests here, in a folder that stays until the process ends.
fn keys() -> &'static Path {
    static KEYS: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = KEYS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        secureboot::generate(&keys, "oracle", 2048, 30).unwrap();
        (dir, keys)
    });
    path
}

fn signer(role: Role) -> Signer {
    let file = |ending: &str| keys().join(format!("{}.{ending}", role.name()));
    Signer::new(Key::File(file("key")), Certificate::read(&file("crt")).unwrap(), None)
}

/// Programs on the default image's ESP: a boot loader and a UKI, neither signed.
fn programs() -> Vec<(String, Vec<u8>)> {
    let (offset, size) = partition("esp");
    let file = File::open(&hello().path).unwrap();
    let found = fat::read(&file, offset, size, |p| p.ends_with(".efi")).unwrap();
    let programs: Vec<_> = found.into_iter().map(|f| (f.path.replace('/', "_"), f.data)).collect();
    assert_eq!(programs.len(), 2, "systemd-boot and a UKI");
    programs
}

fn sbverify(certificate: &Path, program: &Path) -> Ran {
    tool("sbverify", ["--cert".as_ref(), certificate.as_os_str(), program.as_os_str()])
}

fn osslsigncode(certificate: &Path, program: &Path) -> Ran {
    tool(
        "osslsigncode",
        ["verify".as_ref(), "-CAfile".as_ref(), certificate.as_os_str(), program.as_os_str()],
    )
}

#[test]
fn two_tools_accept_our_signatures_and_refuse_a_flipped_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (keys().join("db.crt"), keys().join("PK.crt"));
    for (name, plain) in programs() {
        let signed = secureboot::sign(&plain, &signer(Role::Db)).unwrap();
        let path = dir.path().join(&name);
        fs_err::write(&path, &signed).unwrap();
        let said = sbverify(&ours, &path).ok().text();
        assert!(said.contains("Signature verification OK") && !said.contains("warning"), "{said}");
        assert_ne!(sbverify(&other, &path).code, 0, "another certificate");
        let said = osslsigncode(&ours, &path).ok().text();
        let digest = hex(&secureboot::digest(&plain).unwrap()).to_uppercase();
        assert_eq!(said.matches(&digest).count(), 2, "stated and calculated\n{said}");
        assert_ne!(osslsigncode(&other, &path).code, 0, "another certificate");

        let mut flipped = signed.clone();
        flipped[plain.len() / 2] ^= 1;
        fs_err::write(&path, &flipped).unwrap();
        assert_ne!(sbverify(&ours, &path).code, 0, "{name}");
        assert_ne!(osslsigncode(&ours, &path).code, 0, "{name}");
    }
}

/// What another tool signed is what we would have signed, and we read it.
#[test]
fn sbsign_signs_the_same_digest() {
    let dir = tempfile::tempdir().unwrap();
    for (name, plain) in programs() {
        let (from, to) = (dir.path().join(&name), dir.path().join("signed"));
        fs_err::write(&from, &plain).unwrap();
        let file = |name: &str| keys().join(name).display().to_string();
        let args = ["--key", &file("db.key"), "--cert", &file("db.crt"), "--output", to.to_str().unwrap()];
        tool("sbsign", args.iter().copied().chain([from.to_str().unwrap()])).ok();
        let theirs = fs_err::read(&to).unwrap();
        let found = secureboot::signatures(&theirs).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].state, secureboot::State::Verified);
        assert_eq!(found[0].certificate.as_ref().unwrap().subject(), "CN=oracle db");
        // Their signature is replaced by ours, and nothing of theirs stays.
        let signer = signer(Role::Db);
        assert_eq!(secureboot::sign(&theirs, &signer).unwrap(), secureboot::sign(&plain, &signer).unwrap());
    }
}

fn lists(role: Role) -> Vec<u8> {
    let certificate = Certificate::read(&keys().join(format!("{}.crt", role.name()))).unwrap();
    secureboot::signature_list(&[certificate], uuid::Uuid::from_u128(7))
}

/// efitools read our list, and what they sign is, but for the bytes of its signature's wrapping, what we sign.
#[test]
fn efitools_read_our_lists_and_openssl_our_variables() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs_err::write(path("db.esl"), lists(Role::Db)).unwrap();
    let said = tool("sig-list-to-certs", [path("db.esl"), path("cert")]).ok().text();
    assert!(said.contains("X509"), "{said}");
    let der = fs_err::read(path("cert-0.der")).unwrap();
    assert_eq!(der, Certificate::read(&keys().join("db.crt")).unwrap().der());
    let theirs = {
        let args = ["-g", "00000000-0000-0000-0000-000000000007"];
        let files = [keys().join("db.crt").display().to_string(), path("their.esl").display().to_string()];
        tool("cert-to-efi-sig-list", args.into_iter().chain(files.iter().map(String::as_str))).ok();
        fs_err::read(path("their.esl")).unwrap()
    };
    assert_eq!(theirs, lists(Role::Db));

    for (role, by) in [(Role::Pk, Role::Pk), (Role::Kek, Role::Pk), (Role::Db, Role::Kek)] {
        let auth = secureboot::authenticated(role, &lists(role), 1_700_000_000, &signer(by)).unwrap();
        let length = u32::from_le_bytes(auth[16..20].try_into().unwrap()) as usize;
        assert_eq!(auth[16 + length..], lists(role));
        fs_err::write(path("pkcs7"), wrapped(&auth[40..16 + length])).unwrap();
        // What the signature covers, by efitools: `-o` writes it instead of signing it.
        fs_err::write(path("esl"), lists(role)).unwrap();
        let (esl, bundle) = (path("esl").display().to_string(), path("bundle").display().to_string());
        let args = ["-t", "2023-11-14 22:13:20", "-o", role.name(), &esl, &bundle];
        tool("sign-efi-sig-list", args).ok();
        let certificate = keys().join(format!("{}.crt", by.name())).display().to_string();
        let pkcs7 = path("pkcs7").display().to_string();
        let args = ["-in", &pkcs7, "-content", &bundle, "-CAfile", &certificate, "-out", "/dev/null"];
        let verify = ["smime", "-verify", "-binary", "-inform", "DER", "-purpose", "any"];
        tool("openssl", verify.into_iter().chain(args)).ok();
    }
}

/// A ContentInfo around a SignedData, which openssl wants and firmware doesn't.
fn wrapped(signed: &[u8]) -> Vec<u8> {
    let long = |length: usize| (length as u16).to_be_bytes();
    let oid = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    let mut out = vec![0x30, 0x82];
    out.extend(long(oid.len() + 4 + signed.len()));
    out.extend(oid);
    out.extend([0xa0, 0x82]);
    out.extend(long(signed.len()));
    out.extend(signed);
    out
}
