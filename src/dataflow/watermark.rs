//! The watermark: up to which event time everything has been seen, as far as the order of each partition tells.
//!
//! Each partition's watermark is the greatest event time read from it, less the allowed lateness. The dataflow's watermark at a tick is the least
//! over the partitions that are being read, and never goes back. A partition that has ended holds nothing back, nor does a topic of which all readers have ended.
//!
//! *Bounds.* One number for each partition that is being read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Broadcast;

use super::pending::Pending;
use super::tick::Tick;
use crate::model::Timestamp;

/// What a reader of a topic says. Topics are numbered as in the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Report {
    /// It has read something.
    Read {
        /// The topic.
        topic: u32,
        /// Of which partition.
        partition: u32,
        /// The greatest event time among the records just read, if any had one.
        time: Option<Timestamp>,
        /// Partitions before this one have ended, for all readers.
        earliest_open: u32,
    },
    /// It will read nothing more.
    Ended {
        /// The topic.
        topic: u32,
    },
}

/// What the readers of all workers say.
pub type Reports<'scope> = Stream<'scope, Tick, Vec<(Report, Tick)>>;

/// The watermark, each time that it advances, at the [expiry tick](Tick::expiry) of the reports that say so.
pub type Watermarks<'scope> = Stream<'scope, Tick, Vec<(Timestamp, Tick)>>;

/// Turns the reports of all workers into the watermark, at each worker, right after each tick at which it advances.
pub fn watermark(reports: Reports<'_>, lateness: std::time::Duration) -> Watermarks<'_> {
    let lateness = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
    let readers = reports.scope().peers();
    let mut pending: Pending<Report> = Pending::default();
    // The greatest time of each partition that is being read, by topic and partition; and of those that have ended.
    let mut reading: BTreeMap<(u32, u32), Timestamp> = BTreeMap::new();
    let mut ended: Option<Timestamp> = None;
    let mut readers_ended: BTreeMap<u32, usize> = BTreeMap::new();
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
                    if let Report::Read { topic, partition, time: Some(time), .. } = *report {
                        let seen = reading.entry((topic, partition)).or_insert(time);
                        *seen = time.max(*seen);
                    }
                }
                for report in &reports {
                    let (topic, open) = match *report {
                        Report::Read { topic, earliest_open, .. } => (topic, earliest_open),
                        Report::Ended { topic } => {
                            let count = readers_ended.entry(topic).or_default();
                            *count += 1;
                            (topic, if *count == readers { u32::MAX } else { 0 })
                        }
                    };
                    let waiting = reading.split_off(&(topic, open));
                    let mut before = std::mem::replace(&mut reading, waiting);
                    let done = before.split_off(&(topic, 0));
                    reading.append(&mut before);
                    ended = ended.max(done.into_values().max());
                }
                // While nothing is being read, the last of what was read says how far time has come.
                let seen = reading.values().min().copied().or(ended);
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
