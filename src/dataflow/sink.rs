//! Where the rows of a view go: the facts of each tick, added up, once the tick is closed.

use std::collections::HashMap;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Exchange;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::probe::{Handle, Probe};

use super::diff::Diff;
use super::pending::Pending;
use super::rows::Rows;
use super::tick::Tick;
use crate::model::Row;

/// Takes the changes of a view. Lives at one worker and gets that worker's part of the rows.
pub trait Sink {
    /// The changes of one tick: distinct rows with the number of times that each was asserted (positive) or taken back (negative), sorted by bytes. Called in the order of ticks; ticks without
    /// changes are left out. An error ends the run.
    fn changes(&mut self, tick: Tick, changes: &[(Row, i64)]) -> Result<(), crate::model::SinkError>;
}

/// Which worker gets a row.
#[derive(Clone, Copy, Debug)]
pub enum Placement {
    /// The one that has it.
    Anywhere,
    /// One of the workers `0..n`, the same for equal rows.
    Among(u64),
}

/// Delivers the facts of a view to a sink and reports progress to the probe. `failed` takes the first error; after it nothing is delivered any more.
pub fn deliver(
    rows: Rows<'_, Tick>,
    mut sink: Box<dyn Sink>,
    placement: Placement,
    probe: &Handle<Tick>,
    mut failed: impl FnMut(crate::model::SinkError) + 'static,
) {
    let rows = match placement {
        Placement::Anywhere => rows,
        Placement::Among(workers) => {
            let by_bytes = move |(row, _, _): &(Row, Tick, Diff)| differential_dataflow::Hashable::hashed(row) % workers;
            rows.exchange(by_bytes)
        }
    };
    let mut pending: Pending<(Row, i32)> = Pending::default();
    let mut broken = false;
    rows.unary_frontier::<timely::container::CapacityContainerBuilder<Vec<()>>, _, _, _>(Pipeline, "Sink", move |_, _| {
        move |(input, frontier), _output| {
            input.for_each(|cap, data| {
                for (row, tick, diff) in data.drain(..) {
                    if diff.facts != 0 {
                        pending.push(tick, (row, diff.facts), || cap.delayed(&tick, 0));
                    }
                }
            });
            while let Some((tick, _, rows)) = pending.pop_closed(frontier.frontier()) {
                let mut totals: HashMap<Row, i64> = HashMap::with_capacity(rows.len());
                for (row, facts) in rows {
                    *totals.entry(row).or_default() += i64::from(facts);
                }
                let mut changes: Vec<(Row, i64)> = totals.into_iter().filter(|(_, count)| *count != 0).collect();
                changes.sort_unstable();
                if !changes.is_empty()
                    && !broken
                    && let Err(error) = sink.changes(tick, &changes)
                {
                    broken = true;
                    failed(error);
                }
            }
        }
    })
    .probe_with(probe);
}
