//! The as-of join: each left row looks into the right index once, as of its tick, and is never revised. This is ksqlDB's stream-table join.
//!
//! Nothing is stored for the left side but the rows of ticks that are still open. The order within a tick is not seen: a table change of the same tick counts as having come before.
//! A dataflow with such a join is therefore driven with one tick for each record, in a replay in
//! the order of event time ([`by_time`](super::by_time)).
//!
//! *Bounds.* Besides the right index, the left rows of open ticks. A left row costs one search in the index and one step per match.

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::diff::Diff;
use super::index::by_key;
use super::join::{Content, Side, earlier, first};
use super::mfp::Compiled;
use super::pending::Pending;
use super::rows::{Block, Rows};
use super::tick::Tick;
use crate::expr::Tuple;
use crate::model::{Row, RowRef};
use crate::plan::{JoinKind, Key};
use differential_dataflow::difference::Multiply;
use differential_dataflow::trace::Cursor;

/// Looks each left row up in the right index.
pub fn asof<'scope>(
    left: Rows<'scope, Tick>,
    key: Key,
    width: usize,
    right: Side<'scope>,
    kind: JoinKind,
    mfp: Compiled,
) -> Rows<'scope, Tick> {
    let mut content = Content::new(right.index.trace);
    let (right_key, right_width) = (right.key, right.width);
    let mut pending: Pending<(Option<u128>, Row, Diff)> = Pending::default();
    let pact = by_key(key.clone(), width);
    left.binary_frontier(right.index.stream, pact, Pipeline, "AsOf", move |_, _| {
        move |(input, left_frontier), (batches, right_frontier), output| {
            input.for_each(|cap, data| {
                for (row, tick, diff) in data.drain(..) {
                    let digest = key.digest(RowRef::new(row.bytes(), width));
                    pending.push(tick, (digest, row, diff), || cap.delayed(&tick, 0));
                }
            });
            batches.for_each(|_, _| {});
            let mut block = Block::default();
            while let Some((tick, cap, mut rows)) = pending.pop_closed(right_frontier.frontier()) {
                rows.sort_by_key(|a| a.0); // one pass of the cursor
                let (mut cursor, storage) = content.cursor();
                let mut session = output.session(&cap);
                for (digest, row, diff) in rows {
                    let left = RowRef::new(row.bytes(), width);
                    let mut matched = false;
                    if let Some(digest) = digest {
                        cursor.seek_key(&storage, &digest);
                        if cursor.get_key(&storage) == Some(&digest) {
                            cursor.rewind_vals(&storage);
                            while let Some(other) = cursor.get_val(&storage) {
                                let mut live = 0;
                                cursor.map_times(&storage, |at, diff| {
                                    live += if *at <= tick { diff.live } else { 0 }
                                });
                                let other = RowRef::new(other.bytes(), right_width);
                                if live != 0 && key.equal(left, &right_key, other) {
                                    matched = true;
                                    if let Some(range) =
                                        mfp.apply(Tuple::joined(left, Some(other)), block.bytes())
                                    {
                                        block.push(
                                            range,
                                            tick,
                                            diff.multiply(&Diff { facts: live, live }),
                                        );
                                    }
                                }
                                cursor.step_val(&storage);
                            }
                        }
                    }
                    if !matched
                        && kind == JoinKind::Left
                        && let Some(range) = mfp.apply(Tuple::joined(left, None), block.bytes())
                    {
                        block.push(range, tick, diff);
                    }
                    if block.is_full() {
                        session.give_iterator(block.drain());
                    }
                }
                session.give_iterator(block.drain());
            }
            content.compact(earlier(first(left_frontier.frontier()), pending.earliest()));
        }
    })
}
