//! Reading a part of a plain file, at any position, without looking at what precedes.
//!
//! A *cut* is a line that certainly begins a record ([`split::is_cut`]), which is told from that
//! line and the bytes before it. A range `lo..hi` owns the bytes from the first cut in it to the
//! first cut after it, and so the records that begin there, with the lines that continue them. Who
//! reads the range before asks the same question of the same bytes, so ranges that cover a file
//! own each of its records exactly once, whoever reads them, in whatever order.
//!
//! One thing is not certain: a line inside of an event or a text may look like a cut. Files whose
//! beginning has records of several lines are therefore not read by ranges.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memchr::memchr;

use super::chunk::count_lines;
use crate::format::split::{BEFORE, Expect, LOOK, Scanner, is_cut};

/// How much is read at a time to find a cut.
const STEP: usize = 8 << 10;

/// A part of a file.
pub(super) struct Range {
    pub file: Arc<File>,
    /// Where the text of the file starts: after its byte-order mark.
    pub start: u64,
    pub lo: u64,
    pub hi: u64,
    /// Where the file ends.
    pub len: u64,
    /// What records are looked for.
    pub expect: Expect,
}

/// What a range holds.
pub(super) struct Owned {
    /// The offset of the first byte.
    pub offset: u64,
    /// What follows without a cut, and is more than a record may have.
    pub passed: Option<Passed>,
}

/// Bytes that a range owns and does not hold.
pub(super) struct Passed {
    /// Where they begin.
    pub from: u64,
    /// From where on they are more than what separates records.
    pub lost: u64,
    /// Where they end.
    pub end: u64,
}

impl Range {
    /// Reads the bytes that the range owns into `buf`, replacing its content.
    pub fn read(&self, buf: &mut Vec<u8>, max_record: usize) -> io::Result<Owned> {
        let first = if self.lo < self.hi { self.cut(self.lo, self.hi)? } else { None };
        let Some(offset) = first else {
            buf.clear();
            return Ok(Owned { offset: self.lo, passed: None });
        };
        let end = self.cut(self.hi, self.len)?.unwrap_or(self.len);
        if end - self.hi <= max_record as u64 {
            self.fill(buf, offset, (end - offset) as usize)?;
            return Ok(Owned { offset, passed: None });
        }
        // the last cut of the range begins what may be too long
        let mut last = offset;
        while let Some(next) = self.cut(last + 1, self.hi)? {
            last = next;
        }
        let mut scanner = Scanner::new(self.expect, None);
        let (mut at, mut kept, mut window) = (last, last, Vec::new());
        loop {
            self.fill(&mut window, at, (end - at).min(max_record as u64 + 1) as usize)?;
            let eof = at + window.len() as u64 == end;
            let found = std::iter::from_fn(|| scanner.next(&window, eof)).count();
            let settled = scanner.settled();
            if at == last {
                kept = last + settled as u64;
            }
            // what goes on, or comes without a cut after more than a record may have
            if settled == 0 || at > last && found > 0 {
                break;
            }
            scanner.rebase(settled);
            at += settled as u64;
        }
        self.fill(buf, offset, (kept - offset) as usize)?;
        let passed = Passed { from: kept, lost: at, end };
        Ok(Owned { offset, passed: Some(passed) })
    }

    /// The first bytes at a place, for an excerpt.
    pub fn beginning(&self, offset: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.fill(&mut bytes, offset, count)?;
        Ok(bytes)
    }

    /// How many line breaks there are between two places.
    pub fn lines(&self, from: u64, to: u64) -> io::Result<u64> {
        let (mut at, mut lines, mut buf) = (from, 0, Vec::new());
        while at < to {
            self.fill(&mut buf, at, (to - at).min(1 << 20) as usize)?;
            if buf.is_empty() {
                break;
            }
            lines += count_lines(&buf);
            at += buf.len() as u64;
        }
        Ok(lines)
    }

    /// The first cut at `from` or later, before `until`. Depends on the file alone.
    fn cut(&self, from: u64, until: u64) -> io::Result<Option<u64>> {
        if from <= self.start {
            return Ok((self.start < until).then_some(self.start));
        }
        // the byte before tells whether a line starts at `from`
        let mut base = from - 1;
        let mut buf = Vec::new();
        // of what precedes `base`, the end
        let mut before = Vec::new();
        let back = base.saturating_sub(BEFORE as u64).max(self.start);
        self.fill(&mut before, back, (base - back) as usize)?;
        let mut at = 0;
        loop {
            // a line is looked at once all that counts of it is here
            let Some(newline) = memchr(b'\n', &buf[at..]) else {
                keep_end(&mut before, &buf);
                base += buf.len() as u64;
                if base >= until {
                    return Ok(None);
                }
                self.fill(&mut buf, base, STEP)?;
                at = 0;
                if buf.is_empty() {
                    return Ok(None);
                }
                continue;
            };
            let line = at + newline + 1;
            if base + line as u64 >= until {
                return Ok(None);
            }
            if buf.len() < line + LOOK && base + (buf.len() as u64) < self.len {
                keep_end(&mut before, &buf[..line - 1]);
                base += line as u64 - 1;
                self.fill(&mut buf, base, STEP)?;
                at = 0;
                if buf.len() < 1 + LOOK && base + (buf.len() as u64) < self.len {
                    // the file has become shorter
                    return Ok(None);
                }
                continue;
            }
            let head = &buf[line..buf.len().min(line + LOOK)];
            let eol = memchr(b'\n', head);
            let next = eol.map_or(&[][..], |n| &head[n + 1..]);
            let mut end = before.clone();
            keep_end(&mut end, &buf[..line]);
            if self.expect == Expect::Lines
                || is_cut(
                    &end,
                    &head[..eol.unwrap_or(head.len())],
                    next,
                    self.expect == Expect::Events,
                )
            {
                return Ok(Some(base + line as u64));
            }
            at = line;
        }
    }

    /// Reads up to `count` bytes from `offset` to `buf`, replacing its content.
    fn fill(&self, buf: &mut Vec<u8>, offset: u64, count: usize) -> io::Result<()> {
        let count = count.min(self.len.saturating_sub(offset) as usize);
        // what is there of a buffer used before need not be zeroed
        buf.resize(count, 0);
        let mut done = 0;
        while done < count {
            match self.file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buf.truncate(done);
        Ok(())
    }
}

/// Appends `more` and keeps the last [`BEFORE`] bytes.
fn keep_end(end: &mut Vec<u8>, more: &[u8]) {
    end.extend_from_slice(&more[more.len().saturating_sub(BEFORE)..]);
    let surplus = end.len().saturating_sub(BEFORE);
    end.drain(..surplus);
}
