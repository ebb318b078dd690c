//! The watermark: up to which event time everything has been seen, as far as the order of each partition tells.
//!
//! Each partition's watermark is the greatest event time read from it, less the allowed lateness. Event time is what the statement of the source says; a topic of which two statements say different things is two here. The dataflow's watermark at a tick is the least
//! over the partitions that are being read, and never goes back. A partition that has ended holds nothing back, nor does a topic of which all readers have ended.
//!
//! *Live.* Topics do not end, so a partition that has been silent for longer than the allowed lateness holds nothing back either. And an event cannot be later than the moment at which it is read: a machine whose
//! clock is ahead must not end the state of all others; nor as earlier than an age that may be chosen (see [`Clock`]). Both go by the ticks, which are moments, so that the watermark is the same when a run restarts and reads the same once more.
//!
//! *Stragglers.* A partition that is more than a day behind the furthest keeps everybody's state. One that is read from far back comes nearer faster than the clock goes, and is waited for. One that does not, for a time that may be
//! chosen, is what hosts with wrong clocks or attackers cause: it is reported and left out until it has caught up.
//!
//! *Bounds.* Two numbers for each partition that is being read. They are durable, as is the watermark.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use timely::dataflow::Stream;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::Broadcast;
use tracing::warn;

use super::clock::Clock;
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
    /// Which event times are believed.
    pub clock: Clock,
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
    /// Since when it is far behind the furthest partition, and by how much it was then, in milliseconds.
    behind: Option<(u64, i64)>,
    /// It is left out.
    out: bool,
}

/// How far behind the furthest partition, in milliseconds, is far, if events may not be later anyway.
const FAR: i64 = 86_400_000;

impl Reading {
    /// Follows how far the partition is behind the time of the furthest. True when it has just been left out.
    fn follow(&mut self, furthest: i64, now: u64, (far, straggle): (i64, i64)) -> bool {
        let gap = furthest.saturating_sub(self.time.0);
        if gap <= far {
            (self.behind, self.out) = (None, false);
            return false;
        }
        let (since, before) = *self.behind.get_or_insert((now, gap));
        let elapsed = now.saturating_sub(since) as i64;
        if elapsed < straggle.max(1) {
            return false;
        }
        // it must come nearer at least as fast as the clock goes
        let late = before.saturating_sub(gap) < elapsed;
        self.behind = Some((now, gap));
        let was_out = std::mem::replace(&mut self.out, late);
        late && !was_out
    }
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
    let mut changed: BTreeSet<(u32, u32)> = BTreeSet::new();
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
                            let time = Timestamp(pace.clock.counts(time.0, tick));
                            let new = Reading { time, last: 0, behind: None, out: false };
                            let seen = reading.entry((topic, partition)).or_insert(new);
                            seen.time = time.max(seen.time);
                            seen.last = tick.ms();
                            changed.insert((topic, partition));
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
                    if let Clock::Live { straggle, .. } = pace.clock {
                        let furthest = reading.values().map(|read| read.time.0).max();
                        for (&(topic, partition), read) in &mut reading {
                            let before = (read.behind, read.out);
                            if read.follow(furthest.unwrap_or_default(), tick.ms(), (lateness.max(FAR), straggle))
                                && state.writes_for_all()
                            {
                                warn!(
                                    "{}/{partition} stays behind: its events are of {}, others of {}; it holds nothing back any more",
                                    pace.topics[topic as usize].0,
                                    read.time,
                                    Timestamp(furthest.unwrap_or_default()),
                                );
                            }
                            if before != (read.behind, read.out) {
                                changed.insert((topic, partition));
                            }
                        }
                    }
                    for key in std::mem::take(&mut changed) {
                        if let Some(seen) = reading.get(&key).filter(|_| writes) {
                            let name = encode(&(&pace.topics[key.0 as usize], key.1));
                            state.put(tick, 0, &name, &encode(seen));
                        }
                    }
                    let heard = |read: &&Reading| {
                        pace.clock == Clock::Replay
                            || !read.out
                                && read.last as i64 >= (tick.ms() as i64).saturating_sub(lateness)
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    /// The moments in seconds at which a partition is left out or taken in again, whose event time at a second is `time` while the others are at `others`.
    fn changes(time: impl Fn(i64) -> i64, others: impl Fn(i64) -> i64) -> Vec<(i64, bool)> {
        let mut reading = Reading { time: Timestamp(0), last: 0, behind: None, out: false };
        let mut changes = Vec::new();
        for second in 0..1000 {
            let was = reading.out;
            reading.time = reading.time.max(Timestamp(time(second)));
            let told = reading.follow(others(second), second as u64 * 1000, (FAR, 100_000));
            assert_eq!(told, reading.out && !was);
            if reading.out != was {
                changes.push((second, reading.out));
            }
        }
        changes
    }

    #[test]
    fn a_partition_that_comes_no_nearer_is_left_out() {
        let now = |second: i64| 1000 * DAY + second * 1000;
        // stands still; is ahead of nobody, but goes as fast as the others; comes nearer slowly
        assert_eq!(changes(|_| 0, now), [(100, true)]);
        assert_eq!(changes(|second| 500 * DAY + second * 1000, now), [(100, true)]);
        assert_eq!(changes(|second| 500 * DAY + second * 1900, now), [(100, true)]);
        // is read from far back
        assert_eq!(changes(|second| (second * DAY).min(now(second)), now), []);
        // comes back
        let late = |second: i64| if second < 300 { 0 } else { now(second) };
        assert_eq!(changes(late, now), [(100, true), (300, false)]);
        // is not far
        assert_eq!(changes(|second| now(second) - DAY, now), []);
    }

    #[test]
    fn times_that_are_not_believed_count_for_others() {
        let clock = Clock::live(std::time::Duration::from_secs(10), std::time::Duration::MAX);
        let now = Tick::moment(100_000, 5);
        for (time, counts) in [
            (95_000, 95_000),
            (i64::MAX - 1, 100_000),
            (0, 90_000),
            (i64::MIN, 90_000),
            (i64::MAX, i64::MAX),
        ] {
            assert_eq!(clock.counts(time, now), counts);
            assert_eq!(Clock::Replay.counts(time, now), time);
        }
    }
}
