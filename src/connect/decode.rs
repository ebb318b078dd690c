//! From the bytes of a record to the rows of a topic's taps, whatever the records come from.

use std::ops::Range;

use super::declared::Declared;
use crate::dataflow::Piece;
use crate::format::error::DecodeError;
use crate::model::{Reason, Timestamp};
use crate::plan::{self, Format};
use crate::sysmon::{Decoder, Outcome, RecordMeta, RowSink, Stats, Tap};

/// Decodes the records of one topic for its sources, which share a format.
pub struct RecordDecoder(Kind);

enum Kind {
    Sysmon(Box<Decoder>),
    Declared(Declared),
}

impl RecordDecoder {
    /// A decoder for these sources. With `keyed` records have keys beside their values, as on Kafka.
    pub fn new(sources: &[plan::Source], keyed: bool) -> RecordDecoder {
        RecordDecoder(match &*sources[0].format {
            Format::Sysmon => {
                let taps: Vec<Tap> = sources.iter().map(|source| Tap { columns: source.columns.clone(), events: source.events }).collect();
                Kind::Sysmon(Box::new(Decoder::new(&taps)))
            }
            declared => Kind::Declared(Declared::new(declared, sources, keyed)),
        })
    }

    /// Decodes a record into `piece`; returns its event time, if it is of a kind that the plan reads and has one. `key` is that of the Kafka record. What a plan has no use for is counted and makes no row.
    pub fn decode(
        &mut self,
        record: &[u8],
        key: Option<&[u8]>,
        meta: &RecordMeta,
        piece: &mut Piece,
    ) -> Result<Option<Timestamp>, DecodeError> {
        let mut sink = PieceSink { piece, offset: meta.offset as u64 };
        let time = match &mut self.0 {
            Kind::Sysmon(decoder) => {
                if !meta.evtx && decoder.passes_over(record) {
                    return Ok(None);
                }
                match decoder.decode(record, meta, &mut sink)? {
                    Outcome::Sysmon { event_time, .. } => event_time,
                    Outcome::OtherChannel => None,
                }
            }
            Kind::Declared(decoder) => decoder.decode(record, key, meta, &mut sink)?,
        };
        piece.time = piece.time.max(time);
        Ok(time)
    }

    /// What the decoder of Sysmon events has counted; `None` for other formats.
    pub fn stats(&self) -> Option<&Stats> {
        match &self.0 {
            Kind::Sysmon(decoder) => Some(decoder.stats()),
            Kind::Declared(_) => None,
        }
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

/// Why a record could not be decoded, as dead letters say it.
pub fn reason(error: &DecodeError) -> Reason {
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
