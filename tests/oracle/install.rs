//! The installer, as a rescue system has it: one static program, with a real web server at the other end. sgdisk and sfdisk
//! say what is on the disk, and when nothing is.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use twinhull_sysutil::digest;
use twinhull_tests::{Ran, Web, bin_dir, program, run, tool};

const IMAGE: &str = "box_1.0.0.raw.zst";
const LENGTH: u64 = 96 << 20;
const DISK: u64 = 128 << 20;
const MIB: u64 = 1 << 20;

/// The program that `cargo xtask installer` makes.
fn installer() -> Command {
    let path = bin_dir().join("static/twinhull-install");
    assert!(path.exists(), "{} is missing; run `cargo xtask installer`", path.display());
    Command::new(path)
}

/// A signed image in a folder, keys, and a disk that has a table already.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("twinhull-install-").tempdir_in("/var/tmp").unwrap();
        let world = World { dir };
        let raw = world.at("web/box_1.0.0.raw");
        fs_err::create_dir(world.at("web")).unwrap();
        partitioned(&raw, LENGTH, &["-n1:2048:+16M", "-t1:ef00", "-n2:0:+32M", "-t2:8314", "-c2:box_1.0.0"]);
        let file = std::fs::OpenOptions::new().write(true).open(&raw).unwrap();
        let noise: Vec<u8> = (0..500_000_u32).flat_map(|n| digest::sha256(&n.to_le_bytes())).collect();
        file.write_all_at(&noise, 20 * MIB + 12_345).unwrap();
        file.write_all_at(b"in the last slot", 60 * MIB).unwrap();
        let builder = |line: &str| {
            run(program("image-builder").args(line.split(' ')).current_dir(world.dir.path())).ok()
        };
        builder("convert web/box_1.0.0.raw --format raw.zst --quiet");
        fs_err::write(
            world.at("web/box_1.0.0.manifest.json"),
            r#"{"id": "box", "version": "1.0.0", "arch": "x86-64"}"#,
        )
        .unwrap();
        builder("keygen keys --image box");
        builder(&format!("sign-image web/{IMAGE} --key keys/release.key --quiet"));
        partitioned(&world.disk(), DISK, &["-n1:0:0", "-c1:old"]);
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn disk(&self) -> PathBuf {
        self.at("disk")
    }

    fn serve(&self) -> Web {
        Web::serve(&self.at("web"), "")
    }

    fn write(&self, source: &str, options: &str) -> Command {
        let mut command = installer();
        command.args(["write", source, "disk"]).args(options.split(' ')).current_dir(self.dir.path());
        command.stdin(Stdio::null());
        command
    }

    /// Writes what is at `source` with our key.
    fn install(&self, source: &str) -> Ran {
        run(&mut self.write(source, "--yes --key keys/release.pub"))
    }

    /// The disk is the image, with nothing at its own end, and foreign tools like its table.
    fn is_installed(&self) {
        let length = LENGTH.to_string();
        let raw = self.at("web/box_1.0.0.raw");
        run(Command::new("cmp").args(["-n", &length]).arg(raw).arg(self.disk())).ok();
        assert_eq!(labels(&self.disk()), ["", "box_1.0.0"]);
        let end = read(&self.disk(), DISK - MIB);
        assert!(end.iter().all(|byte| *byte == 0), "the old backup table is there");
    }

    /// Nothing on the disk can boot, neither the old nor the new.
    fn boots_nothing(&self) {
        for at in [0, LENGTH - MIB, DISK - MIB] {
            assert!(read(&self.disk(), at).iter().all(|byte| *byte == 0), "something is at {at}");
        }
        let ran = tool("sfdisk", ["--json".as_ref(), self.disk().as_os_str()]);
        assert!(ran.code != 0, "{}", ran.text());
        let text = tool("sgdisk", ["-p".as_ref(), self.disk().as_os_str()]).text();
        assert!(text.contains("Creating new GPT entries"), "{text}");
    }

    fn is_untouched(&self) {
        assert_eq!(labels(&self.disk()), ["old"]);
    }

    /// Flips a bit of a file below `web`.
    fn flip(&self, name: &str, at: u64) {
        let file =
            std::fs::OpenOptions::new().read(true).write(true).open(self.at("web").join(name)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }
}

fn partitioned(path: &Path, length: u64, args: &[&str]) {
    fs_err::File::create(path).unwrap().set_len(length).unwrap();
    run(Command::new("sgdisk").args(args).arg(path)).ok();
}

fn read(path: &Path, at: u64) -> Vec<u8> {
    let mut bytes = vec![0; MIB as usize];
    std::os::unix::fs::FileExt::read_exact_at(fs_err::File::open(path).unwrap().file(), &mut bytes, at)
        .unwrap();
    bytes
}

/// Names of the partitions, by sfdisk.
fn labels(disk: &Path) -> Vec<String> {
    let json = tool("sfdisk", ["--json".as_ref(), disk.as_os_str()]).ok().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let partitions = json["partitiontable"]["partitions"].as_array().unwrap();
    partitions.iter().map(|p| p["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn install_writes_what_a_web_server_has_byte_for_byte() {
    let world = World::new();
    let web = world.serve();
    let source = format!("{}/{IMAGE}", web.url);
    let ran = run(&mut world.write(&source, "--yes --json --key keys/release.pub")).ok();
    let json: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&json["image"], &json["version"]), (&"box".into(), &"1.0.0".into()));
    assert_eq!((json["disk_length"].as_u64(), json["disk_size"].as_u64()), (Some(LENGTH), Some(DISK)));
    assert!(json["data"].as_u64().unwrap() < 24 * MIB, "{json}");
    world.is_installed();
    // Zeros are holes.
    let taken = std::os::unix::fs::MetadataExt::blocks(&fs_err::metadata(world.disk()).unwrap()) * 512;
    assert!(taken < 24 * MIB, "{taken} bytes are taken");
}

#[test]
fn install_takes_files_and_standard_input() {
    let world = World::new();
    world.install(&format!("web/{IMAGE}")).ok();
    world.is_installed();
    partitioned(&world.disk(), DISK, &["-n1:0:0", "-c1:old"]);
    let pipe = |options: &str| {
        let mut command = world.write("-", options);
        run(command.stdin(fs_err::File::open(world.at("web").join(IMAGE)).unwrap().into_file()))
    };
    let key = "--key keys/release.pub";
    for (options, word) in [
        (key.to_owned(), "give --yes"),
        (format!("--yes {key}"), "give --signature"),
        ("--yes".into(), "whom to believe"),
    ] {
        let ran = pipe(&options);
        assert!(ran.code == 1 && ran.stderr.contains(word), "{}", ran.text());
        world.is_untouched();
    }
    pipe(&format!("--yes {key} --signature web/{IMAGE}.json")).ok();
    world.is_installed();
}

#[test]
fn install_refuses_a_flipped_byte_before_anything_boots() {
    let world = World::new();
    let web = world.serve();
    let source = format!("{}/{IMAGE}", web.url);
    let length = fs_err::metadata(world.at("web").join(IMAGE)).unwrap().len();
    for at in [9, 5 * MIB, length / 2, length - 1] {
        partitioned(&world.disk(), DISK, &["-n1:0:0", "-c1:old"]);
        world.flip(IMAGE, at);
        let ran = world.install(&source);
        assert_eq!(ran.code, 1, "byte {at}: {}", ran.text());
        if labels_or_none(&world.disk()) == ["old"] {
            // What is wrong in the first mebibyte is seen before the disk is touched.
            assert!(at < MIB, "byte {at}");
        } else {
            assert!(ran.stderr.contains("nothing can boot from it"), "{}", ran.text());
            world.boots_nothing();
        }
        world.flip(IMAGE, at);
    }
    world.install(&source).ok();
    world.is_installed();
}

fn labels_or_none(disk: &Path) -> Vec<String> {
    if tool("sfdisk", ["--json".as_ref(), disk.as_os_str()]).code == 0 { labels(disk) } else { Vec::new() }
}

#[test]
fn install_believes_nobody_else() {
    let world = World::new();
    let web = world.serve();
    let source = format!("{}/{IMAGE}", web.url);
    let refused = |command: &mut Command, word: &str| {
        let ran = run(command);
        assert!(ran.code == 1 && ran.stderr.contains(word), "{}", ran.text());
        world.is_untouched();
    };
    refused(&mut world.write(&source, "--yes"), "give --key");
    refused(&mut world.write(&source, "--key keys/release.pub"), "give --yes");
    refused(&mut world.write(&source, "--yes --key keys/root.pub"), "arbitrary software");
    let both = "--yes --key keys/release.pub --key keys/root.pub";
    refused(&mut world.write(&source, both), "1 of the 2 signatures");
    // A bit of the digest, one of the signature.
    let name = format!("{IMAGE}.json");
    let text = fs_err::read_to_string(world.at("web").join(&name)).unwrap();
    for word in ["\"sha256\":\"", "\"signature\":\""] {
        let at = (text.find(word).unwrap() + word.len()) as u64;
        world.flip(&name, at);
        refused(&mut world.write(&source, "--yes --key keys/release.pub"), "arbitrary software");
        world.flip(&name, at);
    }
    // What the same key signed as a release is no image, even with the same lines.
    let root = world.at("keys/1.root.json").display().to_string();
    refused(&mut world.write(&source, &format!("--yes --key keys/root.pub --signature {root}")), "refused");
    fs_err::remove_file(world.at("web").join(&name)).unwrap();
    refused(&mut world.write(&source, "--yes --key keys/release.pub"), "sign-image");
    run(&mut world.write(&source, "--yes --unsigned")).ok();
    world.is_installed();
}

#[test]
fn install_signatures_can_be_made_elsewhere_and_together() {
    let world = World::new();
    let builder =
        |line: &str| run(program("image-builder").args(line.split(' ')).current_dir(world.dir.path()));
    builder(&format!("sign-image web/{IMAGE} --prepare tbs --quiet")).ok();
    let sign = "pkeyutl -sign -rawin -inkey keys/channel.key -in tbs -out sig";
    run(Command::new("openssl").args(sign.split(' ')).current_dir(world.dir.path())).ok();
    builder(&format!("sign-image web/{IMAGE} --attach sig --public keys/channel.pub --quiet")).ok();
    let both = "--yes --quiet --key keys/release.pub --key keys/channel.pub";
    run(&mut world.write(&format!("web/{IMAGE}"), both)).ok();
    world.is_installed();
    fs_err::remove_file(world.at("web/box_1.0.0.manifest.json")).unwrap();
    for (line, word) in [
        (format!("sign-image web/{IMAGE} --key keys/release.key"), "--image-version"),
        (format!("sign-image web/{IMAGE}"), "nothing to sign with"),
        (
            "sign-image web/box_1.0.0.raw --id box --image-version 1 --arch arm64 --key keys/root.key".into(),
            "Zstandard",
        ),
    ] {
        let ran = builder(&line);
        assert!(ran.code == 1 && ran.stderr.contains(word), "{}", ran.text());
    }
}

#[test]
fn install_refuses_what_does_not_fit() {
    let world = World::new();
    let image = format!("web/{IMAGE}");
    partitioned(&world.disk(), LENGTH - 512, &["-n1:0:0", "-c1:old"]);
    for options in ["--yes --unsigned", "--yes --key keys/release.pub"] {
        let ran = run(&mut world.write(&image, options));
        assert!(ran.code == 1 && ran.stderr.contains("the image needs 96.0 MiB"), "{}", ran.text());
        world.is_untouched();
    }
    for (name, word) in [("box_1.0.0.raw", "can't be unpacked"), ("nothing", "can't be read")] {
        let ran = run(&mut world.write(&format!("web/{name}"), "--yes --unsigned"));
        assert!(ran.code == 1 && ran.stderr.contains(word), "{}", ran.text());
        world.is_untouched();
    }
    // A file system is no disk.
    let zst = world.at("web/plain.zst");
    run(Command::new("zstd").args(["-q", "-o"]).arg(zst).arg(installer().get_program())).ok();
    let ran = run(&mut world.write("web/plain.zst", "--yes --unsigned"));
    assert!(ran.code == 1 && ran.stderr.contains("no GUID partition table"), "{}", ran.text());
    world.is_untouched();
}

/// A wire in front of a web server, which breaks after some bytes of each connection; returns where it begins, and how often
/// it was used.
fn breaking_wire(url: &str, bytes: usize) -> (String, Arc<AtomicUsize>) {
    let server = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let begin = format!("http://{}", listener.local_addr().unwrap());
    let used = Arc::new(AtomicUsize::new(0));
    let count = used.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::Relaxed);
            let server = TcpStream::connect(&server).unwrap();
            let (mut up, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut up, &mut to));
            std::thread::spawn(move || {
                let (mut from, mut down) = (server.take(bytes as u64), stream);
                let _ = std::io::copy(&mut from, &mut down);
                let _ = down.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    (begin, used)
}

#[test]
fn install_goes_on_where_a_connection_broke() {
    let world = World::new();
    let web = world.serve();
    let (wire, used) = breaking_wire(&web.url, 6 << 20);
    let ran = world.install(&format!("{wire}/{IMAGE}")).ok();
    assert!(ran.stderr.contains("going on at byte"), "{}", ran.text());
    world.is_installed();
    assert!(used.load(Ordering::Relaxed) >= 4, "the document, and three pieces");
    let requests = web.requests();
    assert!(requests.iter().filter(|line| line.contains("\" 206 ")).count() >= 2, "{requests:?}");
    // A download that is only a part is no accident that goes on.
    let length = fs_err::metadata(world.at("web").join(IMAGE)).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(world.at("web").join(IMAGE)).unwrap();
    file.set_len(length - 1000).unwrap();
    partitioned(&world.disk(), DISK, &["-n1:0:0", "-c1:old"]);
    let ran = world.install(&format!("{}/{IMAGE}", web.url));
    assert!(ran.code == 1 && ran.stderr.contains("were signed"), "{}", ran.text());
    world.is_untouched();
    // Through a pipe nobody knows beforehand.
    let mut command = world.write("-", &format!("--yes --key keys/release.pub --signature web/{IMAGE}.json"));
    let ran = run(command.stdin(fs_err::File::open(world.at("web").join(IMAGE)).unwrap().into_file()));
    assert!(ran.code == 1 && ran.stderr.contains("only a part of it"), "{}", ran.text());
    world.boots_nothing();
}

/// The program needs nothing of where it runs: no library, no loader, no name service.
#[test]
fn install_runs_in_an_empty_root() {
    let world = World::new();
    let headers = tool("readelf", ["-dl".as_ref(), installer().get_program()]).ok().stdout;
    assert!(!headers.contains("NEEDED") && !headers.contains("INTERP"), "{headers}");
    let web = world.serve();
    let root = world.at("root");
    fs_err::create_dir_all(root.join("etc")).unwrap();
    fs_err::write(root.join("etc/hosts"), "127.0.0.1 images.example.org\n").unwrap();
    fs_err::copy(installer().get_program(), root.join("install")).unwrap();
    fs_err::copy(world.at("keys/release.pub"), root.join("release.pub")).unwrap();
    let port = web.url.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "images.example.org"] {
        partitioned(&root.join("disk"), DISK, &["-n1:0:0"]);
        // Random numbers come from /dev, which every system has that has disks.
        let url = format!("http://{host}:{port}/{IMAGE}");
        let bwrap =
            ["--dev", "/dev", "--", "/install", "write", &url, "/disk", "--yes", "--key", "/release.pub"];
        run(Command::new("bwrap").arg("--bind").arg(&root).arg("/").args(bwrap)).ok();
        fs_err::rename(root.join("disk"), world.disk()).unwrap();
        world.is_installed();
    }
}

/// A block device for a file, until it is dropped.
struct Loop(PathBuf);

impl Loop {
    /// `None` where nobody may make one.
    fn new(file: &Path) -> Option<Self> {
        let ran =
            tool("losetup", ["--find".as_ref(), "--show".as_ref(), "--partscan".as_ref(), file.as_os_str()]);
        (ran.code == 0).then(|| Loop(ran.stdout.trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = tool("losetup", ["-d".as_ref(), self.0.as_os_str()]);
    }
}

#[test]
fn install_onto_a_block_device_that_nobody_uses() {
    let world = World::new();
    let Some(device) = Loop::new(&world.disk()) else {
        eprintln!("there are no loop devices here; files stand for disks in the other tests");
        return;
    };
    let install = |disk: &Path| {
        let mut command = installer();
        command.args(["write", &format!("web/{IMAGE}")]).arg(disk).args([
            "--yes",
            "--key",
            "keys/release.pub",
        ]);
        run(command.current_dir(world.dir.path()).stdin(Stdio::null()))
    };
    // A file system on the whole of it, mounted.
    tool("mkfs.ext4", ["-q".as_ref(), "-F".as_ref(), device.0.as_os_str()]).ok();
    fs_err::create_dir(world.at("mnt")).unwrap();
    run(Command::new("mount").arg(&device.0).arg(world.at("mnt"))).ok();
    let ran = install(&device.0);
    run(Command::new("umount").arg(world.at("mnt"))).ok();
    assert!(ran.code == 1 && ran.stderr.contains("is mounted on"), "{}", ran.text());
    install(&device.0).ok();
    world.is_installed();
}
