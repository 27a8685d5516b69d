//! `bench install`: a disk image from a web server onto a disk, against `curl | zstd | dd`, which checks nothing and makes a disk
//! bootable before all of it has come. The image is 8 GiB with 600 MiB of data in it, the disk is a file.

use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use twinhull_sysutil::command::Cmd;

use super::report::{self, Pair};
use crate::{host, newer, paths};

const LENGTH: u64 = 8 << 30;
/// Places of data and their lengths, in MiB.
const EXTENTS: [(u64, usize); 4] = [(1, 40), (256, 400), (2048, 100), (6000, 60)];
const IMAGE: &str = "bench.raw.zst";

pub(crate) fn run(pairs: usize, json: bool) -> Result<()> {
    ensure!(pairs > 0, "--pairs 0 measures nothing");
    host::for_tests()?;
    host::packages(&["curl"])?;
    let bin = paths::build_programs()?;
    paths::build_installer()?;
    let dir = tempfile::tempdir_in("/var/tmp")?;
    let dir = dir.path();
    eprintln!("==> making an image of 8 GiB");
    make(&bin, dir)?;
    let server = Server::start(dir)?;
    let url = format!("{}/{IMAGE}", server.url);
    let ours = || -> Result<f64> {
        let disk = empty(dir)?;
        fs_err::File::create(&disk)?.set_len(LENGTH)?;
        let install = Cmd::new(bin.join("static/twinhull-install")).args(["write", &url]).arg(&disk);
        timed(install.args(["--yes", "--quiet", "--key"]).arg(dir.join("keys/release.pub")))
    };
    let peer = || -> Result<f64> {
        let disk = empty(dir)?;
        let script =
            "set -o pipefail; curl -s \"$1\" | zstd -dc | dd of=\"$2\" bs=4M iflag=fullblock conv=fsync";
        timed(Cmd::new("bash").args(["-c", script, "bash", &url]).arg(&disk))
    };
    // One of each that doesn't count, and that must be right.
    for run in [&ours as &dyn Fn() -> Result<f64>, &peer] {
        run()?;
        Cmd::new("cmp").args([dir.join("bench.raw"), dir.join("disk")]).output()?;
    }
    let mut seconds = Vec::new();
    for n in 1..=pairs {
        // Whoever comes first may find a warmer disk.
        let pair = if n % 2 == 1 {
            let ours = ours()?;
            Pair { ours, peer: peer()? }
        } else {
            let peer = peer()?;
            Pair { ours: ours()?, peer }
        };
        eprintln!("==> pair {n} of {pairs}: {:.2} s, peer {:.2} s", pair.ours, pair.peer);
        seconds.push(pair);
    }
    let speed: Vec<Pair> = seconds.iter().map(|p| Pair { ours: rate(p.ours), peer: rate(p.peer) }).collect();
    if json {
        let ratios =
            serde_json::json!({ "seconds": report::ratio(&seconds), "speed": report::ratio(&speed) });
        let runs = serde_json::json!({ "seconds": report::json(&seconds) });
        println!("{}", serde_json::json!({ "ratios": ratios, "runs": runs }));
    } else {
        println!(
            "8 GiB with 600 MiB of data, from nginx; peer: curl | zstd -dc | dd conv=fsync\n\n{}",
            report::head()
        );
        println!("{}", report::row("time", "s", &seconds));
        println!("{}", report::row("speed", "MB/s", &speed));
    }
    Ok(())
}

/// Megabytes of the disk a second.
fn rate(seconds: f64) -> f64 {
    LENGTH as f64 / 1e6 / seconds
}

/// Where the disk goes, without what was there.
fn empty(dir: &Path) -> Result<std::path::PathBuf> {
    let disk = dir.join("disk");
    if disk.exists() {
        fs_err::remove_file(&disk)?;
    }
    Cmd::new("sync").output()?;
    Ok(disk)
}

fn timed(command: Cmd) -> Result<f64> {
    let start = Instant::now();
    command.output()?;
    Ok(start.elapsed().as_secs_f64())
}

/// A signed image, its keys, and the raw disk to compare with.
fn make(bin: &Path, dir: &Path) -> Result<()> {
    let raw = dir.join("bench.raw");
    let file = fs_err::File::create(&raw)?;
    file.set_len(LENGTH)?;
    Cmd::new("sgdisk").args(["-n1:2048:+200M", "-t1:ef00", "-n2:0:0"]).arg(&raw).output()?;
    let mut file = BufWriter::with_capacity(1 << 20, fs_err::OpenOptions::new().write(true).open(&raw)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for (at, length) in EXTENTS {
        file.seek(SeekFrom::Start(at << 20))?;
        for _ in 0..(length << 20) / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // A byte in eight repeats, as in files that are packed already.
            file.write_all(&(state & !0xff).to_le_bytes())?;
        }
    }
    file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    let builder = || Cmd::new(bin.join("image-builder")).current_dir(dir);
    builder().args(["convert", "bench.raw", "--format", "raw.zst", "--quiet"]).output()?;
    builder().args(["keygen", "keys", "--image", "bench"]).output()?;
    let identity = ["--id", "bench", "--image-version", "1", "--arch", "x86-64", "--quiet"];
    builder().args(["sign-image", IMAGE, "--key", "keys/release.key"]).args(identity).output()?;
    Ok(())
}

/// nginx, with a folder.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (at, tools) = (folder.display(), newer::tools()?);
        let config = folder.join("nginx.conf");
        fs_err::write(
            &config,
            format!(
                "daemon off; master_process off; user root; pid {at}/pid; error_log stderr;\nevents {{}}\n\
                 http {{ access_log off; sendfile on; client_body_temp_path {at}/t1; proxy_temp_path {at}/t2; \
                 fastcgi_temp_path {at}/t3; uwsgi_temp_path {at}/t4; scgi_temp_path {at}/t5;\n\
                 server {{ listen {address}; root {at}; }} }}\n"
            ),
        )?;
        let mut command = Cmd::new("bwrap").arg("--ro-bind").arg(tools.join("usr")).arg("/usr");
        for link in ["bin", "sbin", "lib", "lib64"] {
            command = command.args(["--symlink", &format!("usr/{link}"), &format!("/{link}")]);
        }
        command = command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--die-with-parent"]);
        for file in ["/etc/passwd", "/etc/group"] {
            command = command.args(["--ro-bind", file, file]);
        }
        command = command.arg("--bind").arg(folder).arg(folder);
        command = command.args(["--", "/usr/sbin/nginx", "-e", "stderr", "-c"]).arg(config);
        let server = Server { child: command.into_inner().spawn()?, url: format!("http://{address}") };
        for _ in 0..100 {
            if TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("nginx does not answer on {address}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
