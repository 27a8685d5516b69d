//! `bench provisioning`: a machine on no cloud, with the first-boot agent and without it.
//!
//! Both are later boots of the same disk, from the start of PID 1 in the initrd to multi-user.target. Without the agent,
//! its unit has a condition that fails, and the machine gets its id by a credential, so that it is the same machine.

use anyhow::{Context as _, Result, ensure};
use twinhull_sysutil::command::Cmd;

use super::boot::boot;
use super::peer;
use super::report::{self, Pair};
use crate::paths;

const WITHOUT: &str =
    "rd.systemd.unit-dropin.twinhull-firstboot.service~90-bench=[Unit]\nConditionPathExists=/never\n";

/// What the agent leaves when it has run.
const OUTCOME: &str = "/run/twinhull/provision.json";

pub(crate) fn run(pairs: usize, json: bool) -> Result<()> {
    peer::prepare_host()?;
    let bin = paths::build_programs()?;
    let (image, _) = peer::our_image(&bin)?;
    let dir = tempfile::Builder::new().prefix("twinhull-bench-").tempdir_in(paths::target())?;
    let disk = dir.path().join("disk.qcow2");
    eprintln!("==> a first boot, which makes the machine, and one of each that doesn't count");
    let guest = |script: &str, more: &[&str]| -> Result<String> {
        let runvm = Cmd::new(bin.join("runvm")).arg(&image).args(["--accel", "tcg", "--timeout", "600"]);
        let out = runvm.arg("--persist").arg(&disk).args(more).args(["--exec", script]).output()?;
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    };
    let script = format!("cat /etc/machine-id; ls {OUTCOME}");
    let first = guest(&script, &[])?;
    let (id, outcome) = first.split_once('\n').context("the guest gave no machine id and outcome")?;
    ensure!(outcome.trim() == OUTCOME, "the agent didn't run: {first}");
    let credential = format!("system.machine_id={}", id.trim());
    let without = ["--credential", WITHOUT, "--credential", &credential];
    let peer = guest(&format!("cat /etc/machine-id; ls {OUTCOME} || true"), &without)?;
    ensure!(peer == id.trim(), "without the agent it should be the same machine and have no outcome: {peer}");
    let mut runs = Vec::new();
    for n in 1..=pairs {
        eprintln!("==> pair {n} of {pairs}");
        runs.push(Pair {
            ours: boot(&bin, &image, Some(&disk), &[])?,
            peer: boot(&bin, &image, Some(&disk), &without)?,
        });
    }
    if json {
        let ratios = serde_json::json!({ "no_cloud": report::ratio(&runs) });
        println!("{}", serde_json::json!({ "ratios": ratios, "runs": { "no_cloud": report::json(&runs) } }));
    } else {
        println!(
            "PID 1 of the initrd to multi-user.target, under emulation; peer: the same without the agent\n"
        );
        println!("{}\n{}", report::head(), report::row("no cloud", "s", &runs));
    }
    Ok(())
}
