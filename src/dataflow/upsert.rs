//! A table read from a topic: the last row of each key.
//!
//! Within a tick rows of a key are put in offset order (partition, offset), those of one record in
//! the order of their bytes; ticks follow each other. A tombstone, a record without value, deletes
//! its key.
//! A row that says what the table says already costs no output, but counts for the retention.
//!
//! *Durable.* The last row of each key, with its end.
//!
//! *Bounds.* The last row of each live key; a key ends by deletion or by the retention of its table.

use std::collections::BTreeSet;
use std::time::Duration;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::expire::{bucket_of, first_open_bucket, time_of};
use super::index::by_key;
use super::join::{earlier, first};
use super::pending::Pending;
use super::rows::{Block, Rows};
use super::state::{Part, decode, encode};
use super::tick::Tick;
use super::watermark::Watermarks;
use crate::model::{Row, RowRef, Timestamp, Type, Value};
use crate::plan::Key;

/// The plan of a table.
pub struct Table {
    /// The primary key.
    pub key: Key,
    /// Columns, of which the last ones are the pseudo columns and the tombstone column.
    pub width: usize,
    /// Positions of the other columns that say something of the row.
    pub payload: Vec<usize>,
    /// Column with a fact's time, and how long after its last fact a key lives.
    pub retention: Option<(usize, Duration)>,
}

impl Table {
    fn offset(&self, row: &Row) -> (i64, i64) {
        let row = RowRef::new(row.bytes(), self.width);
        let number = |column: usize, ty: &Type| match row.value(column, ty) {
            Value::Int(v) => i64::from(v),
            Value::BigInt(v) => v,
            _ => 0,
        };
        (number(self.width - 3, &Type::Int), number(self.width - 2, &Type::BigInt))
    }

    fn deletes(&self, row: &Row) -> bool {
        !RowRef::new(row.bytes(), self.width).is_null(self.width - 1)
    }

    fn same(&self, a: &[u8], b: &Row) -> bool {
        let (a, b) = (RowRef::new(a, self.width), RowRef::new(b.bytes(), self.width));
        self.key.columns.iter().chain(&self.payload).all(|&i| a.raw(i) == b.raw(i))
    }
}

/// What is known of a key.
#[derive(Serialize, Deserialize)]
struct Last {
    #[serde(with = "serde_bytes")]
    row: Box<[u8]>,
    /// The bucket in which its retention ends, by its latest fact.
    end: Option<i64>,
}

/// Keeps the last row of each key.
pub fn upsert<'scope>(
    rows: Rows<'scope, Tick>,
    watermarks: Watermarks<'scope>,
    table: Table,
    counters: Counters,
    state: Part,
) -> Rows<'scope, Tick> {
    let width = table.width;
    let pact = by_key(table.key.clone(), width);
    let mut arrived: Pending<(u128, Row)> = Pending::default();
    let mut advances: Pending<Timestamp> = Pending::default();
    // A digest of 128 bits stands for the key: unlike a join, an upsert cannot look at two candidates, and finding a collision takes 2^64 rows.
    let mut known: HashMap<u128, Last> = HashMap::new();
    // Keys by the bucket in which they may end; a key is looked up when its bucket is due, and moved when a later fact has moved its end.
    let mut ends: BTreeSet<(i64, u128)> = BTreeSet::new();
    let mut open = i64::MIN;
    rows.binary_frontier(watermarks, pact, Pipeline, "Upsert", move |cap, _| {
        let restored_at = state.restored_at();
        let mut restored = restored_at.map(|at| cap.delayed(&at));
        move |(input, frontier), (watermarks, watermark_frontier), output| {
            if let Some(cap) = restored.take() {
                let (mut session, mut block) = (output.session(&cap), Block::default());
                state.restore(|digest, _, value| {
                    let last: Last = decode(value);
                    block.copy(&last.row, *cap.time(), Diff::ASSERT);
                    ends.extend(last.end.map(|end| (end, digest)));
                    known.insert(digest, last);
                    if block.is_full() {
                        session.give_iterator(block.drain());
                    }
                });
                session.give_iterator(block.drain());
            }
            let note = |tick: Tick, digest: u128, last: &Last| {
                if state.is_durable() {
                    state.put(tick, digest, &[], &encode(last));
                }
            };
            input.for_each(|cap, data| {
                for (row, tick, diff) in
                    data.drain(..).filter(|(_, tick, _)| Some(*tick) != restored_at)
                {
                    match table.key.digest(RowRef::new(row.bytes(), width)) {
                        Some(digest) if diff.facts > 0 => {
                            arrived.push(tick, (digest, row), || cap.delayed(&tick, 0))
                        }
                        Some(_) => {}
                        None => counters.add(Counter::NullGroup, 1),
                    }
                }
            });
            watermarks.for_each(|cap, data| {
                for (time, tick) in data.drain(..) {
                    advances.push(tick, time, || cap.delayed(&tick, 0));
                }
            });
            let end_of = |row: &Row, tick: Tick| {
                table.retention.map(|(time, after)| {
                    let time = time_of(RowRef::new(row.bytes(), width), time);
                    bucket_of(state.clock().counts(time, tick), after.as_millis() as i64)
                })
            };
            let closed = earlier(first(frontier.frontier()), first(watermark_frontier.frontier()));
            let is_closed = |tick: Option<Tick>| {
                tick.is_some_and(|tick| closed.is_none_or(|closed| tick < closed))
            };
            let mut block = Block::default();
            loop {
                let (advance, arrival) = (advances.earliest(), arrived.earliest());
                if is_closed(arrival) && advance.is_none_or(|advance| arrival <= Some(advance)) {
                    let Some((tick, cap, mut rows)) = arrived.pop_closed(frontier.frontier())
                    else {
                        break;
                    };
                    // one record may have become several rows: their bytes decide, whatever the worker
                    rows.sort_by(|(a, x), (b, y)| {
                        a.cmp(b)
                            .then_with(|| table.offset(x).cmp(&table.offset(y)))
                            .then_with(|| x.cmp(y))
                    });
                    for rows in rows.chunk_by(|a, b| a.0 == b.0) {
                        let (digest, last) = rows.last().expect("a chunk is not empty");
                        if table.deletes(last) {
                            if let Some(before) = known.remove(digest) {
                                block.copy(&before.row, tick, Diff::RETRACT);
                                state.delete(tick, *digest, &[]);
                            }
                            continue;
                        }
                        let end = end_of(last, tick);
                        counters.add(Counter::Late, u64::from(end.is_some_and(|end| end <= open)));
                        if let Some(before) = known.get_mut(digest) {
                            let moved = end > before.end;
                            before.end = before.end.max(end);
                            if table.same(&before.row, last) {
                                if moved {
                                    note(tick, *digest, before);
                                }
                                continue;
                            }
                            block.copy(&before.row, tick, Diff::RETRACT);
                            before.row = last.bytes().into();
                            note(tick, *digest, before);
                        } else {
                            let new = Last { row: last.bytes().into(), end };
                            note(tick, *digest, &new);
                            known.insert(*digest, new);
                            ends.extend(end.map(|end| (end, *digest)));
                        }
                        block.copy(last.bytes(), tick, Diff::ASSERT);
                    }
                    output.session(&cap).give_iterator(block.drain());
                } else if is_closed(advance) {
                    let Some((tick, cap, times)) =
                        advances.pop_closed(watermark_frontier.frontier())
                    else {
                        break;
                    };
                    open = times.into_iter().max().map_or(open, first_open_bucket).max(open);
                    if state.is_restored_watermark(tick) {
                        continue;
                    }
                    let waiting = ends.split_off(&(open.saturating_add(1), 0));
                    for (_, digest) in std::mem::replace(&mut ends, waiting) {
                        let Some(last) = known.get(&digest) else { continue };
                        if let Some(end) = last.end.filter(|end| *end > open) {
                            ends.insert((end, digest));
                        } else {
                            block.copy(&last.row, tick, Diff::EXPIRE);
                            known.remove(&digest);
                            state.delete(tick, digest, &[]);
                        }
                    }
                    output.session(&cap).give_iterator(block.drain());
                } else {
                    break;
                }
            }
            state.note_size(|| known.len());
        }
    })
}
