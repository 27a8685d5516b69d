//! Decides between KVM and TCG by trying: `/dev/kvm` can exist, open, and still fail at the first
//! instruction it does not like (nested or emulated hosts do that), so the firmware itself is run.

use std::fmt;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::firmware::{self, Firmware};
use crate::options::Accel;
use crate::process::{Supervised, TICK, tethered};
use crate::qemu;
use crate::signals::Signals;

/// How long the firmware may take to its first word. With KVM it takes about a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// The accelerator a guest runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    Kvm,
    Tcg,
}

impl Chosen {
    /// QEMU's `-accel` and `-cpu` for it.
    pub(crate) fn args(self) -> [&'static str; 4] {
        match self {
            Chosen::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Chosen::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        }
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chosen::Kvm => "KVM",
            Chosen::Tcg => "TCG",
        })
    }
}

/// Chooses as `wish` says, and says on stderr when that is the slow one.
pub(crate) fn choose(wish: Accel, program: &Path, firmware: &Firmware, signals: &Signals) -> Result<Chosen> {
    match wish {
        Accel::Kvm => Ok(Chosen::Kvm),
        Accel::Tcg => Ok(Chosen::Tcg),
        Accel::Auto => match kvm_fails_because(program, &demanding(firmware), signals)? {
            None => Ok(Chosen::Kvm),
            Some(reason) => {
                eprintln!("runvm: {reason}; the guest is emulated (TCG), which is many times slower");
                Ok(Chosen::Tcg)
            }
        },
    }
}

/// The firmware to try KVM with: where UEFI is to be had it is the better trial, as a BIOS runs where kernels don't.
fn demanding(firmware: &Firmware) -> Firmware {
    match firmware {
        Firmware::Bios => firmware::find(false).map_or(Firmware::Bios, Firmware::Uefi),
        Firmware::Uefi(_) => firmware.clone(),
    }
}

/// Runs the firmware under KVM for a moment. `None` is success, else the reason it is no use.
pub(crate) fn kvm_fails_because(
    program: &Path,
    firmware: &Firmware,
    signals: &Signals,
) -> Result<Option<String>> {
    let kvm = Path::new("/dev/kvm");
    if !kvm.exists() {
        return Ok(Some("there is no /dev/kvm".into()));
    }
    if let Err(error) = OpenOptions::new().read(true).write(true).open(kvm) {
        return Ok(Some(format!("/dev/kvm cannot be opened ({error}; is this user in the group `kvm`?)")));
    }
    let dir = tempfile::Builder::new()
        .prefix("runvm-kvm-")
        .tempdir()
        .context("no temporary directory could be made for the trial of KVM")?;
    let (serial, errors) = (dir.path().join("serial"), dir.path().join("errors"));
    let argv = qemu::trial(program, firmware, &serial);
    let mut command = tethered(&argv).into_inner();
    command.stdout(Stdio::null()).stderr(fs_err::File::create(&errors)?.into_parts().0);
    let mut guest = Supervised::start(command, "the trial of KVM")?;

    let said = |path: &Path| {
        fs_err::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let complaint = said(&errors);
        if complaint.contains(qemu::KVM_BROKEN) {
            return Ok(Some("KVM is there but fails to run firmware (KVM internal error)".into()));
        }
        if !said(&serial).is_empty() {
            return Ok(None);
        }
        if guest.ended()?.is_some() {
            let why = complaint.lines().last().unwrap_or("it said nothing").to_owned();
            return Ok(Some(format!("QEMU does not start with KVM ({why})")));
        }
        if Instant::now() > deadline {
            return Ok(Some(format!("KVM did not get the firmware going in {} s", PATIENCE.as_secs())));
        }
        if signals.pending().is_some() {
            bail!("interrupted while KVM was being tried");
        }
        std::thread::sleep(TICK);
    }
}
