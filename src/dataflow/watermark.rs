//! The watermark: up to which event time everything has been seen, as far as the order of each partition tells.
//!
//! Each partition's watermark is the greatest event time read from it, less the allowed lateness. The dataflow's watermark at a tick is the least
//! over the partitions that are being read, and never goes back. A partition that has ended holds nothing back.
//!
//! A tick may span any time, and all its records count as arriving together. So what a tick says about time takes effect right after it, at a tick of its own between it and the
//! next one: expiry never takes from the records of a tick what was known when they came, and never meets a fact in one tick.
//!
//! State: one number for each partition.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Broadcast;

use super::pending::Pending;
use super::tick::Tick;
use crate::model::Timestamp;

/// What a reader says about a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Topic, by its number in the plan, and partition.
    pub partition: (u32, u32),
    /// The greatest event time among the records just read, if any had one.
    pub time: Option<Timestamp>,
    /// True when nothing more will come of the partition.
    pub ended: bool,
}

/// What the readers of all workers say.
pub type Reports<'scope> = Stream<'scope, Tick, Vec<(Report, Tick)>>;

/// The watermark, each time that it advances.
pub type Watermarks<'scope> = Stream<'scope, Tick, Vec<(Timestamp, Tick)>>;

/// Turns the reports of all workers into the watermark, at each worker, right after each tick at which it advances.
pub fn watermark(reports: Reports<'_>, lateness: std::time::Duration) -> Watermarks<'_> {
    let lateness = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
    let mut pending: Pending<Report> = Pending::default();
    let mut partitions: BTreeMap<(u32, u32), Timestamp> = BTreeMap::new();
    let mut ended = None;
    let mut current = None;
    reports.broadcast().unary_frontier(timely::dataflow::channels::pact::Pipeline, "Watermark", move |_, _| {
        move |(input, frontier), output| {
            input.for_each(|cap, data| {
                for (report, tick) in data.drain(..) {
                    pending.push(tick, report, || cap.delayed(&tick, 0));
                }
            });
            while let Some((tick, cap, reports)) = pending.pop_closed(frontier.frontier()) {
                for report in &reports {
                    if let Some(time) = report.time {
                        let seen = partitions.entry(report.partition).or_insert(time);
                        *seen = time.max(*seen);
                    }
                }
                for report in reports.iter().filter(|report| report.ended) {
                    ended = ended.max(partitions.remove(&report.partition));
                }
                // While nothing is being read, the last of what was read says how far time has come.
                let seen = partitions.values().min().copied().or(ended);
                let next = seen.map(|time| Timestamp(time.0.saturating_sub(lateness)));
                if next > current {
                    current = next;
                    let after = tick.after();
                    output.session(&cap.delayed(&after)).give_iterator(next.map(|time| (time, after)).into_iter());
                }
            }
        }
    })
}
