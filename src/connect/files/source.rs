//! Captured files as a [`Source`] of the dataflow: chunks from the [`Dispenser`], decoded by the format of the topic.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::declared::Declared;
use super::{Chunk, Dispenser, Kind};
use crate::dataflow::{Piece, Progress, Source};
use crate::format::error::DecodeError;
use crate::model::{Reason, Timestamp};
use crate::plan::{self, Format};
use crate::sysmon::{Decoder, Outcome, RecordMeta, RowSink, Stats, Tap};

/// What the readers of all workers have seen.
#[derive(Default)]
pub struct Seen {
    /// Records so far, of any kind.
    pub records: AtomicU64,
    /// What the decoders counted; complete when all readers have ended.
    pub stats: Mutex<Stats>,
    /// The earliest and the latest event time among events that the dataflow wanted.
    pub span: Mutex<Option<(Timestamp, Timestamp)>>,
}

/// Reads the files of a topic.
pub struct FileSource {
    dispenser: Arc<Dispenser>,
    decode: Decode,
    seen: Arc<Seen>,
    buffer: Vec<u8>,
    /// The event times so far.
    span: Option<(Timestamp, Timestamp)>,
}

enum Decode {
    Sysmon(Box<Decoder>),
    Declared(Declared),
}

impl FileSource {
    /// A reader for the sources of one topic, which share a format.
    pub fn new(dispenser: Arc<Dispenser>, sources: &[plan::Source], seen: Arc<Seen>) -> FileSource {
        let decode = match &*sources[0].format {
            Format::Sysmon => {
                let taps: Vec<Tap> = sources.iter().map(|source| Tap { columns: source.columns.clone(), events: source.events }).collect();
                Decode::Sysmon(Box::new(Decoder::new(&taps)))
            }
            declared => Decode::Declared(Declared::new(declared, sources)),
        };
        FileSource { dispenser, decode, seen, buffer: Vec::new(), span: None }
    }

    /// Decodes a chunk; returns the number of its lines, and its dead letters.
    fn decode(&mut self, chunk: &Chunk, piece: &mut Piece) -> (u64, Vec<super::Letter>) {
        let mut letters = Vec::new();
        let mut records = 0;
        let mut meta =
            RecordMeta { partition: chunk.member.ordinal as i32, evtx: matches!(chunk.kind, Kind::Evtx), ..RecordMeta::default() };
        let mut chunk_records = chunk.records();
        for record in &mut chunk_records {
            records += 1;
            if let Decode::Sysmon(decoder) = &mut self.decode
                && !meta.evtx
                && decoder.passes_over(record.bytes)
            {
                continue;
            }
            meta.offset = record.offset as i64;
            let mut sink = PieceSink { piece, offset: record.offset };
            let decoded = match &mut self.decode {
                Decode::Sysmon(decoder) => decoder.decode(record.bytes, &meta, &mut sink).map(|outcome| match outcome {
                    Outcome::Sysmon { event_time, .. } => event_time,
                    Outcome::OtherChannel => None,
                }),
                Decode::Declared(decoder) => decoder.decode(record.bytes, &meta, &mut sink),
            };
            match decoded {
                Ok(Some(time)) => {
                    piece.time = piece.time.max(Some(time));
                    self.span = Some(self.span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
                }
                Ok(None) => {}
                Err(error) => letters.push(record.letter(reason(&error), error.to_string())),
            }
        }
        self.seen.records.fetch_add(records, Ordering::Relaxed);
        (chunk_records.lines(), letters)
    }

    fn finish(&mut self) {
        if let Decode::Sysmon(decoder) = &self.decode {
            self.seen.stats.lock().unwrap_or_else(PoisonError::into_inner).add(decoder.stats());
        }
        if let Some((first, last)) = self.span.take() {
            let mut span = self.seen.span.lock().unwrap_or_else(PoisonError::into_inner);
            *span = Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        }
    }
}

impl Source for FileSource {
    fn read(&mut self, piece: &mut Piece) -> Progress {
        let Some(chunk) = self.dispenser.next(std::mem::take(&mut self.buffer)) else {
            self.finish();
            return Progress::End;
        };
        // Members are read one after the other.
        (piece.partition, piece.earliest_open) = (chunk.member.ordinal, chunk.member.ordinal);
        piece.offset = chunk.offset;
        let (lines, letters) = self.decode(&chunk, piece);
        self.buffer = self.dispenser.finish(chunk, lines, letters);
        Progress::Read
    }
}

/// Puts decoded rows into a piece.
struct PieceSink<'p> {
    piece: &'p mut Piece,
    offset: u64,
}

impl RowSink for PieceSink<'_> {
    fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.piece.arena
    }

    fn row(&mut self, tap: usize, range: Range<usize>) {
        self.piece.rows[tap].push((range, self.offset));
    }
}

fn reason(error: &DecodeError) -> Reason {
    match error {
        DecodeError::InvalidJson { .. } => Reason::InvalidJson,
        DecodeError::InvalidXml { .. } => Reason::InvalidXml,
        DecodeError::InvalidUtf8 { .. } => Reason::InvalidUtf8,
        DecodeError::NestedTooDeep { .. } => Reason::NestedTooDeep,
        DecodeError::UnknownShape { .. } => Reason::UnknownShape,
        DecodeError::Misfit { .. } => Reason::Misfit,
        DecodeError::ColumnCount { .. } => Reason::ColumnCount,
    }
}
