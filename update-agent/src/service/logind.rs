//! What logind knows and does: what inhibits a reboot, who is logged in, the reboot itself. Every answer may be an error,
//! which `twinhull-reboot` takes for a no.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;

use rustix::fs::OFlags;
use twinhull_reboot::{Inhibitor, Session};
use zbus::blocking::Connection;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use crate::restart::Through;

/// `SD_LOGIND_REBOOT_VIA_KEXEC` (org.freedesktop.login1(5)).
const VIA_KEXEC: u64 = 1 << 1;
/// `SD_LOGIND_SOFT_REBOOT`.
const SOFT_REBOOT: u64 = 1 << 2;

/// Most sessions that are asked about: each is a question.
const MOST: usize = 256;

/// What, who, why, mode, user and process.
type Inhibits = (String, String, String, String, u32, u32);
/// Session, user, user's name, seat and object.
type LoggedIn = (String, u32, String, String, OwnedObjectPath);

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1",
    gen_async = false
)]
trait Manager {
    fn list_inhibitors(&self) -> zbus::Result<Vec<Inhibits>>;
    fn list_sessions(&self) -> zbus::Result<Vec<LoggedIn>>;
    fn reboot(&self, interactive: bool) -> zbus::Result<()>;
    fn reboot_with_flags(&self, flags: u64) -> zbus::Result<()>;
}

/// logind, over the bus.
pub(super) struct Logind {
    connection: Connection,
}

impl Logind {
    pub(super) fn new(connection: &Connection) -> Self {
        Logind { connection: connection.clone() }
    }

    /// What inhibits something.
    pub(super) fn inhibitors(&self) -> zbus::Result<Vec<Inhibitor>> {
        let all = ManagerProxy::new(&self.connection)?.list_inhibitors()?;
        Ok(all.into_iter().map(|(what, who, why, mode, ..)| Inhibitor { what, who, why, mode }).collect())
    }

    /// Who is logged in.
    pub(super) fn sessions(&self) -> zbus::Result<Vec<Session>> {
        let all = ManagerProxy::new(&self.connection)?.list_sessions()?;
        if all.len() > MOST {
            return Err(zbus::Error::Failure(format!("{} sessions are more than anybody has", all.len())));
        }
        let mut sessions = Vec::new();
        for (.., path) in &all {
            match self.session(path) {
                Ok(session) => sessions.push(session),
                // Gone in the meantime. Everything else is for the caller.
                Err(zbus::Error::FDO(e)) if matches!(*e, zbus::fdo::Error::UnknownObject(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sessions)
    }

    fn session(&self, path: &OwnedObjectPath) -> zbus::Result<Session> {
        let properties = zbus::blocking::fdo::PropertiesProxy::builder(&self.connection)
            .destination("org.freedesktop.login1")?
            .path(path)?
            .build()?;
        let interface = zbus::names::InterfaceName::try_from("org.freedesktop.login1.Session")?;
        let all: HashMap<String, OwnedValue> = properties.get_all(interface)?;
        let text = |name: &str| -> zbus::Result<String> {
            let value = all.get(name).ok_or(zbus::Error::MissingParameter("a property of a session"))?;
            Ok(String::try_from(value.try_clone()?)?)
        };
        let flag = |name: &str| all.get(name).and_then(|value| bool::try_from(value).ok()).unwrap_or(false);
        Ok(Session {
            user: text("Name")?,
            class: text("Class")?,
            tty: Some(text("TTY")?).filter(|tty| !tty.is_empty()),
            remote: flag("Remote"),
            idle: flag("IdleHint"),
        })
    }

    /// Reboots into what is there for that. It has begun when this returns.
    pub(super) fn reboot(&self, through: Through) -> zbus::Result<()> {
        let manager = ManagerProxy::new(&self.connection)?;
        match through {
            Through::Firmware => manager.reboot(false),
            Through::Kexec => manager.reboot_with_flags(VIA_KEXEC),
            Through::SoftReboot => manager.reboot_with_flags(SOFT_REBOOT),
        }
    }
}

/// Says `text` on the terminals of everybody who is logged in, as wall(1) does.
pub(super) fn broadcast(sessions: &[Session], text: &str) {
    for tty in sessions.iter().filter_map(|session| session.tty.as_deref()) {
        if let Err(error) = write(tty, text) {
            log::info!("the terminal {tty} was not told: {error}");
        }
    }
}

fn write(tty: &str, text: &str) -> std::io::Result<()> {
    let plain = !tty.split('/').any(|part| part.is_empty() || part == ".." || part == ".");
    if !plain {
        return Err(std::io::Error::other("that is no terminal's name"));
    }
    // Somebody may have stopped its output, or hung up.
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(Path::new("/dev").join(tty), flags, rustix::fs::Mode::empty())?;
    if !rustix::termios::isatty(&file) {
        return Err(std::io::Error::other("that is no terminal"));
    }
    let text = format!("\r\n\x07{}\r\n", text.replace('\n', "\r\n"));
    std::fs::File::from(file).write_all(text.as_bytes())
}
