//! One SQL value, borrowed from a row where it can be.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use bigdecimal::BigDecimal;
use serde::{Deserialize, Serialize};

use super::{Guid, Timestamp, base64, json};

/// A value of any [`Type`](super::Type).
///
/// Values are totally ordered, `Null` first, so that they can be sorted and kept in maps; values of different types order by type.
/// SQL's three-valued comparison is built on top of that, in `expr`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Value<'a> {
    /// Absent.
    Null,
    /// `BOOLEAN`
    Boolean(bool),
    /// `INT`
    Int(i32),
    /// `BIGINT`
    BigInt(i64),
    /// `DOUBLE`; all NaNs are one value, greater than all numbers, and −0 is 0
    Double(f64),
    /// `DECIMAL`
    Decimal(#[serde(with = "super::big::decimal")] BigDecimal),
    /// `VARCHAR`
    Varchar(Cow<'a, str>),
    /// `BYTES`
    Bytes(Cow<'a, [u8]>),
    /// `GUID`
    Guid(Guid),
    /// `TIMESTAMP`
    Timestamp(Timestamp),
    /// `DATE`, days since 1970
    Date(i32),
    /// `TIME`, milliseconds since midnight
    Time(i32),
    /// `ARRAY`
    Array(Vec<Value<'a>>),
    /// `MAP`, sorted by key, keys distinct
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// `STRUCT`, in the order of its type's fields
    Struct(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// A `VARCHAR` that borrows.
    pub fn text(text: &'a str) -> Value<'a> {
        Value::Varchar(Cow::Borrowed(text))
    }

    /// True for `NULL`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Boolean(v) => Value::Boolean(v),
            Value::Int(v) => Value::Int(v),
            Value::BigInt(v) => Value::BigInt(v),
            Value::Double(v) => Value::Double(v),
            Value::Decimal(v) => Value::Decimal(v),
            Value::Varchar(v) => Value::Varchar(Cow::Owned(v.into_owned())),
            Value::Bytes(v) => Value::Bytes(Cow::Owned(v.into_owned())),
            Value::Guid(v) => Value::Guid(v),
            Value::Timestamp(v) => Value::Timestamp(v),
            Value::Date(v) => Value::Date(v),
            Value::Time(v) => Value::Time(v),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Map(entries) => Value::Map(
                entries.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned())).collect(),
            ),
            Value::Struct(fields) => {
                Value::Struct(fields.into_iter().map(Value::into_owned).collect())
            }
        }
    }

    /// Appends the value as JSON: a GUID and a timestamp as their printed text, bytes as base 64, a decimal and a double as numbers.
    ///
    /// A double that JSON has no number for is written as the string `"NaN"`, `"Infinity"` or `"-Infinity"`, as ksqlDB does.
    /// The type gives the field names of structs.
    pub fn write_json(&self, ty: &super::Type, out: &mut Vec<u8>) {
        use super::Type;
        use std::io::Write;
        let push = |out: &mut Vec<u8>, text: &dyn std::fmt::Display| {
            write!(out, "{text}").expect("writing to a Vec cannot fail");
        };
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Boolean(v) => push(out, v),
            Value::Int(v) => push(out, v),
            Value::BigInt(v) => push(out, v),
            Value::Double(v) if v.is_finite() => out.extend_from_slice(
                serde_json::to_string(&canonical_double(*v)).expect("finite").as_bytes(),
            ),
            Value::Double(v) if v.is_nan() => out.extend_from_slice(b"\"NaN\""),
            Value::Double(v) => {
                out.extend_from_slice(if *v > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" })
            }
            Value::Decimal(v) => push(out, &v.to_plain_string()),
            Value::Varchar(v) => {
                out.push(b'"');
                json::escape_into(v, out);
                out.push(b'"');
            }
            Value::Bytes(v) => push(out, &format_args!("\"{}\"", base64::encode(v))),
            Value::Guid(v) => {
                out.push(b'"');
                out.extend_from_slice(&v.text());
                out.push(b'"');
            }
            Value::Timestamp(v) => push(out, &format_args!("\"{v}\"")),
            Value::Date(days) => {
                let (year, month, day) = super::timestamp::civil_from_days(i64::from(*days));
                let year = super::timestamp::Year(year);
                push(out, &format_args!("\"{year}-{month:02}-{day:02}\""));
            }
            Value::Time(ms) => push(
                out,
                &format_args!(
                    "\"{:02}:{:02}:{:02}.{:03}\"",
                    ms / 3_600_000,
                    ms / 60_000 % 60,
                    ms / 1000 % 60,
                    ms % 1000
                ),
            ),
            Value::Array(items) => {
                let Type::Array(item) = ty else { return out.extend_from_slice(b"null") };
                out.push(b'[');
                for (i, value) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    value.write_json(item, out);
                }
                out.push(b']');
            }
            Value::Map(entries) => {
                let Type::Map(entry) = ty else { return out.extend_from_slice(b"null") };
                out.push(b'{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    let at = out.len();
                    key.write_json(&entry.0, out);
                    if out.get(at) != Some(&b'"') {
                        out.insert(at, b'"');
                        out.push(b'"');
                    }
                    out.push(b':');
                    value.write_json(&entry.1, out);
                }
                out.push(b'}');
            }
            Value::Struct(values) => {
                let Type::Struct(fields) = ty else { return out.extend_from_slice(b"null") };
                out.push(b'{');
                for (i, (value, (name, ty))) in values.iter().zip(fields.iter()).enumerate() {
                    out.extend_from_slice(if i > 0 { b",\"" } else { b"\"" });
                    json::escape_into(name, out);
                    out.extend_from_slice(b"\":");
                    value.write_json(ty, out);
                }
                out.push(b'}');
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Boolean(_) => 1,
            Value::Int(_) => 2,
            Value::BigInt(_) => 3,
            Value::Double(_) => 4,
            Value::Decimal(_) => 5,
            Value::Varchar(_) => 6,
            Value::Bytes(_) => 7,
            Value::Guid(_) => 8,
            Value::Timestamp(_) => 9,
            Value::Date(_) => 10,
            Value::Time(_) => 11,
            Value::Array(_) => 12,
            Value::Map(_) => 13,
            Value::Struct(_) => 14,
        }
    }
}

/// The one representation of all doubles that are equal in SQL: NaN is one value and −0 is 0.
pub fn canonical_double(value: f64) -> f64 {
    if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    }
}

impl Ord for Value<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b))
            | (Value::Date(a), Value::Date(b))
            | (Value::Time(a), Value::Time(b)) => a.cmp(b),
            (Value::BigInt(a), Value::BigInt(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => {
                canonical_double(*a).total_cmp(&canonical_double(*b))
            }
            (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
            (Value::Varchar(a), Value::Varchar(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Guid(a), Value::Guid(b)) => a.cmp(b),
            (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::Array(a), Value::Array(b)) | (Value::Struct(a), Value::Struct(b)) => a.cmp(b),
            (Value::Map(a), Value::Map(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value<'_> {}

impl Hash for Value<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Value::Null => {}
            Value::Boolean(v) => v.hash(state),
            Value::Int(v) | Value::Date(v) | Value::Time(v) => v.hash(state),
            Value::BigInt(v) => v.hash(state),
            Value::Double(v) => canonical_double(*v).to_bits().hash(state),
            Value::Decimal(v) => v.normalized().hash(state),
            Value::Varchar(v) => v.hash(state),
            Value::Bytes(v) => v.hash(state),
            Value::Guid(v) => v.hash(state),
            Value::Timestamp(v) => v.hash(state),
            Value::Array(v) | Value::Struct(v) => v.hash(state),
            Value::Map(v) => v.hash(state),
        }
    }
}
/// Reads a double as Java does: of what is no number, `NaN` and `Infinity` in this spelling alone.
pub fn java_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_word = unsigned.starts_with(|first: char| first.is_ascii_alphabetic());
    (!is_word || matches!(unsigned, "NaN" | "Infinity")).then(|| text.parse().ok()).flatten()
}
