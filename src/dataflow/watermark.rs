//! The watermark: up to which event time everything has been seen, as far as the order of each partition tells.
//!
//! Each partition's watermark is the greatest event time read from it, less the allowed lateness. The dataflow's watermark at a tick is the least
//! over the partitions that are being read, and never goes back. A partition that has ended holds nothing back.
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

/// The watermark, each time that it advances, at the [expiry tick](Tick::expiry) of the reports that say so.
pub type Watermarks<'scope> = Stream<'scope, Tick, Vec<(Timestamp, Tick)>>;

/// Turns the reports of all workers into the watermark, at each worker, at each tick at which it advances.
pub fn watermark(reports: Reports<'_>, lateness: std::time::Duration) -> Stream<'_, Tick, Vec<(Timestamp, Tick)>> {
    let lateness = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
    let mut pending: Pending<Report> = Pending::default();
    let mut partitions: BTreeMap<(u32, u32), Timestamp> = BTreeMap::new();
    let mut ended: BTreeMap<(u32, u32), Timestamp> = BTreeMap::new();
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
                    if let Some(time) = partitions.remove(&report.partition) {
                        ended.insert(report.partition, time);
                    }
                }
                // While nothing is being read, the last of what was read says how far time has come.
                let seen = partitions.values().min().or(ended.values().max());
                let next = seen.map(|time| Timestamp(time.0.saturating_sub(lateness)));
                if next > current {
                    current = next;
                    let at = tick.expiry();
                    output.session(&cap.delayed(&at)).give_iterator(next.map(|time| (time, at)).into_iter());
                }
            }
        }
    })
}
