//! Members, chunks and the records in them.

use std::sync::Arc;

use memchr::memchr_iter;

use crate::format::encoding::{CodePage, Encoding};
use crate::format::evtx::{self, EvtxSpan};
use crate::format::split::{self, Expect, Header, Span, Syntax, Trust};
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text; `encoding` is that of the member, the bytes here are decoded.
    Text {
        /// How the member stores them.
        encoding: Encoding,
        /// What bytes mean that are not UTF-8.
        code_page: CodePage,
        /// The columns, when the member is a CSV table.
        table: Option<Arc<Header>>,
    },
    /// The JSON of the records of an EVTX chunk.
    Evtx,
}

/// Where the records of a chunk are.
#[derive(Debug)]
pub(super) enum Spans {
    /// To be found.
    Unknown,
    /// In text that was read from its beginning, which has so many line breaks.
    Text(Vec<Span>, u32),
    /// In EVTX.
    Evtx(Vec<EvtxSpan>),
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
    /// What records were expected.
    pub(super) expect: Expect,
    /// Its number among the chunks of this process, in the order of the input.
    pub(super) sequence: u64,
    /// Whether this process sees all chunks of the member, so that lines can be counted.
    pub(super) numbered: bool,
    /// Lines that belong to the chunk but are not in `bytes`: those of over-long records.
    pub(super) extra_lines: u64,
    /// What was found unreadable while reading.
    pub(super) letters: Vec<Letter>,
    /// Where the records are.
    pub(super) spans: Spans,
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
    /// What its bytes are.
    pub syntax: Syntax,
    /// What is known of its bounds.
    pub trust: Trust,
    /// Whether it stands in a quoted cell, in which quotes are doubled.
    pub doubled: bool,
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
    /// The dead letter for this record. Of one that is damaged it says how much is lost.
    pub fn letter(&self, reason: Reason, detail: impl Into<String>) -> Letter {
        let mut detail = detail.into();
        if self.trust == Trust::Damaged {
            detail = format!("{detail}; {} bytes are left out", self.bytes.len());
        }
        Letter {
            line: self.number.is_none().then_some(self.line),
            record: self.number,
            offset: Some(self.offset),
            reason,
            detail,
            excerpt: excerpt(self.bytes),
        }
    }
}

impl Chunk {
    /// The records, in order.
    pub fn records(&self) -> Records<'_> {
        let separator = match &self.kind {
            Kind::Text { table: Some(table), .. } => Some(table.separator),
            _ => None,
        };
        Records {
            chunk: self,
            encoding: self.encoding(),
            inner: match &self.spans {
                Spans::Unknown => {
                    Inner::Unknown(split::Records::new(&self.bytes, self.expect, separator))
                }
                Spans::Text(spans, _) => Inner::Text(spans.iter()),
                Spans::Evtx(spans) => Inner::Evtx(spans.iter()),
            },
            seen: 0,
            offset: self.offset,
            position: 0,
        }
    }

    /// The records of a line that was taken for one by its ends and is none.
    pub fn parts<'a>(&self, line: &Record<'a>) -> impl Iterator<Item = Record<'a>> {
        let (line, encoding) = (*line, self.encoding());
        split::parts(line.bytes, self.expect).map(move |span| Record {
            bytes: &line.bytes[span.range.clone()],
            offset: line.offset + encoding.stored_len(&line.bytes[..span.range.start]),
            syntax: span.syntax,
            trust: span.trust,
            doubled: span.doubled,
            ..line
        })
    }

    fn encoding(&self) -> Encoding {
        match self.kind {
            Kind::Text { encoding, .. } => encoding,
            Kind::Evtx => Encoding::Utf8,
        }
    }

    /// Turns the raw bytes of an EVTX chunk into its records.
    pub(super) fn render_evtx(&mut self) {
        let rendered = evtx::render(std::mem::take(&mut self.bytes));
        self.bytes = rendered.json;
        self.spans = Spans::Evtx(rendered.records);
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
    encoding: Encoding,
    inner: Inner<'a>,
    /// How far `offset` has been counted.
    seen: usize,
    offset: u64,
    /// In EVTX: how many records came before.
    position: u32,
}

#[derive(Clone, Debug)]
enum Inner<'a> {
    Unknown(split::Records<'a>),
    Text(std::slice::Iter<'a, Span>),
    Evtx(std::slice::Iter<'a, EvtxSpan>),
}

impl Records<'_> {
    /// How many line ends the chunk has; known when all records have been taken. There are none
    /// in EVTX.
    pub fn lines(&mut self) -> u64 {
        match (&mut self.inner, &self.chunk.spans) {
            (Inner::Unknown(records), _) => u64::from(records.lines()),
            (_, Spans::Text(_, lines)) => u64::from(*lines),
            _ => 0,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let chunk = self.chunk;
        let span = match &mut self.inner {
            Inner::Unknown(records) => records.next()?,
            Inner::Text(spans) => spans.next()?.clone(),
            Inner::Evtx(spans) => {
                let span = spans.next()?;
                let line = self.position;
                self.position += 1;
                return Some(Record {
                    bytes: &chunk.bytes[span.range.clone()],
                    offset: chunk.offset + u64::from(span.offset),
                    line,
                    number: Some(span.number),
                    syntax: Syntax::Json,
                    trust: Trust::Whole,
                    doubled: false,
                });
            }
        };
        self.offset += self.encoding.stored_len(&chunk.bytes[self.seen..span.range.start]);
        self.seen = span.range.start;
        Some(Record {
            bytes: &chunk.bytes[span.range],
            offset: self.offset,
            line: span.line,
            number: None,
            syntax: span.syntax,
            trust: span.trust,
            doubled: span.doubled,
        })
    }
}
