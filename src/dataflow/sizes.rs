//! How much operators keep, for those who watch a run.
//!
//! An operator counts what it has when it is scheduled, and no more often than every [`PERIOD`]; time moves on while nothing comes, so each is scheduled again and again.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often an operator counts.
const PERIOD: Duration = Duration::from_secs(1);

/// The sizes of all operators of a process, by identity and worker.
#[derive(Clone, Default, Debug)]
pub struct Sizes(Arc<Mutex<BTreeMap<(u64, usize), usize>>>);

impl Sizes {
    /// What an operator of a worker says.
    pub fn of(&self, identity: u64, worker: usize) -> Size {
        Size { all: self.clone(), key: (identity, worker), due: Cell::new(Instant::now()) }
    }

    /// The sizes by identity, all workers together.
    pub fn snapshot(&self) -> BTreeMap<u64, usize> {
        let mut sums = BTreeMap::new();
        for ((identity, _), size) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            *sums.entry(*identity).or_default() += size;
        }
        sums
    }
}

/// The size of one operator at one worker.
#[derive(Clone)]
pub struct Size {
    all: Sizes,
    key: (u64, usize),
    due: Cell<Instant>,
}

impl Size {
    /// Counts, if it is time to.
    pub fn note(&self, count: impl FnOnce() -> usize) {
        let now = Instant::now();
        if now >= self.due.get() {
            self.due.set(now + PERIOD);
            self.all.0.lock().unwrap_or_else(PoisonError::into_inner).insert(self.key, count());
        }
    }
}
