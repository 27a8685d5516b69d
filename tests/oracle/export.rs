//! Output formats as the tools of their makers see them: each holds the disk and nothing else.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use twinhull_sysutil::digest;
use twinhull_tests::{Ran, hello, program, run, tool};

const FORMATS: [(&str, &str); 6] = [
    ("qcow2", "box.qcow2"),
    ("vmdk", "box.vmdk"),
    ("vhd", "box.vhd"),
    ("gcp", "box.tar.gz"),
    ("raw.zst", "box.raw.zst"),
    ("bmap", "box.raw.bmap"),
];

/// A sparse disk whose table is sgdisk's, with data at both ends of partitions.
struct Sample {
    dir: tempfile::TempDir,
    raw: PathBuf,
}

impl Sample {
    fn new(size: u64) -> Self {
        let dir = tempfile::Builder::new().prefix("twinhull-export-").tempdir_in("/var/tmp").unwrap();
        let raw = dir.path().join("box.raw");
        let file = std::fs::File::create_new(&raw).unwrap();
        file.set_len(size).unwrap();
        let id = |n| format!("00000000-0000-4000-8000-00000000000{n}");
        let mut sgdisk = Command::new("sgdisk");
        sgdisk.arg("-U").arg(id(0));
        for (n, place, kind, label) in
            [(1, "2048:+4M", "ef00", "esp"), (2, "0:+16M", "8314", "box_1"), (3, "0:+16M", "8314", "_empty")]
        {
            sgdisk.arg(format!("-n{n}:{place}")).arg(format!("-t{n}:{kind}"));
            sgdisk.arg(format!("-c{n}:{label}")).arg(format!("-u{n}:{}", id(n)));
        }
        run(sgdisk.arg(&raw)).ok();
        let text: Vec<u8> = (0..100_000).flat_map(|n: u32| format!("{n} ").into_bytes()).collect();
        let noise: Vec<u8> = (0..20_000_u32).flat_map(|n| digest::sha256(&n.to_le_bytes())).collect();
        let mib = |n: u64| n << 20;
        // On no boundary of anything, at the end of a partition, and a single byte.
        for (bytes, at) in
            [(&text, mib(1)), (&noise, mib(5) + 12_345), (&text, mib(9) - 7), (&vec![1], mib(21) - 1)]
        {
            file.write_all_at(bytes, at).unwrap();
        }
        Sample { dir, raw }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn try_convert(&self, format: &str, args: &[&str]) -> Ran {
        run(program("image-builder").arg("convert").arg(&self.raw).args(["--format", format]).args(args))
    }

    /// The file that `format` becomes.
    fn convert(&self, format: &str) -> PathBuf {
        PathBuf::from(self.try_convert(format, &["--quiet"]).ok().stdout.trim_end())
    }

    /// The names in its folder.
    fn names(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// qemu-img finds the same disk in both, without a warning about its size.
fn same_disk(raw: &Path, format: &str, other: &Path) {
    let args = ["compare", "-f", "raw", "-F", format];
    let text = run(Command::new("qemu-img").args(args).arg(raw).arg(other)).ok().text();
    assert_eq!(text, "Images are identical.\n");
}

/// The table of `disk` is whole, and its partitions hold what those of `raw` do.
fn same_partitions(raw: &Path, disk: &Path) {
    let text = tool("sgdisk", ["-v".as_ref(), disk.as_os_str()]).ok().text();
    assert!(text.contains("No problems found"), "{text}");
    for word in ["Caution", "Warning", "Problem:", "corrupt"] {
        assert!(!text.contains(word), "{text}");
    }
    let partitions = |path: &Path| {
        let json = tool("sfdisk", ["--json".as_ref(), path.as_os_str()]).ok().stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let table = &json["partitiontable"];
        let without_node = |p: &serde_json::Value| {
            let mut p = p.clone();
            p.as_object_mut().unwrap().remove("node");
            p
        };
        let rows: Vec<_> = table["partitions"].as_array().unwrap().iter().map(without_node).collect();
        (table["id"].clone(), table["firstlba"].clone(), rows)
    };
    assert_eq!(partitions(raw), partitions(disk));
    let args = ["--bytes=38797312", "--ignore-initial=1048576"];
    run(Command::new("cmp").args(args).arg(raw).arg(disk)).ok();
}

#[test]
fn export_qcow2_passes_qemu_img() {
    let sample = Sample::new(600 << 20);
    // Two L2 tables, the second one for the backup table alone.
    let path = sample.convert("qcow2");
    let text = tool("qemu-img", ["check".as_ref(), path.as_os_str()]).ok().text();
    assert!(text.contains("No errors were found"), "{text}");
    same_disk(&sample.raw, "qcow2", &path);
    assert!(fs_err::metadata(&path).unwrap().len() < 8 << 20);
    // A guest can write to it, and it stays sound.
    tool("qemu-io", ["-f", "qcow2", "-c", "write -P 7 300M 1M", path.to_str().unwrap()]).ok();
    tool("qemu-img", ["check".as_ref(), path.as_os_str()]).ok();
}

#[test]
fn export_vmdk_passes_qemu_img() {
    let sample = Sample::new(48 << 20);
    let path = sample.convert("vmdk");
    let text = tool("qemu-img", ["check".as_ref(), path.as_os_str()]).ok().text();
    assert!(text.contains("No errors were found"), "{text}");
    same_disk(&sample.raw, "vmdk", &path);
    let text = tool("qemu-img", ["info".as_ref(), path.as_os_str()]).ok().text();
    for words in ["create type: streamOptimized", "compressed: true"] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn export_vhd_is_what_azure_is_told_to_be_given() {
    let sample = Sample::new(48 << 20);
    let path = sample.convert("vhd");
    same_disk(&sample.raw, "vpc", &path);
    let ours = fs_err::read(&path).unwrap();
    let theirs = sample.path("qemu.vhd");
    let args = ["convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on"];
    run(Command::new("qemu-img").args(args).arg(&sample.raw).arg(&theirs)).ok();
    let theirs = fs_err::read(theirs).unwrap();
    assert_eq!(ours.len(), theirs.len());
    let differ: Vec<usize> = (0..ours.len()).filter(|n| ours[*n] != theirs[*n]).collect();
    // Time, geometry (qemu-img writes the largest), checksum and identifier.
    let allowed = |n: &usize| {
        let at = n.wrapping_sub(48 << 20);
        (24..28).contains(&at) || (56..60).contains(&at) || (64..84).contains(&at)
    };
    assert!(differ.iter().all(allowed), "{differ:?}");
}

#[test]
fn export_grows_a_disk_that_has_no_whole_mib() {
    let sample = Sample::new((40 << 20) + 3 * 512);
    for (format, qemu) in [("vhd", "vpc"), ("vmdk", "vmdk")] {
        let path = sample.convert(format);
        let disk = sample.path("back.raw");
        let args = ["convert", "-f", qemu, "-O", "raw"];
        run(Command::new("qemu-img").args(args).arg(&path).arg(&disk)).ok();
        assert_eq!(fs_err::metadata(&disk).unwrap().len(), 41 << 20);
        same_partitions(&sample.raw, &disk);
    }
}

#[test]
fn export_gcp_is_a_gnu_tar_with_a_disk_of_whole_gib() {
    let sample = Sample::new(48 << 20);
    let json = sample.try_convert("gcp", &["--quiet", "--json"]).ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["disk_size"], &json["format"]), (&(1_u64 << 30).into(), &"gcp".into()));
    let path = sample.path("box.tar.gz");
    tool("gzip", ["-t".as_ref(), path.as_os_str()]).ok();
    let list = tool("tar", ["tvzf".as_ref(), path.as_os_str()]).ok();
    assert_eq!(list.stdout.lines().count(), 1, "{}", list.text());
    assert!(list.stdout.contains("1073741824 1970-01-01 00:00 disk.raw"), "{}", list.text());
    let script = "gzip -dc \"$1\" | head -c 512 | tail -c +258 | head -c 8 | od -An -c";
    let magic = run(Command::new("sh").args(["-c", script, "sh"]).arg(&path)).stdout;
    assert_eq!(magic.split_whitespace().collect::<String>(), "ustar\\0", "{magic:?}");
    run(Command::new("tar").arg("-xzSf").arg(&path).arg("-C").arg(sample.dir.path())).ok();
    same_partitions(&sample.raw, &sample.path("disk.raw"));
}

#[test]
fn export_raw_zst_passes_zstd() {
    let sample = Sample::new((48 << 20) + 512);
    let path = sample.convert("raw.zst");
    let back = sample.path("back.raw");
    run(Command::new("zstd").args(["-d", "-q", "-o"]).arg(&back).arg(&path)).ok();
    tool("cmp", [sample.raw.as_os_str(), back.as_os_str()]).ok();
    let list = tool("zstd", ["-lv".as_ref(), path.as_os_str()]).ok().text();
    for words in ["(50332160 B)", "Check: XXH64"] {
        assert!(list.contains(words), "{list}");
    }
}

/// The ranges of a block map in bytes, with their checksums.
fn ranges(bmap: &str) -> Vec<(u64, u64, &str)> {
    let rows = bmap.lines().filter_map(|line| line.trim().strip_prefix("<Range chksum=\""));
    rows.map(|row| {
        let (sum, rest) = row.split_once("\"> ").unwrap();
        let blocks = rest.strip_suffix(" </Range>").unwrap();
        let (first, last) = blocks.split_once('-').unwrap_or((blocks, blocks));
        let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
        (first * 4096, (last + 1) * 4096, sum)
    })
    .collect()
}

#[test]
fn export_bmap_passes_bmaptool_and_leaves_nothing_stale_where_it_matters() {
    let sample = Sample::new(48 << 20);
    let bmap = sample.convert("bmap");
    let copy = sample.path("copy.raw");
    // The map is found beside the image; bmaptool checks its checksum and those of the ranges.
    let text = tool("bmaptool", ["copy".as_ref(), sample.raw.as_os_str(), copy.as_os_str()]).ok().text();
    assert!(text.contains("discovered bmap file"), "{text}");
    tool("cmp", [sample.raw.as_os_str(), copy.as_os_str()]).ok();
    // One wrong bit in the image, one in the map.
    let damage = |path: &Path, at: u64| {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    };
    let text = fs_err::read_to_string(&bmap).unwrap();
    for (path, at) in [(&sample.raw, 5 << 20), (&bmap, text.find("<ImageSize>").unwrap() as u64 + 12)] {
        damage(path, at);
        assert_ne!(tool("bmaptool", ["copy".as_ref(), sample.raw.as_os_str(), copy.as_os_str()]).code, 0);
        damage(path, at);
    }
    // Onto a device full of something else.
    let raw = fs_err::read(&sample.raw).unwrap();
    let mut device = vec![0xff; raw.len()];
    for (start, end, sum) in ranges(&text) {
        let (start, end) = (start as usize, end as usize);
        assert_eq!(digest::sha256_hex(&raw[start..end]), sum);
        device[start..end].copy_from_slice(&raw[start..end]);
    }
    let mib = |n: usize| n << 20;
    assert!(device[..mib(5)] == raw[..mib(5)], "table and ESP");
    assert!(device[mib(5)..mib(21)] == raw[mib(5)..mib(21)], "/usr, which ends with a byte");
    assert!(device[mib(21)..mib(47)].iter().all(|b| *b == 0xff), "the free slot");
    assert!(device[mib(47)..] == raw[mib(47)..], "backup table");
}

#[test]
fn export_gives_the_same_bytes_on_one_processor_and_from_a_file_without_holes() {
    let sample = Sample::new(48 << 20);
    let other = Sample { raw: sample.path("other/box.raw"), dir: tempfile::tempdir().unwrap() };
    fs_err::create_dir_all(other.raw.parent().unwrap()).unwrap();
    tool("cp", ["--sparse=never".as_ref(), sample.raw.as_os_str(), other.raw.as_os_str()]).ok();
    for (format, name) in FORMATS {
        sample.convert(format);
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program("image-builder").get_program());
        command.arg("convert").arg(&other.raw).args(["--quiet", "--format", format]);
        run(command.env("TZ", "Pacific/Chatham").env("LANG", "tr_TR.UTF-8")).ok();
        tool("cmp", [sample.path(name), sample.path("other").join(name)]).ok();
    }
}

#[test]
fn export_refuses_with_a_way_out_and_leaves_nothing() {
    let sample = Sample::new(48 << 20);
    let before = sample.names();
    let raw = sample.raw.to_str().unwrap();
    let missing = sample.path("no/such/folder/box.qcow2");
    for (format, args, code, words) in [
        ("qcow", &[][..], 2, &["qcow2", "similar value"][..]),
        ("qcow2", &["--out", raw], 1, &["the image itself", "--out"]),
        ("qcow2", &["--out", "/"], 1, &["is a folder"]),
        ("qcow2", &["--out", missing.to_str().unwrap()], 1, &["was not written", "no/such/folder"]),
    ] {
        let ran = sample.try_convert(format, args);
        assert_eq!(ran.code, code, "{}", ran.text());
        assert!(words.iter().all(|w| ran.stderr.contains(w)), "{}", ran.stderr);
    }
    assert_eq!(sample.names(), before);
    // What came out of one conversion doesn't go into another.
    for (format, what) in [("qcow2", "a qcow2 image"), ("vmdk", "a VMDK"), ("raw.zst", "a Zstandard file")] {
        let path = sample.convert(format);
        let ran = run(program("image-builder").arg("convert").arg(path).args(["--format", "vhd"]));
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains(what) && ran.stderr.contains("not a raw disk"), "{}", ran.stderr);
    }
    // An output that is there already is replaced.
    let path = sample.convert("qcow2");
    fs_err::write(&path, "old").unwrap();
    same_disk(&sample.raw, "qcow2", &sample.convert("qcow2"));
    let file = std::fs::OpenOptions::new().write(true).open(&sample.raw).unwrap();
    file.set_len(47 << 20).unwrap();
    let ran = sample.try_convert("bmap", &[]);
    assert!(ran.code == 1 && ran.stderr.contains("truncated"), "{}", ran.text());
}

#[test]
fn export_that_is_interrupted_leaves_nothing() {
    let dir = tempfile::Builder::new().prefix("twinhull-export-").tempdir_in("/var/tmp").unwrap();
    let mut command = program("image-builder");
    command.arg("convert").arg(&hello().path).args(["--quiet", "--format", "gcp", "--out"]);
    let mut child = command.arg(dir.path().join("hello.tar.gz")).spawn().unwrap();
    let names = || fs_err::read_dir(dir.path()).unwrap().count();
    while names() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its file was seen");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    run(Command::new("kill").arg(child.id().to_string())).ok();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(names(), 0);
}

#[test]
fn export_of_the_default_image_goes_with_its_build() {
    let dir = tempfile::Builder::new().prefix("twinhull-export-").tempdir_in("/var/tmp").unwrap();
    let spec = twinhull_tests::top().join("examples/hello.yaml");
    hello();
    let mut command = program("image-builder");
    command.arg("build").arg(spec).args(["--quiet", "--offline", "--out"]).arg(dir.path());
    let ran = run(command.args(["--format", "raw.zst", "--format", "qcow2", "--format", "qcow2"])).ok();
    let raw = dir.path().join("hello_1.0.0.raw");
    let paths: Vec<PathBuf> = ran.stdout.lines().map(PathBuf::from).collect();
    assert_eq!(paths, [raw.clone(), raw.with_extension("qcow2"), raw.with_extension("raw.zst")]);
    tool("qemu-img", ["check".as_ref(), paths[1].as_os_str()]).ok();
    same_disk(&raw, "qcow2", &paths[1]);
    let back = dir.path().join("back.raw");
    run(Command::new("zstd").args(["-d", "-q", "-o"]).arg(&back).arg(&paths[2])).ok();
    tool("cmp", [hello().path.as_os_str(), back.as_os_str()]).ok();
}
