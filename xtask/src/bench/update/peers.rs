//! What others need for the same update. All of them find the old files beside them, as on a machine that runs them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use twinhull_sysutil::command::Cmd;

use super::pairs::Update;
use super::server::Server;
use super::{Cost, measure, same};
use crate::bench::peer;

/// Blocks of RAUC's index, and bytes of their hashes (its reference, "Adaptive Updates", block-hash-index).
const RAUC_BLOCK: usize = 4096;
const RAUC_HASH: u64 = 32;

/// The tree with the peers' programs. What they work with is in its folder `bench`.
pub(super) struct Peers {
    tree: PathBuf,
    pub(super) work: PathBuf,
}

impl Peers {
    pub(super) fn prepare() -> Result<Self> {
        let tree = peer::tree("update-peers", &["casync", "nginx-light", "zstd"], "true")?;
        let work = tree.join("bench");
        if work.exists() {
            fs_err::remove_dir_all(&work)?;
        }
        fs_err::create_dir_all(&work)?;
        Ok(Peers { tree, work })
    }

    /// A path as programs in the tree see it.
    pub(super) fn inside(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.tree).unwrap_or(path);
        format!("/{}", below.display())
    }

    /// A program of the tree, to be given arguments.
    pub(super) fn command(&self, program: &str) -> Cmd {
        self.words(program).into_iter().fold(Cmd::new("unshare"), Cmd::arg)
    }

    fn words(&self, program: &str) -> Vec<String> {
        let script =
            "mount -t proc proc \"$0/proc\" && mount -t devtmpfs dev \"$0/dev\" && exec chroot \"$0\" \"$@\"";
        let tree = self.tree.display().to_string();
        ["--mount", "sh", "-c", script, &tree, program].map(str::to_owned).to_vec()
    }

    /// Makes what casync serves.
    pub(super) fn prepare_pair(&self, update: &Update) -> Result<()> {
        let dir = update.dir.join("casync");
        fs_err::create_dir_all(&dir)?;
        for (name, file) in [("usr", &update.new.usr), ("uki", &update.new.uki)] {
            let index = dir.join(format!("{name}.caibx"));
            let make = self.command("casync").arg("make");
            let make = make.arg(format!("--store={}", self.inside(&dir.join("store.castr"))));
            make.arg(self.inside(&index)).arg(self.inside(file)).output()?;
        }
        Ok(())
    }

    /// `casync extract` of both files over HTTP, with the old ones as seeds.
    pub(super) fn casync(&self, update: &Update) -> Result<Cost> {
        let server = Server::start(self, &update.dir.join("casync"))?;
        let mut cost = Cost::default();
        for (name, old, new) in
            [("usr", &update.old.usr, &update.new.usr), ("uki", &update.old.uki, &update.new.uki)]
        {
            let made = update.dir.join("made");
            let _ = fs_err::remove_file(&made);
            let part = measure(
                |time| {
                    let words = self.words("casync").into_iter();
                    words.fold(time.arg("unshare"), Cmd::arg).args([
                        "extract".to_owned(),
                        format!("--store={}/store.castr", server.url),
                        format!("--seed={}", self.inside(old)),
                        format!("{}/{name}.caibx", server.url),
                        self.inside(&made),
                    ])
                },
                &self.work.join("time"),
            )?;
            same(&made, new)?;
            cost.wall += part.wall;
            cost.cpu += part.cpu;
            cost.memory_mib = cost.memory_mib.max(part.memory_mib);
        }
        (cost.bytes, cost.requests) = server.finish()?;
        Ok(cost)
    }

    /// Bytes of the patches of both files.
    pub(super) fn zstd(&self, update: &Update) -> Result<u64> {
        let mut bytes = 0;
        for (old, new) in [(&update.old.usr, &update.new.usr), (&update.old.uki, &update.new.uki)] {
            let (patch, made) = (update.dir.join("patch"), update.dir.join("made"));
            let from = format!("--patch-from={}", self.inside(old));
            let zstd = || self.command("zstd").args(["-q", "-f", "--long=31", &from, "-o"]);
            zstd().arg(self.inside(&patch)).arg("-19").arg(self.inside(new)).output()?;
            zstd().arg(self.inside(&made)).arg("-d").arg(self.inside(&patch)).output()?;
            same(&made, new)?;
            bytes += fs_err::metadata(&patch)?.len();
        }
        Ok(bytes)
    }
}

/// Bytes of RAUC's index of both files and of the blocks that the old ones don't have anywhere. The files are put together
/// from just these, and compared.
pub(super) fn rauc(update: &Update) -> Result<u64> {
    let mut bytes = 0;
    for (old, new) in [(&update.old.usr, &update.new.usr), (&update.old.uki, &update.new.uki)] {
        let (old, new) = (fs_err::read(old)?, fs_err::read(new)?);
        let mut known: HashSet<&[u8]> = old.chunks(RAUC_BLOCK).collect();
        // Zeros needn't be fetched by anybody.
        let zeros = [0; RAUC_BLOCK];
        known.insert(&zeros);
        let mut made = Vec::with_capacity(new.len());
        for block in new.chunks(RAUC_BLOCK) {
            bytes += RAUC_HASH;
            match known.get(block) {
                Some(found) => made.extend_from_slice(found),
                None => {
                    bytes += block.len() as u64;
                    made.extend_from_slice(block);
                    known.insert(block);
                }
            }
        }
        ensure!(made == new, "RAUC's blocks don't make the new file");
    }
    Ok(bytes)
}
