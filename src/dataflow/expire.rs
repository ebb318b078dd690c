//! Ends the life of stream rows: each row is passed on at once, and expires when the watermark passes its time plus a duration.
//!
//! Rows that come may be of a collection that is itself taken back or expires: a row goes only once, whoever ends it first.
//!
//! *Durable.* Each row with its count and its bucket; a row is its own key. It is filed by a hash of itself, whatever reads it.
//!
//! *Place.* A row is kept where the index that reads it has it, so that the two share its memory; where none reads it, anywhere its hash says, so that what takes it back comes to the same worker, in any life.
//!
//! *Bounds.* Each row once, with its count, in a bucket by its deadline; it ends when the row goes, or with the deadline. A row costs one search by its hash when it comes and one when it goes.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::hash_table::Entry as Slot;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use timely::dataflow::channels::pact::{Exchange, ParallelizationContract, Pipeline};
use timely::dataflow::operators::generic::Operator;

use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::index::{Update, route};
use super::join::{earlier, first};
use super::pending::Pending;
use super::rows::{Block, Rows};
use super::settled::Settled;
use super::state::{Part, decode, encode};
use super::tick::Tick;
use super::watermark::Watermarks;
use crate::model::{Row, RowRef, Secret, Timestamp, Type, Value};
use crate::plan::Key;

/// Deadlines are rounded up to this many milliseconds, so that rows share buckets.
const BUCKET_MS: i64 = 1000;

/// Rows of one deadline.
type Bucket = HashTable<Kept>;

/// A row that will expire.
struct Kept {
    row: Row,
    /// How often it is there.
    count: i32,
    /// Of its bytes, so that a table that grows need not look at them.
    hash: u32,
}

impl Kept {
    /// By what a table finds a row of this hash: a table looks at the upper bits as well.
    fn place(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }

    fn is(&self, row: &Row, hash: u32) -> bool {
        self.hash == hash && self.row == *row
    }
}

/// The first bucket that is not due when the watermark is `time`.
pub(super) fn first_open_bucket(time: Timestamp) -> i64 {
    time.0.div_euclid(BUCKET_MS)
}

/// The bucket that is due once the watermark has passed `time` plus `after`.
pub(super) fn bucket_of(time: i64, after: i64) -> i64 {
    time.saturating_add(after).div_euclid(BUCKET_MS).saturating_add(1)
}

/// The time in a column. NULL is the latest of all: what has no time is never late and never ends.
pub(super) fn time_of(row: RowRef<'_>, column: usize) -> i64 {
    match row.value(column, &Type::Timestamp) {
        Value::Timestamp(time) => time.0,
        _ => i64::MAX,
    }
}

/// By what it is decided which worker keeps a row.
#[derive(Clone)]
pub struct Place {
    /// The key of the index that reads the rows, if there is one.
    pub key: Option<Key>,
    /// Columns of the rows.
    pub width: usize,
    /// Of the digest of a row without key.
    pub secret: Secret,
}

impl Place {
    fn of(&self, row: &[u8]) -> u128 {
        match &self.key {
            Some(key) => {
                let digest = key.digest(RowRef::new(row, self.width));
                digest.unwrap_or_else(|| self.secret.digest(row))
            }
            None => self.secret.digest(row),
        }
    }

    /// Brings rows to their place.
    pub fn pact(self) -> Exchange<Update, impl FnMut(&Update) -> u64 + 'static> {
        Exchange::new(move |(row, _, _): &Update| route(self.of(row.bytes())))
    }
}

/// The rows that will expire, by deadline.
struct Deadlines {
    buckets: BTreeMap<i64, Bucket>,
    /// Rows that are in another bucket than their time says, since that is not [believed](super::clock). Copies, as the rows themselves are settled anew.
    moved: HashMap<Box<[u8]>, i64>,
    hasher: DefaultHashBuilder,
    settled: Settled,
    /// Buckets up to this one are due.
    open: i64,
    time: usize,
    place: Place,
    after: i64,
    counters: Counters,
    state: Part,
}

impl Deadlines {
    /// Notes how often a row is remembered.
    fn note(&self, row: &Row, count: i32, tick: Tick) {
        if self.state.is_durable() {
            let place = self.state.fingerprint(row.bytes());
            if count == 0 {
                self.state.delete(tick, place, row.bytes())
            } else {
                let value = encode(&(count, self.bucket(row)));
                self.state.put(tick, place, row.bytes(), &value);
            }
        }
    }

    /// Takes up what an earlier life has left, as facts of `tick`.
    fn restore(&mut self, tick: Tick, mut emit: impl FnMut(Update)) {
        let mut block = Block::default();
        let mut take_up = |deadlines: &mut Deadlines, block: &mut Block<Tick>| {
            for (row, tick, diff) in block.drain() {
                deadlines.add(&row, diff.live);
                emit((row, tick, diff));
            }
        };
        let (state, place) = (self.state.clone(), self.place.clone());
        state.restore_where(
            |_, row| place.of(row),
            |_, row, value| {
                let (count, bucket): (i32, i64) = decode(value);
                self.file(row, bucket);
                block.copy(row, tick, Diff { facts: count, live: count });
                if block.is_full() {
                    take_up(self, &mut block);
                }
            },
        );
        take_up(self, &mut block);
    }

    /// The bucket that a row is in.
    fn bucket(&self, row: &Row) -> i64 {
        let moved = if self.moved.is_empty() { None } else { self.moved.get(row.bytes()) };
        moved.copied().unwrap_or_else(|| bucket_of(self.time_in(row.bytes()), self.after))
    }

    fn time_in(&self, row: &[u8]) -> i64 {
        time_of(RowRef::new(row, self.place.width), self.time)
    }

    /// Notes the bucket of a row, where its time says another one.
    fn file(&mut self, row: &[u8], bucket: i64) {
        if bucket != bucket_of(self.time_in(row), self.after) {
            self.moved.entry(row.into()).or_insert(bucket);
        }
    }

    /// Remembers a row that is settled `count` times more, or less. How often it is remembered then.
    fn add(&mut self, row: &Row, count: i32) -> i32 {
        let at = self.bucket(row);
        let hash = self.hash(row);
        let Deadlines { buckets, settled, moved, .. } = self;
        let bucket = buckets.entry(at).or_default();
        let known = match bucket.entry(
            Kept::place(hash),
            |kept| kept.is(row, hash),
            |kept| Kept::place(kept.hash),
        ) {
            Slot::Occupied(mut slot) => {
                slot.get_mut().count += count;
                let known = slot.get().count;
                if known <= 0 {
                    moved.remove(row.bytes());
                    settled.remove(&slot.remove().0.row);
                }
                known
            }
            Slot::Vacant(slot) if count > 0 => {
                settled.add(row);
                slot.insert(Kept { row: row.clone(), count, hash });
                count
            }
            Slot::Vacant(_) => 0,
        };
        if bucket.is_empty() {
            buckets.remove(&at);
        }
        known
    }

    /// How often a row is remembered.
    fn known(&self, row: &Row) -> i32 {
        let hash = self.hash(row);
        let bucket = self.buckets.get(&self.bucket(row));
        bucket
            .and_then(|bucket| bucket.find(Kept::place(hash), |kept| kept.is(row, hash)))
            .map_or(0, |kept| kept.count)
    }

    fn hash(&self, row: &Row) -> u32 {
        self.hasher.hash_one(row) as u32
    }

    /// Rows that have come.
    fn schedule(&mut self, row: &Row, count: i32, tick: Tick) {
        let time = self.state.clock().counts(self.time_in(row.bytes()), tick);
        self.file(row.bytes(), bucket_of(time, self.after));
        if self.bucket(row) <= self.open {
            self.counters.add(Counter::Late, 1);
        }
        let known = self.add(row, count);
        self.note(row, known, tick);
    }

    /// Rows that go before their time, by a retraction or by an expiry further up. What has expired here already is neither forgotten a
    /// second time nor taken back any more: that is late.
    fn cancel(&mut self, rows: Vec<(Row, Diff)>, tick: Tick, block: &mut Block<Tick>) {
        for (row, mut diff) in rows {
            diff.live = diff.live.max(-self.known(&row));
            if diff.facts < diff.live {
                self.counters
                    .add(Counter::LateAfterExpiry, u64::from(diff.live.abs_diff(diff.facts)));
                diff.facts = diff.live;
            }
            if diff != Diff::default() {
                block.copy(row.bytes(), tick, diff);
            }
            let left = self.add(&row, diff.live);
            self.note(&row, left.max(0), tick);
        }
    }

    /// Expires what is due now.
    fn advance(&mut self, watermark: Timestamp, tick: Tick, block: &mut Block<Tick>) {
        self.open = self.open.max(first_open_bucket(watermark));
        if self.state.is_restored_watermark(tick) {
            return;
        }
        let waiting = self.buckets.split_off(&self.open.saturating_add(1));
        for bucket in std::mem::replace(&mut self.buckets, waiting).into_values() {
            for Kept { row, count, .. } in bucket {
                self.moved.remove(row.bytes());
                block.copy(row.bytes(), tick, Diff { facts: 0, live: -count });
                self.note(&row, 0, tick);
                self.settled.remove(&row);
            }
        }
        self.settled.tidy(|| self.buckets.values_mut().flatten().map(|kept| &mut kept.row));
    }
}

/// Passes rows on, each at its place, and expires them when `watermarks` passes the time in a column plus a duration.
pub fn expire<'scope>(
    rows: Rows<'scope, Tick>,
    pact: impl ParallelizationContract<Tick, Vec<Update>>,
    watermarks: Watermarks<'scope>,
    place: Place,
    (time, after): (usize, Duration),
    counters: Counters,
    state: Part,
) -> Rows<'scope, Tick> {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    let settled = Settled::default();
    let hasher = DefaultHashBuilder::default();
    let mut deadlines = Deadlines {
        buckets: BTreeMap::new(),
        moved: HashMap::new(),
        hasher,
        settled,
        open: i64::MIN,
        time,
        place,
        after,
        counters,
        state,
    };
    let mut arrived: Pending<(Row, Diff)> = Pending::default();
    let mut advances: Pending<Timestamp> = Pending::default();
    rows.binary_frontier(watermarks, pact, Pipeline, "Expire", move |cap, _| {
        let restored_at = deadlines.state.restored_at();
        let mut restored = restored_at.map(|at| cap.delayed(&at));
        move |(input, frontier), (watermarks, watermark_frontier), output| {
            if let Some(cap) = restored.take() {
                let mut session = output.session(&cap);
                deadlines.restore(*cap.time(), |update| session.give(update));
            }
            let mut block = Block::default();
            input.for_each(|cap, data| {
                for (row, tick, diff) in
                    data.drain(..).filter(|(_, tick, _)| Some(*tick) != restored_at)
                {
                    if diff.live > 0 {
                        block.copy(row.bytes(), tick, diff);
                    } else {
                        arrived.push(tick, (row, diff), || cap.delayed(&tick, 0));
                    }
                }
                let mut session = output.session(&cap);
                for (row, tick, diff) in block.drain() {
                    arrived.push(tick, (row.clone(), diff), || cap.delayed(&tick, 0));
                    session.give((row, tick, diff));
                }
            });
            watermarks.for_each(|cap, data| {
                for (time, tick) in data.drain(..) {
                    advances.push(tick, time, || cap.delayed(&tick, 0));
                }
            });
            let closed = earlier(first(frontier.frontier()), first(watermark_frontier.frontier()));
            while let Some(tick) = next_closed(&[advances.earliest(), arrived.earliest()], closed) {
                // Within a tick: what goes by itself, then what is due, then what has come; a row must not expire in the tick in which it came.
                let mut new: BTreeMap<Row, i32> = BTreeMap::new();
                if arrived.earliest() == Some(tick)
                    && let Some((_, cap, rows)) = arrived.pop_closed(frontier.frontier())
                {
                    let (coming, mut going): (Vec<_>, Vec<_>) =
                        rows.into_iter().partition(|(_, diff)| diff.live > 0);
                    for (row, diff) in coming {
                        *new.entry(row).or_insert(0) += diff.live;
                    }
                    // What comes and goes in one tick was never scheduled.
                    going.retain(|(row, diff)| match new.get_mut(row) {
                        Some(count) if *count + diff.live >= 0 => {
                            *count += diff.live;
                            block.copy(row.bytes(), tick, *diff);
                            false
                        }
                        _ => true,
                    });
                    deadlines.cancel(going, tick, &mut block);
                    output.session(&cap).give_iterator(block.drain());
                }
                if advances.earliest() == Some(tick)
                    && let Some((_, cap, times)) =
                        advances.pop_closed(watermark_frontier.frontier())
                {
                    let watermark = times.into_iter().max().expect("a tick that waits has an item");
                    deadlines.advance(watermark, tick, &mut block);
                    output.session(&cap).give_iterator(block.drain());
                }
                for (row, count) in new.iter().filter(|(_, count)| **count > 0) {
                    deadlines.schedule(row, *count, tick);
                }
            }
            deadlines.state.note_size(|| deadlines.buckets.values().map(Bucket::len).sum());
        }
    })
}

/// The earliest tick that waits, if it is closed.
pub(super) fn next_closed(waiting: &[Option<Tick>], closed: Option<Tick>) -> Option<Tick> {
    waiting
        .iter()
        .copied()
        .flatten()
        .min()
        .filter(|tick| closed.is_none_or(|closed| *tick < closed))
}
