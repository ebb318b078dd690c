//! Writes JSON objects, in the given order of keys or in a random one.

use std::fmt::Write as _;

use super::super::event::{Kind, kind};
use super::super::random::Rng;

/// The order of keys: as they are added, or drawn.
#[derive(Debug)]
pub struct Order(pub Option<Rng>);

/// An object under construction: its members as text, one after the other.
#[derive(Debug)]
pub struct Object {
    text: String,
    ends: Vec<usize>,
    /// Signs that strings have as `\u003c` …, as encoders do for the sake of web pages.
    escaped: &'static str,
}

impl Object {
    /// An empty object.
    pub fn new() -> Self {
        Self { text: String::with_capacity(1024), ends: Vec::with_capacity(32), escaped: "" }
    }

    /// An empty object that escapes some signs more than JSON asks for; of `<>&'`.
    pub fn escaping(escaped: &'static str) -> Self {
        Self { escaped, ..Self::new() }
    }

    /// Adds a string.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        quote(&mut self.text, value, self.escaped);
        self.close()
    }

    /// Adds a number.
    pub fn number(&mut self, key: &str, value: impl Into<i128>) -> &mut Self {
        self.key(key);
        let _ = write!(self.text, "{}", value.into());
        self.close()
    }

    /// Adds a member whose value is JSON already.
    pub fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        self.text.push_str(value);
        self.close()
    }

    /// Adds an object.
    pub fn object(&mut self, key: &str, value: &Object, order: &mut Order) -> &mut Self {
        self.key(key);
        value.write(&mut self.text, order);
        self.close()
    }

    /// True if it has no members.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends the object's text.
    pub fn write(&self, out: &mut String, order: &mut Order) {
        let member = |index: usize| {
            let from = if index == 0 { 0 } else { self.ends[index - 1] };
            &self.text[from..self.ends[index]]
        };
        out.push('{');
        let mut indexes: Vec<usize> = (0..self.ends.len()).collect();
        if let Some(rng) = &mut order.0 {
            for last in (1..indexes.len()).rev() {
                indexes.swap(last, rng.below(last as u64 + 1) as usize);
            }
        }
        for (position, index) in indexes.into_iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            out.push_str(member(index));
        }
        out.push('}');
    }

    fn key(&mut self, key: &str) {
        quote(&mut self.text, key, "");
        self.text.push(':');
    }

    fn close(&mut self) -> &mut Self {
        self.ends.push(self.text.len());
        self
    }
}

/// A JSON string.
pub fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    quote(&mut text, value, "");
    text
}

/// A field's value as the event log types it: a number or a flag as such, else a string.
pub fn typed(name: &str, value: &str) -> String {
    match kind(name) {
        Kind::Number if value.bytes().all(|byte| byte.is_ascii_digit()) => value.to_owned(),
        Kind::Flag if value == "true" || value == "false" => value.to_owned(),
        _ => quoted(value),
    }
}

/// A JSON array of values that are JSON already.
pub fn array(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<String> = values.into_iter().collect();
    format!("[{}]", values.join(","))
}

/// Appends a JSON string.
fn quote(out: &mut String, value: &str, escaped: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in value.bytes().enumerate() {
        let special = match byte {
            b'"' | b'\\' => true,
            b'<' | b'>' | b'&' | b'\'' => escaped.as_bytes().contains(&byte),
            _ => byte < 0x20,
        };
        if !special {
            continue;
        }
        out.push_str(&value[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => _ = write!(out, "\\u{byte:04x}"),
        }
    }
    out.push_str(&value[from..]);
    out.push('"');
}
