//! The service: looks for newer versions, installs them, and reboots when that is allowed; other programs watch it and ask
//! it for things on the system bus (docs/reference/update-agent.md).
//!
//! One thread does one thing at a time. It keeps nothing that matters to itself: what is on the disk, on the ESP and in
//! the agent's memory says where to go on, so it can be ended at any moment.

mod bus;
mod lock;
mod logind;
mod metrics;
mod worker;

use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};

use crate::engine::How;
use crate::ops::Ops;
use crate::restart::Through;
use crate::status::Live;

pub(crate) use bus::NAME;

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Job {
    Check,
    Update(How),
    Reboot { force: bool, through: Option<Through> },
    RollBack,
    Hold(Option<String>),
    Release(Option<String>),
}

/// A job, and who wants to know how it ended: a JSON text, or what went wrong.
struct Request {
    job: Job,
    reply: tokio::sync::oneshot::Sender<Result<String, String>>,
}

/// What the service says of itself, for the bus and for metrics.
#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Live>>);

impl Shared {
    fn get(&self) -> MutexGuard<'_, Live> {
        // A thread that panicked had nothing half done in here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment after `now`.
fn later(now: Timestamp, pause: SignedDuration) -> Timestamp {
    now.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// The standard library's own seed of its hash maps: random enough for pauses.
fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

/// Runs until somebody ends it. Metrics are in the folder `runtime`.
pub fn run(ops: Ops, runtime: Option<&Path>) -> Result<()> {
    let config = ops.config()?;
    let shared = Shared::default();
    let (sender, requests) = mpsc::channel();
    let bus = bus::serve(&ops.machine, shared.clone(), sender)?;
    let metrics = metrics::Metrics::new(&ops, shared.clone(), runtime);
    if let Err(error) = metrics.listen() {
        log::warn!("metrics have no socket: {error:#}");
    }
    log::info!(
        "{} {} runs; the agent follows {}",
        ops.machine.image,
        ops.machine.version,
        config.urls.join(", ")
    );
    worker::Worker::new(ops, config, bus, shared, metrics)?.run(&requests);
    Ok(())
}
