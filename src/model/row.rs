//! Packed rows: what a SQL engine carries when schemas are known only at run time.
//!
//! A row of `n` columns is one byte string: `n` little-endian `u32` words, then the payload. Word `i` holds the end of column `i` in the payload
//! (30 bits) and two flags: NULL, and ESCAPED for text that is kept as canonical JSON string content (see [`json`](super::json)).
//!
//! ```text
//! ┌────────┬────────┬────────┬──────────────┬──────────┐
//! │ word 0 │ word 1 │ word 2 │ column 0     │ column 2 │      column 1 is NULL: it ends where column 0 ends
//! └────────┴────────┴────────┴──────────────┴──────────┘
//! ```
//!
//! Every value has exactly one encoding, so equal rows are equal bytes. The order of bytes is an arbitrary, fixed total order.
//! Fixed-size values are little-endian; a GUID is 16 bytes; nested values are a `u32` count and then a packed row of their parts.
//!
//! Rows live in *arenas*: one allocation per decoded chunk or output block, shared by its rows. A live row keeps its whole arena alive,
//! so state that stays copies the bytes, unless the arena has little else.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::value::canonical_double;
use super::{Guid, Timestamp, Type, Value, json};

const NULL: u32 = 1 << 31;
const ESCAPED: u32 = 1 << 30;
const END: u32 = ESCAPED - 1;

/// All rows of one chunk or block in one allocation.
pub type Arena = Arc<Vec<u8>>;

/// A row on its way through the dataflow: a slice of an arena. Compares, and serialises, by its bytes.
#[derive(Clone)]
pub struct Row {
    arena: Arena,
    start: u32,
    len: u32,
}

impl Row {
    /// The row at `range` of the arena, as [`RowWriter::finish`] returned it.
    #[inline]
    pub fn new(arena: &Arena, range: Range<usize>) -> Row {
        debug_assert!(range.end <= arena.len());
        Row { arena: Arc::clone(arena), start: range.start as u32, len: range.len() as u32 }
    }

    /// A row in an arena of its own.
    pub fn from_bytes(bytes: Vec<u8>) -> Row {
        let len = bytes.len() as u32;
        Row { arena: Arc::new(bytes), start: 0, len }
    }

    /// A row in an arena of its own, from values.
    pub fn from_values<'a>(values: impl ExactSizeIterator<Item = Value<'a>>) -> Row {
        let mut bytes = Vec::new();
        let mut writer = RowWriter::new(&mut bytes, values.len());
        for value in values {
            writer.value(&value);
        }
        writer.finish();
        Row::from_bytes(bytes)
    }

    /// The packed bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.arena[self.range()]
    }

    /// Where the bytes are.
    #[inline]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Which bytes of the arena they are.
    #[inline]
    pub fn range(&self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({})", String::from_utf8_lossy(self.bytes()).escape_debug())
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}
impl Eq for Row {}
impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Row {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes().cmp(other.bytes())
    }
}
impl std::hash::Hash for Row {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}
impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::Bytes::new(self.bytes()).serialize(serializer)
    }
}
impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteBuf::deserialize(deserializer)
            .map(|bytes| Row::from_bytes(bytes.into_vec()))
    }
}

/// Typed access to packed bytes. The width is not stored in the row: the plan knows it.
#[derive(Clone, Copy, Default)]
pub struct RowRef<'a> {
    bytes: &'a [u8],
    width: usize,
}

/// One column as stored: copied between rows without looking inside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Raw<'a> {
    /// NULL
    Null,
    /// The stored bytes of any type; for text, the text itself.
    Plain(&'a [u8]),
    /// Text that needs escapes, as canonical JSON string content.
    Escaped(&'a [u8]),
}

impl<'a> RowRef<'a> {
    /// Views bytes that a [`RowWriter`] of the same width wrote.
    #[inline]
    pub const fn new(bytes: &'a [u8], width: usize) -> RowRef<'a> {
        debug_assert!(bytes.len() >= 4 * width);
        RowRef { bytes, width }
    }

    /// Number of columns.
    #[inline]
    pub fn width(self) -> usize {
        self.width
    }

    /// The packed bytes.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The row, and what follows it in the same bytes.
    #[inline]
    pub fn split(self) -> (&'a [u8], &'a [u8]) {
        let payload = if self.width == 0 { 0 } else { self.word(self.width - 1) & END };
        self.bytes.split_at(4 * self.width + payload as usize)
    }

    #[inline]
    fn word(self, i: usize) -> u32 {
        let at = 4 * i;
        u32::from_le_bytes([
            self.bytes[at],
            self.bytes[at + 1],
            self.bytes[at + 2],
            self.bytes[at + 3],
        ])
    }

    /// Column `i` as stored.
    #[inline]
    pub fn raw(self, i: usize) -> Raw<'a> {
        let word = self.word(i);
        if word & NULL != 0 {
            return Raw::Null;
        }
        let start = if i == 0 { 0 } else { self.word(i - 1) & END };
        let payload = 4 * self.width;
        let bytes = &self.bytes[payload + start as usize..payload + (word & END) as usize];
        if word & ESCAPED != 0 { Raw::Escaped(bytes) } else { Raw::Plain(bytes) }
    }

    /// True when column `i` is NULL.
    #[inline]
    pub fn is_null(self, i: usize) -> bool {
        self.word(i) & NULL != 0
    }

    /// Column `i` as a value of its type.
    #[inline]
    pub fn value(self, i: usize, ty: &Type) -> Value<'a> {
        self.raw(i).value(ty)
    }

    /// All columns as values.
    pub fn values<'t>(self, types: impl IntoIterator<Item = &'t Type>) -> Vec<Value<'a>> {
        types.into_iter().enumerate().map(|(i, ty)| self.value(i, ty)).collect()
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("a column is as wide as its type")
}

impl<'a> Raw<'a> {
    /// The stored bytes as a value of type `ty`, which must be the type that was written.
    pub fn value(self, ty: &Type) -> Value<'a> {
        let bytes = match self {
            Raw::Null => return Value::Null,
            Raw::Escaped(content) => {
                return Value::Varchar(json::unescape(content).expect("canonical content decodes"));
            }
            Raw::Plain(bytes) => bytes,
        };
        match ty {
            Type::Null => Value::Null,
            Type::Boolean => Value::Boolean(bytes[0] != 0),
            Type::Int => Value::Int(i32::from_le_bytes(fixed(bytes))),
            Type::BigInt => Value::BigInt(i64::from_le_bytes(fixed(bytes))),
            Type::Double => Value::Double(f64::from_le_bytes(fixed(bytes))),
            Type::Decimal(_, scale) => Value::Decimal(BigDecimal::new(
                BigInt::from_signed_bytes_le(bytes),
                i64::from(*scale),
            )),
            Type::Varchar => Value::Varchar(Cow::Borrowed(
                std::str::from_utf8(bytes).expect("text was UTF-8 when it was written"),
            )),
            Type::Bytes => Value::Bytes(Cow::Borrowed(bytes)),
            Type::Guid => Value::Guid(Guid(u128::from_be_bytes(fixed(bytes)))),
            Type::Timestamp => Value::Timestamp(Timestamp(i64::from_le_bytes(fixed(bytes)))),
            Type::Date => Value::Date(i32::from_le_bytes(fixed(bytes))),
            Type::Time => Value::Time(i32::from_le_bytes(fixed(bytes))),
            Type::Array(item) => {
                let parts = nested(bytes);
                Value::Array((0..parts.width).map(|i| parts.value(i, item)).collect())
            }
            Type::Map(entry) => {
                let parts = nested(bytes);
                Value::Map(
                    (0..parts.width / 2)
                        .map(|i| (parts.value(2 * i, &entry.0), parts.value(2 * i + 1, &entry.1)))
                        .collect(),
                )
            }
            Type::Struct(fields) => {
                let parts = nested(bytes);
                Value::Struct(
                    fields.iter().enumerate().map(|(i, (_, ty))| parts.value(i, ty)).collect(),
                )
            }
        }
    }

    /// The parts of an array, a struct or a map, which this must be: those of a map are keys and values in turn. `None` for NULL.
    pub fn parts(self) -> Option<RowRef<'a>> {
        if let Raw::Plain(bytes) = self { Some(nested(bytes)) } else { None }
    }

    /// The order of the values that are stored, which are both of type `ty`: that of [`Value`], without making any where the bytes tell.
    pub fn compare(self, other: Raw<'_>, ty: &Type) -> Ordering {
        match (self, other, ty) {
            _ if self == other => Ordering::Equal,
            (Raw::Plain(a), Raw::Plain(b), Type::Varchar | Type::Bytes | Type::Guid) => a.cmp(b),
            (Raw::Plain(a), Raw::Plain(b), Type::Struct(fields)) => {
                let (a, b) = (nested(a), nested(b));
                let mut orders =
                    fields.iter().enumerate().map(|(i, (_, ty))| a.raw(i).compare(b.raw(i), ty));
                orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            }
            _ => self.value(ty).cmp(&other.value(ty)),
        }
    }

    /// Appends the stored value as JSON, as [`Value::write_json`] does. Text is copied as it is stored, and what is nested is not unpacked.
    pub fn write_json(self, ty: &Type, out: &mut Vec<u8>) {
        match (self, ty) {
            (Raw::Null, _) => out.extend_from_slice(b"null"),
            (Raw::Escaped(text), _) | (Raw::Plain(text), Type::Varchar) => {
                out.push(b'"');
                out.extend_from_slice(text);
                out.push(b'"');
            }
            (Raw::Plain(bytes), Type::Array(item)) => {
                let items = nested(bytes);
                out.push(b'[');
                for i in 0..items.width {
                    if i > 0 {
                        out.push(b',');
                    }
                    items.raw(i).write_json(item, out);
                }
                out.push(b']');
            }
            (Raw::Plain(bytes), Type::Struct(fields)) => {
                let values = nested(bytes);
                out.push(b'{');
                for (i, (name, ty)) in fields.iter().enumerate() {
                    out.extend_from_slice(if i > 0 { b",\"" } else { b"\"" });
                    json::escape_into(name, out);
                    out.extend_from_slice(b"\":");
                    values.raw(i).write_json(ty, out);
                }
                out.push(b'}');
            }
            _ => self.value(ty).write_json(ty, out),
        }
    }
}

fn nested(bytes: &[u8]) -> RowRef<'_> {
    RowRef::new(&bytes[4..], u32::from_le_bytes(fixed(&bytes[..4])) as usize)
}

/// Appends one packed row to a buffer, column by column, in order. Every column must be written before [`finish`](RowWriter::finish).
pub struct RowWriter<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    payload: usize,
    written: usize,
}

impl<'b> RowWriter<'b> {
    /// Starts a row of `width` columns at the end of `out`.
    #[inline]
    pub fn new(out: &'b mut Vec<u8>, width: usize) -> RowWriter<'b> {
        let start = out.len();
        let payload = start + 4 * width;
        out.resize(payload, 0);
        RowWriter { out, start, payload, written: 0 }
    }

    #[inline]
    fn seal(&mut self, flags: u32) {
        let end = (self.out.len() - self.payload) as u32;
        debug_assert!(
            end <= END,
            "a row is shorter than 1 GiB since records are limited to 64 MiB"
        );
        let at = self.start + 4 * self.written;
        debug_assert!(at < self.payload, "no more columns than the row is wide");
        self.out[at..at + 4].copy_from_slice(&(end | flags).to_le_bytes());
        self.written += 1;
    }

    /// NULL.
    #[inline]
    pub fn null(&mut self) {
        self.seal(NULL);
    }

    /// A column copied from another row of the same type.
    #[inline]
    pub fn raw(&mut self, raw: Raw<'_>) {
        match raw {
            Raw::Null => self.null(),
            Raw::Plain(bytes) => self.plain(bytes),
            Raw::Escaped(bytes) => {
                self.out.extend_from_slice(bytes);
                self.seal(ESCAPED);
            }
        }
    }

    /// Neighbouring columns copied from another row of the same types.
    #[inline]
    pub fn run(&mut self, row: RowRef<'_>, columns: Range<usize>) {
        let Some(last) = columns.end.checked_sub(1).filter(|last| *last >= columns.start) else {
            return;
        };
        let start = if columns.start == 0 { 0 } else { row.word(columns.start - 1) & END };
        let moved = (self.out.len() - self.payload) as u32;
        let payload = 4 * row.width;
        self.out.extend_from_slice(
            &row.bytes[payload + start as usize..payload + (row.word(last) & END) as usize],
        );
        for i in columns {
            let word = row.word(i);
            let end = (word & END) - start + moved;
            debug_assert!(
                end <= END,
                "a row is shorter than 1 GiB since records are limited to 64 MiB"
            );
            let at = self.start + 4 * self.written;
            self.out[at..at + 4].copy_from_slice(&(end | word & !END).to_le_bytes());
            self.written += 1;
        }
    }

    /// Stored bytes of a value that is not text, or of text without any byte that JSON would escape.
    #[inline]
    fn plain(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.seal(0);
    }

    /// Text.
    #[inline]
    pub fn text(&mut self, text: &str) {
        if text.bytes().any(json::needs_escape) {
            json::escape_into(text, self.out);
            self.seal(ESCAPED);
        } else {
            self.plain(text.as_bytes());
        }
    }

    /// Text given as JSON string content, which must be valid UTF-8; false, with NULL written, when an escape is broken.
    ///
    /// This is the path from JSON input: canonical content is copied.
    #[inline]
    pub fn json_text(&mut self, content: &[u8]) -> bool {
        if memchr::memchr(b'\\', content).is_none() && !content.iter().any(|b| *b < 0x20) {
            self.plain(content);
        } else if json::is_canonical(content) {
            self.out.extend_from_slice(content);
            self.seal(ESCAPED);
        } else if let Some(text) = json::unescape(content) {
            self.text(&text);
        } else {
            self.null();
            return false;
        }
        true
    }

    /// Text given as [canonical](super::json) JSON string content.
    #[inline]
    pub fn canonical_text(&mut self, content: &[u8]) {
        self.out.extend_from_slice(content);
        self.seal(if memchr::memchr(b'\\', content).is_some() { ESCAPED } else { 0 });
    }

    /// `BOOLEAN`
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.plain(&[u8::from(value)]);
    }

    /// `INT`
    #[inline]
    pub fn int(&mut self, value: i32) {
        self.plain(&value.to_le_bytes());
    }

    /// `BIGINT`
    #[inline]
    pub fn bigint(&mut self, value: i64) {
        self.plain(&value.to_le_bytes());
    }

    /// `GUID`
    #[inline]
    pub fn guid(&mut self, value: Guid) {
        self.plain(&value.0.to_be_bytes());
    }

    /// `TIMESTAMP`
    #[inline]
    pub fn timestamp(&mut self, value: Timestamp) {
        self.plain(&value.0.to_le_bytes());
    }

    /// A value of any type. A decimal must have the scale of its column.
    pub fn value(&mut self, value: &Value<'_>) {
        match value {
            Value::Null => self.null(),
            Value::Boolean(v) => self.boolean(*v),
            Value::Int(v) | Value::Date(v) | Value::Time(v) => self.int(*v),
            Value::BigInt(v) => self.bigint(*v),
            Value::Double(v) => self.plain(&canonical_double(*v).to_le_bytes()),
            Value::Decimal(v) => self.plain(&v.as_bigint_and_exponent().0.to_signed_bytes_le()),
            Value::Varchar(v) => self.text(v),
            Value::Bytes(v) => self.plain(v),
            Value::Guid(v) => self.guid(*v),
            Value::Timestamp(v) => self.timestamp(*v),
            Value::Array(items) | Value::Struct(items) => self.values(items.len(), items.iter()),
            Value::Map(entries) => {
                self.values(2 * entries.len(), entries.iter().flat_map(|(k, v)| [k, v]))
            }
        }
    }

    fn values<'v>(&mut self, width: usize, parts: impl Iterator<Item = &'v Value<'v>>) {
        let Ok(()) = self.parts(width, |writer| {
            parts.for_each(|part| writer.value(part));
            Ok::<(), std::convert::Infallible>(())
        });
    }

    /// An array, a struct or a map of as many parts as `write` writes; nothing when that fails.
    pub fn parts<E>(
        &mut self,
        width: usize,
        write: impl FnOnce(&mut RowWriter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.out.len();
        self.out.extend_from_slice(&(width as u32).to_le_bytes());
        let mut writer = RowWriter::new(self.out, width);
        let written = write(&mut writer);
        if written.is_ok() {
            writer.finish();
            self.seal(0);
        } else {
            self.out.truncate(start);
        }
        written
    }

    /// Ends the row: where it lies in the buffer.
    #[inline]
    pub fn finish(self) -> Range<usize> {
        debug_assert_eq!(self.start + 4 * self.written, self.payload, "every column is written");
        self.start..self.out.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = (Type, Value<'static>)> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(|v| (Type::Boolean, Value::Boolean(v))),
            any::<i32>().prop_map(|v| (Type::Int, Value::Int(v))),
            any::<i64>().prop_map(|v| (Type::BigInt, Value::BigInt(v))),
            any::<f64>().prop_map(|v| (Type::Double, Value::Double(v))),
            any::<i64>()
                .prop_map(|v| (Type::Decimal(19, 3), Value::Decimal(BigDecimal::new(v.into(), 3)))),
            any::<String>().prop_map(|v| (Type::Varchar, Value::Varchar(v.into()))),
            proptest::collection::vec(any::<u8>(), 0..9)
                .prop_map(|v| (Type::Bytes, Value::Bytes(v.into()))),
            any::<u128>().prop_map(|v| (Type::Guid, Value::Guid(Guid(v)))),
            any::<i64>().prop_map(|v| (Type::Timestamp, Value::Timestamp(Timestamp(v)))),
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
                inner.prop_map(|(ty, v)| (
                    Type::map(Type::Varchar, ty),
                    Value::Map(vec![(Value::text("k"), v)])
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_come_back(columns in proptest::collection::vec(any_value(), 0..6)) {
            let row = Row::from_values(columns.iter().map(|(_, v)| v.clone()).collect::<Vec<_>>().into_iter());
            let view = RowRef::new(row.bytes(), columns.len());
            for (i, (ty, value)) in columns.iter().enumerate() {
                prop_assert_eq!(&view.value(i, ty), value);
                let (mut stored, mut plain) = (Vec::new(), Vec::new());
                view.raw(i).write_json(ty, &mut stored);
                value.write_json(ty, &mut plain);
                prop_assert_eq!(&stored, &plain);
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&plain).is_ok());
            }
        }

        #[test]
        fn a_run_of_columns_is_its_columns(columns in proptest::collection::vec(any_value(), 0..6), cuts in [0usize..7, 0usize..7], lead: bool) {
            let row = Row::from_values(columns.iter().map(|(_, v)| v.clone()).collect::<Vec<_>>().into_iter());
            let view = RowRef::new(row.bytes(), columns.len());
            let (from, to) = (cuts[0].min(cuts[1]).min(columns.len()), cuts[0].max(cuts[1]).min(columns.len()));
            let (mut one_by_one, mut at_once) = (Vec::new(), Vec::new());
            let mut writer = RowWriter::new(&mut one_by_one, to - from + usize::from(lead));
            if lead {
                writer.int(7);
            }
            (from..to).for_each(|i| writer.raw(view.raw(i)));
            writer.finish();
            let mut writer = RowWriter::new(&mut at_once, to - from + usize::from(lead));
            if lead {
                writer.int(7);
            }
            writer.run(view, from..to);
            writer.finish();
            prop_assert_eq!(at_once, one_by_one);
        }

        #[test]
        fn stored_values_compare_as_values(a in any_value(), b in any_value(), nested: bool) {
            let (ty, values) = if a.0 == b.0 { (a.0, [a.1, b.1]) } else { (a.0, [a.1, Value::Null]) };
            let (ty, values) = if nested {
                let parts = values.map(|value| Value::Struct(vec![Value::Int(1), value]));
                (Type::Struct([("F".to_owned(), Type::Int), ("G".to_owned(), ty)].into()), parts)
            } else {
                (ty, values)
            };
            let row = Row::from_values(values.iter().cloned());
            let view = RowRef::new(row.bytes(), 2);
            prop_assert_eq!(view.raw(0).compare(view.raw(1), &ty), values[0].cmp(&values[1]));
        }

        #[test]
        fn every_spelling_of_a_text_is_stored_once(text in any::<String>()) {
            let spelled = text.encode_utf16().fold(String::new(), |all, unit| format!("{all}\\u{unit:04X}"));
            let (mut a, mut b) = (Vec::new(), Vec::new());
            let mut writer = RowWriter::new(&mut a, 1);
            prop_assert!(writer.json_text(spelled.as_bytes()));
            writer.finish();
            let mut writer = RowWriter::new(&mut b, 1);
            writer.text(&text);
            writer.finish();
            prop_assert_eq!(a, b);
        }
    }
}
