//! Tells whoever wanted to know that this machine is up: on the real root, once the boot is complete.
//!
//! The initrd leaves what is to be told in /run and has twinhull-check-in.service started. Some platforms take a
//! machine that never says anything for broken, so it is asked again for minutes, while the machine does its work.

use std::io;
use std::time::Duration;

use log::Level;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::console::{self, Console};
use crate::http::{Ask, Header, Http, METADATA_LIMIT};
use crate::machine::{Hostname, Machine};
use crate::render::Plan;
use crate::rooted::Rooted;
use crate::source::Host;
use crate::store::Store;
use crate::userdata::{PhoneHome, Told};
use crate::{Error, Result};

const PATH: &str = "/run/twinhull/check-in.json";
const ROLE: &str = "what is to be told at check-in";

const LINK: &str = "/etc/systemd/system/multi-user.target.wants/twinhull-check-in.service";
const UNIT: &str = "/usr/lib/systemd/system/twinhull-check-in.service";

/// How long somebody who isn't there is waited for, in all.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A way to send something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// PATCH.
    Patch,
    /// POST.
    Post,
}

impl Method {
    /// As in the first line of a request.
    pub fn name(self) -> &'static str {
        match self {
            Method::Patch => "PATCH",
            Method::Post => "POST",
        }
    }
}

/// A request that tells somebody that the machine is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who is told, in a word.
    pub whom: String,
    /// How.
    pub method: Method,
    /// Where.
    pub url: String,
    /// Names and values.
    pub headers: Vec<Header>,
    /// What.
    pub body: String,
    /// Whether user data want it: it is told once and not on every boot, and its URL, which may have a secret in it, is
    /// never shown.
    pub of_user_data: bool,
}

impl Report {
    /// What is remembered of it.
    fn digest(&self) -> String {
        let hash = Sha256::digest(format!("{} {} {}", self.method.name(), self.url, self.body));
        hash.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// Where user data want the machine to call, and who it is.
#[derive(Debug)]
pub struct Home {
    home: PhoneHome,
    hostname: Option<Hostname>,
    instance: Option<String>,
}

impl Home {
    /// The call of a plan, if it has one.
    pub fn of(plan: &Plan, machine: &Machine) -> Option<Self> {
        let home = plan.phone_home.clone()?;
        Some(Home { home, hostname: plan.hostname.clone(), instance: machine.instance_id.clone() })
    }

    /// As cloud-init sends it: a form, with `N/A` where there is nothing to be said. The host key is that of `store`.
    pub fn report(&self, store: &Store) -> Report {
        let value = |told: Told| match told {
            Told::InstanceId => self.instance.clone(),
            Told::Fqdn => self.hostname.as_ref().map(|name| name.as_str().to_owned()),
            Told::Hostname => {
                self.hostname.as_ref().and_then(|name| name.as_str().split('.').next()).map(str::to_owned)
            }
            Told::HostKey => fs_err::read_to_string(store.path("ssh/ssh_host_ed25519_key.pub")).ok(),
        };
        let pair = |told: &Told| {
            let value = value(*told).unwrap_or_else(|| "N/A".into());
            format!("{}={}", told.name(), escape(value.trim()))
        };
        let instance = escape(self.instance.as_deref().unwrap_or("N/A"));
        Report {
            whom: "the URL of user data".into(),
            method: Method::Post,
            url: self.home.url.replace("$INSTANCE_ID", &instance),
            headers: vec![("Content-Type".into(), "application/x-www-form-urlencoded".into())],
            body: self.home.fields.iter().map(pair).collect::<Vec<_>>().join("&"),
            of_user_data: true,
        }
    }
}

/// For a form or a URL (RFC 3986, unreserved characters stay).
fn escape(text: &str) -> String {
    let byte = |b: u8| match b {
        b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The digest of what user data had told last.
const TOLD: &str = "told";

/// Whether a report is still to be sent.
fn is_news(report: &Report, store: &Store) -> bool {
    let told = || fs_err::read_to_string(store.path(TOLD)).unwrap_or_default();
    !report.of_user_data || told().trim() != report.digest()
}

/// Has these reports sent when the boot is complete; with none, nothing is started then.
pub fn prepare(reports: &[Report], host: &Host<'_>, store: &Store, rooted: &Rooted) -> Result<()> {
    let path = host.path(PATH);
    let reports: Vec<&Report> = reports.iter().filter(|report| is_news(report, store)).collect();
    if reports.is_empty() {
        // One of the system before a soft-reboot.
        return match fs_err::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file(ROLE, path)(e)),
            _ => Ok(()),
        };
    }
    let json = serde_json::to_vec_pretty(&reports).map_err(io::Error::other);
    json.and_then(|json| twinhull_sysutil::atomic::replace(&path, &json, 0o600))
        .map_err(Error::file(ROLE, path))?;
    rooted.link(LINK, UNIT).map_err(Error::file(ROLE, LINK))
}

/// Sends what the initrd left, each report until it arrives or its `patience` is over. Whether all of them arrived.
pub fn send(host: &Host<'_>, store: &Store, patience: Duration, console: &mut Console<'_>) -> Result<bool> {
    let path = host.path(PATH);
    let bytes = fs_err::read(&path).map_err(Error::file(ROLE, &path))?;
    let reports: Vec<Report> = serde_json::from_slice(&bytes).map_err(|e| Error::Document {
        place: path.display().to_string(),
        problem: format!("these are no reports of ours: {e}"),
    })?;
    let mut all = true;
    // Started by hand once more, the service has told some of it before.
    for report in reports.iter().filter(|report| is_news(report, store)) {
        // Whoever isn't there takes no time from the others.
        let http = Http::new(host.clock, patience);
        let mut fields = vec![("TWINHULL_WHOM", report.whom.clone())];
        if !report.of_user_data {
            fields.push(("TWINHULL_PLACE", report.url.clone()));
        }
        match tell(report, &http) {
            Ok(()) => {
                console.event(
                    Level::Info,
                    console::TOLD,
                    fields,
                    format!("{} has been told that this machine is up", report.whom),
                );
                if report.of_user_data
                    && let Err(error) = remember(report, store)
                {
                    console.warn(format!("that it was told can't be remembered: {error}"));
                }
            }
            Err(error) => {
                all = false;
                let error = match error {
                    Error::Http { came_back, .. } if report.of_user_data => came_back,
                    error => error.to_string(),
                };
                fields.push(("TWINHULL_CAME_BACK", error.clone()));
                console.event(
                    Level::Error,
                    console::NOT_TOLD,
                    fields,
                    format!(
                        "{} could not be told that this machine is up: {error}; `systemctl restart \
                         twinhull-check-in.service` tries again",
                        report.whom
                    ),
                );
            }
        }
    }
    Ok(all)
}

fn remember(report: &Report, store: &Store) -> Result<()> {
    let path = store.path(TOLD);
    let text = format!("{}\n", report.digest());
    twinhull_sysutil::atomic::replace(&path, text.as_bytes(), 0o600)
        .map_err(Error::file("the record of what was told", path))
}

fn tell(report: &Report, http: &Http<'_>) -> Result<()> {
    // A service that isn't there yet may have another one answer in its place.
    let ask = Ask {
        method: report.method.name(),
        headers: &report.headers,
        body: report.body.as_bytes(),
        not_yet: &[404],
        ..Ask::get(METADATA_LIMIT)
    };
    http.ask(std::slice::from_ref(&report.url), &ask).map(|_| ())
}
