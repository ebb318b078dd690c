//! Rows as lines, and their order.
//!
//! CSV is written here and not by the `csv` crate because that cannot tell NULL (nothing) from empty text (`""`) within a line.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::args::Format;
use crate::model::json;
use crate::model::row::Raw;
use crate::model::{RowRef, Schema, Type, Value};

/// Writes rows of a view.
pub struct Encoder {
    /// `"NAME":` and the type, column by column.
    columns: Vec<(Vec<u8>, Type)>,
}

impl Encoder {
    /// For rows of these columns.
    pub fn new(schema: &Schema) -> Encoder {
        let name = |name: &str| {
            let mut member = vec![b'"'];
            json::escape_into(name, &mut member);
            member.extend_from_slice(b"\":");
            member
        };
        Encoder { columns: schema.columns.iter().map(|column| (name(&column.name), column.ty.clone())).collect() }
    }

    /// Appends the row as a JSON object.
    pub fn json(&self, row: RowRef<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        for (i, (member, ty)) in self.columns.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member);
            row.raw(i).write_json(ty, out);
        }
        out.push(b'}');
    }

    /// Appends the row as fields of a CSV line.
    pub fn csv(&self, row: RowRef<'_>, out: &mut Vec<u8>) {
        for (i, (_, ty)) in self.columns.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            if let Some(text) = text(row.raw(i), ty) {
                csv_field(&text, out);
            }
        }
    }

    /// Appends the row as a line of the format, and the line's end. (A table has no lines; its rows are ordered as JSON.)
    pub fn line(&self, format: Format, row: RowRef<'_>, out: &mut Vec<u8>) {
        match format {
            Format::Csv => self.csv(row, out),
            Format::Ndjson | Format::Table => self.json(row, out),
        }
        out.push(b'\n');
    }

    /// The order of the bytes of two rows' lines, which need not be written for it: no value with its separator is the beginning of another, so the first column that differs decides.
    pub fn by_line(&self, format: Format) -> impl FnMut(RowRef<'_>, RowRef<'_>) -> Ordering {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        move |a, b| {
            for (i, (_, ty)) in self.columns.iter().enumerate() {
                let (a, b) = (a.raw(i), b.raw(i));
                if a == b {
                    continue;
                }
                if let (Raw::Plain(a) | Raw::Escaped(a), Raw::Plain(b) | Raw::Escaped(b)) = (a, b)
                    && *ty == Type::Varchar
                    && format != Format::Csv
                {
                    // of two texts the shorter ends with a quote
                    let len = a.len().min(b.len());
                    let next = |text: &[u8]| text.get(len).copied().unwrap_or(b'"');
                    return a[..len].cmp(&b[..len]).then_with(|| next(a).cmp(&next(b)));
                }
                for (raw, out) in [(a, &mut left), (b, &mut right)] {
                    out.clear();
                    self.value(format, i, raw, out);
                }
                return left.cmp(&right);
            }
            Ordering::Equal
        }
    }

    /// Appends the value of a column and what separates it from the next one.
    fn value(&self, format: Format, column: usize, raw: Raw<'_>, out: &mut Vec<u8>) {
        let ty = &self.columns[column].1;
        let last = column + 1 == self.columns.len();
        if format == Format::Csv {
            if let Some(text) = text(raw, ty) {
                csv_field(&text, out);
            }
            out.push(if last { b'\n' } else { b',' });
        } else {
            raw.write_json(ty, out);
            out.push(if last { b'}' } else { b',' });
        }
    }
}

/// A line of names.
pub fn csv_header<'n>(names: impl Iterator<Item = &'n str>) -> Vec<u8> {
    let mut line = Vec::new();
    for (i, name) in names.enumerate() {
        if i > 0 {
            line.push(b',');
        }
        csv_field(name, &mut line);
    }
    line.push(b'\n');
    line
}

fn csv_field(text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() && !text.contains([',', '"', '\n', '\r']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// A value as plain text: text as it is, what is printed in JSON otherwise, without quotes. `None` for NULL.
pub fn text<'a>(raw: Raw<'a>, ty: &Type) -> Option<Cow<'a, str>> {
    match raw {
        Raw::Null => return None,
        Raw::Escaped(_) => {}
        Raw::Plain(_) if *ty == Type::Varchar => {}
        Raw::Plain(_) => {
            let mut out = Vec::new();
            raw.write_json(ty, &mut out);
            let json = String::from_utf8(out).expect("JSON is UTF-8");
            // Only strings begin with a quote, and no other type's text needs escapes.
            return Some(match json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) {
                Some(inner) => Cow::Owned(inner.to_owned()),
                None => Cow::Owned(json),
            });
        }
    }
    match raw.value(ty) {
        Value::Varchar(text) => Some(text),
        _ => unreachable!("escaped values are text"),
    }
}

/// The order of the key columns of rows.
pub struct KeyOrder {
    width: usize,
    key: Vec<(usize, Type)>,
}

impl KeyOrder {
    /// Of rows of these columns.
    pub fn new(schema: &Schema) -> KeyOrder {
        KeyOrder { width: schema.width(), key: schema.key().into_iter().map(|i| (i, schema.columns[i].ty.clone())).collect() }
    }

    /// The order of two rows.
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let (a, b) = (RowRef::new(a, self.width), RowRef::new(b, self.width));
        for (i, ty) in &self.key {
            let order = match (a.raw(*i), b.raw(*i)) {
                (Raw::Plain(a), Raw::Plain(b)) if *ty == Type::Varchar => a.cmp(b),
                (a, b) => a.value(ty).cmp(&b.value(ty)),
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    /// A number in the order of the rows, as far as it goes: the beginning of the first column. Sorting by it first spares most comparisons.
    pub fn beginning(&self, row: &[u8]) -> u64 {
        let Some((i, ty)) = self.key.first() else { return 0 };
        let first_bytes = |bytes: &[u8]| {
            let mut first = [0; 8];
            let len = bytes.len().min(8);
            first[..len].copy_from_slice(&bytes[..len]);
            u64::from_be_bytes(first)
        };
        // NULL comes before all values
        match RowRef::new(row, self.width).value(*i, ty) {
            Value::Varchar(text) => first_bytes(text.as_bytes()),
            Value::Guid(guid) => (guid.0 >> 64) as u64,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Guid, Row, Timestamp};
    use proptest::prelude::*;

    fn schema(types: &[Type]) -> Schema {
        Schema { columns: types.iter().enumerate().map(|(i, ty)| Column::new(format!("C{i}"), ty.clone())).collect() }
    }

    fn value() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(prop_oneof!["[a,\"\n\r\\\\ ]{0,4}", any::<String>()])
    }

    proptest! {
        #[test]
        fn lines_read_back(values in proptest::collection::vec(value(), 2..5)) {
            let schema = schema(&vec![Type::Varchar; values.len()]);
            let encoder = Encoder::new(&schema);
            let row = Row::from_values(values.iter().map(|value| value.as_deref().map_or(Value::Null, Value::text)));
            let row = RowRef::new(row.bytes(), values.len());

            let mut line = Vec::new();
            encoder.line(Format::Ndjson, row, &mut line);
            prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
            let object: serde_json::Value = serde_json::from_slice(&line).unwrap();
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(object[format!("C{i}")].as_str(), value.as_deref());
            }

            line.clear();
            encoder.line(Format::Csv, row, &mut line);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&line[..]);
            let record = reader.records().next().unwrap().unwrap();
            let read: Vec<&str> = record.iter().collect();
            let plain: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or_default()).collect();
            prop_assert_eq!(read, plain);
        }
    }

    /// Short values of few bytes, so that rows share beginnings.
    fn near(ty: usize) -> BoxedStrategy<Value<'static>> {
        match ty {
            0 => proptest::option::of("[a,\"\n\\\\]{0,2}")
                .prop_map(|text| text.map_or(Value::Null, |text| Value::Varchar(text.into())))
                .boxed(),
            1 => (-1..120).prop_map(Value::Int).boxed(),
            _ => proptest::collection::vec(0..12_i64, 0..3)
                .prop_map(|items| Value::Array(items.into_iter().map(Value::BigInt).collect()))
                .boxed(),
        }
    }

    proptest! {
        #[test]
        fn rows_order_as_their_lines(a in (near(0), near(1), near(2), near(0)), b in (near(0), near(1), near(2), near(0)), csv in any::<bool>()) {
            let schema = schema(&[Type::Varchar, Type::Int, Type::array(Type::BigInt), Type::Varchar]);
            let encoder = Encoder::new(&schema);
            let format = if csv { Format::Csv } else { Format::Ndjson };
            let [a, b] = [a, b].map(|(t, i, l, u)| Row::from_values([t, i, l, u].into_iter()));
            let lines = [&a, &b].map(|row| {
                let mut line = Vec::new();
                encoder.line(format, RowRef::new(row.bytes(), 4), &mut line);
                line
            });
            prop_assert_eq!(encoder.by_line(format)(RowRef::new(a.bytes(), 4), RowRef::new(b.bytes(), 4)), lines[0].cmp(&lines[1]));
        }

        #[test]
        fn beginnings_order_as_keys(a in value(), b in value(), guids in any::<(u128, u128)>()) {
            let mut schema = schema(&[Type::Varchar, Type::Guid]);
            for key in 0..2 {
                schema.columns[0].key = key == 0;
                schema.columns[1].key = key == 1;
                let order = KeyOrder::new(&schema);
                let row = |text: &Option<String>, guid| {
                    Row::from_values([text.as_deref().map_or(Value::Null, Value::text), Value::Guid(Guid(guid))].into_iter())
                };
                let (a, b) = (row(&a, guids.0), row(&b, guids.1));
                let beginnings = order.beginning(a.bytes()).cmp(&order.beginning(b.bytes()));
                prop_assert!(beginnings.is_eq() || beginnings == order.compare(a.bytes(), b.bytes()));
            }
        }
    }

    #[test]
    fn csv_tells_null_from_empty() {
        let types = [Type::Varchar, Type::Varchar, Type::Guid, Type::Timestamp, Type::array(Type::Varchar), Type::Int];
        let values = [
            Value::Null,
            Value::text(""),
            Value::Guid(Guid(1)),
            Value::Timestamp(Timestamp(0)),
            Value::Array(vec![Value::text("a")]),
            Value::Int(-1),
        ];
        let row = Row::from_values(values.into_iter());
        let mut line = Vec::new();
        Encoder::new(&schema(&types)).csv(RowRef::new(row.bytes(), types.len()), &mut line);
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text, r#","",{00000000-0000-0000-0000-000000000001},1970-01-01T00:00:00.000Z,"[""a""]",-1"#);
        assert_eq!(csv_header(["A", "b,c"].into_iter()), b"A,\"b,c\"\n");
    }

    #[test]
    fn keys_order_by_value() {
        let mut schema = schema(&[Type::Int, Type::Varchar]);
        schema.columns[0].key = true;
        let row = |number, text| Row::from_values([Value::Int(number), Value::text(text)].into_iter());
        let order = KeyOrder::new(&schema);
        assert_eq!(order.compare(row(-2, "b").bytes(), row(256, "a").bytes()), Ordering::Less);
        assert_eq!(order.compare(row(7, "b").bytes(), row(7, "a").bytes()), Ordering::Equal);
    }
}
