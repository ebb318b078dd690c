//! The moments of a run, and how far it may run ahead of what is published.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the workers of a process share.
///
/// A moment is a number of milliseconds since 1970, but grows even when the clock is set back: each moment that a worker takes is later than all that it took, and not before the latest of any worker.
pub struct Pace {
    moments: Mutex<Moments>,
    latest: AtomicU64,
    published: AtomicU64,
    in_flight: AtomicUsize,
    made: AtomicUsize,
    limit: usize,
    alone: bool,
}

/// Where several processes end: time is there when all of them have heard of it, and not before.
const END_OF_TIME: u64 = 1 << 43;

struct Moments {
    latest: u64,
    end: Option<u64>,
    /// Workers that still read again what an earlier life has read.
    behind: usize,
    abandoned: bool,
}

/// How a run ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At this moment, with everything before it published.
    At(u64),
    /// At once, since what an earlier life has read is not read again yet: its state stands as it is.
    Abandoned,
}

impl Pace {
    /// A run whose moments come after `after`, of so many workers of this process, which hold at most `limit` bytes of records that are not yet published. `alone` if there are no other processes.
    pub fn new(after: u64, workers: usize, limit: usize, alone: bool) -> Pace {
        Pace {
            moments: Mutex::new(Moments {
                latest: after,
                end: None,
                behind: workers,
                abandoned: false,
            }),
            latest: AtomicU64::new(after),
            published: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            limit,
            alone,
        }
    }

    /// The next moment of a worker whose last one was `last`; `None` when the run has ended.
    pub fn next(&self, last: u64) -> Option<u64> {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        if moments.end.is_some() {
            return None;
        }
        let next = now().max(last + 1).max(moments.latest);
        moments.latest = next;
        self.latest.store(next, Ordering::Release);
        Some(next)
    }

    /// The latest moment of any worker.
    pub fn latest(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    /// A worker has caught up with its earlier life.
    pub fn caught_up(&self) {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).behind -= 1;
    }

    /// Whether a worker has not caught up yet.
    pub fn is_behind(&self) -> bool {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).behind > 0
    }

    /// Ends the run, later than everything.
    pub fn stop(&self) -> End {
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        if moments.behind > 0 {
            moments.abandoned = true;
        }
        let end = if self.alone { now().max(moments.latest + 1) } else { END_OF_TIME };
        let end = *moments.end.get_or_insert(end);
        if moments.abandoned { End::Abandoned } else { End::At(end) }
    }

    /// How the run has ended, once it has.
    pub fn end(&self) -> Option<End> {
        let moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        moments.end.map(|end| if moments.abandoned { End::Abandoned } else { End::At(end) })
    }

    /// Everything before this moment is published.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Says so.
    pub fn publish(&self, moment: u64) {
        self.published.fetch_max(moment, Ordering::AcqRel);
    }

    /// Bytes of records have been read, or published.
    pub fn account(&self, read: usize, done: usize) {
        self.in_flight.fetch_add(read, Ordering::AcqRel);
        self.in_flight.fetch_sub(done, Ordering::AcqRel);
    }

    /// Bytes of results have been made, or published. A few records may make many: each connection of a process has what is known of its ancestors.
    pub fn account_made(&self, made: usize, done: usize) {
        self.made.fetch_add(made, Ordering::AcqRel);
        self.made.fetch_sub(done, Ordering::AcqRel);
    }

    /// True when no more may be read before something is published.
    pub fn is_full(&self) -> bool {
        self.in_flight() + self.made.load(Ordering::Acquire) >= self.limit
    }

    /// Bytes of records that are read and not published.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
