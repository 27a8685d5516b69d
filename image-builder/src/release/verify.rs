//! `verify-release`: goes through a release folder as a machine does, and then through every byte.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use serde::Serialize;
use twinhull_fsimg::{Part as Range, ReadAt as _, verity};
use twinhull_release::{Artefact, Channel, Kind, Machine, Part, Release, Root, State, check, names};
use twinhull_sysutil::digest;
use twinhull_uki as uki;

use super::folder::{self, Folder, STABLE};
use super::{VerifyArgs, time};
use crate::image::shown;
use crate::progress::Progress;

/// A version before every other one (UAPI.10: `~` comes before nothing).
const BEFORE_ALL: &str = "~";

/// What was found, in the order it was looked at.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    image: Option<String>,
    channel: String,
    root: Option<u64>,
    version: Option<String>,
    serial: Option<u64>,
    expires: Option<u64>,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    /// What is wrong, or nothing.
    problem: Option<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub(super) fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.problem.is_none())
    }

    fn add<T>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        let (value, problem) = match result {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(shown(format!("{error:#}").as_bytes()))),
        };
        self.checks.push(Check { name: name.into(), problem });
        value
    }
}

/// Goes through the folder.
pub(super) fn verify(args: &VerifyArgs, now: Timestamp, progress: &Progress) -> Result<Report> {
    let mut folder = Folder::open(&args.folder)?;
    let mut report = Report { channel: args.channel.clone(), ..Report::default() };
    let first = args.root.clone().unwrap_or_else(|| folder.path(&names::root(1)));
    let trusted =
        folder::read(Kind::Root, &first)?.with_context(|| format!("{} does not exist", first.display()))?;
    let root: Root = trusted.contents()?;
    report.image = Some(root.image.clone());
    let pointer = names::channel(&args.channel);
    let newest =
        folder.read(Kind::Channel, &pointer)?.with_context(|| format!("the folder has no {pointer}"))?;
    // Which processor is the machine's own business; here the release itself may say.
    let name = names::release(&root.image, &newest.contents::<Channel>()?.newest);
    let arch = match folder.read(Kind::Release, &name)? {
        Some(release) => release.contents::<Release>()?.arch,
        None => String::new(),
    };
    let machine = Machine {
        image: root.image,
        version: BEFORE_ALL.into(),
        arch,
        channel: args.channel.clone(),
        now: time::seconds(now)?,
        built: 0,
    };
    let checked = State::new(&trusted).and_then(|state| check(&state, &machine, &mut folder));
    let Some(checked) = report.add("a machine believes it", checked.map_err(Into::into)) else {
        return Ok(report);
    };
    report.root = Some(checked.state.root()?.version);
    (report.serial, report.expires) = (Some(checked.channel.serial), Some(checked.channel.expires));
    let release = checked.offer.context("a machine of no version is offered nothing")?;
    report.version = Some(release.version.clone());
    for part in Part::ALL {
        let step = progress.step(part.name());
        report.add(&release.file(part), part_holds(&folder, &release, part));
        step.done("checked");
    }
    for patches in &release.patches {
        let name = release.patches_file(&patches.from);
        report.add(&name, file_holds(&folder, &name, &patches.file));
    }
    if args.channel == STABLE {
        let sums = fs_err::read_to_string(folder.path(names::SUMS)).map_err(Into::into).and_then(|text| {
            ensure!(
                text == folder::sums(&release),
                "it isn't about {}; promote the version again",
                release.version
            );
            Ok(())
        });
        report.add(names::SUMS, sums);
    }
    Ok(report)
}

/// Checks all files of a release.
pub(super) fn parts(folder: &Folder, release: &Release, progress: &Progress) -> Result<()> {
    let step = progress.step("Checking the files");
    for part in Part::ALL {
        part_holds(folder, release, part).with_context(|| format!("{} is damaged", release.file(part)))?;
    }
    for patches in &release.patches {
        let name = release.patches_file(&patches.from);
        file_holds(folder, &name, &patches.file).with_context(|| format!("{name} is damaged"))?;
    }
    step.done(&release.version);
    Ok(())
}

/// Checks length and digest of a file.
fn file_holds(folder: &Folder, name: &str, artefact: &Artefact) -> Result<()> {
    let mut file = fs_err::File::open(folder.path(name))?;
    let length = file.metadata()?.len();
    ensure!(length == artefact.length, "it has {length} bytes, {} were signed", artefact.length);
    ensure!(digest::sha256_reader(&mut file)? == artefact.sha256, "its digest is not the signed one");
    Ok(())
}

fn part_holds(folder: &Folder, release: &Release, part: Part) -> Result<()> {
    file_holds(folder, &release.file(part), release.part(part))?;
    let range = |part| -> Result<Range> {
        let file = fs_err::File::open(folder.path(&release.file(part)))?.into_file();
        Ok(Range::new(file, 0, release.part(part).length)?)
    };
    match part {
        Part::Usr => Ok(()),
        Part::Uki => {
            let mut bytes = vec![0; usize::try_from(release.uki.length)?];
            range(part)?.read_exact_at(&mut bytes, 0)?;
            uki(&bytes, &release.root_hash, &release.arch)
        }
        Part::Verity => {
            let hash = names::parse_digest(&release.root_hash).context("it has no root hash")?;
            let covered = verity::check(&range(Part::Usr)?, &range(Part::Verity)?, &hash)?;
            let length = release.usr.length;
            ensure!(covered == length, "it covers {covered} bytes, the usr image has {length}");
            Ok(())
        }
        Part::UsrIndex => index_holds(&range(part)?, release.usr.length),
        Part::UkiIndex => index_holds(&range(part)?, release.uki.length),
    }
}

/// Checks that an index is one, and of a file of this length.
fn index_holds(index: &Range, length: u64) -> Result<()> {
    let mut bytes = vec![0; usize::try_from(index.len())?];
    index.read_exact_at(&mut bytes, 0)?;
    let head = twinhull_delta::Head::parse(&bytes)?;
    ensure!(
        head.image_len == length && head.index_len == index.len(),
        "it has {} bytes and is of a file of {}, not of {length}",
        index.len(),
        head.image_len
    );
    Ok(())
}

/// Checks that a UKI starts the usr image with this root hash, on this processor.
pub(super) fn uki(bytes: &[u8], root_hash: &str, arch: &str) -> Result<()> {
    uki::sections("UKI", bytes)?;
    let machine = uki::machine("UKI", bytes)?.name();
    ensure!(machine == arch, "it is for {machine}, not for {arch}");
    let Some(cmdline) = uki::section("UKI", bytes, ".cmdline")? else {
        bail!("it has no kernel command line")
    };
    let text = String::from_utf8_lossy(cmdline);
    Ok(twinhull_release::check_cmdline(root_hash, text.trim_end_matches('\0'))?)
}

/// The report as lines.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let number = |n: Option<u64>| n.map_or("-".into(), |n| n.to_string());
    // Writing to a String can't fail.
    let _ = writeln!(
        text,
        "{} {} (channel {}, serial {}, root {}, expires {})",
        report.image.as_deref().unwrap_or("-"),
        report.version.as_deref().unwrap_or("-"),
        report.channel,
        number(report.serial),
        number(report.root),
        report.expires.map_or("-".into(), time::shown),
    );
    for check in &report.checks {
        let _ = match &check.problem {
            None => writeln!(text, "  ok       {}", check.name),
            Some(problem) => writeln!(text, "  PROBLEM  {}: {problem}", check.name),
        };
    }
    text
}
