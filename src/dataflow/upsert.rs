//! A table read from a topic: the last row of each key.
//!
//! Within a tick rows of a key are put in offset order (partition, offset), those of one record in the order of their bytes; ticks follow each other. A row of which all columns but the key are NULL deletes its key.
//! A row that says what the table says already costs no output.
//!
//! *Bounds.* The last row of each live key; a key ends by deletion or by the retention of its table.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashMap;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;

use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::expire::{bucket_of, first_open_bucket, time_of};
use super::index::route;
use super::join::{earlier, first};
use super::pending::Pending;
use super::rows::{Block, Rows};
use super::tick::Tick;
use super::watermark::Watermarks;
use crate::model::{Row, RowRef, Timestamp, Type, Value};
use crate::plan::Key;

/// The plan of a table.
pub struct Table {
    /// The primary key.
    pub key: Key,
    /// Columns, of which the last two are ROWPARTITION and ROWOFFSET.
    pub width: usize,
    /// Positions of the other columns that are not pseudo columns.
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
        (number(self.width - 2, &Type::Int), number(self.width - 1, &Type::BigInt))
    }

    fn deletes(&self, row: &Row) -> bool {
        let row = RowRef::new(row.bytes(), self.width);
        !self.payload.is_empty() && self.payload.iter().all(|i| row.is_null(*i))
    }

    fn same(&self, a: &[u8], b: &Row) -> bool {
        let (a, b) = (RowRef::new(a, self.width), RowRef::new(b.bytes(), self.width));
        self.key.columns.iter().chain(&self.payload).all(|&i| a.raw(i) == b.raw(i))
    }
}

/// Keeps the last row of each key.
pub fn upsert<'scope>(rows: Rows<'scope, Tick>, watermarks: Watermarks<'scope>, table: Table, counters: Counters) -> Rows<'scope, Tick> {
    let (route_key, width) = (table.key.clone(), table.width);
    let pact = Exchange::new(move |(row, _, _): &(Row, Tick, Diff)| route_key.digest(RowRef::new(row.bytes(), width)).map_or(0, route));
    let mut arrived: Pending<(u128, Row)> = Pending::default();
    let mut advances: Pending<Timestamp> = Pending::default();
    // A digest of 128 bits stands for the key: unlike a join, an upsert cannot look at two candidates, and finding a collision takes 2^64 rows.
    let mut rows_of: HashMap<u128, Box<[u8]>> = HashMap::new();
    let mut ends: BTreeMap<i64, Vec<u128>> = BTreeMap::new();
    let mut open = i64::MIN;
    rows.binary_frontier(watermarks, pact, Pipeline, "Upsert", move |_, _| {
        move |(input, frontier), (watermarks, watermark_frontier), output| {
            input.for_each(|cap, data| {
                for (row, tick, diff) in data.drain(..) {
                    match table.key.digest(RowRef::new(row.bytes(), width)) {
                        Some(digest) if diff.facts > 0 => arrived.push(tick, (digest, row), || cap.delayed(&tick, 0)),
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
            let end_of = |row: &[u8]| {
                table.retention.map(|(time, after)| bucket_of(time_of(RowRef::new(row, width), time), after.as_millis() as i64))
            };
            let closed = earlier(first(frontier.frontier()), first(watermark_frontier.frontier()));
            let is_closed = |tick: Option<Tick>| tick.is_some_and(|tick| closed.is_none_or(|closed| tick < closed));
            let mut block = Block::default();
            loop {
                let (advance, arrival) = (advances.earliest(), arrived.earliest());
                if is_closed(advance) && arrival.is_none_or(|arrival| advance <= Some(arrival)) {
                    let Some((tick, cap, times)) = advances.pop_closed(watermark_frontier.frontier()) else { break };
                    open = times.into_iter().max().map_or(open, first_open_bucket).max(open);
                    let waiting = ends.split_off(&open.saturating_add(1));
                    for digest in std::mem::replace(&mut ends, waiting).into_values().flatten() {
                        let Some(end) = rows_of.get(&digest).and_then(|row| end_of(row)) else { continue };
                        if end > open {
                            ends.entry(end).or_default().push(digest);
                        } else if let Some(row) = rows_of.remove(&digest) {
                            block.copy(&row, tick, Diff::EXPIRE);
                        }
                    }
                    output.session(&cap).give_iterator(block.drain());
                } else if is_closed(arrival) {
                    let Some((tick, cap, mut rows)) = arrived.pop_closed(frontier.frontier()) else { break };
                    // one record may have become several rows: their bytes decide, whatever the worker
                    rows.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| table.offset(x).cmp(&table.offset(y))).then_with(|| x.cmp(y)));
                    for rows in rows.chunk_by(|a, b| a.0 == b.0) {
                        let (digest, last) = rows.last().expect("a chunk is not empty");
                        let before = rows_of.get(digest);
                        if table.deletes(last) {
                            if let Some(before) = rows_of.remove(digest) {
                                block.copy(&before, tick, Diff::RETRACT);
                            }
                            continue;
                        }
                        if before.is_some_and(|before| table.same(before, last)) {
                            continue;
                        }
                        if let Some(before) = before {
                            block.copy(before, tick, Diff::RETRACT);
                        } else if let Some(end) = end_of(last.bytes()) {
                            ends.entry(end).or_default().push(*digest);
                        }
                        block.copy(last.bytes(), tick, Diff::ASSERT);
                        rows_of.insert(*digest, last.bytes().into());
                    }
                    output.session(&cap).give_iterator(block.drain());
                } else {
                    break;
                }
            }
        }
    })
}
