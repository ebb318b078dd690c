//! A run over Kafka topics that does not end: the same plan as a replay, fed live, with results published to topics.
//!
//! ```text
//!            ┌ keeper ┐   ┌──────── workers ────────┐   ┌ publisher ┐
//!  topics ──▶│ assign │──▶│ reader ─▶ dataflow ─▶ sink │──▶│ transaction │──▶ topics, dead letters, progress
//!            └────────┘   └────┬───────────────┬────┘   └─────┬─────┘
//!                              ▼ bindings      ▼ changes      │ published up to t
//!                            state ◀────── checkpointer ◀─────┘
//! ```
//!
//! *Order of durability.* (1) Offsets are bound to a moment before its records enter the dataflow. (2) Results of a tick are published once the tick is closed and what is bound up to it is durable, together with the progress. (3) A checkpoint is of a tick that is published. So what a checkpoint
//! lacks can be made again, exactly, from the bindings, and the progress says how much of its results is there already.
//!
//! *Start.* State is loaded, partitions are opened where the checkpoint left them, bound moments are made again; what they publish is left out as far as it is published.
//!
//! *End.* See [`Pace::stop`]. A run that is killed loses nothing but time. Processes of one run end together: one that is stopped signals the others, and fails when they have not ended after [`TOGETHER`].

mod checkpointer;
mod endpoints;
mod lead;
mod left;
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use self::checkpointer::Checkpointer;
use self::endpoints::{
    Readers, dead_letter_topic, publisher_settings, renderings, sink_maker, topic_names,
};
use self::lead::Lead;
use self::left::{Left, open_store};
pub use self::status::{Status, StatusSource, resident_bytes};
use crate::connect::kafka::{
    self, Client, ClientError, Guarantee, Keeper, KeeperError, Pace, Publisher, PublisherError,
    Shared, Start, Wanted,
};
use crate::dataflow::{
    self, Clock, Cluster, ConnectError, Counters, Mode, Run, Sizes, Tick, WATERMARK,
};
use crate::format::rendering::As;
use crate::plan::{self, NodeId, Operator, Plan, View, optimize};
use crate::sql::binder::{Purpose, Script, ViewInfo};
use crate::store::{Node, NodeName, StoreError};

/// What to run, and how.
pub struct Settings {
    /// The bound statements.
    pub script: Script,
    /// Workers and processes.
    pub cluster: Cluster,
    /// Properties of Kafka clients.
    pub properties: kafka::Properties,
    /// Name of the run.
    pub service_id: String,
    /// Where state is kept; nowhere without it.
    pub state_dir: Option<PathBuf>,
    /// Forget the state that is there.
    pub reset: bool,
    /// What a crash may do to the output.
    pub guarantee: Guarantee,
    /// Where partitions begin that were never read.
    pub start: Start,
    /// How late events may be.
    pub allowed_lateness: Duration,
    /// How long before its arrival an event's time counts for at least.
    pub max_event_age: Duration,
    /// After how long a partition is left out whose event times stay far behind.
    pub straggler_timeout: Duration,
    /// How the JSON values of network views are written; as the view has them without it.
    pub rendering: Option<As>,
    /// A topic that does not exist is an error.
    pub require_topics: bool,
    /// How long results may wait for others to share their transaction.
    pub commit_interval: Duration,
    /// How long state may be that no checkpoint has.
    pub checkpoint_interval: Duration,
    /// After how long without progress the run is given up.
    pub watchdog: Duration,
    /// Resident bytes above which the run is given up.
    pub memory_limit: Option<u64>,
}

/// Why a run cannot start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Nothing to publish.
    #[error("the statements publish nothing: there is no CREATE … AS SELECT")]
    NoView,
    /// A statement asks for what a run cannot do.
    #[error("{0}")]
    Statement(String),
    /// Exactly once needs state.
    #[error(
        "exactly_once_v2 needs a --state-dir: without one, nothing says what was published of what was read"
    )]
    Stateless,
    /// State and several processes.
    #[error("state is kept by single processes only: leave out --state-dir, or -n")]
    ManyProcesses,
    /// The state directory.
    #[error("state in {}: {source}", dir.display())]
    Store {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// The state is of other statements.
    #[error("the state in {} is of other statements: it has {}, which these have not. Give each its own --state-dir, or start anew with --reset", dir.display(), nodes.join(", "))]
    OtherPlan {
        /// The directory.
        dir: PathBuf,
        /// What is there and not wanted.
        nodes: Vec<String>,
    },
    /// The broker knows of progress that the state does not.
    #[error("{service} has published more than the state in {} knows of: another run has the same --service-id, or this is an old copy of its state. Give each run its own, or start anew with --reset, which publishes everything again", dir.display())]
    Foreign {
        /// The name of the run.
        service: String,
        /// The directory.
        dir: PathBuf,
    },
    /// Kafka clients.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Reading.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// Publishing.
    #[error(transparent)]
    Publisher(#[from] PublisherError),
    /// The processes did not come together.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Nothing moves.
    #[error("nothing has moved for {} s though records are waiting", after.as_secs())]
    Stalled {
        /// For how long.
        after: Duration,
    },
    /// Processes that run together do not end together.
    #[error("the other processes do not end: what was not published will be at the next start")]
    Alone,
    /// Too much memory.
    #[error("resident memory of {} MiB is above the limit of {} MiB", resident >> 20, limit >> 20)]
    Memory {
        /// How much.
        resident: u64,
        /// The limit.
        limit: u64,
    },
}

/// The view's part in a run.
struct Published {
    view: View,
    info: ViewInfo,
}

/// Runs until `stop` is set, or something ends it. `started` is given what tells how it goes.
pub fn run(
    settings: &Settings,
    stop: &AtomicBool,
    started: impl FnOnce(StatusSource),
) -> Result<(), LiveError> {
    let views: Vec<usize> = (0..settings.script.views.len())
        .filter(|&i| settings.script.views[i].purpose == Purpose::Publish)
        .collect();
    if views.is_empty() {
        return Err(LiveError::NoView);
    }
    if settings.guarantee == Guarantee::ExactlyOnce && settings.state_dir.is_none() {
        return Err(LiveError::Stateless);
    }
    if settings.state_dir.is_some() && settings.cluster.processes() > 1 {
        return Err(LiveError::ManyProcesses);
    }
    let plan = optimize(&settings.script.plan.to_publish(), &views, true);
    let published: Vec<Published> = plan
        .views
        .iter()
        .zip(&views)
        .map(|(view, &i)| Published { view: view.clone(), info: settings.script.views[i].clone() })
        .collect();
    tell_what_grows(&plan);
    let renderings = settings
        .rendering
        .map(|kind| renderings(kind, &published))
        .transpose()?
        .unwrap_or_default();

    let (store, left) = open_store(settings, &plan)?;
    let left = Arc::new(left);
    let workers = settings.cluster.threads;
    let pace = Arc::new(Pace::new(
        left.latest_ms(),
        workers,
        IN_FLIGHT,
        settings.cluster.processes() == 1,
    ));
    let shared = Arc::new(Shared {
        pace: Arc::clone(&pace),
        seen: Mutex::default(),
        dead: Mutex::default(),
        stats: Mutex::default(),
    });
    let client = Client::new(settings.properties.clone());
    let counters = Counters::default();
    let (events, incoming) = mpsc::channel();

    let publisher_settings = publisher_settings(&plan, settings, &published, &left, &counters)?;
    // State is restored while the broker is asked: where results begin that are not published yet is known before anything is read.
    let begin = Arc::new(OnceLock::new());
    let lead = Arc::new(Lead::new(workers, Arc::clone(&pace), events.clone()));
    let sizes = Sizes::default();
    let names = topic_names(&plan);
    let sink =
        Arc::new(sink_maker(&plan, &published, renderings, events.clone(), (&counters, &pace))?);
    let readers = Readers {
        plan: plan.clone(),
        names: names.clone(),
        shared: Arc::clone(&shared),
        left: Arc::clone(&left),
        events,
        begin: Arc::clone(&begin),
    };
    let (source, inboxes) = readers.maker(settings);
    let run = Run {
        plan: plan.clone(),
        cluster: settings.cluster.clone(),
        fingerprint: *blake3::hash(
            format!("{:?} {:?}", plan.identities(), settings.allowed_lateness).as_bytes(),
        )
        .as_bytes(),
        secret: left.secret,
        allowed_lateness: Some(settings.allowed_lateness),
        counters: counters.clone(),
        sink,
        failed: Arc::new(|error| panic!("{error}")),
        mode: Mode::Live(dataflow::Live {
            source: Arc::new(source),
            conductor: Arc::clone(&lead) as Arc<dyn dataflow::Conductor>,
            durable: store.is_some(),
            restored: left.restored.clone(),
            clock: Clock::live(settings.max_event_age, settings.straggler_timeout),
            sizes: sizes.clone(),
            undelivered: published
                .iter()
                .map(|published| left.undelivered(&published.view.name, &begin))
                .collect(),
        }),
    };
    let dataflow = spawn("dataflow", move || dataflow::run(run).map_err(LiveError::from));

    let watch = watch_stop(stop, &pace);
    let Some((publisher, begins)) =
        open_publisher(settings, publisher_settings, &client, &left, &watch, &pace)?
    else {
        return Ok(());
    };
    begin.set(begins).expect("it is told once");
    lead.published(begins);

    let ends = kafka::Partitions::default();
    let wanted = Wanted {
        topics: names,
        start: settings.start,
        resume: left.resume.clone(),
        reached: left.reached.clone(),
        require: settings.require_topics,
        notice: (settings.guarantee == Guarantee::AtLeastOnce)
            .then(|| dead_letter_topic(&settings.service_id)),
    };
    let process = (settings.cluster.process, settings.cluster.processes());
    let keeper = Keeper::new(
        client.clone(),
        &settings.service_id,
        wanted,
        inboxes,
        process,
        Arc::clone(&shared),
        Arc::clone(&ends),
    )?;

    let status = StatusSource::new(
        Arc::clone(&shared),
        Arc::clone(&ends),
        Arc::clone(&lead),
        counters.clone(),
        sizes.clone(),
        keepers(&plan),
    );
    started(status.clone());

    let keeper = spawn("keeper", move || keeper.run().map_err(LiveError::from));
    let publisher = {
        let (lead, status) = (Arc::clone(&lead), status.clone());
        spawn("publisher", move || {
            let told = move |tick: Tick, counts: &BTreeMap<Arc<str>, u64>| {
                lead.published(tick);
                status.published(counts);
            };
            publisher.run(begins, &incoming, &told).map_err(LiveError::from)
        })
    };
    let checkpointer = store.map(|store| {
        let manifest = Checkpointer::manifest(
            nodes(&plan),
            &published.iter().map(|published| published.view.name.clone()).collect::<Vec<_>>(),
            &left.lives,
            left.resume.clone(),
            left.secret,
        );
        let checkpointer = Checkpointer::new(
            store,
            manifest,
            Arc::clone(&lead),
            settings.checkpoint_interval,
            status.clone(),
        );
        let dir = settings.state_dir.clone().unwrap_or_default();
        spawn("checkpointer", move || {
            checkpointer.run().map_err(|source| LiveError::Store { dir, source })
        })
    });

    supervise(
        settings,
        &watch,
        &lead,
        &status,
        Threads { keeper, publisher, checkpointer, dataflow },
    )
}

/// How long a process of several, once stopped, waits for the others and for the broker.
const TOGETHER: Duration = Duration::from_millis(4500);
/// Bytes of records that may be read and not yet published.
const IN_FLIGHT: usize = 64 << 20;

fn watch_stop<'s>(stop: &'s AtomicBool, pace: &Arc<Pace>) -> impl Fn() + Sync + 's {
    let pace = Arc::clone(pace);
    move || {
        if stop.load(Ordering::Acquire) && pace.end().is_none() {
            pace.stop();
            info!("stopping");
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).expect("the system has threads")
}

/// Does what may have to wait for the broker; `None` when the run is told to stop meanwhile. Nothing is read yet then, and whatever it waits for ends with the process.
fn unless_stopped<T: Send + 'static>(
    watch: &dyn Fn(),
    pace: &Pace,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let thread = spawn("opening", work);
    while !thread.is_finished() {
        watch();
        if pace.end().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(thread.join().expect("a panic ends the process"))
}

/// Opens what publishes, and gives from where on it does; `None` when the run is told to stop meanwhile.
///
/// Whoever leads must be known before partitions are read: the broker may say that somebody else does. Results come to process 0; each process publishes its own dead letters.
fn open_publisher(
    settings: &Settings,
    publisher: kafka::Settings,
    client: &Client,
    left: &Left,
    watch: &dyn Fn(),
    pace: &Arc<Pace>,
) -> Result<Option<(Publisher, Tick)>, LiveError> {
    let preparing = {
        let (client, publisher, pace) = (client.clone(), publisher.clone(), Arc::clone(pace));
        move || Publisher::prepare(&client, &publisher, &pace)
    };
    let Some(progress) = unless_stopped(watch, pace, preparing) else { return Ok(None) };
    // one that publishes from another state is to be left in peace
    left.begin(settings, progress?.as_ref())?;
    let opening = {
        let (client, pace) = (client.clone(), Arc::clone(pace));
        move || Publisher::open(client, publisher, pace)
    };
    let Some(opened) = unless_stopped(watch, pace, opening) else { return Ok(None) };
    let (publisher, progress) = opened?;
    if let Some(progress) = &progress {
        info!("published up to {}", Tick(progress.tick).ms());
    }
    let begins = left.begin(settings, progress.as_ref())?;
    Ok(Some((publisher, begins)))
}

struct Threads {
    keeper: JoinHandle<Result<(), LiveError>>,
    publisher: JoinHandle<Result<(), LiveError>>,
    checkpointer: Option<JoinHandle<Result<(), LiveError>>>,
    dataflow: JoinHandle<Result<(), LiveError>>,
}

/// Waits for the end. The first thread that fails ends the run; the process is expected to end then, and with it the other threads.
fn supervise(
    settings: &Settings,
    watch: &dyn Fn(),
    lead: &Lead,
    status: &StatusSource,
    mut threads: Threads,
) -> Result<(), LiveError> {
    fn done<T>(thread: &mut Option<JoinHandle<Result<T, LiveError>>>) -> Result<bool, LiveError> {
        match thread.take_if(|thread| thread.is_finished()) {
            Some(thread) => thread.join().expect("a panic ends the process").map(|_| true),
            None => Ok(thread.is_none()),
        }
    }
    let (mut keeper, mut publisher, mut dataflow) =
        (Some(threads.keeper), Some(threads.publisher), Some(threads.dataflow));
    let mut moved = (lead.closed(), Instant::now());
    let mut checked = Instant::now();
    let mut ends: Option<Instant> = None;
    loop {
        watch();
        if settings.cluster.processes() > 1
            && lead.pace().end().is_some()
            && ends.get_or_insert_with(Instant::now).elapsed() > TOGETHER
        {
            return Err(LiveError::Alone);
        }
        done(&mut keeper)?;
        if done(&mut publisher)? {
            lead.publisher_is_done();
        }
        if done(&mut threads.checkpointer)? && publisher.is_none() && lead.pace().end().is_some() {
            lead.finish();
        }
        if done(&mut dataflow)?
            && keeper.is_none()
            && publisher.is_none()
            && threads.checkpointer.is_none()
        {
            return Ok(());
        }
        let closed = lead.closed();
        if closed != moved.0 || lead.pace().in_flight() == 0 || lead.pace().is_behind() {
            moved = (closed, Instant::now());
        } else if moved.1.elapsed() > settings.watchdog {
            return Err(LiveError::Stalled { after: settings.watchdog });
        }
        if checked.elapsed() >= Duration::from_secs(1) {
            checked = Instant::now();
            let resident = resident_bytes();
            status.resident(resident);
            if let Some(limit) = settings.memory_limit.filter(|limit| resident > *limit) {
                return Err(LiveError::Memory { resident, limit });
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The operators that keep state over restarts.
fn nodes(plan: &Plan) -> Vec<NodeName> {
    let identities = plan.identities();
    let name = |key: &plan::Key, input: &NodeId| names(plan, key, *input);
    let mut nodes = vec![NodeName { node: Node(WATERMARK), name: "watermark".into() }];
    for (id, node) in plan.nodes() {
        let name = match &node.operator {
            Operator::Aggregate { input, key, .. } => format!("groups by {}", name(key, input)),
            Operator::DistinctOn { input, key } => format!("distinct by {}", name(key, input)),
            Operator::Upsert { input, key, .. } => format!("last rows by {}", name(key, input)),
            Operator::Expire { input, after, .. } => {
                format!("rows of {} s of {}", after.as_secs(), plan.schema(*input))
            }
            Operator::Join { left, .. } => format!(
                "join by {}",
                match &plan.node(*left).operator {
                    Operator::Arrange { input, key } => name(key, input),
                    _ => String::new(),
                }
            ),
            _ => continue,
        };
        let node = Node(identities[id.0]);
        if nodes.iter().all(|known| known.node != node) {
            nodes.push(NodeName { node, name });
        }
    }
    nodes
}

/// The names of all operators that keep something, those that find it again by themselves as well.
pub(super) fn keepers(plan: &Plan) -> BTreeMap<u64, String> {
    let identities = plan.identities();
    let indexes = plan.nodes().filter_map(|(id, node)| match &node.operator {
        Operator::Arrange { input, key } => {
            Some((identities[id.0], format!("index by {}", names(plan, key, *input))))
        }
        Operator::Recursive { variable, .. } => match &plan.node(*variable).operator {
            // the number behind the name makes it unique
            Operator::Variable { name, .. } => Some((
                identities[id.0],
                format!("recursion {}", name.split('#').next().unwrap_or(name)),
            )),
            _ => None,
        },
        _ => None,
    });
    nodes(plan).into_iter().map(|node| (node.node.0, node.name)).chain(indexes).collect()
}

/// The names of a key's columns.
fn names(plan: &Plan, key: &plan::Key, input: NodeId) -> String {
    let schema = plan.schema(input);
    key.columns.iter().map(|&i| &schema.columns[i].name[..]).collect::<Vec<_>>().join(", ")
}

/// Says which state has no end.
fn tell_what_grows(plan: &Plan) {
    for (_, node) in plan.nodes() {
        let (what, key, input) = match &node.operator {
            Operator::Aggregate { key, input, retention: None, .. } => ("groups", key, input),
            Operator::Upsert { key, input, retention: None } => ("rows", key, input),
            _ => continue,
        };
        if plan.node(*input).append_only {
            warn!(
                "{what} by {} are kept for ever: their table has no RETENTION",
                names(plan, key, *input)
            );
        }
    }
}
