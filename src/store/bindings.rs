//! Bindings: how many records of each partition a tick has.

use std::collections::BTreeMap;

use super::{Offsets, StoreError};

/// The bindings of a state directory; cheap to clone and to send.
#[derive(Clone)]
pub struct Bindings {}

/// Writes the bindings of one worker.
pub struct Writer {}

impl Bindings {
    /// What was bound when the store was opened: tick → topic → partition → next offset.
    pub fn read(&self) -> Result<BTreeMap<u64, Offsets>, StoreError> {
        todo!()
    }

    /// Begins a file for the worker `name`, which is one word. A name has one writer at a time.
    pub fn writer(&self, name: &str) -> Result<Writer, StoreError> {
        todo!("{name}")
    }

    /// Deletes complete files all of whose ticks are before `tick`: see [`Store::bindings_from`](super::Store::bindings_from).
    pub fn forget(&self, tick: u64) -> Result<(), StoreError> {
        todo!("{tick}")
    }
}

impl Writer {
    /// Notes that `tick` has the records of each of these partitions up to its next offset.
    pub fn append<'a>(&mut self, tick: u64, bound: impl IntoIterator<Item = (&'a str, i32, i64)>) -> Result<(), StoreError> {
        let _ = bound;
        todo!("{tick}")
    }

    /// Makes what was appended durable. Only then may its records be released.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        todo!()
    }
}
