//! `takeover`: says what it will do, asks, and does it.

use std::path::{Path, PathBuf};

use super::{ImageArgs, yes};
use crate::progress::Progress;
use crate::source::Source;
use crate::takeover::Machine;
use crate::{Error, Result};

/// Arguments of `takeover`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For machines without a rescue system: run it as root on a Debian, an Ubuntu or another Linux with UEFI or BIOS. \
                  The image is fetched into memory and checked, all of it, before anything changes. Then the machine's own kernel \
                  is started again by kexec, with this program and the image; it writes the disk and restarts the machine.\n\n\
                  Kept are the host name, network addresses and routes, and the SSH keys of root; if root has none, those of \
                  people who may use sudo. They are root's then. Everything else on the disk is lost.\n\n\
                  Examples:\n  \
                  twinhull-install takeover https://images.example.org/web_1.0.0.raw.zst --key release.pub --dry-run\n  \
                  twinhull-install takeover https://images.example.org/web_1.0.0.raw.zst --key release.pub"
)]
pub(super) struct Args {
    #[command(flatten)]
    image: ImageArgs,
    /// The disk, such as /dev/sda [default: the one that the running system is on]
    disk: Option<PathBuf>,
    /// Don't ask before this system is given up
    #[arg(long)]
    yes: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Go on though no SSH key was found
    #[arg(long)]
    without_keys: bool,
    /// Only show errors
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let machine = Machine::look(Path::new("/"), args.disk.as_deref())?;
    let disk = machine.disk.path.clone();
    if args.image.source == Source::Stdin && !args.yes && !args.dry_run {
        return Err(Error::NobodyToAsk { disk });
    }
    let document = args.image.document()?;
    if let Some(document) = &document {
        if document.disk_length > machine.disk.size {
            let image = document.disk_length;
            return Err(Error::TooSmall { path: disk, disk: machine.disk.size, image });
        }
        if let Some(note) = super::other_processor(&document.arch) {
            return Err(Error::OtherProcessor(note));
        }
        machine.check_memory(document.file.length)?;
    }
    machine.check_network()?;
    if !args.without_keys {
        machine.check_keys()?;
    }
    let what = args.image.what(document.as_ref());
    let plan = format!("{what} takes over this machine.\n\n{machine}");
    if args.dry_run {
        println!("{plan}\n\nNothing was changed.");
        return Ok(());
    }
    if !args.yes {
        yes(&format!("{plan}\n\nAll of {} will be overwritten.", disk.display()), &disk)?;
    } else if !args.quiet {
        eprintln!("{plan}\n");
    }
    let input = args.image.open(document.as_ref())?;
    let total = document.as_ref().map(|document| document.file.length).or(input.length);
    if let Some(total) = total.filter(|_| document.is_none()) {
        machine.check_memory(total)?;
    }
    let mut progress = Progress::new(args.quiet);
    let loaded = machine.load(input, document.as_ref(), &what, &mut |done| {
        if let Some(total) = total {
            progress.show(done, total);
        }
    });
    progress.done();
    let loaded = loaded?;
    if !args.quiet {
        eprintln!(
            "{what} is in memory and was checked. The machine goes down now; its consoles say how far it is, and in a few minutes \
             it is back as the new system."
        );
    }
    loaded.restart()
}
