//! What operators remember over restarts.
//!
//! ```text
//!  operator ── put, delete ─▶ journal of its worker ─▶ checkpoint of all workers ─▶ store
//!     ▲                                                                              │
//!     └────────────── restored: its entries, and their rows once more ◀──────────────┘
//! ```
//!
//! An operator that keeps what cannot be had again from its inputs (groups, last rows, deadlines, frozen rows, the watermark) writes each change of it to the journal, as the value of a key at a tick, and
//! starts from what the store has of it. It then gives out the rows that it shows, all at the *restored tick*, which lies before all ticks to come; from those rows indexes, joins and recursions find their own content
//! again, so they keep nothing durable. Other operators with state of their own pass over rows of the restored tick: they have restored what came of them. Sinks do as well: it was published.
//!
//! An operator is known over restarts by its [identity](crate::plan::Plan::identity): what it computes. One that the store does not know is new; it takes the rows of the restored tick as facts, so a query that is added
//! begins with the content of the tables that it reads.
//!
//! Which worker has a key depends on its *place*, so a run may restart with another number of workers.
//!
//! *Bounds.* The journal holds what has changed since the last checkpoint.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use super::clock::Clock;
use super::index::route;
use super::sizes::{Size, Sizes};
use super::tick::Tick;
use crate::model::Secret;
use crate::store::{Changes, Node, Snapshot};

/// The journal of one worker.
pub type Journal = Rc<RefCell<Changes>>;

/// What an earlier life has left.
#[derive(Clone)]
pub struct Restored {
    /// The entries of all operators.
    pub snapshot: Snapshot,
    /// Everything before this tick is in them.
    pub frontier: Tick,
    /// The identities of the operators that it knows.
    pub known: Arc<HashSet<u64>>,
}

/// The state of the operators of one worker.
#[derive(Clone)]
pub struct State {
    journal: Option<Journal>,
    restored: Option<Restored>,
    sizes: Sizes,
    worker: u64,
    workers: u64,
    secret: Secret,
    clock: Clock,
}

impl State {
    /// Operators of worker number `worker` of `workers` write to `journal`, begin with what was restored, and tell their sizes.
    pub fn new(
        journal: Option<Journal>,
        restored: Option<Restored>,
        sizes: Sizes,
        (worker, workers): (usize, usize),
        secret: Secret,
        clock: Clock,
    ) -> State {
        State {
            journal,
            restored,
            sizes,
            worker: worker as u64,
            workers: workers as u64,
            secret,
            clock,
        }
    }

    /// Which event times are believed.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What digests of rows are made with.
    pub fn secret(&self) -> Secret {
        self.secret
    }

    /// Where an operator tells its size.
    pub fn size_of(&self, identity: u64) -> Size {
        self.sizes.of(identity, self.worker as usize)
    }

    /// The part of one operator.
    pub fn of(&self, identity: u64) -> Part {
        let restored = self.restored.clone().filter(|restored| restored.known.contains(&identity));
        Part {
            node: Node(identity),
            size: self.size_of(identity),
            state: State { restored, ..self.clone() },
        }
    }
}

/// The state of one operator at one worker.
#[derive(Clone)]
pub struct Part {
    node: Node,
    size: Size,
    state: State,
}

impl Part {
    /// The tick at which this operator gives out what it has restored, and passes over what comes; `None` when it has not.
    pub fn restored_at(&self) -> Option<Tick> {
        self.state.restored.as_ref().map(|restored| Tick(restored.frontier.0.saturating_sub(2)))
    }

    /// True for the tick at which the watermark that was restored comes. It says what has passed, and ends nothing: what came too late ends with the watermark after it, in any life.
    pub fn is_restored_watermark(&self, tick: Tick) -> bool {
        self.restored_at().is_some_and(|at| at.expiry() == tick)
    }

    /// Which event times are believed.
    pub fn clock(&self) -> Clock {
        self.state.clock
    }

    /// A digest that stands for a row. The same in every life of the state.
    pub fn fingerprint(&self, row: &[u8]) -> u128 {
        self.state.secret.digest(row)
    }

    /// Notes the value of a key.
    #[inline]
    pub fn put(&self, tick: Tick, place: u128, key: &[u8], value: &[u8]) {
        if let Some(journal) = &self.state.journal {
            journal.borrow_mut().put(tick.0, self.node, place, key, Some(value));
        }
    }

    /// Notes that a key is gone.
    #[inline]
    pub fn delete(&self, tick: Tick, place: u128, key: &[u8]) {
        if let Some(journal) = &self.state.journal {
            journal.borrow_mut().put(tick.0, self.node, place, key, None);
        }
    }

    /// Tells how many rows the operator keeps, if it is time to.
    pub fn note_size(&self, count: impl FnOnce() -> usize) {
        self.size.note(count);
    }

    /// Whether anything is noted at all.
    pub fn is_durable(&self) -> bool {
        self.state.journal.is_some()
    }

    /// Gives each restored entry of this worker to `entry`: place, key, value. A damaged file ends the process: it was sound when the run began.
    pub fn restore(&self, entry: impl FnMut(u128, &[u8], &[u8])) {
        self.restore_where(|place, _| place, entry);
    }

    /// The same where another digest than the place says which worker has an entry: `digest`, of place and key.
    pub fn restore_where(
        &self,
        digest: impl Fn(u128, &[u8]) -> u128,
        mut entry: impl FnMut(u128, &[u8], &[u8]),
    ) {
        self.restore_all(|place, key, value| {
            if route(digest(place, key)) % self.state.workers == self.state.worker {
                entry(place, key, value);
            }
        });
    }

    /// The same with the entries of all workers.
    pub fn restore_all(&self, mut entry: impl FnMut(u128, &[u8], &[u8])) {
        let Some(restored) = &self.state.restored else { return };
        let mut entries = restored
            .snapshot
            .load(self.node)
            .unwrap_or_else(|error| panic!("state cannot be read: {error}"));
        while let Some(next) = entries.next() {
            let next = next.unwrap_or_else(|error| panic!("state cannot be read: {error}"));
            entry(next.place, next.key, next.value);
        }
    }

    /// Whether this worker is the one that writes what all workers know alike.
    pub fn writes_for_all(&self) -> bool {
        self.state.worker == 0
    }
}

/// A value as bytes, for the journal.
pub fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("state has a serial form")
}

/// What [`encode`] wrote. The store has checked that the bytes are those that were written.
pub fn decode<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> T {
    postcard::from_bytes(bytes).unwrap_or_else(|error| panic!("state is of another form: {error}"))
}
