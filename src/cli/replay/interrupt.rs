//! What signals mean to a replay: reading ends, what is in flight is finished, nothing half-written
//! is left, and the exit code is 130.
//!
//! A process among several ends at the first: its part of the input would be missing in what the
//! others publish, so they must fail rather than finish.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Result;

use super::growth::Growth;
use crate::cli::signals;

/// What the signals of this process say.
#[derive(Clone, Default)]
pub struct Interrupt {
    /// Ends reading; also set by the engine when it fails.
    pub stop: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    growth: Arc<OnceLock<Growth>>,
}

impl Interrupt {
    /// Listens from now on; `at_once` does not wait for a second signal.
    pub fn listen(at_once: bool) -> Result<Interrupt> {
        let interrupt = Interrupt::default();
        let listener = interrupt.clone();
        let first = move || {
            listener.asked.store(true, Ordering::SeqCst);
            listener.stop.store(true, Ordering::SeqCst);
            let most = listener.growth.get().and_then(Growth::most);
            format!("stopping{}", most.map_or_else(String::new, |most| format!("; {most}")))
        };
        signals::listen(at_once, first, "ended while operators were busy; no rows were written")?;
        Ok(interrupt)
    }

    /// Whether a signal came.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// What to tell of when a signal comes.
    pub fn watches(&self, growth: Growth) {
        // a run is prepared once
        let _ = self.growth.set(growth);
    }
}
