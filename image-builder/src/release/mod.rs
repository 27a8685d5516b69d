//! The release side of updates: keys, release folders, channels. Everything is files, and a web server that knows
//! nothing of Twinhull serves them. docs/reference/release.md describes the folder.

mod delta;
mod disk;
mod folder;
mod keys;
mod promote;
mod publish;
mod sign;
mod time;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use jiff::{Span, Timestamp};
use serde::Serialize;
use twinhull_release::{PublicKey, Role};

use crate::progress::Progress;
use folder::Missing;

/// Arguments of `keygen`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes ROLE.key and ROLE.pub for the roles root, release and channel (ROLE-1, ROLE-2, ... if there are \
                  several) and 1.root.json, which says how many of them must sign what. It goes into the images, so that \
                  machines know whom to believe. The private keys are readable by their owner only and have no \
                  passphrase. Keep root keys offline: only `rotate-keys` needs them.\n\n\
                  Examples:\n  \
                  image-builder keygen keys --image web\n  \
                  image-builder keygen keys --image web --keys root=3 --threshold root=2"
)]
pub(crate) struct KeygenArgs {
    /// Folder for the keys; made if missing, must be empty
    dir: PathBuf,
    /// The image they are for, its image.id
    #[arg(long, value_name = "ID")]
    image: String,
    /// How many keys a role gets; can be given several times [default: 1 each]
    #[arg(long, value_name = "ROLE=N", value_parser = role_and_number)]
    keys: Vec<(Role, u32)>,
    /// How many keys of a role must sign; can be given several times [default: 1 each]
    #[arg(long, value_name = "ROLE=N", value_parser = role_and_number)]
    threshold: Vec<(Role, u32)>,
    /// How long machines believe it; `rotate-keys` renews it
    #[arg(long, value_name = "TIME", default_value = "5y", value_parser = time::parse_span)]
    expires: Span,
}

/// Arguments of `release`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes the usr image, its hash tree and the UKI of the image's first filled slot into BASE/IMAGE, and a \
                  document with their digests, signed. No machine looks at it before `promote` says so.\n\n\
                  Machines fetch only what they don't have, by an index that is written as well. Patches save even more \
                  where programs were rebuilt, for machines that run the versions they are from: the newest of every \
                  channel, or those given.\n\n\
                  With too few keys the document is kept as a draft, NAME.draft, for `sign`.\n\n\
                  Examples:\n  \
                  image-builder release out/web_1.1.0.raw --to releases --key keys/release.key\n  \
                  image-builder release out/web_1.0.0.raw --to releases --root keys/1.root.json --key keys/release.key"
)]
pub(crate) struct ReleaseArgs {
    /// The disk image, as `build` wrote it
    image: PathBuf,
    /// Folder with one folder an image; made if missing
    #[arg(long, value_name = "BASE")]
    to: PathBuf,
    /// The first root, 1.root.json of `keygen`: needed once
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Private key of the role release; can be given several times
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Make patches from this version; can be given several times [default: the newest of every channel]
    #[arg(long, value_name = "VERSION")]
    patches_from: Vec<String>,
    /// Make no patches
    #[arg(long, conflicts_with = "patches_from")]
    no_patches: bool,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `sign`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The document is put in its place once it has enough signatures. For a key on another machine or in a \
                  token, sign in two steps; whatever does ed25519 (not ed25519ph) will do:\n\n  \
                  image-builder sign releases/web/web_1.1.0.release.json.draft --prepare tbs\n  \
                  openssl pkeyutl -sign -rawin -inkey release.key -in tbs -out sig\n  \
                  image-builder sign releases/web/web_1.1.0.release.json.draft --attach sig --public release.pub\n\n\
                  Example:\n  \
                  image-builder sign releases/web/web_1.1.0.release.json.draft --key release-2.key"
)]
pub(crate) struct SignArgs {
    /// The document, in its release folder
    document: PathBuf,
    /// Private key to sign with; can be given several times
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Write what is to be signed into this file
    #[arg(long, value_name = "OUT", conflicts_with_all = ["keys", "attach"])]
    prepare: Option<PathBuf>,
    /// A signature that was made elsewhere: 64 bytes
    #[arg(long, value_name = "SIG", requires = "public")]
    attach: Option<PathBuf>,
    /// Public key of that signature
    #[arg(long, value_name = "FILE", requires = "attach")]
    public: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `sign-image`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes the image's name with .json behind it: length and digest of the file, the length of the disk in it, and \
                  the signatures. `twinhull-install` believes an image by this document and a public key. What is signed \
                  stands for no release: machines don't update by it. With the same image, signatures are added.\n\n\
                  For a key on another machine or in a token, sign in two steps:\n\n  \
                  image-builder sign-image out/web_1.0.0.raw.zst --prepare tbs\n  \
                  openssl pkeyutl -sign -rawin -inkey release.key -in tbs -out sig\n  \
                  image-builder sign-image out/web_1.0.0.raw.zst --attach sig --public release.pub\n\n\
                  Examples:\n  \
                  image-builder sign-image out/web_1.0.0.raw.zst --key keys/release.key\n  \
                  image-builder sign-image disk.zst --id web --image-version 1.0.0 --arch x86-64 --key keys/release.key"
)]
pub(crate) struct SignImageArgs {
    /// The compressed disk image, as `convert --format raw.zst` wrote it
    image: PathBuf,
    /// Private key to sign with; can be given several times
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The image's name [default: from the manifest beside it]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The image's version [default: from the manifest beside it]
    #[arg(long, value_name = "VERSION")]
    image_version: Option<String>,
    /// For which processor, x86-64 or arm64 [default: from the manifest beside it]
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Write what is to be signed into this file
    #[arg(long, value_name = "OUT", conflicts_with_all = ["keys", "attach"])]
    prepare: Option<PathBuf>,
    /// A signature that was made elsewhere: 64 bytes
    #[arg(long, value_name = "SIG", requires = "public")]
    attach: Option<PathBuf>,
    /// Public key of that signature
    #[arg(long, value_name = "FILE", requires = "attach")]
    public: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `promote`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Checks every file of the version first. Machines see the new version from the moment the channel's document \
                  is in its place, which is the last thing that is written. Run it again without VERSION before the \
                  channel expires: from then on machines believe that somebody holds newer versions back.\n\n\
                  The channel stable also has SHA256SUMS written, for systemd-sysupdate, which knows no channels.\n\n\
                  Examples:\n  \
                  image-builder promote releases/web 1.1.0 --key keys/channel.key\n  \
                  image-builder promote releases/web 1.1.0 --channel testing --key keys/channel.key\n  \
                  image-builder promote releases/web 1.1.0 --rollout 2d --key keys/channel.key\n  \
                  image-builder promote releases/web --key keys/channel.key"
)]
pub(crate) struct PromoteArgs {
    /// The release folder, BASE/IMAGE
    folder: PathBuf,
    /// The version that is to be the newest [default: as it is]
    version: Option<String>,
    /// The channel
    #[arg(long, default_value = folder::STABLE)]
    channel: String,
    /// Private key of the role channel; can be given several times
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// How long machines believe it
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = time::parse_span)]
    expires: Span,
    /// Spread the machines' updates over this time
    #[arg(long, value_name = "TIME", value_parser = time::parse_span, requires = "version")]
    rollout: Option<Span>,
    /// When the rollout begins, such as 2026-12-01T06:00Z [default: now]
    #[arg(long, value_name = "TIME", requires = "rollout", value_parser = time::parse_timestamp)]
    start: Option<Timestamp>,
    /// Oldest version that may ever be offered from now on [default: as it is]
    #[arg(long, value_name = "VERSION")]
    floor: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `rotate-keys`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes the next root, signed by the keys of the one before and by its own. Give all private keys that are \
                  at hand: channels and the releases they point to are signed again with them where they have to be, and \
                  the new root is put in its place only when machines that follow it will believe them.\n\n\
                  Without changes it renews the root before it expires.\n\n\
                  Examples:\n  \
                  image-builder rotate-keys releases/web --key keys/root.key\n  \
                  image-builder rotate-keys releases/web --add channel=new.pub --remove channel=keys/channel.pub \
                  --key keys/root.key --key new.key"
)]
pub(crate) struct RotateArgs {
    /// The release folder, BASE/IMAGE
    folder: PathBuf,
    /// A key the role gets, as a file or 64 hexadecimal digits; can be given several times
    #[arg(long, value_name = "ROLE=PUBLIC", value_parser = role_and_key)]
    add: Vec<(Role, PublicKey)>,
    /// A key the role loses; can be given several times
    #[arg(long, value_name = "ROLE=PUBLIC", value_parser = role_and_key)]
    remove: Vec<(Role, PublicKey)>,
    /// How many keys of a role must sign; can be given several times
    #[arg(long, value_name = "ROLE=N", value_parser = role_and_number)]
    threshold: Vec<(Role, u32)>,
    /// How long machines believe it
    #[arg(long, value_name = "TIME", default_value = "5y", value_parser = time::parse_span)]
    expires: Span,
    /// Private key to sign with; can be given several times
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `verify-release`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Follows the roots from the first one on, reads the channel and its release, and checks length and digest of \
                  every file, the usr image against its root hash, and that the UKI starts this very usr image.\n\n\
                  Exit codes: 0 everything holds, 1 something doesn't.\n\n\
                  Example:\n  \
                  image-builder verify-release releases/web --root keys/1.root.json"
)]
pub(crate) struct VerifyArgs {
    /// The release folder, BASE/IMAGE
    folder: PathBuf,
    /// The channel
    #[arg(long, default_value = folder::STABLE)]
    channel: String,
    /// The root that machines have in their image [default: the folder's 1.root.json, unchecked]
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// How results are shown.
#[derive(Debug, clap::Args)]
struct Output {
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Only show errors
    #[arg(long, short)]
    quiet: bool,
}

/// Reads a document that is outside of a release folder, if it is there.
pub(crate) use folder::read as read_document;

/// What a command wrote.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    /// Files, in the order they were written.
    written: Vec<PathBuf>,
    /// Signatures that drafts still need.
    missing: Vec<Missing>,
    /// What whoever ran the command should know.
    notes: Vec<String>,
}

impl Outcome {
    fn show(&self, output: &Output) -> Result<ExitCode> {
        if output.json {
            println!("{}", serde_json::to_string_pretty(self)?);
        } else {
            self.written.iter().for_each(|path| println!("{}", path.display()));
        }
        if !output.quiet {
            self.missing.iter().for_each(|missing| eprintln!("note: {missing}"));
            self.notes.iter().for_each(|note| eprintln!("note: {note}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs `keygen`.
pub(crate) fn keygen(args: &KeygenArgs) -> Result<ExitCode> {
    let written = keys::generate(args, time::now()?)?;
    written.iter().for_each(|path| println!("{}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Runs `release`.
pub(crate) fn release(args: &ReleaseArgs) -> Result<ExitCode> {
    publish::publish(args, &Progress::new(args.output.quiet))?.show(&args.output)
}

/// Runs `sign`.
pub(crate) fn sign(args: &SignArgs) -> Result<ExitCode> {
    sign::run(args)?.show(&args.output)
}

/// Runs `sign-image`.
pub(crate) fn sign_image(args: &SignImageArgs) -> Result<ExitCode> {
    disk::run(args, &Progress::new(args.output.quiet))?.show(&args.output)
}

/// Runs `promote`.
pub(crate) fn promote(args: &PromoteArgs) -> Result<ExitCode> {
    promote::promote(args, time::now()?, &Progress::new(args.output.quiet))?.show(&args.output)
}

/// Runs `rotate-keys`.
pub(crate) fn rotate(args: &RotateArgs) -> Result<ExitCode> {
    keys::rotate(args, time::now()?)?.show(&args.output)
}

/// Runs `verify-release`.
pub(crate) fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    let report = verify::verify(args, time::now()?, &Progress::new(args.output.quiet))?;
    if args.output.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", verify::render(&report));
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn role(text: &str) -> Result<(Role, &str), String> {
    let (role, value) = text.split_once('=').ok_or("write it as ROLE=VALUE, such as root=2")?;
    let found = Role::ALL.into_iter().find(|r| r.name() == role);
    Ok((found.ok_or("the roles are root, release and channel")?, value))
}

fn role_and_number(text: &str) -> Result<(Role, u32), String> {
    let (role, value) = role(text)?;
    Ok((role, value.parse().map_err(|_| format!("{value:?} is no number"))?))
}

fn role_and_key(text: &str) -> Result<(Role, PublicKey), String> {
    let (role, value) = role(text)?;
    let key = value.parse().or_else(|_| PublicKey::read(value.as_ref()));
    Ok((role, key.map_err(|e| e.to_string())?))
}
