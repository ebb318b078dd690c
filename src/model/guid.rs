//! 128-bit identifiers, read in every spelling that shippers use, printed in one.

use std::fmt;

use serde::{Deserialize, Serialize};

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
        let mut value = 0u128;
        for (at, &byte) in text.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return None;
                }
                continue;
            }
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => return None,
            };
            value = value << 4 | u128::from(digit);
        }
        Some(Guid(value))
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
