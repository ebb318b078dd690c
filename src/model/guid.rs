//! 128-bit identifiers, read in every spelling that shippers use, printed in one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A Windows GUID by the digits of its text, most significant first, so that ordering the numbers orders the texts.
///
/// Sysmon's ProcessGuid and LogonGuid are of this type. It is printed upper-case with braces whatever spelling was read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Guid(pub u128);

impl Guid {
    /// The all-zero GUID: "no process". It joins nothing and makes no group.
    pub const ZERO: Guid = Guid(0);

    /// Length of the printed form, braces included.
    pub const TEXT_LEN: usize = 38;

    /// Reads `{42664804-F73D-5C63-0000-0010862A0400}` in upper or lower case, with or without braces, with spaces around.
    ///
    /// Anything else, hyphens in other places included, is `None`.
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Guid> {
        let text = text.trim_ascii();
        let text = match text {
            [b'{', inner @ .., b'}'] => inner,
            _ => text,
        };
        if text.len() != 36 {
            return None;
        }
        if [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
            return None;
        }
        let digits = |first: usize, second: usize| {
            let half = |at: usize| {
                u64::from(u32::from_be_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]))
            };
            eight_digits(half(first) << 32 | half(second))
        };
        let high = u64::from(digits(0, 4)?) << 32 | u64::from(digits(9, 14)?);
        let low = u64::from(digits(19, 24)?) << 32 | u64::from(digits(28, 32)?);
        Some(Guid(u128::from(high) << 64 | u128::from(low)))
    }

    /// When the process began whose Sysmon ProcessGuid this is, to the second; `None` for the zero
    /// GUID and for times before 2001, when no system with Sysmon was.
    ///
    /// Seconds since 1970 are the second group of the text (low half) and the third (high half).
    pub fn time(self) -> Option<Timestamp> {
        const EARLIEST: i64 = 978_307_200;
        let (low, high) = (self.0 >> 80 & 0xFFFF, self.0 >> 64 & 0xFFFF);
        // the value is 32 bits wide, so the other bound is 2106
        let seconds = (high << 16 | low) as i64;
        (seconds >= EARLIEST).then_some(Timestamp(seconds * 1000))
    }

    /// True for the all-zero GUID.
    #[inline]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The printed form, without allocation.
    #[inline]
    pub fn text(self) -> [u8; Self::TEXT_LEN] {
        let mut text = *b"{00000000-0000-0000-0000-000000000000}";
        let mut rest = self.0;
        for at in (1..37).rev() {
            if text[at] == b'-' {
                continue;
            }
            text[at] = b"0123456789ABCDEF"[(rest & 15) as usize];
            rest >>= 4;
        }
        text
    }
}

/// The number that eight hexadecimal digits spell, all at once: a byte of the word is a digit, the first the most significant.
#[inline]
fn eight_digits(text: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let seven = text & (ONES * 0x7f);
    // in the high bit of each byte
    let at_least = |word: u64, least: u8| word + ONES * u64::from(0x80 - least);
    let within = |word: u64, from: u8, to: u8| at_least(word, from) & !at_least(word, to + 1);
    let letter = within(seven | (ONES * 0x20), b'a', b'f');
    let valid = (within(seven, b'0', b'9') | letter) & !text;
    if valid & (ONES * 0x80) != ONES * 0x80 {
        return None;
    }
    let mut nibbles = (text & (ONES * 0x0f)) + (letter >> 7 & ONES) * 9;
    nibbles = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles >> 8) & 0x0000_ffff_0000_ffff;
    Some((nibbles | nibbles >> 16) as u32)
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.text()).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_spelling_reads_back(bits: u128) {
            let text = Guid(bits).to_string();
            for spelling in [text.clone(), text.to_lowercase(), text[1..37].to_string(), format!(" {text} ")] {
                prop_assert_eq!(Guid::parse(spelling.as_bytes()), Some(Guid(bits)));
            }
        }

        #[test]
        fn digits_are_what_the_standard_library_takes_for_digits(text in proptest::array::uniform8(any::<u8>()), hex in "[0-9A-Fa-f]{8}", at in 0..8usize) {
            let mut nearly: [u8; 8] = hex.as_bytes().try_into().unwrap();
            nearly[at] = text[at];
            for text in [text, nearly] {
                let digits = Some(&text[..]).filter(|text| text.iter().all(u8::is_ascii_hexdigit));
                let expected = digits.map(|digits| u32::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
                prop_assert_eq!(eight_digits(u64::from_be_bytes(text)), expected);
            }
        }

        #[test]
        fn order_of_bits_is_order_of_texts(a: u128, b: u128) {
            prop_assert_eq!(Guid(a).cmp(&Guid(b)), Guid(a).to_string().cmp(&Guid(b).to_string()));
        }
    }

    #[test]
    fn garbage_is_not_a_guid() {
        for text in [
            "",
            "{}",
            "-",
            "{0000000-00000-0000-0000-000000000000}",
            "A98268C19C2E5ACD00000000000000AA",
            "{G98268C1-9C2E-5ACD-0000-0010862A0400}",
        ] {
            assert_eq!(Guid::parse(text.as_bytes()), None, "{text}");
        }
    }
}
