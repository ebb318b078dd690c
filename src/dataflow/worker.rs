//! Runs a plan on the workers of this process until its sources end.
//!
//! ```text
//!  each worker:  read a piece ─▶ send its rows at the piece's tick ─▶ step the dataflow ─▶ read the next piece …
//! ```
//!
//! *Ticks.* A tick is a position in the inputs: a stretch of [`STRETCH`] bytes of a partition, or, where the exact order of arrival matters (as-of joins, change logs), each record on its own. So ticks do not
//! depend on the number of workers or on who reads what.
//!
//! *Back-pressure.* A worker that opens a tick waits until the dataflow has finished what was before the tick that it had open, so what is in flight is bounded by two stretches for each worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::vec::Input;

use super::cluster::{Cluster, ConnectError};
use super::counters::Counters;
use super::diff::Diff;
use super::render::render;
use super::sink::{Placement, Sink, deliver};
use super::source::{Piece, Progress, Source};
use super::tick::Tick;
use super::watermark::Report;
use crate::model::SinkError;
use crate::plan::{self, NodeId, Operator, Plan};

/// Bytes of a partition that share a tick. With events of 2 KB about 16,000 of them: large enough that the cost of a tick does not show, small enough to keep little in flight.
const STRETCH: u64 = 32 << 20;

/// The sources of one topic, which are read together.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its format, the same for all taps.
    pub format: Arc<plan::Format>,
    /// The source nodes, in the order in which a [`Piece`] has their rows.
    pub taps: Vec<NodeId>,
}

/// The topics that a plan reads, by name and format.
pub fn topics(plan: &Plan) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for (id, node) in plan.nodes() {
        let Operator::Source(source) = &node.operator else { continue };
        match topics.iter_mut().find(|topic| topic.name == source.topic && topic.format == source.format) {
            Some(topic) => topic.taps.push(id),
            None => topics.push(Topic { name: source.topic.clone(), format: Arc::clone(&source.format), taps: vec![id] }),
        }
    }
    topics
}

/// Makes the readers of a worker.
pub type MakeSources = dyn Fn(usize) -> Vec<Box<dyn Source>> + Send + Sync;

/// Makes the sink of a view at a worker.
pub type MakeSink = dyn Fn(usize, &plan::View) -> Box<dyn Sink> + Send + Sync;

/// How to run.
pub struct Run {
    /// What.
    pub plan: Plan,
    /// Where.
    pub cluster: Cluster,
    /// Stands for the plan and its inputs: all processes must have the same.
    pub fingerprint: [u8; 32],
    /// How late events may be before their state expires; `None` when nothing expires.
    pub allowed_lateness: Option<Duration>,
    /// What operators count.
    pub counters: Counters,
    /// Makes the readers of a worker, one for each of [`topics`], in order.
    pub sources: Arc<MakeSources>,
    /// Makes the sink of a view at a worker. Rows of all processes come to the workers of process 0.
    pub sink: Arc<MakeSink>,
    /// True when all rows of a view must come to worker 0, in the order of ticks.
    pub ordered: bool,
    /// True when each record must have a tick of its own, so that every change that a record makes is seen.
    pub each_record: bool,
    /// Takes the first error of a sink.
    pub failed: Arc<dyn Fn(SinkError) + Send + Sync>,
}

/// Runs until all sources have ended and all their rows have reached the sinks.
pub fn run(run: Run) -> Result<(), ConnectError> {
    let (builders, others) = run.cluster.connect(run.fingerprint)?;
    let mut config = timely::WorkerConfig::default();
    // Where rows expire, merging frees them. Else batches merge as new ones come, and merging more would only copy what stays.
    let effort = run.allowed_lateness.map(|_| 1000);
    differential_dataflow::configure(&mut config, &differential_dataflow::Config::default().idle_merge_effort(effort));
    let guards = timely::execute::execute_from(builders, others, config, move |worker| drive(worker, &run))
        .map_err(|text| ConnectError::Network(std::io::Error::other(text)))?;
    for result in guards.join() {
        result.map_err(|text| ConnectError::Network(std::io::Error::other(text)))?;
    }
    Ok(())
}

type RowInput = timely::dataflow::operators::vec::input::Handle<Tick, (crate::model::Row, Tick, Diff)>;
type ReportInput = timely::dataflow::operators::vec::input::Handle<Tick, (Report, Tick)>;

/// The inputs of one topic at one worker.
struct Feed {
    number: u32,
    source: Box<dyn Source>,
    taps: Vec<RowInput>,
    piece: Piece,
    /// The tick at which it sends.
    opened: Tick,
}

fn drive(worker: &mut timely::worker::Worker, run: &Run) {
    let probe = ProbeHandle::new();
    let topics = topics(&run.plan);
    let exact = run.each_record || run.plan.nodes().any(|(_, node)| matches!(node.operator, Operator::AsOf { .. }));
    let index = worker.index();
    let placement = match () {
        () if run.ordered => Placement::Among(1),
        () if run.cluster.processes() > 1 => Placement::Among(run.cluster.threads as u64),
        () => Placement::Anywhere,
    };
    let (inputs, mut reports) = worker.dataflow::<Tick, _, _>(|scope| {
        let (mut inputs, mut streams) = (Vec::new(), HashMap::new());
        for topic in &topics {
            let mut taps = Vec::new();
            for &tap in &topic.taps {
                let (input, stream) = scope.new_input();
                taps.push(input);
                streams.insert(tap, stream);
            }
            inputs.push(taps);
        }
        let (report_input, reports) = scope.new_input();
        let reports = run.allowed_lateness.map(|lateness| (reports, lateness));
        let rendered = render(scope, &run.plan, &streams, reports, &run.counters);
        for view in &run.plan.views {
            let failed = Arc::clone(&run.failed);
            deliver(rendered[&view.root].rows(), (run.sink)(index, view), placement, &probe, move |error| failed(error));
        }
        (inputs, report_input)
    });
    let sources = (run.sources)(index);
    let mut feeds: Vec<Feed> = inputs
        .into_iter()
        .zip(sources)
        .enumerate()
        .map(|(number, (taps, source))| Feed { number: number as u32, source, piece: Piece::new(taps.len()), taps, opened: Tick(0) })
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
                reports.send((Report::Ended { topic: self.number }, self.opened));
                return false;
            }
            Progress::Read => {}
        }
        let tick = |offset: u64| Tick::at(self.piece.partition, if exact { offset } else { offset - offset % STRETCH });
        let (partition, open) = (self.piece.partition, tick(self.piece.offset));
        if open > self.opened {
            self.opened = open;
            for input in &mut self.taps {
                input.advance_to(open);
            }
        }
        let Piece { time, earliest_open, .. } = self.piece;
        // The time of a piece is known once all of it has come.
        let last = self.piece.rows.iter().filter_map(|rows| rows.last()).map(|(_, offset)| tick(*offset)).max();
        let reported = if exact { last.map_or(self.opened, |last| last.max(self.opened)) } else { self.opened };
        reports.send((Report::Read { topic: self.number, partition, time, earliest_open }, reported));
        let opened = self.opened;
        for (rows, input) in self.piece.take().zip(&mut self.taps) {
            let mut batch: Vec<_> =
                rows.map(|(row, offset)| (row, if exact { Tick::at(partition, offset) } else { opened }, Diff::ASSERT)).collect();
            input.send_batch(&mut batch);
        }
        true
    }
}
