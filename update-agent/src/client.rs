//! The service as the command line sees it: asked on the system bus, when it is there.

use anyhow::{Context as _, Result, anyhow};
use serde::de::DeserializeOwned;
use zbus::blocking::Connection;
use zbus::proxy::CacheProperties;

use crate::engine::{How, Outcome, Show};
use crate::ops::{Places, Seen};
use crate::restart::Through;
use crate::service;
use crate::status::{Live, Phase};

/// Between two looks at how far an update is.
const SOON: std::time::Duration = std::time::Duration::from_millis(300);

#[zbus::proxy(
    interface = "org.twinhull.Update1",
    default_service = "org.twinhull.Update1",
    default_path = "/org/twinhull/Update1",
    gen_async = false
)]
trait Update1 {
    fn check(&self) -> zbus::Result<String>;
    fn fetch(&self, now: bool) -> zbus::Result<String>;
    fn apply(&self, now: bool) -> zbus::Result<String>;
    fn reboot(&self, force: bool, through: &str) -> zbus::Result<String>;
    fn rollback(&self) -> zbus::Result<String>;
    fn hold(&self, version: &str) -> zbus::Result<String>;
    fn release(&self, version: &str) -> zbus::Result<String>;
    #[zbus(property)]
    fn phase(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn why(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn next(&self) -> zbus::Result<String>;
    #[zbus(property)]
    fn next_check(&self) -> zbus::Result<i64>;
    #[zbus(property)]
    fn progress(&self) -> zbus::Result<(u64, u64)>;
}

/// A service that runs.
pub(crate) struct Client {
    proxy: Update1Proxy<'static>,
}

impl Client {
    /// The service, if it runs and is about this machine: whoever names another disk means that one.
    pub(crate) fn find(places: &Places) -> Option<Self> {
        if *places != Places::default() {
            return None;
        }
        let connection = Connection::system().ok()?;
        let bus = zbus::blocking::fdo::DBusProxy::new(&connection).ok()?;
        let there = bus.name_has_owner(service::NAME.try_into().ok()?).ok()?;
        if !there {
            return None;
        }
        let proxy = Update1Proxy::builder(&connection).cache_properties(CacheProperties::No);
        Some(Client { proxy: proxy.build().ok()? })
    }

    pub(crate) fn live(&self) -> Result<Live> {
        let read = || -> zbus::Result<Live> {
            let phase = self.proxy.phase()?;
            Ok(Live {
                phase: Phase::ALL.into_iter().find(|known| known.name() == phase).unwrap_or_default(),
                why: self.proxy.why()?,
                progress: self.proxy.progress()?,
                next_check: self.proxy.next_check()?,
                next: self.proxy.next()?,
            })
        };
        read().map_err(plain)
    }

    pub(crate) fn check(&self) -> Result<Seen> {
        answer(self.proxy.check())
    }

    /// As [`crate::ops::Ops::update`].
    pub(crate) fn update(&self, how: How, show: Show<'_>) -> Result<Outcome> {
        std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                answer(if how.finish { self.proxy.apply(how.now) } else { self.proxy.fetch(how.now) })
            });
            let mut installing = false;
            while !work.is_finished() {
                std::thread::sleep(SOON);
                installing |= self.proxy.phase().is_ok_and(|phase| phase == Phase::Installing.name());
                if installing && let Ok((bytes, total)) = self.proxy.progress() {
                    show(bytes, total);
                }
            }
            work.join().map_err(|_| anyhow!("the request to the service broke off"))?
        })
    }

    pub(crate) fn reboot(&self, force: bool, through: Option<Through>) -> Result<serde_json::Value> {
        answer(self.proxy.reboot(force, through.map_or("", Through::name)))
    }

    pub(crate) fn roll_back(&self) -> Result<serde_json::Value> {
        answer(self.proxy.rollback())
    }

    pub(crate) fn hold(&self, version: Option<&str>) -> Result<serde_json::Value> {
        answer(self.proxy.hold(version.unwrap_or_default()))
    }

    pub(crate) fn release(&self, version: Option<&str>) -> Result<serde_json::Value> {
        answer(self.proxy.release(version.unwrap_or_default()))
    }
}

fn answer<T: DeserializeOwned>(text: zbus::Result<String>) -> Result<T> {
    serde_json::from_str(&text.map_err(plain)?).context("the service answered something else than was asked")
}

/// The service's own words, without those of the bus.
fn plain(error: zbus::Error) -> anyhow::Error {
    match &error {
        zbus::Error::MethodError(name, text, _) => match (name.as_str(), text) {
            ("org.freedesktop.DBus.Error.AccessDenied", _) => {
                anyhow!("only root may do this; try it with sudo")
            }
            (_, Some(text)) => anyhow!("{text}"),
            _ => anyhow!("{name}"),
        },
        _ => anyhow::Error::new(error).context("the service can't be asked"),
    }
}
