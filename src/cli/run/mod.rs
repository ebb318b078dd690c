//! `helkflow run`: topics in, topics out, until it is told to stop.
//!
//! ```text
//!  defaults ◀ configuration file ◀ environment ◀ flags      each may say what those before it say
//!     │
//!     ▼
//!  resolved ─▶ printed, secrets masked ─▶ engine ─▶ SIGTERM ─▶ exit 0
//! ```
//!
//! A run that has not ended four seconds after SIGTERM is ended, with 130: what is not published by
//! then is read again by the next run that has its state.

mod args;
mod config;
mod logging;
mod memory;
mod properties;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;

pub use args::RunArgs;
use config::Config;

use super::{Failure, hosts, signals, statements};
use crate::connect::kafka::{Guarantee, Start};
use crate::engine::live::{self, LiveError};
use crate::server;

/// Runs until SIGTERM or SIGINT, or until something ends it.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    memory::settle();
    let config = Config::resolve(args)?;
    logging::start(config.log_format)?;
    let script =
        statements::load_to_publish(config.files.iter().map(String::as_str), config.bounds())?;
    let cluster = hosts::cluster(&args.hosts, config.workers)?;
    let settings = config.settings(script, cluster)?;
    // There is nobody to tell when stderr has gone.
    let _ = write!(io::stderr(), "{}", config.describe(&settings));

    let watched = Arc::new(OnceLock::new());
    if let Some(address) = &config.http {
        let bound = server::serve(address, Arc::clone(&watched))
            .with_context(|| format!("cannot serve HTTP at {address}"))?;
        tracing::info!("serving http://{bound}/metrics and /healthz");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let first = move || {
        asked.store(true, Ordering::SeqCst);
        "stopping, once what was read is published".to_owned()
    };
    signals::listen(
        false,
        first,
        "ended before all that was read was published; a run with state reads the rest again",
    )?;
    let done = live::run(&settings, &stop, |source| drop(watched.set(source)));
    match done {
        Ok(()) => {
            tracing::info!("stopped");
            Ok(())
        }
        Err(
            error @ (LiveError::NoView
            | LiveError::Statement(_)
            | LiveError::Stateless
            | LiveError::ManyProcesses),
        ) => Err(Failure::Usage(error.into())),
        Err(error @ LiveError::Memory { .. }) => Err(Failure::Memory(error.into())),
        Err(error) => Err(Failure::Failed(error.into())),
    }
}

/// The guarantee that holds when none is asked for: what state there is decides.
fn default_guarantee(has_state: bool) -> Guarantee {
    if has_state { Guarantee::ExactlyOnce } else { Guarantee::AtLeastOnce }
}

fn start_of(reset: &str) -> Result<Start, String> {
    match reset {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        other => Err(format!("auto.offset.reset is earliest or latest, not {other}")),
    }
}

fn guarantee_of(name: &str) -> Result<Guarantee, String> {
    match name {
        "exactly_once_v2" => Ok(Guarantee::ExactlyOnce),
        "at_least_once" => Ok(Guarantee::AtLeastOnce),
        other => {
            Err(format!("processing.guarantee is exactly_once_v2 or at_least_once, not {other}"))
        }
    }
}
