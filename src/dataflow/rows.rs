//! Streams of rows, and the blocks in which operators write them.

use std::ops::Range;

use timely::dataflow::Stream;

use super::diff::Diff;
use crate::model::{Arena, Row};

/// A collection as a stream of its updates.
pub type Rows<'scope, T> = Stream<'scope, T, Vec<(Row, T, Diff)>>;

/// When a block is full. Rows of a block share one allocation, so a block is the smallest thing that memory is freed by.
pub(super) const FULL: usize = 64 << 10;

/// Rows that an operator writes one after the other into one arena.
pub struct Block<T> {
    bytes: Vec<u8>,
    updates: Vec<(Range<usize>, T, Diff)>,
}

impl<T> Default for Block<T> {
    fn default() -> Self {
        Block { bytes: Vec::new(), updates: Vec::new() }
    }
}

impl<T> Block<T> {
    /// Where the next row is written.
    pub fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Adds the row that was written at `range`.
    #[inline]
    pub fn push(&mut self, range: Range<usize>, time: T, diff: Diff) {
        self.updates.push((range, time, diff));
    }

    /// Adds a copy of a row.
    pub fn copy(&mut self, row: &[u8], time: T, diff: Diff) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(row);
        self.push(start..self.bytes.len(), time, diff);
    }

    /// True when it is time to ship.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// True when there is nothing to ship.
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// Takes the rows out, as updates that share an arena.
    pub fn drain(&mut self) -> impl Iterator<Item = (Row, T, Diff)> + '_ {
        let arena = Arena::new(self.bytes.clone());
        self.bytes.clear();
        self.updates.drain(..).map(move |(range, time, diff)| (Row::new(&arena, range), time, diff))
    }
}
