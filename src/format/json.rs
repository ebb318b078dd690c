//! `VALUE_FORMAT='JSON'`: records as rows of declared columns, by ksqlDB's rules.
//!
//! * A record is an object whose keys are the columns' names, or, for a single column that is declared unwrapped, the value itself.
//! * Names match exactly, then without regard to case; of several keys with one spelling the last one counts. Keys without a column are passed over.
//!   What is absent or `null` is NULL. The fields of a `STRUCT` are found in the same way.
//! * `VARCHAR` takes a number or boolean as its text and an object or array as its JSON. Numbers are read from numbers and from strings of
//!   digits, decimals without rounding. A `BOOLEAN` is `true` or `false` and nothing else.
//! * One value that does not fit its column spoils the record: it becomes a dead letter and no row, as in ksqlDB.
//! * A record that is `null`, or empty, has no value: it is no row, and a tombstone where the relation is a table.

use std::ops::Range;

use super::convert::{from_number, from_text};
use super::error::{DecodeError, utf8};
use super::scan::{Kind, Scanner, Token};
use crate::model::{RowWriter, Schema, Type, Value, json};

/// Decodes records of one relation.
pub struct JsonDecoder {
    fields: Vec<(String, Type)>,
    wrapped: bool,
}

/// One column's value, kept until the whole record is known to be good.
enum Cell<'a> {
    /// JSON string content for a text column.
    Content(&'a [u8]),
    Value(Value<'a>),
}

impl JsonDecoder {
    /// For records that are objects with these columns.
    pub fn new(schema: &Schema) -> JsonDecoder {
        JsonDecoder {
            fields: schema
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.ty.clone()))
                .collect(),
            wrapped: true,
        }
    }

    /// For records that are the value of the schema's only column (`WRAP_SINGLE_VALUE=false`).
    pub fn unwrapped(schema: &Schema) -> JsonDecoder {
        debug_assert_eq!(schema.width(), 1, "the binder refuses other schemas");
        JsonDecoder { wrapped: false, ..JsonDecoder::new(schema) }
    }

    /// Writes the columns of one record, in order; `false`, with nothing written, for a record without value. After an error nothing was written.
    pub fn decode(&self, record: &[u8], writer: &mut RowWriter<'_>) -> Result<bool, DecodeError> {
        let text = utf8(record)?;
        let mut scanner = Scanner::new(text);
        if scanner.peek().is_none() {
            return Ok(false);
        }
        let token = scanner.value()?;
        scanner.end()?;
        if token.kind == Kind::Null {
            return Ok(false);
        }
        let tokens = if self.wrapped {
            if token.kind != Kind::Object {
                return Err(DecodeError::UnknownShape { missing: "no JSON object" });
            }
            members(text, &token.range, &self.fields)
        } else {
            vec![Some(token)]
        };
        let cells = self.fields.iter().zip(tokens).map(|((name, ty), token)| match token {
            Some(Token { kind: Kind::String, range }) if *ty == Type::Varchar => {
                Ok(Cell::Content(&text.as_bytes()[range]))
            }
            Some(token) => value(text, &token, ty)
                .map(Cell::Value)
                .ok_or_else(|| DecodeError::misfit(name, ty, &text[token.range])),
            None => Ok(Cell::Value(Value::Null)),
        });
        let cells: Vec<Cell<'_>> = cells.collect::<Result<_, _>>()?;
        for cell in cells {
            match cell {
                Cell::Content(content) => drop(writer.json_text(content)),
                Cell::Value(value) => writer.value(&value),
            }
        }
        Ok(true)
    }
}

/// The values of an object's members, by field.
fn members(text: &str, object: &Range<usize>, fields: &[(String, Type)]) -> Vec<Option<Token>> {
    let mut found: Vec<Option<(Token, bool)>> = vec![None; fields.len()];
    each_member(text, object, |key, token| {
        let exact = fields.iter().position(|(name, _)| name == key);
        let Some(field) =
            exact.or_else(|| fields.iter().position(|(name, _)| name.eq_ignore_ascii_case(key)))
        else {
            return;
        };
        if exact.is_some() || found[field].as_ref().is_none_or(|(_, exact)| !exact) {
            found[field] = Some((token, exact.is_some()));
        }
    });
    found.into_iter().map(|token| token.map(|(token, _)| token)).collect()
}

const CHECKED: &str = "the record was scanned as a whole";

fn each_member(text: &str, object: &Range<usize>, mut visit: impl FnMut(&str, Token)) {
    let mut scanner = Scanner::new(&text[object.clone()]);
    scanner.enter_object().expect(CHECKED);
    while let Some(key) = scanner.key().expect(CHECKED) {
        let key = json::unescape(scanner.bytes(&key)).expect(CHECKED);
        let Token { kind, range } = scanner.value().expect(CHECKED);
        visit(&key, Token { kind, range: object.start + range.start..object.start + range.end });
    }
}

/// A value of a declared type; `None` when it does not fit. Recursion is as deep as the type.
fn value<'a>(text: &'a str, token: &Token, ty: &Type) -> Option<Value<'a>> {
    let spelled = &text[token.range.clone()];
    match (token.kind, ty) {
        (Kind::Null, _) => Some(Value::Null),
        (Kind::Boolean, Type::Boolean) => Some(Value::Boolean(spelled == "true")),
        (Kind::Boolean | Kind::Number | Kind::Object | Kind::Array, Type::Varchar) => {
            Some(Value::text(spelled))
        }
        (Kind::Number, _) => from_number(spelled, ty),
        (Kind::String, Type::Boolean) => None,
        (Kind::String, _) => {
            from_text(&json::unescape(spelled.as_bytes())?, ty).map(Value::into_owned)
        }
        (Kind::Array, Type::Array(item)) => {
            let mut scanner = Scanner::new(spelled);
            scanner.enter_array().expect(CHECKED);
            let mut items = Vec::new();
            while scanner.element().expect(CHECKED) {
                let Token { kind, range } = scanner.value().expect(CHECKED);
                let token = Token {
                    kind,
                    range: token.range.start + range.start..token.range.start + range.end,
                };
                items.push(value(text, &token, item)?);
            }
            Some(Value::Array(items))
        }
        (Kind::Object, Type::Map(entry)) => {
            let mut entries = std::collections::BTreeMap::new();
            let mut fits = true;
            each_member(text, &token.range, |key, token| {
                let key = from_text(key, &entry.0).map(Value::into_owned);
                match (key, value(text, &token, &entry.1)) {
                    (Some(key), Some(value)) => drop(entries.insert(key, value)),
                    _ => fits = false,
                }
            });
            fits.then(|| Value::Map(entries.into_iter().collect()))
        }
        (Kind::Object, Type::Struct(fields)) => {
            let tokens = members(text, &token.range, fields);
            let values = tokens.iter().zip(fields.iter()).map(|(token, (_, ty))| match token {
                Some(token) => value(text, token, ty),
                None => Some(Value::Null),
            });
            values.collect::<Option<_>>().map(Value::Struct)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Guid, RowRef, Timestamp};
    use proptest::prelude::*;

    fn schema(columns: &[(&str, Type)]) -> Schema {
        Schema {
            columns: columns.iter().map(|(name, ty)| Column::new(*name, ty.clone())).collect(),
        }
    }

    fn read(
        decoder: &JsonDecoder,
        record: &str,
    ) -> Result<Option<Vec<Value<'static>>>, DecodeError> {
        let mut bytes = Vec::new();
        let width = decoder.fields.len();
        let mut writer = RowWriter::new(&mut bytes, width);
        if !decoder.decode(record.as_bytes(), &mut writer)? {
            return Ok(None);
        }
        writer.finish();
        let values = RowRef::new(&bytes, width).values(decoder.fields.iter().map(|(_, ty)| ty));
        Ok(Some(values.into_iter().map(Value::into_owned).collect()))
    }

    fn one(ty: Type, value: &str) -> Option<Value<'static>> {
        read(&JsonDecoder::new(&schema(&[("V", ty)])), &format!("{{\"v\":{value}}}"))
            .ok()
            .map(|row| row.unwrap().remove(0))
    }

    fn any_typed() -> impl Strategy<Value = (Type, Value<'static>)> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(|v| (Type::Boolean, Value::Boolean(v))),
            any::<i32>().prop_map(|v| (Type::Int, Value::Int(v))),
            any::<i64>().prop_map(|v| (Type::BigInt, Value::BigInt(v))),
            proptest::num::f64::NORMAL.prop_map(|v| (Type::Double, Value::Double(v))),
            any::<i64>().prop_map(|v| (
                Type::Decimal(21, 3),
                Value::Decimal(bigdecimal::BigDecimal::new(v.into(), 3))
            )),
            any::<String>().prop_map(|v| (Type::Varchar, Value::Varchar(v.into()))),
            any::<u128>().prop_map(|v| (Type::Guid, Value::Guid(Guid(v)))),
            (Timestamp::MIN.0..=Timestamp::MAX.0)
                .prop_map(|v| (Type::Timestamp, Value::Timestamp(Timestamp(v)))),
            (-700_000..2_000_000).prop_map(|v| (Type::Date, Value::Date(v))),
            (0..86_400_000).prop_map(|v| (Type::Time, Value::Time(v))),
            Just((Type::Varchar, Value::Null)),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|parts| {
                    let fields = parts
                        .iter()
                        .enumerate()
                        .map(|(i, (ty, _))| (format!("F{i}"), ty.clone()))
                        .collect();
                    (
                        Type::Struct(fields),
                        Value::Struct(parts.into_iter().map(|(_, v)| v).collect()),
                    )
                }),
                (inner.clone(), 0..4usize)
                    .prop_map(|((ty, v), n)| (Type::array(ty), Value::Array(vec![v; n]))),
                (inner, any::<String>()).prop_map(|((ty, v), k)| (
                    Type::map(Type::Varchar, ty),
                    Value::Map(vec![(Value::Varchar(k.into()), v)])
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(columns in proptest::collection::vec(any_typed(), 0..5), lower: bool) {
            let names: Vec<String> = (0..columns.len()).map(|i| format!("C{i}")).collect();
            let schema = Schema { columns: names.iter().zip(&columns).map(|(n, (ty, _))| Column::new(n.clone(), ty.clone())).collect() };
            let mut record = b"{".to_vec();
            for (i, (ty, value)) in columns.iter().enumerate().rev() {
                let name = if lower { names[i].to_lowercase() } else { names[i].clone() };
                record.extend_from_slice(format!("\"{name}\" : ").as_bytes());
                value.write_json(ty, &mut record);
                record.extend_from_slice(b",");
            }
            record.extend_from_slice(b"\"other\":[{}]}");
            let row = read(&JsonDecoder::new(&schema), std::str::from_utf8(&record).unwrap()).unwrap().unwrap();
            prop_assert_eq!(row, columns.into_iter().map(|(_, value)| value).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40), ty in any_typed()) {
            let decoder = JsonDecoder::new(&schema(&[("V", ty.0)]));
            let _ = decoder.decode(&bytes, &mut RowWriter::new(&mut Vec::new(), 1));
        }
    }

    #[test]
    fn coercions() {
        assert_eq!(one(Type::Varchar, "12.50"), Some(Value::text("12.50")));
        assert_eq!(one(Type::Varchar, "true"), Some(Value::text("true")));
        assert_eq!(one(Type::Varchar, r#"{"a": 1}"#), Some(Value::text(r#"{"a": 1}"#)));
        assert_eq!(one(Type::Int, "\"7\""), Some(Value::Int(7)));
        assert_eq!(one(Type::Int, "\"7x\""), None);
        assert_eq!(one(Type::Int, "3000000000"), None);
        assert_eq!(one(Type::Boolean, "\"true\""), None);
        assert_eq!(one(Type::Int, "true"), None);
        assert_eq!(one(Type::array(Type::Int), "[1,[2]]"), None);
        assert_eq!(one(Type::Bytes, "\"Zm9v\""), Some(Value::Bytes(b"foo".to_vec().into())));
    }

    #[test]
    fn names_and_absence() {
        let decoder = JsonDecoder::new(&schema(&[("A", Type::Int), ("b", Type::Int)]));
        let row = |record| read(&decoder, record).unwrap();
        let values =
            |a, b| Some([a, b].map(|n: Option<i32>| n.map_or(Value::Null, Value::Int)).to_vec());
        assert_eq!(row(r#"{"a":1,"A":2,"a":3,"B":4}"#), values(Some(2), Some(4)));
        assert_eq!(row(r#"{"A":1,"A":2,"b":null}"#), values(Some(2), None));
        assert_eq!(row(r#"{"A":1}"#), values(Some(1), None));
        assert_eq!(row("{}"), values(None, None));
        assert_eq!(row("null"), None);
        assert_eq!(row(" "), None);
        assert_eq!(read(&decoder, "[]").unwrap_err().code(), "unknown_shape");
        assert_eq!(read(&decoder, r#"{"a":"x"}"#).unwrap_err().to_string(), "A: x is no INTEGER");
        assert_eq!(read(&decoder, r#"{"a":1"#).unwrap_err().code(), "invalid_json");
    }

    #[test]
    fn a_single_value_may_stand_alone() {
        let decoder = JsonDecoder::unwrapped(&schema(&[("FOO", Type::array(Type::Varchar))]));
        let texts = ["1", "2"].map(Value::text).to_vec();
        assert_eq!(read(&decoder, "[1, 2]").unwrap(), Some(vec![Value::Array(texts)]));
    }
}
