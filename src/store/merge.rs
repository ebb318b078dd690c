//! Merging runs: of each key the value of the newest run that has it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::changes::Put;
use super::run::{Cursor, Run};
use super::{Node, StoreError};

/// A key and its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The digest by which workers share keys.
    pub place: u128,
    /// The key.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// The entries of one node, in the order of (place, key), each borrowed until the next one is read.
pub struct Entries(Merge);

impl Entries {
    pub(super) fn new(merge: Merge) -> Entries {
        Entries(merge)
    }

    /// The next entry, or the damage that keeps it from being read; after damage there is nothing more.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not lend")]
    pub fn next(&mut self) -> Option<Result<Entry<'_>, StoreError>> {
        loop {
            match self.0.advance() {
                Err(error) => return Some(Err(error)),
                Ok(false) => return None,
                Ok(true) if self.0.is_deletion() => {}
                Ok(true) => break,
            }
        }
        self.0
            .head()
            .and_then(|put| Some(Ok(Entry { place: put.place, key: put.key, value: put.value? })))
    }
}

/// The entries of one node in several runs, deletions included.
///
/// The runs are few, so the least of their heads is found by looking at all of them.
pub(super) struct Merge {
    /// Newest first. Those at their end are taken out.
    cursors: Vec<Cursor>,
    /// The cursor of the current entry.
    current: Option<usize>,
}

impl Merge {
    /// Of `node` in `runs`, newest first.
    pub fn new<'a>(
        node: Node,
        runs: impl IntoIterator<Item = &'a Arc<Run>>,
    ) -> Result<Merge, StoreError> {
        let sections = runs
            .into_iter()
            .filter_map(|run| run.section(node).map(|section| Cursor::new(run, section)));
        let mut cursors: Vec<Cursor> = sections.collect::<Result<_, _>>()?;
        cursors.retain(|cursor| cursor.head().is_some());
        Ok(Merge { cursors, current: None })
    }

    /// Goes to the next entry; false when there is none, also after an error.
    pub fn advance(&mut self) -> Result<bool, StoreError> {
        let advanced = self.try_advance();
        if advanced.is_err() {
            self.cursors.clear();
            self.current = None;
        }
        advanced
    }

    fn try_advance(&mut self) -> Result<bool, StoreError> {
        if let Some(current) = self.current.take() {
            self.step(current)?;
        }
        // of equal keys the first is the newest; the others are passed over
        let (mut least, mut other) = (0, 1);
        while other < self.cursors.len() {
            match key(&self.cursors[other]).cmp(&key(&self.cursors[least])) {
                Ordering::Less => least = other,
                Ordering::Equal if self.step(other)? => continue,
                _ => {}
            }
            other += 1;
        }
        self.current = (!self.cursors.is_empty()).then_some(least);
        Ok(self.current.is_some())
    }

    /// Advances a cursor. True when that was its end and it is gone.
    fn step(&mut self, cursor: usize) -> Result<bool, StoreError> {
        self.cursors[cursor].advance()?;
        let ended = self.cursors[cursor].head().is_none();
        if ended {
            self.cursors.remove(cursor);
        }
        Ok(ended)
    }

    /// The current entry.
    pub fn head(&self) -> Option<Put<'_>> {
        self.cursors[self.current?].head()
    }

    fn is_deletion(&self) -> bool {
        self.head().is_some_and(|put| put.value.is_none())
    }
}

fn key(cursor: &Cursor) -> (u128, &[u8]) {
    let head = cursor.head().expect("cursors at their end are taken out");
    (head.place, head.key)
}
