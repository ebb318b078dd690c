//! Captured files as a [`Source`] of the dataflow: chunks from the [`Dispenser`], decoded by the format of the topic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::survey::{Survey, Surveyor};
use super::{Chunk, Dispenser, Kind};
use crate::connect::decode::{RecordDecoder, reason};
use crate::dataflow::{Piece, Progress, Source};
use crate::model::Timestamp;
use crate::plan;
use crate::sysmon::{RecordMeta, Stats};

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
    decoder: RecordDecoder,
    seen: Arc<Seen>,
    buffer: Vec<u8>,
    /// The event times so far.
    span: Option<(Timestamp, Timestamp)>,
    /// Tells what each member holds, where somebody asks.
    surveyor: Option<Surveyor>,
}

impl FileSource {
    /// A reader for the sources of one topic, which share a format.
    pub fn new(dispenser: Arc<Dispenser>, sources: &[plan::Source], seen: Arc<Seen>) -> FileSource {
        FileSource {
            dispenser,
            decoder: RecordDecoder::new(sources, false),
            seen,
            buffer: Vec::new(),
            span: None,
            surveyor: None,
        }
    }

    /// Also tells what each member holds.
    #[must_use]
    pub fn with_survey(mut self, survey: Arc<Survey>) -> FileSource {
        self.decoder.survey();
        self.surveyor = Some(Surveyor::new(survey));
        self
    }

    /// Decodes a chunk; returns the number of its lines, and its dead letters.
    fn decode(&mut self, chunk: &Chunk, piece: &mut Piece) -> (u64, Vec<super::Letter>) {
        let mut letters = Vec::new();
        let mut records = 0;
        let mut meta = RecordMeta {
            partition: chunk.member.ordinal as i32,
            evtx: matches!(chunk.kind, Kind::Evtx),
            ..RecordMeta::default()
        };
        let mut chunk_records = chunk.records();
        for record in &mut chunk_records {
            records += 1;
            if let Some(surveyor) = &mut self.surveyor {
                surveyor.record(&record);
            }
            meta.offset = record.offset as i64;
            let deleted = deleted_key(record.bytes).filter(|_| self.decoder.reads_keys());
            let value = if deleted.is_some() { &[] } else { record.bytes };
            match self.decoder.decode(value, deleted, std::iter::empty(), &meta, piece) {
                Ok(Some(time)) => {
                    self.span =
                        Some(self.span.map_or((time, time), |(first, last)| {
                            (first.min(time), last.max(time))
                        }));
                }
                Ok(None) => {}
                Err(error) => {
                    if let Some(surveyor) = &mut self.surveyor {
                        surveyor.lost(record.offset, record.bytes, reason(&error));
                    }
                    letters.push(record.letter(reason(&error), error.to_string()));
                }
            }
        }
        self.seen.records.fetch_add(records, Ordering::Relaxed);
        (chunk_records.lines(), letters)
    }

    fn finish(&mut self) {
        if let Some(stats) = self.decoder.stats() {
            self.seen.stats.lock().unwrap_or_else(PoisonError::into_inner).add(stats);
        }
        if let Some((first, last)) = self.span.take() {
            let mut span = self.seen.span.lock().unwrap_or_else(PoisonError::into_inner);
            *span = Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        }
    }
}

/// The key of a line `key:null`, `key:NULL` or `key:`, as tools print a record that has no value.
fn deleted_key(line: &[u8]) -> Option<&[u8]> {
    let key = [&b":null"[..], b":NULL", b":"].iter().find_map(|end| line.strip_suffix(*end))?;
    (!matches!(line.first(), Some(b'{' | b'[' | b'<'))).then_some(key)
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
        if let Some(surveyor) = &mut self.surveyor {
            surveyor.chunk(&chunk, &self.decoder.take_stats());
        }
        self.buffer = self.dispenser.finish(chunk, lines, letters);
        Progress::Read
    }
}
