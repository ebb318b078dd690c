//! Rows as lines.
//!
//! CSV is written here and not by the `csv` crate because that cannot tell NULL (nothing) from empty text (`""`) within a line.
//!
//! Spreadsheets take text for a formula when it begins in certain ways, and terminals obey control characters; both may stand in what attackers have written. *Guarded* cells do neither: a
//! quote stands before what would be a formula, control characters are written as JSON escapes them. That is no longer the text as it was, so it has to be asked for.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::args::Format;
use crate::format::json_rows::JsonEncoder;
use crate::format::rendering::Rendering;
use crate::model::row::Raw;
use crate::model::{RowRef, Schema, Type, Value};

/// Writes rows of a view.
pub struct Encoder {
    json: JsonEncoder,
    rendering: Option<Rendering>,
    types: Vec<Type>,
    guarded: bool,
}

impl Encoder {
    /// For rows of these columns, which have their own names in JSON unless there is a rendering.
    pub fn new(schema: &Schema, rendering: Option<Rendering>) -> Encoder {
        Encoder {
            json: JsonEncoder::new(schema),
            rendering,
            types: schema.columns.iter().map(|column| column.ty.clone()).collect(),
            guarded: false,
        }
    }

    /// The same with text in CSV guarded, or not.
    pub fn guarded(self, guarded: bool) -> Encoder {
        Encoder { guarded, ..self }
    }

    /// Appends the row as a JSON object.
    pub fn json(&self, row: RowRef<'_>, out: &mut Vec<u8>) {
        match &self.rendering {
            Some(rendering) => rendering.encode(row, out),
            None => self.json.encode(row, out),
        }
    }

    /// Appends the row as fields of a CSV line.
    pub fn csv(&self, row: RowRef<'_>, out: &mut Vec<u8>) {
        for (i, ty) in self.types.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.csv_value(row.raw(i), ty, out);
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

    /// Appends the value of a column as it stands in a line, with what separates it from the next one.
    pub(super) fn value(&self, format: Format, column: usize, raw: Raw<'_>, out: &mut Vec<u8>) {
        let ty = &self.types[column];
        let last = column + 1 == self.types.len();
        if format == Format::Csv {
            self.csv_value(raw, ty, out);
            out.push(if last { b'\n' } else { b',' });
        } else {
            raw.write_json(ty, out);
            out.push(if last { b'}' } else { b',' });
        }
    }

    /// Nothing for NULL.
    fn csv_value(&self, raw: Raw<'_>, ty: &Type, out: &mut Vec<u8>) {
        let Some(text) = text(raw, ty) else { return };
        // a number may begin with a sign
        match ty {
            Type::Varchar | Type::Array(_) | Type::Map(_) | Type::Struct(_) if self.guarded => {
                csv_field(&guard(text), out)
            }
            _ => csv_field(&text, out),
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

/// Text that is no formula and controls nothing.
fn guard(text: Cow<'_, str>) -> Cow<'_, str> {
    const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let formula = text.trim_start().starts_with(FORMULA);
    if !formula && !text.contains(char::is_control) {
        return text;
    }
    let mut guarded = String::with_capacity(text.len() + 8);
    if formula {
        guarded.push('\'');
    }
    for char in text.chars() {
        match char {
            '\n' => guarded.push_str("\\n"),
            '\r' => guarded.push_str("\\r"),
            '\t' => guarded.push_str("\\t"),
            char if char.is_control() => {
                let _ = write!(guarded, "\\u{:04x}", u32::from(char));
            }
            char => guarded.push(char),
        }
    }
    guarded.into()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Guid, Row, Timestamp};
    use proptest::prelude::*;

    fn schema(types: &[Type]) -> Schema {
        Schema {
            columns: types
                .iter()
                .enumerate()
                .map(|(i, ty)| Column::new(format!("C{i}"), ty.clone()))
                .collect(),
        }
    }

    fn value() -> impl Strategy<Value = Option<String>> {
        proptest::option::of(prop_oneof!["[a,\"\n\r\\\\ ]{0,4}", any::<String>()])
    }

    proptest! {
        #[test]
        fn lines_read_back(values in proptest::collection::vec(value(), 2..5)) {
            let schema = schema(&vec![Type::Varchar; values.len()]);
            let encoder = Encoder::new(&schema, None);
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

    proptest! {
        /// Whatever the text: nothing of it is a formula or controls anything, and text that does neither stays as it is.
        #[test]
        fn guarded_cells_do_nothing(text in prop_oneof!["[-=+@＝\t\r\n\u{1b}\u{9b} a,\"']{0,6}", any::<String>()]) {
            let schema = schema(&[Type::Varchar, Type::Int]);
            let row = Row::from_values([Value::text(&text), Value::Int(-1)].into_iter());
            let mut line = Vec::new();
            let encoder = Encoder::new(&schema, None).guarded(true);
            encoder.csv(RowRef::new(row.bytes(), 2), &mut line);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&line[..]);
            let record = reader.records().next().unwrap().unwrap();
            prop_assert!(!record[0].contains(|char: char| char.is_control()));
            prop_assert!(!record[0].trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']));
            prop_assert_eq!(&record[1], "-1");
            let harmless = !text.contains(|char: char| char.is_control() || "=+-@＝＋－＠".contains(char));
            prop_assert!(!harmless || record[0] == text);
        }
    }

    #[test]
    fn csv_tells_null_from_empty() {
        let types = [
            Type::Varchar,
            Type::Varchar,
            Type::Guid,
            Type::Timestamp,
            Type::array(Type::Varchar),
            Type::Int,
        ];
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
        Encoder::new(&schema(&types), None).csv(RowRef::new(row.bytes(), types.len()), &mut line);
        let text = String::from_utf8(line).unwrap();
        assert_eq!(
            text,
            r#","",{00000000-0000-0000-0000-000000000001},1970-01-01T00:00:00.000Z,"[""a""]",-1"#
        );
        assert_eq!(csv_header(["A", "b,c"].into_iter()), b"A,\"b,c\"\n");
    }
}
