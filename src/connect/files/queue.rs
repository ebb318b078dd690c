//! What comes next: the state behind the dispenser's lock.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::chunk::{Chunk, Letter, Member};
use super::dead_letters::Report;
use super::discover::Input;
use super::dispenser::{Census, Dispenser};
use super::range::Range;
use super::unpack::{Fate, Item};
use crate::model::dead_letter::Reason;

/// How often a wait for the next chunk looks whether it should stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// How an input is read.
pub(super) enum Plan {
    /// By ranges. `mark` bytes of a byte-order mark precede the text.
    Ranges { index: usize, path: PathBuf, len: u64, mark: u64 },
    /// Through a channel.
    Unpacked(Receiver<Item>),
}

/// Where the queue stands.
pub(super) struct Queue {
    plans: VecDeque<(Input, Plan)>,
    current: Option<Current>,
    /// The next member's.
    ordinal: u32,
    /// The next chunk's or report's.
    sequence: u64,
    pub census: Census,
}

enum Current {
    Ranges(Ranges),
    Unpacked(Unpacked),
}

struct Ranges {
    index: usize,
    member: Arc<Member>,
    path: PathBuf,
    file: Option<Arc<File>>,
    /// Whether a failure to read has been reported.
    failed: Arc<AtomicBool>,
    len: u64,
    mark: u64,
    next: u64,
}

struct Unpacked {
    input: Input,
    items: Receiver<Item>,
    member: Option<Arc<Member>>,
    /// The next chunk of that member.
    next: u32,
}

/// What the lock hands out.
pub(super) enum Work {
    Range { sequence: u64, member: Arc<Member>, index: u32, range: Range, failed: Arc<AtomicBool> },
    Chunk(Chunk),
    Report(u64, Report),
}

impl Queue {
    pub fn new(plans: VecDeque<(Input, Plan)>) -> Self {
        Self { plans, current: None, ordinal: 0, sequence: 0, census: Census::default() }
    }

    /// The next piece of work; `None` at the end, or when it should stop.
    pub fn next(&mut self, dispenser: &Dispenser) -> Option<Work> {
        loop {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.open()?,
            };
            let work = match &mut current {
                Current::Ranges(ranges) => ranges.next(&mut self.sequence, dispenser),
                Current::Unpacked(unpacked) => self.next_unpacked(unpacked, &dispenser.stop),
            };
            if work.is_some() {
                self.current = Some(current);
                return work;
            }
            if dispenser.stop.load(Ordering::Relaxed) {
                return None;
            }
        }
    }

    /// Goes on to the next input.
    fn open(&mut self) -> Option<Current> {
        let (input, plan) = self.plans.pop_front()?;
        Some(match plan {
            Plan::Unpacked(items) => {
                Current::Unpacked(Unpacked { input, items, member: None, next: 0 })
            }
            Plan::Ranges { index, path, len, mark } => {
                self.census.read += 1;
                Current::Ranges(Ranges {
                    index,
                    member: self.member(&input, None),
                    path,
                    file: None,
                    failed: Arc::default(),
                    len,
                    mark,
                    next: 0,
                })
            }
        })
    }

    fn member(&mut self, input: &Input, inner: Option<Arc<str>>) -> Arc<Member> {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let member = Arc::new(Member {
            ordinal,
            argument: input.argument,
            path: input.source.name().into(),
            inner,
        });
        self.census.members.push(Arc::clone(&member));
        member
    }

    fn next_unpacked(&mut self, unpacked: &mut Unpacked, stop: &AtomicBool) -> Option<Work> {
        loop {
            let item = match unpacked.items.recv_timeout(PATIENCE) {
                Ok(item) => item,
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => return None,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            match item {
                Item::Member { inner, fate } => {
                    let member = self.member(&unpacked.input, inner);
                    match fate {
                        Fate::Read => self.census.read += 1,
                        Fate::Skipped => self.census.skipped.push(Arc::clone(&member)),
                        Fate::Elsewhere => {}
                    }
                    unpacked.member = Some(member);
                    unpacked.next = 0;
                }
                Item::Empty => {
                    let member = unpacked.member.clone();
                    self.census.empty.extend(member);
                }
                Item::Chunk { offset, bytes, kind } => {
                    let member = unpacked.member.clone();
                    let index = unpacked.next;
                    unpacked.next += 1;
                    return Some(Work::Chunk(Chunk {
                        member: member.expect("a chunk follows the start of its member"),
                        index,
                        offset,
                        bytes,
                        kind,
                        sequence: take(&mut self.sequence),
                        numbered: true,
                        extra_lines: 0,
                        letters: Vec::new(),
                        spans: Vec::new(),
                    }));
                }
                Item::Left { letter, lines } => {
                    let member = unpacked.member.clone();
                    let report = Report {
                        member: member.expect("what is left out follows the start of its member"),
                        lines: Some(lines),
                        letters: vec![letter],
                    };
                    return Some(Work::Report(take(&mut self.sequence), report));
                }
                Item::Archive { inner, letter } => {
                    let member = Arc::new(Member {
                        ordinal: self.ordinal,
                        argument: unpacked.input.argument,
                        path: unpacked.input.source.name().into(),
                        inner,
                    });
                    let report = Report { member, lines: Some(0), letters: vec![letter] };
                    return Some(Work::Report(take(&mut self.sequence), report));
                }
            }
        }
    }
}

impl Ranges {
    /// The next range that belongs to this process.
    fn next(&mut self, sequence: &mut u64, dispenser: &Dispenser) -> Option<Work> {
        let options = &dispenser.options;
        loop {
            let lo = self.next * options.chunk_bytes as u64;
            if lo >= self.len {
                return None;
            }
            let hi = self.len.min(lo + options.chunk_bytes as u64);
            let index = self.next;
            self.next += 1;
            dispenser.progress.add(hi - lo);
            if (self.index + index as usize) % options.processes != options.process {
                continue;
            }
            let file = match &self.file {
                Some(file) => Arc::clone(file),
                None => match File::open(&self.path) {
                    Ok(file) => Arc::clone(self.file.insert(Arc::new(file))),
                    Err(error) => {
                        dispenser.progress.add(self.len - hi);
                        self.len = 0;
                        let report = Report {
                            member: Arc::clone(&self.member),
                            lines: None,
                            letters: vec![unreadable(None, &error)],
                        };
                        return Some(Work::Report(take(sequence), report));
                    }
                },
            };
            return Some(Work::Range {
                sequence: take(sequence),
                member: Arc::clone(&self.member),
                index: index as u32,
                range: Range { file, start: self.mark, lo: lo.max(self.mark), hi, len: self.len },
                failed: Arc::clone(&self.failed),
            });
        }
    }
}

/// The current number, and on to the next.
fn take(sequence: &mut u64) -> u64 {
    let current = *sequence;
    *sequence += 1;
    current
}

pub(super) fn unreadable(offset: Option<u64>, error: &io::Error) -> Letter {
    Letter {
        line: None,
        record: None,
        offset,
        reason: Reason::Unreadable,
        detail: error.to_string(),
        excerpt: String::new(),
    }
}
