//! Finds the partitions of the topics that are read, and hands each to its worker.
//!
//! Topics are looked up again and again: one that does not exist yet is waited for, one that grows is read in all its partitions. Meanwhile the keeper serves the consumers, commits what is published to the consumer group for those who watch its
//! lag, and looks up how far the partitions go.
//!
//! *Topics made anew.* A topic that is deleted and created again has its name and its offsets, and none of its records. Its partitions are read from their beginning, by a consumer that knows nothing of the one before. librdkafka does not say which
//! topic it reads, so this shows by what it holds: a partition that ends before what was read of it is another one. While a topic is gone, and once one of its partitions is another, the others are halted: nothing is read of them until
//! the record that was read last has been looked at. If there is another one at its offset, the partition is new; if there is none, as compaction and retention leave it, it is taken for the same. What cannot be told is a topic that was made
//! anew between two looks and holds more by then, in all partitions, than was read before.
//!
//! *Records that are gone.* librdkafka never goes anywhere by itself: offsets that do not exist are an error, which comes after all that was fetched. The reader says so, and the keeper says what is missing and assigns the partition again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, info, warn};

use super::client::{Client, ClientError, Context};
use super::presence::Presence;
use super::reader::{Origin, Partition, Seen, Shared};
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
    /// How far those were read; records up to there are read again from where they begin.
    pub reached: Offsets,
    /// A topic that does not exist is an error.
    pub require: bool,
    /// A topic of its own by which the run notices others of its name, where the broker does not fence them.
    pub notice: Option<String>,
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
/// How often while one is missing, or is to be looked at.
const REFRESH_SOON: Duration = Duration::from_millis(500);
/// How long the consumer's queue must have nothing to be empty. A poll may return early, after an event that is no record (a commit that is done), with records behind it.
const DRAIN: Duration = Duration::from_millis(10);
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(5);

type KafkaConsumer = BaseConsumer<Context>;

/// Keeps the assignment of one process.
pub struct Keeper {
    client: Client,
    group: String,
    consumer: Arc<KafkaConsumer>,
    /// Consumers of partitions that were assigned again: by topic, and how often.
    others: BTreeMap<(usize, u32), Arc<KafkaConsumer>>,
    wanted: Wanted,
    /// Of each worker of the process.
    workers: Vec<Sender<Partition>>,
    /// Which of all workers' partitions are of this process.
    process: (usize, usize),
    assigned: BTreeMap<(usize, i32), Assigned>,
    /// Topics that were there once.
    found: BTreeSet<usize>,
    /// Topics that are not there now.
    missing: BTreeSet<usize>,
    /// A topic was made anew: those of its partitions that were looked at before this showed are to be looked at again.
    again: bool,
    shared: Arc<Shared>,
    ends: Partitions,
    presence: Option<Presence>,
}

/// A partition that is read.
struct Assigned {
    consumer: Arc<KafkaConsumer>,
    /// How often it was assigned before.
    times: u32,
    /// It is not known whether it still is what was read.
    halted: Arc<AtomicBool>,
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
        let consumer = Arc::new(consumer(&client, group)?);
        let presence = wanted
            .notice
            .as_deref()
            .map(|topic| Presence::join(&client, group, process.1, topic))
            .transpose()?;
        let missing = (0..wanted.topics.len()).collect();
        Ok(Keeper {
            client,
            group: group.to_owned(),
            consumer,
            others: BTreeMap::new(),
            wanted,
            workers,
            process,
            assigned: BTreeMap::new(),
            found: BTreeSet::new(),
            missing,
            again: false,
            shared,
            ends,
            presence,
        })
    }

    /// Serves until the run has ended.
    pub fn run(mut self) -> Result<(), KeeperError> {
        let mut looked: Option<Instant> = None;
        while self.shared.pace.end().is_none() {
            let pause = if self.is_urgent() { REFRESH_SOON } else { REFRESH };
            if looked.is_none_or(|looked| looked.elapsed() >= pause) {
                self.again = false;
                for topic in 0..self.wanted.topics.len() {
                    if let Err(error) = self.look_up(topic)?
                        && self.client.tells("topics cannot be looked up")
                    {
                        warn!(
                            "topic {} cannot be looked up: {error}; trying again",
                            self.wanted.topics[topic]
                        );
                    }
                }
                self.commit();
                if let Some(presence) = &mut self.presence {
                    presence.look();
                }
                // one that nobody reads from any more ends here, which takes a while
                self.others.retain(|_, consumer| Arc::strong_count(consumer) > 1);
                looked = Some(Instant::now());
            }
            if let Some(refused) = self.client.refused() {
                return Err(refused.into());
            }
            if let Some(presence) = &self.presence {
                presence.stay();
            }
            serve(&self.consumer, Duration::from_millis(100))?;
            self.others.values().try_for_each(|other| serve(other, Duration::ZERO))?;
        }
        self.commit();
        Ok(())
    }

    /// Whether something is to be looked at soon.
    fn is_urgent(&self) -> bool {
        !self.missing.is_empty()
            || self.again
            || self
                .shared
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .any(|seen| seen.is_out_of_range)
    }

    /// Lets nothing more be read of a topic's partitions that were assigned less often than this, before they have been looked at.
    fn halt(&self, topic: usize, assigned_before: u32) {
        for (_, assigned) in self.assigned.range((topic, i32::MIN)..=(topic, i32::MAX)) {
            if assigned.times < assigned_before {
                assigned.halted.store(true, Ordering::Release);
            }
        }
    }

    fn look_up(&mut self, topic: usize) -> Result<Result<(), KafkaError>, KeeperError> {
        let name = Arc::clone(&self.wanted.topics[topic]);
        let metadata = match self.consumer.fetch_metadata(Some(&name), PATIENCE) {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(error)),
        };
        self.client.well("topics cannot be looked up");
        let there = metadata
            .topics()
            .iter()
            .find(|there| there.name() == &*name && there.error().is_none());
        let Some(there) = there.filter(|there| !there.partitions().is_empty()) else {
            if self.wanted.require {
                return Err(KeeperError::NoTopic(name));
            }
            let is_news = self.missing.insert(topic);
            self.halt(topic, u32::MAX);
            if self.client.tells("a topic is missing") || is_news {
                let state =
                    if self.found.contains(&topic) { "is gone" } else { "is not there yet" };
                warn!("topic {name} {state}; waiting for it");
            }
            return Ok(Ok(()));
        };
        // a topic that grows while it is read is read from the beginning of what is new
        let is_new = self.found.insert(topic) && !self.wanted.resume.contains_key(&*name);
        self.missing.remove(&topic);
        let numbers: Vec<i32> =
            there.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
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
        if owner(&name, number, self.workers.len() * self.process.1) / self.workers.len()
            != self.process.0
        {
            return Ok(());
        }
        // first how far it was read, then where it ends: reading goes on meanwhile
        let seen = self
            .shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(Arc::clone(&name), number))
            .copied();
        let (low, high) = self.consumer.fetch_watermarks(&name, number, PATIENCE)?;
        fail::fail_point!("keeper-looks");
        let before = self
            .ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((Arc::clone(&name), number), high);
        if let Some(assigned) = self.assigned.get(&(topic, number)) {
            // what its reader says of an earlier assignment is no more so
            let seen = seen.filter(|seen| seen.assigned == assigned.times);
            return seen.map_or(Ok(()), |seen| {
                self.look_again(topic, number, &seen, (low, high), before.unwrap_or_default())
            });
        }
        let offset_of = |offsets: &Offsets| {
            offsets.get(&*name).and_then(|partitions| partitions.get(&number)).copied()
        };
        let (resume, reached) = (offset_of(&self.wanted.resume), offset_of(&self.wanted.reached));
        let (start, origin) = match (resume, reached.max(resume)) {
            (Some(_), Some(reached)) if reached > high => {
                warn!(
                    "{name}/{number} was made anew: it ends at {high}, and was read up to {reached}; reading it from its beginning"
                );
                (low, Origin::Renewed)
            }
            (Some(next), _) if next < low => {
                warn!(
                    "{name}/{number}: records {next} to {} are gone before they were read",
                    low - 1
                );
                (low, Origin::Known)
            }
            (Some(next), _) => (next, Origin::Known),
            (None, _) if !is_new => (low, Origin::New),
            (None, _) => match self.wanted.start {
                Start::Earliest => (low, Origin::New),
                Start::Latest => (high, Origin::New),
                Start::Timestamp(ms) => {
                    let mut times = TopicPartitionList::new();
                    times.add_partition_offset(&name, number, Offset::Offset(ms))?;
                    let found = self.consumer.offsets_for_times(times, PATIENCE)?;
                    match found.find_partition(&name, number).map(|found| found.offset()) {
                        Some(Offset::Offset(offset)) => (offset, Origin::New),
                        _ => (high, Origin::New),
                    }
                }
            },
        };
        fail::fail_point!("keeper-assigns");
        info!("reading {name}/{number} from {start} of {low}..{high}");
        self.assign((topic, number), Arc::clone(&self.consumer), 0, start, origin)
    }

    /// Looks whether a partition still is the one that is read, and has what is to be read next. `seen` is how far it was read before it was looked at; `before` is where it ended when it was looked at last.
    fn look_again(
        &mut self,
        topic: usize,
        number: i32,
        seen: &Seen,
        (low, high): (i64, i64),
        before: i64,
    ) -> Result<(), KafkaError> {
        let name = Arc::clone(&self.wanted.topics[topic]);
        let assigned = &self.assigned[&(topic, number)];
        let is_suspect = assigned.halted.load(Ordering::Acquire);
        if high < seen.next && !is_suspect && !seen.is_out_of_range {
            // a broker that has just become the leader may not know better: looked at once more
            assigned.halted.store(true, Ordering::Release);
            self.again = true;
            return Ok(());
        }
        let renewed = high < seen.next
            || (seen.is_out_of_range && low <= seen.next)
            || (is_suspect && !self.is_still(&name, number, seen)?);
        if renewed {
            warn!(
                "{name}/{number} was made anew: it was read up to {}; reading it from its beginning",
                seen.next
            );
            if before > seen.next {
                warn!(
                    "{name}/{number}: records {} to {} were deleted before they were read",
                    seen.next,
                    before - 1
                );
            }
        } else if seen.is_out_of_range {
            warn!(
                "{name}/{number}: records {} to {} are gone before they were read",
                seen.next,
                low - 1
            );
        } else {
            assigned.halted.store(false, Ordering::Release);
            return Ok(());
        }
        let times = assigned.times + 1;
        assigned.halted.store(true, Ordering::Release);
        if renewed {
            self.halt(topic, times);
            self.again = true;
        }
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition(&name, number);
        // it is not assigned any more where this is the second try
        let _ = self.assigned[&(topic, number)].consumer.incremental_unassign(&assignment);
        let consumer = match self.others.get(&(topic, times)) {
            Some(consumer) => Arc::clone(consumer),
            None => Arc::new(self.other_consumer()?),
        };
        self.others.insert((topic, times), Arc::clone(&consumer));
        self.assign(
            (topic, number),
            consumer,
            times,
            low,
            if renewed { Origin::Renewed } else { Origin::Known },
        )
    }

    /// Gives a partition to its reader.
    fn assign(
        &mut self,
        (topic, number): (usize, i32),
        consumer: Arc<KafkaConsumer>,
        times: u32,
        start: i64,
        origin: Origin,
    ) -> Result<(), KafkaError> {
        let name = &self.wanted.topics[topic];
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(name, number, Offset::Offset(start))?;
        consumer.incremental_assign(&assignment)?;
        let queue = consumer
            .split_partition_queue(name, number)
            .ok_or(KafkaError::Global(RDKafkaErrorCode::UnknownPartition))?;
        // What was fetched before the partition had a queue of its own is in the consumer's; all of it is earlier than what is in the new one.
        let (mut first, mut ended, mut is_out_of_range) = (VecDeque::new(), false, false);
        loop {
            let asked = Instant::now();
            match consumer.poll(DRAIN) {
                None if asked.elapsed() >= DRAIN => break,
                None => {}
                Some(Ok(message)) => first.push_back(message.detach()),
                Some(Err(KafkaError::PartitionEOF(_))) => ended = true,
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    is_out_of_range = true
                }
                Some(Err(error)) => debug!("consumer: {error}"),
            }
        }
        let halted = Arc::new(AtomicBool::new(false));
        let worker = owner(name, number, self.workers.len() * self.process.1) % self.workers.len();
        let partition = Partition {
            topic,
            number,
            queue,
            start,
            origin,
            first,
            ended,
            is_out_of_range,
            halted: Arc::clone(&halted),
            assigned: times,
        };
        self.assigned.insert((topic, number), Assigned { consumer, times, halted });
        let _ = self.workers[worker].send(partition);
        Ok(())
    }

    /// Whether the record that was read last is still in its place.
    fn is_still(&self, name: &str, number: i32, seen: &Seen) -> Result<bool, KafkaError> {
        let Some((offset, timestamp)) = seen.last else { return Ok(true) };
        let consumer = self.other_consumer()?;
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(name, number, Offset::Offset(offset))?;
        consumer.assign(&assignment)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match consumer.poll(deadline.saturating_duration_since(Instant::now())) {
                Some(Ok(found)) => {
                    return Ok(
                        found.offset() != offset || found.timestamp().to_millis() == timestamp
                    );
                }
                Some(Err(
                    KafkaError::PartitionEOF(_)
                    | KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset),
                )) => {
                    return Ok(true);
                }
                Some(Err(error)) => return Err(error),
                None if Instant::now() >= deadline => {
                    return Err(KafkaError::MessageConsumption(
                        RDKafkaErrorCode::OperationTimedOut,
                    ));
                }
                None => {}
            }
        }
    }

    fn other_consumer(&self) -> Result<KafkaConsumer, KafkaError> {
        consumer(&self.client, &self.group)
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))
    }

    /// Tells the group how far its records are published.
    fn commit(&self) {
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), seen) in
            &*self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
        {
            if seen.published > 0 {
                let _ =
                    offsets.add_partition_offset(topic, *partition, Offset::Offset(seen.published));
            }
        }
        if offsets.count() > 0 {
            let _ = self.consumer.commit(&offsets, CommitMode::Async);
        }
    }
}

/// A consumer that has nothing assigned.
fn consumer(client: &Client, group: &str) -> Result<KafkaConsumer, ClientError> {
    let own = [
        // what is fetched ahead, for all partitions together no more than is in flight anyway
        ("queued.max.messages.kbytes", "8192"),
        // a full queue is looked at again this soon
        ("fetch.queue.backoff.ms", "5"),
        // for each partition in a response: larger ones take more memory and are no faster
        ("fetch.message.max.bytes", "524288"),
        ("fetch.wait.max.ms", "20"),
        ("topic.metadata.refresh.interval.ms", "10000"),
    ];
    let fixed = [
        ("group.id", group),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "error"),
        ("allow.auto.create.topics", "false"),
        ("isolation.level", "read_committed"),
    ];
    client.make(&own, &fixed)
}

/// Serves a consumer, whose records all come to queues of their own.
fn serve(consumer: &KafkaConsumer, patience: Duration) -> Result<(), KeeperError> {
    match consumer.poll(patience) {
        None | Some(Err(KafkaError::PartitionEOF(_))) => {}
        Some(Err(error)) => debug!("consumer: {error}"),
        // it would be lost
        Some(Ok(stray)) => {
            return Err(KeeperError::Stray(
                stray.topic().to_owned(),
                stray.partition(),
                stray.offset(),
            ));
        }
    }
    Ok(())
}

/// Which of all workers reads a partition.
pub fn owner(topic: &str, partition: i32, workers: usize) -> usize {
    (crc32fast::hash(topic.as_bytes()) as usize).wrapping_add(partition as usize) % workers
}
