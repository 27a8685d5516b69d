//! `secure-boot`: keys for a fleet, the files with which machines learn them, and signing in two steps where the
//! private key is on another machine.

mod detached;
mod keys;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use twinhull_secureboot::Pin;

/// The variable with the passphrase or PIN of a key.
const PIN: &str = "TWINHULL_KEY_PIN";

/// Arguments of `secure-boot`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make new keys: PK, KEK and db, each with a certificate
    Keygen(Keygen),
    /// Write what machines need to know the keys: signature lists (.esl), signed variables (.auth) and certificates (.der)
    EnrollFiles(EnrollFiles),
    /// Write what is to be signed in an image, to sign it elsewhere
    Prepare(Prepare),
    /// Put signatures that were made elsewhere into an image
    Attach(Attach),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "PK.key, KEK.key and db.key are readable by their owner only and have no passphrase; \
                  `openssl pkcs8 -topk8` adds one. Only db.key is needed to sign images: keep the others offline.\n\n\
                  Example:\n  \
                  image-builder secure-boot keygen keys --common-name 'Example Inc'"
)]
struct Keygen {
    /// Folder for the keys; made if missing, never overwritten
    dir: PathBuf,
    /// Name in the certificates, before PK, KEK and db
    #[arg(long, value_name = "NAME")]
    common_name: String,
    /// Size of the RSA keys; some firmware knows 2048 only
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = bits)]
    bits: u32,
    /// How long the certificates are valid from now on; firmware doesn't look at it
    #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

fn bits(text: &str) -> Result<u32, String> {
    match text {
        "2048" => Ok(2048),
        "3072" => Ok(3072),
        _ => Err("an RSA key has 2048 or 3072 bits here".into()),
    }
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The passphrase or PIN of the keys is taken from TWINHULL_KEY_PIN, the time in the variables from \
                  SOURCE_DATE_EPOCH, or else from the clock. Firmware takes an update only when its time is later than \
                  that of what it has.\n\n\
                  Example:\n  \
                  image-builder secure-boot enroll-files keys --out enroll"
)]
struct EnrollFiles {
    /// Folder with PK.crt, KEK.crt, db.crt, and the keys PK.key and KEK.key
    keys: PathBuf,
    /// Folder for the files; made if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Another certificate for db, such as Microsoft's for option ROMs; can be given several times
    #[arg(long, value_name = "FILE")]
    db: Vec<PathBuf>,
    /// Another certificate for KEK; can be given several times
    #[arg(long, value_name = "FILE")]
    kek: Vec<PathBuf>,
    /// Private key of PK, a file or a PKCS #11 URI [default: PK.key in the folder]
    #[arg(long, value_name = "KEY")]
    pk_key: Option<String>,
    /// Private key of KEK, a file or a PKCS #11 URI [default: KEK.key in the folder]
    #[arg(long, value_name = "KEY")]
    kek_key: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "For every EFI program NAME of the image there will be NAME.tbs, the bytes that are signed. Sign each \
                  with RSA (PKCS #1 v1.5) and SHA-256 and put the result beside it as NAME.sig:\n\n  \
                  openssl dgst -sha256 -sign db.key -out NAME.sig NAME.tbs\n\n\
                  Example:\n  \
                  image-builder secure-boot prepare out/box_1.0.0.raw --certificate db.crt --out signing"
)]
struct Prepare {
    /// The disk image, as `build` wrote it
    image: PathBuf,
    /// Certificate of the key that will sign, PEM or DER
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Folder for what is to be signed; it must not have files yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every signature is checked first. The image is replaced as a whole or stays as it was; the manifest \
                  and the bill of materials beside it follow. The result has the same bytes as an image that was signed \
                  while it was built.\n\n\
                  Example:\n  \
                  image-builder secure-boot attach out/box_1.0.0.raw signing"
)]
struct Attach {
    /// The disk image that was prepared
    image: PathBuf,
    /// The folder that `prepare` wrote, with the signatures in it
    dir: PathBuf,
}

/// The passphrase or PIN that the caller put into the environment.
pub(crate) fn pin() -> Option<Pin> {
    std::env::var(PIN).ok().map(Pin::new)
}

/// Runs a command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let written = match &args.command {
        Command::Keygen(args) => keys::generate(args)?,
        Command::EnrollFiles(args) => keys::enroll_files(args)?,
        Command::Prepare(args) => detached::prepare(args)?,
        Command::Attach(args) => detached::attach(args)?,
    };
    written.iter().for_each(|path| println!("{}", path.display()));
    Ok(ExitCode::SUCCESS)
}
