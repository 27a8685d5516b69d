//! What an image says about its updates, in a file that its builder wrote, and what one machine has different.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use jiff::SignedDuration;
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use twinhull_reboot::{Place, Strategy, StrategyText, Zones};
use twinhull_release::{Envelope, Kind, names};

use crate::restart::Through;

/// Where the image has it.
pub const PATH: &str = "/usr/lib/twinhull/update/config.json";

/// Where a machine has what is different there.
pub const MACHINE_PATH: &str = "/etc/twinhull/update.json";

/// Time zones, for reboot windows.
const ZONES: &str = "/usr/share/zoneinfo";

/// Largest file that is read, in bytes.
const MAX: u64 = 64 << 10;

/// Fewest bytes a second that a machine may be held to: slower, an update would look like an attack that never ends.
const SLOWEST: u64 = 16 << 10;

/// Shortest time between two looks.
const SOONEST: SignedDuration = SignedDuration::from_secs(10);

/// What to follow, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Release folders, BASE of BASE/IMAGE, in the order they are tried.
    pub urls: Vec<String>,
    /// The channel.
    pub channel: String,
    /// File with the first root.
    pub root: PathBuf,
    /// When to reboot into a version that is installed.
    pub reboot: Strategy,
    /// What that reboot goes through.
    pub through: Through,
    /// When to look for something newer.
    pub check: Schedule,
    /// Most bytes a second that are fetched.
    pub bandwidth: Option<u64>,
    /// The machine's place in every rollout, instead of one by its id.
    pub wariness: Option<Place>,
}

/// When to look for something newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How long after the agent has started, and up to as long again.
    pub first: SignedDuration,
    /// How long between two looks. Each is up to a quarter longer, as a fleet that was started together doesn't ask
    /// together.
    pub every: SignedDuration,
}

/// The image's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    urls: Vec<String>,
    channel: String,
    /// Beside this file unless it is absolute.
    root: PathBuf,
    reboot: Option<StrategyText>,
    #[serde(default)]
    reboot_through: Through,
    bandwidth: Option<u64>,
}

/// The machine's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Different {
    urls: Option<Vec<String>>,
    channel: Option<String>,
    reboot: Option<StrategyText>,
    reboot_through: Option<Through>,
    bandwidth: Option<u64>,
    wariness: Option<f64>,
    first_check: Option<SignedDuration>,
    check_every: Option<SignedDuration>,
}

impl Config {
    /// Reads the image's file at `path`, and the machine's at `machine` if there is one. Errors name the files.
    pub fn read(path: &Path, machine: &Path) -> Result<Self> {
        let hint = || format!("{} can't be used; does this image follow any updates?", path.display());
        let written: Written = parse(path).and_then(|w| w.context("it does not exist")).with_context(hint)?;
        let different: Option<Different> =
            parse(machine).with_context(|| format!("{} can't be used", machine.display()))?;
        let files = match &different {
            None => path.display().to_string(),
            Some(_) => format!("{} with what {} says", path.display(), machine.display()),
        };
        let root = path.parent().unwrap_or(Path::new("")).join(&written.root);
        Config::new(written, different.unwrap_or_default(), root)
            .with_context(|| format!("{files} can't be used"))
    }

    fn new(written: Written, different: Different, root: PathBuf) -> Result<Self> {
        let config = Config {
            urls: different.urls.unwrap_or(written.urls),
            channel: different.channel.unwrap_or(written.channel),
            root,
            reboot: {
                let strategy = different.reboot.or(written.reboot).unwrap_or(StrategyText::Manual);
                Strategy::new(&strategy, &Zones::new(ZONES)).context("reboot")?
            },
            through: different.reboot_through.unwrap_or(written.reboot_through),
            check: Schedule {
                first: different.first_check.unwrap_or(SignedDuration::from_mins(5)),
                every: different.check_every.unwrap_or(SignedDuration::from_hours(1)),
            },
            bandwidth: different.bandwidth.or(written.bandwidth),
            wariness: different.wariness.map(Place::wary).transpose().context("wariness")?,
        };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<()> {
        ensure!(!self.urls.is_empty(), "urls is empty; it needs the address of at least one release folder");
        for url in &self.urls {
            let parsed = Url::parse(url).with_context(|| format!("{url:?} in urls is no address"))?;
            ensure!(matches!(parsed.scheme(), "http" | "https"), "{url:?} in urls is neither http nor https");
            ensure!(
                parsed.query().is_none() && parsed.fragment().is_none(),
                "{url:?} in urls has more than a path"
            );
        }
        ensure!(names::is_channel(&self.channel), "channel is {:?}, which is no channel name", self.channel);
        if let Some(bandwidth) = self.bandwidth {
            ensure!(
                bandwidth >= SLOWEST,
                "bandwidth is {bandwidth} bytes a second, which is too slow to ever be done; at least {SLOWEST} are needed"
            );
        }
        let Schedule { first, every } = self.check;
        ensure!(!first.is_negative(), "first-check is {first:#}, which is before the start");
        ensure!(every >= SOONEST, "check-every is {every:#}, at least {SOONEST:#} are needed");
        Ok(())
    }

    /// The root that the image came with.
    pub fn first_root(&self) -> Result<Envelope> {
        let envelope = Envelope::read(Kind::Root, &self.root);
        let envelope = envelope.with_context(|| format!("{} can't be used", self.root.display()))?;
        envelope.with_context(|| format!("{} does not exist", self.root.display()))
    }
}

/// The file at `path`, if there is one.
fn parse<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let file = match fs_err::File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.take(MAX + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= MAX, "it has more than {MAX} bytes");
    Ok(Some(serde_json::from_str(&text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"urls":["https://u.example.com/base"],"channel":"stable","root":"1.root.json"}"#;

    fn read(image: &str, machine: Option<&str>) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let (path, different) = (dir.path().join("config.json"), dir.path().join("update.json"));
        fs_err::write(&path, image).unwrap();
        if let Some(machine) = machine {
            fs_err::write(&different, machine).unwrap();
        }
        let config = Config::read(&path, &different).map_err(|error| format!("{error:#}"))?;
        assert_eq!(config.root, dir.path().join("1.root.json"));
        Ok(config)
    }

    #[test]
    fn mistakes_are_named() {
        read(GOOD, None).unwrap();
        for (from, to, word) in [
            ("https://u", "ftp://u", "neither http nor https"),
            ("https://u.example.com/base", "x", "is no address"),
            ("/base", "/base?x", "more than a path"),
            ("\"https://u.example.com/base\"", "", "urls is empty"),
            ("stable", "Stable", "no channel name"),
            ("\"root\"", "\"boot\"", "boot"),
        ] {
            let error = read(&GOOD.replace(from, to), None).unwrap_err();
            assert!(error.contains(word) && error.contains("config.json"), "{error}");
        }
    }

    #[test]
    fn a_machine_may_differ() {
        let plain = read(GOOD, None).unwrap();
        assert_eq!((plain.reboot, plain.check.every), (Strategy::Manual, SignedDuration::from_hours(1)));
        let config = read(
            GOOD,
            Some(
                r#"{"urls":["http://near"],"channel":"beta","reboot":"immediate","bandwidth":100000,
                    "wariness":0.5,"first-check":"5s","check-every":"PT30M"}"#,
            ),
        )
        .unwrap();
        assert_eq!((config.urls[0].as_str(), config.channel.as_str()), ("http://near", "beta"));
        assert_eq!((config.reboot, config.bandwidth), (Strategy::Immediate, Some(100_000)));
        let (first, every) = (SignedDuration::from_secs(5), SignedDuration::from_mins(30));
        assert_eq!((config.check, config.wariness.is_some()), (Schedule { first, every }, true));
        for (text, word) in [
            ("{", "EOF"),
            (r#"{"urls":[]}"#, "urls is empty"),
            (r#"{"bandwidth":100}"#, "at least 16384 are needed"),
            (r#"{"wariness":1.5}"#, "wariness"),
            (r#"{"check-every":"1s"}"#, "at least 10s are needed"),
            (r#"{"first-check":"-1h"}"#, "before the start"),
            (r#"{"reboot":"sometimes"}"#, "sometimes"),
            (r#"{"reboot":{"windows":{"windows":[{"start":"25:00","length":"2h"}]}}}"#, "reboot window 1"),
            (r#"{"root":"x"}"#, "root"),
        ] {
            let error = read(GOOD, Some(text)).unwrap_err();
            assert!(error.contains(word) && error.contains("update.json"), "{text}: {error}");
        }
    }
}
