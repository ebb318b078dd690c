//! Groups rows by a key and keeps one row for each group: the key, then the aggregates.
//!
//! Each group keeps accumulators, not its rows, wherever the aggregates allow it: a fact costs the same however many the group has had, and a fact that changes no column
//! costs no output. The output row is not stored: it is computed from the accumulators before the first change of a tick and after the last.
//!
//! A group's key columns print as read; of several spellings that compare equal the smallest in bytes is kept, so the result does not depend on order.
//!
//! *End of a group.* When its rows have been taken back, its row is retracted. When all its rows have expired, or when the watermark passes the time of its last fact plus the retention,
//! its row expires. An expiry of some of its rows changes nothing: what they said stays said. What is taken back from a group that has ended is late: its row stays published.
//!
//! *Bounds.* One entry for each live group; besides, the rows of open ticks.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::expire::{bucket_of, first_open_bucket, time_of};
use super::index::{by_key, mix};
use super::join::{earlier, first};
use super::pending::Pending;
use super::rows::{Block, Rows};
use super::tick::Tick;
use super::watermark::Watermarks;
use crate::expr::{Accumulator, Aggregate, Tuple};
use crate::model::{Row, RowRef, RowWriter, Timestamp, Value};
use crate::plan::Key;

/// Digest and key columns of a group.
type GroupKey = (u128, Box<[u8]>);

/// What is known of a group.
struct Group {
    digest: u128,
    /// The key columns as a packed row.
    key: Box<[u8]>,
    accumulators: Box<[Accumulator]>,
    /// Rows asserted and not taken back, and rows still remembered upstream.
    facts: i64,
    live: i64,
    last_fact: i64,
}

/// The plan of an aggregation.
pub struct Grouping {
    /// The group, as columns of the input.
    pub key: Key,
    /// Over the input.
    pub aggregates: Vec<Aggregate>,
    /// Columns of the input.
    pub width: usize,
    /// True when input rows can be taken back.
    pub retractable: bool,
    /// Column with a fact's time, and how long after its last fact a group lives.
    pub retention: Option<(usize, Duration)>,
}

impl Grouping {
    /// The bucket in which the retention of a group with this last fact ends.
    fn end_of(&self, last_fact: i64) -> Option<i64> {
        self.retention.map(|(_, retention)| bucket_of(last_fact, retention.as_millis() as i64))
    }

    /// Applies one row to its group. `open` is up to where deadlines have passed.
    fn apply(&self, group: &mut Group, row: RowRef<'_>, diff: Diff, open: i64, counters: &Counters) {
        group.facts += i64::from(diff.facts);
        group.live += i64::from(diff.live);
        if diff.facts == 0 {
            return;
        }
        if let Some((time, _)) = self.retention {
            let time = time_of(row, time);
            group.last_fact = group.last_fact.max(time);
            if self.end_of(time).is_some_and(|end| end <= open) {
                counters.add(Counter::Late, 1);
            }
        }
        let spelling = |(i, &column): (usize, &usize)| RowRef::new(&group.key, self.key.columns.len()).raw(i) != row.raw(column);
        if self.key.columns.iter().enumerate().any(spelling) {
            let key = self.key_of(row);
            if key < group.key {
                group.key = key;
            }
        }
        for (aggregate, accumulator) in self.aggregates.iter().zip(&mut group.accumulators) {
            let args = aggregate.args.iter().map(|arg| {
                arg.eval(Tuple::single(row)).unwrap_or_else(|error| {
                    counters.add(Counter::ExpressionNull(error.code()), 1);
                    Value::Null
                })
            });
            let args: Vec<Value<'_>> = args.collect();
            accumulator.update(aggregate, &args, i64::from(diff.facts));
        }
    }

    fn key_of(&self, row: RowRef<'_>) -> Box<[u8]> {
        let mut key = Vec::new();
        let mut writer = RowWriter::new(&mut key, self.key.columns.len());
        for &column in &self.key.columns {
            writer.raw(row.raw(column));
        }
        writer.finish();
        key.into_boxed_slice()
    }

    /// The row of a group.
    fn output(&self, group: &Group) -> Vec<u8> {
        let keys = self.key.columns.len();
        let mut row = Vec::new();
        let mut writer = RowWriter::new(&mut row, keys + group.accumulators.len());
        let key = RowRef::new(&group.key, keys);
        for i in 0..keys {
            writer.raw(key.raw(i));
        }
        for (aggregate, accumulator) in self.aggregates.iter().zip(&group.accumulators) {
            writer.value(&accumulator.output(aggregate));
        }
        writer.finish();
        row
    }
}

/// Aggregates rows by group.
pub fn aggregate<'scope>(
    rows: Rows<'scope, Tick>,
    watermarks: Watermarks<'scope>,
    grouping: Grouping,
    counters: Counters,
) -> Rows<'scope, Tick> {
    let pact = by_key(grouping.key.clone(), grouping.width);
    let mut arrived: Pending<(Row, Diff)> = Pending::default();
    let mut advances: Pending<Timestamp> = Pending::default();
    let mut groups = Groups::new(grouping, counters);
    rows.binary_frontier(watermarks, pact, Pipeline, "Aggregate", move |_, _| {
        move |(input, frontier), (watermarks, watermark_frontier), output| {
            input.for_each(|cap, data| {
                for (row, tick, diff) in data.drain(..) {
                    arrived.push(tick, (row, diff), || cap.delayed(&tick, 0));
                }
            });
            watermarks.for_each(|cap, data| {
                for (time, tick) in data.drain(..) {
                    advances.push(tick, time, || cap.delayed(&tick, 0));
                }
            });
            let closed = earlier(first(frontier.frontier()), first(watermark_frontier.frontier()));
            let is_closed = |tick: Option<Tick>| tick.is_some_and(|tick| closed.is_none_or(|closed| tick < closed));
            loop {
                let (advance, arrival) = (advances.earliest(), arrived.earliest());
                if is_closed(advance) && arrival.is_none_or(|arrival| advance <= Some(arrival)) {
                    let Some((tick, cap, times)) = advances.pop_closed(watermark_frontier.frontier()) else { break };
                    groups.advance(tick, times.into_iter().max());
                    output.session(&cap).give_iterator(groups.block.drain());
                } else if is_closed(arrival) {
                    let Some((tick, cap, rows)) = arrived.pop_closed(frontier.frontier()) else { break };
                    groups.update(tick, rows);
                    output.session(&cap).give_iterator(groups.block.drain());
                } else {
                    break;
                }
            }
        }
    })
}

struct Groups {
    grouping: Grouping,
    key_columns: Key,
    table: HashTable<Group>,
    /// Groups by the bucket in which they may end; a group is looked up when its bucket is due, and moved when a later fact has moved its end.
    ends: BTreeMap<i64, Vec<GroupKey>>,
    open: i64,
    counters: Counters,
    block: Block<Tick>,
}

impl Groups {
    fn new(grouping: Grouping, counters: Counters) -> Groups {
        let key_columns = grouping.key.positional();
        Groups { grouping, key_columns, table: HashTable::new(), ends: BTreeMap::new(), open: i64::MIN, counters, block: Block::default() }
    }

    /// Applies all rows of a tick and writes what changed into the block.
    fn update(&mut self, tick: Tick, rows: Vec<(Row, Diff)>) {
        let width = self.grouping.width;
        let mut keyed: Vec<(u128, Row, Diff)> = Vec::with_capacity(rows.len());
        for (row, diff) in rows {
            match self.grouping.key.digest(RowRef::new(row.bytes(), width)) {
                Some(digest) => keyed.push((digest, row, diff)),
                None => self.counters.add(Counter::NullGroup, u64::try_from(diff.facts).unwrap_or(0)),
            }
        }
        // Rows of one group together, in a fixed order: aggregates over doubles are not associative.
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        for rows in keyed.chunk_by(|a, b| a.0 == b.0) {
            let mut rest: Vec<&(u128, Row, Diff)> = rows.iter().collect();
            while let Some((_, leader, _)) = rest.first() {
                // Nearly always all of them: rows whose keys differ share a digest only by a collision.
                let leader = RowRef::new(leader.bytes(), width);
                let (same, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, row, _)| {
                    self.grouping.key.is_exact() || self.grouping.key.equal(leader, &self.grouping.key, RowRef::new(row.bytes(), width))
                });
                self.update_group(tick, rows[0].0, &same);
                rest = others;
            }
        }
    }

    fn update_group(&mut self, tick: Tick, digest: u128, rows: &[&(u128, Row, Diff)]) {
        let leader = RowRef::new(rows[0].1.bytes(), self.grouping.width);
        let (grouping, key_columns) = (&self.grouping, &self.key_columns);
        let keys = key_columns.columns.len();
        let same = |group: &Group| {
            group.digest == digest && (grouping.key.is_exact() || key_columns.equal(RowRef::new(&group.key, keys), &grouping.key, leader))
        };
        let (new, late);
        let mut rows = rows;
        let mut entry = match self.table.entry(mix(digest), same, |group| mix(group.digest)) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                // Only new facts make a group; whatever else comes is of rows whose group has ended before them.
                (new, late) = new_facts(rows);
                self.counters.add(Counter::LateAfterExpiry, late);
                if new.is_empty() {
                    return;
                }
                rows = &new;
                let accumulators = grouping.aggregates.iter().map(|aggregate| Accumulator::new(aggregate, grouping.retractable)).collect();
                entry.insert(Group { digest, key: grouping.key_of(leader), accumulators, facts: 0, live: 0, last_fact: i64::MIN })
            }
        };
        let group = entry.get_mut();
        let before = (group.facts > 0).then(|| grouping.output(group));
        for (_, row, diff) in rows {
            grouping.apply(group, RowRef::new(row.bytes(), grouping.width), *diff, self.open, &self.counters);
        }
        let after = (group.facts > 0).then(|| grouping.output(group));
        if group.live <= 0 && after.is_some() && before == after {
            // All its rows have expired: what it said stays said, and is remembered no more.
            self.block.copy(before.as_ref().expect("equal to a row"), tick, Diff::EXPIRE);
            entry.remove();
            return;
        }
        if before != after {
            if let Some(before) = &before {
                self.block.copy(before, tick, Diff::RETRACT);
            }
            if let Some(after) = &after {
                self.block.copy(after, tick, Diff::ASSERT);
            }
        }
        if group.facts == 0 {
            entry.remove();
            return;
        }
        // A group that changed in the tick in which its last row expired ends with the next watermark.
        let end = if group.live <= 0 { Some(i64::MIN) } else { grouping.end_of(group.last_fact).filter(|_| before.is_none()) };
        if let Some(bucket) = end {
            self.ends.entry(bucket).or_default().push((digest, group.key.clone()));
        }
    }

    /// Ends the groups whose last fact is too long ago.
    fn advance(&mut self, tick: Tick, watermark: Option<Timestamp>) {
        self.open = watermark.map_or(self.open, first_open_bucket).max(self.open);
        let waiting = self.ends.split_off(&self.open.saturating_add(1));
        let keys = self.key_columns.columns.len();
        for (digest, key) in std::mem::replace(&mut self.ends, waiting).into_values().flatten() {
            let same = |group: &Group| {
                group.digest == digest && self.key_columns.equal(RowRef::new(&group.key, keys), &self.key_columns, RowRef::new(&key, keys))
            };
            let Ok(entry) = self.table.find_entry(mix(digest), same) else { continue };
            let group = entry.get();
            match self.grouping.end_of(group.last_fact) {
                Some(bucket) if group.live > 0 && bucket > self.open => self.ends.entry(bucket).or_default().push((digest, key)),
                None if group.live > 0 => {}
                _ => {
                    let group = entry.remove().0;
                    if group.facts > 0 {
                        let row = self.grouping.output(&group);
                        self.block.copy(&row, tick, Diff::EXPIRE);
                    }
                }
            }
        }
    }
}

/// The rows that are asserted more often than they are taken back, and how many are taken back that were not asserted. Equal rows lie together.
fn new_facts<'r>(rows: &[&'r (u128, Row, Diff)]) -> (Vec<&'r (u128, Row, Diff)>, u64) {
    let (mut new, mut late) = (Vec::new(), 0);
    for equal in rows.chunk_by(|a, b| a.1 == b.1) {
        match equal.iter().map(|(_, _, diff)| i64::from(diff.facts)).sum::<i64>() {
            1.. => new.extend(equal),
            0 => {}
            taken => late += taken.unsigned_abs(),
        }
    }
    (new, late)
}
