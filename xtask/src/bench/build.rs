//! `bench build`: our whole build from a tree archive to a finished disk, against systemd-repart, mkfs.erofs and ukify
//! on the same tree, with the same compression.
//!
//! The peer's tools are trixie's, run offline in a chroot with the tree unpacked, owners and all, and an initrd that is
//! given to it ready made: making one is work that only we do here. It knows no incremental build, so what changed
//! makes no difference to it, and one run of it stands beside three of ours: nothing kept from earlier builds, one file
//! changed since the last one, all files of one package changed. The last one is also held against mkosi, which keeps
//! the installed tree and the initrd from one run to the next; see [`super::mkosi`].

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use twinhull_fsimg::Part;
use twinhull_fsimg::erofs::reader::Reader;
use twinhull_sysutil::command::Cmd;

use super::chart;
use super::mkosi::Mkosi;
use super::peer;
use super::report::{self, Pair};
use crate::paths;

/// What both pack with, as we and as systemd-repart call it. mkfs.erofs gets the same cluster size.
const COMPRESSION: (&str, &str) = ("zstd", "9");
const CLUSTER: u32 = 65_536;

/// The package whose files change in the third case.
const PACKAGE: &str = "openssh-server";

/// What we build.
const CASES: [&str; 3] = ["cold", "changed_file", "changed_package"];

/// What is compared: each of them, and the last one with mkosi.
const NAMES: [&str; 4] = [CASES[0], CASES[1], CASES[2], "mkosi_warm"];

/// One run of a whole build.
#[derive(Debug, Clone, Copy)]
struct Run {
    wall: f64,
    cpu: f64,
    memory_mib: f64,
}

pub(crate) fn run(pairs: usize, json: bool, svg: Option<&Path>) -> Result<()> {
    peer::prepare_host()?;
    let bin = paths::build_programs()?;
    let (_, archive) = peer::our_image(&bin)?;
    let bench = Bench::prepare(bin, &archive)?;
    let mkosi = Mkosi::prepare(&bench.work.join("defs"))?;
    let (mut wall, mut cpu, mut memory) = (vec![Vec::new(); 4], vec![Vec::new(); 4], Vec::new());
    let mut size = None;
    for n in 0..=pairs {
        // What changed makes no difference to this peer: one run of it stands beside each of ours.
        let cold = bench.ours(CASES[0], n)?;
        let theirs = bench.theirs()?;
        if size.is_none() {
            size = Some(bench.sizes()?);
        }
        let file = bench.ours(CASES[1], n)?;
        let package = bench.ours(CASES[2], n)?;
        let mkosi = bench.measure(&mkosi.argv("always"))?;
        if n == 0 {
            continue;
        }
        let pairs_of = [(cold, theirs), (file, theirs), (package, theirs), (package, mkosi)];
        for (case, (ours, theirs)) in pairs_of.into_iter().enumerate() {
            eprintln!(
                "==> pair {n} of {pairs}, {}: {:.2} s against {:.2} s",
                NAMES[case], ours.wall, theirs.wall
            );
            wall[case].push(Pair { ours: ours.wall, peer: theirs.wall });
            cpu[case].push(Pair { ours: ours.cpu, peer: theirs.cpu });
            memory.push(Pair { ours: ours.memory_mib, peer: theirs.memory_mib });
        }
    }
    let (ours, theirs) = size.context("there were no runs")?;
    let sizes = vec![Pair { ours: ours as f64 / 1048576.0, peer: theirs as f64 / 1048576.0 }];
    let (level, peak) = (COMPRESSION.1, memory.iter().map(|p| p.ours).fold(0.0, f64::max));
    if json {
        let mut ratios = serde_json::json!({ "size": report::ratio(&sizes), "peak_memory_mib": peak });
        let mut runs = Vec::new();
        for (case, name) in NAMES.iter().enumerate() {
            ratios[*name] = report::ratio(&wall[case]).into();
            runs.push(serde_json::json!({ "case": name, "wall_s": report::json(&wall[case]), "cpu_s": report::json(&cpu[case]) }));
        }
        println!("{}", serde_json::json!({ "ratios": ratios, "runs": runs }));
    } else {
        println!(
            "tree archive to finished disk, {} level {level}; peer: systemd-repart --offline, mkfs.erofs and ukify, initrd given\n",
            COMPRESSION.0
        );
        println!("{}", report::head());
        for (case, name) in NAMES.iter().enumerate() {
            println!("{}", report::row(&format!("{name}, wall"), "s", &wall[case]));
            println!("{}", report::row(&format!("{name}, CPU"), "s", &cpu[case]));
        }
        println!("{}", report::row("usr image", "MiB", &sizes));
        println!("{}", report::row("peak memory", "MiB", &memory));
    }
    if let Some(path) = svg {
        let bars: Vec<(&str, Pair)> = NAMES
            .iter()
            .zip(&wall)
            .map(|(name, pairs)| {
                let median = |of: fn(&Pair) -> f64| report::median(pairs.iter().map(of).collect());
                (*name, Pair { ours: median(|p| p.ours), peer: median(|p| p.peer) })
            })
            .collect();
        fs_err::write(
            path,
            chart::bars(
                "Seconds from a tree to a finished disk",
                "s",
                ("Twinhull", "repart + mkfs.erofs + ukify; mkosi"),
                &bars,
            ),
        )?;
    }
    Ok(())
}

/// Where both find what they need.
struct Bench {
    bin: PathBuf,
    /// The chroot with the peer's tools.
    tools: PathBuf,
    work: PathBuf,
    /// The tree as it is.
    archive: PathBuf,
    /// Files of [`PACKAGE`], as paths without the leading slash.
    package: Vec<String>,
}

impl Bench {
    fn prepare(bin: PathBuf, archive: &Path) -> Result<Self> {
        let packages = [
            "systemd-repart",
            "systemd-ukify",
            "systemd-boot-efi",
            "erofs-utils",
            "cryptsetup-bin",
            "libcryptsetup12",
            "libfdisk1",
            "dosfstools",
            "mtools",
            "e2fsprogs",
        ];
        let tools = peer::tree("tools", &packages, "true")?;
        let work = tools.join("bench");
        if work.exists() {
            fs_err::remove_dir_all(&work)?;
        }
        fs_err::create_dir_all(work.join("tree"))?;
        Cmd::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "-xpf"])
            .arg(archive)
            .arg("-C")
            .arg(work.join("tree"))
            .output()?;
        prepare_peer(&work)?;
        let list = fs_err::read_to_string(work.join(format!("tree/var/lib/dpkg/info/{PACKAGE}.list")))?;
        let package: Vec<String> = list
            .lines()
            .map(|line| line.trim_start_matches('/').to_owned())
            .filter(|path| path.starts_with("usr/"))
            .filter(|path| fs_err::symlink_metadata(work.join("tree").join(path)).is_ok_and(|m| m.is_file()))
            .collect();
        ensure!(!package.is_empty(), "{PACKAGE} has no files in the tree");
        Ok(Bench { bin, tools, work, archive: archive.to_owned(), package })
    }

    /// Our build. What changed since the last one is put behind the tree's files in a copy of the archive, which
    /// isn't measured.
    fn ours(&self, case: &str, n: usize) -> Result<Run> {
        let archive = self.work.join("tree.tar");
        Cmd::new("cp").arg("--reflink=auto").arg(&self.archive).arg(&archive).output()?;
        let changes = self.work.join("changes");
        if changes.exists() {
            fs_err::remove_dir_all(&changes)?;
        }
        let changed: Vec<String> = match case {
            "changed_file" => vec!["usr/lib/os-release-note".into()],
            "changed_package" => self.package.clone(),
            _ => Vec::new(),
        };
        for path in &changed {
            let to = changes.join(path);
            if let Some(parent) = to.parent() {
                fs_err::create_dir_all(parent)?;
            }
            let mut bytes = fs_err::read(self.work.join("tree").join(path)).unwrap_or_default();
            bytes.extend(format!("\n# change {n} of {case}\n").bytes());
            fs_err::write(to, bytes)?;
        }
        if !changed.is_empty() {
            Cmd::new("tar")
                .arg("-rf")
                .arg(&archive)
                .arg("-C")
                .arg(&changes)
                .args(changed.iter().map(|p| format!("./{p}")))
                .output()?;
        }
        let hello = fs_err::read_to_string(paths::top().join("examples/hello.yaml"))?;
        let (head, rest) = hello.split_once("tree:").context("hello.yaml has no tree")?;
        let (_, system) = rest.split_once("system:").context("hello.yaml has no system")?;
        let (name, level) = COMPRESSION;
        // The peer packs the whole tree; so do we.
        let spec = format!(
            "{head}tree:\n  tar: tree.tar\ndisk:\n  compression: \"{name}:{level}\"\n  cluster: {}K\n\
             system:\n  keep: [docs, man, locales, caches, sources, modules, firmware]{system}",
            CLUSTER >> 10
        );
        fs_err::write(self.work.join("spec.yaml"), spec)?;
        let cache = self.work.join("cache");
        if case == "cold" && cache.exists() {
            // What the two other cases build upon is what this run leaves.
            fs_err::remove_dir_all(&cache)?;
        }
        let arg = |p: &Path| p.display().to_string();
        self.measure(&[
            arg(&self.bin.join("image-builder")),
            "build".into(),
            arg(&self.work.join("spec.yaml")),
            "--quiet".into(),
            "--cache-dir".into(),
            arg(&cache),
            "--out".into(),
            arg(&self.work.join("out")),
        ])
    }

    fn theirs(&self) -> Result<Run> {
        // systemd reopens descriptors through /proc.
        let script = "mount -t proc proc \"$0/proc\" && mount -t devtmpfs dev \"$0/dev\" && exec chroot \"$0\" /bin/sh /bench/peer.sh";
        self.measure(&[
            "unshare".into(),
            "--mount".into(),
            "sh".into(),
            "-c".into(),
            script.into(),
            self.tools.display().to_string(),
        ])
    }

    /// Wall and processor seconds and the peak memory of the largest process, by GNU time.
    fn measure(&self, argv: &[String]) -> Result<Run> {
        let log = self.work.join("time");
        let start = Instant::now();
        Cmd::new("/usr/bin/time").args(["-f", "%U %S %M", "-o"]).arg(&log).args(argv).output()?;
        let wall = start.elapsed().as_secs_f64();
        let text = fs_err::read_to_string(&log)?;
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [user, system, kib] = numbers[..] else { anyhow::bail!("GNU time printed {text:?}") };
        Ok(Run { wall, cpu: user + system, memory_mib: kib / 1024.0 })
    }

    /// Lengths in bytes of our usr image and of what mkfs.erofs makes of the same files with the same settings. (What
    /// systemd-repart packs above is the tree's own /usr, without what we add to it.)
    fn sizes(&self) -> Result<(u64, u64)> {
        let disk = self.work.join("out/hello_1.0.0.raw");
        let file = fs_err::File::open(&disk)?.into_file();
        let table = twinhull_disk::table::read(&disk, &file)?;
        let usr = table.partitions.iter().find(|p| twinhull_disk::types::name(p.kind) == Some("usr"));
        let usr = usr.context("there is no usr partition")?;
        let length = Reader::new(Part::new(file, usr.offset, usr.size)?)?.length;
        let (skip, count) = (usr.offset >> 20, length.div_ceil(1 << 20));
        let (name, level) = COMPRESSION;
        fs_err::write(
            self.work.join("size.sh"),
            format!(
                "set -e\ncd /bench\nrm -rf same same.erofs\n\
                 dd if=out/hello_1.0.0.raw of=usr.erofs bs=1M skip={skip} count={count} status=none\n\
                 fsck.erofs --extract=same --preserve usr.erofs >/dev/null\n\
                 mkfs.erofs --quiet -z{name},{level} -C{CLUSTER} same.erofs same\n"
            ),
        )?;
        Cmd::new("chroot").arg(&self.tools).args(["/bin/sh", "/bench/size.sh"]).output()?;
        Ok((length, fs_err::metadata(self.work.join("same.erofs"))?.len()))
    }
}

/// Definitions, an initrd, and the script that the peer runs.
fn prepare_peer(work: &Path) -> Result<()> {
    let defs = work.join("defs");
    fs_err::create_dir_all(&defs)?;
    fs_err::write(
        defs.join("10-esp.conf"),
        "[Partition]\nType=esp\nFormat=vfat\nSizeMinBytes=128M\nSizeMaxBytes=128M\nCopyFiles=/esp:/\n",
    )?;
    let (name, level) = COMPRESSION;
    fs_err::write(
        defs.join("20-usr.conf"),
        format!(
            "[Partition]\nType=usr\nFormat=erofs\nCompression={name}\nCompressionLevel={level}\nCopyFiles=/usr:/\nVerity=data\n\
             VerityMatchKey=usr\nSizeMinBytes=448M\nSizeMaxBytes=448M\n"
        ),
    )?;
    fs_err::write(
        defs.join("30-verity.conf"),
        "[Partition]\nType=usr-verity\nVerity=hash\nVerityMatchKey=usr\nSizeMinBytes=4M\nSizeMaxBytes=4M\n",
    )?;
    let initrd = vec![0x5A; 16 << 20];
    fs_err::write(work.join("initrd"), initrd)?;
    fs_err::write(
        work.join("peer.sh"),
        format!(
            "set -e\nexport SYSTEMD_REPART_MKFS_OPTIONS_EROFS=-C{CLUSTER}\n\
         cd /bench\nrm -rf out.raw tree/esp\nmkdir -p tree/esp/EFI/BOOT tree/esp/EFI/Linux\n\
         cp tree/usr/lib/systemd/boot/efi/systemd-bootx64.efi tree/esp/EFI/BOOT/BOOTX64.EFI\n\
         systemd-repart --offline=yes --empty=create --size=2G --seed=6f2d1c5e-0a50-4c33-9a0e-7d6f4c1b2a39 --root=/bench/tree \
         --definitions=/bench/defs --dry-run=no --json=short --defer-partitions=esp out.raw >repart.json\n\
         hash=$(sed 's/.*\"roothash\":\"\\([0-9a-f]*\\)\".*/\\1/' repart.json)\n\
         ukify build --linux=$(ls tree/boot/vmlinuz-*) --initrd=initrd --cmdline=\"usrhash=$hash\" \
         --os-release=@tree/usr/lib/os-release --stub=tree/usr/lib/systemd/boot/efi/linuxx64.efi.stub --output=tree/esp/EFI/Linux/hello.efi >/dev/null\n\
         systemd-repart --offline=yes --empty=allow --seed=6f2d1c5e-0a50-4c33-9a0e-7d6f4c1b2a39 --root=/bench/tree \
         --definitions=/bench/defs --dry-run=no out.raw >/dev/null\n"
        ),
    )?;
    Ok(())
}
