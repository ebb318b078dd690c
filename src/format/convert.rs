//! From the text of a value to the value, for every SQL type.
//!
//! The rules are ksqlDB's, so that its topics read the same: `TIMESTAMP` is milliseconds, `DATE` days, `TIME` milliseconds since midnight, `BYTES`
//! base 64. Beyond ksqlDB, the three times are also read as ISO 8601 text, which is how they are printed. A number out of its type's range does
//! not fit; ksqlDB would wrap it around.

use std::str::FromStr;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

use crate::model::value::java_double;
use crate::model::{Guid, Timestamp, Type, Value};

const DAY_MS: i64 = 86_400_000;

/// The value that `text` spells. `None` when it does not fit, as for types that have no such spelling.
pub(super) fn from_text<'a>(text: &'a str, ty: &Type) -> Option<Value<'a>> {
    match ty {
        Type::Varchar => Some(Value::text(text)),
        Type::Boolean if text.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
        Type::Boolean if text.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
        Type::Int => text.parse().ok().map(Value::Int),
        Type::BigInt => text.parse().ok().map(Value::BigInt),
        Type::Double => java_double(text).map(Value::Double),
        Type::Decimal(precision, scale) => decimal(text, *precision, *scale).map(Value::Decimal),
        Type::Bytes => base64(text.as_bytes()).map(|bytes| Value::Bytes(bytes.into())),
        Type::Guid => Guid::parse(text.as_bytes()).map(Value::Guid),
        Type::Timestamp => {
            let ms = text.parse().ok().or_else(|| iso(text));
            ms.map(|ms| Value::Timestamp(Timestamp(ms)))
        }
        Type::Date => {
            let days = text
                .parse()
                .ok()
                .or_else(|| iso(text).filter(|ms| ms % DAY_MS == 0).map(|ms| (ms / DAY_MS) as i32));
            days.map(Value::Date)
        }
        Type::Time => {
            let ms = text
                .parse()
                .ok()
                .or_else(|| iso(&format!("1970-01-01T{text}")).map(|ms| ms as i32));
            ms.filter(|ms| (0..DAY_MS).contains(&i64::from(*ms))).map(Value::Time)
        }
        Type::Boolean | Type::Null | Type::Array(_) | Type::Map(_) | Type::Struct(_) => None,
    }
}

/// The value of a JSON number, exactly. Integers take the whole part of a fraction, as ksqlDB's do.
pub(super) fn from_number<'a>(text: &'a str, ty: &Type) -> Option<Value<'a>> {
    let whole = |text: &str| text.parse().ok().or_else(|| whole(text));
    match ty {
        Type::Int => whole(text).and_then(|n| i32::try_from(n).ok()).map(Value::Int),
        Type::BigInt => whole(text).map(Value::BigInt),
        Type::Bytes | Type::Guid | Type::Boolean => None,
        _ => from_text(text, ty),
    }
}

fn iso(text: &str) -> Option<i64> {
    Timestamp::parse_any(text.as_bytes()).map(|read| read.at.0)
}

/// Digits of a number before its point; none or less for a fraction. An exponent may be huge: its
/// digits must not be written out.
fn whole_digits(value: &BigDecimal) -> Option<i64> {
    let (_, exponent) = value.as_bigint_and_exponent();
    i64::try_from(value.digits()).ok()?.checked_sub(exponent)
}

/// The whole part of a number.
fn whole(text: &str) -> Option<i64> {
    let value = BigDecimal::from_str(text).ok()?;
    match whole_digits(&value)? {
        ..=0 => Some(0),
        1..=19 => value.with_scale_round(0, RoundingMode::Down).to_i64(),
        _ if value.is_zero() => Some(0),
        _ => None,
    }
}

/// A decimal with exactly this scale; it must fit without rounding.
fn decimal(text: &str, precision: u16, scale: u16) -> Option<BigDecimal> {
    let value = BigDecimal::from_str(text).ok()?;
    // an exponent may be huge: look at the size before any digit is written out
    let (digits, exponent) = value.as_bigint_and_exponent();
    if digits == BigInt::ZERO {
        return Some(BigDecimal::new(BigInt::ZERO, i64::from(scale)));
    }
    let whole = whole_digits(&value)?;
    if whole > i64::from(precision) - i64::from(scale) || exponent > 10_000 {
        return None;
    }
    let scaled = value.with_scale_round(i64::from(scale), RoundingMode::Down);
    (scaled == value).then_some(scaled)
}

/// Base 64 with the usual alphabet and padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(base64(b"Zg="), None);
        assert_eq!(base64(b"Z_=="), None);
    }

    #[test]
    fn decimals_fit_or_do_not() {
        let read = |text| decimal(text, 4, 2).map(|value| value.to_plain_string());
        assert_eq!(read("10.1").as_deref(), Some("10.10"));
        assert_eq!(read("1e1").as_deref(), Some("10.00"));
        assert_eq!(read("0e999999999").as_deref(), Some("0.00"));
        for text in ["100", "1.001", "1e999999999", "1e-999999999", "x"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn times_by_number_and_by_text() {
        assert_eq!(from_text("2018-04-11", &Type::Date), from_text("17632", &Type::Date));
        assert_eq!(from_text("00:00:01.5", &Type::Time), Some(Value::Time(1500)));
        assert_eq!(
            from_text("1970-01-01T00:00:01Z", &Type::Timestamp),
            from_number("1000", &Type::Timestamp)
        );
        assert_eq!(from_text("86400000", &Type::Time), None);
        assert_eq!(from_number("2147483648", &Type::Int), None);
        assert_eq!(from_number("1.9", &Type::Int), Some(Value::Int(1)));
    }

    #[test]
    fn numbers_are_read_exactly() {
        let read = |text| from_number(text, &Type::BigInt);
        for (text, value) in [
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("9223372036854775807.9", i64::MAX),
            ("-9223372036854775808.9", i64::MIN),
            ("1.23456789012345678e17", 123_456_789_012_345_678),
            ("922337203685477580700e-2", i64::MAX),
            ("-1.9", -1),
            ("1e-999999999", 0),
            ("0e999999999", 0),
        ] {
            assert_eq!(read(text), Some(Value::BigInt(value)), "{text}");
        }
        for text in ["9223372036854775808", "9223372036854775808.0", "1e999999999", "1e19"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn doubles_that_are_no_numbers_are_javas() {
        let read = |text| match from_text(text, &Type::Double) {
            Some(Value::Double(v)) => Some(v.to_string()),
            _ => None,
        };
        assert_eq!(read("NaN").as_deref(), Some("NaN"));
        assert_eq!(read("-Infinity").as_deref(), Some("-inf"));
        assert_eq!(read("+Infinity").as_deref(), Some("inf"));
        for text in ["nan", "inf", "infinity", "INFINITY", "-inf"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
