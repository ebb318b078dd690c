//! The changes of a view as records of its topic.
//!
//! | view | change of a tick | record |
//! |---|---|---|
//! | stream | a row is asserted | the row, as often as it is; without a value where it stands for a record without one |
//! | table | a key has a row | the row, under its key |
//! | table | a key has none any more | a tombstone |
//!
//! A correction is a row under the key of the row that it corrects. Values have all columns of the view, those of the key too: they are read by programs that see only values, as Logstash, and so KSQL 5 wrote them.
//!
//! A table that is published under another key than its own (PARTITION BY) has no tombstones: what a record of such a key would delete is not only its own row.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::pace::Pace;
use super::publisher::{Batch, Event};
use crate::dataflow::{Counter, Counters, Sink, Tick};
use crate::format::json_rows::JsonEncoder;
use crate::format::kafka;
use crate::format::rendering::Rendering;
use crate::model::{Row, RowRef, Schema, SinkError, Type, Value};
use crate::plan::{KeyFormat, ViewKind};

/// Writes the keys of records.
pub struct KeyEncoder {
    columns: Vec<usize>,
    schema: Schema,
    format: KeyFormat,
    json: JsonEncoder,
}

impl KeyEncoder {
    /// Keys of these columns. Without a format it is Kafka's own where that has a form for the key, and JSON otherwise.
    pub fn new(columns: Vec<usize>, schema: &Schema, format: Option<KeyFormat>) -> KeyEncoder {
        let has_form =
            matches!(columns[..], [column] if kafka::has_form(&schema.columns[column].ty));
        let format = match format {
            _ if columns.is_empty() => KeyFormat::None,
            Some(KeyFormat::Kafka) | None if has_form => KeyFormat::Kafka,
            Some(KeyFormat::Kafka) | None => KeyFormat::Json,
            Some(other) => other,
        };
        KeyEncoder { columns, schema: schema.clone(), format, json: JsonEncoder::new(schema) }
    }

    /// Appends the key of a row; false if the row has none.
    pub fn encode(&self, row: RowRef<'_>, out: &mut Vec<u8>) -> bool {
        match (self.format, &self.columns[..]) {
            (KeyFormat::None, _) => return false,
            (_, [column]) if row.is_null(*column) => return false,
            (KeyFormat::Kafka, [column]) => {
                kafka::encode(row.raw(*column), &self.schema.columns[*column].ty, out)
            }
            (KeyFormat::Json, [column]) => {
                row.raw(*column).write_json(&self.schema.columns[*column].ty, out)
            }
            (KeyFormat::Kafka | KeyFormat::Json, columns) => {
                self.json.encode_columns(row, columns.iter().copied(), out)
            }
            (KeyFormat::Delimited, columns) => delimited(row, columns, &self.schema, out),
        }
        true
    }
}

/// How values are written.
pub enum ValueEncoder {
    /// One JSON object.
    Json(JsonEncoder),
    /// One JSON object in the words of others.
    Rendered(Rendering),
    /// Delimited text.
    Delimited(Schema),
    /// The one value that is no key, as Kafka's own serializers write it.
    Kafka(usize, Type),
}

impl ValueEncoder {
    fn encode(&self, row: RowRef<'_>, out: &mut Vec<u8>) {
        match self {
            ValueEncoder::Json(encoder) => encoder.encode(row, out),
            ValueEncoder::Rendered(rendering) => rendering.encode(row, out),
            ValueEncoder::Delimited(schema) => {
                let columns: Vec<usize> = (0..schema.width()).collect();
                delimited(row, &columns, schema, out);
            }
            ValueEncoder::Kafka(column, ty) => kafka::encode(row.raw(*column), ty, out),
        }
    }
}

fn delimited(row: RowRef<'_>, columns: &[usize], schema: &Schema, out: &mut Vec<u8>) {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    let field = |&column: &usize| {
        let mut text = Vec::new();
        let ty = &schema.columns[column].ty;
        match row.raw(column).value(ty) {
            Value::Null => {}
            Value::Varchar(value) => text.extend_from_slice(value.as_bytes()),
            _ => {
                row.raw(column).write_json(ty, &mut text);
                if text.first() == Some(&b'"') {
                    text = text[1..text.len() - 1].to_vec();
                }
            }
        }
        text
    };
    writer.write_record(columns.iter().map(field)).expect("writing to memory");
    let mut line = writer.into_inner().expect("writing to memory");
    line.truncate(line.len().saturating_sub(1));
    out.extend_from_slice(&line);
}

/// How a view is published.
pub struct TopicSink {
    /// The topic.
    pub topic: Arc<str>,
    /// Stream or table.
    pub kind: ViewKind,
    /// Columns of a record: those of the view, and what [its record](crate::plan::View::record) has
    /// besides.
    pub width: usize,
    /// The columns by which one row of a table replaces another.
    pub identity: Vec<usize>,
    /// Keys.
    pub key: KeyEncoder,
    /// True when the key is the identity.
    pub key_is_identity: bool,
    /// Values.
    pub value: ValueEncoder,
    /// The column that is not NULL where a row of a stream stands for a record without value.
    pub tombstone: Option<usize>,
    /// The column with the time of a record.
    pub time: Option<usize>,
    /// Takes the records.
    pub events: Sender<Event>,
    /// Bounds what is made and not published.
    pub pace: Arc<Pace>,
    /// Counts what cannot be told to the topic.
    pub counters: Counters,
}

impl TopicSink {
    fn push(&self, row: RowRef<'_>, asserted: bool, batch: &mut Batch) {
        let mut key = Vec::new();
        let has_key = self.key.encode(row, &mut key);
        let mut value = Vec::new();
        let has_value = asserted && self.tombstone.is_none_or(|column| row.is_null(column));
        if has_value {
            self.value.encode(row, &mut value);
        }
        let time = self.time.and_then(|column| match row.value(column, &Type::Timestamp) {
            Value::Timestamp(time) => Some(time.0),
            _ => None,
        });
        batch.push(
            has_key.then_some(&key[..]),
            has_value.then_some(&value[..]),
            time.filter(|time| *time >= 0),
            Vec::new(),
        );
    }
}

impl Sink for TopicSink {
    fn changes(&mut self, tick: Tick, changes: &[(Row, i64)]) -> Result<(), SinkError> {
        let mut batch = Batch::new(tick, Arc::clone(&self.topic));
        if self.kind == ViewKind::Stream {
            for (row, count) in changes {
                for _ in 0..*count {
                    self.push(RowRef::new(row.bytes(), self.width), true, &mut batch);
                }
            }
        } else {
            // rows of one key: the one that is there now, or else the last that was
            let mut keys: BTreeMap<Vec<u8>, (bool, &Row)> = BTreeMap::new();
            for (row, count) in changes {
                let columns = RowRef::new(row.bytes(), self.width);
                let mut key = Vec::new();
                let mut writer = crate::model::RowWriter::new(&mut key, self.identity.len());
                self.identity.iter().for_each(|&i| writer.raw(columns.raw(i)));
                writer.finish();
                let is = *count > 0;
                let entry = keys.entry(key).or_insert((is, row));
                if is && !entry.0 {
                    *entry = (true, row);
                }
            }
            for (asserted, row) in keys.into_values() {
                if asserted || self.key_is_identity {
                    self.push(RowRef::new(row.bytes(), self.width), asserted, &mut batch);
                } else {
                    self.counters.add(Counter::UntoldDeletion, 1);
                }
            }
        }
        if !batch.is_empty() {
            batch.made = batch.size();
            self.pace.account_made(batch.made, 0);
            // The publisher is gone only when the run has failed, which it has told.
            let _ = self.events.send(Event::Records(batch));
        }
        Ok(())
    }
}
