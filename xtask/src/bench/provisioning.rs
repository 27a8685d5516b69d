//! `bench provisioning`: what the first-boot agent adds to the boot of a machine that is on no cloud.
//!
//! Both are later boots of the same disk, and what counts is the initrd, where the agent does its work: from the start of PID 1
//! there to that of PID 1 on the real root. Without the agent, its unit has a condition that fails. The rest of such a boot
//! is another one, as the machine then has no host key and makes several.

use anyhow::{Context as _, Result, ensure};
use twinhull_sysutil::command::Cmd;

use super::boot::span;
use super::peer;
use super::report::{self, Pair};
use crate::paths;

const WITHOUT: &str =
    "systemd.unit-dropin.twinhull-firstboot.service~90-bench=[Unit]\nConditionPathExists=/never\n";

/// Prints, in the guest, when PID 1 began in the initrd and on the real root.
const PROBE: &str = "systemctl show -p InitRDTimestampMonotonic --value; \
    systemctl show -p UserspaceTimestampMonotonic --value";

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
    let script = format!("cat /etc/machine-id; ! test -e {OUTCOME} || echo ran");
    let first = guest(&script, &[])?;
    let (id, outcome) = first.split_once('\n').context("the guest gave no machine id and outcome")?;
    ensure!(outcome.trim() == "ran", "the agent didn't run: {first}");
    let credential = format!("system.machine_id={}", id.trim());
    let without = ["--credential", WITHOUT, "--credential", &credential];
    let peer = guest(&script, &without)?;
    ensure!(peer == id.trim(), "without the agent it should be the same machine and have no outcome: {peer}");
    let mut runs = Vec::new();
    for n in 1..=pairs {
        eprintln!("==> pair {n} of {pairs}");
        runs.push(Pair {
            ours: span(PROBE, &bin, &image, Some(&disk), &[])?,
            peer: span(PROBE, &bin, &image, Some(&disk), &without)?,
        });
    }
    if json {
        let ratios = serde_json::json!({ "no_cloud": report::ratio(&runs) });
        println!("{}", serde_json::json!({ "ratios": ratios, "runs": { "no_cloud": report::json(&runs) } }));
    } else {
        println!("the initrd of a later boot, under emulation; peer: the same without the agent\n");
        println!("{}\n{}", report::head(), report::row("no cloud", "s", &runs));
    }
    Ok(())
}
