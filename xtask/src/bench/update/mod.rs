//! `bench update`: what an update costs on the wire, from a real web server to a real disk image, against casync, against
//! RAUC's adaptive updates, and against `zstd --patch-from`, which is of another class: it needs a file for every pair of
//! versions.
//!
//! Every method has to make the same two files, usr image and UKI, and what it makes is compared with them. The hash tree
//! is left out: we compute it, and so could the others. Bytes are all that the server received and sent, headers included,
//! and in our case signed documents, too. RAUC needs a running service and a network block device; its bytes are computed
//! from its format, and its result is put together from the same blocks.

mod pairs;
mod peers;
mod server;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use twinhull_sysutil::command::Cmd;

use super::report::{self, Pair};
use super::{chart, peer};
use crate::paths;
use pairs::Update;
use peers::Peers;

/// One way to get the new files, as measured.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    bytes: u64,
    requests: u64,
    wall: f64,
    cpu: f64,
    memory_mib: f64,
}

/// All ways for one pair of versions.
struct Row {
    name: &'static str,
    files: u64,
    ours: Vec<Cost>,
    casync: Vec<Cost>,
    rauc: u64,
    zstd: u64,
}

pub(crate) fn run(runs: usize, json: bool, svg: Option<&Path>) -> Result<()> {
    ensure!(runs > 0, "--pairs 0 measures nothing");
    peer::prepare_host()?;
    let bin = paths::build_programs()?;
    let peers = Peers::prepare()?;
    let updates = pairs::prepare(&bin, &peers)?;
    let mut rows = Vec::new();
    for update in &updates {
        let (mut ours, mut casync) = (Vec::new(), Vec::new());
        peers.prepare_pair(update)?;
        for n in 1..=runs {
            ours.push(update.ours(&bin, &peers)?);
            casync.push(peers.casync(update)?);
            let (a, b) = (ours[n - 1], casync[n - 1]);
            eprintln!(
                "==> {}, run {n} of {runs}: {} bytes in {:.1} s; casync {} bytes in {:.1} s",
                update.name, a.bytes, a.wall, b.bytes, b.wall
            );
        }
        let row = Row {
            name: update.name,
            files: update.len()?,
            ours,
            casync,
            rauc: peers::rauc(update)?,
            zstd: peers.zstd(update)?,
        };
        rows.push(row);
    }
    if json {
        let pairs: Vec<_> = rows.iter().map(Row::json).collect();
        println!("{}", json!({ "pairs": pairs }));
    } else {
        println!("{}", Row::head());
        rows.iter().for_each(|row| println!("{row}"));
    }
    if let Some(path) = svg {
        let mib = |bytes: u64| bytes as f64 / 1048576.0;
        let bars: Vec<_> = rows
            .iter()
            .map(|row| (row.name, Pair { ours: mib(row.bytes()), peer: mib(row.casync_bytes()) }))
            .collect();
        fs_err::write(path, chart::bars("On the wire of an update", "MiB", ("Twinhull", "casync"), &bars))?;
    }
    Ok(())
}

impl Row {
    /// Runs differ by the moments connections break into pieces at most.
    fn bytes(&self) -> u64 {
        self.ours.iter().map(|cost| cost.bytes).max().unwrap_or(0)
    }

    fn casync_bytes(&self) -> u64 {
        self.casync.iter().map(|cost| cost.bytes).min().unwrap_or(0)
    }

    fn ratio(&self, other: u64) -> f64 {
        self.bytes() as f64 / other.max(1) as f64
    }

    fn pairs(&self, of: fn(&Cost) -> f64) -> Vec<Pair> {
        let pair = |(ours, peer)| Pair { ours: of(ours), peer: of(peer) };
        self.ours.iter().zip(&self.casync).map(pair).collect()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "pair": self.name,
            "files": self.files,
            "bytes": self.bytes(),
            "requests": self.ours.first().map(|cost| cost.requests),
            "casync_bytes": self.casync_bytes(),
            "rauc_bytes": self.rauc,
            "zstd_patch_bytes": self.zstd,
            "wire_vs_casync": self.ratio(self.casync_bytes()),
            "wire_vs_rauc": self.ratio(self.rauc),
            "wire_vs_zstd_patch": self.ratio(self.zstd),
            "wall_vs_casync": report::ratio(&self.pairs(|cost| cost.wall)),
            "cpu_vs_casync": report::ratio(&self.pairs(|cost| cost.cpu)),
            "memory_mib": self.ours.iter().map(|cost| cost.memory_mib).fold(0.0, f64::max),
            "runs": {
                "wall_s": report::json(&self.pairs(|cost| cost.wall)),
                "cpu_s": report::json(&self.pairs(|cost| cost.cpu)),
                "memory_mib": report::json(&self.pairs(|cost| cost.memory_mib)),
            },
        })
    }

    fn head() -> String {
        format!(
            "{:<12} {:>12} {:>12} {:>12} {:>12} {:>12}  {:>6} {:>6} {:>6}  {:>5} {:>5} {:>8}",
            "update",
            "files",
            "ours",
            "casync",
            "RAUC",
            "zstd patch",
            "/cas.",
            "/RAUC",
            "/zstd",
            "wall",
            "CPU",
            "memory"
        )
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:<12} {:>12} {:>12} {:>12} {:>12} {:>12}  {:>6.3} {:>6.3} {:>6.3}  {:>5.2} {:>5.2} {:>4.1} MiB",
            self.name,
            self.files,
            self.bytes(),
            self.casync_bytes(),
            self.rauc,
            self.zstd,
            self.ratio(self.casync_bytes()),
            self.ratio(self.rauc),
            self.ratio(self.zstd),
            report::ratio(&self.pairs(|cost| cost.wall)),
            report::ratio(&self.pairs(|cost| cost.cpu)),
            self.ours.iter().map(|cost| cost.memory_mib).fold(0.0, f64::max),
        )
    }
}

/// Runs a command and returns wall and processor seconds and the peak memory of its largest process, by GNU time; `log` is
/// written.
fn measure(command: impl FnOnce(Cmd) -> Cmd, log: &Path) -> Result<Cost> {
    let start = Instant::now();
    command(Cmd::new("/usr/bin/time").args(["-f", "%U %S %M", "-o"]).arg(log)).output()?;
    let wall = start.elapsed().as_secs_f64();
    let text = fs_err::read_to_string(log)?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [user, system, kib] = numbers[..] else { anyhow::bail!("GNU time printed {text:?}") };
    Ok(Cost { wall, cpu: user + system, memory_mib: kib / 1024.0, ..Cost::default() })
}

/// Fails unless two files have the same bytes.
fn same(made: &Path, wanted: &Path) -> Result<()> {
    Cmd::new("cmp")
        .args([made, wanted])
        .output()
        .map(drop)
        .with_context(|| format!("{} is not {}", made.display(), wanted.display()))
}

impl Update {
    /// Bytes of the files that every method makes.
    fn len(&self) -> Result<u64> {
        let len = |path: &Path| -> Result<u64> { Ok(fs_err::metadata(path)?.len()) };
        Ok(len(&self.new.usr)? + len(&self.new.uki)?)
    }
}
