//! What an image says about its updates: a file that its builder wrote.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use reqwest::Url;
use serde::Deserialize;
use twinhull_release::{Envelope, Kind, names};

/// Where the image has it.
pub const PATH: &str = "/usr/lib/twinhull/update/config.json";

/// Largest file that is read, in bytes.
const MAX: u64 = 64 << 10;

/// What to follow, and where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Release folders, BASE of BASE/IMAGE, in the order they are tried.
    pub urls: Vec<String>,
    /// The channel.
    pub channel: String,
    /// The first root, beside this file unless it is absolute.
    pub root: PathBuf,
    /// When to reboot into a version that is installed.
    #[serde(default)]
    pub reboot: Reboot,
}

/// When to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reboot {
    /// At once, unless somebody is logged in or a program inhibits it.
    Immediate,
    /// When somebody does it.
    #[default]
    Manual,
}

impl Config {
    /// Reads the file at `path`. Errors name it.
    pub fn read(path: &Path) -> Result<Self> {
        let read = || -> Result<Config> {
            let mut text = String::new();
            fs_err::File::open(path)?.take(MAX + 1).read_to_string(&mut text)?;
            ensure!(text.len() as u64 <= MAX, "it has more than {MAX} bytes");
            let mut config: Config = serde_json::from_str(&text)?;
            config.validate()?;
            config.root = path.parent().unwrap_or(Path::new("")).join(&config.root);
            Ok(config)
        };
        read()
            .with_context(|| format!("{} can't be used; does this image follow any updates?", path.display()))
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
        Ok(())
    }

    /// The root that the image came with.
    pub fn first_root(&self) -> Result<Envelope> {
        let envelope = Envelope::read(Kind::Root, &self.root);
        let envelope = envelope.with_context(|| format!("{} can't be used", self.root.display()))?;
        envelope.with_context(|| format!("{} does not exist", self.root.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let good = r#"{"urls":["https://u.example.com/base"],"channel":"stable","root":"1.root.json"}"#;
        fs_err::write(&path, good).unwrap();
        assert_eq!(Config::read(&path).unwrap().root, dir.path().join("1.root.json"));
        for (from, to, word) in [
            ("https://u", "ftp://u", "neither http nor https"),
            ("https://u.example.com/base", "x", "is no address"),
            ("/base", "/base?x", "more than a path"),
            ("\"https://u.example.com/base\"", "", "urls is empty"),
            ("stable", "Stable", "no channel name"),
            ("\"root\"", "\"boot\"", "boot"),
        ] {
            fs_err::write(&path, good.replace(from, to)).unwrap();
            let error = format!("{:#}", Config::read(&path).unwrap_err());
            assert!(error.contains(word) && error.contains("config.json"), "{error}");
        }
    }
}
