//! Reads the partitions of one worker, one moment after the other.
//!
//! *Live.* What has come of all partitions since the last moment belongs to the next one: at most [`RECORDS`] records or [`BYTES`] bytes, and no more often than every [`PERIOD`]. Records are decoded as they come; before they are given out, the next offset of each
//! partition is bound to the moment, in a file where state is.
//!
//! *Again.* A run that starts from a checkpoint first makes the moments again that were bound after it, of the same records: a partition is read up to its bound and not beyond. A partition that ends before its bound, or that was made anew, has no more for it.
//!
//! *Assigned again.* A partition may be given once more, since its topic was made anew or its next records are gone. What was read before belongs to moments before; that it begins again is bound to a moment of its own. In the bindings
//! offsets go back there and nowhere else.
//!
//! *Back-pressure.* While too much is read and not published, nothing is taken from the queues; they fill up to librdkafka's own limit, which then asks the broker for no more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message, OwnedMessage};
use tracing::warn;

use super::client::Context;
use super::pace::{End, Pace};
use super::publisher::{Batch, Event};
use crate::connect::decode::{RecordDecoder, reason};
use crate::dataflow::{LivePiece, LiveSource, Piece, Tick, Turn};
use crate::model::{Timestamp, dead_letter};
use crate::plan;
use crate::store::{Offsets, Writer};
use crate::sysmon::{RecordMeta, Stats};

/// Records that share a moment at most.
const RECORDS: usize = 10_000;
/// Their bytes.
const BYTES: usize = 16 << 20;
/// How long a moment lasts at least.
const PERIOD: Duration = Duration::from_millis(10);
/// After how long time moves on though nothing comes.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// A moment, and the offset at which each partition of it ends: by topic and number.
pub type Bound = (u64, BTreeMap<(usize, i32), i64>);

/// Next offsets by position of the partition.
type Next = Vec<(usize, i64)>;

/// What is known of a partition that is to be read. Where one begins that does not go on must be remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It goes on.
    Known,
    /// It was never read before.
    New,
    /// It is not the one that was read before: what was bound of it cannot be read again.
    Renewed,
}

/// A partition for a worker to read.
pub struct Partition {
    /// Position of its topic among those that are read.
    pub topic: usize,
    /// Its number.
    pub number: i32,
    /// Where its records come.
    pub queue: PartitionQueue<Context>,
    /// The first offset to be read.
    pub start: i64,
    /// What is known of it.
    pub origin: Origin,
    /// Its first records, where they came before it had a queue.
    pub first: VecDeque<OwnedMessage>,
    /// They were all that there was.
    pub ended: bool,
    /// There is no record where it was to begin.
    pub is_out_of_range: bool,
    /// While this is set, it may be another partition than it was.
    pub halted: Arc<AtomicBool>,
    /// How often it was assigned before.
    pub assigned: u32,
}

/// What readers say of a partition.
#[derive(Clone, Copy, Default, Debug)]
pub struct Seen {
    /// Records taken.
    pub records: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Records without value that mean nothing.
    pub empty: u64,
    /// The next offset to be read.
    pub next: i64,
    /// The next offset to be published.
    pub published: i64,
    /// Offset and time of the record that was read last, since the partition was assigned.
    pub last: Option<(i64, Option<i64>)>,
    /// The broker has no record at the next offset, and will have none.
    pub is_out_of_range: bool,
    /// Which assignment this is about: how often the partition was assigned before.
    pub assigned: u32,
}

/// Numbers of records by topic, partition, and the code of the reason why they could not be decoded.
pub type Dead = BTreeMap<(Arc<str>, i32, &'static str), u64>;

/// What the readers of a process share.
pub struct Shared {
    /// Moments, and how much may be in flight.
    pub pace: Arc<Pace>,
    /// By topic and partition.
    pub seen: Mutex<BTreeMap<(Arc<str>, i32), Seen>>,
    /// Those that could not be decoded.
    pub dead: Mutex<Dead>,
    /// What the decoders have counted, by worker.
    pub stats: Mutex<BTreeMap<usize, Stats>>,
}

/// A topic as a reader sees it.
pub struct TopicReader {
    /// Its name.
    pub name: Arc<str>,
    /// For each topic of the plan that is this one: its number, and how its records are decoded, for how many taps.
    pub decoders: Vec<(usize, RecordDecoder, usize)>,
}

impl TopicReader {
    /// A reader of a topic, for the sources of each of the plan's topics that are this one.
    pub fn new(name: Arc<str>, sources: &[(usize, Vec<plan::Source>)]) -> TopicReader {
        let decoder = |(number, sources): &(usize, Vec<plan::Source>)| {
            (*number, RecordDecoder::new(sources, true), sources.len())
        };
        TopicReader { name, decoders: sources.iter().map(decoder).collect() }
    }
}

/// Where the dead letters of a reader go.
pub struct Letters {
    /// Their topic.
    pub topic: Arc<str>,
    /// Letters of earlier ticks are published already. Known before the first partition comes.
    pub from: Arc<OnceLock<Tick>>,
}

/// Reads for one worker.
pub struct Reader {
    worker: usize,
    shared: Arc<Shared>,
    topics: Vec<TopicReader>,
    arriving: Receiver<Partition>,
    /// One that was assigned again, while the moment to come has records that were read before.
    waiting: Option<Partition>,
    partitions: Vec<Reading>,
    /// Moments that are to be made again: what is bound, by topic and partition.
    again: VecDeque<Bound>,
    caught_up: bool,
    writer: Option<Writer>,
    events: Sender<Event>,
    letters: Letters,
    open: Open,
    last: u64,
    last_at: Instant,
    /// Moments that are not published yet, with their bytes and next offsets.
    in_flight: VecDeque<(u64, usize, Next)>,
    /// Next offsets that no checkpoint has, by moment.
    unsaved: VecDeque<(u64, usize, i64)>,
    /// Where the last checkpoint is.
    saved: Offsets,
    turn: usize,
}

struct Reading {
    topic: usize,
    number: i32,
    /// Where its records come; nowhere once it was assigned again, to another [`Reading`].
    queue: Option<PartitionQueue<Context>>,
    renewed: bool,
    halted: Arc<AtomicBool>,
    next: i64,
    /// Read, but of a later moment.
    held: VecDeque<OwnedMessage>,
    /// There is nothing more for now.
    ended: bool,
}

/// What has been taken for the moment to come.
#[derive(Default)]
struct Open {
    pieces: Vec<(usize, LivePiece)>,
    records: usize,
    bytes: usize,
    /// Counts by position of the partition.
    seen: BTreeMap<usize, Seen>,
    letters: Vec<Letter>,
}

struct Letter {
    partition: usize,
    offset: i64,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    reason: &'static str,
    detail: String,
}

/// What makes a reader.
pub struct Parts {
    /// Number of its worker.
    pub worker: usize,
    /// What it shares with the others.
    pub shared: Arc<Shared>,
    /// The topics.
    pub topics: Vec<TopicReader>,
    /// Takes partitions from the keeper.
    pub arriving: Receiver<Partition>,
    /// Moments to make again, with what is bound of this worker's partitions.
    pub again: VecDeque<Bound>,
    /// Binds offsets to moments.
    pub writer: Option<Writer>,
    /// Takes dead letters.
    pub events: Sender<Event>,
    /// Where they go.
    pub letters: Letters,
}

impl Reader {
    /// A reader that has no partitions yet.
    pub fn new(parts: Parts) -> Reader {
        let Parts { worker, shared, topics, arriving, again, writer, events, letters } = parts;
        let last = shared.pace.latest();
        Reader {
            worker,
            shared,
            topics,
            arriving,
            waiting: None,
            partitions: Vec::new(),
            again,
            caught_up: false,
            writer,
            events,
            letters,
            open: Open::default(),
            last,
            last_at: Instant::now(),
            in_flight: VecDeque::new(),
            unsaved: VecDeque::new(),
            saved: Offsets::new(),
            turn: 0,
        }
    }

    /// Notes where a partition goes on after a moment. Moments that are made again may come after one that is later.
    fn note(&mut self, ms: u64, at: usize, next: i64) {
        let place = self.unsaved.partition_point(|(other, ..)| *other <= ms);
        self.unsaved.insert(place, (ms, at, next));
    }

    /// Position of what a partition's records come to.
    fn position(&self, topic: usize, number: i32) -> Option<usize> {
        self.partitions.iter().position(|reading| {
            reading.queue.is_some() && (reading.topic, reading.number) == (topic, number)
        })
    }

    fn take_partitions(&mut self) {
        while let Some(mut partition) =
            self.waiting.take().or_else(|| self.arriving.try_recv().ok())
        {
            let before = self.position(partition.topic, partition.number);
            if self.again.is_empty() && before.is_some_and(|at| self.open.seen.contains_key(&at)) {
                self.waiting = Some(partition);
                return;
            }
            let topic = Arc::clone(&self.topics[partition.topic].name);
            let begins = partition.origin != Origin::Known && self.writer.is_some();
            if let Some(writer) = self.writer.as_mut().filter(|_| begins) {
                let Some(ms) = self.shared.pace.next(self.last) else { return };
                self.last = ms;
                writer
                    .append(Tick::moment(ms, 0).0, [(&*topic, partition.number, partition.start)]);
                written(writer);
            }
            match before {
                None => {
                    self.saved
                        .entry(topic.to_string())
                        .or_default()
                        .insert(partition.number, partition.start);
                }
                Some(at) => {
                    self.partitions[at].queue = None;
                    if begins {
                        self.note(self.last, self.partitions.len(), partition.start);
                    }
                }
            }
            {
                let mut all = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let seen = all.entry((topic, partition.number)).or_default();
                seen.next = partition.start;
                seen.published = partition.start;
                (seen.last, seen.is_out_of_range, seen.assigned) =
                    (None, partition.is_out_of_range, partition.assigned);
            }
            let worker = std::thread::current();
            partition.queue.set_nonempty_callback(move || worker.unpark());
            let Partition { topic, number, queue, start, origin, first, ended, halted, .. } =
                partition;
            let renewed = origin == Origin::Renewed;
            self.partitions.push(Reading {
                topic,
                number,
                queue: Some(queue),
                renewed,
                halted,
                next: start,
                held: first,
                ended,
            });
        }
    }

    /// Takes records of a partition up to the offset `bound`, as long as there is room. True when it is as far as that.
    fn take(&mut self, at: usize, bound: Option<i64>) -> bool {
        loop {
            let reading = &mut self.partitions[at];
            if bound.is_some_and(|bound| reading.next >= bound) {
                return true;
            }
            let Some(queue) =
                reading.queue.as_ref().filter(|_| !reading.halted.load(Ordering::Acquire))
            else {
                return false;
            };
            if bound.is_none() && (self.open.records >= RECORDS || self.open.bytes >= BYTES) {
                return false;
            }
            if let Some(message) = reading.held.pop_front() {
                if bound.is_some_and(|bound| message.offset() >= bound) {
                    reading.held.push_front(message);
                    return true;
                }
                let partition = (reading.topic, reading.number);
                decode(
                    &mut self.topics,
                    &mut self.open,
                    at,
                    partition,
                    &mut reading.next,
                    &message,
                );
                continue;
            }
            match queue.poll(Duration::ZERO) {
                None => return bound.is_some() && reading.ended,
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    reading.ended = true;
                    return true;
                }
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    let mut all = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    let seen = all
                        .entry((Arc::clone(&self.topics[reading.topic].name), reading.number))
                        .or_default();
                    (seen.next, seen.is_out_of_range) = (reading.next, true);
                    return false;
                }
                Some(Err(error)) => {
                    warn!("{}/{}: {error}", self.topics[reading.topic].name, reading.number)
                }
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if bound.is_some_and(|bound| offset >= bound) {
                        reading.held.push_back(message.detach());
                        return true;
                    }
                    // the borrow of the queue ends with the message, which is decoded in place
                    let (topic, number, next) = (reading.topic, reading.number, &mut reading.next);
                    reading.ended = false;
                    decode(&mut self.topics, &mut self.open, at, (topic, number), next, &message);
                }
            }
        }
    }

    /// Makes the next moment again, once all that is bound to it is there.
    fn make_again(&mut self, pieces: &mut Vec<LivePiece>) -> Turn {
        let (ms, bound) = self.again.front().cloned().expect("called while there is one");
        for (&(topic, number), &next) in &bound {
            let Some(at) = self.position(topic, number) else {
                return Turn::Wait(PERIOD); // the keeper has not found it yet
            };
            if !self.partitions[at].renewed && !self.take(at, Some(next)) {
                return Turn::Wait(PERIOD);
            }
        }
        self.again.pop_front();
        for (&(topic, number), &next) in &bound {
            let reading = self.position(topic, number).map(|at| &mut self.partitions[at]);
            if let Some(reading) = reading.filter(|reading| !reading.renewed && reading.next < next)
            {
                let topic = &self.topics[topic].name;
                warn!(
                    "{topic}/{number}: records {} to {} were read before and are no longer there",
                    reading.next,
                    next - 1
                );
                reading.next = next;
            }
        }
        self.close(ms, pieces);
        Turn::Moment(ms)
    }

    /// Gives out what is open as the records of a moment.
    fn close(&mut self, ms: u64, pieces: &mut Vec<LivePiece>) {
        let tick = Tick::moment(ms, 0);
        let open = std::mem::take(&mut self.open);
        let next: Next = open.seen.keys().map(|&at| (at, self.partitions[at].next)).collect();
        for &(at, next) in &next {
            self.note(ms, at, next);
        }
        if !open.letters.is_empty() {
            let mut dead = self.shared.dead.lock().unwrap_or_else(PoisonError::into_inner);
            for letter in &open.letters {
                let reading = &self.partitions[letter.partition];
                *dead
                    .entry((
                        Arc::clone(&self.topics[reading.topic].name),
                        reading.number,
                        letter.reason,
                    ))
                    .or_default() += 1;
            }
        }
        if !open.letters.is_empty() && tick >= *self.letters.from.wait() {
            let mut batch = Batch::new(tick, Arc::clone(&self.letters.topic));
            for letter in open.letters {
                let partition = &self.partitions[letter.partition];
                let headers = vec![
                    ("helkflow.topic", self.topics[partition.topic].name.to_string()),
                    ("helkflow.partition", partition.number.to_string()),
                    ("helkflow.offset", letter.offset.to_string()),
                    ("helkflow.reason", letter.reason.to_owned()),
                    ("helkflow.detail", letter.detail),
                ];
                batch.push(letter.key.as_deref(), Some(&letter.value), None, headers);
            }
            let _ = self.events.send(Event::Records(batch));
        }
        {
            let mut all = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for (at, seen) in &open.seen {
                let reading = &self.partitions[*at];
                let total = all
                    .entry((Arc::clone(&self.topics[reading.topic].name), reading.number))
                    .or_default();
                total.records += seen.records;
                total.bytes += seen.bytes;
                total.empty += seen.empty;
                if reading.queue.is_some() {
                    (total.next, total.last) = (reading.next, seen.last);
                }
            }
        }
        self.shared.pace.account(open.bytes, 0);
        self.in_flight.push_back((ms, open.bytes, next));
        pieces.extend(open.pieces.into_iter().map(|(_, piece)| piece));
        self.last = self.last.max(ms);
        self.last_at = Instant::now();
    }

    /// Binds what is open to a moment, so that it stays what it is. What comes of it is published once that is durable.
    fn bind(&mut self, ms: u64) {
        let Some(writer) = &mut self.writer else { return };
        let bound: Vec<(&str, i32, i64)> = self
            .open
            .seen
            .keys()
            .map(|&at| {
                let reading = &self.partitions[at];
                (&*self.topics[reading.topic].name, reading.number, reading.next)
            })
            .collect();
        writer.append(Tick::moment(ms, 0).0, bound);
        written(writer);
    }

    fn retire(&mut self) {
        let published = self.shared.pace.published();
        if self.in_flight.front().is_none_or(|(ms, ..)| *ms >= published) {
            return;
        }
        let mut all = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, bytes, next)) = self.in_flight.pop_front_if(|(ms, ..)| *ms < published) {
            self.shared.pace.account(0, bytes);
            for (at, next) in next {
                let reading = &self.partitions[at];
                if reading.queue.is_some() {
                    all.entry((Arc::clone(&self.topics[reading.topic].name), reading.number))
                        .or_default()
                        .published = next;
                }
            }
        }
    }

    fn stats(&self) {
        let mut total = Stats::default();
        self.topics
            .iter()
            .flat_map(|topic| &topic.decoders)
            .filter_map(|(_, decoder, _)| decoder.stats())
            .for_each(|stats| total.add(stats));
        self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner).insert(self.worker, total);
    }
}

impl LiveSource for Reader {
    fn turn(&mut self, pieces: &mut Vec<LivePiece>) -> Turn {
        self.take_partitions();
        self.retire();
        match self.shared.pace.end() {
            Some(End::At(ms)) => return Turn::Stop(ms),
            Some(End::Abandoned) => return Turn::Stop(self.last + 1),
            None => {}
        }
        if !self.again.is_empty() {
            return if self.shared.pace.is_full() {
                Turn::Wait(PERIOD)
            } else {
                self.make_again(pieces)
            };
        }
        if !self.caught_up {
            self.caught_up = true;
            self.shared.pace.caught_up();
        }
        if !self.shared.pace.is_full() && self.waiting.is_none() {
            self.turn += 1;
            for i in 0..self.partitions.len() {
                // another one first each time, so that none waits for ever
                self.take((i + self.turn) % self.partitions.len(), None);
            }
        }
        let waited = self.last_at.elapsed();
        let is_over =
            self.waiting.is_some() || self.open.records >= RECORDS || self.open.bytes >= BYTES;
        let lasts = if self.open.seen.is_empty() { HEARTBEAT } else { PERIOD };
        if !is_over && waited < lasts && self.shared.pace.latest() <= self.last {
            return Turn::Wait(lasts.saturating_sub(waited));
        }
        let Some(ms) = self.shared.pace.next(self.last) else { return Turn::Wait(HEARTBEAT) };
        if !self.open.seen.is_empty() {
            self.bind(ms);
        } else if waited >= HEARTBEAT {
            self.stats();
        }
        self.close(ms, pieces);
        Turn::Moment(ms)
    }

    fn offsets_before(&mut self, frontier: Tick) -> Offsets {
        while let Some((_, at, next)) =
            self.unsaved.pop_front_if(|(ms, ..)| Tick::moment(*ms, 0) < frontier)
        {
            let reading = &self.partitions[at];
            self.saved
                .entry(self.topics[reading.topic].name.to_string())
                .or_default()
                .insert(reading.number, next);
        }
        self.saved.clone()
    }
}

/// What is not written may not be given out, and there is no other place for it.
fn written(writer: &mut Writer) {
    writer.write().unwrap_or_else(|error| panic!("{error}"));
}

/// Decodes a record into what is open.
fn decode(
    topics: &mut [TopicReader],
    open: &mut Open,
    at: usize,
    (topic, number): (usize, i32),
    next: &mut i64,
    message: &impl Message,
) {
    let (key, value) = (message.key(), message.payload());
    let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
    *next = message.offset() + 1;
    open.records += 1;
    open.bytes += bytes;
    let seen = open.seen.entry(at).or_default();
    seen.records += 1;
    seen.bytes += bytes as u64;
    seen.last = Some((message.offset(), message.timestamp().to_millis()));
    let timestamp = message.timestamp().to_millis().map(Timestamp);
    let meta = RecordMeta {
        partition: number,
        offset: message.offset(),
        timestamp,
        ..RecordMeta::default()
    };
    let value = value.unwrap_or_default();
    if value.is_empty() && key.is_none() {
        seen.empty += 1;
        return;
    }
    for (plan_topic, decoder, taps) in &mut topics[topic].decoders {
        let position =
            open.pieces.iter().position(|(of, piece)| *of == at && piece.topic == *plan_topic);
        let position = position.unwrap_or_else(|| {
            let piece = Piece {
                partition: number as u32,
                offset: message.offset() as u64,
                ..Piece::new(*taps)
            };
            open.pieces.push((at, LivePiece { topic: *plan_topic, piece }));
            open.pieces.len() - 1
        });
        if value.is_empty() && decoder.stats().is_some() {
            seen.empty += 1;
            continue;
        }
        // parsed as they are asked for
        let headers = std::iter::once(message)
            .filter_map(|message| message.headers())
            .flat_map(|headers| headers.iter());
        let headers = headers.map(|header| (header.key, header.value));
        if let Err(error) =
            decoder.decode(value, key, headers, &meta, &mut open.pieces[position].1.piece)
        {
            open.letters.push(Letter {
                partition: at,
                offset: message.offset(),
                key: key.map(<[u8]>::to_vec),
                value: value.to_vec(),
                reason: reason(&error).code(),
                detail: dead_letter::excerpt(error.to_string().as_bytes()),
            });
        }
    }
}
