//! `--changes`: the changelog of the view, line by line as ticks close.
//!
//! Within a tick lines are ordered by key; of one key what is taken back comes before what is asserted. Two columns are added to tick and diff that are no part of the row:
//!
//! * *revision*, for tables: how many times a row of this key has been asserted, this one included. A row that is taken back has the number of its key's last assertion.
//!   Costs 24 bytes or so for each key that was ever published, for as long as the run takes; streams have no keys and no revisions.
//! * *late*, for views with a time: by how many ms the row's time lies behind the greatest row time of earlier ticks. Rows of one tick arrive together and are not late for each other.
//!
//! Filters choose lines; revisions and lateness are of the whole view.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::args::Format;
use super::encode::{Encoder, csv_header};
use super::filter::{Filter, TIME, moment, position};
use super::order::KeyOrder;
use super::tally::Tally;
use crate::cli::output::Output;
use crate::dataflow::{Sink, Tick};
use crate::model::row::Raw;
use crate::model::{Row, RowRef, Schema, SinkError, Timestamp, Type};
use crate::plan::ViewKind;

/// A changelog, shared by the dataflow that writes it and the run that ends it.
#[derive(Clone)]
pub struct Changelog(Arc<Mutex<Log>>);

/// What is behind it.
pub struct Log {
    schema: Schema,
    encoder: Encoder,
    format: Format,
    filter: Filter,
    /// Where it goes.
    pub output: Output,
    /// What the lines add up to.
    pub tally: Tally,
    /// Number of lines.
    pub lines: u64,
    /// Number of changes that the filter left out.
    pub left_out: u64,
    revisions: Option<HashMap<u128, u32>>,
    time: Option<(usize, Type)>,
    newest: Option<Timestamp>,
}

impl Changelog {
    /// Begins a changelog of a view.
    pub fn new(
        schema: &Schema,
        encoder: Encoder,
        kind: ViewKind,
        format: Format,
        filter: Filter,
        mut output: Output,
    ) -> Result<Changelog, SinkError> {
        let keyed = kind == ViewKind::Table && !schema.key().is_empty();
        let time = position(schema, TIME).map(|at| (at, schema.columns[at].ty.clone()));
        if format == Format::Csv {
            let names = ["TICK", "DIFF"]
                .into_iter()
                .chain(keyed.then_some("REVISION"))
                .chain(time.is_some().then_some("LATE"));
            let header =
                csv_header(names.chain(schema.columns.iter().map(|column| column.name.as_str())));
            output.write_all(&header).map_err(|error| output.error(error))?;
        }
        Ok(Changelog(Arc::new(Mutex::new(Log {
            schema: schema.clone(),
            encoder,
            format,
            filter,
            output,
            tally: Tally::new(schema),
            lines: 0,
            left_out: 0,
            revisions: keyed.then(HashMap::new),
            time,
            newest: None,
        }))))
    }

    /// What was written, once the run has ended.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Changelog {
    fn changes(&mut self, tick: Tick, changes: &[(Row, i64)]) -> Result<(), SinkError> {
        let mut log = self.log();
        log.write(tick, changes).map_err(|error| log.output.error(error))
    }
}

impl Log {
    fn write(&mut self, tick: Tick, changes: &[(Row, i64)]) -> io::Result<()> {
        let key = KeyOrder::new(&self.schema);
        let mut changes: Vec<&(Row, i64)> = changes.iter().collect();
        changes.sort_by(|(a, m), (b, n)| {
            key.compare(a.bytes(), b.bytes()).then((*m > 0).cmp(&(*n > 0)))
        });
        let newest = self.newest;
        let mut line = Vec::new();
        for (row, diff) in changes {
            let row = RowRef::new(row.bytes(), self.schema.width());
            let revision = self.revision(row, *diff);
            let time = self.time.as_ref().and_then(|(at, ty)| moment(&row.value(*at, ty)));
            if *diff > 0 {
                self.newest = self.newest.max(time);
            }
            if !self.filter.passes(row) {
                self.left_out += 1;
                continue;
            }
            self.tally.add(row, *diff);
            self.lines += 1;
            // With no time of its own a row is late by nobody knows how much.
            let late =
                time.map(|time| newest.map_or(0, |newest| newest.0.saturating_sub(time.0).max(0)));
            line.clear();
            self.line(tick, *diff, revision, late, row, &mut line);
            self.output.write_all(&line)?;
        }
        self.output.flush()
    }

    fn line(
        &self,
        tick: Tick,
        diff: i64,
        revision: Option<u32>,
        late: Option<i64>,
        row: RowRef<'_>,
        line: &mut Vec<u8>,
    ) {
        let mut text = String::new();
        let mut put = |name: &str, value: Option<&dyn std::fmt::Display>| {
            let written = match (self.format, value) {
                (Format::Csv, Some(value)) => write!(text, "{value},"),
                (Format::Csv, None) => write!(text, ","),
                (_, Some(value)) => write!(text, "\"{name}\":{value},"),
                (_, None) => write!(text, "\"{name}\":null,"),
            };
            written.expect("writing to a String cannot fail");
        };
        put("tick", Some(&tick));
        put("diff", Some(&diff));
        if let Some(revision) = &revision {
            put("revision", Some(revision));
        }
        if self.time.is_some() {
            put("late", late.as_ref().map(|late| late as _));
        }
        if self.format == Format::Csv {
            line.extend_from_slice(text.as_bytes());
            self.encoder.csv(row, line);
        } else {
            line.push(b'{');
            line.extend_from_slice(text.as_bytes());
            line.extend_from_slice(b"\"row\":");
            self.encoder.json(row, line);
            line.push(b'}');
        }
        line.push(b'\n');
    }

    fn revision(&mut self, row: RowRef<'_>, diff: i64) -> Option<u32> {
        let digest = self.revisions.is_some().then(|| digest(&self.schema, row))?;
        let revision = self.revisions.as_mut()?.entry(digest).or_default();
        if diff > 0 {
            *revision += 1;
        }
        Some(*revision)
    }
}

/// 128 bits that stand for the key of a row.
fn digest(schema: &Schema, row: RowRef<'_>) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for i in schema.key() {
        let (flag, bytes) = match row.raw(i) {
            Raw::Null => (0, &[][..]),
            Raw::Plain(bytes) => (1, bytes),
            Raw::Escaped(bytes) => (2, bytes),
        };
        hasher.update(&[flag]).update(&(bytes.len() as u64).to_le_bytes());
        if schema.columns[i].ignore_case {
            hasher.update(&bytes.to_ascii_lowercase());
        } else {
            hasher.update(bytes);
        }
    }
    let hash = hasher.finalize();
    u128::from_le_bytes(hash.as_bytes()[..16].try_into().expect("16 of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::replay::args::FilterArgs;
    use crate::model::{Column, Value};

    fn schema() -> Schema {
        let mut schema = Schema {
            columns: vec![
                Column::new("K", Type::Int),
                Column::new("EVENT_TIME", Type::Timestamp),
                Column::new("V", Type::Varchar),
            ],
        };
        schema.columns[0].key = true;
        schema
    }

    fn row(key: i32, ms: Option<i64>, text: &str) -> Row {
        let time = ms.map_or(Value::Null, |ms| Value::Timestamp(Timestamp(ms)));
        Row::from_values([Value::Int(key), time, Value::text(text)].into_iter())
    }

    /// What is written for ticks 0, 1, ….
    fn written(kind: ViewKind, format: Format, ticks: &[&[(Row, i64)]]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changes");
        let filter = Filter::new(&FilterArgs::default(), &schema()).unwrap();
        let output = Output::create(&path).unwrap();
        let mut changelog =
            Changelog::new(&schema(), Encoder::new(&schema(), None), kind, format, filter, output)
                .unwrap();
        for (tick, changes) in ticks.iter().enumerate() {
            changelog.changes(Tick(tick as u64), changes).unwrap();
        }
        let mut log = changelog.log();
        log.output.commit().unwrap();
        assert_eq!(log.lines, ticks.iter().map(|changes| changes.len() as u64).sum::<u64>());
        std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_revision_and_a_late_row() {
        let ticks: [&[(Row, i64)]; 2] = [
            &[(row(2, Some(500), "x"), 1), (row(1, Some(1000), "b"), 1)],
            &[
                (row(1, Some(1000), "a"), 1),
                (row(1, Some(1000), "b"), -1),
                (row(3, Some(400), "y"), 1),
                (row(4, None, "z"), 1),
            ],
        ];
        let time = |ms: i64| Timestamp(ms).to_string();
        let line = |tick, diff, revision, late: &str, key, ms: Option<i64>, text| {
            let time = ms.map_or("null".to_owned(), |ms| format!("\"{}\"", time(ms)));
            format!(
                r#"{{"tick":{tick},"diff":{diff},"revision":{revision},"late":{late},"row":{{"K":{key},"EVENT_TIME":{time},"V":"{text}"}}}}"#
            )
        };
        assert_eq!(
            written(ViewKind::Table, Format::Ndjson, &ticks),
            [
                line(0, 1, 1, "0", 1, Some(1000), "b"),
                line(0, 1, 1, "0", 2, Some(500), "x"),
                line(1, -1, 1, "0", 1, Some(1000), "b"),
                line(1, 1, 2, "0", 1, Some(1000), "a"),
                line(1, 1, 1, "600", 3, Some(400), "y"),
                line(1, 1, 1, "null", 4, None, "z"),
            ]
        );
        let csv = written(ViewKind::Stream, Format::Csv, &ticks);
        assert_eq!(csv[0], "TICK,DIFF,LATE,K,EVENT_TIME,V");
        assert_eq!(csv[5], format!("1,1,600,3,{},y", time(400)));
        assert_eq!(csv[6], "1,1,,4,,z");
    }
}
