//! Drives a worker over topics until the run is told to stop.
//!
//! ```text
//!  each worker:  take what has come, as one tick ─▶ send it ─▶ step the dataflow ─▶ say how far all sinks are ─▶ hand over changed state …
//! ```
//!
//! *Ticks.* A tick is a moment (see [`Tick::moment`]). The source says which: it has made durable what belongs to the tick before it gives it out, so a run that starts again makes the same ticks of the same records. Where the exact
//! order of arrival matters (as-of joins, streams that are published) each record of a partition has its own place within the moment.
//!
//! *Idle workers.* The frontier moves when all workers have passed a tick, so a source that has nothing follows the moments of the others.
//!
//! *Start.* Operators give out what they have restored just before the frontier of the checkpoint, and the inputs begin at that frontier.
//!
//! *End.* All workers stop at one moment, which is later than all ticks; where there are several processes it is the end of time, and one that is told to stop tells the others. They go on until everything before it is published and durable, and leave the dataflow as it stands: a topic that is read no more has not ended.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Input};

use super::clock::Clock;
use super::diff::Diff;
use super::sink::{Placement, Undelivered};
use super::sizes::Sizes;
use super::source::Piece;
use super::state::{Restored, State};
use super::tick::Tick;
use super::watermark::Report;
use super::worker::{Ends, Run, build, needs_exact_order};
use crate::plan::ViewKind;
use crate::store::{Changes, Offsets};

/// How long an idle worker sleeps at most, whatever its source says. Messages of other workers and a source that has something wake it.
const NAP: Duration = Duration::from_millis(20);

/// Reads the partitions of one worker.
pub trait LiveSource {
    /// Takes what has come since the last turn, without waiting. The tick of a turn is later than all before it.
    fn turn(&mut self, pieces: &mut Vec<LivePiece>) -> Turn;

    /// Where each of its partitions goes on after all ticks before `frontier`, which never goes back.
    fn offsets_before(&mut self, frontier: Tick) -> Offsets;
}

/// What came of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Nothing yet; time stands still, for so long at most.
    Wait(Duration),
    /// Time moves on to this moment, with what is in the pieces, if there is anything.
    Moment(u64),
    /// The run ends at this moment, which is the same for all workers.
    Stop(u64),
}

/// What was taken of one partition of one topic.
pub struct LivePiece {
    /// Number of the topic, as in [`topics`](super::topics).
    pub topic: usize,
    /// The rows. `offset` is that of the first record.
    pub piece: Piece,
}

/// Leads the workers of a process. Called by all of them.
pub trait Conductor: Send + Sync {
    /// Everything before this tick has reached the sinks, of all workers. Called by the first worker of each process.
    fn closed(&self, frontier: Tick);
    /// Up to where state is to be handed over.
    fn wanted(&self) -> Tick;
    /// The state that a worker has changed before a frontier that was wanted, and where its partitions go on.
    fn hand_over(&self, worker: usize, frontier: Tick, changes: Changes, offsets: Offsets);
    /// How much changed state a worker has, in bytes.
    fn journal_bytes(&self, worker: usize, bytes: usize);
    /// Another process was told to stop.
    fn stop(&self);
    /// True when the run has stopped and everything is done.
    fn finished(&self) -> bool;
}

/// Makes the reader of a worker.
pub type MakeLiveSource = dyn Fn(usize) -> Box<dyn LiveSource> + Send + Sync;

/// What a live run reads, and what leads it.
pub struct Live {
    /// Makes the reader of a worker.
    pub source: Arc<MakeLiveSource>,
    /// Leads the workers.
    pub conductor: Arc<dyn Conductor>,
    /// True when state is durable.
    pub durable: bool,
    /// What an earlier life has left.
    pub restored: Option<Restored>,
    /// Which event times are believed.
    pub clock: Clock,
    /// Takes how much operators keep.
    pub sizes: Sizes,
    /// For each view, which of its changes are to be delivered, if not all.
    pub undelivered: Vec<Option<Undelivered>>,
}

/// Where a worker says that it was told to stop, which all others hear.
fn farewells(
    worker: &mut timely::worker::Worker,
    conductor: Arc<dyn Conductor>,
) -> timely::dataflow::operators::vec::input::Handle<u64, ()> {
    worker.dataflow::<u64, _, _>(|scope| {
        let (input, said) = scope.new_input();
        said.broadcast().sink(Pipeline, "Farewell", move |(input, _)| {
            input.for_each(|_, _| conductor.stop());
        });
        input
    })
}

pub(super) fn drive(worker: &mut timely::worker::Worker, run: &Run, live: &Live) {
    let exact = needs_exact_order(&run.plan)
        || run.plan.views.iter().any(|view| view.kind == ViewKind::Stream);
    let (index, workers) = (worker.index(), worker.peers());
    let journal = Rc::new(RefCell::new(Changes::default()));
    let state = State::new(
        live.durable.then(|| Rc::clone(&journal)),
        live.restored.clone(),
        live.sizes.clone(),
        (index, workers),
        run.secret,
        live.clock,
    );
    let local = run.cluster.threads;
    let delivery = |number: usize, _: &crate::plan::View| {
        (Placement::At((number % local) as u64), live.undelivered[number].clone())
    };
    let mut farewell = Some(farewells(worker, Arc::clone(&live.conductor)));
    let Ends { mut inputs, mut reports, probe } = build(worker, run, &state, &delivery);
    let begin = live.restored.as_ref().map_or(Tick(0), |restored| restored.frontier);
    let advance = |inputs: &mut Vec<Vec<super::worker::RowInput>>,
                   reports: &mut super::worker::ReportInput,
                   to: Tick| {
        inputs.iter_mut().flatten().for_each(|input| input.advance_to(to));
        reports.advance_to(to);
    };
    advance(&mut inputs, &mut reports, begin);

    let mut source = (live.source)(index);
    let mut pieces = Vec::new();
    let (mut told, mut handed) = (Tick(0), begin);
    let mut stopped = false;
    while !(stopped && live.conductor.finished()) {
        let turn = if stopped { Turn::Wait(NAP) } else { source.turn(&mut pieces) };
        match turn {
            Turn::Wait(at_most) => {
                worker.step_or_park(Some(at_most.min(NAP)));
            }
            Turn::Moment(ms) => {
                let tick = Tick::moment(ms, 0);
                for LivePiece { topic, piece } in &mut pieces {
                    let (first, partition, time) = (piece.offset, piece.partition, piece.time());
                    let place =
                        |offset: u64| if exact { Tick::moment(ms, offset - first) } else { tick };
                    let mut last = tick;
                    for (rows, input) in piece.take().zip(&mut inputs[*topic]) {
                        let mut batch: Vec<_> =
                            rows.map(|(row, offset)| (row, place(offset), Diff::ASSERT)).collect();
                        last = last.max(batch.last().map_or(tick, |(_, tick, _)| *tick));
                        input.advance_to(tick.max(*input.time()));
                        input.send_batch(&mut batch);
                    }
                    reports.advance_to(tick.max(*reports.time()));
                    reports.send((
                        Report::Read { topic: *topic as u32, partition, time, earliest_open: 0 },
                        last,
                    ));
                }
                pieces.clear();
                advance(&mut inputs, &mut reports, Tick::moment(ms + 1, 0));
                worker.step();
            }
            Turn::Stop(ms) => {
                advance(&mut inputs, &mut reports, Tick::moment(ms, 0));
                if let Some(mut farewell) = farewell.take() {
                    farewell.send(());
                }
                stopped = true;
            }
        }
        if index % local == 0 {
            let reached = probe.with_frontier(|frontier| frontier.first().copied());
            if let Some(reached) = reached.filter(|reached| *reached > told) {
                told = reached;
                live.conductor.closed(reached);
            }
        }
        if live.durable {
            let wanted = live.conductor.wanted();
            if wanted > handed {
                handed = wanted;
                let changes = journal.borrow_mut().take_before(wanted.0);
                live.conductor.hand_over(index, wanted, changes, source.offsets_before(wanted));
            }
            live.conductor.journal_bytes(index, journal.borrow().bytes());
        }
    }
    // What is in the dataflow is published and durable; nothing is to come of it any more.
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}
