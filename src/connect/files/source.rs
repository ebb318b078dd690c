//! Captured files as a [`Source`] of the dataflow: chunks from the [`Dispenser`], decoded by the format of the topic.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::{Letter, Record};
use super::survey::{Survey, Surveyor};
use super::{Chunk, Dispenser, Kind, Member};
use crate::connect::decode::{RecordDecoder, reason};
use crate::dataflow::{Piece, Progress, Source};
use crate::format::encoding::CodePage;
use crate::format::split::{Header, Row, Syntax, Trust, row_to_json, undouble};
use crate::model::{Reason, Timestamp};
use crate::plan;
use crate::sysmon::{RecordMeta, Stats};

/// Records of a member that are not UTF-8.
#[derive(Clone, Debug)]
pub struct Recoded {
    /// The member.
    pub member: Arc<Member>,
    /// What they were read as.
    pub code_page: CodePage,
    /// How many there are.
    pub count: u64,
}

/// What the readers of all workers have seen.
#[derive(Default)]
pub struct Seen {
    /// Records so far, of any kind.
    pub records: AtomicU64,
    /// What the decoders counted; complete when all readers have ended.
    pub stats: Mutex<Stats>,
    /// Records that were not UTF-8, by the number of their member.
    pub recoded: Mutex<BTreeMap<u32, Recoded>>,
    /// The earliest and the latest event time among events that the dataflow wanted.
    pub span: Mutex<Option<(Timestamp, Timestamp)>>,
}

/// Reads the files of a topic.
pub struct FileSource {
    dispenser: Arc<Dispenser>,
    decoder: RecordDecoder,
    seen: Arc<Seen>,
    buffer: Vec<u8>,
    /// Rows of tables that were not UTF-8.
    recoded_rows: u64,
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
            recoded_rows: 0,
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
    fn decode(&mut self, chunk: &Chunk, piece: &mut Piece) -> (u64, Vec<Letter>) {
        let mut letters = Vec::new();
        let mut records = 0;
        let mut meta = RecordMeta {
            partition: chunk.member.ordinal as i32,
            evtx: matches!(chunk.kind, Kind::Evtx),
            ..RecordMeta::default()
        };
        let mut table = None;
        if let Kind::Text { code_page, table: header, .. } = &chunk.kind {
            meta.code_page = *code_page;
            table = header.as_deref();
        }
        let recoded = self.recoded();
        let mut chunk_records = chunk.records();
        for record in &mut chunk_records {
            let letter = match self.record(&record, table, &mut meta, piece) {
                Ok(is_record) => {
                    records += u64::from(is_record);
                    continue;
                }
                Err(letter) => letter,
            };
            records += 1;
            // two values may share a line
            if record.trust == Trust::Ends && letter.reason == Reason::InvalidJson {
                let parts: Vec<_> = chunk.parts(&record).collect();
                if parts.len() > 1 {
                    records += parts.len() as u64 - 1;
                    for part in parts {
                        if let Err(letter) = self.record(&part, table, &mut meta, piece) {
                            self.lost(&part, letter, &mut letters);
                        }
                    }
                    continue;
                }
            }
            self.lost(&record, letter, &mut letters);
        }
        let recoded = self.recoded() - recoded;
        if recoded > 0 {
            let mut all = self.seen.recoded.lock().unwrap_or_else(PoisonError::into_inner);
            let (member, code_page) = (Arc::clone(&chunk.member), meta.code_page);
            let first = || Recoded { member, code_page, count: 0 };
            all.entry(chunk.member.ordinal).or_insert_with(first).count += recoded;
        }
        self.seen.records.fetch_add(records, Ordering::Relaxed);
        (chunk_records.lines(), letters)
    }

    /// Keeps the letter of a record that could not be decoded.
    fn lost(&mut self, record: &Record<'_>, letter: Letter, letters: &mut Vec<Letter>) {
        if let Some(surveyor) = &mut self.surveyor {
            surveyor.record(record);
            surveyor.lost(record.offset, record.bytes, letter.reason);
        }
        letters.push(letter);
    }

    /// How many records were not UTF-8 so far.
    fn recoded(&self) -> u64 {
        self.recoded_rows + self.decoder.stats().map_or(0, |stats| stats.recoded)
    }

    /// Decodes a record; whether it was one, which the names of a table are not.
    fn record(
        &mut self,
        record: &Record<'_>,
        table: Option<&Header>,
        meta: &mut RecordMeta<'_>,
        piece: &mut Piece,
    ) -> Result<bool, Letter> {
        meta.offset = record.offset as i64;
        let made = match (record.syntax, table) {
            (Syntax::Row, Some(table)) => {
                let Some(object) = self.object(record, table, meta.code_page)? else {
                    return Ok(false);
                };
                Some(object)
            }
            _ if record.doubled => undouble(record.bytes),
            _ => None,
        };
        let deleted = deleted_key(record.bytes).filter(|_| self.decoder.reads_keys());
        let value = match deleted {
            Some(_) => &[],
            None => made.as_deref().unwrap_or(record.bytes),
        };
        let decoded = self.decoder.decode(value, deleted, std::iter::empty(), meta, piece);
        let time = decoded.map_err(|error| record.letter(reason(&error), error.to_string()))?;
        if let Some(time) = time {
            let extend = |(first, last): (Timestamp, Timestamp)| (first.min(time), last.max(time));
            self.span = Some(self.span.map_or((time, time), extend));
        }
        if let Some(surveyor) = &mut self.surveyor {
            surveyor.record(record);
        }
        Ok(true)
    }

    /// The row of a table as JSON; `None` for one that repeats the names.
    fn object(
        &mut self,
        row: &Record<'_>,
        table: &Header,
        code_page: CodePage,
    ) -> Result<Option<Vec<u8>>, Letter> {
        if row.trust == Trust::Damaged {
            let detail = "a quoted cell does not end, or ends before its cell";
            return Err(row.letter(Reason::ColumnCount, detail));
        }
        let text = std::str::from_utf8(row.bytes).map_or_else(
            |_| {
                self.recoded_rows += 1;
                code_page.decode(row.bytes)
            },
            Cow::Borrowed,
        );
        match row_to_json(&text, table) {
            Row::Object(json) => Ok(Some(json)),
            Row::Header => Ok(None),
            Row::Ragged(cells) => {
                let detail = format!("{cells} cells for {} columns", table.names.len());
                Err(row.letter(Reason::ColumnCount, detail))
            }
        }
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
