//! The command line. One definition feeds parsing, help, man page and completions.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};

use twinhull_export::Format;
use twinhull_sysutil::size;

use crate::kept::Kept;
use crate::progress::Progress;
use crate::{
    build, check, convert, diff, doctor, explain, graph, inspect, modules, new_module, numbers, release,
    reproduce, sbom, secure_boot, source, test_module, usage,
};

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(
    name = "image-builder",
    version,
    about = "From one spec file and an OS tree to an immutable UEFI disk image",
    after_help = "Exit codes: 0 success, 1 failure, 2 a spec with mistakes or wrong arguments; for diff 0 no differences, \
                  1 differences, 2 failure.\n\n\
                  Examples:\n  \
                  image-builder check examples/hello.yaml\n  \
                  image-builder build examples/hello.yaml --out out\n  \
                  image-builder inspect out/hello_1.0.0.raw\n  \
                  image-builder convert out/hello_1.0.0.raw --format qcow2"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a spec or a module and show every mistake in it
    Check(CheckArgs),
    /// Build a disk image
    Build(BuildArgs),
    /// Show what a disk image holds and check its hashes
    Inspect(InspectArgs),
    /// Write a disk image in the format of a cloud or hypervisor
    Convert(ConvertArgs),
    /// Show what is different between two images
    Diff(DiffArgs),
    /// Print the bill of materials of an image as SPDX 2.3
    Sbom(SbomArgs),
    /// Make keys for Secure Boot, and sign images with a key that is elsewhere
    SecureBoot(secure_boot::Args),
    /// Make the keys that sign updates of an image
    Keygen(release::KeygenArgs),
    /// Write an image into a release folder, for machines to update from
    Release(release::ReleaseArgs),
    /// Sign a document of a release folder, also in two steps
    Sign(release::SignArgs),
    /// Sign a compressed disk image, for twinhull-install
    SignImage(release::SignImageArgs),
    /// Make a release the newest one of a channel, or renew the channel
    Promote(release::PromoteArgs),
    /// Add, remove or renew keys that sign updates
    RotateKeys(release::RotateArgs),
    /// Check a release folder as a machine would, and every file in it
    VerifyRelease(release::VerifyArgs),
    /// Print the JSON Schema of specs, for editors
    Schema,
    /// List the modules that come with image-builder, and their templates
    Modules(modules::ModulesArgs),
    /// Say what a module, template or parameter means
    Explain(modules::ExplainArgs),
    /// Find templates and parameters by what they are for
    Search(modules::SearchArgs),
    /// Print the files that the services of a spec become
    Render(modules::RenderArgs),
    /// Say which services a file of the image comes from
    Why(modules::WhyArgs),
    /// Print services with what they refer to and what wants them
    Graph(graph::GraphArgs),
    /// Make the folder of a module of your own
    NewModule(new_module::NewModuleArgs),
    /// Run the cases in `tests/` of a module
    TestModule(test_module::TestModuleArgs),
    /// Say what this host lacks for building and booting images, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Print a shell completion script
    #[command(hide = true)]
    Completions {
        /// The shell to write it for
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The spec file, or the folder of a module
    spec: PathBuf,
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Arguments of `build`.
#[derive(Debug, Args)]
#[command(
    after_help = "The tree of a `debian:` spec is fetched once and cached; everything after that needs neither network \
                        nor privileges. SOURCE_DATE_EPOCH bounds all time stamps.\n\n\
                        Examples:\n  \
                        image-builder build examples/hello.yaml --out out\n  \
                        image-builder build server.yaml --offline --json\n  \
                        image-builder build server.yaml --format qcow2 --format vhd"
)]
pub struct BuildArgs {
    /// The spec file
    pub spec: PathBuf,
    /// Folder for NAME_VERSION.raw, .manifest.json and .spdx.json; made if missing
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Where trees are cached
    #[arg(long, value_name = "DIR", env = "TWINHULL_CACHE")]
    pub cache_dir: Option<PathBuf>,
    /// Most room that packed file data may take in the cache, for faster builds; 0 keeps none
    #[arg(long, value_name = "SIZE", default_value = "4G", env = "TWINHULL_CACHE_LIMIT", value_parser = parse_size)]
    pub cache_limit: u64,
    /// Forbid the network: a tree that is not cached is an error
    #[arg(long)]
    pub offline: bool,
    /// Fetch the tree again even if it is cached, for new package versions
    #[arg(long, conflicts_with = "offline")]
    pub refresh: bool,
    /// Folder with Twinhull's own programs for the image [default: beside image-builder]
    #[arg(long, value_name = "DIR", env = "TWINHULL_GUEST_DIR")]
    pub guest_dir: Option<PathBuf>,
    /// Say what had to be made again, and what changed since the last build of the same image
    #[arg(long)]
    pub explain: bool,
    /// Build a second time with other time zone, locale, umask, number of processors and an empty cache, and
    /// name the first file and field that differ
    #[arg(long)]
    pub check_reproducible: bool,
    /// Also write the image in this format, beside it; can be given several times
    #[arg(long, value_name = "FORMAT", value_parser = convert::parser())]
    pub format: Vec<Format>,
    /// Print the manifest as JSON on standard output instead of the paths of what was written
    #[arg(long)]
    pub json: bool,
    /// Only show errors
    #[arg(long, short)]
    pub quiet: bool,
}

fn parse_size(text: &str) -> Result<u64, String> {
    if text == "0" { Ok(0) } else { size::parse(text).map_err(|e| e.to_string()) }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                  image-builder inspect out/box_1.0.0.raw\n  \
                  image-builder inspect out/box_1.0.0.raw --size --svg size.svg")]
struct InspectArgs {
    /// The disk image; with --size also a plain EROFS or ext4 image
    image: PathBuf,
    /// Print the result as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Show where the bytes of /usr went: by folder, kind of file, package, and the largest files
    #[arg(long)]
    size: bool,
    /// Draw the sizes as a treemap, too
    #[arg(long, value_name = "FILE", requires = "size")]
    svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Where a format wants whole MiB or GiB (vmdk, vhd, gcp) the disk in it is enlarged and its backup \
                  partition table moved to the new end. The image itself never changes, an existing output is \
                  replaced, and the same image gives the same bytes.\n\n\
                  Examples:\n  \
                  image-builder convert out/hello_1.0.0.raw --format qcow2\n  \
                  image-builder convert out/hello_1.0.0.raw --format vhd --out upload/hello.vhd\n  \
                  image-builder convert out/hello_1.0.0.raw --format gcp --json"
)]
struct ConvertArgs {
    /// The raw disk image, as `build` wrote it
    image: PathBuf,
    /// What to write
    #[arg(long, value_name = "FORMAT", value_parser = convert::parser())]
    format: Format,
    /// The file to write [default: beside the image, with the format's extension]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print format, path and sizes as JSON on standard output instead of the path
    #[arg(long)]
    json: bool,
    /// Only show errors
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Images are disk images (the first slot that is filled) or plain EROFS or ext4 images. Modification times and \
                        the root hash are not compared. Packages are those of the dpkg database in the image, or else of \
                        the manifest beside it.\n\n\
                        Exit codes: 0 no differences, 1 differences, 2 failure or wrong arguments.\n\n\
                        Examples:\n  \
                        image-builder diff out/box_1.0.0.raw out/box_1.1.0.raw\n  \
                        image-builder diff --json old.raw new.raw | jq .privileges"
)]
struct DiffArgs {
    /// The image to compare with
    old: PathBuf,
    /// The image that may be different
    new: PathBuf,
    /// Print everything as JSON on standard output
    #[arg(long)]
    json: bool,
    /// Show long lists whole
    #[arg(long, conflicts_with = "json")]
    all: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "`build` writes the same beside the image, from the whole tree. Of an image that was made small, this \
                        may know less: licences come from the copyright files in the image, packages from its dpkg \
                        database, or else from the manifest beside it.\n\n\
                        Example:\n  \
                        image-builder sbom out/box_1.0.0.raw > box_1.0.0.spdx.json"
)]
struct SbomArgs {
    /// The disk image, or a plain EROFS or ext4 image
    image: PathBuf,
}

/// Exit code of `diff` for trouble; 1 says that the images differ, as with diff(1).
const TROUBLE: u8 = 2;

/// An interrupted build leaves nothing half-written: temporary files go before the program does.
fn clean_up_on_signals() -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new(signal_hook::consts::TERM_SIGNALS)?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            twinhull_sysutil::atomic::remove_unfinished();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Parses the arguments, runs the command, and says what went wrong.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) if args.spec.is_dir() => modules::check_folder(&args.spec, args.json),
        Command::Modules(args) => modules::list(&args),
        Command::Explain(args) => modules::explain(&args),
        Command::Search(args) => modules::search(&args),
        Command::Render(args) => modules::render(&args),
        Command::Why(args) => modules::why(&args),
        Command::Graph(args) => graph::run(&args),
        Command::NewModule(args) => new_module::run(&args),
        Command::TestModule(args) => test_module::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Check(args) => check::run(&args.spec, args.json),
        Command::Build(args) => build_image(&args),
        Command::Inspect(args) => inspect_image(&args),
        Command::Convert(args) => convert_image(&args),
        Command::Diff(args) => diff_images(&args).or_else(|error| {
            eprintln!("error: {error:#}");
            Ok(ExitCode::from(TROUBLE))
        }),
        Command::Sbom(args) => sbom::of_image(&args.image).and_then(|text| {
            check::print(std::io::stdout(), &text)?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::SecureBoot(args) => clean_up_on_signals().and_then(|()| secure_boot::run(&args)),
        Command::Keygen(args) => clean_up_on_signals().and_then(|()| release::keygen(&args)),
        Command::Release(args) => clean_up_on_signals().and_then(|()| release::release(&args)),
        Command::Sign(args) => clean_up_on_signals().and_then(|()| release::sign(&args)),
        Command::SignImage(args) => clean_up_on_signals().and_then(|()| release::sign_image(&args)),
        Command::Promote(args) => clean_up_on_signals().and_then(|()| release::promote(&args)),
        Command::RotateKeys(args) => clean_up_on_signals().and_then(|()| release::rotate(&args)),
        Command::VerifyRelease(args) => release::verify(&args),
        Command::Schema => serde_json::to_string_pretty(&twinhull_spec::json_schema())
            .map(|text| {
                println!("{text}");
                ExitCode::SUCCESS
            })
            .map_err(Into::into),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "image-builder", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn build_image(args: &BuildArgs) -> Result<ExitCode> {
    clean_up_on_signals()?;
    if std::env::var_os(reproduce::SECOND).is_some() {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    }
    let (spec, text) = match check::load(&args.spec)? {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let progress = Progress::new(args.quiet);
    let cache = match &args.cache_dir {
        Some(dir) => dir.clone(),
        None => source::default_cache_dir()?,
    };
    let base = args.spec.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    let epoch = source_date_epoch()?;
    let kept = Kept::open(&cache, args.cache_limit);
    let numbers = numbers::read(&args.spec)?;
    let options = build::Options {
        out: &args.out,
        guest_dir: args.guest_dir.as_deref(),
        epoch,
        spec_text: &text,
        kept: &kept,
        base: &base,
        pin: secure_boot::pin(),
        numbers: &numbers,
    };
    let attempt = |refresh: bool| {
        let request = source::Request { base: &base, cache: &cache, offline: args.offline, refresh };
        build::build(&spec, source::open(&spec, &request, &progress)?, &options, &progress)
    };
    let built = match attempt(args.refresh) {
        Err(error) if error.is::<source::Damaged>() && !args.offline => {
            eprintln!("note: the cached tree is damaged and is fetched again");
            attempt(true)?
        }
        other => other?,
    };
    numbers::remember(&args.spec, &spec, &numbers, &built.numbers)?;
    let manifest = serde_json::to_value(&built.manifest)?;
    if args.explain {
        let last = explain::last(&cache, &spec.image.id);
        eprint!("{}", explain::explain(&spec.image.id, last.as_ref(), &manifest, &kept.made()));
    }
    if args.cache_limit > 0 {
        // Only the next explanation needs it.
        let _ = explain::remember(&cache, &spec.image.id, &manifest);
    }
    kept.finish();
    if args.check_reproducible {
        let step = progress.step("Building it again");
        reproduce::check(args, &spec, &cache, &built.image)?;
        step.done("the same bytes");
    }
    let mut formats = args.format.clone();
    formats.sort();
    formats.dedup();
    let mut paths = vec![built.image.clone()];
    for format in formats {
        let out = convert::beside(&built.image, format);
        paths.push(convert::convert(&built.image, format, &out, &progress)?.path);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&built.manifest)?);
    } else {
        paths.iter().for_each(|path| println!("{}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// `SOURCE_DATE_EPOCH`, seconds since 1970.
pub(crate) fn source_date_epoch() -> Result<Option<i64>> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => Ok(Some(text.parse().context("SOURCE_DATE_EPOCH is no number of seconds")?)),
        Err(_) => Ok(None),
    }
}

fn convert_image(args: &ConvertArgs) -> Result<ExitCode> {
    clean_up_on_signals()?;
    let out = args.out.clone().unwrap_or_else(|| convert::beside(&args.image, args.format));
    let converted = convert::convert(&args.image, args.format, &out, &Progress::new(args.quiet))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&converted)?);
    } else {
        println!("{}", converted.path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn inspect_image(args: &InspectArgs) -> Result<ExitCode> {
    if args.size {
        let report = usage::measure(&args.image)?;
        if let Some(path) = &args.svg {
            twinhull_sysutil::atomic::replace(path, usage::svg(&report).as_bytes(), 0o644)
                .with_context(|| format!("{} can't be written", path.display()))?;
        }
        let text =
            if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { usage::render(&report) };
        check::print(std::io::stdout(), &text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = inspect::inspect(&args.image)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", inspect::render(&report));
    }
    Ok(if report.healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn diff_images(args: &DiffArgs) -> Result<ExitCode> {
    let report = diff::compare(&args.old, &args.new)?;
    let text = if args.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        diff::render(&report, args.all)
    };
    check::print(std::io::stdout(), &text)?;
    Ok(if report.equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
