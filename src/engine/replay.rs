//! A batch run over captured files: the same plan as live, fed from files, until they end.
//!
//! [`Replay::prepare`] finds everything that can be wrong before a record is read: the view, the inputs, topics without input. [`Prepared::run`] then runs to the end; what cannot be read on the way is
//! a dead letter, not an error.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::content::{Bag, Content};
use crate::connect::files::{
    self, Census, DeadLetters, DiscoverError, Dispenser, DispenserError, FileSource, Input,
    Options, Recoded, Seen,
};
use crate::dataflow::{
    self, Cluster, ConnectError, Counter, Counters, Mode, Run, Sink, Sizes, Source, Tick, Topic,
};
use crate::format::split::Expect;
use crate::model::{Arena, Row, RowRef, RowWriter, Schema, Secret, SinkError, Type, Value};
use crate::plan::{self, Format, Plan, View, optimize};
use crate::sysmon::Stats;

/// What to replay.
pub struct Replay {
    /// The bound statements.
    pub plan: Plan,
    /// The view whose rows are the result; the last one if not given.
    pub view: Option<String>,
    /// Files, folders, globs or `-`: the input of every topic that has none of its own.
    pub inputs: Vec<PathBuf>,
    /// Topics with their own input.
    pub topics: Vec<(String, PathBuf)>,
    /// Workers and processes.
    pub cluster: Cluster,
    /// State expires when events may be at most this late; without it nothing expires.
    pub allowed_lateness: Option<Duration>,
    /// Takes dead letters as NDJSON; without it they are counted and the first ones kept.
    pub dead_letters: Option<Box<dyn std::io::Write + Send>>,
    /// Takes every change as it becomes final, in the order of ticks, instead of the content at the end.
    pub changes: Option<Box<dyn Sink + Send>>,
    /// Set to end the run early, as if the inputs ended.
    pub stop: Arc<AtomicBool>,
    /// How files are read.
    pub reading: Reading,
}

/// How files are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// About how much of a file is read at a time, in bytes.
    pub chunk_bytes: usize,
    /// The longest record, in bytes.
    pub max_record: usize,
    /// What an archive may unpack to, in bytes, when that is many times its size.
    pub max_unpacked: u64,
    /// The password of encrypted archives.
    pub password: Option<String>,
}

impl Default for Reading {
    fn default() -> Self {
        let Options { chunk_bytes, max_record, max_unpacked, password, .. } = Options::default();
        Self { chunk_bytes, max_record, max_unpacked, password }
    }
}

/// Why a replay cannot start, or did not finish.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no view of that name.
    #[error("there is no view {name}; there are {}", known.join(", "))]
    UnknownView {
        /// The name.
        name: String,
        /// All names.
        known: Vec<String>,
    },
    /// Nothing to show.
    #[error("the statements show nothing: there is no CREATE … AS SELECT and no SELECT")]
    NoView,
    /// A topic of the command line that no statement reads.
    #[error("no statement reads topic {name}; they read {}", known.join(", "))]
    UnknownTopic {
        /// The name.
        name: String,
        /// All topics that are read.
        known: Vec<String>,
    },
    /// A topic without input.
    #[error("topic {0} has no input: name files for it")]
    NoInput(String),
    /// Several processes cannot put their records in one order.
    #[error(
        "a join with a table as of each record's arrival goes through the records of several files in the order of their times, which one process alone can do: leave out --hosts, or say for how long the rows of the stream wait, by RETROACTIVE WITHIN"
    )]
    OneOrder,
    /// An input does not exist or holds nothing.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// Reading cannot start.
    #[error(transparent)]
    Dispenser(#[from] DispenserError),
    /// The processes did not come together.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Dead letters could not be written.
    #[error("cannot write dead letters: {0}")]
    DeadLetters(#[source] std::io::Error),
    /// The result could not be written.
    #[error(transparent)]
    Sink(SinkError),
}

/// A replay that is ready to run.
pub struct Prepared {
    plan: Plan,
    /// The columns of the view.
    schema: Schema,
    by_time: bool,
    view: View,
    topics: Vec<(Topic, Arc<Dispenser>)>,
    letters: Arc<DeadLetters>,
    seen: Arc<Seen>,
    cluster: Cluster,
    allowed_lateness: Option<Duration>,
    changes: Option<Box<dyn Sink + Send>>,
    stop: Arc<AtomicBool>,
    chunk_bytes: usize,
    sizes: Sizes,
}

/// What came of a replay. Of a run over several processes each has the part that it read, and process 0 the rows.
pub struct Outcome {
    /// The content of the view: rows, each with how often it is there; empty when the changes were
    /// asked for. Those of a stream are in the order of their records, those of a table in no
    /// particular order, and a row may come several times.
    pub rows: Vec<(Row, i64)>,
    /// What the decoders saw.
    pub stats: Stats,
    /// Records of any kind.
    pub records: u64,
    /// The earliest and the latest event time among the events that the view is made of.
    pub span: Option<(crate::model::Timestamp, crate::model::Timestamp)>,
    /// What operators counted.
    pub counters: std::collections::BTreeMap<Counter, u64>,
    /// Dead letters by reason and the first ones.
    pub dead_letters: files::Summary,
    /// What became of the files, for each topic that has its own.
    pub census: Vec<Census>,
    /// Files with records that are not UTF-8.
    pub recoded: Vec<Recoded>,
}

impl Replay {
    /// Checks everything and opens the inputs.
    pub fn prepare(self) -> Result<Prepared, ReplayError> {
        let position = match &self.view {
            None => self.plan.views.len().checked_sub(1).ok_or(ReplayError::NoView)?,
            Some(name) => {
                self.plan.views.iter().position(|view| view.name == *name).ok_or_else(|| {
                    ReplayError::UnknownView {
                        name: name.clone(),
                        known: self.plan.views.iter().map(|view| view.name.clone()).collect(),
                    }
                })?
            }
        };
        let schema = self.plan.schema(self.plan.views[position].root).clone();
        let shown = if self.changes.is_some() { self.plan.clone() } else { self.plan.to_show() };
        let plan = optimize(&shown, &[position], self.allowed_lateness.is_some());
        let view = plan.views[0].clone();
        let topics = dataflow::topics(&plan);
        if let Some((name, _)) = self.topics.iter().find(|(name, _)| !self.plan.reads(name)) {
            return Err(ReplayError::UnknownTopic {
                name: name.clone(),
                known: topics.into_iter().map(|topic| topic.name).collect(),
            });
        }
        let letters = Arc::new(DeadLetters::new(self.dead_letters));
        let options = Options {
            process: self.cluster.process,
            processes: self.cluster.processes(),
            chunk_bytes: self.reading.chunk_bytes,
            max_record: self.reading.max_record,
            max_unpacked: self.reading.max_unpacked,
            password: self.reading.password.clone(),
            ..Options::default()
        };
        let (mut opened, mut once) = (Vec::new(), Vec::new());
        let mut read = 0;
        for topic in topics {
            let own: Vec<&PathBuf> = self
                .topics
                .iter()
                .filter(|(name, _)| *name == topic.name)
                .map(|(_, path)| path)
                .collect();
            let inputs = if own.is_empty() { self.inputs.iter().collect() } else { own };
            if inputs.is_empty() {
                return Err(ReplayError::NoInput(topic.name));
            }
            let expect = expected(&sources_of(&plan, &topic)[0].format);
            let inputs = files::discover(&inputs, expect)?;
            for Input { source, .. } in
                inputs.iter().filter(|input| !matches!(input.source, files::Source::File(_)))
            {
                if once.contains(source) {
                    return Err(DiscoverError::OnlyOnce(source.name()).into());
                }
                once.push(source.clone());
            }
            read += inputs.len();
            let options = Options { expect, ..options.clone() };
            let dispenser =
                Dispenser::new(inputs, options, Arc::clone(&letters), Arc::clone(&self.stop))?;
            opened.push((topic, Arc::new(dispenser)));
        }
        // the records of one file are in their order as they are
        let by_time = dataflow::needs_exact_order(&plan) && read > 1;
        if by_time && self.cluster.processes() > 1 {
            return Err(ReplayError::OneOrder);
        }
        Ok(Prepared {
            plan,
            schema,
            by_time,
            view,
            topics: opened,
            letters,
            seen: Arc::default(),
            cluster: self.cluster,
            allowed_lateness: self.allowed_lateness,
            changes: self.changes,
            stop: self.stop,
            chunk_bytes: self.reading.chunk_bytes,
            sizes: Sizes::default(),
        })
    }
}

/// The identity of the content of the view, which is no node of a plan.
const CONTENT: u64 = 2;

impl Prepared {
    /// The view that will be shown.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Its columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Bytes of all files, and how many of them have been read; to be asked while the replay runs.
    pub fn progress(&self) -> impl Fn() -> (u64, u64) + Send + 'static {
        let parts: Vec<_> = self.topics.iter().map(|(_, dispenser)| dispenser.progress()).collect();
        move || {
            parts
                .iter()
                .fold((0, 0), |(total, done), part| (total + part.total(), done + part.done()))
        }
    }

    /// The operator that keeps the most rows, and how many; to be asked while the replay runs.
    pub fn largest(&self) -> impl Fn() -> Option<(String, usize)> + Send + Sync + 'static {
        let mut names = super::live::keepers(&self.plan);
        names.insert(CONTENT, format!("the content of {}", self.view.name));
        let sizes = self.sizes.clone();
        move || {
            let (identity, rows) = sizes.snapshot().into_iter().max_by_key(|(_, rows)| *rows)?;
            Some((names.get(&identity)?.clone(), rows))
        }
    }

    /// What has been read so far.
    pub fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }

    /// Runs to the end of the inputs.
    pub fn run(self) -> Result<Outcome, ReplayError> {
        let placed = self.plan.schema(self.view.root).width();
        let counters = Counters::default();
        let content: Arc<Mutex<Bag>> = Arc::default();
        let failure: Arc<Mutex<Option<SinkError>>> = Arc::default();
        let ordered = self.changes.is_some();
        let taps = self
            .topics
            .iter()
            .map(|(topic, dispenser)| (sources_of(&self.plan, topic), Arc::clone(dispenser)))
            .collect::<Vec<_>>();
        let seen = Arc::clone(&self.seen);
        let sources = move |_worker: usize| -> Vec<Box<dyn Source>> {
            taps.iter()
                .map(|(sources, dispenser)| {
                    Box::new(FileSource::new(Arc::clone(dispenser), sources, Arc::clone(&seen)))
                        as Box<dyn Source>
                })
                .collect()
        };
        let changes = Mutex::new(self.changes);
        let collected = Arc::clone(&content);
        let content_sizes = self.sizes.clone();
        let sink = move |worker: usize, _: &View| -> Box<dyn Sink> {
            let own = if worker == 0 {
                changes.lock().unwrap_or_else(PoisonError::into_inner).take()
            } else {
                None
            };
            match own {
                Some(sink) => Box::new(Forward(sink)),
                None if ordered => Box::new(Nothing),
                None => {
                    let size = content_sizes.of(CONTENT, worker);
                    Box::new(Content::new(Arc::clone(&collected), size))
                }
            }
        };
        let (failed, stop) = (Arc::clone(&failure), Arc::clone(&self.stop));
        let fail = move |error: SinkError| {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            stop.store(true, std::sync::atomic::Ordering::Release);
        };
        let inputs: Vec<u64> =
            self.topics.iter().map(|(_, dispenser)| dispenser.progress().total()).collect();
        let settings =
            (inputs, self.cluster.threads, self.chunk_bytes, self.allowed_lateness, ordered);
        let fingerprint = fingerprint(&self.plan, &settings);
        let meeting = dataflow::Meeting::new(self.cluster.threads);
        dataflow::run(Run {
            plan: self.plan,
            cluster: self.cluster,
            fingerprint,
            secret: Secret::random(),
            allowed_lateness: self.allowed_lateness,
            counters: counters.clone(),
            sink: Arc::new(sink),
            failed: Arc::new(fail),
            mode: Mode::Replay(dataflow::Replay {
                sources: Arc::new(sources),
                ordered,
                // a correction within one tick would not be seen in a change log
                each_record: ordered,
                by_time: self.by_time,
                sizes: self.sizes,
                meeting,
            }),
        })?;
        if let Some(error) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(ReplayError::Sink(error));
        }
        let rows = std::mem::take(&mut *content.lock().unwrap_or_else(PoisonError::into_inner));
        let mut rows = rows.into_rows();
        if placed > self.schema.width() {
            in_order(&mut rows, placed, self.schema.width());
        }
        Ok(Outcome {
            rows,
            stats: self.seen.stats.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            records: self.seen.records.load(std::sync::atomic::Ordering::Relaxed),
            span: *self.seen.span.lock().unwrap_or_else(PoisonError::into_inner),
            counters: counters.snapshot(),
            dead_letters: self.letters.close().map_err(ReplayError::DeadLetters)?,
            census: self.topics.iter().map(|(_, dispenser)| dispenser.census()).collect(),
            recoded: {
                let recoded = self.seen.recoded.lock().unwrap_or_else(PoisonError::into_inner);
                recoded.values().cloned().collect()
            },
        })
    }
}

/// Puts rows of `placed` columns in the order of the last two, and leaves the first `width`.
fn in_order(rows: &mut [(Row, i64)], placed: usize, width: usize) {
    let place = |row: &Row| {
        let row = RowRef::new(row.bytes(), placed);
        let number = |column: usize, ty: &Type| match row.value(column, ty) {
            Value::Int(number) => i64::from(number),
            Value::BigInt(number) => number,
            _ => i64::MIN,
        };
        (number(placed - 2, &Type::Int), number(placed - 1, &Type::BigInt))
    };
    rows.sort_by(|(a, _), (b, _)| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
    for rows in rows.chunks_mut(SHARED) {
        let mut bytes = Vec::new();
        let ranges: Vec<_> = rows
            .iter()
            .map(|(row, _)| {
                let mut writer = RowWriter::new(&mut bytes, width);
                writer.run(RowRef::new(row.bytes(), placed), 0..width);
                writer.finish()
            })
            .collect();
        let arena = Arena::new(bytes);
        for ((row, _), range) in rows.iter_mut().zip(ranges) {
            *row = Row::new(&arena, range);
        }
    }
}

/// Rows that share an arena.
const SHARED: usize = 1024;

fn sources_of(plan: &Plan, topic: &Topic) -> Vec<plan::Source> {
    let source = |id: &plan::NodeId| match &plan.node(*id).operator {
        plan::Operator::Source(source) => source.clone(),
        _ => unreachable!("taps are source nodes"),
    };
    topic.taps.iter().map(source).collect()
}

/// What the records of a topic are, as files have them.
fn expected(format: &Format) -> Expect {
    match format {
        Format::Sysmon => Expect::Events,
        Format::Json(_) => Expect::Json,
        Format::Delimited(..) | Format::Kafka(_) => Expect::Lines,
    }
}

/// What all processes of a run must agree on: the plan, how many bytes each topic has, and how it is all read and delivered.
fn fingerprint(plan: &Plan, settings: &impl std::fmt::Debug) -> [u8; 32] {
    let nodes: Vec<_> = plan.nodes().map(|(_, node)| &node.operator).collect();
    *blake3::hash(format!("{settings:?} {nodes:?}").as_bytes()).as_bytes()
}

struct Forward(Box<dyn Sink + Send>);

impl Sink for Forward {
    fn changes(&mut self, tick: Tick, changes: &[(Row, i64)]) -> Result<(), SinkError> {
        self.0.changes(tick, changes)
    }
}

struct Nothing;

impl Sink for Nothing {
    fn changes(&mut self, _: Tick, _: &[(Row, i64)]) -> Result<(), SinkError> {
        Ok(())
    }
}
