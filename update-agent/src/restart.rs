//! From one version to the next without the firmware: from kernel to kernel, or with the same kernel when only userspace
//! is another one. The try is counted as systemd-boot would.
//!
//! That must not be a different start than the firmware's, or a version would prove to be good in one way and fail in
//! the other. So whatever only the firmware, systemd-boot or its stub do for a kernel is a reason not to: Secure Boot,
//! credentials and add-ons on the ESP, words that were added to the command line. Then the machine goes through the
//! firmware, which always works.

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use twinhull_kexec::Uki;
use twinhull_slots::{BRIDGE, BootFile, ENTRY, ESP_PARTITION, count_try, counted, give_back};
use twinhull_sysutil::command::Cmd;

use crate::ops::Ops;

/// What a reboot goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Through {
    /// The machine's firmware, as when it is switched on
    #[default]
    Firmware,
    /// From kernel to kernel; through the firmware where that can't be
    Kexec,
    /// With the kernel that runs, if the new version has the same one; or else as `kexec`
    SoftReboot,
}

impl Through {
    const ALL: [Through; 3] = [Through::Firmware, Through::Kexec, Through::SoftReboot];

    /// Its name in files and on the bus.
    pub fn name(self) -> &'static str {
        match self {
            Through::Firmware => "firmware",
            Through::Kexec => "kexec",
            Through::SoftReboot => "soft-reboot",
        }
    }

    /// By its name.
    pub fn parse(name: &str) -> Option<Self> {
        Through::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// A version that is ready to be started without the firmware, and whose try is counted.
#[derive(Debug)]
pub struct Ready {
    /// How: not through the firmware.
    pub through: Through,
    before: BootFile,
    /// Its boot entry, as it is called now.
    pub entry: BootFile,
}

/// Makes `next` ready to be started `through` something else than the firmware, and counts a try of it. Errors say why
/// this machine can't; nothing has changed then.
pub fn prepare(ops: &Ops, next: &BootFile, through: Through) -> Result<Ready> {
    let mut running = same_as_the_firmware(ops)?;
    let ready = Ready { through, before: next.clone(), entry: counted(next) };
    let word = given(&twinhull_slots::cmdline(&ops.places.root)?, &ready.entry.file);
    let mut uki = uki(ops, &next.file)?;
    match through {
        Through::Firmware => {}
        Through::Kexec => uki.load(&word)?,
        Through::SoftReboot => same_kernel(&mut running, &mut uki)?,
    }
    let mut done = count_try(&ops.esp()?, next).map(drop).map_err(anyhow::Error::from);
    if through == Through::SoftReboot && done.is_ok() {
        let unit = format!("twinhull-next-root@{}.service", escaped(&ready.entry.file));
        done = Cmd::new("systemctl").args(["start", &unit]).output().map(drop).map_err(|error| {
            anyhow::Error::new(error).context(format!("{unit} can't make its root, see its journal"))
        });
    }
    if done.is_err() {
        // What went wrong first is what to be told of.
        let _ = undo(ops, &ready);
    }
    done.map(|()| ready)
}

/// Undoes [`prepare`].
pub fn undo(ops: &Ops, ready: &Ready) -> Result<()> {
    match ready.through {
        Through::Firmware => {}
        Through::Kexec => twinhull_kexec::unload()?,
        Through::SoftReboot => {
            Cmd::new("systemctl").args(["start", "twinhull-no-next-root.service"]).output()?;
        }
    }
    let esp = ops.esp()?;
    let is_counted = ops.entries()?.iter().any(|entry| entry.file == ready.entry.file);
    if is_counted { Ok(give_back(&esp, &ready.entry, &ready.before)?) } else { Ok(()) }
}

/// The UKI of a boot entry.
pub(crate) fn uki(ops: &Ops, file: &str) -> Result<Uki> {
    let path = ops.places.esp.join("EFI/Linux").join(file);
    Uki::open(&path).with_context(|| format!("{} can't be used without the firmware", path.display()))
}

/// Returns the running version's UKI, if a kernel that is started from here gets all that the firmware's way would give
/// it.
fn same_as_the_firmware(ops: &Ops) -> Result<Uki> {
    ensure!(!secure_boot(ops), "Secure Boot is on, and only the firmware checks a whole UKI");
    let esp = &ops.places.esp;
    for folder in ["loader/credentials", "loader/addons"] {
        let used = fs_err::read_dir(esp.join(folder)).is_ok_and(|mut entries| entries.next().is_some());
        ensure!(!used, "{folder} on the ESP has something for systemd's stub to give to the kernel");
    }
    for entry in fs_err::read_dir(esp.join("EFI/Linux"))? {
        let name = entry?.file_name();
        let more = name.to_string_lossy().to_ascii_lowercase().ends_with(".extra.d");
        ensure!(!more, "EFI/Linux/{} on the ESP is for systemd's stub", name.display());
    }
    let version = &ops.machine.version;
    let entries = ops.entries()?;
    let running = entries.iter().find(|entry| entry.name.version == *version);
    let running = running.with_context(|| format!("the running version {version} has no boot entry"))?;
    let mut running = uki(ops, &running.file)?;
    let cmdline = twinhull_slots::cmdline(&ops.places.root)?;
    let own = cmdline.split_ascii_whitespace().filter(|word| !is_given(word));
    ensure!(
        running.cmdline()?.split_ascii_whitespace().eq(own),
        "the running kernel has another command line than its UKI, which a boot menu or the firmware made so"
    );
    Ok(running)
}

/// What the next kernel is told besides its own command line: its boot entry `file`, and what a bridge has said of this machine on
/// the running one.
fn given(running: &str, file: &str) -> String {
    let bridge = running.split_ascii_whitespace().filter(|word| is_given(word) && !word.starts_with(ENTRY));
    bridge.map(str::to_owned).chain([format!("{ENTRY}={file}")]).collect::<Vec<_>>().join(" ")
}

/// Whether a word of a command line is from whoever started the kernel without the firmware.
fn is_given(word: &str) -> bool {
    [ENTRY, ESP_PARTITION, BRIDGE]
        .iter()
        .any(|name| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
}

/// Whether only userspace is another one.
fn same_kernel(running: &mut Uki, next: &mut Uki) -> Result<()> {
    let words = |uki: &mut Uki| -> Result<Vec<String>> {
        let line = uki.cmdline()?;
        Ok(line.split(' ').filter(|word| !word.starts_with("usrhash=")).map(str::to_owned).collect())
    };
    ensure!(words(running)? == words(next)?, "it has another command line");
    ensure!(running.same_kernel(next)?, "it has another kernel or initrd");
    Ok(())
}

/// Whether the firmware checks what it starts (UEFI Specification, "Secure Boot": one byte behind four of attributes).
fn secure_boot(ops: &Ops) -> bool {
    let path = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    fs_err::read(ops.places.root.join(path)).is_ok_and(|bytes| bytes.get(4) == Some(&1))
}

/// Escapes an instance's name, as `systemd-escape` does.
fn escaped(file: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    file.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\x{:02x}", u32::from(c)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bridge_said_is_handed_on() {
        for (running, want) in [
            ("usrhash=00 quiet", "twinhull.entry=box_2+2-1.efi"),
            ("usrhash=00 twinhull.entry=box_1.efi", "twinhull.entry=box_2+2-1.efi"),
            (
                "usrhash=00 twinhull.esp=1-2 twinhull.bridge=b twinhull.entry=box_1.efi",
                "twinhull.esp=1-2 twinhull.bridge=b twinhull.entry=box_2+2-1.efi",
            ),
            ("twinhull.especially=x twinhull.bridge", "twinhull.entry=box_2+2-1.efi"),
        ] {
            assert_eq!(given(running, "box_2+2-1.efi"), want);
        }
    }

    #[test]
    fn entries_are_names_of_instances() {
        assert_eq!(escaped("web_1.2~rc1+2-1.efi"), r"web_1.2\x7erc1\x2b2\x2d1.efi");
    }

    #[test]
    fn ways_have_names() {
        for way in Through::ALL {
            assert_eq!(Through::parse(way.name()), Some(way));
            assert_eq!(serde_json::to_value(way).unwrap(), way.name());
        }
        assert_eq!(Through::parse("grub"), None);
    }
}
