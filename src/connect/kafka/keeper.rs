//! Finds the partitions of the topics that are read, and hands each to its worker.
//!
//! Topics are looked up again and again: one that does not exist yet is waited for, one that grows is read in all its partitions, one that was deleted or made anew is told. Meanwhile the keeper serves the consumer, commits what is published to
//! the consumer group for those who watch its lag, and looks up how far the partitions go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, info, warn};

use super::client::{Client, ClientError, Context};
use super::reader::{Partition, Shared};
use crate::store::Offsets;

/// Where a partition begins that was never read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// At its first record.
    Earliest,
    /// After its last one.
    Latest,
    /// At the first record of this time or later, in milliseconds since 1970.
    Timestamp(i64),
}

/// What is to be read.
pub struct Wanted {
    /// Names of topics.
    pub topics: Vec<Arc<str>>,
    /// Where partitions begin that were never read.
    pub start: Start,
    /// Where those begin that were.
    pub resume: Offsets,
    /// A topic that does not exist is an error.
    pub require: bool,
}

/// Why reading cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The clients cannot work.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A topic is missing that must be there.
    #[error("there is no topic {0}")]
    NoTopic(Arc<str>),
    /// A record came where nobody reads.
    #[error("{0}/{1}: record {2} came past its partition's queue")]
    Stray(String, i32, i64),
}

/// How far partitions go, by topic and partition: the offset after the last record.
pub type Partitions = Arc<std::sync::Mutex<BTreeMap<(Arc<str>, i32), i64>>>;

/// How often topics are looked up.
const REFRESH: Duration = Duration::from_secs(5);
/// How often while one is missing.
const REFRESH_MISSING: Duration = Duration::from_millis(500);
/// How long the consumer's queue must have nothing to be empty. A poll may return early, after an event that is no record (a commit that is done), with records behind it.
const DRAIN: Duration = Duration::from_millis(10);
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the assignment of one process.
pub struct Keeper {
    client: Client,
    consumer: Arc<BaseConsumer<Context>>,
    wanted: Wanted,
    /// Of each worker of the process.
    workers: Vec<Sender<Partition>>,
    /// Which of all workers' partitions are of this process.
    process: (usize, usize),
    assigned: BTreeSet<(usize, i32)>,
    found: BTreeSet<usize>,
    shared: Arc<Shared>,
    ends: Partitions,
}

impl Keeper {
    /// A keeper of process number `process.0` of `process.1`. Nothing is read yet.
    pub fn new(
        client: Client,
        group: &str,
        wanted: Wanted,
        workers: Vec<Sender<Partition>>,
        process: (usize, usize),
        shared: Arc<Shared>,
        ends: Partitions,
    ) -> Result<Keeper, ClientError> {
        let own = [
            // what is fetched ahead, for all partitions together no more than is in flight anyway
            ("queued.max.messages.kbytes", "8192"),
            // a full queue is looked at again this soon
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.message.max.bytes", "4194304"),
            ("fetch.wait.max.ms", "20"),
            ("topic.metadata.refresh.interval.ms", "10000"),
        ];
        let fixed = [
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "earliest"),
            ("allow.auto.create.topics", "false"),
            ("isolation.level", "read_committed"),
        ];
        let consumer = Arc::new(client.make(&own, &fixed)?);
        Ok(Keeper { client, consumer, wanted, workers, process, assigned: BTreeSet::new(), found: BTreeSet::new(), shared, ends })
    }

    /// Serves until the run has ended.
    pub fn run(mut self) -> Result<(), KeeperError> {
        let mut looked: Option<Instant> = None;
        while self.shared.pace.end().is_none() {
            let pause = if self.found.len() < self.wanted.topics.len() { REFRESH_MISSING } else { REFRESH };
            if looked.is_none_or(|looked| looked.elapsed() >= pause) {
                for topic in 0..self.wanted.topics.len() {
                    if let Err(error) = self.look_up(topic)?
                        && self.client.tells("topics cannot be looked up")
                    {
                        warn!("topic {} cannot be looked up: {error}; trying again", self.wanted.topics[topic]);
                    }
                }
                self.commit();
                looked = Some(Instant::now());
            }
            if let Some(refused) = self.client.refused() {
                return Err(refused.into());
            }
            match self.consumer.poll(Duration::from_millis(100)) {
                None | Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => debug!("consumer: {error}"),
                // it would be lost
                Some(Ok(stray)) => return Err(KeeperError::Stray(stray.topic().to_owned(), stray.partition(), stray.offset())),
            }
        }
        self.commit();
        Ok(())
    }

    fn look_up(&mut self, topic: usize) -> Result<Result<(), KafkaError>, KeeperError> {
        let name = Arc::clone(&self.wanted.topics[topic]);
        let metadata = match self.consumer.fetch_metadata(Some(&name), PATIENCE) {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(error)),
        };
        self.client.well("topics cannot be looked up");
        let there = metadata.topics().iter().find(|there| there.name() == &*name && there.error().is_none());
        let Some(there) = there.filter(|there| !there.partitions().is_empty()) else {
            if self.wanted.require {
                return Err(KeeperError::NoTopic(name));
            }
            if self.client.tells("a topic is missing") {
                let state = if self.found.contains(&topic) { "is gone" } else { "is not there yet" };
                warn!("topic {name} {state}; waiting for it");
            }
            return Ok(Ok(()));
        };
        // a topic that grows while it is read is read from the beginning of what is new
        let is_new = self.found.insert(topic) && !self.wanted.resume.contains_key(&*name);
        let numbers: Vec<i32> = there.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
        for number in numbers {
            if let Err(error) = self.look_at(topic, number, is_new) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Looks how far a partition goes, and assigns it if it is new.
    fn look_at(&mut self, topic: usize, number: i32, is_new: bool) -> Result<(), KafkaError> {
        let name = Arc::clone(&self.wanted.topics[topic]);
        let owner = owner(&name, number, self.workers.len() * self.process.1);
        if owner / self.workers.len() != self.process.0 {
            return Ok(());
        }
        let (low, high) = self.consumer.fetch_watermarks(&name, number, PATIENCE)?;
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).insert((Arc::clone(&name), number), high);
        if self.assigned.contains(&(topic, number)) {
            return Ok(());
        }
        let resume = self.wanted.resume.get(&*name).and_then(|partitions| partitions.get(&number)).copied();
        let (start, renewed) = match resume {
            Some(next) if next > high => {
                warn!("{name}/{number} was made anew: it ends at {high}, and was read up to {next}; reading it from its beginning");
                (low, true)
            }
            Some(next) if next < low => {
                warn!("{name}/{number}: records {next} to {} are gone before they were read", low - 1);
                (low, false)
            }
            Some(next) => (next, false),
            None if !is_new => (low, false),
            None => match self.wanted.start {
                Start::Earliest => (low, false),
                Start::Latest => (high, false),
                Start::Timestamp(ms) => {
                    let mut times = TopicPartitionList::new();
                    times.add_partition_offset(&name, number, Offset::Offset(ms))?;
                    let found = self.consumer.offsets_for_times(times, PATIENCE)?;
                    match found.find_partition(&name, number).map(|found| found.offset()) {
                        Some(Offset::Offset(offset)) => (offset, false),
                        _ => (high, false),
                    }
                }
            },
        };
        fail::fail_point!("keeper-assigns");
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&name, number, Offset::Offset(start))?;
        self.consumer.incremental_assign(&assignment)?;
        let queue = self.consumer.split_partition_queue(&name, number).ok_or(KafkaError::Global(RDKafkaErrorCode::UnknownPartition))?;
        // What was fetched before the partition had a queue of its own is in the consumer's; all of it is earlier than what is in the new one.
        let (mut first, mut ended) = (VecDeque::new(), false);
        loop {
            let asked = Instant::now();
            match self.consumer.poll(DRAIN) {
                None if asked.elapsed() >= DRAIN => break,
                None => {}
                Some(Ok(message)) => first.push_back(message.detach()),
                Some(Err(KafkaError::PartitionEOF(_))) => ended = true,
                Some(Err(error)) => debug!("consumer: {error}"),
            }
        }
        self.assigned.insert((topic, number));
        info!("reading {name}/{number} from {start} of {low}..{high}");
        let partition = Partition { topic, number, queue, start, fresh: resume.is_none(), renewed, first, ended };
        let _ = self.workers[owner % self.workers.len()].send(partition);
        Ok(())
    }

    /// Tells the group how far its records are published.
    fn commit(&self) {
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), seen) in &*self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            if seen.published > 0 {
                let _ = offsets.add_partition_offset(topic, *partition, Offset::Offset(seen.published));
            }
        }
        if offsets.count() > 0 {
            let _ = self.consumer.commit(&offsets, CommitMode::Async);
        }
    }
}

/// Which of all workers reads a partition.
pub fn owner(topic: &str, partition: i32, workers: usize) -> usize {
    (crc32fast::hash(topic.as_bytes()) as usize).wrapping_add(partition as usize) % workers
}
