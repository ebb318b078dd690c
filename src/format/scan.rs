//! A strict, single-pass JSON scanner that builds nothing.
//!
//! The caller walks the objects that interest it, key by key, and gets every other value as a byte range. Ranges are checked: whatever the scanner has
//! passed over is well-formed JSON (RFC 8259), escapes and control characters included. Skipping does not recurse, and nesting is bounded by
//! [`MAX_DEPTH`], so no input can exhaust the stack. Input is `&str`, so every range is UTF-8.
//!
//! Where strings end is looked up in an index of [`Quotes`] when there is one; without it they are searched one by one. Both give the same, errors included.
//!
//! Duplicate keys are the caller's affair: they are reported in order, and the last one wins by being the last to be stored.

#![allow(
    clippy::inline_always,
    reason = "a step is a few instructions, and what it returns would go through memory"
)]

use std::ops::Range;

use memchr::memchr2;

use super::error::DecodeError;
use super::quotes::Quotes;

/// Brackets that may be open at once.
pub const MAX_DEPTH: usize = 128;

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// A value's place in the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its bytes; of a string, the content without the quotes.
    pub range: Range<usize>,
}

/// A position in a JSON text.
#[derive(Clone)]
pub struct Scanner<'a> {
    text: &'a str,
    /// The quotes of the text, if somebody has found them and they are well-formed.
    quotes: &'a [u64],
    canonical: bool,
    at: usize,
    depth: usize,
    /// Right after an opening bracket: no comma is due.
    fresh: bool,
    /// The text has control characters somewhere, so strings must be searched for them.
    controls: bool,
}

/// What scanning gives. The error is boxed since every step returns one, which is to fit into registers.
pub type Result<T> = std::result::Result<T, Box<DecodeError>>;

impl<'a> Scanner<'a> {
    /// Starts before the first value of `text`.
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner {
            text,
            quotes: &[],
            canonical: false,
            at: 0,
            depth: 0,
            fresh: false,
            controls: has_controls(text.as_bytes()),
        }
    }

    /// The same, where the quotes of this very text have been found.
    pub fn with_quotes(text: &'a str, quotes: &'a Quotes) -> Scanner<'a> {
        match quotes.words() {
            [] => Scanner::new(text),
            words => Scanner {
                text,
                quotes: words,
                canonical: quotes.canonical(),
                at: 0,
                depth: 0,
                fresh: false,
                controls: false,
            },
        }
    }

    /// True when all strings are known to be [canonical](crate::model::json) content; then letters are never escaped.
    #[inline]
    pub fn canonical(&self) -> bool {
        self.canonical
    }

    /// The bytes of a range.
    #[inline]
    pub fn bytes(&self, range: &Range<usize>) -> &'a [u8] {
        &self.text.as_bytes()[range.clone()]
    }

    #[cold]
    fn expected<T>(&self, expected: &'static str) -> Result<T> {
        Err(Box::new(DecodeError::InvalidJson { at: self.at, expected }))
    }

    #[cold]
    fn too_deep<T>() -> Result<T> {
        Err(Box::new(DecodeError::NestedTooDeep { limit: MAX_DEPTH }))
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The first byte of the next token, which is not consumed.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        match self.byte() {
            Some(byte) if byte > b' ' => Some(byte),
            _ => self.pass_space(),
        }
    }

    #[cold]
    fn pass_space(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    #[inline]
    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<()> {
        if self.peek() != Some(bracket) {
            return self.expected(expected);
        }
        if self.depth == MAX_DEPTH {
            return Self::too_deep();
        }
        self.at += 1;
        self.depth += 1;
        self.fresh = true;
        Ok(())
    }

    /// Enters an object.
    pub fn enter_object(&mut self) -> Result<()> {
        self.open(b'{', "an object")
    }

    /// Enters an array.
    pub fn enter_array(&mut self) -> Result<()> {
        self.open(b'[', "an array")
    }

    /// True when there is another item before `bracket`; else the bracket is consumed.
    #[inline(always)]
    fn more(&mut self, bracket: u8, expected: &'static str) -> Result<bool> {
        match self.peek() {
            Some(b) if b == bracket => {
                self.at += 1;
                self.depth -= 1;
                self.fresh = false;
                Ok(false)
            }
            _ if std::mem::take(&mut self.fresh) => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => self.expected(expected),
        }
    }

    /// The next key of the object that was entered last, with its value next; `None` leaves the object.
    #[inline(always)]
    pub fn key(&mut self) -> Result<Option<Range<usize>>> {
        if self.more(b'}', "`,` or `}`")? { self.key_and_colon().map(Some) } else { Ok(None) }
    }

    /// Passes over a key that stands in the text just as in `,"key":`, or without the comma when it is the first of its object; the range of the key. `None`
    /// when the text goes on in any other way, which [`key`](Scanner::key) then tells.
    #[inline]
    pub fn expect_key(&mut self, key: &str) -> Option<Range<usize>> {
        let key = &key.as_bytes()[usize::from(self.fresh)..];
        if !self.text.as_bytes()[self.at..].starts_with(key) {
            return None;
        }
        let start = self.at + 1 + usize::from(!self.fresh);
        self.fresh = false;
        self.at += key.len();
        Some(start..self.at - 2)
    }

    /// Passes over the next value if the text goes on with this object or array, which is well-formed and no deeper than it may be here.
    #[inline]
    pub fn expect_value(&mut self, value: &[u8]) -> bool {
        let found = !value.is_empty() && self.text.as_bytes()[self.at..].starts_with(value);
        if found {
            self.fresh = false;
            self.at += value.len();
        }
        found
    }

    /// True when the array that was entered last has another element, which is next; false leaves the array.
    #[inline]
    pub fn element(&mut self) -> Result<bool> {
        self.more(b']', "`,` or `]`")
    }

    #[inline(always)]
    fn key_and_colon(&mut self) -> Result<Range<usize>> {
        if self.peek() != Some(b'"') {
            return self.expected("a key");
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return self.expected("`:`");
        }
        self.at += 1;
        Ok(key)
    }

    /// Passes over the next value.
    #[inline(always)]
    pub fn value(&mut self) -> Result<Token> {
        self.fresh = false;
        if self.peek() == Some(b'"') {
            Ok(Token { kind: Kind::String, range: self.string()? })
        } else {
            self.other_value()
        }
    }

    /// Passes over the next value, which is no string.
    fn other_value(&mut self) -> Result<Token> {
        let start = self.at;
        let kind = match self.byte() {
            Some(b'{') => {
                self.nested()?;
                Kind::Object
            }
            Some(b'[') => {
                self.nested()?;
                Kind::Array
            }
            _ => self.scalar()?,
        };
        Ok(Token { kind, range: start..self.at })
    }

    /// Passes over the next value, whatever it is.
    pub fn skip(&mut self) -> Result<()> {
        self.value().map(|_| ())
    }

    /// Checks that nothing but white space is left.
    pub fn end(&mut self) -> Result<()> {
        if self.peek().is_some() { self.expected("the end of the record") } else { Ok(()) }
    }

    fn scalar(&mut self) -> Result<Kind> {
        let (word, kind) = match self.byte() {
            Some(b'n') => ("null", Kind::Null),
            Some(b't') => ("true", Kind::Boolean),
            Some(b'f') => ("false", Kind::Boolean),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                return Ok(Kind::Number);
            }
            _ => return self.expected("a value"),
        };
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.expected("a value");
        }
        self.at += word.len();
        Ok(kind)
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.expected("a digit") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<()> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// From the opening quote to past the closing one; the range of the content.
    #[inline(always)]
    fn string(&mut self) -> Result<Range<usize>> {
        let start = self.at + 1;
        let mut word = start / 64;
        let Some(quotes) = self.quotes.get(word) else { return self.search_string() };
        let mut rest = quotes >> (start % 64) << (start % 64);
        while rest == 0 {
            word += 1;
            let Some(quotes) = self.quotes.get(word) else { return self.search_string() };
            rest = *quotes;
        }
        let end = 64 * word + rest.trailing_zeros() as usize;
        self.at = end + 1;
        Ok(start..end)
    }

    /// The same without the index of quotes.
    #[cold]
    fn search_string(&mut self) -> Result<Range<usize>> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut from = start;
        loop {
            let Some(next) = memchr2(b'"', b'\\', &bytes[from..]) else {
                self.at = bytes.len();
                return self.expected("the end of a string");
            };
            let at = from + next;
            if bytes[at] == b'"' {
                if self.controls && has_controls(&bytes[start..at]) {
                    return self.expected("a string without raw control characters");
                }
                self.at = at + 1;
                return Ok(start..at);
            }
            from = at + 2;
            match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                Some(b'u')
                    if bytes
                        .get(from..from + 4)
                        .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) =>
                {
                    from += 4
                }
                _ => {
                    self.at = at;
                    return self.expected("a valid escape");
                }
            }
        }
    }

    /// Passes over an object or array. The open brackets are a bit string, 1 for an object, so that nothing recurses.
    fn nested(&mut self) -> Result<()> {
        let outer = self.depth;
        let mut objects: u128 = 0;
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    if self.depth == MAX_DEPTH {
                        return Self::too_deep();
                    }
                    self.at += 1;
                    self.depth += 1;
                    objects = objects << 1 | u128::from(bracket == b'{');
                    self.fresh = true;
                }
                Some(b'"') => {
                    self.string()?;
                }
                _ => {
                    self.scalar()?;
                }
            }
            loop {
                if self.depth == outer {
                    return Ok(());
                }
                let more = if objects & 1 == 1 { self.key()?.is_some() } else { self.element()? };
                if more {
                    break;
                }
                objects >>= 1;
            }
        }
    }
}

/// True when there is a control character. The minimum of a chunk is found by vector instructions, which a search that may stop anywhere is not.
fn has_controls(bytes: &[u8]) -> bool {
    bytes
        .chunks(1024)
        .any(|chunk| chunk.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(text: &str) -> std::result::Result<(), DecodeError> {
        let mut scanner = Scanner::new(text);
        scanner.value()?;
        Ok(scanner.end()?)
    }

    proptest! {
        #[test]
        fn accepts_exactly_what_serde_json_accepts(
            text in "([\\[\\]{},:\" \t\n]|\"[a-z\\\\\"]{0,3}\"|\"k\":|\\\\u00|[-+.0eE]|[0-9]{1,3}|true|false|null|\\\\[nu\"]){0,12}",
        ) {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            prop_assert_eq!(accepts(&text).is_ok(), theirs.is_ok(), "{:?} {:?}", text, theirs);
        }

        #[test]
        fn finds_values_where_they_are(entries in proptest::collection::vec((any::<String>(), any::<Option<String>>()), 0..5)) {
            let mut text = String::from(" {");
            for (i, (key, value)) in entries.iter().enumerate() {
                let comma = if i == 0 { "" } else { " ,\n" };
                let (key, value) = (serde_json::to_string(key).unwrap(), serde_json::to_string(value).unwrap());
                text.extend([comma, &key, " : [{\"deep\": ", &value, "}]"]);
            }
            text += "} ";
            let mut scanner = Scanner::new(&text);
            scanner.enter_object().unwrap();
            for (key, value) in &entries {
                let range = scanner.key().unwrap().unwrap();
                let read = crate::model::json::unescape(scanner.bytes(&range)).unwrap();
                prop_assert_eq!(read.as_ref(), key);
                let token = scanner.value().unwrap();
                let read: serde_json::Value = serde_json::from_slice(scanner.bytes(&token.range)).unwrap();
                prop_assert_eq!(read, serde_json::json!([{ "deep": value }]));
            }
            prop_assert_eq!(scanner.key().unwrap(), None);
            scanner.end().unwrap();
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(accepts(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(accepts(&nested(10_000)), Err(DecodeError::NestedTooDeep { limit: MAX_DEPTH }));
        assert_eq!(
            accepts(&"{\"a\":".repeat(10_000)),
            Err(DecodeError::NestedTooDeep { limit: MAX_DEPTH })
        );
    }

    #[test]
    fn control_characters_are_refused_in_strings_only() {
        assert_eq!(accepts("\t[\"a\\tb\",\n\"c\"]"), Ok(()));
        assert!(accepts("[\"a\tb\"]").is_err());
    }
}
