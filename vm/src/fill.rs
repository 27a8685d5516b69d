//! `--fill-disk`: a unit that fills the guest's `/var` before its services start. It travels as credentials, like the
//! command of `--exec`: nobody but the guest can fill its file system, and the image isn't to know of this.

use crate::smbios;

const SCRIPT: &str = include_str!("fill-guest.sh");

/// Behind sysinit.target, as a machine whose disk is full has been up before: what `/var` lacks on a first boot is made.
const UNIT: &str = "\
[Unit]
Description=Full disk of runvm --fill-disk
DefaultDependencies=no
After=sysinit.target
Before=basic.target
RequiresMountsFor=/var
ConditionPathExists=!/etc/initrd-release

[Service]
Type=oneshot
RemainAfterExit=yes
ImportCredential=runvm.fill.*
StandardOutput=journal+console
StandardError=journal+console
";

const DROPIN: &str = "[Unit]\nWants=runvm-fill.service\n";

/// The OEM strings that make the guest fill its `/var` but for `free` bytes.
pub(crate) fn strings(free: u64) -> Vec<String> {
    let unit = format!("{UNIT}ExecStart=/bin/sh %d/runvm.fill.script {free}\n");
    vec![
        smbios::credential("systemd.extra-unit.runvm-fill.service", unit.as_bytes()),
        smbios::credential("systemd.unit-dropin.basic.target~50-runvm-fill", DROPIN.as_bytes()),
        smbios::credential("runvm.fill.script", SCRIPT.as_bytes()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_good_shell() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs_err::write(&path, SCRIPT).unwrap();
        twinhull_sysutil::command::Cmd::new("sh").arg("-n").arg(&path).output().unwrap();
        smbios::check(&strings(0)).unwrap();
    }
}
