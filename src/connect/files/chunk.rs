//! Members, chunks and the records in them.

use std::sync::Arc;

use memchr::memchr_iter;

use crate::format::encoding::Encoding;
use crate::format::evtx::{self, EvtxSpan};
use crate::format::split::{self, Layout, Syntax};
use crate::model::dead_letter::{Reason, excerpt};
use crate::model::origin::Origin;

/// A leaf file.
#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number in the run, from 0, the same in every process.
    pub ordinal: u32,
    /// The position of the argument that named it.
    pub argument: u32,
    /// The file; `-` is standard input.
    pub path: Arc<str>,
    /// Its name inside of the file, when that is an archive.
    pub inner: Option<Arc<str>>,
}

impl Member {
    /// The member as a whole, as an origin.
    pub fn origin(&self) -> Origin {
        Origin {
            file: Arc::clone(&self.path),
            member: self.inner.clone(),
            line: None,
            record: None,
            offset: None,
        }
    }
}

/// What a chunk's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text; `encoding` is that of the member, the bytes here are decoded.
    Text {
        /// How records lie.
        layout: Layout,
        /// How the member stores them.
        encoding: Encoding,
    },
    /// The JSON of the records of an EVTX chunk.
    Evtx,
}

/// Whole records of one member.
#[derive(Debug)]
pub struct Chunk {
    /// The member.
    pub member: Arc<Member>,
    /// The number of the chunk in the member, from 0.
    pub index: u32,
    /// The offset, in the member as stored, of the first byte.
    pub offset: u64,
    /// The records, as UTF-8 or what claims to be.
    pub bytes: Vec<u8>,
    /// What they are.
    pub kind: Kind,
    /// Its number among the chunks of this process, in the order of the input.
    pub(super) sequence: u64,
    /// Whether this process sees all chunks of the member, so that lines can be counted.
    pub(super) numbered: bool,
    /// Lines that belong to the chunk but are not in `bytes`: those of over-long records.
    pub(super) extra_lines: u64,
    /// What was found unreadable while reading.
    pub(super) letters: Vec<Letter>,
    /// In EVTX: where the records are.
    pub(super) spans: Vec<EvtxSpan>,
}

/// A record in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its bytes, without surrounding white space.
    pub bytes: &'a [u8],
    /// The offset of its first byte in the member as stored.
    pub offset: u64,
    /// The line of the chunk, from 0, on which it starts; in EVTX, its position in the chunk.
    pub line: u32,
    /// The record's own number, in EVTX.
    pub number: Option<u64>,
    /// JSON or XML.
    pub syntax: Syntax,
}

/// A dead letter that knows its place only within a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The line of the chunk, from 0.
    pub line: Option<u32>,
    /// The record's own number.
    pub record: Option<u64>,
    /// The offset in the member.
    pub offset: Option<u64>,
    /// Why.
    pub reason: Reason,
    /// What exactly.
    pub detail: String,
    /// The beginning of the bytes.
    pub excerpt: String,
}

impl Record<'_> {
    /// The dead letter for this record.
    pub fn letter(&self, reason: Reason, detail: impl Into<String>) -> Letter {
        Letter {
            line: self.number.is_none().then_some(self.line),
            record: self.number,
            offset: Some(self.offset),
            reason,
            detail: detail.into(),
            excerpt: excerpt(self.bytes),
        }
    }
}

impl Chunk {
    /// The records, in order.
    pub fn records(&self) -> Records<'_> {
        Records {
            chunk: self,
            inner: match self.kind {
                Kind::Text { layout, .. } => Inner::Text(split::Records::new(&self.bytes, layout)),
                Kind::Evtx => Inner::Evtx(self.spans.iter()),
            },
            seen: 0,
            offset: self.offset,
            line: 0,
        }
    }

    /// Turns the raw bytes of an EVTX chunk into its records.
    pub(super) fn render_evtx(&mut self) {
        let rendered = evtx::render(std::mem::take(&mut self.bytes));
        self.bytes = rendered.json;
        self.spans = rendered.records;
        let offset = self.offset;
        self.letters.extend(rendered.faults.into_iter().map(|fault| Letter {
            line: None,
            record: fault.number,
            offset: Some(offset + u64::from(fault.offset)),
            reason: fault.reason,
            detail: fault.detail,
            excerpt: String::new(),
        }));
    }
}

pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// The records of a [`Chunk`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    chunk: &'a Chunk,
    inner: Inner<'a>,
    /// How far `offset` and `line` have been counted.
    seen: usize,
    offset: u64,
    line: u32,
}

#[derive(Clone, Debug)]
enum Inner<'a> {
    Text(split::Records<'a>),
    Evtx(std::slice::Iter<'a, EvtxSpan>),
}

impl Records<'_> {
    /// How many line ends the chunk has; known when all records have been taken. There are none in EVTX.
    pub fn lines(&self) -> u64 {
        match &self.inner {
            Inner::Text(records) => {
                let counted = records
                    .lines_before()
                    .map(|before| u64::from(before) + u64::from(self.chunk.bytes.ends_with(b"\n")));
                counted.unwrap_or_else(|| {
                    u64::from(self.line) + count_lines(&self.chunk.bytes[self.seen..])
                })
            }
            Inner::Evtx(_) => 0,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        match &mut self.inner {
            Inner::Text(records) => {
                let split::Span { range, syntax } = records.next()?;
                let passed = &self.chunk.bytes[self.seen..range.start];
                self.seen = range.start;
                self.line = match records.lines_before() {
                    Some(lines) => lines,
                    None => self.line + count_lines(passed) as u32,
                };
                self.offset += match self.chunk.kind {
                    Kind::Text { encoding, .. } => encoding.stored_len(passed),
                    Kind::Evtx => 0,
                };
                Some(Record {
                    bytes: &self.chunk.bytes[range],
                    offset: self.offset,
                    line: self.line,
                    number: None,
                    syntax,
                })
            }
            Inner::Evtx(spans) => {
                let span = spans.next()?;
                let line = self.line;
                self.line += 1;
                Some(Record {
                    bytes: &self.chunk.bytes[span.range.clone()],
                    offset: self.chunk.offset + u64::from(span.offset),
                    line,
                    number: Some(span.number),
                    syntax: Syntax::Json,
                })
            }
        }
    }
}
