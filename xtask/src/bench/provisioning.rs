//! `bench provisioning`: what the first-boot agent adds to the boot of a machine that is on no cloud.
//!
//! Both are later boots of the same disk, and what counts is the initrd, where the agent does its work: from the start of PID 1
//! there to that of PID 1 on the real root. Without the agent, its unit has a condition that fails. The rest of such a boot
//! is another one, as the machine then has no host key and makes several.
//!
//! Two boots differ by more than the agent takes, so two rows measure it alone, against what it may take: its unit as PID 1
//! saw it start and end in the emulated machine, an upper bound as other units run beside it; and its program on this
//! processor, not emulated, in a root where nobody has ever said who the machine is.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use twinhull_sysutil::command::Cmd;

use super::boot::spans;
use super::peer;
use super::report::{self, Pair};
use crate::paths;

/// What a machine that is on no cloud may lose by the agent, in milliseconds.
const BOUND: f64 = 100.0;

const WITHOUT: &str =
    "systemd.unit-dropin.twinhull-firstboot.service~90-bench=[Unit]\nConditionPathExists=/never\n";

/// Prints, in the guest, when PID 1 began in the initrd and on the real root.
const PROBE: &str = "systemctl show -p InitRDTimestampMonotonic --value; \
    systemctl show -p UserspaceTimestampMonotonic --value";

/// Prints, in the guest, when PID 1 said that it starts the agent's unit and that it has finished, in microseconds.
/// The identifiers are those of SD_MESSAGE_UNIT_STARTING and SD_MESSAGE_UNIT_STARTED.
const OWN_PROBE: &str = "journalctl -b -o json --output-fields=MESSAGE UNIT=twinhull-firstboot.service \
    MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5 MESSAGE_ID=39f53479d3a045ac8e11786248231fbf \
    | sed 's/.*\"__MONOTONIC_TIMESTAMP\":\"\\([0-9]*\\)\".*/\\1/'";

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
    let native = Native::new(&bin)?;
    native.run()?;
    let against_bound = |ms: f64| Pair { ours: ms, peer: BOUND };
    let (mut runs, mut unit, mut program) = (Vec::new(), Vec::new(), Vec::new());
    for n in 1..=pairs {
        eprintln!("==> pair {n} of {pairs}");
        let [ours, own] = spans(&format!("{PROBE}; {OWN_PROBE}"), &bin, &image, Some(&disk), &[])?;
        let [peer] = spans(PROBE, &bin, &image, Some(&disk), &without)?;
        unit.push(against_bound(own * 1e3));
        runs.push(Pair { ours, peer });
        program.push(against_bound(native.run()?));
    }
    let rows = [
        ("no_cloud", "no cloud", "s", &runs),
        ("unit", "its unit, emulated", "ms", &unit),
        ("program", "its program, here", "ms", &program),
    ];
    if json {
        let ratios: serde_json::Map<_, _> =
            rows.iter().map(|(key, _, _, pairs)| ((*key).to_owned(), report::ratio(pairs).into())).collect();
        let all: serde_json::Map<_, _> =
            rows.iter().map(|(key, _, _, pairs)| ((*key).to_owned(), report::json(pairs))).collect();
        println!("{}", serde_json::json!({ "ratios": ratios, "runs": all }));
    } else {
        println!(
            "the initrd of a later boot, under emulation; peer: the same without the agent, and for the agent alone \
             the {BOUND} ms it may take\n\n{}",
            report::head()
        );
        for (_, name, what, pairs) in rows {
            println!("{}", report::row(name, what, pairs));
        }
    }
    Ok(())
}

/// The agent's program on this processor.
struct Native<'a> {
    bin: &'a Path,
    dir: tempfile::TempDir,
}

impl<'a> Native<'a> {
    fn new(bin: &'a Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        for (path, text) in [
            ("root/usr/lib/tmpfiles.d/00-twinhull-etc.conf", ""),
            ("host/run/twinhull/source", "local"),
            ("host/proc/cmdline", "quiet"),
        ] {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().context("a file has a folder")?)?;
            fs_err::write(path, text)?;
        }
        for path in ["root/etc", "root/var/lib", "host/dev"] {
            fs_err::create_dir_all(dir.path().join(path))?;
        }
        Ok(Native { bin, dir })
    }

    /// Runs it once; milliseconds from before its start to after its end.
    fn run(&self) -> Result<f64> {
        let start = Instant::now();
        Cmd::new(self.bin.join("firstboot-agent"))
            .args(["initrd", "--root"])
            .arg(self.dir.path().join("root"))
            .arg("--host")
            .arg(self.dir.path().join("host"))
            .output()?;
        let took = start.elapsed().as_secs_f64() * 1e3;
        ensure!(
            self.dir.path().join("host").join(OUTCOME.trim_start_matches('/')).exists(),
            "the agent left no outcome"
        );
        Ok(took)
    }
}
