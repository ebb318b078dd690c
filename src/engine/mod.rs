//! Runs statements: from SQL text and inputs to results.

pub mod replay;

pub use replay::{Outcome, Prepared, Replay, ReplayError};
