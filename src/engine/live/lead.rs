//! Leads the workers of a process: hears how far they are, and asks for their state.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::connect::kafka::{Event, Pace};
use crate::dataflow::{Conductor, Tick};
use crate::store::{Changes, Offsets};

/// What a worker hands over for a checkpoint.
pub struct Part {
    /// What it has changed.
    pub changes: Changes,
    /// Where its partitions go on.
    pub offsets: Offsets,
}

/// The common knowledge of a run.
pub struct Lead {
    workers: usize,
    pace: Arc<Pace>,
    events: Mutex<mpsc::Sender<Event>>,
    closed: AtomicU64,
    ticks: AtomicU64,
    published: AtomicU64,
    publisher_is_done: AtomicBool,
    wanted: AtomicU64,
    parts: Mutex<Vec<Part>>,
    journals: Vec<AtomicUsize>,
    finished: AtomicBool,
}

impl Lead {
    /// Nothing is published yet.
    pub fn new(workers: usize, pace: Arc<Pace>, events: mpsc::Sender<Event>) -> Lead {
        Lead {
            workers,
            pace,
            events: Mutex::new(events),
            closed: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            published: AtomicU64::new(0),
            publisher_is_done: AtomicBool::new(false),
            wanted: AtomicU64::new(0),
            parts: Mutex::default(),
            journals: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            finished: AtomicBool::new(false),
        }
    }

    /// The moments of the run.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Everything before this tick has reached the sinks.
    pub fn closed_at(&self) -> Tick {
        Tick(self.closed.load(Ordering::Acquire))
    }

    /// The same as a number.
    pub fn closed(&self) -> u64 {
        self.closed.load(Ordering::Acquire)
    }

    /// How often time has moved on.
    pub fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// Everything before this tick is published.
    pub fn published_at(&self) -> Tick {
        Tick(self.published.load(Ordering::Acquire))
    }

    /// Says so.
    pub fn published(&self, tick: Tick) {
        self.published.fetch_max(tick.0, Ordering::AcqRel);
    }

    /// The publisher has published all that it ever will.
    pub fn publisher_is_done(&self) {
        self.publisher_is_done.store(true, Ordering::Release);
    }

    /// Whether that is so.
    pub fn is_publisher_done(&self) -> bool {
        self.publisher_is_done.load(Ordering::Acquire)
    }

    /// Bytes of state that no checkpoint has.
    pub fn journal_size(&self) -> usize {
        self.journals.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }

    /// Asks all workers for what they have changed before a tick that is published.
    pub fn want(&self, frontier: Tick) {
        self.wanted.store(frontier.0, Ordering::Release);
    }

    /// What they have handed over, once all have.
    pub fn take_parts(&self) -> Option<Vec<Part>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        (parts.len() == self.workers).then(|| std::mem::take(&mut *parts))
    }

    /// Lets the workers go.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }
}

impl Conductor for Lead {
    fn closed(&self, frontier: Tick) {
        self.closed.store(frontier.0, Ordering::Release);
        self.ticks.fetch_add(1, Ordering::Relaxed);
        // The publisher is gone only when the run ends.
        let _ = self
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(Event::Closed(frontier));
    }

    fn wanted(&self) -> Tick {
        Tick(self.wanted.load(Ordering::Acquire))
    }

    fn hand_over(&self, _worker: usize, _frontier: Tick, changes: Changes, offsets: Offsets) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(Part { changes, offsets });
    }

    fn journal_bytes(&self, worker: usize, bytes: usize) {
        if let Some(journal) = self.journals.get(worker) {
            journal.store(bytes, Ordering::Relaxed);
        }
    }

    fn stop(&self) {
        self.pace.stop();
    }

    fn finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}
