//! The machine's part of a fleet lock: given back when the machine is well after its start, asked for before a reboot.

use jiff::{SignedDuration, Timestamp};
use twinhull_reboot::fleetlock::{Answer, Backoff, Client, Options, Proxies};
use twinhull_reboot::{Lock, MachineId, Strategy};

use super::{later, random};

/// When to ask again what was refused: somebody has to change something.
const REFUSED: SignedDuration = SignedDuration::from_hours(1);

type Pauses = Backoff<fn() -> u64>;

/// The lock of a server, if the strategy has one.
pub(super) struct FleetLock {
    server: Option<(Client, Pauses)>,
    state: Lock,
    /// The server knows that this machine is well and needs no lock.
    steady: bool,
    /// It was asked since then, and may have given the lock even if no answer came.
    asked: bool,
    /// When to tell it again.
    again: Timestamp,
}

impl FleetLock {
    /// The lock that `strategy` asks for. Without a machine id there is nobody to give one to, and the machine doesn't
    /// reboot.
    pub(super) fn new(strategy: &Strategy, id: Option<&MachineId>) -> anyhow::Result<Self> {
        let server = match strategy {
            Strategy::FleetLock { server, .. } => {
                let id =
                    id.ok_or_else(|| anyhow::anyhow!("without a machine id there are no fleet locks"))?;
                let options = Options {
                    proxies: Proxies::from_env(|name| std::env::var(name).ok()),
                    ..Options::default()
                };
                Some((Client::new(server, &id.app_specific(), &options)?, pauses()))
            }
            _ => None,
        };
        Ok(FleetLock {
            steady: server.is_none(),
            asked: false,
            server,
            state: Lock::Open,
            again: Timestamp::MIN,
        })
    }

    /// What is known.
    pub(super) fn state(&self) -> &Lock {
        &self.state
    }

    /// Makes sure the server knows that the machine is well. `Err` has the reason and when to try again.
    pub(super) fn be_steady(&mut self, now: Timestamp) -> Result<(), (String, Timestamp)> {
        let Some((client, pauses)) = &mut self.server else { return Ok(()) };
        if self.steady {
            return Ok(());
        }
        let waiting = "the lock server has not been told yet that this machine is well".to_owned();
        if now < self.again {
            return Err((waiting, self.again));
        }
        let (reason, pause) = match client.unlock() {
            Answer::Done => {
                (self.steady, self.state, *pauses) = (true, Lock::Open, self::pauses());
                return Ok(());
            }
            Answer::Retry { reason } => (reason, next(pauses)),
            Answer::Refused { value, .. } => (value, REFUSED),
        };
        self.again = later(now, pause);
        log::info!("the lock server does not take the machine's lock back: {reason}");
        Err((format!("{waiting}: {reason}"), self.again))
    }

    /// Asks for the lock.
    pub(super) fn ask(&mut self, now: Timestamp) {
        let Some((client, pauses)) = &mut self.server else { return };
        self.asked = true;
        self.state = match client.lock() {
            Answer::Done => Lock::Held,
            Answer::Retry { reason } => Lock::Denied { again: Some(later(now, next(pauses))), reason },
            Answer::Refused { value, .. } => Lock::Denied { again: Some(later(now, REFUSED)), reason: value },
        };
        if self.state == Lock::Held {
            log::info!("the lock server lets this machine reboot");
            *pauses = self::pauses();
        }
    }

    /// The machine doesn't reboot after all, until `until`: others may. Waiting for the lock itself gives nothing back.
    pub(super) fn not_now(&mut self, until: Option<Timestamp>) {
        let for_the_lock = matches!(&self.state, Lock::Denied { again, .. } if *again == until);
        if self.asked && !for_the_lock {
            (self.asked, self.steady, self.state, self.again) = (false, false, Lock::Open, Timestamp::MIN);
        }
    }
}

fn pauses() -> Pauses {
    Backoff::new(random as fn() -> u64)
}

fn next(pauses: &mut Pauses) -> SignedDuration {
    let pause = pauses.next().unwrap_or_default();
    SignedDuration::try_from(pause).unwrap_or(REFUSED)
}
