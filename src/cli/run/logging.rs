//! The log, on standard error.

use std::io::IsTerminal;

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::args::LogFormat;
use crate::cli::Failure;

/// Starts logging; HELKFLOW_LOG says what, as `debug` or `helkflow::store=debug`.
pub fn start(format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var("HELKFLOW_LOG")
        .from_env()
        .map_err(|error| Failure::misuse(format!("HELKFLOW_LOG: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let started = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::Failed(anyhow!("cannot start the log: {error}")))
}
