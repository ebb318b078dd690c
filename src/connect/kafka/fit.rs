//! Values that are larger than their topic takes, cut down by rule.
//!
//! A JSON value loses, in this order and no more than it must:
//!
//! 1. of texts what is beyond 8 KiB, then 1 KiB, then 256 bytes; length and hash stay (see [`shorten`]). Command lines are what is long in rows of processes;
//! 2. of lists what is beyond 16 items, then 8, 4, 2, 1, then all. Ancestors are what is in lists, nearest first;
//! 3. of texts what is beyond 64 bytes.
//!
//! What still is too large, and what is no JSON, cannot be cut. Numbers, and what other columns say of a list, stay as they are.

use crate::model::{json, shorten};

/// What a value may have: bytes of each text, items of each list.
#[derive(Clone, Copy)]
struct Limits {
    text: usize,
    items: usize,
}

/// The steps, from the one that loses least.
const STEPS: [Limits; 10] = {
    const fn step(text: usize, items: usize) -> Limits {
        Limits { text, items }
    }
    [
        step(8192, usize::MAX),
        step(1024, usize::MAX),
        step(256, usize::MAX),
        step(256, 16),
        step(256, 8),
        step(256, 4),
        step(256, 2),
        step(256, 1),
        step(256, 0),
        step(64, 0),
    ]
};

/// The value in at most `most` bytes, where cutting helps.
pub fn fit(value: &[u8], most: usize) -> Option<Vec<u8>> {
    serde_json::from_slice::<serde::de::IgnoredAny>(value).ok()?;
    STEPS.iter().find_map(|limits| {
        let mut cut = Cutter { rest: value, limits: *limits, out: Vec::new() };
        cut.value();
        (cut.out.len() <= most).then_some(cut.out)
    })
}

/// Copies well-formed JSON within limits.
struct Cutter<'v> {
    rest: &'v [u8],
    limits: Limits,
    out: Vec<u8>,
}

impl<'v> Cutter<'v> {
    /// The next byte that is no blank.
    fn next(&mut self) -> u8 {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied().unwrap_or(b'}')
    }

    /// Passes over bytes of the value.
    fn take(&mut self, bytes: usize) -> &'v [u8] {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn value(&mut self) {
        match self.next() {
            b'{' => self.members(b'}', |cutter, _| {
                let name = cutter.string();
                cutter.out.extend_from_slice(name);
                cutter.next();
                let colon = cutter.take(1);
                cutter.out.extend_from_slice(colon);
                cutter.value();
            }),
            b'[' => self.members(b']', |cutter, item| {
                let kept = cutter.out.len();
                cutter.value();
                if item >= cutter.limits.items {
                    cutter.out.truncate(kept);
                }
            }),
            b'"' => {
                let string = self.string();
                let content = &string[1..string.len() - 1];
                let text = json::unescape(content);
                match text.and_then(|text| shorten(&text, self.limits.text)) {
                    Some(short) => {
                        self.out.push(b'"');
                        json::escape_into(&short, &mut self.out);
                        self.out.push(b'"');
                    }
                    None => self.out.extend_from_slice(string),
                }
            }
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                let scalar = self.take(self.rest.iter().position(ends).unwrap_or(self.rest.len()));
                self.out.extend_from_slice(scalar);
            }
        }
    }

    /// What stands between brackets. `member` is told how many there were before; one that writes nothing is not there.
    fn members(&mut self, close: u8, mut member: impl FnMut(&mut Cutter<'v>, usize)) {
        let open = self.take(1);
        self.out.extend_from_slice(open);
        let first = self.out.len();
        for number in 0.. {
            if self.next() == close {
                break;
            }
            if self.next() == b',' {
                self.take(1);
                self.next();
            }
            let before = self.out.len();
            if before > first {
                self.out.push(b',');
            }
            let begun = self.out.len();
            member(self, number);
            if self.out.len() == begun {
                self.out.truncate(before);
            }
        }
        self.take(1);
        self.out.push(close);
    }

    /// A string with its quotes.
    fn string(&mut self) -> &'v [u8] {
        let mut end = 1;
        while self.rest[end] != b'"' {
            end += if self.rest[end] == b'\\' { 2 } else { 1 };
        }
        self.take(end + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            "[a\"\\\\\u{1}é]{250,600}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 40, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|members| Value::from(serde_json::Map::from_iter(members))),
            ]
        })
    }

    /// What is left is what was there, with texts that were cut and lists that end earlier.
    fn is_cut_from(cut: &Value, whole: &Value) -> bool {
        match (cut, whole) {
            (Value::String(cut), Value::String(whole)) => {
                cut == whole
                    || cut.rsplit_once("…[").is_some_and(|(kept, _)| whole.starts_with(kept))
            }
            (Value::Array(cut), Value::Array(whole)) => {
                cut.len() <= whole.len() && cut.iter().zip(whole).all(|(a, b)| is_cut_from(a, b))
            }
            (Value::Object(cut), Value::Object(whole)) => {
                cut.keys().eq(whole.keys())
                    && cut.iter().all(|(name, a)| is_cut_from(a, &whole[name]))
            }
            (a, b) => a == b,
        }
    }

    proptest! {
        #[test]
        fn what_fits_is_cut_from_what_was(value in value(), most in 0usize..3000, pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            if let Some(cut) = fit(&text, most) {
                prop_assert!(cut.len() <= most);
                let cut: Value = serde_json::from_slice(&cut).unwrap();
                prop_assert!(is_cut_from(&cut, &value), "{cut} of {value}");
            }
        }
    }

    #[test]
    fn long_texts_go_before_far_ancestors() {
        let line = "x".repeat(40_000);
        let ancestors: Vec<Value> = (1..=32)
            .map(|distance| json!({ "DISTANCE": distance, "COMMAND_LINE": line }))
            .collect();
        let row =
            serde_json::to_vec(&json!({ "KEY": "k", "N": 1.50, "ANCESTORS": ancestors })).unwrap();
        let cut = |most| serde_json::from_slice::<Value>(&fit(&row, most).unwrap()).unwrap();
        let items = |value: &Value| value["ANCESTORS"].as_array().unwrap().len();
        assert_eq!(items(&cut(1_000_000)), 32);
        let short = cut(1_000_000)["ANCESTORS"][0]["COMMAND_LINE"].as_str().unwrap().to_owned();
        assert!(short.len() <= 8192 && short.contains("…[40000 bytes, BLAKE3 "), "{short}");
        assert_eq!((items(&cut(20_000)), items(&cut(5000)), items(&cut(100))), (32, 16, 0));
        assert_eq!(cut(100)["KEY"], "k");
        assert!(fit(&row, 10).is_none());
        assert!(fit(&[b'x'; 100], 50).is_none());
    }
}
