//! One row for each key: events that are delivered twice, or by two shippers, count once.
//!
//! Of rows with equal keys the one with the smallest bytes stays, so the result does not depend on order. The first of them is published at once; a smaller one replaces it.
//!
//! *Durable.* Each entry.
//!
//! *Bounds.* One entry for each live key, with the rows that are remembered for it: for input that is never taken back only the smallest, which an index of the result shares. An entry ends when its rows have been taken back or have expired.

use std::collections::BTreeMap;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use serde::{Deserialize, Serialize};
use timely::dataflow::operators::generic::Operator;

use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::index::{by_key, slot_of};
use super::pending::Pending;
use super::rows::Rows;
use super::settled::{Settled, settle};
use super::state::{Part, decode, encode};
use super::tick::Tick;
use crate::model::{Row, RowRef};
use crate::plan::Key;

/// The rows of one key, each with how often it is asserted.
#[derive(Serialize, Deserialize)]
struct Entry {
    digest: u128,
    /// The one that shows. There is one but while a tick is applied.
    smallest: Option<Row>,
    /// How often it is asserted.
    count: i32,
    /// How often any of them is remembered.
    live: i32,
    others: Option<Box<Others>>,
}

/// Rows that would show without the smallest, each with how often it is asserted. Hardly any key has them.
type Others = BTreeMap<Box<[u8]>, i32>;

/// Entries that are restored at a time.
const BATCH: usize = 256;

impl Entry {
    fn new(digest: u128) -> Entry {
        Entry { digest, smallest: None, count: 0, live: 0, others: None }
    }

    /// Adds a row to those that are remembered, or takes it away where the count is negative.
    fn add(&mut self, row: &Row, count: i32) {
        let Some(smallest) = &mut self.smallest else {
            (self.smallest, self.count) =
                if count > 0 { (Some(row.clone()), count) } else { (None, 0) };
            return;
        };
        if smallest == row {
            self.count += count;
            if self.count <= 0 {
                let next = self.others.as_mut().and_then(|others| others.pop_first());
                (self.smallest, self.count) = next.map_or((None, 0), |(row, count)| {
                    (Some(Row::from_bytes(row.into_vec())), count)
                });
            }
        } else if row < smallest && count > 0 {
            let larger = std::mem::replace(smallest, row.clone());
            self.others
                .get_or_insert_default()
                .insert(larger.bytes().into(), std::mem::replace(&mut self.count, count));
        } else {
            let others = self.others.get_or_insert_default();
            let known = others.get(row.bytes()).copied().unwrap_or(0) + count;
            if known > 0 {
                others.insert(row.bytes().into(), known);
            } else {
                others.remove(row.bytes());
            }
        }
        self.others.take_if(|others| others.is_empty());
    }

    /// Keeps the row if it is the smallest of input that is never taken back.
    fn keep_smallest(&mut self, row: &Row) {
        if self.smallest.as_ref().is_none_or(|smallest| row < smallest) {
            self.smallest = Some(row.clone());
        }
    }
}

/// Keeps one row for each key.
pub fn distinct_on(
    rows: Rows<'_, Tick>,
    key: Key,
    width: usize,
    append_only: bool,
    counters: Counters,
    state: Part,
) -> Rows<'_, Tick> {
    let pact = by_key(key.clone(), width);
    let mut pending: Pending<(u128, Row, Diff)> = Pending::default();
    let same_key = SameKey { key: key.clone(), width };
    let mut entries = Entries {
        table: HashTable::new(),
        key: same_key.clone(),
        append_only,
        settled: Settled::default(),
        changed: Vec::new(),
        asserted: Vec::new(),
        state,
    };
    rows.unary_frontier(pact, "DistinctOn", move |cap, _| {
        let restored_at = entries.state.restored_at();
        let mut restored = restored_at.map(|at| cap.delayed(&at));
        move |(input, frontier), output| {
            if let Some(cap) = restored.take() {
                let mut session = output.session(&cap);
                entries.restore(|row| session.give((row, *cap.time(), Diff::ASSERT)));
            }
            input.for_each(|cap, data| {
                for (row, tick, diff) in
                    data.drain(..).filter(|(_, tick, _)| Some(*tick) != restored_at)
                {
                    match key.digest(RowRef::new(row.bytes(), width)) {
                        Some(digest) => {
                            pending.push(tick, (digest, row, diff), || cap.delayed(&tick, 0))
                        }
                        None => {
                            counters.add(Counter::NullGroup, u64::try_from(diff.facts).unwrap_or(0))
                        }
                    }
                }
            });
            while let Some((tick, cap, mut rows)) = pending.pop_closed(frontier.frontier()) {
                rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
                for changes in
                    rows.chunk_by(|a, b| a.0 == b.0 && same_key.same(a.1.bytes(), b.1.bytes()))
                {
                    entries.update(tick, changes);
                }
                entries.settle();
                output.session(&cap).give_iterator(entries.changed.drain(..));
            }
            entries.state.note_size(|| entries.table.len());
        }
    })
}

struct Entries {
    table: HashTable<Entry>,
    key: SameKey,
    append_only: bool,
    settled: Settled,
    /// What goes out.
    changed: Vec<(Row, Tick, Diff)>,
    /// The digests of those of them that are asserted.
    asserted: Vec<u128>,
    state: Part,
}

impl Entries {
    /// Takes up what an earlier life has left.
    fn restore(&mut self, mut emit: impl FnMut(Row)) {
        let Entries { table, settled, state, .. } = self;
        let mut batch: Vec<Entry> = Vec::new();
        let mut take_up = |batch: &mut Vec<Entry>| {
            settle(batch.iter_mut().filter_map(|entry| entry.smallest.as_mut()));
            for entry in batch.drain(..) {
                let row = entry.smallest.as_ref().expect("an entry that is kept shows a row");
                settled.add(row);
                emit(row.clone());
                table.insert_unique(slot_of(entry.digest), entry, |entry| slot_of(entry.digest));
            }
        };
        state.restore(|_, _, value| {
            batch.push(decode(value));
            if batch.len() == BATCH {
                take_up(&mut batch);
            }
        });
        take_up(&mut batch);
    }

    /// Applies the changes of one key in one tick; equal rows lie together.
    fn update(&mut self, tick: Tick, changes: &[(u128, Row, Diff)]) {
        let (digest, leader, _) = &changes[0];
        let mut slot =
            match self.table.entry(slot_of(*digest), same(&self.key, *digest, leader), |entry| {
                slot_of(entry.digest)
            }) {
                Slot::Occupied(slot) => slot,
                Slot::Vacant(_) if changes.iter().all(|(_, _, diff)| diff.facts == 0) => return, // expired before its rows
                Slot::Vacant(slot) => slot.insert(Entry::new(*digest)),
            };
        let entry = slot.get_mut();
        let before = entry.smallest.clone();
        for equal in changes.chunk_by(|a, b| a.1 == b.1) {
            let facts = equal.iter().map(|(_, _, diff)| diff.facts).sum();
            entry.live += equal.iter().map(|(_, _, diff)| diff.live).sum::<i32>();
            match facts {
                0 => {}
                _ if self.append_only => entry.keep_smallest(&equal[0].1),
                _ => entry.add(&equal[0].1, facts),
            }
        }
        let after = entry.smallest.clone();
        let ended = after.is_none() || before == after && entry.live <= 0;
        if !ended && self.state.is_durable() {
            // a digest of 128 bits stands for the key here
            self.state.put(tick, *digest, &[], &encode(entry));
        }
        if ended {
            slot.remove();
            self.state.delete(tick, *digest, &[]);
        }
        if before == after {
            let Some(row) = after.filter(|_| ended) else { return };
            self.settled.remove(&row);
            self.changed.push((row, tick, Diff::EXPIRE));
            return;
        }
        if let Some(row) = before {
            self.settled.remove(&row);
            self.changed.push((row, tick, Diff::RETRACT));
        }
        if let Some(row) = after {
            self.settled.add(&row);
            self.changed.push((row, tick, Diff::ASSERT));
            self.asserted.push(*digest);
        }
    }

    /// Settles the rows of entries that show another one now, before they go out.
    fn settle(&mut self) {
        let Entries { table, key, settled, changed, asserted, .. } = self;
        let mut rows: Vec<&mut Row> = changed
            .iter_mut()
            .filter(|(_, _, diff)| *diff == Diff::ASSERT)
            .map(|(row, ..)| row)
            .collect();
        settle(rows.iter_mut().map(|row| &mut **row));
        for (row, digest) in rows.into_iter().zip(asserted.drain(..)) {
            let entry =
                table.find_mut(slot_of(digest), same(key, digest, row)).expect("it shows this row");
            entry.smallest = Some(row.clone());
        }
        settled.tidy(|| table.iter_mut().filter_map(|entry| entry.smallest.as_mut()));
    }
}

/// Tells the entry of a key.
fn same<'a>(key: &'a SameKey, digest: u128, row: &'a Row) -> impl Fn(&Entry) -> bool + 'a {
    move |entry| {
        entry.digest == digest
            && entry.smallest.as_ref().is_some_and(|shown| key.same(shown.bytes(), row.bytes()))
    }
}

/// How two rows of the input compare by their key.
#[derive(Clone)]
struct SameKey {
    key: Key,
    width: usize,
}

impl SameKey {
    fn same(&self, a: &[u8], b: &[u8]) -> bool {
        self.key.equal(RowRef::new(a, self.width), &self.key, RowRef::new(b, self.width))
    }
}
