//! What a boot that has proved to be good does on the ESP, where systemd-boot wasn't there to be told by its own service: the
//! version is blessed, and its bridge comes to stay.

use twinhull_bridge::{Done, Side, update};
use twinhull_kexec::Uki;
use twinhull_slots::{BRIDGE, EntryName, EspDir, boot_files, cmdline, entry_of};

use crate::{Context, Error, Result};

/// Where the ESP is mounted.
const ESP: &str = "/efi";

/// Takes the counter off the boot entry that the kernel's command line names, and returns its new name.
///
/// Returns [`Error::NoEntry`] when it names none: then systemd-bless-boot.service does this.
pub fn bless(context: &Context) -> Result<String> {
    let words = cmdline(&context.root)?;
    let entry = entry_of(&words).ok_or(Error::NoEntry)?;
    let esp = EspDir::open(&context.path(ESP))?;
    Ok(twinhull_slots::bless(&esp, entry)?.file)
}

/// Renews the bridge from the running version, and returns what came of it in a sentence.
///
/// Returns [`Error::NoEntry`] when the machine wasn't started by a bridge.
pub fn renew_bridge(context: &Context) -> Result<String> {
    let booted = context.option(BRIDGE).and_then(|name| Side::parse(&name)).ok_or(Error::NoEntry)?;
    let words = cmdline(&context.root)?;
    let running = entry_of(&words).and_then(EntryName::parse).ok_or(Error::NoEntry)?;
    let esp = context.path(ESP);
    // Its counter may have gone since.
    let same = |name: &EntryName| name.version.eq_ignore_ascii_case(&running.version);
    let files = boot_files(&EspDir::open(&esp)?, &running.id)?;
    let file = files.into_iter().find(|file| same(&file.name)).ok_or(Error::NoEntry)?;
    let mut uki = Uki::open(&esp.join("EFI/Linux").join(&file.file)).map_err(twinhull_bridge::Error::from)?;
    let initrd = context.path("/usr").join(twinhull_bridge::INITRD);
    if !initrd.exists() {
        return Ok(format!("{} has no bridge; the one it came up by stays", file.name.version));
    }
    Ok(match update(&esp, booted, &mut uki, &initrd)? {
        Done::Current => format!("bridge {} is that of {}", booted.name(), file.name.version),
        Done::Staged(side) => {
            format!(
                "the bridge of {} is bridge {} now, which is tried at the next start",
                file.name.version,
                side.name()
            )
        }
        Done::Failed(side) => format!(
            "bridge {} had its tries, and the machine didn't come up by it; bridge {} stays",
            side.name(),
            booted.name()
        ),
    })
}
