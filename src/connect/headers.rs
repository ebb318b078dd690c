//! Columns of headers, by ksqlDB's rules: all headers of a record in their order, or the value of the last one of a name.
//!
//! A header may have no value, which is NULL. Without headers, as in files, there are none in the array, and the value of each is NULL.
//!
//! rdkafka panics at a header whose name is not UTF-8, against Kafka's protocol. So headers are not looked at unless a source wants them.

use crate::model::{RowRef, RowWriter, Value};
use crate::plan::Source;

/// What the sources of one topic read of the headers of its records.
#[derive(Default)]
pub struct Headers {
    /// Names of headers, each once; `None` stands for all of them.
    wanted: Vec<Option<String>>,
    /// Buffer for one record.
    row: Vec<u8>,
}

impl Headers {
    /// For these sources; their columns of headers become positions in what [`read`](Headers::read) gives.
    pub fn new(sources: &mut [Source]) -> Headers {
        let mut wanted = Vec::new();
        for source in sources {
            let first = source.first_header();
            for column in source.columns.iter_mut().filter(|column| **column >= first) {
                let header = &source.headers[*column - first].header;
                let known = wanted.iter().position(|known| known == header);
                *column = first + known.unwrap_or(wanted.len());
                if known.is_none() {
                    wanted.push(header.clone());
                }
            }
        }
        Headers { wanted, row: Vec::new() }
    }

    /// The columns for a record with these headers, which are not looked at when nobody wants them.
    pub fn read<'h>(
        &mut self,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> RowRef<'_> {
        if self.wanted.is_empty() {
            return RowRef::default();
        }
        let value =
            |value: Option<&'h [u8]>| value.map_or(Value::Null, |bytes| Value::Bytes(bytes.into()));
        let headers: Vec<_> = headers.collect();
        self.row.clear();
        let mut writer = RowWriter::new(&mut self.row, self.wanted.len());
        for wanted in &self.wanted {
            writer.value(&match wanted {
                Some(name) => value(
                    headers.iter().rfind(|(key, _)| key == name).and_then(|(_, value)| *value),
                ),
                None => Value::Array(
                    headers
                        .iter()
                        .map(|(key, own)| Value::Struct(vec![Value::text(key), value(*own)]))
                        .collect(),
                ),
            });
        }
        writer.finish();
        RowRef::new(&self.row, self.wanted.len())
    }
}
