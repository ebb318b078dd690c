//! From the text of a value to the value, for every SQL type.
//!
//! The rules are ksqlDB's, so that its topics read the same: `TIMESTAMP` is milliseconds, `DATE` days, `TIME` milliseconds since midnight, `BYTES`
//! base 64. Beyond ksqlDB, the three times are also read as ISO 8601 text, which is how they are printed. A number out of its type's range does
//! not fit; ksqlDB would wrap it around.

use std::str::FromStr;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode};

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
        Type::Double => text.parse().ok().map(Value::Double),
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

/// The value of a JSON number. Integers take the whole part of a fraction, as ksqlDB's do.
pub(super) fn from_number<'a>(text: &'a str, ty: &Type) -> Option<Value<'a>> {
    let whole = |text: &str| -> Option<i64> {
        let number = text.parse().ok();
        number.or_else(|| text.parse::<f64>().ok().filter(|n| n.abs() < 9.2e18).map(|n| n as i64))
    };
    match ty {
        Type::Int => whole(text).and_then(|n| i32::try_from(n).ok()).map(Value::Int),
        Type::BigInt => whole(text).map(Value::BigInt),
        Type::Bytes | Type::Guid | Type::Boolean => None,
        _ => from_text(text, ty),
    }
}

fn iso(text: &str) -> Option<i64> {
    Timestamp::parse(text.as_bytes()).map(|read| read.at.0)
}

/// A decimal with exactly this scale; it must fit without rounding.
fn decimal(text: &str, precision: u16, scale: u16) -> Option<BigDecimal> {
    let value = BigDecimal::from_str(text).ok()?;
    // an exponent may be huge: look at the size before any digit is written out
    let (digits, exponent) = value.as_bigint_and_exponent();
    if digits == BigInt::ZERO {
        return Some(BigDecimal::new(BigInt::ZERO, i64::from(scale)));
    }
    let whole = i64::try_from(value.digits()).ok()?.checked_sub(exponent)?;
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
}
