//! The order in which rows are written: by key, then by the bytes of the line.

use std::cmp::Ordering;

use super::args::Format;
use super::encode::Encoder;
use crate::model::{Row, RowRef, Schema, Type, Value};

/// As much of what rows are ordered by as is kept beside each while they are sorted.
type Beginning = [u8; 24];

/// The order of the key columns of rows.
pub struct KeyOrder {
    width: usize,
    key: Vec<(usize, Type)>,
}

impl KeyOrder {
    /// Of rows of these columns.
    pub fn new(schema: &Schema) -> KeyOrder {
        KeyOrder {
            width: schema.width(),
            key: schema.key().into_iter().map(|i| (i, schema.columns[i].ty.clone())).collect(),
        }
    }

    /// The order of two rows.
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let (a, b) = (RowRef::new(a, self.width), RowRef::new(b, self.width));
        for (i, ty) in &self.key {
            let order = a.raw(*i).compare(b.raw(*i), ty);
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    /// The beginning of the first key column, in the order of its values; `None` when there is no key, or its type does not order by bytes.
    fn beginning(&self, row: &[u8]) -> Option<Beginning> {
        let (i, ty) = self.key.first()?;
        match (RowRef::new(row, self.width).value(*i, ty), ty) {
            // NULL comes before all values
            (Value::Null, Type::Varchar | Type::Guid) => Some(Beginning::default()),
            (Value::Varchar(text), _) => Some(beginning(text.as_bytes())),
            (Value::Guid(guid), _) => Some(beginning(&guid.0.to_be_bytes())),
            _ => None,
        }
    }
}

fn beginning(bytes: &[u8]) -> Beginning {
    let mut first = Beginning::default();
    let len = bytes.len().min(first.len());
    first[..len].copy_from_slice(&bytes[..len]);
    first
}

/// Puts the rows of a view in order.
pub fn sort(rows: &mut Vec<(Row, i64)>, schema: &Schema, encoder: &Encoder, format: Format) {
    let key = KeyOrder::new(schema);
    let line = LineOrder { encoder, format, width: schema.width() };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    // Comparing what lies beside the rows spares most of the way to them.
    let mut tagged: Vec<(Beginning, (Row, i64))> = Vec::with_capacity(rows.len());
    tagged.extend(rows.drain(..).map(|(row, count)| {
        let tag = if key.key.is_empty() {
            line.beginning(row.bytes(), &mut left)
        } else {
            key.beginning(row.bytes()).unwrap_or_default()
        };
        (tag, (row, count))
    }));
    tagged.sort_unstable_by(|(a, (left_row, _)), (b, (right_row, _))| {
        a.cmp(b)
            .then_with(|| key.compare(left_row.bytes(), right_row.bytes()))
            .then_with(|| line.compare(left_row.bytes(), right_row.bytes(), &mut left, &mut right))
    });
    rows.extend(tagged.into_iter().map(|(_, row)| row));
}

/// The order of the bytes of rows' lines, which need not be written for it: no value with its separator is the beginning of another, so the first column that differs decides.
struct LineOrder<'e> {
    encoder: &'e Encoder,
    format: Format,
    width: usize,
}

impl LineOrder<'_> {
    /// The order of two rows. The buffers are used for what has to be written to be compared.
    fn compare(&self, a: &[u8], b: &[u8], left: &mut Vec<u8>, right: &mut Vec<u8>) -> Ordering {
        let (a, b) = (RowRef::new(a, self.width), RowRef::new(b, self.width));
        let Some(i) = (0..self.width).find(|&i| a.raw(i) != b.raw(i)) else {
            return Ordering::Equal;
        };
        left.clear();
        right.clear();
        self.encoder.value(self.format, i, a.raw(i), left);
        self.encoder.value(self.format, i, b.raw(i), right);
        left.cmp(&right)
    }

    /// The beginning of the line, without what all lines begin with.
    fn beginning(&self, row: &[u8], buffer: &mut Vec<u8>) -> Beginning {
        buffer.clear();
        self.encoder.value(self.format, 0, RowRef::new(row, self.width).raw(0), buffer);
        beginning(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Guid};
    use proptest::prelude::*;

    fn schema(types: &[Type], key: Option<usize>) -> Schema {
        let column = |(i, ty): (usize, &Type)| Column {
            key: key == Some(i),
            ..Column::new(format!("C{i}"), ty.clone())
        };
        Schema { columns: types.iter().enumerate().map(column).collect() }
    }

    fn text() -> impl Strategy<Value = Value<'static>> {
        proptest::option::of(prop_oneof!["[a,\"\n\\\\]{0,2}", "a{20,26}", any::<String>()])
            .prop_map(|text| text.map_or(Value::Null, |text| Value::Varchar(text.into())))
    }

    /// Values of few bytes, so that rows share beginnings.
    fn row() -> impl Strategy<Value = Row> {
        let items = proptest::collection::vec(0..12_i64, 0..3)
            .prop_map(|items| Value::Array(items.into_iter().map(Value::BigInt).collect()));
        let guid = (0..3_u128, any::<bool>())
            .prop_map(|(guid, high)| Value::Guid(Guid(if high { guid << 120 } else { guid })));
        (text(), (-1..120).prop_map(Value::Int), items, guid, text())
            .prop_map(|(a, b, c, d, e)| Row::from_values([a, b, c, d, e].into_iter()))
    }

    proptest! {
        #[test]
        fn rows_are_in_order(rows in proptest::collection::vec(row(), 0..24), key in proptest::option::of(0..5_usize), first in 0..5_usize, csv in any::<bool>()) {
            let types = [Type::Varchar, Type::Int, Type::array(Type::BigInt), Type::Guid, Type::Varchar];
            // any type may be that of the first column
            let turned = |i: usize| (i + first) % 5;
            let types: Vec<Type> = (0..5).map(|i| types[turned(i)].clone()).collect();
            let turn = |row: &Row| {
                let row = RowRef::new(row.bytes(), 5);
                let mut bytes = Vec::new();
                let mut writer = crate::model::RowWriter::new(&mut bytes, 5);
                (0..5).for_each(|i| writer.raw(row.raw(turned(i))));
                writer.finish();
                Row::from_bytes(bytes)
            };
            let schema = schema(&types, key);
            let encoder = Encoder::new(&schema, None);
            let format = if csv { Format::Csv } else { Format::Ndjson };
            let mut sorted: Vec<(Row, i64)> = rows.iter().map(|row| (turn(row), 1)).collect();
            let mut expected: Vec<_> = sorted
                .iter()
                .map(|(row, _)| {
                    let mut line = Vec::new();
                    encoder.line(format, RowRef::new(row.bytes(), 5), &mut line);
                    (key.map(|key| RowRef::new(row.bytes(), 5).value(key, &types[key]).into_owned()), line)
                })
                .collect();
            expected.sort();
            sort(&mut sorted, &schema, &encoder, format);
            for ((row, _), (_, expected)) in sorted.iter().zip(&expected) {
                let mut line = Vec::new();
                encoder.line(format, RowRef::new(row.bytes(), 5), &mut line);
                prop_assert_eq!(&line, expected);
            }
        }
    }

    #[test]
    fn keys_order_by_value() {
        let schema = schema(&[Type::Int, Type::Varchar], Some(0));
        let row =
            |number, text| Row::from_values([Value::Int(number), Value::text(text)].into_iter());
        let order = KeyOrder::new(&schema);
        assert_eq!(order.compare(row(-2, "b").bytes(), row(256, "a").bytes()), Ordering::Less);
        assert_eq!(order.compare(row(7, "b").bytes(), row(7, "a").bytes()), Ordering::Equal);
    }
}
