//! One queue of chunks for all workers of a process.
//!
//! # Order
//! Chunks come out in the order of members and, within a member, of offsets, whatever the
//! number of workers. Only *who* gets a chunk depends on timing.
//!
//! # Where the work happens
//! Under the lock only the next range of a plain line file is computed, or the next chunk
//! taken from the channel of the thread that unpacks the current input. Reading a range and
//! rendering an EVTX chunk happens in the calling worker, outside of the lock; unpacking on
//! threads that run at most [`AHEAD`] chunks before the workers.
//!
//! # Several processes
//! All are given the same inputs and number the members alike. Chunk `i` of plain line
//! input `n` belongs to process `(n + i) % processes`, member `i` of any other input `n` to
//! process `(n + i) % processes`. To number members, every process opens every archive; a
//! compressed tar has to be decompressed for that.
//!
//! # Bounds
//! Memory holds, besides what workers have in hand, [`AHEAD`] chunks for each unpacking
//! thread. A chunk is larger than asked for only when a single record is.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use thiserror::Error;

use super::chunk::{Chunk, Kind, Letter, Member, count_lines};
use super::dead_letters::{DeadLetters, Report};
use super::discover::{Input, Source};
use super::queue::{Plan, Queue, Work, unreadable};
use super::range::Range;
use super::unpack::{Job, Unpacker};
use crate::format::container::{Content, HEAD};
use crate::format::encoding::Encoding;
use crate::format::split::Layout;
use crate::model::dead_letter::{Reason, excerpt};

/// How many chunks of an input are unpacked before a worker takes the first.
const AHEAD: usize = 4;

/// How a dispenser cuts and shares the input.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The size that chunks have, as far as records allow.
    pub chunk_bytes: usize,
    /// The longest record; at least `chunk_bytes`.
    pub max_record: usize,
    /// Which process this is.
    pub process: usize,
    /// How many processes share the input.
    pub processes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { chunk_bytes: 1 << 20, max_record: 64 << 20, process: 0, processes: 1 }
    }
}

/// Why a dispenser cannot be made.
#[derive(Debug, Error)]
pub enum DispenserError {
    /// Each process has a standard input of its own.
    #[error("{0}: a pipe can be read by one process only; name files when several processes run")]
    PipeShared(String),
    /// A thread cannot be started.
    #[error("cannot start a thread to read the input")]
    Thread(#[source] io::Error),
}

/// How far reading has come.
#[derive(Debug, Default)]
pub struct Progress {
    total: u64,
    done: AtomicU64,
}

impl Progress {
    /// The bytes of all files as they are on disk; pipes do not count.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many of them have been read.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What became of the members of the input, so far.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// All members so far, in their order.
    pub members: Vec<Arc<Member>>,
    /// Members that this process reads, or reads a part of.
    pub read: u64,
    /// Those of them without a byte.
    pub empty: Vec<Arc<Member>>,
    /// Members of archives that are no captures by name or content.
    pub skipped: Vec<Arc<Member>>,
}

/// Buffers to be used again.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    pub fn take(&self) -> Vec<u8> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.capacity() > 0 && buffers.len() < 2 * AHEAD {
            buffers.push(buffer);
        }
    }
}

/// Hands out the chunks of the input.
pub struct Dispenser {
    pub(super) options: Options,
    queue: Mutex<Queue>,
    letters: Arc<DeadLetters>,
    pub(super) progress: Arc<Progress>,
    pool: Arc<Pool>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Dispenser {
    /// Looks at the beginning of every input and starts to unpack.
    ///
    /// What cannot be read goes to `letters`. Setting `stop` ends the queue.
    pub fn new(
        inputs: Vec<Input>,
        options: Options,
        letters: Arc<DeadLetters>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, DispenserError> {
        let options = Options {
            chunk_bytes: options.chunk_bytes.max(1),
            max_record: options.max_record.max(options.chunk_bytes).max(1),
            ..options
        };
        let mut total = 0;
        let mut plans = VecDeque::new();
        let mut jobs = VecDeque::new();
        for (index, input) in inputs.into_iter().enumerate() {
            if options.processes > 1 && !matches!(input.source, Source::File(_)) {
                return Err(DispenserError::PipeShared(input.source.name()));
            }
            let plan = match &input.source {
                Source::File(path) => {
                    // what cannot be opened is reported when its turn comes
                    let seen = look_at(path).ok();
                    total += seen.map_or(0, |(len, _)| len);
                    seen.and_then(|(len, mark)| {
                        Some(Plan::Ranges { index, path: path.clone(), len, mark: mark? as u64 })
                    })
                }
                Source::Stdin | Source::Pipe(_) => None,
            };
            let plan = plan.unwrap_or_else(|| {
                let (sender, items) = sync_channel(AHEAD);
                let source = input.source.clone();
                jobs.push_back(Job { index, source, sender });
                Plan::Unpacked(items)
            });
            plans.push_back((input, plan));
        }
        let dispenser = Self {
            options,
            queue: Mutex::new(Queue::new(plans)),
            letters,
            progress: Arc::new(Progress { total, done: AtomicU64::new(0) }),
            pool: Arc::default(),
            stop,
        };
        dispenser.start(jobs)?;
        Ok(dispenser)
    }

    /// Starts the threads that unpack. Each takes the next input that none has taken, so the
    /// input that the workers wait for always has a thread. They are never joined: one may
    /// wait for a pipe for ever. They end when the dispenser is gone.
    fn start(&self, jobs: VecDeque<Job>) -> Result<(), DispenserError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = jobs.len().min((cores / 2).max(1));
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads {
            let jobs = Arc::clone(&jobs);
            let options = self.options;
            let pool = Arc::clone(&self.pool);
            let progress = Arc::clone(&self.progress);
            let stop = Arc::clone(&self.stop);
            let unpack = move || {
                loop {
                    let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(job) = job else { break };
                    let (pool, progress) = (Arc::clone(&pool), Arc::clone(&progress));
                    Unpacker::new(job, options, pool, progress, Arc::clone(&stop)).run();
                }
            };
            thread::Builder::new()
                .name("unpack".to_owned())
                .spawn(unpack)
                .map_err(DispenserError::Thread)?;
        }
        Ok(())
    }

    /// How far reading has come.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// What became of the members, so far.
    pub fn census(&self) -> Census {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.census.clone()
    }

    /// The next chunk; `None` when there is no more. `buffer` is memory to be used again,
    /// as [`Dispenser::finish`] returns it.
    ///
    /// Blocks while the next chunk is being unpacked.
    pub fn next(&self, mut buffer: Vec<u8>) -> Option<Chunk> {
        loop {
            let work = {
                let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                if self.stop.load(Ordering::Relaxed) {
                    return None;
                }
                queue.next(self)?
            };
            match work {
                Work::Report(sequence, report) => self.letters.report(sequence, report),
                Work::Chunk(mut chunk) => {
                    self.pool.give(buffer);
                    if chunk.kind == Kind::Evtx {
                        chunk.render_evtx();
                    }
                    return Some(chunk);
                }
                Work::Range { sequence, member, index, range, failed } => {
                    let (offset, extra_lines, letters) =
                        self.read_range(&range, &failed, &mut buffer);
                    let chunk = Chunk {
                        member,
                        index,
                        offset,
                        bytes: buffer,
                        kind: Kind::Text { layout: Layout::Lines, encoding: Encoding::Utf8 },
                        sequence,
                        numbered: self.options.processes == 1,
                        extra_lines,
                        letters,
                        spans: Vec::new(),
                    };
                    if chunk.bytes.is_empty() {
                        // the range lies within a line
                        buffer = self.finish(chunk, 0, Vec::new());
                    } else {
                        return Some(chunk);
                    }
                }
            }
        }
    }

    fn read_range(
        &self,
        range: &Range,
        failed: &AtomicBool,
        buffer: &mut Vec<u8>,
    ) -> (u64, u64, Vec<Letter>) {
        let read = range.read(buffer, self.options.max_record);
        match read {
            Ok(lines) => match lines.too_long {
                None => (lines.offset, 0, Vec::new()),
                Some(beginning) => {
                    let letter = Letter {
                        line: Some(count_lines(buffer) as u32),
                        record: None,
                        offset: Some(lines.offset + buffer.len() as u64),
                        reason: Reason::RecordTooLong,
                        detail: format!("longer than {} bytes", self.options.max_record),
                        excerpt: excerpt(&beginning),
                    };
                    (lines.offset, 1, vec![letter])
                }
            },
            Err(error) => {
                buffer.clear();
                // one failure of a file is reported, not that of every part of it
                let letter = (!failed.swap(true, Ordering::Relaxed))
                    .then(|| unreadable(Some(range.lo), &error));
                (range.lo, 0, letter.into_iter().collect())
            }
        }
    }

    /// Takes back a chunk, with the number of its lines ([`Records::lines`](super::Records::lines))
    /// and the dead letters that its records gave. Returns its memory for the next call of
    /// [`Dispenser::next`].
    ///
    /// Every chunk has to come back: the letters of those after it wait for it.
    pub fn finish(&self, chunk: Chunk, lines: u64, mut letters: Vec<Letter>) -> Vec<u8> {
        let lines = chunk.numbered.then_some(lines + chunk.extra_lines);
        letters.extend(chunk.letters);
        let member = chunk.member;
        self.letters.report(chunk.sequence, Report { member, lines, letters });
        chunk.bytes
    }
}

/// The length of a file and, when it can be read by ranges, that of its byte-order mark.
fn look_at(path: &Path) -> io::Result<(u64, Option<usize>)> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(HEAD as u64).read_to_end(&mut head)?;
    let mark = match Content::identify(&head) {
        Content::Text { encoding: Encoding::Utf8, mark, layout: Layout::Lines } => Some(mark),
        _ => None,
    };
    Ok((len, mark))
}
