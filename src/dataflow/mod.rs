//! Renders a plan into timely and differential dataflow and runs it. The only layer that names either of them.
//!
//! One file for each kind of plan node; [`render`] puts them together, [`worker`] runs them. [`Source`] and [`Sink`] are what the connectors implement.

mod aggregate;
mod asof;
mod by_time;
mod clock;
mod cluster;
mod counters;
mod diff;
mod distinct;
mod expire;
mod index;
mod join;
mod live;
mod mfp;
mod pending;
mod recursive;
mod render;
mod replay;
mod rows;
mod settled;
mod sink;
mod sizes;
mod slabs;
mod source;
mod state;
mod tick;
mod transform;
mod upsert;
mod watermark;
mod worker;

pub use by_time::Meeting;
pub use clock::Clock;
pub use cluster::{Cluster, ConnectError};
pub use counters::{Counter, Counters};
pub use live::{Conductor, Live, LivePiece, LiveSource, Turn};
pub use render::WATERMARK;
pub use replay::Replay;
pub use sink::{Sink, Undelivered};
pub use sizes::{Size, Sizes};
pub use source::{Piece, Progress, Source};
pub use state::Restored;
pub use tick::Tick;
pub use worker::{Mode, Run, Topic, needs_exact_order, run, topics};

#[cfg(test)]
mod tests;
