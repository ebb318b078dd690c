//! Where the rows of a view go: the facts of each tick, added up, once the tick is closed.
//!
//! *Bounds.* The rows of open ticks. The rows of a tick are sorted.

use std::sync::{Arc, OnceLock};

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::probe::{Handle, Probe};
use timely::dataflow::operators::vec::Filter;

use super::index::route;
use super::pending::Pending;
use super::rows::Rows;
use super::tick::Tick;
use crate::model::{Row, Secret};

/// Takes the changes of a view. Lives at one worker and gets that worker's part of the rows.
pub trait Sink {
    /// The changes of one tick: distinct rows with the number of times that each was asserted (positive) or taken back (negative), sorted by bytes. Called in the order of ticks; ticks without
    /// changes are left out. An error ends the run.
    fn changes(
        &mut self,
        tick: Tick,
        changes: &[(Row, i64)],
    ) -> Result<(), crate::model::SinkError>;
}

/// Which worker gets a row.
#[derive(Clone, Copy, Debug)]
pub enum Placement {
    /// The one that has it.
    Anywhere,
    /// One of the workers `0..n`, the same for equal rows.
    Among(u64),
    /// This worker.
    At(u64),
}

/// What a run still has to deliver that goes on from an earlier one.
#[derive(Clone)]
pub struct Undelivered {
    frontier: Tick,
    begin: Arc<OnceLock<Tick>>,
}

impl Undelivered {
    /// Everything from `begin` on, which is no earlier than `frontier`, and is known before anything is read: what was restored must not wait for it.
    pub fn new(frontier: Tick, begin: Arc<OnceLock<Tick>>) -> Undelivered {
        Undelivered { frontier, begin }
    }

    fn has(&self, tick: Tick) -> bool {
        tick >= self.frontier && tick >= *self.begin.wait()
    }
}

/// Delivers the facts of a view, or those that are undelivered, to a sink and reports progress to the probe. `failed` takes the first error; after it nothing is delivered any more.
pub fn deliver(
    rows: Rows<'_, Tick>,
    mut sink: Box<dyn Sink>,
    placement: Placement,
    undelivered: Option<Undelivered>,
    secret: Secret,
    probe: &Handle<Tick>,
    mut failed: impl FnMut(crate::model::SinkError) + 'static,
) {
    // What was delivered in an earlier life is not even moved.
    let rows = match undelivered {
        Some(undelivered) => {
            rows.filter(move |(_, tick, diff)| diff.facts != 0 && undelivered.has(*tick))
        }
        None => rows,
    };
    let rows = match placement {
        Placement::Anywhere => rows,
        Placement::At(worker) => rows.exchange(move |_| worker),
        Placement::Among(workers) => {
            rows.exchange(move |(row, _, _)| route(secret.digest(row.bytes())) % workers)
        }
    };
    let mut pending: Pending<(Row, i64)> = Pending::default();
    let mut broken = false;
    rows.unary_frontier::<timely::container::CapacityContainerBuilder<Vec<()>>, _, _, _>(
        Pipeline,
        "Sink",
        move |_, _| {
            move |(input, frontier), _output| {
                input.for_each(|cap, data| {
                    for (row, tick, diff) in data.drain(..) {
                        if diff.facts != 0 {
                            pending
                                .push(tick, (row, i64::from(diff.facts)), || cap.delayed(&tick, 0));
                        }
                    }
                });
                while let Some((tick, _, rows)) = pending.pop_closed(frontier.frontier()) {
                    let changes = added_up(rows);
                    if !changes.is_empty()
                        && !broken
                        && let Err(error) = sink.changes(tick, &changes)
                    {
                        broken = true;
                        failed(error);
                    }
                }
            }
        },
    )
    .probe_with(probe);
}

/// Distinct rows in order, each with the sum of its counts, those without any left out.
fn added_up(mut rows: Vec<(Row, i64)>) -> Vec<(Row, i64)> {
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    rows.dedup_by(|next, first| {
        let equal = next.0 == first.0;
        first.1 += if equal { next.1 } else { 0 };
        equal
    });
    rows.retain(|(_, count)| *count != 0);
    rows
}
