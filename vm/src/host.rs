//! Whether this host can run guests: what `runvm` says when it fails, and a part of `image-builder doctor`.

use twinhull_sysutil::command::{Cmd, which};
use twinhull_sysutil::finding::Finding;

use crate::firmware::{self, Firmware};
use crate::signals::Signals;
use crate::{accel, qemu};

/// QEMU before this hangs in long emulated boots.
const QEMU_AT_LEAST: u32 = 9;

/// What guests need, looked at. KVM is tried out with the firmware, which takes a second, or ten when it hangs.
pub fn findings() -> Vec<Finding> {
    let mut found = needs();
    found.extend(kvm());
    found.push(match which("swtpm") {
        Some(path) => Finding::good("swtpm", path.to_string_lossy()),
        None => Finding::limited("swtpm", "not found", "Install swtpm to give guests a TPM (`runvm --tpm`)."),
    });
    found
}

/// What no guest can do without; nothing is started.
pub(crate) fn needs() -> Vec<Finding> {
    let program = qemu::find();
    let firmware = firmware::find(false);
    vec![
        match &program {
            Ok(program) => qemu_version(program),
            Err(error) => Finding::bad("QEMU", "not found", sentence(error)),
        },
        match which("qemu-img") {
            Some(path) => Finding::good("qemu-img", path.to_string_lossy()),
            None => Finding::bad(
                "qemu-img",
                "not found",
                "Install qemu-utils (Debian, Ubuntu) or qemu-img (Fedora).",
            ),
        },
        match &firmware {
            Ok(firmware) => Finding::good("UEFI firmware", firmware.code.display().to_string()),
            Err(_) => Finding::bad(
                "UEFI firmware",
                "found in none of the usual places",
                "Install ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, Arch) or qemu-ovmf-x86_64 (openSUSE).",
            ),
        },
    ]
}

/// Whether KVM works, where there is something to try it with.
fn kvm() -> Option<Finding> {
    let (program, firmware) = (qemu::find().ok()?, Firmware::Uefi(firmware::find(false).ok()?));
    Some(match accel::kvm_fails_because(&program, &firmware, &Signals::default()) {
        Ok(None) => Finding::good("KVM", "it runs the firmware"),
        Ok(Some(reason)) => Finding::limited(
            "KVM",
            reason,
            "Guests are emulated, which is many times slower. On a machine of your own, switch virtualisation on \
             in the firmware and add the user to the group `kvm`; in a VM, ask for nested virtualisation.",
        ),
        Err(error) => Finding::limited("KVM", format!("{error:#}"), "Guests are emulated."),
    })
}

fn qemu_version(program: &std::path::Path) -> Finding {
    let said = Cmd::new(program).arg("--version").output().unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let version =
        said.split_whitespace().skip_while(|word| *word != "version").nth(1).unwrap_or("of no version");
    match version.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= QEMU_AT_LEAST => Finding::good("QEMU", version),
        _ => Finding::limited(
            "QEMU",
            version,
            format!(
                "Emulated guests hang now and then before QEMU {QEMU_AT_LEAST}; Debian 12 has a newer one in its backports."
            ),
        ),
    }
}

/// An error as a sentence.
fn sentence(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let mut chars = text.chars();
    chars.next().map(|first| format!("{}{}.", first.to_uppercase(), chars.as_str())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_good_has_a_way_out() {
        let found = findings();
        assert!(found.iter().any(|finding| finding.subject == "QEMU"));
        for finding in found {
            assert_eq!(finding.fix.is_none(), finding.verdict == twinhull_sysutil::finding::Verdict::Good);
        }
        let error = anyhow::anyhow!("qemu was not found; install it");
        assert_eq!(sentence(&error), "Qemu was not found; install it.");
    }
}
