//! The dead letters of a run, in the order of the input.
//!
//! Workers finish their chunks in any order. Each reports its letters and its number of
//! lines; a report is written as soon as all chunks before it have reported, when the lines
//! before it are known too. So the output is the same whatever the workers do, and what is
//! held back is bounded by the chunks in work.
//!
//! A sink that fails (full disk) does not stop the run: counting goes on and
//! [`DeadLetters::close`] returns the first failure.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::{Letter, Member};
use crate::model::dead_letter::{DeadLetter, Reason};

/// How many letters are kept to be shown to the user.
pub const FIRST: usize = 10;

/// How many letters of a member are kept for each reason, where they are kept by member.
const EXAMPLES: usize = 3;

/// Collects the dead letters of one process.
pub struct DeadLetters {
    state: Mutex<State>,
}

/// What was collected.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How many there are of each kind.
    pub counts: BTreeMap<Reason, u64>,
    /// The first [`FIRST`].
    pub first: Vec<DeadLetter>,
}

/// What of one member could not be read.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The member, or an archive as a whole, which then has the number of the member after it.
    pub member: Arc<Member>,
    /// By reason, how many there are and the first of them.
    pub reasons: BTreeMap<Reason, (u64, Vec<DeadLetter>)>,
}

#[derive(Default)]
struct State {
    summary: Summary,
    /// By member, where that is asked for; in the order of the input.
    lost: Option<Vec<Lost>>,
    sink: Option<Box<dyn Write + Send>>,
    failure: Option<io::Error>,
    /// The next report to write.
    next: u64,
    /// Reports that wait for earlier ones.
    waiting: BTreeMap<u64, Report>,
    /// The member of the last report, and how many of its lines came before.
    lines: Option<(u32, Option<u64>)>,
}

pub(super) struct Report {
    pub member: Arc<Member>,
    /// `None` when other processes read parts of the member.
    pub lines: Option<u64>,
    pub letters: Vec<Letter>,
}

impl DeadLetters {
    /// Writes letters to `sink` as NDJSON, if there is one.
    pub fn new(sink: Option<Box<dyn Write + Send>>) -> Self {
        Self { state: Mutex::new(State { sink, ..State::default() }) }
    }

    /// Keeps letters by member, a few for each reason.
    pub fn by_member() -> Self {
        Self { state: Mutex::new(State { lost: Some(Vec::new()), ..State::default() }) }
    }

    /// What could not be read of each member, in the order of the input.
    pub fn lost(&self) -> Vec<Lost> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lost.clone().unwrap_or_default()
    }

    /// Takes the report of a chunk.
    pub(super) fn report(&self, sequence: u64, report: Report) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(sequence, report);
        loop {
            let next = state.next;
            let Some(report) = state.waiting.remove(&next) else {
                break;
            };
            state.next += 1;
            state.write(report);
        }
    }

    /// What was collected so far.
    pub fn summary(&self) -> Summary {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.summary.clone()
    }

    /// Writes what is left: after an interruption some chunks have never reported, and the
    /// lines after them have no numbers.
    pub fn close(&self) -> io::Result<Summary> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (sequence, report) in std::mem::take(&mut state.waiting) {
            if sequence != state.next {
                state.lines = Some((report.member.ordinal, None));
            }
            state.next = sequence + 1;
            state.write(report);
        }
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        if let Some(sink) = &mut state.sink {
            sink.flush()?;
        }
        Ok(state.summary.clone())
    }
}

impl State {
    fn write(&mut self, report: Report) {
        let Report { member, lines, mut letters } = report;
        let before = match self.lines {
            Some((ordinal, before)) if ordinal == member.ordinal => before,
            _ => Some(0),
        };
        let before = before.filter(|_| lines.is_some());
        letters.sort_by_key(|letter| letter.offset);
        for letter in letters {
            let mut origin = member.origin();
            origin.line =
                before.zip(letter.line).map(|(before, line)| before + u64::from(line) + 1);
            origin.record = letter.record;
            origin.offset = letter.offset;
            let letter = DeadLetter {
                origin,
                reason: letter.reason,
                detail: letter.detail,
                excerpt: letter.excerpt,
            };
            self.keep(&member, &letter);
            self.write_letter(letter);
        }
        self.lines =
            Some((member.ordinal, before.zip(lines).map(|(before, lines)| before + lines)));
    }

    fn keep(&mut self, member: &Arc<Member>, letter: &DeadLetter) {
        let Some(lost) = &mut self.lost else { return };
        if lost.last().is_none_or(|last| last.member != *member) {
            lost.push(Lost { member: Arc::clone(member), reasons: BTreeMap::new() });
        }
        let last = lost.last_mut().expect("one was pushed if there was none");
        let (count, examples) = last.reasons.entry(letter.reason).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(letter.clone());
        }
    }

    fn write_letter(&mut self, letter: DeadLetter) {
        *self.summary.counts.entry(letter.reason).or_default() += 1;
        if let Some(sink) = &mut self.sink
            && self.failure.is_none()
        {
            let line = serde_json::to_string(&letter).expect("a letter is plain data");
            self.failure = writeln!(sink, "{line}").err();
        }
        if self.summary.first.len() < FIRST {
            self.summary.first.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(ordinal: u32) -> Arc<Member> {
        Arc::new(Member { ordinal, argument: 0, path: "f".into(), inner: None })
    }

    fn report(member: &Arc<Member>, lines: u64, at: &[u32]) -> Report {
        Report {
            member: Arc::clone(member),
            lines: Some(lines),
            letters: at
                .iter()
                .map(|&line| Letter {
                    line: Some(line),
                    record: None,
                    offset: Some(u64::from(line)),
                    reason: Reason::InvalidJson,
                    detail: String::new(),
                    excerpt: String::new(),
                })
                .collect(),
        }
    }

    fn lines(summary: &Summary) -> Vec<Option<u64>> {
        summary.first.iter().map(|l| l.origin.line).collect()
    }

    #[test]
    fn order_and_line_numbers_are_those_of_the_input() {
        let letters = DeadLetters::new(None);
        let (a, b) = (member(0), member(1));
        letters.report(2, report(&b, 5, &[4]));
        letters.report(1, report(&a, 10, &[3, 1]));
        assert_eq!(letters.summary().counts.len(), 0);
        letters.report(0, report(&a, 7, &[2]));
        assert_eq!(lines(&letters.summary()), [Some(3), Some(9), Some(11), Some(5)]);
        // report 3 never came
        letters.report(4, report(&b, 1, &[0]));
        let summary = letters.close().unwrap();
        assert_eq!(lines(&summary).last(), Some(&None));
        assert_eq!(summary.counts[&Reason::InvalidJson], 5);
    }

    #[test]
    fn letters_are_kept_by_member_where_that_is_asked_for() {
        let letters = DeadLetters::by_member();
        let (a, b) = (member(0), member(1));
        letters.report(1, report(&b, 5, &[4]));
        letters.report(0, report(&a, 9, &[0, 1, 2, 3, 4]));
        let lost: Vec<_> = letters
            .lost()
            .into_iter()
            .map(|lost| (lost.member.ordinal, lost.reasons[&Reason::InvalidJson].clone()))
            .map(|(member, (count, first))| {
                (member, count, first.iter().map(|l| l.origin.line.unwrap()).collect())
            })
            .collect();
        assert_eq!(lost, [(0, 5, vec![1, 2, 3]), (1, 1, vec![5])]);
    }

    #[test]
    fn a_full_disk_is_told_at_the_end() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let letters = DeadLetters::new(Some(Box::new(Full)));
        letters.report(0, report(&member(0), 1, &[0]));
        assert_eq!(letters.summary().counts[&Reason::InvalidJson], 1);
        let error = letters.close().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
