//! PID 1 of the bridge: from an empty kernel to the kernel of a boot entry.
//!
//! An entry that can't be loaded doesn't end the boot: the next one in the order is tried at once. Only when none is left, or
//! there is no ESP, the machine restarts, so that what was a passing trouble passes.

mod devices;
mod drivers;
mod smbios;

use std::convert::Infallible;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::system::{RebootCommand, reboot};
use twinhull_kexec::Uki;
use twinhull_slots::{BootFile, EntryName, EspDir, count_try, counted};

use crate::{Error, Result, Side, order};

/// Where the ESP is mounted.
const ESP: &str = "/esp";

/// Time for people to read why the machine restarts.
const PAUSE: Duration = Duration::from_secs(15);

/// Starts a boot entry, or says why there is none and restarts the machine. Never returns: PID 1 mustn't.
pub fn run() -> ! {
    let Err(error) = start();
    say(&format!("this machine can't start: {error}; it restarts in {} s", PAUSE.as_secs()));
    std::thread::sleep(PAUSE);
    rustix::fs::sync();
    let failed = reboot(RebootCommand::Restart).err();
    // The kernel panics when PID 1 ends, and `panic=` restarts it.
    panic!("the kernel doesn't restart: {failed:?}");
}

fn start() -> Result<Infallible> {
    for (kind, path) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        fs_err::create_dir_all(path)?;
        mount(kind, path, kind, MountFlags::NOSUID, None).map_err(call("mounting /proc, /sys and /dev"))?;
    }
    let cmdline = fs_err::read_to_string("/proc/cmdline")?;
    let words = Words::parse(&cmdline)?;
    let esp = devices::find(words.esp, &mut drivers::Drivers::read(Path::new("/"))?)?;
    fs_err::create_dir_all(ESP)?;
    mount(
        &esp,
        ESP,
        "vfat",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        Some(c"umask=0077"),
    )
    .map_err(call("mounting the ESP"))?;
    let extra = smbios::extra_words(&fs_err::read("/sys/firmware/dmi/tables/DMI").unwrap_or_default());
    let entries = order(entries(&EspDir::open(Path::new(ESP))?)?);
    for entry in entries {
        match load(&entry, &words, &extra) {
            Ok(()) => {
                // Everything is on the medium already; this only takes the mark off that it is in use.
                if let Err(error) = unmount(ESP, UnmountFlags::empty()) {
                    say(&format!("the ESP can't be unmounted: {error}"));
                }
                reboot(RebootCommand::Kexec).map_err(call("starting the loaded kernel"))?;
            }
            Err(error) => say(&format!("{} can't be started: {error}", entry.file)),
        }
    }
    Err(Error::NoEntry)
}

/// All boot entries of images on the ESP.
fn entries(esp: &EspDir) -> Result<Vec<BootFile>> {
    use twinhull_slots::Esp as _;
    let named = |(file, len): (String, u64)| Some(BootFile { name: EntryName::parse(&file)?, file, len });
    Ok(esp.list()?.into_iter().filter_map(named).collect())
}

/// Counts a try of `entry` and loads its kernel.
fn load(entry: &BootFile, words: &Words<'_>, extra: &str) -> Result<()> {
    let esp = EspDir::open(Path::new(ESP))?;
    let after = counted(entry);
    if after.file != entry.file {
        say(&format!("counting a try: {} becomes {}", entry.file, after.file));
    }
    // As systemd-boot: an ESP that can't be written to is no reason to stay down.
    let entry = count_try(&esp, entry).unwrap_or_else(|error| {
        say(&format!("the try can't be counted: {error}"));
        entry.clone()
    });
    let mut uki = Uki::open(&Path::new(ESP).join("EFI/Linux").join(&entry.file))?;
    say(&format!("starting {}", entry.file));
    let own = words.for_the_entry(&entry.file);
    let line = if extra.is_empty() { own } else { format!("{extra} {own}") };
    Ok(uki.load(&line)?)
}

/// What the bridge is told by GRUB's script.
#[derive(Debug)]
struct Words<'a> {
    esp: &'a str,
    bridge: Side,
}

impl<'a> Words<'a> {
    fn parse(cmdline: &'a str) -> Result<Self> {
        let word = |name: &'static str| {
            let value =
                cmdline.split_ascii_whitespace().rev().find_map(|w| w.strip_prefix(name)?.strip_prefix('='));
            value.ok_or(Error::NoWord(name))
        };
        let bridge =
            Side::parse(word(twinhull_slots::BRIDGE)?).ok_or(Error::NoWord(twinhull_slots::BRIDGE))?;
        Ok(Words { esp: word(twinhull_slots::ESP_PARTITION)?, bridge })
    }

    /// Words for the kernel of the boot entry `file`, which can't ask the firmware where it came from.
    fn for_the_entry(&self, file: &str) -> String {
        use twinhull_slots::{BRIDGE, ENTRY, ESP_PARTITION};
        format!("{ESP_PARTITION}={} {BRIDGE}={} {ENTRY}={file}", self.esp, self.bridge.name())
    }
}

fn call(what: &'static str) -> impl Fn(rustix::io::Errno) -> Error {
    move |errno| Error::Call { what, source: errno.into() }
}

/// Says something on every console, whatever the kernel's own messages are limited to.
fn say(text: &str) {
    let line = format!("twinhull-bridge: {text}\n");
    let active = fs_err::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    for console in active.split_ascii_whitespace() {
        let opened = fs_err::OpenOptions::new().write(true).open(Path::new("/dev").join(console));
        // Nobody can be told of a console that doesn't work.
        let _ = opened.and_then(|mut console| console.write_all(line.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entrys_kernel_is_told_where_it_came_from() {
        let words = Words::parse("quiet twinhull.esp=0-1 twinhull.bridge=b\n").unwrap();
        assert_eq!(
            words.for_the_entry("box_1+2-1.efi"),
            "twinhull.esp=0-1 twinhull.bridge=b twinhull.entry=box_1+2-1.efi"
        );
        for (cmdline, word) in
            [("twinhull.bridge=a", "twinhull.esp"), ("twinhull.esp=1 twinhull.bridge=c", "twinhull.bridge")]
        {
            assert!(Words::parse(cmdline).unwrap_err().to_string().contains(word));
        }
    }
}
