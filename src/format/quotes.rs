//! Where the strings of a JSON text begin and end, found for the whole text at once by vector instructions.
//!
//! This is the first of simdjson's two stages, for quotes only: what stands between strings is a few bytes, for which a walk is as fast. Blocks of 64 bytes
//! become bit masks, one bit per byte, and all decisions are arithmetic on masks, so that neither the lengths of strings nor escapes cost a branch.
//! (Langdale, Lemire: "Parsing gigabytes of JSON per second", 2019.)
//!
//! The strings are checked on the way: escapes, control characters, and that the last one ends. The index of a text in which something is wrong is empty,
//! and the [`Scanner`](super::scan::Scanner) finds strings one by one, which tells where the first error is. A backslash outside of strings would
//! mislead the index, but no further than the scanner gets: it stops there.

use wide::u8x16;

/// The bytes of a block.
const BLOCK: usize = 64;

/// The quotes of one text after the other.
#[derive(Default)]
pub struct Quotes {
    /// Bit `i` of word `w` is set when byte `64 w + i` is a quote that is not escaped.
    words: Vec<u64>,
    canonical: bool,
}

/// What must be known of the blocks before.
#[derive(Default)]
struct Carry {
    /// The first byte of the block is escaped.
    escaped: bool,
    /// All words so far, one over the other: their parity tells whether the block begins within a string.
    quotes: u64,
    /// An escape is broken, or a control character stands in a string.
    broken: bool,
    /// Where escapes begin that are not a backslash and one letter that stands for itself: `\u…`, `\/`.
    unusual: bool,
}

impl Quotes {
    /// Finds the quotes of a text.
    pub fn find(&mut self, text: &str) {
        self.words.clear();
        let bytes = text.as_bytes();
        let blocks = bytes.as_chunks::<16>().0.as_chunks::<4>().0;
        let mut carry = Carry::default();
        self.words.extend(
            blocks.iter().enumerate().map(|(i, block)| carry.block(block, bytes, BLOCK * i)),
        );
        let rest = &bytes[BLOCK * blocks.len()..];
        let mut last = [[b' '; 16]; 4];
        last.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
        self.words.push(carry.block(&last, bytes, BLOCK * blocks.len()));
        if carry.broken || carry.in_string() {
            self.words.clear();
        }
        self.canonical = !carry.unusual;
    }

    /// Bit masks of the quotes; empty when the text is not well-formed.
    #[inline]
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// True when all strings of the text are [canonical](crate::model::json) content. Not every text of which it holds is found.
    #[inline]
    pub fn canonical(&self) -> bool {
        self.canonical && !self.words.is_empty()
    }
}

impl Carry {
    #[inline]
    fn in_string(&self) -> bool {
        self.quotes.count_ones() % 2 == 1
    }

    /// The quotes of the block at `base`.
    #[inline]
    fn block(&mut self, block: &[[u8; 16]; 4], text: &[u8], base: usize) -> u64 {
        let [a, b, c, d] = *block;
        let vectors = [u8x16::new(a), u8x16::new(b), u8x16::new(c), u8x16::new(d)];
        let mut quotes = mask(&vectors, |bytes| bytes.simd_eq(u8x16::splat(b'"')));
        let backslashes = mask(&vectors, |bytes| bytes.simd_eq(u8x16::splat(b'\\')));
        if backslashes != 0 || self.escaped {
            let escaped = self.escaped(backslashes);
            let usual =
                backslashes | quotes | mask(&vectors, |bytes| bytes.simd_eq(u8x16::splat(b'n')));
            if escaped & !usual != 0 {
                self.letters(escaped & !usual, text, base);
            }
            quotes &= !escaped;
        }
        let least = vectors[0].min(vectors[1]).min(vectors[2].min(vectors[3]));
        if least.simd_lt(u8x16::splat(0x20)).any() {
            let controls = mask(&vectors, |bytes| bytes.simd_lt(u8x16::splat(0x20)));
            let outside = if self.in_string() { u64::MAX } else { 0 };
            self.broken |= controls & (parity(quotes) ^ outside) != 0;
        }
        self.quotes ^= quotes;
        quotes
    }

    /// The bytes that a backslash precedes which is not escaped itself: of each run of backslashes every second one, and what follows a run of odd length.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let first = u64::from(self.escaped);
        let starts = backslashes & !first;
        // subtracting the starts from what follows them carries through each run, so that its end falls on an odd bit or an even one
        let ends = (((starts << 1) | ODD).wrapping_sub(starts)) ^ ODD;
        self.escaped = (ends & backslashes) >> 63 == 1;
        ends ^ (backslashes | first)
    }

    /// Checks letters after backslashes.
    #[cold]
    fn letters(&mut self, mut letters: u64, text: &[u8], base: usize) {
        while letters != 0 {
            let at = base + letters.trailing_zeros() as usize;
            letters &= letters - 1;
            match text.get(at) {
                Some(b'b' | b'f' | b'r' | b't') => {}
                Some(b'/') => self.unusual = true,
                Some(b'u') => {
                    self.unusual = true;
                    self.broken |= !text
                        .get(at + 1..at + 5)
                        .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                }
                _ => self.broken = true,
            }
        }
    }
}

/// One bit per byte of a block.
#[inline]
fn mask(vectors: &[u8x16; 4], of: impl Fn(u8x16) -> u8x16) -> u64 {
    let bits = |i: usize| u64::from(of(vectors[i]).to_bitmask());
    bits(0) | bits(1) << 16 | bits(2) << 32 | bits(3) << 48
}

/// From each set bit to before the next one: what quotes enclose, the opening one included.
fn parity(quotes: u64) -> u64 {
    (0..6).fold(quotes, |bits, i| bits ^ bits << (1 << i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::error::DecodeError;
    use crate::format::scan::{Kind, Scanner, Token};
    use proptest::prelude::*;

    /// All tokens, or the first error.
    fn tokens(mut scanner: Scanner<'_>) -> Result<Vec<Token>, DecodeError> {
        let mut tokens = Vec::new();
        if scanner.peek() == Some(b'{') {
            scanner.enter_object()?;
            while let Some(range) = scanner.key()? {
                tokens.push(Token { kind: Kind::String, range });
                tokens.push(scanner.value()?);
            }
        } else {
            tokens.push(scanner.value()?);
        }
        scanner.end()?;
        Ok(tokens)
    }

    /// The index changes nothing, and both agree with `serde_json` on what is well-formed.
    fn check(text: &str) -> Result<(), TestCaseError> {
        let mut quotes = Quotes::default();
        quotes.find("\"left over from the text before");
        quotes.find(text);
        let found = tokens(Scanner::with_quotes(text, &quotes));
        prop_assert_eq!(&found, &tokens(Scanner::new(text)), "{:?}", text);
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(text);
        prop_assert_eq!(found.is_ok(), theirs.is_ok(), "{:?} {:?}", text, theirs);
        if let Ok(found) = found {
            prop_assert!(!quotes.words().is_empty());
            let strings = found.into_iter().filter(|token| token.kind == Kind::String);
            let canonical = strings
                .map(|token| &text[token.range])
                .all(|content| crate::model::json::is_canonical(content.as_bytes()));
            prop_assert!(canonical || !quotes.canonical(), "{:?}", text);
        }
        Ok(())
    }

    /// Pieces of text that make blocks begin and end within anything.
    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[a-z]{0,70}",
            4 => (0..140usize).prop_map(|n| "\\".repeat(n)),
            2 => (0..70usize).prop_map(|n| "\\\\".repeat(n)),
            4 => Just("\"".to_owned()),
            2 => Just("\":\"".to_owned()),
            2 => Just("\",\"".to_owned()),
            2 => proptest::sample::select(vec!["\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\u12", "\\x", "\\t", "\\b\\f\\r"]).prop_map(str::to_owned),
            1 => proptest::char::range('\0', ' ').prop_map(String::from),
            1 => proptest::sample::select(vec!["é", "€", "😀", "{", "}", "[", "]", ":", ",", "0", "null"]).prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn pieces_of_anything(pieces in proptest::collection::vec(piece(), 0..12), around in 0..4usize) {
            let inner = pieces.concat();
            check(&match around {
                0 => inner,
                1 => format!("\"{inner}\""),
                2 => format!("{{\"{inner}\":\"{inner}\"}}"),
                _ => format!("{{\"a\":[{{\"b\":\"{inner}\"}},\"x\"],\"c\":1}}"),
            })?;
        }
    }

    #[test]
    fn runs_of_backslashes_wherever_blocks_end() {
        for before in (0..70).chain(120..132) {
            for run in (0..20).chain(60..70).chain(126..131) {
                for after in ["", "n", "\"", "u0041", "u004", "x", "/"] {
                    check(&format!(
                        "{{\"{}{}{after}\": \"y\"}}",
                        "x".repeat(before),
                        "\\".repeat(run)
                    ))
                    .unwrap();
                }
            }
        }
    }

    #[test]
    fn control_characters_at_every_place() {
        for text in [
            format!("{{\"{0}\" : [\"{0}\", {{\"{0}\": \"\"}}] , \"\":1 }}", "abc".repeat(15)),
            format!("{{\"a\":\"{}\"}}", "b".repeat(150)),
        ] {
            for at in 0..=text.len() {
                for control in ['\0', '\u{1}', '\t', '\n', '\r', '\u{1f}', ' ', '\u{7f}', '\u{80}']
                {
                    let mut text = text.clone();
                    text.insert(at, control);
                    check(&text).unwrap();
                }
            }
        }
    }
}
