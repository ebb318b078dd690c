//! One event, written by the tests in every shape, must come out as one row.

mod examples;
mod normalise;
mod properties;
mod reject;
mod render;

use std::ops::Range;

use super::catalogue::{self, schema};
use super::*;
use crate::format::encoding::CodePage;
use crate::format::error::DecodeError;
use crate::model::{RowRef, Timestamp, Type, Value};

/// Rows by tap.
#[derive(Default)]
struct Rows {
    arena: Vec<u8>,
    rows: Vec<(usize, Range<usize>)>,
}

impl RowSink for Rows {
    fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }
    fn row(&mut self, tap: usize, range: Range<usize>) {
        self.rows.push((tap, range));
    }
}

const META: RecordMeta<'_> = RecordMeta {
    partition: 3,
    offset: 4711,
    timestamp: None,
    evtx: false,
    headers: RowRef::new(&[], 0),
    code_page: CodePage::WINDOWS_1252,
};

fn all_columns() -> Tap {
    Tap { columns: (0..catalogue::WIDTH + 3).collect(), events: None }
}

fn type_of(column: usize) -> &'static Type {
    match column {
        catalogue::ROWTIME => &Type::Timestamp,
        catalogue::ROWPARTITION => &Type::Int,
        catalogue::ROWOFFSET => &Type::BigInt,
        _ => &schema().columns[column].ty,
    }
}

/// The only row of a record that is a Sysmon event, all columns.
fn row(record: &[u8], meta: &RecordMeta<'_>) -> Result<Vec<Value<'static>>, DecodeError> {
    let mut rows = Rows::default();
    let mut decoder = Decoder::new(&[all_columns()]);
    decoder.decode(record, meta, &mut rows)?;
    assert_eq!(rows.rows.len(), 1);
    let view = RowRef::new(&rows.arena[rows.rows[0].1.clone()], catalogue::WIDTH + 3);
    Ok((0..view.width()).map(|column| view.value(column, type_of(column)).into_owned()).collect())
}

/// One column of a record's only row, as it prints.
fn column(record: &str, name: &str) -> String {
    let row = row(record.as_bytes(), &META).unwrap();
    let column = schema().position(name).unwrap();
    let mut json = Vec::new();
    row[column].write_json(type_of(column), &mut json);
    String::from_utf8(json).unwrap()
}

fn outcome(record: &[u8]) -> Result<Outcome, DecodeError> {
    Decoder::new(&[all_columns()]).decode(record, &META, &mut Rows::default())
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text.as_bytes()).unwrap().at
}
