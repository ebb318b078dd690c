//! Ctrl-C and SIGTERM.
//!
//! The first one asks the run to stop: reading ends, what is in flight is finished, nothing half-written is left, and the exit code is 130. The second one ends the process at once.
//! A process among several ends at the first: its part of the input would be missing in what the others publish, so they must fail rather than finish.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::cli::{failure, output};

/// What the signals of this process say.
#[derive(Clone, Default)]
pub struct Interrupt {
    /// Ends reading; also set by the engine when it fails.
    pub stop: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on; `at_once` does not wait for a second signal.
    pub fn listen(at_once: bool) -> Result<Interrupt> {
        let interrupt = Interrupt::default();
        let listener = interrupt.clone();
        let handler = move || {
            if listener.asked.swap(true, Ordering::SeqCst) || at_once {
                output::abandon();
                std::process::exit(failure::INTERRUPTED.into());
            }
            listener.stop.store(true, Ordering::SeqCst);
        };
        ctrlc::set_handler(handler).context("cannot listen to signals")?;
        Ok(interrupt)
    }

    /// Whether a signal came.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}
