//! JSON objects written member by member, in which nothing is empty: a member without value is left out, and so is an object or an array without content.

use super::connection::{Connection, Field, Stored};
use crate::model::json;

/// An object that is being written.
pub struct Object<'o> {
    out: &'o mut Vec<u8>,
    /// Where its first member stands.
    start: usize,
}

impl Object<'_> {
    /// Appends an object; this outermost one is written even if it is empty.
    pub fn write(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
        out.push(b'{');
        let start = out.len();
        fill(&mut Object { out, start });
        out.push(b'}');
    }

    /// A member, unless `value` appends nothing. Names need no escapes.
    fn member(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
        let before = self.out.len();
        self.out.extend_from_slice(if before > self.start { b",\"" } else { b"\"" });
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        let begin = self.out.len();
        value(self.out);
        if self.out.len() == begin {
            self.out.truncate(before);
        }
    }

    /// JSON as it is.
    pub fn json(&mut self, name: &str, json: &str) {
        self.member(name, |out| out.extend_from_slice(json.as_bytes()));
    }

    /// A text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.member(name, |out| write_text(text, out));
    }

    /// A value from a row.
    pub fn stored(&mut self, name: &str, value: Option<Stored<'_>>) {
        if let Some(value) = value {
            self.member(name, |out| value.write(out));
        }
    }

    /// The values of columns that say anything.
    pub fn known(&mut self, connection: Connection<'_>, members: &[(&str, Field)]) {
        for (name, field) in members {
            self.stored(name, connection.known(*field));
        }
    }

    /// An object.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.member(name, |out| {
            let before = out.len();
            Object::write(out, fill);
            if out.len() == before + 2 {
                out.truncate(before);
            }
        });
    }

    /// An array of what `write` makes of each item.
    fn array<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        write: impl Fn(T, &mut Vec<u8>),
    ) {
        self.member(name, |out| {
            let mut before = b'[';
            for item in items {
                out.push(before);
                write(item, out);
                before = b',';
            }
            if before == b',' {
                out.push(b']');
            }
        });
    }

    /// An array of values from a row.
    pub fn stored_all<'r>(&mut self, name: &str, values: impl Iterator<Item = Stored<'r>>) {
        self.array(name, values, Stored::write);
    }

    /// An array of texts.
    pub fn texts(&mut self, name: &str, texts: &[impl AsRef<str>]) {
        self.array(name, texts.iter(), |text, out| write_text(text.as_ref(), out));
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    json::escape_into(text, out);
    out.push(b'"');
}
