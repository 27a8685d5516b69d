//! `org.twinhull.Update1` on the system bus. Methods are for root, as the bus's policy says; properties are for everybody.

use std::sync::mpsc::Sender;

use anyhow::{Context as _, Result};
use tokio::sync::oneshot;
use zbus::blocking::Connection;
use zbus::fdo;
use zbus::object_server::SignalEmitter;

use super::{Job, Request, Shared};
use crate::engine::How;
use crate::machine::Machine;
use crate::restart::Through;
use crate::status::Live;

/// The service's name on the bus.
pub(crate) const NAME: &str = "org.twinhull.Update1";
/// Its only object.
const PATH: &str = "/org/twinhull/Update1";

struct Update1 {
    image: String,
    version: String,
    shared: Shared,
    requests: Sender<Request>,
}

impl Update1 {
    async fn ask(&self, job: Job) -> fdo::Result<String> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| fdo::Error::Failed("the agent is ending".into());
        self.requests.send(Request { job, reply }).map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?.map_err(fdo::Error::Failed)
    }
}

/// A text of the bus that may be empty: there is no "nothing" on it.
fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[zbus::interface(name = "org.twinhull.Update1")]
impl Update1 {
    /// Looks for something newer.
    async fn check(&self) -> fdo::Result<String> {
        self.ask(Job::Check).await
    }

    /// Fetches a newer version into the other slot, and makes nothing boot it.
    async fn fetch(&self, now: bool) -> fdo::Result<String> {
        self.ask(Job::Update(How { now, finish: false })).await
    }

    /// Installs a newer version; the machine boots it next.
    async fn apply(&self, now: bool) -> fdo::Result<String> {
        self.ask(Job::Update(How { now, finish: true })).await
    }

    /// Reboots into what is installed, outside of reboot windows as well; with `force` whoever is logged in. `through` is
    /// `firmware`, `kexec`, `soft-reboot`, or empty for what the image says.
    async fn reboot(&self, force: bool, through: String) -> fdo::Result<String> {
        let through = match through.as_str() {
            "" => None,
            name => Some(Through::parse(name).ok_or_else(|| {
                fdo::Error::InvalidArgs(format!("{name:?} is neither firmware, kexec nor soft-reboot"))
            })?),
        };
        self.ask(Job::Reboot { force, through }).await
    }

    /// Goes back to the version in the other slot with the next reboot.
    async fn rollback(&self) -> fdo::Result<String> {
        self.ask(Job::RollBack).await
    }

    /// Never installs `version`, or any version if it is empty.
    async fn hold(&self, version: String) -> fdo::Result<String> {
        self.ask(Job::Hold(some(version))).await
    }

    /// Undoes `Hold`, and gives a version that was given up new tries.
    async fn release(&self, version: String) -> fdo::Result<String> {
        self.ask(Job::Release(some(version))).await
    }

    /// The image's name.
    #[zbus(property(emits_changed_signal = "const"))]
    fn image(&self) -> String {
        self.image.clone()
    }

    /// The version that runs.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> String {
        self.version.clone()
    }

    /// `trial`, `idle`, `checking`, `installing`, `waiting` or `rebooting`.
    #[zbus(property)]
    fn phase(&self) -> String {
        self.shared.get().phase.name().into()
    }

    /// Why nothing happens, or what does.
    #[zbus(property)]
    fn why(&self) -> String {
        self.shared.get().why.clone()
    }

    /// The version that boots next, if it isn't the one that runs.
    #[zbus(property)]
    fn next(&self) -> String {
        self.shared.get().next.clone()
    }

    /// When it looks for something newer, in seconds since 1970.
    #[zbus(property)]
    fn next_check(&self) -> i64 {
        self.shared.get().next_check
    }

    /// Bytes that are in their place, and all of them. Signals would be many; ask.
    #[zbus(property(emits_changed_signal = "false"))]
    fn progress(&self) -> (u64, u64) {
        self.shared.get().progress
    }
}

/// Puts the object on the bus, and takes the name.
pub(super) fn serve(machine: &Machine, shared: Shared, requests: Sender<Request>) -> Result<Bus> {
    let object = Update1 {
        image: machine.image.clone(),
        version: machine.version.clone(),
        shared: shared.clone(),
        requests,
    };
    let build = || -> zbus::Result<Connection> {
        zbus::blocking::connection::Builder::system()?.serve_at(PATH, object)?.name(NAME)?.build()
    };
    let connection = build().context("the agent can't be on the system bus; is another one running?")?;
    let said = shared.get().clone();
    Ok(Bus { connection, shared, said })
}

/// The service's connection.
pub(super) struct Bus {
    pub(super) connection: Connection,
    shared: Shared,
    /// What was said last.
    said: Live,
}

impl Bus {
    /// Changes what the service says of itself, and tells those who listen.
    pub(super) fn say(&mut self, change: impl FnOnce(&mut Live)) {
        let live = {
            let mut live = self.shared.get();
            change(&mut live);
            live.clone()
        };
        if let Err(error) = self.signal(&live) {
            log::debug!("nobody on the bus was told: {error}");
        }
        self.said = live;
    }

    fn signal(&self, live: &Live) -> zbus::Result<()> {
        let object = self.connection.object_server().interface::<_, Update1>(PATH)?;
        let emitter: &SignalEmitter<'_> = object.signal_emitter();
        let changed = object.get();
        zbus::block_on(async {
            if live.phase != self.said.phase {
                changed.phase_changed(emitter).await?;
            }
            if live.why != self.said.why {
                changed.why_changed(emitter).await?;
            }
            if live.next != self.said.next {
                changed.next_changed(emitter).await?;
            }
            if live.next_check != self.said.next_check {
                changed.next_check_changed(emitter).await?;
            }
            Ok(())
        })
    }
}
