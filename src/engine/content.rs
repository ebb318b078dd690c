//! The content of a view at the end of its input.
//!
//! *Bounds.* The rows of the view. While nothing is taken back they are only listed; from the first row that is, they are added up by a hash of each.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::dataflow::{Sink, Size, Tick};
use crate::model::{Row, SinkError};

/// Rows with the number of times that each is there.
#[derive(Default)]
pub struct Bag {
    /// Rows that were asserted, as long as none was taken back.
    asserted: Vec<(Row, i64)>,
    totals: Option<HashMap<Row, i64>>,
}

impl Bag {
    fn add(&mut self, row: Row, count: i64) {
        if self.totals.is_none() && count > 0 {
            return self.asserted.push((row, count));
        }
        let totals = self.totals.get_or_insert_with(|| {
            let mut totals = HashMap::with_capacity(self.asserted.len());
            self.asserted
                .drain(..)
                .for_each(|(row, count)| *totals.entry(row).or_insert(0) += count);
            totals
        });
        match totals.entry(row) {
            Entry::Vacant(entry) => {
                entry.insert(count);
            }
            Entry::Occupied(mut entry) => {
                *entry.get_mut() += count;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    fn len(&self) -> usize {
        self.totals.as_ref().map_or(self.asserted.len(), HashMap::len)
    }

    /// The rows, in no particular order. One may come several times.
    pub fn into_rows(self) -> Vec<(Row, i64)> {
        match self.totals {
            Some(totals) => totals.into_iter().collect(),
            None => self.asserted,
        }
    }
}

/// Keeps the part of a view that comes to one worker, until the end.
pub struct Content {
    rows: Bag,
    collected: Arc<Mutex<Bag>>,
    size: Size,
}

impl Content {
    /// What it has is added to `collected` at the end; how much that is it tells meanwhile.
    pub fn new(collected: Arc<Mutex<Bag>>, size: Size) -> Content {
        Content { rows: Bag::default(), collected, size }
    }
}

impl Sink for Content {
    fn changes(&mut self, _: Tick, changes: &[(Row, i64)]) -> Result<(), SinkError> {
        for (row, count) in changes {
            self.rows.add(row.clone(), *count);
        }
        self.size.note(|| self.rows.len());
        Ok(())
    }
}

impl Drop for Content {
    /// Adds up what the workers have: what one asserted another may have taken back, since a row's way through the dataflow is not always the same.
    fn drop(&mut self) {
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = std::mem::take(&mut self.rows);
        // the smaller one is added to the larger, or the one that lists to the one that adds up
        if (rows.totals.is_some(), rows.len()) > (collected.totals.is_some(), collected.len()) {
            std::mem::swap(&mut rows, &mut collected);
        }
        for (row, count) in rows.into_rows() {
            collected.add(row, count);
        }
    }
}
