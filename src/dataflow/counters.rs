//! What operators count: everything that is dropped, nulled or late, by reason.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A reason to count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Counter {
    /// A column became NULL because its expression failed.
    ExpressionNull(&'static str),
    /// A row was dropped because a WHERE, HAVING or ON failed.
    PredicateDrop(&'static str),
    /// A fact arrived after the watermark had passed its own end.
    Late,
    /// A fact arrived about something that had been answered and had expired: a key under the stream rows that were joined with it, or a row that is taken back. What was published stays.
    LateAfterExpiry,
    /// A row made no group because its key is NULL or a zero GUID.
    NullGroup,
    /// A row of a table is no more, and its topic cannot be told, since its records have another key than the table.
    UntoldDeletion,
    /// A row was cut down to what its topic takes.
    Cut,
    /// A row that cannot be cut down to what its topic takes became a dead letter.
    TooLarge,
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Counter::ExpressionNull(code) => write!(f, "expression failed, NULL instead: {code}"),
            Counter::PredicateDrop(code) => write!(f, "condition failed, row dropped: {code}"),
            Counter::Late => f.write_str("late facts"),
            Counter::LateAfterExpiry => f.write_str("late facts about what had expired"),
            Counter::UntoldDeletion => f.write_str("deletions without a key to tell them by"),
            Counter::Cut => f.write_str("rows cut down to what their topic takes"),
            Counter::TooLarge => f.write_str("rows that no topic takes"),
            Counter::NullGroup => f.write_str("rows without a group key"),
        }
    }
}

/// Counters shared by all workers of a process. Adding is for the exceptional path: it takes a lock.
#[derive(Clone, Default, Debug)]
pub struct Counters(Arc<Mutex<BTreeMap<Counter, u64>>>);

impl Counters {
    /// Counts.
    pub fn add(&self, counter: Counter, count: u64) {
        if count > 0 {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(counter).or_default() +=
                count;
        }
    }

    /// All that is not zero.
    pub fn snapshot(&self) -> BTreeMap<Counter, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
