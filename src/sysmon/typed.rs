//! Values of fields that are not text.

use super::catalogue::FieldType;
use crate::model::Guid;

/// What a typed field turned out to be.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) enum Typed {
    /// Absent.
    #[default]
    Null,
    Int(i32),
    Flag(bool),
    Guid(Guid),
    /// Present, and not of the type.
    Misfit,
}

impl Typed {
    /// Reads the text of a field. Text fields are not read.
    pub fn read(text: &[u8], ty: FieldType) -> Typed {
        let read = match ty {
            FieldType::Text => None,
            FieldType::Int => {
                integer(text).and_then(|value| i32::try_from(value).ok()).map(Typed::Int)
            }
            FieldType::Flag => flag(text).map(Typed::Flag),
            FieldType::Guid => Guid::parse(text).map(Typed::Guid),
        };
        read.unwrap_or(Typed::Misfit)
    }
}

/// True for the texts by which Sysmon says that there is nothing.
pub(super) fn says_none(text: &[u8]) -> bool {
    matches!(text, b"" | b"-")
}

/// A decimal or `0x` hexadecimal integer; a fraction of zeros is let pass, since some tools make every number a float.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    // nearly all are plain
    if (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        return Some(text.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0')));
    }
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return if digits.starts_with(['+', '-']) {
            None
        } else {
            i64::from_str_radix(digits, 16).ok()
        };
    }
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    if whole.starts_with('+') { None } else { whole.parse().ok() }
}

fn flag(text: &[u8]) -> Option<bool> {
    match text {
        b"1" => Some(true),
        b"0" => Some(false),
        _ if text.eq_ignore_ascii_case(b"true") => Some(true),
        _ if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let cases: [(&str, Option<i64>); 10] = [
            ("4676", Some(4676)),
            (" 4676", Some(4676)),
            ("0x1A4", Some(420)),
            ("4676.0", Some(4676)),
            ("4676.5", None),
            ("-1", Some(-1)),
            ("", None),
            ("-", None),
            ("0x-1", None),
            ("99999999999999999999", None),
        ];
        for (text, value) in cases {
            assert_eq!(integer(text.as_bytes()), value, "{text}");
        }
        assert_eq!(Typed::read(b"4294967296", FieldType::Int), Typed::Misfit);
        assert_eq!(Typed::read(b"TRUE", FieldType::Flag), Typed::Flag(true));
        assert_eq!(Typed::read(b"yes", FieldType::Flag), Typed::Misfit);
    }
}
