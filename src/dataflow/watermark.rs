//! The watermark: up to which event time everything has been seen, as far as the order of each partition tells.
//!
//! Each partition's watermark is the greatest event time read from it, less the allowed lateness. Event time is what the statement of the source says; a topic of which two statements say different things is two here. The dataflow's watermark at a tick is the least
//! over the partitions that are being read, and never goes back. A partition that has ended holds nothing back, nor does a topic of which all readers have ended.
//!
//! *Live.* Topics do not end, so a partition that has been silent for longer than the allowed lateness holds nothing back either. And an event cannot be later than the moment at which it is read: a machine whose
//! clock is ahead must not end the state of all others. Both go by the ticks, which are moments, so that the watermark is the same when a run restarts and reads the same once more.
//!
//! *Bounds.* Two numbers for each partition that is being read. They are durable, as is the watermark.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Broadcast;

use super::pending::Pending;
use super::state::{Part, decode, encode};
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

/// How the watermark follows event time.
#[derive(Clone, Debug)]
pub struct Pace {
    /// How late an event may be.
    pub allowed_lateness: std::time::Duration,
    /// Ticks are moments.
    pub live: bool,
    /// The topics in the order of their numbers: names, and [how they are read](crate::plan::Source::reading).
    pub topics: Vec<(String, u64)>,
}

/// What has been read of a partition.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Reading {
    /// The greatest event time.
    time: Timestamp,
    /// The moment of the last report.
    last: u64,
}

/// The key of the watermark itself, where others are topic and partition.
const CURRENT: &[u8] = b"";

/// Turns the reports of all workers into the watermark, at each worker, right after each tick at which it advances.
pub fn watermark(reports: Reports<'_>, pace: Pace, state: Part) -> Watermarks<'_> {
    let lateness = i64::try_from(pace.allowed_lateness.as_millis()).unwrap_or(i64::MAX);
    let readers = reports.scope().peers();
    let mut pending: Pending<Report> = Pending::default();
    // What has been read of each partition that is being read, by topic and partition; and the greatest time of those that have ended.
    let mut reading: BTreeMap<(u32, u32), Reading> = BTreeMap::new();
    let mut ended: Option<Timestamp> = None;
    let mut readers_ended: BTreeMap<u32, usize> = BTreeMap::new();
    let mut current: Option<Timestamp> = None;
    state.restore_all(|_, key, value| {
        if key == CURRENT {
            current = decode(value);
        } else {
            let (topic, partition): ((String, u64), u32) = decode(key);
            if let Some(topic) = pace.topics.iter().position(|known| *known == topic) {
                reading.insert((topic as u32, partition), decode(value));
            }
        }
    });
    let writes = state.is_durable() && state.writes_for_all();
    reports.broadcast().unary_frontier(
        timely::dataflow::channels::pact::Pipeline,
        "Watermark",
        move |cap, _| {
            let mut restored = state.restored_at().map(|at| cap.delayed(&at.expiry()));
            move |(input, frontier), output| {
                if let Some(cap) = restored.take() {
                    output
                        .session(&cap)
                        .give_iterator(current.map(|time| (time, *cap.time())).into_iter());
                }
                input.for_each(|cap, data| {
                    for (report, tick) in data.drain(..) {
                        pending.push(tick, report, || cap.delayed(&tick, 0));
                    }
                });
                while let Some((tick, cap, reports)) = pending.pop_closed(frontier.frontier()) {
                    for report in &reports {
                        if let Report::Read { topic, partition, time: Some(time), .. } = *report {
                            let time = if pace.live {
                                time.min(Timestamp(tick.ms() as i64))
                            } else {
                                time
                            };
                            let seen = reading
                                .entry((topic, partition))
                                .or_insert(Reading { time, last: 0 });
                            *seen = Reading { time: time.max(seen.time), last: tick.ms() };
                            if writes {
                                let key = encode(&(&pace.topics[topic as usize], partition));
                                state.put(tick, 0, &key, &encode(seen));
                            }
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
                        ended = ended.max(done.into_values().map(|read| read.time).max());
                    }
                    let heard = |read: &&Reading| {
                        !pace.live
                            || read.last as i64 >= (tick.ms() as i64).saturating_sub(lateness)
                    };
                    // While nothing is being read, the last of what was read says how far time has come.
                    let seen = reading.values().filter(heard).map(|read| read.time).min().or(ended);
                    let next = seen.map(|time| Timestamp(time.0.saturating_sub(lateness)));
                    if next > current {
                        current = next;
                        if writes {
                            state.put(tick, 0, CURRENT, &encode(&next));
                        }
                        let at = tick.expiry();
                        output
                            .session(&cap.delayed(&at))
                            .give_iterator(next.map(|time| (time, at)).into_iter());
                    }
                }
            }
        },
    )
}
