//! SIGINT, SIGTERM and SIGHUP as a flag the waiting loop looks at, so that every exit is an ordinary
//! return that cleans up behind itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Remembers the last of the ending signals; the handlers go away with it.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    last: Arc<AtomicUsize>,
    ids: Vec<SigId>,
}

impl Signals {
    /// Watches the signals, or nothing when `handle` is false.
    pub(crate) fn watch(handle: bool) -> Result<Self> {
        let mut signals = Signals::default();
        if handle {
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                let id = signal_hook::flag::register_usize(signal, signals.last.clone(), signal as usize)
                    .with_context(|| format!("no handler could be set for signal {signal}"))?;
                signals.ids.push(id);
            }
        }
        Ok(signals)
    }

    /// The signal that came, if one did.
    pub(crate) fn pending(&self) -> Option<u8> {
        match self.last.load(Ordering::SeqCst) {
            0 => None,
            signal => u8::try_from(signal).ok(),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
