//! Ends the life of stream rows: each row is passed on at once, and expires when the watermark passes its time plus a duration.
//!
//! State: each row once, in a bucket by its deadline, bytes only; it ends with the row's expiry. A row that is taken back in the meantime is not expired.

use std::collections::BTreeMap;
use std::time::Duration;

use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::join::{earlier, first};
use super::pending::Pending;
use super::rows::{Block, Rows};
use super::tick::Tick;
use crate::model::{Row, RowRef, Timestamp, Type, Value};

/// Deadlines are rounded up to this many milliseconds, so that rows share buckets.
const BUCKET_MS: i64 = 1000;

/// Rows of one deadline, one after the other.
#[derive(Default)]
struct Bucket {
    bytes: Vec<u8>,
    rows: Vec<(usize, i32)>,
}

impl Bucket {
    fn push(&mut self, row: &[u8], count: i32) {
        self.bytes.extend_from_slice(row);
        self.rows.push((self.bytes.len(), count));
    }

    /// The rows with their counts, equal rows added up.
    fn totals(&self) -> BTreeMap<&[u8], i32> {
        let mut totals = BTreeMap::new();
        let mut start = 0;
        for &(end, count) in &self.rows {
            *totals.entry(&self.bytes[start..end]).or_insert(0) += count;
            start = end;
        }
        totals
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

/// The time in a column; NULL is the earliest time of all.
pub(super) fn time_of(row: RowRef<'_>, column: usize) -> i64 {
    match row.value(column, &Type::Timestamp) {
        Value::Timestamp(time) => time.0,
        _ => i64::MIN / 2,
    }
}

/// Passes rows on and expires them when `watermarks` passes the time in column `time` plus `after`.
pub fn expire<'scope>(
    rows: Rows<'scope, Tick>,
    watermarks: Stream<'scope, Tick, Vec<(Timestamp, Tick)>>,
    (time, width): (usize, usize),
    after: Duration,
    counters: Counters,
) -> Rows<'scope, Tick> {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    let mut arrived: Pending<(Row, i32)> = Pending::default();
    let mut advances: Pending<Timestamp> = Pending::default();
    let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
    let mut open = i64::MIN;
    rows.binary_frontier(watermarks, Pipeline, Pipeline, "Expire", move |_, _| {
        move |(input, frontier), (watermarks, watermark_frontier), output| {
            input.for_each(|cap, data| {
                for (row, tick, diff) in data.iter() {
                    arrived.push(*tick, (row.clone(), diff.live), || cap.delayed(tick, 0));
                }
                output.session(&cap).give_iterator(data.drain(..));
            });
            watermarks.for_each(|cap, data| {
                for (time, tick) in data.drain(..) {
                    advances.push(tick, time, || cap.delayed(&tick, 0));
                }
            });
            let closed = earlier(first(frontier.frontier()), first(watermark_frontier.frontier()));
            let is_closed = |tick: Option<Tick>| tick.is_some_and(|tick| closed.is_none_or(|closed| tick < closed));
            loop {
                // In time order; within a tick the watermark first, for a row must not expire in the tick in which it came.
                let (advance, arrival) = (advances.earliest(), arrived.earliest());
                if is_closed(advance) && arrival.is_none_or(|arrival| advance <= Some(arrival)) {
                    let Some((tick, cap, times)) = advances.pop_closed(watermark_frontier.frontier()) else { break };
                    open = times.into_iter().max().map_or(open, first_open_bucket).max(open);
                    let waiting = buckets.split_off(&open.saturating_add(1));
                    let mut block = Block::default();
                    let mut session = output.session(&cap);
                    for bucket in std::mem::replace(&mut buckets, waiting).into_values() {
                        for (row, count) in bucket.totals() {
                            if count != 0 {
                                block.copy(row, tick, Diff { facts: 0, live: -count });
                            }
                            if block.is_full() {
                                session.give_iterator(block.drain());
                            }
                        }
                    }
                    session.give_iterator(block.drain());
                } else if is_closed(arrival) {
                    let Some((_, _, rows)) = arrived.pop_closed(frontier.frontier()) else { break };
                    for (row, count) in rows {
                        let bucket = bucket_of(time_of(RowRef::new(row.bytes(), width), time), after);
                        if bucket <= open && count > 0 {
                            counters.add(Counter::Late, 1);
                        }
                        buckets.entry(bucket).or_default().push(row.bytes(), count);
                    }
                } else {
                    break;
                }
            }
        }
    })
}
