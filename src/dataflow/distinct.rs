//! One row for each key: events that are delivered twice, or by two shippers, count once.
//!
//! Of rows with equal keys the one with the smallest bytes stays, so the result does not depend on order. The first of them is published at once; a smaller one replaces it.
//!
//! *Bounds.* One entry for each live key, with the rows that are remembered for it: for input that is never taken back only the smallest. An entry ends when its rows have been taken back or have expired.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use timely::dataflow::operators::generic::Operator;

use super::counters::{Counter, Counters};
use super::diff::Diff;
use super::index::by_key;
use super::pending::Pending;
use super::rows::{Block, Rows};
use super::tick::Tick;
use crate::model::{Row, RowRef};
use crate::plan::Key;

/// The rows of one key. Keys that share a digest without being equal are kept apart by their rows.
#[derive(Default)]
struct Entry {
    /// Rows in order of bytes, with how often each is asserted.
    rows: BTreeMap<Box<[u8]>, i64>,
    live: i64,
}

/// Keeps one row for each key.
pub fn distinct_on(rows: Rows<'_, Tick>, key: Key, width: usize, append_only: bool, counters: Counters) -> Rows<'_, Tick> {
    let pact = by_key(key.clone(), width);
    let mut pending: Pending<(u128, Row, Diff)> = Pending::default();
    let mut table: HashMap<u128, Vec<Entry>> = HashMap::new();
    rows.unary_frontier(pact, "DistinctOn", move |_, _| {
        move |(input, frontier), output| {
            input.for_each(|cap, data| {
                for (row, tick, diff) in data.drain(..) {
                    match key.digest(RowRef::new(row.bytes(), width)) {
                        Some(digest) => pending.push(tick, (digest, row, diff), || cap.delayed(&tick, 0)),
                        None => counters.add(Counter::NullGroup, u64::try_from(diff.facts).unwrap_or(0)),
                    }
                }
            });
            let mut block = Block::default();
            while let Some((tick, cap, mut rows)) = pending.pop_closed(frontier.frontier()) {
                rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
                for rows in rows.chunk_by(|a, b| a.0 == b.0 && same_key(&key, width, &a.1, &b.1)) {
                    let entries = table.entry(rows[0].0).or_default();
                    update(entries, rows, &key, width, append_only, |row, diff| block.copy(row, tick, diff));
                    if entries.is_empty() {
                        table.remove(&rows[0].0);
                    }
                }
                output.session(&cap).give_iterator(block.drain());
            }
        }
    })
}

fn same_key(key: &Key, width: usize, a: &Row, b: &Row) -> bool {
    key.is_exact() || key.equal(RowRef::new(a.bytes(), width), key, RowRef::new(b.bytes(), width))
}

/// Applies the changes of one key in one tick.
fn update(
    entries: &mut Vec<Entry>,
    changes: &[(u128, Row, Diff)],
    key: &Key,
    width: usize,
    append_only: bool,
    mut emit: impl FnMut(&[u8], Diff),
) {
    let leader = RowRef::new(changes[0].1.bytes(), width);
    let known = entries
        .iter()
        .position(|entry| entry.rows.keys().next().is_some_and(|row| key.is_exact() || key.equal(RowRef::new(row, width), key, leader)));
    let facts = changes.iter().any(|(_, _, diff)| diff.facts != 0);
    let at = match known {
        Some(at) => at,
        None if facts => {
            entries.push(Entry::default());
            entries.len() - 1
        }
        None => return, // expired before its rows
    };
    let entry = &mut entries[at];
    let before = entry.rows.keys().next().cloned();
    for (_, row, diff) in changes {
        entry.live += i64::from(diff.live);
        if diff.facts == 0 {
            continue;
        }
        let keep = !append_only || entry.rows.keys().next().is_none_or(|smallest| row.bytes() < smallest.as_ref());
        if keep {
            if append_only {
                entry.rows.clear();
            }
            let count = entry.rows.entry(row.bytes().into()).or_insert(0);
            *count += i64::from(diff.facts);
            if *count <= 0 {
                entry.rows.remove(row.bytes());
            }
        }
    }
    let after = entry.rows.keys().next().cloned();
    if before != after {
        if let Some(before) = &before {
            emit(before, Diff::RETRACT);
        }
        if let Some(after) = &after {
            emit(after, Diff::ASSERT);
        }
    } else if entry.live <= 0
        && let Some(after) = &after
    {
        emit(after, Diff::EXPIRE);
        entries.swap_remove(at);
        return;
    }
    if after.is_none() {
        entries.swap_remove(at);
    }
}
