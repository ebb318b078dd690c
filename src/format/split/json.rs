//! The end of a JSON value, or the first byte at which it cannot be one.
//!
//! A pushdown automaton over the syntax: which of key, colon, value, comma and end may come
//! next. It builds nothing and looks at each byte once, however often the buffer grows. It is
//! as strict about structure as a parser, so damage shows where it is and not at the end of
//! the file; numbers and words are not looked into.

use memchr::memchr3;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    FirstValueOrEnd,
    Key,
    FirstKeyOrEnd,
    Colon,
    CommaOrEnd,
}

/// What has been found so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The value ends before this byte.
    End(usize),
    /// No JSON has this byte here.
    Contradiction(usize),
    /// The value goes on.
    More,
}

/// A value that is being scanned. Memory: a byte for each bracket that is open.
#[derive(Clone, Debug)]
pub(super) struct Pushdown {
    /// For each open bracket, whether it is that of an object.
    open: Vec<bool>,
    next: Next,
    in_string: bool,
    in_word: bool,
}

impl Pushdown {
    pub fn new() -> Self {
        Self { open: Vec::new(), next: Next::Value, in_string: false, in_word: false }
    }

    /// Scans on from `at`, which is left behind the last byte that was looked at.
    pub fn scan(&mut self, bytes: &[u8], at: &mut usize) -> Progress {
        while let Some(&byte) = bytes.get(*at) {
            if self.in_string {
                let rest = &bytes[*at..];
                let Some(n) = memchr3(b'"', b'\\', b'\n', rest) else {
                    *at = bytes.len();
                    break;
                };
                match rest[n] {
                    b'"' => {
                        self.in_string = false;
                        *at += n + 1;
                    }
                    // what is escaped may not be here yet
                    b'\\' if n + 1 == rest.len() => {
                        *at += n;
                        break;
                    }
                    b'\\' if rest[n + 1] != b'\n' => *at += n + 2,
                    // no string has a line break
                    b'\\' => return Progress::Contradiction(*at + n + 1),
                    _ => return Progress::Contradiction(*at + n),
                }
                continue;
            }
            let word = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
            if word && self.in_word {
                *at += 1;
                continue;
            }
            self.in_word = false;
            match self.step(byte, word) {
                Some(true) => {
                    *at += 1;
                    return Progress::End(*at);
                }
                Some(false) => *at += 1,
                None => return Progress::Contradiction(*at),
            }
        }
        Progress::More
    }

    /// Takes a byte outside of strings; whether the value ends with it; `None` when it
    /// cannot stand here.
    fn step(&mut self, byte: u8, word: bool) -> Option<bool> {
        let value = matches!(self.next, Next::Value | Next::FirstValueOrEnd);
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'"' if value => (self.in_string, self.next) = (true, Next::CommaOrEnd),
            b'"' if matches!(self.next, Next::Key | Next::FirstKeyOrEnd) => {
                (self.in_string, self.next) = (true, Next::Colon);
            }
            b'{' if value => {
                self.open.push(true);
                self.next = Next::FirstKeyOrEnd;
            }
            b'[' if value => {
                self.open.push(false);
                self.next = Next::FirstValueOrEnd;
            }
            b':' if self.next == Next::Colon => self.next = Next::Value,
            b',' if self.next == Next::CommaOrEnd => {
                self.next = if *self.open.last()? { Next::Key } else { Next::Value };
            }
            b'}' if *self.open.last()?
                && matches!(self.next, Next::FirstKeyOrEnd | Next::CommaOrEnd) =>
            {
                return Some(self.close());
            }
            b']' if !*self.open.last()?
                && matches!(self.next, Next::FirstValueOrEnd | Next::CommaOrEnd) =>
            {
                return Some(self.close());
            }
            _ if word && value => (self.in_word, self.next) = (true, Next::CommaOrEnd),
            _ => return None,
        }
        Some(false)
    }

    fn close(&mut self) -> bool {
        self.open.pop();
        self.next = Next::CommaOrEnd;
        self.open.is_empty()
    }
}

/// Whether these bytes are one value and nothing else.
pub(super) fn is_one_value(bytes: &[u8]) -> bool {
    Pushdown::new().scan(bytes, &mut 0) == Progress::End(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],: é\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = String> {
        (json(), any::<bool>()).prop_map(|(value, pretty)| {
            let value = serde_json::json!({ "a": value });
            if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() }
        })
    }

    proptest! {
        /// A value is seen to its end, whatever the steps.
        #[test]
        fn values_end_where_they_end(text in object(), step in 1usize..9) {
            let mut pushdown = Pushdown::new();
            let mut at = 0;
            let bytes = text.as_bytes();
            for end in (step..bytes.len()).step_by(step) {
                prop_assert_eq!(pushdown.scan(&bytes[..end], &mut at), Progress::More);
            }
            prop_assert_eq!(pushdown.scan(bytes, &mut at), Progress::End(bytes.len()));
        }

        /// What a parser takes, this takes; what ends here, a parser refuses for nothing but
        /// words and characters.
        #[test]
        fn as_strict_as_a_parser(
            text in object(),
            place in any::<prop::sample::Index>(),
            byte in prop::sample::select(b"{}[]:,\" x".to_vec()),
        ) {
            let mut bytes = text.into_bytes();
            let at = place.index(bytes.len());
            bytes[at] = byte;
            let parsed = serde_json::from_slice::<Value>(&bytes);
            let ours = is_one_value(&bytes);
            if parsed.is_ok() {
                prop_assert!(ours);
            } else if ours {
                let text = parsed.unwrap_err().to_string();
                let inner =
                    ["number", "ident", "escape", "surrogate", "code point", "value", "control"];
                prop_assert!(inner.iter().any(|word| text.contains(word))
                    || byte == b'x' || byte == b' ', "{text}");
            }
        }
    }
}
