//! Captured files as a source: from arguments to records.
//!
//! ```text
//! arguments ─ discover ─▶ inputs ─ Dispenser ─┬─ ranges of plain line files ────────┐
//!                                             └─ unpack: archives, streams, EVTX,   ├─▶ chunks ─▶ records
//!                                                UTF-16, multi-line records ────────┘
//! ```
//!
//! A *member* is a leaf file: a plain file, or a file inside an archive. Members are
//! numbered in the order of the arguments and, within an archive, of its directory. A
//! *chunk* is about a mebibyte of whole records of one member. All workers of a process draw
//! their chunks from one [`Dispenser`], in an order that depends on the input alone; which
//! worker gets which chunk is left to chance.
//!
//! What cannot be read goes to [`DeadLetters`], which brings the reports of all workers back
//! into the order of the input.

mod chunk;
mod dead_letters;
mod discover;
mod dispenser;
mod leaf;
mod queue;
mod range;
mod source;
mod survey;
mod unpack;

#[cfg(test)]
mod tests;

pub use chunk::{Chunk, Kind, Letter, Member, Record, Records};
pub use dead_letters::{DeadLetters, Lost, Summary};
pub use discover::{DiscoverError, Input, Source, discover};
pub use dispenser::{Census, Dispenser, DispenserError, Options, Progress};
pub use source::{FileSource, Seen};
pub use survey::{Form, Found, Survey};
