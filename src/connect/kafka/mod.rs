//! Kafka: topics as sources, views as topics.
//!
//! ```text
//!              Keeper: metadata, assignment            Publisher: one producer, one transaction at a time
//!  broker ──▶ partition queues ──▶ Reader of a worker ──▶ dataflow ──▶ TopicSink of a view ──▶ ticks, closed ones in order ──▶ broker
//!                                    │      ▲                                                   │
//!                                    ▼      └───────────── in flight, published ◀───────────────┘
//!                                 bindings
//! ```
//!
//! There is one consumer for each process, which is assigned its partitions and joins no group: who reads what is decided here, and nothing is ever rebalanced. Each partition has a queue of its own, which belongs to one worker.
//! Offsets are committed to the group for those who watch its lag; they are never read back.

mod client;
mod fit;
mod keeper;
mod pace;
mod presence;
mod progress;
mod publisher;
mod reader;
mod sink;
mod topics;

pub use client::{Client, ClientError, Properties, is_secret};
pub use keeper::{Keeper, KeeperError, Partitions, Start, Wanted, owner};
pub use pace::{End, Pace, now};
pub use progress::Progress;
pub use publisher::{Batch, Event, Guarantee, Published, Publisher, PublisherError, Settings};
pub use reader::{Bound, Dead, Letters, Partition, Parts, Reader, Seen, Shared, TopicReader};
pub use sink::{KeyEncoder, TopicSink, ValueEncoder};
pub use topics::{TopicSettings, create};
