//! The command line. Exit codes: 0 done, 1 failed or refused, 2 wrong arguments.

mod takeover;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use serde::Serialize;
use twinhull_release::{DiskImage, MAX_DOCUMENT, PublicKey};
use twinhull_sysutil::size::human;

use crate::disk::{Disk, Found};
use crate::progress::Progress;
use crate::source::{Input, Source};
use crate::{Error, Result, Written, document};

/// Writes disk images to disks, from a rescue system or the system that they replace.
#[derive(Debug, Parser)]
#[command(
    name = "twinhull-install",
    version,
    after_help = "Exit codes: 0 done, 1 failed or refused, 2 wrong arguments.\n\n\
                  Examples:\n  \
                  twinhull-install write https://images.example.org/web_1.0.0.raw.zst /dev/sda --key release.pub\n  \
                  twinhull-install write web_1.0.0.raw.zst /dev/sda --unsigned\n  \
                  twinhull-install takeover https://images.example.org/web_1.0.0.raw.zst --key release.pub"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write an image to a disk, which is overwritten
    Write(WriteArgs),
    /// Turn this running machine into one of an image, whose disk is overwritten
    Takeover(takeover::Args),
}

/// The image, and whom to believe.
#[derive(Debug, clap::Args)]
struct ImageArgs {
    /// The image: an http or https URL, a file, or - for standard input
    source: Source,
    /// Public key that must have signed the image: a file, or 64 hexadecimal digits; can be given several times, then all must
    #[arg(long = "key", value_name = "PUBLIC", value_parser = document::parse_key, allow_hyphen_values = true)]
    keys: Vec<PublicKey>,
    /// The signed document, a file or a URL [default: SOURCE.json]
    #[arg(long, value_name = "FILE|URL")]
    signature: Option<Source>,
    /// Believe whoever it comes from: no signature, only checksums
    #[arg(long, conflicts_with_all = ["keys", "signature"])]
    unsigned: bool,
}

/// Arguments of `write`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The image is a raw disk compressed with Zstandard, as `image-builder convert --format raw.zst` writes it. \
                  Beside it is its signed document, with .json behind the image's name, by `image-builder sign-image`. \
                  The document is checked before the disk is touched, the image while it is written.\n\n\
                  Nothing needs room anywhere. The partition table that the disk has is taken away first, that of the image \
                  is written last, when every byte was what was signed: a disk that is not whole doesn't boot. Downloads \
                  that break off go on where they were.\n\n\
                  Examples:\n  \
                  twinhull-install write https://images.example.org/web_1.0.0.raw.zst /dev/sda --key release.pub\n  \
                  twinhull-install write web_1.0.0.raw.zst /dev/nvme0n1 --key release.pub --yes --json\n  \
                  ssh build cat web_1.0.0.raw.zst | twinhull-install write - /dev/sda --yes \\\n    \
                  --key release.pub --signature web_1.0.0.raw.zst.json"
)]
struct WriteArgs {
    #[command(flatten)]
    image: ImageArgs,
    /// The disk, such as /dev/sda; also a file that is at least as large as the image
    disk: PathBuf,
    /// Don't ask before the disk is overwritten
    #[arg(long)]
    yes: bool,
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Only show errors
    #[arg(long, short)]
    quiet: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    disk: &'a Path,
    disk_size: u64,
    /// Name and version, if a signature says so.
    image: Option<&'a str>,
    version: Option<&'a str>,
    signed_by: &'a [PublicKey],
    #[serde(flatten)]
    written: &'a Written,
    seconds: f64,
}

/// Parses the arguments, runs the command, and says what went wrong.
pub fn main() -> ExitCode {
    // In the initrd of a takeover there is nobody to give arguments.
    if crate::takeover::is_installers_init() {
        crate::takeover::run_as_init();
    }
    let done = match Cli::parse().command {
        Command::Write(args) => run(&args),
        Command::Takeover(args) => takeover::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &WriteArgs) -> Result<()> {
    if args.image.source == Source::Stdin && !args.yes {
        return Err(Error::NobodyToAsk { disk: args.disk.clone() });
    }
    let document = args.image.document()?;
    let found = Found::look(Path::new("/"), &args.disk)?;
    if let Some(document) = &document
        && document.disk_length > found.size
    {
        return Err(Error::TooSmall { path: found.path, disk: found.size, image: document.disk_length });
    }
    let input = args.image.open(document.as_ref())?;
    let what = args.image.what(document.as_ref());
    if !args.yes {
        ask(&what, &found)?;
    } else if !args.quiet {
        eprintln!("writing {what} to {found}");
    }
    if let Some(note) = document.as_ref().and_then(|document| other_processor(&document.arch)) {
        eprintln!("note: {note}");
    }
    let begun = Instant::now();
    let mut disk = Disk::open(&found)?;
    let mut progress = Progress::new(args.quiet);
    let written =
        crate::write(input.reader, &mut disk, document.as_ref(), &mut |done, of| progress.show(done, of));
    progress.done();
    let written = written?;
    // With a udev, closing makes the kernel read the new table.
    drop(disk);
    let seconds = begun.elapsed().as_secs_f64();
    if args.json {
        let outcome = Outcome {
            disk: &found.path,
            disk_size: found.size,
            image: document.as_ref().map(|document| document.image.as_str()),
            version: document.as_ref().map(|document| document.version.as_str()),
            signed_by: &args.image.keys,
            written: &written,
            seconds,
        };
        let text = serde_json::to_string_pretty(&outcome).map_err(std::io::Error::from)?;
        writeln!(std::io::stdout(), "{text}")?;
    } else if !args.quiet {
        eprintln!(
            "{what} is on {}, all of it: {} of {} were data, in {seconds:.1} s. The machine boots it next: `reboot`.",
            found.path.display(),
            human(written.data),
            human(written.disk_length)
        );
    }
    Ok(())
}

impl ImageArgs {
    /// What is to be written, once it is believed; `None` with `--unsigned`.
    fn document(&self) -> Result<Option<DiskImage>> {
        if self.unsigned {
            return Ok(None);
        }
        if self.keys.is_empty() {
            return Err(Error::NoKey);
        }
        let place =
            self.signature.clone().or_else(|| self.source.document()).ok_or(Error::NoDocumentForStdin)?;
        let bytes = place.read(MAX_DOCUMENT)?.ok_or_else(|| Error::NoDocument { name: place.to_string() })?;
        document::verify(&bytes, &self.keys).map(Some)
    }

    /// The image, which has the length that was signed if it is known.
    fn open(&self, document: Option<&DiskImage>) -> Result<Input> {
        let input = self.source.open()?;
        if let (Some(document), Some(length)) = (document, input.length)
            && document.file.length != length
        {
            return Err(Error::WrongLength { found: length.to_string(), signed: document.file.length });
        }
        Ok(input)
    }

    /// The image for people.
    fn what(&self, document: Option<&DiskImage>) -> String {
        document.map_or_else(
            || format!("{}, which nobody has signed,", self.source),
            |document| format!("{} {}", document.image, document.version),
        )
    }
}

fn other_processor(arch: &str) -> Option<String> {
    let here = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        other => other,
    };
    (arch != here).then(|| format!("the image is for {arch}, this machine has {here}"))
}

/// Asks on the terminal.
fn ask(what: &str, found: &Found) -> Result<()> {
    let question = format!("{found}\n\nAll of it will be overwritten with {what}.");
    yes(&question, &found.path)
}

/// Asks a question that `yes` answers and nothing else. `disk` is what it is about.
fn yes(question: &str, disk: &Path) -> Result<()> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::NobodyToAsk { disk: disk.to_owned() });
    }
    eprint!("{question} Type yes to go on: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    if answer.trim() != "yes" {
        return Err(Error::Declined { disk: disk.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
