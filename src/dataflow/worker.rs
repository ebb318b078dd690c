//! Runs a plan on the workers of this process: over captures until they end, or live until it is told to stop.
//!
//! What both share is here: the topics, the inputs and the dataflow of a worker. How a worker is driven is in [`replay`](super::replay) and [`live`](super::live).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::trace::ExertionLogic;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::vec::Input;

use super::clock::Clock;
use super::cluster::{Cluster, ConnectError};
use super::counters::Counters;
use super::diff::Diff;
use super::live::{self, Live};
use super::render::{Surroundings, render};
use super::replay::{self, Replay};
use super::sink::{Placement, Sink, Undelivered, deliver};
use super::state::State;
use super::tick::Tick;
use super::watermark::{Pace, Report};
use crate::model::{Row, Secret, SinkError};
use crate::plan::{self, NodeId, Operator, Plan};

/// The sources of one topic, which are read together.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// What a decoder of it is known by over restarts.
    pub reading: u64,
    /// The source nodes, in the order in which a [`Piece`](super::Piece) has their rows.
    pub taps: Vec<NodeId>,
}

/// The topics that a plan reads. One that is read in several ways is several.
pub fn topics(plan: &Plan) -> Vec<Topic> {
    let mut topics: Vec<(&plan::Source, Topic)> = Vec::new();
    for (id, node) in plan.nodes() {
        let Operator::Source(source) = &node.operator else { continue };
        match topics.iter_mut().find(|(first, _)| first.is_read_with(source)) {
            Some((_, topic)) => topic.taps.push(id),
            None => topics.push((
                source,
                Topic { name: source.topic.clone(), reading: source.reading(), taps: vec![id] },
            )),
        }
    }
    topics.into_iter().map(|(_, topic)| topic).collect()
}

/// Makes the sink of a view at a worker.
pub type MakeSink = dyn Fn(usize, &plan::View) -> Box<dyn Sink> + Send + Sync;

/// Takes why a run must end.
pub type Failed = dyn Fn(SinkError) + Send + Sync;

/// How to run.
pub struct Run {
    /// What.
    pub plan: Plan,
    /// Where.
    pub cluster: Cluster,
    /// Stands for the plan and its inputs: all processes must have the same.
    pub fingerprint: [u8; 32],
    /// What digests are made with. All processes have that of the first.
    pub secret: Secret,
    /// How late events may be before their state expires; `None` when nothing expires.
    pub allowed_lateness: Option<Duration>,
    /// What operators count.
    pub counters: Counters,
    /// Makes the sink of a view at a worker. Rows of all processes come to the workers of process 0.
    pub sink: Arc<MakeSink>,
    /// Takes the first error of a sink, or why there would be no end.
    pub failed: Arc<Failed>,
    /// What is read, and how.
    pub mode: Mode,
}

/// What a run reads.
pub enum Mode {
    /// Captures.
    Replay(Replay),
    /// Topics.
    Live(Live),
}

/// Runs until all sources have ended, or the run is told to stop, and all their rows have reached the sinks.
pub fn run(mut run: Run) -> Result<(), ConnectError> {
    let (builders, others, secret) = run.cluster.connect(run.fingerprint, run.secret)?;
    run.secret = secret;
    run.plan.key_by(secret);
    let mut config = timely::WorkerConfig::default();
    // Where rows expire, merging frees them. Else batches merge as new ones come, and merging more would only copy what stays.
    if run.allowed_lateness.is_some() {
        config.set::<ExertionLogic>(
            "differential/default_exert_logic".to_owned(),
            Arc::new(idle_merge_effort),
        );
    }
    let guards =
        timely::execute::execute_from(builders, others, config, move |worker| match &run.mode {
            Mode::Replay(mode) => replay::drive(worker, &run, mode),
            Mode::Live(mode) => live::drive(worker, &run, mode),
        })
        .map_err(|text| ConnectError::Network(std::io::Error::other(text)))?;
    for result in guards.join() {
        result.map_err(|text| ConnectError::Network(std::io::Error::other(text)))?;
    }
    Ok(())
}

/// How many updates an idle worker merges before it looks for something else to do.
const IDLE_MERGE: usize = 1000;
/// Smaller batches of an index are left as they are while the largest is so many times as long as all of them. Merging each into it at once would copy the whole index for every tick; so, each row is copied some four times more than need be, and at
/// most a fifth of an index waits to cancel out.
const IDLE_MERGE_RATIO: usize = 4;

/// Whether an idle worker merges batches of an index, which are told as (level, batches, updates), the largest level first.
fn idle_merge_effort(levels: &[(usize, usize, usize)]) -> Option<usize> {
    let mut levels = levels.iter().filter(|(_, _, updates)| *updates > 0);
    let &(_, batches, largest) = levels.next()?;
    let others: usize = levels.map(|(_, _, updates)| updates).sum();
    // a merge at the top is half done: it holds its sources and what it has made of them
    (batches > 1 || IDLE_MERGE_RATIO * others > largest).then_some(IDLE_MERGE)
}

pub(super) type RowInput = timely::dataflow::operators::vec::input::Handle<Tick, (Row, Tick, Diff)>;
pub(super) type ReportInput = timely::dataflow::operators::vec::input::Handle<Tick, (Report, Tick)>;

/// The dataflow of one worker, from outside.
pub(super) struct Ends {
    /// For each of the topics, for each of its taps.
    pub inputs: Vec<Vec<RowInput>>,
    pub reports: ReportInput,
    /// How far all sinks of all workers are.
    pub probe: ProbeHandle<Tick>,
}

/// Where the rows of a view go, and which of them, if not all.
pub(super) type Delivery<'d> = &'d dyn Fn(usize, &plan::View) -> (Placement, Option<Undelivered>);

/// Builds the dataflow of a worker.
pub(super) fn build(
    worker: &mut timely::worker::Worker,
    run: &Run,
    state: &State,
    delivery: Delivery<'_>,
) -> Ends {
    let probe = ProbeHandle::new();
    let topics = topics(&run.plan);
    let index = worker.index();
    let (inputs, reports) = worker.dataflow::<Tick, _, _>(|scope| {
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
        let pace = run.allowed_lateness.map(|allowed_lateness| {
            let topics = topics.iter().map(|topic| (topic.name.clone(), topic.reading)).collect();
            (reports, Pace { allowed_lateness, clock: state.clock(), topics })
        });
        // ticks tell the order of arrival
        let by_tick = state.clock() != Clock::Replay || needs_exact_order(&run.plan);
        let surroundings =
            Surroundings { by_tick, state, counters: &run.counters, failed: &run.failed };
        let rendered = render(scope, &run.plan, &streams, pace, &surroundings);
        for (number, view) in run.plan.views.iter().enumerate() {
            let failed = Arc::clone(&run.failed);
            let (placement, undelivered) = delivery(number, view);
            deliver(
                rendered[&view.root].rows(),
                (run.sink)(index, view),
                placement,
                undelivered,
                run.secret,
                &probe,
                move |error| failed(error),
            );
        }
        (inputs, report_input)
    });
    Ends { inputs, reports, probe }
}

/// Whether the result depends on the order of arrival, as that of an as-of join does: each record
/// must have a tick of its own then.
pub fn needs_exact_order(plan: &Plan) -> bool {
    plan.nodes().any(|(_, node)| matches!(node.operator, Operator::AsOf { .. }))
}
