//! Drives a worker over captures until they end.
//!
//! ```text
//!  each worker:  read a piece ─▶ send its rows at the piece's tick ─▶ step the dataflow ─▶ read the next piece …
//! ```
//!
//! *Ticks.* A tick is a position in the inputs: a stretch of [`STRETCH`] bytes of a partition, or,
//! where the order of arrival matters (as-of joins) and for a change log, each record on its own. So
//! ticks do not depend on the number of workers, on who reads what, or on how many bytes a chunk
//! holds. Where the order of arrival matters and there is more than one file, records come [by
//! time](super::by_time) instead.
//!
//! *Back-pressure.* A worker that opens a tick waits until the dataflow has finished what was before the tick that it had open, so what is in flight is bounded by two stretches for each worker.

use std::sync::Arc;
use std::time::Duration;

use super::by_time::{self, Meeting};
use super::clock::Clock;
use super::diff::Diff;
use super::sink::Placement;
use super::sizes::Sizes;
use super::source::{Piece, Progress, Source};
use super::state::State;
use super::tick::Tick;
use super::watermark::Report;
use super::worker::{Ends, ReportInput, RowInput, Run, build, needs_exact_order};

/// Bytes of a partition that share a tick. With events of 2 KB about 16,000 of them: large enough that the cost of a tick does not show, small enough to keep little in flight.
const STRETCH: u64 = 32 << 20;

/// Makes the readers of a worker.
pub type MakeSources = dyn Fn(usize) -> Vec<Box<dyn Source>> + Send + Sync;

/// What a replay reads, and how.
pub struct Replay {
    /// Makes the readers of a worker, one for each of [`topics`](super::topics), in order.
    pub sources: Arc<MakeSources>,
    /// True when all rows of a view must come to worker 0, in the order of ticks.
    pub ordered: bool,
    /// True when each record must have a tick of its own, so that every change that a record makes is seen.
    pub each_record: bool,
    /// True when records must come in the order of their times. Those of one file do as they are.
    pub by_time: bool,
    /// Takes how much operators keep.
    pub sizes: Sizes,
    /// Where the workers meet if records must come by time.
    pub meeting: Meeting,
}

/// The inputs of one topic at one worker.
struct Feed {
    number: u32,
    source: Box<dyn Source>,
    taps: Vec<RowInput>,
    piece: Piece,
    /// The tick of the piece read last, and the last tick of any that was read.
    opened: Tick,
    last: Tick,
}

pub(super) fn drive(worker: &mut timely::worker::Worker, run: &Run, replay: &Replay) {
    let exact = replay.each_record || needs_exact_order(&run.plan);
    let placement = match () {
        () if replay.ordered => Placement::Among(1),
        () if run.cluster.processes() > 1 => Placement::Among(run.cluster.threads as u64),
        () => Placement::Anywhere,
    };
    let state = State::new(
        None,
        None,
        replay.sizes.clone(),
        (worker.index(), worker.peers()),
        run.secret,
        Clock::Replay,
    );
    let ends = build(worker, run, &state, &|_, _| (placement, None));
    let sources = (replay.sources)(worker.index());
    if replay.by_time {
        return by_time::drive(worker, run, replay, sources, ends);
    }
    let Ends { inputs, mut reports, probe } = ends;
    let mut feeds: Vec<Feed> = inputs
        .into_iter()
        .zip(sources)
        .enumerate()
        .map(|(number, (taps, source))| Feed {
            number: number as u32,
            source,
            piece: Piece::new(taps.len()),
            taps,
            opened: Tick(0),
            last: Tick(0),
        })
        .collect();
    let mut floor = Tick(0);
    // The feed that is furthest behind reads next, so that topics advance together.
    while let Some(next) = (0..feeds.len()).min_by_key(|&i| feeds[i].opened) {
        if !feeds[next].step(&mut reports, exact) {
            feeds.swap_remove(next);
        }
        worker.step();
        let Some(reached) = feeds.iter().map(|feed| feed.opened).min() else { break };
        if reached > floor {
            reports.advance_to(reached);
            // All inputs of this worker are at `reached` or later, so waiting for an earlier tick is waiting for others only.
            while probe.less_than(&floor) {
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
            floor = reached;
        }
    }
}

impl Feed {
    /// Reads and sends one piece; false when the source has ended, which closes its inputs.
    fn step(&mut self, reports: &mut ReportInput, exact: bool) -> bool {
        match self.source.read(&mut self.piece) {
            Progress::End => {
                reports.send((Report::Ended { topic: self.number }, self.last));
                return false;
            }
            Progress::Read => {}
        }
        let partition = self.piece.partition;
        let tick = move |offset: u64| {
            Tick::at(partition, if exact { offset } else { offset - offset % STRETCH })
        };
        let open = tick(self.piece.offset);
        if open > self.opened {
            self.opened = open;
            for input in &mut self.taps {
                input.advance_to(open);
            }
        }
        let earliest_open = self.piece.earliest_open;
        let topic = self.number;
        let report = |time| Report::Read { topic, partition, time, earliest_open };
        reports.send((report(None), self.opened));
        // how far the time of each tick goes
        for times in self.piece.times.chunk_by(|a, b| tick(a.0) == tick(b.0)) {
            let (offset, time) = times[times.len() - 1];
            self.last = self.last.max(tick(offset));
            reports.send((report(Some(time)), tick(offset)));
        }
        self.last = self.last.max(open);
        for (rows, input) in self.piece.take().zip(&mut self.taps) {
            let mut batch: Vec<_> =
                rows.map(|(row, offset)| (row, tick(offset), Diff::ASSERT)).collect();
            self.last = self.last.max(batch.last().map_or(open, |(_, tick, _)| *tick));
            input.send_batch(&mut batch);
        }
        true
    }
}
