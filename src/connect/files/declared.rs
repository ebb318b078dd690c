//! Records of declared columns (JSON, DELIMITED) for the taps of a topic.

use crate::format::delimited::DelimitedDecoder;
use crate::format::error::DecodeError;
use crate::format::json::JsonDecoder;
use crate::model::{RowRef, RowWriter, Timestamp};
use crate::plan::{Format, Source};
use crate::sysmon::{RecordMeta, RowSink};

/// Decodes each record once and projects it for each tap.
pub struct Declared {
    decoder: Decoder,
    width: usize,
    taps: Vec<Vec<usize>>,
    record: Vec<u8>,
}

enum Decoder {
    Json(JsonDecoder),
    Delimited(DelimitedDecoder),
}

impl Declared {
    /// A decoder for sources of one declared format.
    pub fn new(format: &Format, sources: &[Source]) -> Declared {
        let schema = format.schema();
        let decoder = match format {
            Format::Delimited(schema, delimiter) => Decoder::Delimited(DelimitedDecoder::new(schema, *delimiter)),
            _ => Decoder::Json(JsonDecoder::new(schema)),
        };
        Declared { decoder, width: schema.width(), taps: sources.iter().map(|source| source.columns.clone()).collect(), record: Vec::new() }
    }

    /// Decodes a record; its event time is the Kafka record's. A record without value makes no row.
    pub fn decode(&mut self, record: &[u8], meta: &RecordMeta, out: &mut impl RowSink) -> Result<Option<Timestamp>, DecodeError> {
        self.record.clear();
        let mut writer = RowWriter::new(&mut self.record, self.width);
        let has_value = match &self.decoder {
            Decoder::Json(decoder) => decoder.decode(record, &mut writer)?,
            Decoder::Delimited(decoder) => decoder.decode(record, &mut writer)?,
        };
        if !has_value {
            return Ok(meta.timestamp);
        }
        writer.finish();
        let row = RowRef::new(&self.record, self.width);
        for (tap, columns) in self.taps.iter().enumerate() {
            let mut writer = RowWriter::new(out.arena(), columns.len());
            for &column in columns {
                match column.checked_sub(self.width) {
                    None => writer.raw(row.raw(column)),
                    Some(0) => match meta.timestamp {
                        Some(time) => writer.timestamp(time),
                        None => writer.null(),
                    },
                    Some(1) => writer.int(meta.partition),
                    Some(_) => writer.bigint(meta.offset),
                }
            }
            let range = writer.finish();
            out.row(tap, range);
        }
        Ok(meta.timestamp)
    }
}
