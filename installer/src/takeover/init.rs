//! PID 1 of the installer's kernel: it finds the disk again, writes the image, and restarts the machine.
//!
//! Whatever fails before the disk is touched leads back to the old system, which is still there. What fails later leaves
//! nothing that boots, and a restart would only take the reason from the screen: then it is said again and again.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};

use super::job::{IMAGE, Identity, JOB, Job, MODULES, disks};
use super::{Error, seed};
use crate::disk::{Disk, Found};
use crate::write::write_with;
use crate::{Error as Failure, Result};

/// Time for people to read why the machine restarts.
const PAUSE: Duration = Duration::from_secs(15);
/// Longest wait for the disk. Some controllers take half a minute to look at their disks.
const LIMIT: Duration = Duration::from_secs(90);
/// How long others are waited for that are the same.
const OTHERS: Duration = Duration::from_secs(2);
/// Time between two looks.
const STEP: Duration = Duration::from_millis(100);
/// How often a lasting failure is said.
const AGAIN: Duration = Duration::from_secs(30);

/// Whether this process is the installer's PID 1.
pub(crate) fn is_it() -> bool {
    std::process::id() == 1 && Path::new(JOB).exists()
}

/// Does what is to be done. Never returns: PID 1 mustn't.
pub(crate) fn run() -> ! {
    match work() {
        Ok(what) => say(&format!("{what} is on the disk, all of it; the machine restarts into it")),
        Err(error @ Failure::Unfinished { .. }) => loop {
            say(&format!(
                "the takeover failed, and this machine doesn't boot from its disk any more: {error}\n\
                 Start its rescue system and install from there; everything else is said above."
            ));
            std::thread::sleep(AGAIN);
        },
        Err(error) => {
            say(&format!(
                "the takeover failed before anything was written: {error}; the machine restarts into the old system in {} s",
                PAUSE.as_secs()
            ));
            std::thread::sleep(PAUSE);
        }
    }
    rustix::fs::sync();
    let failed = reboot(RebootCommand::Restart).err();
    // The kernel panics when PID 1 ends, and `panic=` restarts it.
    panic!("the kernel doesn't restart: {failed:?}");
}

fn work() -> Result<String> {
    for (kind, path) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        fs_err::create_dir_all(path)?;
        match mount(kind, path, kind, MountFlags::NOSUID, None) {
            // Some kernels mount /dev by themselves.
            Ok(()) | Err(rustix::io::Errno::BUSY) => {}
            Err(errno) => {
                let what = "mounting /proc, /sys and /dev";
                return Err(Error::Call { what, source: errno.into() }.into());
            }
        }
    }
    let job: Job = serde_json::from_slice(&fs_err::read(JOB)?)
        .map_err(|e| Error::Initrd(format!("{JOB} can't be read: {e}")))?;
    say(&format!("step 1 of 3: looking for the disk that was {}", job.disk.name));
    load_modules();
    let path = find(&job.disk)?;
    let found = Found::look(Path::new("/"), &path)?;
    let mut disk = Disk::open(&found)?;
    let system = seed::file_system(&job.seed)?;
    say(&format!("step 2 of 3: writing {} to {}", job.what, path.display()));
    let image = fs_err::File::open(IMAGE)?;
    let mut tenths = 0;
    let mut progress = |done: u64, of: u64| {
        let now = done.saturating_mul(10) / of.max(1);
        if now > tenths {
            say(&format!("{} % is written", now * 10));
        }
        tenths = now;
    };
    let mut amend = |ends: &mut _, size| {
        say("step 3 of 3: the network configuration and the keys, then the partition table");
        Ok(seed::amend(ends, size, system.clone())?)
    };
    write_with(image, &mut disk, Some(&job.image), &mut progress, &mut amend)?;
    Ok(job.what)
}

/// Loads the modules in the order of their names. One that can't be loaded may be for a device that another driver has: the
/// disk shows up or it doesn't.
fn load_modules() {
    let entries = fs_err::read_dir(MODULES).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let loaded =
            fs_err::File::open(&path).and_then(|file| Ok(rustix::system::finit_module(file.file(), c"", 0)?));
        match loaded {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                say(&format!("{} can't be loaded: {e}", path.display()));
            }
            _ => {}
        }
        // Memory is what there is least of.
        let _ = fs_err::remove_file(&path);
    }
}

/// The one disk that is meant, which is waited for.
fn find(disk: &Identity) -> Result<std::path::PathBuf, Error> {
    let root = Path::new("/");
    let (start, mut first) = (Instant::now(), None::<Instant>);
    loop {
        let found = disk.find(root);
        if found.len() > 1 || found.len() == 1 && first.is_some_and(|first| first.elapsed() > OTHERS) {
            let names = found.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            let way_out = "take the others out of the machine";
            let [one] = <[_; 1]>::try_from(found).map_err(|all| Error::Lookalikes {
                found: all.len(),
                size: disk.size,
                names,
                way_out,
            })?;
            return Ok(one);
        }
        if !found.is_empty() {
            first.get_or_insert_with(Instant::now);
        }
        if start.elapsed() > LIMIT {
            let names: Vec<_> =
                disks(root).into_iter().map(|(name, size)| format!("{name} of {size} bytes")).collect();
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Error::Gone {
                name: disk.name.clone(),
                size: disk.size,
                found,
                seconds: LIMIT.as_secs(),
            });
        }
        std::thread::sleep(STEP);
    }
}

/// Says something on every console, whatever the kernel's own messages are limited to.
fn say(text: &str) {
    let line: String = text.lines().map(|line| format!("twinhull-install: {line}\n")).collect();
    let active = fs_err::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    for console in active.split_ascii_whitespace() {
        let opened = fs_err::OpenOptions::new().write(true).open(Path::new("/dev").join(console));
        // Nobody can be told of a console that doesn't work.
        let _ = opened.and_then(|mut console| console.write_all(line.as_bytes()));
    }
}
