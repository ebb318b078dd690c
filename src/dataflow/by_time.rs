//! A replay in the order of event time, for dataflows that see the order of arrival (as-of joins).
//!
//! ```text
//!  each worker:  read all pieces of all topics ─▶ ┐                ┌─▶ send own blocks
//!                                                 ├─ sort, number ─┤
//!  another:      read all pieces of all topics ─▶ ┘                └─▶ send own blocks
//! ```
//!
//! Captures have no order between topics: what lies first in one file says nothing of another. So
//! records come as a run would have seen them: by event time, which never goes back within a
//! partition, since a run reads that in its own order; then by position. The places in this order
//! are the ticks; records of one place (a file that two topics read) share one. A record without
//! time has that of the one before it in its partition; at the beginning of one it is the earliest.
//!
//! The watermark follows the order, as if all were one partition.
//!
//! *Bounds.* The rows of all topics, with the columns that the plan reads, until they are sent; it
//! is the price of an order that no file has. All workers are in one process.

use std::sync::{Barrier, Mutex, PoisonError};

use super::diff::Diff;
use super::replay::Replay;
use super::source::{Piece, Progress, Source};
use super::tick::Tick;
use super::watermark::Report;
use super::worker::{Ends, Run};
use crate::model::{Row, Timestamp};

/// Rows that a worker sends at a time.
const BLOCK: usize = 4096;

/// Where a record is: topic, partition, offset.
type Place = (usize, u32, u64);

/// A row that waits for its turn.
struct Waiting {
    place: Place,
    tap: usize,
    /// None once it is sent.
    row: Option<Row>,
    time: i64,
    tick: Tick,
}

/// What the workers of a process bring together.
pub struct Meeting {
    together: Mutex<Together>,
    barrier: Barrier,
}

#[derive(Default)]
struct Together {
    rows: Vec<Waiting>,
    /// Where the time of a partition went forward.
    times: Vec<(Place, Timestamp)>,
}

impl Meeting {
    /// For so many workers.
    pub fn new(workers: usize) -> Meeting {
        Meeting { together: Mutex::default(), barrier: Barrier::new(workers) }
    }
}

impl Together {
    fn add(&mut self, topic: usize, piece: &mut Piece) {
        let partition = piece.partition;
        let place = |offset: u64| (topic, partition, offset);
        self.times.extend(piece.times.iter().map(|(offset, time)| (place(*offset), *time)));
        for (tap, rows) in piece.take().enumerate() {
            self.rows.extend(rows.map(|(row, offset)| Waiting {
                place: place(offset),
                tap,
                row: Some(row),
                time: i64::MIN,
                tick: Tick(0),
            }));
        }
    }

    /// Puts the rows in order and gives each its tick.
    fn sort(&mut self) {
        self.times.sort_unstable();
        self.rows.sort_by_key(|row| (row.place, row.tap));
        let mut times = std::mem::take(&mut self.times).into_iter().peekable();
        let mut clock = ((usize::MAX, 0), i64::MIN);
        let mut pass = |(topic, partition, _): Place, time: i64| {
            let before = if clock.0 == (topic, partition) { clock.1 } else { i64::MIN };
            clock = ((topic, partition), before.max(time));
            clock.1
        };
        for row in &mut self.rows {
            while let Some((place, time)) = times.next_if(|(place, _)| *place <= row.place) {
                pass(place, time.0);
            }
            row.time = pass(row.place, i64::MIN);
        }
        let order = |row: &Waiting| (row.time, row.place.1, row.place.2);
        self.rows.sort_by_key(|row| (order(row), row.place.0));
        let mut tick = 0;
        for i in 1..self.rows.len() {
            // even ticks are for facts
            tick += if order(&self.rows[i]) == order(&self.rows[i - 1]) { 0 } else { 2 };
            self.rows[i].tick = Tick(tick);
        }
    }
}

/// Reads everything, then sends it in order.
pub(super) fn drive(
    worker: &mut timely::worker::Worker,
    run: &Run,
    replay: &Replay,
    mut sources: Vec<Box<dyn Source>>,
    ends: Ends,
) {
    let Ends { mut inputs, mut reports, probe } = ends;
    let Meeting { together, barrier } = &replay.meeting;
    let lock = || together.lock().unwrap_or_else(PoisonError::into_inner);
    for (topic, source) in sources.iter_mut().enumerate() {
        let mut piece = Piece::new(inputs[topic].len());
        while source.read(&mut piece) == Progress::Read {
            lock().add(topic, &mut piece);
        }
    }
    // that all have read, and then that all see the order
    if barrier.wait().is_leader() {
        lock().sort();
    }
    barrier.wait();

    let (index, workers) = (worker.index(), worker.peers());
    let blocks = lock().rows.len().div_ceil(BLOCK);
    let mut floor = Tick(0);
    for number in 0..blocks {
        let (first, mine) = {
            let mut together = lock();
            let end = together.rows.len().min((number + 1) * BLOCK);
            let block = &mut together.rows[number * BLOCK..end];
            let mine = number % workers == index;
            let first = block[0].tick;
            let mine = block.iter_mut().filter(|_| mine);
            let mine = mine.filter_map(|row| {
                Some((row.place.0, row.tap, row.row.take()?, row.time, row.tick))
            });
            (first, mine.collect::<Vec<_>>())
        };
        inputs.iter_mut().flatten().for_each(|input| input.advance_to(first));
        reports.advance_to(first);
        let mut told = None;
        for (topic, tap, row, time, tick) in mine {
            inputs[topic][tap].send((row, tick, Diff::ASSERT));
            if run.allowed_lateness.is_some() && time > i64::MIN && told < Some(time) {
                told = Some(time);
                let time = Some(Timestamp(time));
                reports
                    .send((Report::Read { topic: 0, partition: 0, time, earliest_open: 0 }, tick));
            }
        }
        worker.step();
        // what is in flight is bounded: all of this worker's inputs are at `first`
        while probe.less_than(&floor) {
            worker.step_or_park(Some(std::time::Duration::from_millis(1)));
        }
        floor = first;
    }
    let end = lock().rows.last().map_or(Tick(0), |row| row.tick);
    reports.advance_to(end.max(*reports.time()));
    reports.send((Report::Ended { topic: 0 }, end));
}
