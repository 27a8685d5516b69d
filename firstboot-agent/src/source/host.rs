//! The machine the agent runs on, as far as sources look at it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Clock;
use crate::network::Mac;

/// The machine the agent runs on, as far as sources look at it.
pub struct Host<'a> {
    /// Root of /proc, /sys, /dev and /run.
    pub root: PathBuf,
    /// Time.
    pub clock: &'a dyn Clock,
}

impl std::fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<'a> Host<'a> {
    /// The machine this runs on.
    pub fn here(clock: &'a dyn Clock) -> Self {
        Host { root: PathBuf::from("/"), clock }
    }

    /// A path of the host.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The words of the kernel command line.
    pub fn command_line(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.path("/proc/cmdline")).unwrap_or_default();
        text.split_whitespace().map(|w| w.trim_matches('"').to_owned()).collect()
    }

    /// The value of the last `name=value` on the kernel command line.
    pub fn option(&self, name: &str) -> Option<String> {
        let words = self.command_line();
        words.iter().rev().find_map(|w| w.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    }

    /// What the firmware says in a field of /sys/class/dmi/id; empty when it says nothing.
    pub fn dmi(&self, field: &str) -> String {
        let text = fs_err::read_to_string(self.path(&format!("/sys/class/dmi/id/{field}")));
        text.map(|t| t.trim().to_owned()).unwrap_or_default()
    }

    /// The firmware's UUID of this machine, unless it is one that many machines have.
    pub fn uuid(&self) -> Option<String> {
        let text = self.dmi("product_uuid").to_ascii_lowercase();
        let digits: Vec<char> = text.chars().filter(|c| *c != '-').collect();
        let good = digits.len() == 32
            && digits.iter().all(char::is_ascii_hexdigit)
            && digits.iter().any(|c| *c != digits[0]);
        good.then_some(text)
    }

    /// MAC addresses of Ethernet cards, virtual interfaces left out.
    pub fn cards(&self) -> Vec<Mac> {
        let Ok(entries) = fs_err::read_dir(self.path("/sys/class/net")) else { return Vec::new() };
        let read = |dir: &Path, file: &str| {
            fs_err::read_to_string(dir.join(file)).map(|t| t.trim().to_owned()).unwrap_or_default()
        };
        let mut cards: Vec<Mac> = entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| read(p, "type") == "1" && p.join("device").exists())
            .filter_map(|p| read(&p, "address").parse().ok())
            .collect();
        cards.sort();
        cards.dedup();
        cards
    }

    /// How long a source on the network may take: the command line says, or two minutes for a machine
    /// that knows nothing yet and ten seconds for one that does.
    pub fn bound(&self, known: bool) -> Duration {
        let asked = self.option("twinhull.provision-timeout").and_then(|t| t.parse().ok());
        Duration::from_secs(asked.unwrap_or(if known { 10 } else { 120 }).clamp(1, 240))
    }
}
