//! Bad input: each mistake gets a sentence with the way out, a non-zero exit code, and leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use twinhull_tests::{hello_tree, program, run, tool};

/// A spec over a folder, and the output folder.
struct Case {
    dir: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let case =
            Case { dir: tempfile::Builder::new().prefix("twinhull-case-").tempdir_in("/var/tmp").unwrap() };
        tool("chmod", ["0755", case.dir.path().to_str().unwrap()]).ok();
        case
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.tree().join(path.trim_start_matches('/'));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
        self
    }

    /// The least that passes for an OS tree until something is missing.
    fn plausible(&self) -> &Self {
        self.put("usr/lib/systemd/systemd", "x").put("usr/lib/os-release", "ID=x\n")
    }

    fn with_kernel(&self, machine: u16) -> &Self {
        self.put("boot/vmlinuz-1.0", pe(machine))
            .put("usr/lib/modules/1.0/modules.dep", "")
            .put("usr/lib/modules/1.0/modules.dep.bin", "")
    }

    fn spec(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("spec.yaml");
        fs_err::write(&path, text).unwrap();
        path
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn build(&self, spec: &Path) -> Command {
        let mut command = program("image-builder");
        command.args(["build", "--quiet", "--out"]).arg(self.out()).arg(spec);
        command
    }

    /// Runs the build and expects it to fail with all of `words` on stderr and nothing in the output folder.
    fn refused(&self, command: &mut Command, words: &[&str]) {
        let ran = run(command);
        assert_ne!(ran.code, 0, "{}", ran.text());
        assert_ne!(ran.code, 101, "a panic: {}", ran.text());
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is not in:\n{}", ran.stderr);
        }
        let left = fs_err::read_dir(self.out()).map(Iterator::count).unwrap_or(0);
        assert_eq!(left, 0, "something was left in the output folder");
    }
}

const SPEC: &str = "image: { id: box, version: 1.0.0 }\ntree: { dir: tree }\n";

/// The smallest PE file for a machine: headers and no sections.
fn pe(machine: u16) -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[..2].copy_from_slice(b"MZ");
    file[0x3c..0x40].copy_from_slice(&64_u32.to_le_bytes());
    file[64..68].copy_from_slice(b"PE\0\0");
    file[68..70].copy_from_slice(&machine.to_le_bytes());
    file[84..86].copy_from_slice(&240_u16.to_le_bytes()); // size of the optional header
    file[88..90].copy_from_slice(&0x20b_u16.to_le_bytes());
    file[88 + 32..88 + 36].copy_from_slice(&4096_u32.to_le_bytes());
    file[88 + 36..88 + 40].copy_from_slice(&512_u32.to_le_bytes());
    file[88 + 60..88 + 64].copy_from_slice(&1024_u32.to_le_bytes());
    file[88 + 108..88 + 112].copy_from_slice(&16_u32.to_le_bytes());
    file
}

const AMD64: u16 = 0x8664;
const ARM64: u16 = 0xaa64;

#[test]
fn a_tree_without_kernel() {
    let case = Case::new();
    let spec = case.plausible().spec(SPEC);
    case.refused(&mut case.build(&spec), &["no kernel", "linux-image-cloud-amd64"]);
}

#[test]
fn a_tree_with_two_kernels() {
    let case = Case::new();
    let spec = case.plausible().with_kernel(AMD64).put("boot/vmlinuz-2.0", pe(AMD64)).spec(SPEC);
    case.refused(&mut case.build(&spec), &["2 kernels", "1.0, 2.0", "image.kernel"]);
}

#[test]
fn a_tree_without_boot_loader_or_stub() {
    let case = Case::new();
    let spec = case.plausible().with_kernel(AMD64).spec(SPEC);
    case.refused(&mut case.build(&spec), &["no boot loader", "systemd-boot-efi"]);
    case.put("usr/lib/systemd/boot/efi/systemd-bootx64.efi", pe(AMD64));
    case.refused(&mut case.build(&spec), &["no EFI stub", "systemd-boot-efi"]);
}

#[test]
fn stub_and_kernel_of_different_architectures() {
    let case = Case::new();
    let efi = "usr/lib/systemd/boot/efi";
    let spec = case
        .plausible()
        .with_kernel(ARM64)
        .put(&format!("{efi}/systemd-bootx64.efi"), pe(AMD64))
        .put(&format!("{efi}/linuxx64.efi.stub"), pe(AMD64))
        .spec(SPEC);
    case.refused(&mut case.build(&spec), &["the kernel is for arm64", "the stub is for x86-64"]);
    case.put(&format!("{efi}/linuxx64.efi.stub"), pe(ARM64));
    case.refused(&mut case.build(&spec), &["the stub is for arm64", "image.arch"]);
    case.put(&format!("{efi}/linuxx64.efi.stub"), "not a program");
    case.refused(&mut case.build(&spec), &["the stub is no EFI program"]);
}

#[test]
fn a_package_that_does_not_exist() {
    let case = Case::new();
    let spec = case.spec(
        "image: { id: box, version: 1.0.0 }\ntree: { debian: { suite: trixie, packages: [no-such-package-anywhere] } }\n",
    );
    let mut command = case.build(&spec);
    command.arg("--cache-dir").arg(case.dir.path().join("cache"));
    case.refused(&mut command, &["no-such-package-anywhere", "tree.debian.packages"]);
    let trees = fs_err::read_dir(case.dir.path().join("cache/trees")).unwrap();
    let cached = trees.filter(|e| e.as_ref().is_ok_and(|e| e.file_name() != "lock")).count();
    assert_eq!(cached, 0, "something was left in the cache");
}

#[test]
fn a_tree_that_is_not_cached_with_offline() {
    let case = Case::new();
    let spec = case.spec("image: { id: box, version: 1.0.0 }\ntree: { debian: { suite: trixie } }\n");
    let mut command = case.build(&spec);
    command.arg("--offline").arg("--cache-dir").arg(case.dir.path().join("cache"));
    case.refused(&mut command, &["not in the cache", "--offline"]);
}

#[test]
fn no_space_left() {
    let case = Case::new();
    let spec = case.spec(&format!(
        "image: {{ id: box, version: 1.0.0 }}\ntree: {{ tar: {} }}\n",
        hello_tree().display()
    ));
    fs_err::create_dir_all(case.out()).unwrap();
    let build = case.build(&spec);
    // A small file system of our own, in a mount namespace that ends with the command. The output folder
    // is looked at in there, too.
    let script = "mount -t tmpfs -o size=60M tmpfs \"$OUT\" && shift 0; \"$@\"; code=$?; [ -z \"$(ls -A \"$OUT\")\" ] || echo LEFT >&2; exit $code";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).env("OUT", case.out());
    command.arg(build.get_program()).args(build.get_args());
    let ran = run(&mut command);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.contains("was not written") && ran.stderr.contains("No space left"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("LEFT"), "{}", ran.stderr);
}

#[test]
fn an_unreadable_tree() {
    let case = Case::new();
    let spec = case.spec("image: { id: box, version: 1.0.0 }\ntree: { dir: nowhere }\n");
    case.refused(&mut case.build(&spec), &["nowhere"]);
    let spec = case.plausible().put("usr/secret", "x").spec(SPEC);
    let secret = case.tree().join("usr/secret");
    tool("chmod", ["0000", secret.to_str().unwrap()]).ok();
    let build = case.build(&spec);
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    }
    // Not every folder above the checkout lets nobody in.
    let bin = case.dir.path().join("image-builder");
    tool("cp", [build.get_program(), bin.as_os_str()]).ok();
    command.arg("--no-new-privs").arg(bin).args(build.get_args());
    case.refused(&mut command, &["usr/secret", "can't be read"]);
}

#[test]
fn a_truncated_archive() {
    let case = Case::new();
    let archive = case.dir.path().join("tree.tar");
    tool(
        "dd",
        [
            format!("if={}", hello_tree().display()),
            format!("of={}", archive.display()),
            "bs=1000000".into(),
            "count=7".into(),
            "status=none".into(),
        ],
    )
    .ok();
    let spec = case.spec("image: { id: box, version: 1.0.0 }\ntree: { tar: tree.tar }\n");
    case.refused(&mut case.build(&spec), &["tree.tar", "at offset", "truncated"]);
}

#[test]
fn names_and_versions_that_can_be_no_label() {
    let case = Case::new();
    case.plausible();
    for (id, version, word) in [
        ("my_box", "1.0.0", "image.id"),
        ("box", "1_0", "image.version"),
        ("box", "1+3", "image.version"),
        ("a-name-that-is-much-too-long-for-a-label", "1.0.0", "image.id"),
    ] {
        let spec =
            case.spec(&format!("image: {{ id: {id}, version: \"{version}\" }}\ntree: {{ dir: tree }}\n"));
        let ran = run(&mut case.build(&spec));
        assert_eq!(ran.code, 2, "{}", ran.text());
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
}

#[test]
fn an_image_larger_than_its_slot_or_esp() {
    let case = Case::new();
    for (setting, words) in [("usr: 64M", ["usr image", "disk.usr"]), ("esp: 40M", ["3 UKIs", "disk.esp"])] {
        let text = format!(
            "image: {{ id: box, version: 1.0.0 }}\ntree: {{ tar: {} }}\ndisk: {{ {setting} }}\n",
            hello_tree().display()
        );
        let spec = case.spec(&text);
        case.refused(&mut case.build(&spec), &[words[0], words[1], "has room for"]);
    }
}

#[test]
fn device_nodes_and_sockets_in_usr() {
    let case = Case::new();
    let spec = case.plausible().with_kernel(AMD64).spec(SPEC);
    let socket = case.tree().join("usr/lib/socket");
    std::os::unix::net::UnixListener::bind(&socket).unwrap();
    case.refused(&mut case.build(&spec), &["/usr/lib/socket", "is a socket", "remove it"]);
    fs_err::remove_file(&socket).unwrap();
    tool("mkfifo", [case.tree().join("usr/lib/pipe").to_str().unwrap()]).ok();
    case.refused(&mut case.build(&spec), &["/usr/lib/pipe", "is a named pipe"]);
}

#[test]
fn five_mistakes_are_all_named() {
    let case = Case::new();
    let spec = case.spec(
        "image:\n  id: My_Box\n  version: 1.0+1\n  arhc: x86-64\ntree:\n  debian:\n    suite: trixie\n    packages: nginx\nboot:\n  profile: cluod\ndisk:\n  usr: lots\n",
    );
    let ran = run(program("image-builder").arg("check").arg(&spec));
    assert_eq!(ran.code, 2);
    for place in [":2:", ":3:", ":4:", ":8:", ":10:", ":12:"] {
        assert!(ran.stderr.contains(&format!("spec.yaml{place}")), "{place}\n{}", ran.stderr);
    }
    for words in ["arch", "cloud"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    let json = run(program("image-builder").args(["check", "--json"]).arg(&spec));
    assert_eq!(json.code, 2);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(json.to_string().contains("\"line\":2"), "{json}");
}

#[test]
fn inspect_of_what_is_no_image() {
    let case = Case::new();
    let file = case.spec("not a disk");
    let ran = run(program("image-builder").arg("inspect").arg(&file));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("no valid GPT"), "{}", ran.stderr);
    let ran = run(program("image-builder").args(["inspect", "/nowhere.raw"]));
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("/nowhere.raw"), "{}", ran.stderr);
}

#[test]
fn diff_of_what_is_no_image() {
    let case = Case::new();
    let file = case.spec("not a disk");
    for (old, new, words) in [
        (file.as_path(), Path::new("/nowhere.raw"), "neither a disk image nor an EROFS or ext4 image"),
        (Path::new("/nowhere.raw"), file.as_path(), "/nowhere.raw"),
    ] {
        let ran = run(program("image-builder").arg("diff").arg(old).arg(new));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.text());
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    assert_eq!(run(program("image-builder").args(["diff", "one"])).code, 2);
}
