//! Sysmon events, from every shape that log shippers give them, as rows of one relation.
//!
//! ```text
//!              ┌ walk (JSON) ┐            ┌ shape ┐   ┌ ecs ┐
//! record ──►───┤             ├─► slots ──►┤ which ├─►─┤ un- ├─► typed values ──► one packed row per tap
//!              └ xml         ┘            │ keys? │   │ name│      + event_key, fields
//!                                         └───────┘   └─────┘
//! ```
//!
//! A record is walked once. Everything that may matter is noted as a byte range in a fixed set of *slots*: nothing is copied or converted before it is
//! known that some tap wants the event. Then the shape is decided from what was present, renamed fields are put back, and the wanted columns are written.
//!
//! # Shapes
//! A record's shape is detected from the record alone, since topics mix them: see [`Shape`].
//!
//! # What counts as Sysmon's
//! An event whose channel is `Microsoft-Windows-Sysmon/Operational` or `Linux-Sysmon/Operational`, or whose provider is `Microsoft-Windows-Sysmon` or
//! `Linux-Sysmon`, in any case. An event of any other channel or provider is counted and looked at no further. A record with neither is no event:
//! a [`DecodeError`](crate::format::error::DecodeError), as is malformed input. A record that is decoded is scanned to its end, so malformed input in it
//! is found whether or not some tap wants the event.
//!
//! # What is not looked at
//! Where taps want few events, most records are passed over for what a byte search finds in them ([`reject`]). They are counted as that and as nothing
//! else: which records are passed over depends on them and on the events that the taps want, on nothing else.
//!
//! # Values
//! * Text is verbatim: `""`, `"-"` and absent (or JSON `null`) are three different things. A JSON number or boolean in a text column is its text, an
//!   object or array its JSON.
//! * `INT`: a JSON integer or text of one, decimal or `0x` hexadecimal. `BOOLEAN`: `true`, `false` in any case, `1`, `0`. `GUID`: any spelling.
//! * A value that does not fit its column is NULL there and kept in `FIELDS` under its field's name. It counts as a misfit unless it is `""` or `"-"`,
//!   which is how Sysmon says "none".
//! * Event time is the event log's: [`time`] has the order of preference.
//! * JSON keys may be duplicated: the last one counts. Names are matched exactly, then without regard to case; an exact one wins.

pub mod catalogue;
pub mod clock;
mod decode;
mod ecs;
pub mod key;
mod names;
mod normalise;
mod reject;
mod shape;
mod slots;
mod stats;
mod survey;
pub mod time;
mod typed;
mod walk;
mod xml;

#[cfg(test)]
mod tests;

pub use catalogue::schema;
pub use decode::{Decoder, EventSet, Outcome, RecordMeta, RowSink, Tap};
pub use normalise::advice::{self, Advice};
pub use shape::Shape;
pub use stats::{Examples, Stats};
pub use survey::{Names, Survey};
