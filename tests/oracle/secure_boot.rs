//! Signatures and keys of Secure Boot as sbsigntool, osslsigncode, efitools, openssl and a token see them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use twinhull_fsimg::fat;
use twinhull_secureboot::{self as secureboot, Certificate, Key, Role, Signer};
use twinhull_sysutil::digest::hex;
use twinhull_tests::{Ran, hello, partition, program, run, tool, top};

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
    let file = fs_err::File::open(&hello().path).unwrap().into_file();
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

/// A folder with keys, and image-builder run in it.
struct Workshop {
    dir: tempfile::TempDir,
}

impl Workshop {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("twinhull-secure-").tempdir_in("/var/tmp").unwrap();
        tool("cp", ["-r".as_ref(), keys().as_os_str(), dir.path().join("keys").as_os_str()]).ok();
        Workshop { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn builder(&self, args: &[&str]) -> Ran {
        let mut command = program("image-builder");
        // Where the token of a test is, for every build.
        command.env("SOFTHSM2_CONF", self.path("softhsm2.conf")).env("TWINHULL_KEY_PIN", PIN);
        run(command.args(args).current_dir(self.dir.path()))
    }

    /// Builds the default image with `keys` below `boot.secure-boot`.
    fn build(&self, name: &str, keys: &str) -> PathBuf {
        let spec = self.spec(name, keys);
        self.builder(&["build", &spec, "--quiet", "--out", name]).ok();
        self.path(name).join("hello_1.0.0.raw")
    }

    fn spec(&self, name: &str, keys: &str) -> String {
        let hello = fs_err::read_to_string(top().join("examples/hello.yaml")).unwrap();
        let spec = format!("{name}.yaml");
        let keys = format!("{hello}\nboot:\n  secure-boot: {{ certificate: keys/db.crt, {keys} }}\n");
        fs_err::write(self.path(&spec), keys).unwrap();
        spec
    }
}

const PIN: &str = "1234-not-shown";

/// An image signed later, and one signed by a token, have the bytes of one signed at once.
#[test]
fn all_ways_of_signing_give_the_same_image() {
    let shop = Workshop::new();
    shop.builder(&["secure-boot", "enroll-files", "keys", "--out", "enroll"]).ok();
    let direct = shop.build("direct", "key: keys/db.key, enroll-files: enroll");

    let later = shop.build("later", "enroll-files: enroll");
    let (image, out) = (later.to_str().unwrap(), shop.path("signing"));
    let prepare = ["secure-boot", "prepare", image, "--certificate", "keys/db.crt", "--out", "signing"];
    shop.builder(&prepare).ok();
    assert_eq!(shop.builder(&prepare).code, 1, "a folder with files in it");
    let attach = || shop.builder(&["secure-boot", "attach", image, "signing"]);
    let said = attach().stderr;
    assert!(said.contains("is not signed; `openssl dgst -sha256 -sign KEY -out"), "{said}");
    let sign = |key: &str| {
        for name in ["hello_1.0.0+3.efi", "systemd-bootx64.efi"] {
            let file = |ending: &str| out.join(format!("{name}.{ending}")).display().to_string();
            let key = keys().join(key).display().to_string();
            tool("openssl", ["dgst", "-sha256", "-sign", &key, "-out", &file("sig"), &file("tbs")]).ok();
        }
    };
    sign("KEK.key");
    let before = digest(&later);
    let said = attach().stderr;
    assert!(said.contains("not made with the key of the certificate \"CN=oracle db\""), "{said}");
    assert_eq!(before, digest(&later), "nothing was written");
    sign("db.key");
    attach().ok();
    assert!(digest(&direct) == digest(&later), "the images differ");
    let text = |image: &Path, ending: &str| fs_err::read_to_string(image.with_extension(ending)).unwrap();
    assert_eq!(text(&direct, "spdx.json"), text(&later, "spdx.json"));
    let manifest = |image: &Path| -> serde_json::Value {
        let mut value: serde_json::Value = serde_json::from_str(&text(image, "manifest.json")).unwrap();
        value["spec_sha256"] = serde_json::Value::Null;
        value
    };
    assert_eq!(manifest(&direct), manifest(&later));
    assert_eq!(manifest(&direct)["secure_boot"]["signed"], true);
    let said = attach().stderr;
    assert!(said.contains("is it signed already?"), "{said}");

    token(&shop);
    let uri = "key: \"pkcs11:token=twinhull;object=db;type=private\", enroll-files: enroll";
    let by_token = shop.build("token", uri);
    assert!(digest(&direct) == digest(&by_token), "the images differ");
    for name in ["token.yaml", "token/hello_1.0.0.manifest.json"] {
        assert!(!fs_err::read_to_string(shop.path(name)).unwrap().contains(PIN));
    }

    let report = shop.builder(&["inspect", "--json", direct.to_str().unwrap()]).ok().stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let signed = Certificate::read(&keys().join("db.crt")).unwrap();
    for program in report["programs"].as_array().unwrap() {
        let signature = &program["signatures"][0];
        assert_eq!(signature["state"], "verified", "{program}");
        assert_eq!(signature["subject"], "CN=oracle db");
        assert_eq!(signature["certificate_sha256"], signed.sha256());
    }
    let (offset, _) = partition("esp");
    let at = format!("{}@@{offset}", direct.display());
    let conf = tool("mtype", ["-i", &at, "::loader/loader.conf"]).ok().stdout;
    assert!(conf.contains("secure-boot-enroll if-safe"), "{conf}");
    tool("mtype", ["-i", &at, "::loader/keys/auto/PK.auth"]).ok();
}

fn digest(path: &Path) -> String {
    twinhull_sysutil::digest::sha256_reader(fs_err::File::open(path).unwrap()).unwrap()
}

/// A PKCS #11 token in software with the key db.
fn token(shop: &Workshop) {
    fs_err::create_dir_all(shop.path("tokens")).unwrap();
    let conf =
        format!("directories.tokendir = {}\nobjectstore.backend = file\n", shop.path("tokens").display());
    fs_err::write(shop.path("softhsm2.conf"), conf).unwrap();
    let softhsm = |args: &[&str]| {
        let mut command = std::process::Command::new("softhsm2-util");
        run(command.args(args).args(["--pin", PIN]).env("SOFTHSM2_CONF", shop.path("softhsm2.conf"))).ok();
    };
    softhsm(&["--init-token", "--free", "--label", "twinhull", "--so-pin", "5678"]);
    let key = keys().join("db.key").display().to_string();
    softhsm(&["--import", &key, "--token", "twinhull", "--label", "db", "--id", "01"]);
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_before_the_work() {
    let shop = Workshop::new();
    for (keys, code, want) in [
        ("key: keys/PK.key", 1, "keys/PK.key: it doesn't belong to the certificate \"CN=oracle db\""),
        ("key: keys/none.key", 1, "keys/none.key"),
        ("key: \"pkcs11:token=x?pin-value=4711\"", 2, "put the PIN into TWINHULL_KEY_PIN"),
        ("key: keys/db.key, enroll-files: keys", 1, "secure-boot enroll-files"),
    ] {
        let spec = shop.spec("wrong", keys);
        let ran = shop.builder(&["build", &spec, "--out", "out"]);
        assert_eq!(ran.code, code, "{}", ran.text());
        assert!(ran.stderr.contains(want) && !ran.stderr.contains("4711"), "{}", ran.stderr);
        assert!(!shop.path("out").join("hello_1.0.0.raw").exists());
    }
}
