//! Runs statements: from SQL text and inputs to results.

mod content;
pub mod inspect;
pub mod live;
pub mod replay;
pub mod script;

pub use inspect::{Fate, Inspect, Inspected};
pub use live::resident_bytes;
pub use replay::{Outcome, Prepared, Replay, ReplayError};
pub use script::{Bounds, SHIPPED, ScriptError, Shipped};
