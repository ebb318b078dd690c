//! Records of declared columns (JSON, DELIMITED, KAFKA) for the taps of a topic.
//!
//! A column that is declared as key is read from the record's key, by the topic's KEY_FORMAT. Where there is no key, as in files, it is read from the value; so it is in a topic whose value repeats the key, as KSQL 5 wrote them.
//!
//! Only deletions have keys in files, in lines such as `key:null`. There a key is text as it
//! prints, or JSON where KEY_FORMAT says so.

use crate::format::delimited::DelimitedDecoder;
use crate::format::error::DecodeError;
use crate::format::json::JsonDecoder;
use crate::format::kafka;
use crate::model::{RowRef, RowWriter, Schema, Timestamp, Value};
use crate::plan::{Format, KeyFormat, Source};
use crate::sysmon::{RecordMeta, RowSink};

/// Decodes each record once and projects it for each tap.
pub struct Declared {
    value: Decoder,
    key: Option<Decoder>,
    /// For each column, where it is in the value and where in the key.
    places: Vec<(Option<usize>, Option<usize>)>,
    taps: Vec<Vec<usize>>,
    /// Buffers for one record.
    values: Vec<u8>,
    keys: Vec<u8>,
}

struct Decoder {
    kind: Kind,
    width: usize,
}

enum Kind {
    Json(JsonDecoder),
    Delimited(DelimitedDecoder),
    Kafka(Schema),
    /// One value as it prints.
    Text(Schema),
}

impl Decoder {
    fn decode(&self, record: &[u8], out: &mut Vec<u8>) -> Result<bool, DecodeError> {
        out.clear();
        let mut writer = RowWriter::new(out, self.width);
        let has_value = match &self.kind {
            Kind::Json(decoder) => decoder.decode(record, &mut writer)?,
            Kind::Delimited(decoder) => decoder.decode(record, &mut writer)?,
            Kind::Kafka(schema) => {
                let column = &schema.columns[0];
                writer.value(&kafka::decode(record, &column.name, &column.ty)?);
                true
            }
            Kind::Text(schema) => {
                let column = &schema.columns[0];
                writer.value(&kafka::printed(record, &column.name, &column.ty)?);
                true
            }
        };
        if has_value {
            writer.finish();
        }
        Ok(has_value)
    }
}

impl Declared {
    /// A decoder for sources of one declared format. With `keyed` records have keys beside their values.
    pub fn new(format: &Format, sources: &[Source], keyed: bool) -> Declared {
        let mut schema = format.schema().clone();
        if !keyed {
            schema.columns.iter_mut().for_each(|column| column.key = false);
        }
        // Names say which column is which in JSON; elsewhere keys are no part of the value.
        let by_name = matches!(format, Format::Json(_) | Format::Sysmon);
        let key_columns = if by_name { format.schema().key() } else { schema.key() };
        let keys =
            Schema { columns: key_columns.iter().map(|&i| schema.columns[i].clone()).collect() };
        let values = Schema {
            columns: schema.columns.iter().filter(|column| !column.key).cloned().collect(),
        };
        let mut others = 0;
        let places = (0..schema.width()).map(|i| {
            let key = key_columns.iter().position(|&key| key == i);
            let value = match key {
                _ if by_name => Some(i),
                Some(_) => None,
                None => {
                    others += 1;
                    Some(others - 1)
                }
            };
            (value, key)
        });
        let places = places.collect();
        let value = match format {
            Format::Delimited(_, delimiter) => {
                Kind::Delimited(DelimitedDecoder::new(&values, *delimiter))
            }
            Format::Kafka(_) => Kind::Kafka(values.clone()),
            _ => Kind::Json(JsonDecoder::new(&schema)),
        };
        let value =
            Decoder { kind: value, width: if by_name { schema.width() } else { values.width() } };
        let key = match sources[0].key {
            _ if keys.columns.is_empty() => None,
            KeyFormat::None => None,
            KeyFormat::Kafka if keys.width() > 1 => None,
            KeyFormat::Kafka if !keyed => Some(Kind::Text(keys.clone())),
            KeyFormat::Kafka => Some(Kind::Kafka(keys.clone())),
            KeyFormat::Json if keys.width() == 1 => Some(Kind::Json(JsonDecoder::unwrapped(&keys))),
            KeyFormat::Json => Some(Kind::Json(JsonDecoder::new(&keys))),
            KeyFormat::Delimited => Some(Kind::Delimited(DelimitedDecoder::new(&keys, b','))),
        };
        let key = key.map(|kind| Decoder { kind, width: keys.width() });
        let taps = sources.iter().map(|source| source.columns.clone()).collect();
        Declared { value, key, places, taps, values: Vec::new(), keys: Vec::new() }
    }

    /// Whether a record can be nothing but a key.
    pub fn reads_keys(&self) -> bool {
        self.key.is_some()
    }

    /// Decodes a record; its event time is the Kafka record's. A record with a key and no value is
    /// a tombstone: NULL but for its key. One with neither makes no row.
    pub fn decode(
        &mut self,
        record: &[u8],
        key: Option<&[u8]>,
        meta: &RecordMeta<'_>,
        out: &mut impl RowSink,
    ) -> Result<Option<Timestamp>, DecodeError> {
        let has_value = !record.is_empty() && self.value.decode(record, &mut self.values)?;
        let has_key = match (&self.key, key) {
            (Some(decoder), Some(key)) => decoder.decode(key, &mut self.keys)?,
            _ => false,
        };
        if !has_value && !has_key {
            return Ok(meta.timestamp);
        }
        let values = has_value.then(|| RowRef::new(&self.values, self.value.width));
        let keys = self
            .key
            .as_ref()
            .filter(|_| has_key)
            .map(|decoder| RowRef::new(&self.keys, decoder.width));
        for (tap, columns) in self.taps.iter().enumerate() {
            let mut writer = RowWriter::new(out.arena(), columns.len());
            for &column in columns {
                match column.checked_sub(self.places.len()) {
                    None => {
                        let (in_value, in_key) = self.places[column];
                        match (keys.zip(in_key), values.zip(in_value)) {
                            (Some((keys, at)), _) | (None, Some((keys, at))) => {
                                writer.raw(keys.raw(at))
                            }
                            (None, None) => writer.null(),
                        }
                    }
                    Some(0) => match meta.timestamp {
                        Some(time) => writer.timestamp(time),
                        None => writer.null(),
                    },
                    Some(1) => writer.int(meta.partition),
                    Some(2) => writer.value(&Value::BigInt(meta.offset)),
                    Some(3) if !has_value => writer.value(&Value::Boolean(true)),
                    Some(header) if header > 3 && has_value => {
                        writer.raw(meta.headers.raw(header - 4))
                    }
                    Some(_) => writer.null(),
                }
            }
            let range = writer.finish();
            out.row(tap, range);
        }
        Ok(meta.timestamp)
    }
}
