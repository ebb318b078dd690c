//! Writes what sinks have made of closed ticks, in the order of ticks.
//!
//! ```text
//!  sinks ─ records of a tick ─▶ waiting ─┐
//!  worker 0 ─ all before tick t closed ──┴▶ one transaction: records of all topics, dead letters, progress {t} ─▶ published up to t
//! ```
//!
//! *Exactly once.* The progress of the run is a record in the same transaction as what it tells of (see [`progress`]). A run that starts again reads it, and leaves out what is before it; since it makes the same records of the same ticks, nothing
//! is there twice and nothing is missing. The transactional id is the run's name: whoever opens it last fences the others.
//!
//! What a tick is made of must be durable by then: the bindings are synced while the broker takes the records, just before the transaction is committed.
//!
//! *At least once.* Records are written and acknowledged, without transactions; what was written after the last checkpoint is written again after a crash, after a crash of the machine perhaps by other ticks, so a table may have passed through other rows.
//!
//! *Trouble.* Records are kept until they are published. Whatever goes wrong, the producer is given up, a new one is opened under the same id, and the progress decides what is left to be written. Where the progress is neither what it was nor what the doubtful
//! transaction would have made it, another run writes under the same name, and this one ends.
//!
//! *Too large.* A record that its topic does not take must neither end the run nor hold up others: attackers decide how long a command line is. When the broker refuses one, its topic is asked what it takes, and what is
//! larger is [cut down](super::fit) from then on, says so in its headers, and is counted. What cannot be cut becomes a dead letter under its key.
//!
//! *Bounds.* What waits is bounded by what readers may read ahead of it, see [`Pace`]: it counts what is read and what was made of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tracing::{info, warn};

use super::client::{Client, ClientError, Context, Failures};
use super::fit::fit;
use super::pace::{End, Pace};
use super::progress::{self, Progress};
use super::topics::{TopicSettings, create, limit_of};
use crate::dataflow::{Counter, Counters, Tick};
use crate::model::{Reason, dead_letter};
use crate::store::Bindings;

/// What a crash may do to the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Guarantee {
    /// Records may be there twice.
    #[default]
    AtLeastOnce,
    /// Each is there once, for consumers that read only what is committed.
    ExactlyOnce,
}

/// Records of one tick for one topic, in one allocation.
pub struct Batch {
    /// The tick.
    pub tick: Tick,
    /// The topic.
    pub topic: Arc<str>,
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// What of it counts as made and not published, see [`Pace`].
    pub made: usize,
}

struct Record {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    timestamp: Option<i64>,
    headers: Vec<(&'static str, String)>,
}

impl Batch {
    /// No records yet.
    pub fn new(tick: Tick, topic: Arc<str>) -> Batch {
        Batch { tick, topic, bytes: Vec::new(), records: Vec::new(), made: 0 }
    }

    /// Adds a record; without value it is a tombstone. `timestamp` in milliseconds, the moment of writing without it.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<i64>,
        headers: Vec<(&'static str, String)>,
    ) {
        let mut add = |part: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(part);
            start..self.bytes.len()
        };
        let (key, value) = (key.map(&mut add), value.map(&mut add));
        self.records.push(Record { key, value, timestamp, headers });
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of memory, nearly.
    pub fn size(&self) -> usize {
        self.bytes.len() + 64 * self.records.len()
    }

    /// Makes each record fit into `most` bytes. Gives how many were cut, and dead letters for those that cannot be.
    fn fit(&mut self, most: usize) -> (u64, Vec<Unfit>) {
        let (mut cut, mut unfit) = (0, Vec::new());
        let Batch { bytes, records, .. } = self;
        records.retain_mut(|record| {
            let size = record.size();
            if size <= most {
                return true;
            }
            let value = record.value.clone().map(|range| &bytes[range]).unwrap_or_default();
            let others = size - value.len() + CUT_HEADERS;
            if let Some(value) = fit(value, most.saturating_sub(others)) {
                let start = bytes.len();
                bytes.extend_from_slice(&value);
                record.value = Some(start..bytes.len());
                record.headers.retain(|(name, _)| *name != UNCUT);
                record.headers.push((UNCUT, size.to_string()));
                cut += 1;
                true
            } else {
                let key = record.key.clone().map(|range| bytes[range].to_vec());
                let excerpt = dead_letter::excerpt(value);
                unfit.push(Unfit {
                    key,
                    excerpt,
                    size,
                    letter: std::mem::take(&mut record.headers),
                });
                false
            }
        });
        (cut, unfit)
    }
}

impl Record {
    /// Bytes that its topic must take: what the producer adds is less than [`OVERHEAD`].
    fn size(&self) -> usize {
        let part = |range: &Option<Range<usize>>| range.as_ref().map_or(0, ExactSizeIterator::len);
        let headers = self.headers.iter().map(|(key, value)| key.len() + value.len() + 8);
        part(&self.key) + part(&self.value) + headers.sum::<usize>() + OVERHEAD
    }
}

/// A record that cannot be cut.
struct Unfit {
    key: Option<Vec<u8>>,
    excerpt: String,
    size: usize,
    /// What it said of itself, if it was a dead letter.
    letter: Vec<(&'static str, String)>,
}

/// The header of a record that was cut: how many bytes it had.
const UNCUT: &str = "helkflow.uncut";
/// What that header takes.
const CUT_HEADERS: usize = 48;
/// What a record is more than its key, value and headers, with its batch.
const OVERHEAD: usize = 256;
/// Where a key is cut that makes a record too large.
const KEY: usize = 1024;
/// What no topic is taken to refuse.
const LEAST: usize = 8192;

/// What a publisher is told.
pub enum Event {
    /// Records of a tick that is not closed yet.
    Records(Batch),
    /// No more records of ticks before this one will come.
    Closed(Tick),
}

/// How much is published, told after each transaction.
pub type Published = dyn Fn(Tick, &BTreeMap<Arc<str>, u64>) + Send;

/// Why nothing can be published any more.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// The clients cannot work.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Another run has the same name.
    #[error("another run writes as {0}: each needs a --service-id of its own")]
    Fenced(String),
    /// The broker will not take it.
    #[error("cannot write to the broker: {0}")]
    Refused(String),
    /// The run was told to stop and the broker did not answer in time.
    #[error("the broker does not answer: what was not published will be at the next start")]
    Unpublished,
}

/// How to publish.
#[derive(Clone)]
pub struct Settings {
    /// Name of the run: the transactional id, and the key of its progress.
    pub name: String,
    /// Where its progress is kept.
    pub progress_topic: String,
    /// The topics that it writes.
    pub topics: Vec<TopicSettings>,
    /// The names of its views.
    pub views: Vec<String>,
    /// What tells this start of the run from all others.
    pub life: String,
    /// With transactions or without.
    pub guarantee: Guarantee,
    /// How long records of closed ticks may wait for others to share their transaction.
    pub commit_interval: Duration,
    /// Where records go that no topic takes.
    pub dead_letters: Arc<str>,
    /// Counts those, and what is cut.
    pub counters: Counters,
    /// What says which records the ticks have. It is made durable before a transaction is committed.
    pub bindings: Option<Bindings>,
}

/// Bytes after which a transaction is committed though more is closed.
const TRANSACTION_BYTES: usize = 16 << 20;
/// How long one call to the broker may take before it is asked whether the run is to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long reading the progress may take.
const READ: Duration = Duration::from_secs(10);
/// How often it is looked what has been delivered. A poll takes as long as it may, whatever comes, and spins for its last millisecond; a flush polls for 100 ms.
const DELIVERY: Duration = Duration::from_millis(1);
/// How long a commit is asked for again. What has become of it then, the progress will say.
const COMMIT: Duration = Duration::from_secs(20);
/// How long a run that was told to stop waits for the broker.
const FAREWELL: Duration = Duration::from_secs(4);

/// Publishes for one process.
pub struct Publisher {
    client: Client,
    settings: Settings,
    pace: Arc<Pace>,
    producer: BaseProducer<Context>,
    /// Closed ticks and open ones, with their records.
    waiting: BTreeMap<Tick, Vec<Batch>>,
    /// Everything before this tick is published.
    published: Tick,
    /// What the progress topic says, where it is used.
    progress: Option<Progress>,
    /// What a topic takes, once it has refused something.
    limits: BTreeMap<Arc<str>, usize>,
    told_to_stop: Option<Instant>,
}

impl Publisher {
    /// Creates topics that are missing and reads the progress, which fences nobody. Tries until the broker answers, or until the run is told to stop.
    pub fn prepare(
        client: &Client,
        settings: &Settings,
        pace: &Pace,
    ) -> Result<Option<Progress>, PublisherError> {
        let mut told_to_stop = None;
        let mut topics = settings.topics.clone();
        if settings.guarantee == Guarantee::ExactlyOnce {
            topics.push(TopicSettings {
                name: settings.progress_topic.clone(),
                partitions: 1,
                replicas: -1,
                compact: true,
                // compaction passes over the newest segment, which a start may have to read through
                properties: vec![("segment.bytes", (16 << 20).to_string())],
            });
        }
        while !create(client, &topics)? {
            patience(pace, &mut told_to_stop)?;
        }
        client.well("topics cannot be created");
        if settings.guarantee == Guarantee::AtLeastOnce {
            return Ok(None);
        }
        read_progress(client, settings, pace, &mut told_to_stop)
    }

    /// Opens the producer and reads the progress once more, when nobody else can write any more. Tries until the broker answers, or until the run is told to stop.
    pub fn open(
        client: Client,
        settings: Settings,
        pace: Arc<Pace>,
    ) -> Result<(Publisher, Option<Progress>), PublisherError> {
        let mut told_to_stop = None;
        let (producer, progress) =
            connect(&client, &settings, &BTreeMap::new(), &pace, &mut told_to_stop)?;
        let publisher = Publisher {
            client,
            settings,
            pace,
            producer,
            waiting: BTreeMap::new(),
            published: Tick(0),
            progress: progress.clone(),
            limits: BTreeMap::new(),
            told_to_stop,
        };
        Ok((publisher, progress))
    }

    /// Publishes until the run has ended and everything before its end is published. `begin` is from where on.
    pub fn run(
        mut self,
        begin: Tick,
        events: &Receiver<Event>,
        published: &Published,
    ) -> Result<(), PublisherError> {
        self.published = begin;
        let mut closed = begin;
        let mut due: Option<Instant> = None;
        loop {
            let wait = due.map_or(PATIENCE, |due| {
                due.saturating_duration_since(Instant::now()).min(PATIENCE)
            });
            let mut next = match events.recv_timeout(wait) {
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                other => other.ok(),
            };
            while let Some(event) = next {
                match event {
                    Event::Records(batch) => self.wait_with(batch),
                    Event::Closed(tick) => closed = closed.max(tick),
                }
                next = events.try_recv().ok();
            }
            self.producer.poll(Duration::ZERO);
            let end = self.pace.end();
            if end == Some(End::Abandoned) {
                return Ok(());
            }
            let has_records = self.waiting.range(..closed).next().is_some();
            if has_records && due.is_none() {
                due = Some(Instant::now() + self.settings.commit_interval);
            }
            let now = Instant::now();
            let ends = matches!(end, Some(End::At(end)) if closed >= Tick::moment(end, 0));
            if !has_records {
                // nothing to write: nothing is published by that, and a start that reads these ticks again writes nothing either
                self.advance(closed, &BTreeMap::new(), published);
            } else if ends || due.is_some_and(|due| due <= now) {
                while self.published < closed {
                    let counts = self.publish(closed)?;
                    self.advance(self.published, &counts, published);
                }
                due = None;
            }
            if ends && self.published >= closed {
                return Ok(());
            }
            if let Some(refused) = self.client.refused() {
                return Err(refused.into());
            }
        }
    }

    fn advance(&mut self, to: Tick, counts: &BTreeMap<Arc<str>, u64>, published: &Published) {
        self.published = self.published.max(to);
        self.pace.publish(to.ms());
        published(to, counts);
    }

    /// Publishes ticks before `closed`, as many as are good for a transaction; gives the number of records by topic.
    fn publish(&mut self, closed: Tick) -> Result<BTreeMap<Arc<str>, u64>, PublisherError> {
        let mut bytes = 0;
        let mut upto = closed;
        for (tick, batches) in self.waiting.range(..closed) {
            if bytes >= TRANSACTION_BYTES {
                upto = *tick;
                break;
            }
            bytes += batches.iter().map(Batch::size).sum::<usize>();
        }
        // exactly what is published: a later run knows the ticks of records, and not when nothing came
        let last = self.waiting.range(..upto).next_back().map_or(upto.0, |(last, _)| last.0 + 1);
        let next = Progress {
            tick: last,
            views: self.settings.views.clone(),
            life: self.settings.life.clone(),
        };
        let mut tries = 0;
        loop {
            match self.attempt(upto, &next) {
                Ok(()) => break,
                Err(error) => {
                    tries += 1;
                    if self.recover(&error, &next, tries)? {
                        break;
                    }
                }
            }
        }
        let later = self.waiting.split_off(&upto);
        let mut counts = BTreeMap::new();
        for batch in std::mem::replace(&mut self.waiting, later).into_values().flatten() {
            self.pace.account_made(0, batch.made);
            *counts.entry(batch.topic).or_default() += batch.records.len() as u64;
        }
        self.published = upto;
        self.progress = Some(next);
        Ok(counts)
    }

    /// Keeps records until they are published.
    fn wait_with(&mut self, mut batch: Batch) {
        let Some(&limit) = self.limits.get(&batch.topic) else {
            return self.waiting.entry(batch.tick).or_default().push(batch);
        };
        let (cut, unfit) = batch.fit(limit);
        self.settings.counters.add(Counter::Cut, cut);
        let is_letter = batch.topic == self.settings.dead_letters;
        let (tick, topic) = (batch.tick, Arc::clone(&batch.topic));
        let waiting = self.waiting.entry(tick).or_default();
        waiting.push(batch);
        if unfit.is_empty() {
            return;
        }
        self.settings.counters.add(Counter::TooLarge, unfit.len() as u64);
        let mut letters = Batch::new(tick, Arc::clone(&self.settings.dead_letters));
        for Unfit { key, excerpt, size, letter } in unfit {
            let key = key.map(|key| key[..key.len().min(KEY)].to_vec());
            // a letter keeps what it says, and loses what it is about
            let headers = if is_letter {
                letter
            } else {
                vec![
                    ("helkflow.topic", topic.to_string()),
                    ("helkflow.reason", Reason::RowTooLarge.code().to_owned()),
                    ("helkflow.detail", format!("{size} bytes, and the topic takes {limit}")),
                ]
            };
            letters.push(key.as_deref(), Some(excerpt.as_bytes()), None, headers);
        }
        waiting.push(letters);
    }

    /// A topic has refused a record for its size: finds what it takes, and makes everything that waits fit. `size` is that of the largest record that waits for it.
    fn refused_for_size(&mut self, refused: &str) -> Result<(), PublisherError> {
        let largest = self
            .waiting
            .values()
            .flatten()
            .filter(|batch| *batch.topic == *refused)
            .flat_map(|batch| &batch.records)
            .map(Record::size)
            .max()
            .unwrap_or_default();
        let asked = limit_of(&self.client, refused)?.filter(|limit| *limit < largest);
        // where it does not tell, it takes less than what it has refused
        let limit = asked.unwrap_or(largest / 2).max(LEAST);
        warn!(
            "{refused} does not take a record of {largest} bytes: what has more than {limit} is cut down"
        );
        self.limits.insert(refused.into(), limit);
        for batch in std::mem::take(&mut self.waiting).into_values().flatten() {
            self.wait_with(batch);
        }
        Ok(())
    }

    fn attempt(&mut self, upto: Tick, progress: &Progress) -> Result<(), Trouble> {
        let failures = Arc::new(Failures::default());
        let transactional = self.settings.guarantee == Guarantee::ExactlyOnce;
        if transactional {
            self.producer.begin_transaction()?;
        }
        for batch in self.waiting.range(..upto).flat_map(|(_, batches)| batches) {
            for record in &batch.records {
                let mut next = BaseRecord::with_opaque_to(&batch.topic, Arc::clone(&failures));
                next.key = record.key.clone().map(|range| &batch.bytes[range]);
                next.payload = record.value.clone().map(|range| &batch.bytes[range]);
                next.timestamp = record.timestamp;
                if !record.headers.is_empty() {
                    let headers =
                        record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                            headers.insert(Header { key, value: Some(value) })
                        });
                    next.headers = Some(headers);
                }
                if let Err(trouble) = send(&self.producer, next, &self.pace, &mut self.told_to_stop)
                {
                    return Err(match trouble {
                        Trouble::Kafka(error) if is_for_size(&error) => {
                            Trouble::TooLarge(Arc::clone(&batch.topic))
                        }
                        // it says why it takes nothing more
                        Trouble::Kafka(error) => failures.trouble().unwrap_or(error.into()),
                        other => other,
                    });
                }
            }
        }
        fail::fail_point!("publisher-records-sent");
        if transactional {
            let value = serde_json::to_vec(progress).expect("numbers and names are JSON");
            let name = self.settings.name.clone();
            let topic = self.settings.progress_topic.clone();
            let record = BaseRecord::with_opaque_to(&topic, Arc::clone(&failures))
                .key(name.as_bytes())
                .payload(&value[..]);
            send(&self.producer, record, &self.pace, &mut self.told_to_stop)?;
            fail::fail_point!("publisher-progress-sent");
            if let Some(bindings) = &self.settings.bindings {
                bindings.sync().unwrap_or_else(|error| panic!("{error}"));
            }
            self.deliver().map_err(|trouble| failures.trouble().unwrap_or(trouble))?;
            let began = Instant::now();
            loop {
                match self.producer.commit_transaction(PATIENCE) {
                    Ok(()) => break,
                    Err(KafkaError::Transaction(error))
                        if error.is_retriable() && began.elapsed() < COMMIT =>
                    {
                        self.wait()?
                    }
                    Err(error) => return Err(failures.trouble().unwrap_or(error.into())),
                }
            }
        } else {
            self.deliver().map_err(|trouble| failures.trouble().unwrap_or(trouble))?;
            if let Some(trouble) = failures.trouble() {
                return Err(trouble);
            }
        }
        fail::fail_point!("publisher-committed");
        Ok(())
    }

    /// Waits until the broker has taken all records, or they have failed.
    fn deliver(&mut self) -> Result<(), Trouble> {
        let mut in_flight = self.producer.in_flight_count();
        while in_flight > 0 {
            self.producer.poll(Duration::ZERO);
            let before = std::mem::replace(&mut in_flight, self.producer.in_flight_count());
            if in_flight == before {
                std::thread::sleep(DELIVERY);
                self.wait()?;
                // what is queued by a producer that has ended stays so until it times out
                if let Some((error, _)) = self.producer.client().fatal_error() {
                    return Err(KafkaError::Global(error).into());
                }
            }
        }
        Ok(())
    }

    /// Fails when the run was told to stop and has waited long enough.
    fn wait(&mut self) -> Result<(), Trouble> {
        expired(&self.pace, &mut self.told_to_stop).map_err(|()| Trouble::Unpublished)
    }

    /// Opens a new producer in place of one that has failed. True when what it was about is published after all.
    fn recover(
        &mut self,
        trouble: &Trouble,
        next: &Progress,
        tries: u32,
    ) -> Result<bool, PublisherError> {
        let error = match trouble {
            Trouble::Kafka(error) => error,
            Trouble::TooLarge(_) => {
                &KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge)
            }
            Trouble::Unpublished => return Err(PublisherError::Unpublished),
        };
        if let Some(refused) = self.client.refused() {
            return Err(refused.into());
        }
        let fenced = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        );
        if tries >= if fenced { 2 } else { 20 } {
            return Err(if fenced {
                PublisherError::Fenced(self.settings.name.clone())
            } else {
                PublisherError::Refused(error.to_string())
            });
        }
        if let Trouble::TooLarge(topic) = trouble {
            self.refused_for_size(topic)?;
        } else if self.client.tells("records cannot be written") {
            warn!("records cannot be written: {error}; trying again");
        }
        while !create(&self.client, &self.settings.topics)? {
            patience(&self.pace, &mut self.told_to_stop)?;
        }
        let (producer, progress) = connect(
            &self.client,
            &self.settings,
            &self.limits,
            &self.pace,
            &mut self.told_to_stop,
        )?;
        self.producer = producer;
        if self.settings.guarantee == Guarantee::AtLeastOnce || progress == self.progress {
            return Ok(false);
        }
        if progress.as_ref() == Some(next) {
            return Ok(true);
        }
        Err(PublisherError::Fenced(self.settings.name.clone()))
    }
}

type Outgoing<'r> = BaseRecord<'r, [u8], [u8], Arc<Failures>>;

/// Queues a record, once there is room.
fn send(
    producer: &BaseProducer<Context>,
    mut record: Outgoing<'_>,
    pace: &Pace,
    told_to_stop: &mut Option<Instant>,
) -> Result<(), Trouble> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), same)) => {
                record = same;
                producer.poll(Duration::ZERO);
                std::thread::sleep(DELIVERY);
                expired(pace, told_to_stop).map_err(|()| Trouble::Unpublished)?;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

enum Trouble {
    Kafka(KafkaError),
    /// This topic does not take a record of that size.
    TooLarge(Arc<str>),
    Unpublished,
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Trouble {
        Trouble::Kafka(error)
    }
}

/// Whether an error is about the size of a record.
fn is_for_size(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

impl Failures {
    /// What is to be done about them, if there are any.
    fn trouble(&self) -> Option<Trouble> {
        self.too_large().map(Trouble::TooLarge).or_else(|| self.first().map(Trouble::Kafka))
    }
}

/// Opens a producer, which fences those before it, and reads how far they came.
fn connect(
    client: &Client,
    settings: &Settings,
    limits: &BTreeMap<Arc<str>, usize>,
    pace: &Pace,
    told_to_stop: &mut Option<Instant>,
) -> Result<(BaseProducer<Context>, Option<Progress>), PublisherError> {
    // records go in batches, which a topic takes or refuses as a whole
    let batch =
        limits.values().min().map_or(1_000_000, |least| (*least).min(1_000_000)).to_string();
    let own = [
        ("batch.size", &batch[..]),
        ("linger.ms", "1"),
        ("compression.type", "lz4"),
        ("partitioner", "murmur2_random"),
        ("queue.buffering.max.kbytes", "65536"),
        ("message.max.bytes", "20000000"),
    ];
    let mut fixed = vec![("enable.idempotence", "true"), ("message.timeout.ms", "0")];
    if settings.guarantee == Guarantee::AtLeastOnce {
        return Ok((client.make(&own, &fixed)?, None));
    }
    // with transactions the broker ends what takes too long, and records may not outlive their transaction
    fixed[1].1 = "60000";
    fixed.push(("transactional.id", &settings.name));
    loop {
        let producer: BaseProducer<Context> = client.make(&own, &fixed)?;
        // a producer whose initialisation has timed out goes on with it when asked again; any other failure needs a new one
        let opened = loop {
            match producer.init_transactions(Duration::from_secs(5)) {
                Ok(()) => break Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() => {
                    if client.tells("transactions cannot be opened") {
                        warn!("transactions cannot be opened: {}; trying again", error.string());
                    }
                    patience(pace, told_to_stop)?;
                }
                Err(error) => break Err(error.to_string()),
            }
        };
        match opened {
            Ok(()) => {
                client.well("transactions cannot be opened");
                let progress = read_progress(client, settings, pace, told_to_stop)?;
                info!("writing as {}", settings.name);
                return Ok((producer, progress));
            }
            Err(problem) => {
                if client.tells("transactions cannot be opened") {
                    warn!("transactions cannot be opened: {problem}; trying again");
                }
                patience(pace, told_to_stop)?;
            }
        }
    }
}

/// Reads the progress, once the broker answers.
fn read_progress(
    client: &Client,
    settings: &Settings,
    pace: &Pace,
    told_to_stop: &mut Option<Instant>,
) -> Result<Option<Progress>, PublisherError> {
    loop {
        match progress::read(client, &settings.progress_topic, &settings.name, READ)? {
            Ok(progress) => {
                client.well("the progress cannot be read");
                return Ok(progress);
            }
            Err(problem) if client.tells("the progress cannot be read") => {
                warn!("the progress cannot be read: {problem}; trying again");
            }
            Err(_) => {}
        }
        patience(pace, told_to_stop)?;
    }
}

/// Waits a little before trying again.
fn patience(pace: &Pace, told_to_stop: &mut Option<Instant>) -> Result<(), PublisherError> {
    expired(pace, told_to_stop).map_err(|()| PublisherError::Unpublished)?;
    std::thread::sleep(PATIENCE);
    Ok(())
}

fn expired(pace: &Pace, told_to_stop: &mut Option<Instant>) -> Result<(), ()> {
    if pace.end().is_some() && told_to_stop.get_or_insert_with(Instant::now).elapsed() > FAREWELL {
        Err(())
    } else {
        Ok(())
    }
}
