//! Conversion of values: what `CAST` does, and what the printed text of a value is.

use std::fmt::Write;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};

use super::EvalError;
use super::functions::pattern;
use crate::model::timestamp::{Year, civil_from_days, days_from_civil};
use crate::model::value::java_double;
use crate::model::{Guid, Timestamp, Type, Value};

const DAY_MS: i64 = 86_400_000;

/// True when values of the first type can be converted to the second, though a single value may still fail.
pub(super) fn castable(from: &Type, to: &Type) -> bool {
    match (from, to) {
        _ if from == to => true,
        (Type::Null, _)
        | (_, Type::Varchar)
        | (Type::BigInt | Type::Date, Type::Timestamp)
        | (Type::Timestamp, Type::BigInt | Type::Date | Type::Time) => true,
        (Type::Varchar, to) => {
            to.is_numeric()
                || matches!(
                    to,
                    Type::Boolean | Type::Guid | Type::Timestamp | Type::Date | Type::Time
                )
        }
        (_, _) if from.is_numeric() && to.is_numeric() => true,
        (Type::Array(from), Type::Array(to)) => castable(from, to),
        (Type::Map(from), Type::Map(to)) => castable(&from.0, &to.0) && castable(&from.1, &to.1),
        (Type::Struct(from), Type::Struct(to)) => to.iter().all(|(name, to)| {
            from.iter().find(|(n, _)| n == name).is_none_or(|(_, from)| castable(from, to))
        }),
        _ => false,
    }
}

/// Converts a value; NULL stays NULL.
pub(super) fn cast<'a>(value: Value<'a>, from: &Type, to: &Type) -> Result<Value<'a>, EvalError> {
    if value.is_null() || from == to {
        return Ok(value);
    }
    match (value, to) {
        (value, Type::Varchar) => Ok(match value {
            Value::Varchar(text) => Value::Varchar(text),
            value => Value::Varchar(text_of(&value, from).into()),
        }),
        (Value::Varchar(text), to) => parse(&text, to),
        (Value::Int(v), Type::BigInt) => Ok(Value::BigInt(i64::from(v))),
        (Value::Int(v), Type::Double) => Ok(Value::Double(f64::from(v))),
        (Value::Int(v), Type::Decimal(..)) => {
            fit_decimal(&BigDecimal::from(v), to).map(Value::Decimal)
        }
        (Value::BigInt(v), Type::Int) => {
            i32::try_from(v).map(Value::Int).map_err(|_| EvalError::OutOfRange)
        }
        (Value::BigInt(v), Type::Double) => Ok(Value::Double(v as f64)),
        (Value::BigInt(v), Type::Decimal(..)) => {
            fit_decimal(&BigDecimal::from(v), to).map(Value::Decimal)
        }
        (Value::BigInt(v), Type::Timestamp) => Ok(Value::Timestamp(Timestamp(v))),
        (Value::Double(v), Type::Int) => {
            if v > f64::from(i32::MIN) - 1.0 && v < f64::from(i32::MAX) + 1.0 {
                Ok(Value::Int(v as i32))
            } else {
                Err(EvalError::OutOfRange)
            }
        }
        // the bounds are ±2^63, which are doubles
        (Value::Double(v), Type::BigInt) => {
            if v >= i64::MIN as f64 && v < i64::MAX as f64 {
                Ok(Value::BigInt(v as i64))
            } else {
                Err(EvalError::OutOfRange)
            }
        }
        (Value::Double(v), Type::Decimal(..)) => {
            // through the shortest text that is this double, as people read it
            let decimal =
                double_text(v).parse::<BigDecimal>().map_err(|_| EvalError::OutOfRange)?;
            fit_decimal(&decimal, to).map(Value::Decimal)
        }
        (Value::Decimal(v), Type::Int) => v
            .with_scale_round(0, RoundingMode::Down)
            .to_i32()
            .map(Value::Int)
            .ok_or(EvalError::OutOfRange),
        (Value::Decimal(v), Type::BigInt) => v
            .with_scale_round(0, RoundingMode::Down)
            .to_i64()
            .map(Value::BigInt)
            .ok_or(EvalError::OutOfRange),
        (Value::Decimal(v), Type::Double) => {
            Ok(Value::Double(v.to_plain_string().parse().expect("a decimal is a number")))
        }
        (Value::Decimal(v), Type::Decimal(..)) => fit_decimal(&v, to).map(Value::Decimal),
        (Value::Timestamp(v), Type::BigInt) => Ok(Value::BigInt(v.0)),
        (Value::Timestamp(v), Type::Date) => i32::try_from(v.0.div_euclid(DAY_MS))
            .map(Value::Date)
            .map_err(|_| EvalError::OutOfRange),
        (Value::Timestamp(v), Type::Time) => Ok(Value::Time(v.0.rem_euclid(DAY_MS) as i32)),
        (Value::Date(v), Type::Timestamp) => Ok(Value::Timestamp(Timestamp(i64::from(v) * DAY_MS))),
        (Value::Array(items), Type::Array(to)) => {
            let Type::Array(from) = from else { return Err(EvalError::BadCast) };
            items
                .into_iter()
                .map(|item| cast(item, from, to))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        (Value::Map(entries), Type::Map(to)) => {
            let Type::Map(from) = from else { return Err(EvalError::BadCast) };
            let entries: Result<_, EvalError> = entries
                .into_iter()
                .map(|(k, v)| Ok((cast(k, &from.0, &to.0)?, cast(v, &from.1, &to.1)?)))
                .collect();
            Ok(super::eval::map_value(entries?))
        }
        (Value::Struct(mut values), Type::Struct(to)) => {
            let Type::Struct(from) = from else { return Err(EvalError::BadCast) };
            let fields =
                to.iter().map(|(name, to)| match from.iter().position(|(n, _)| n == name) {
                    Some(at) => {
                        cast(std::mem::replace(&mut values[at], Value::Null), &from[at].1, to)
                    }
                    None => Ok(Value::Null),
                });
            fields.collect::<Result<_, _>>().map(Value::Struct)
        }
        _ => Err(EvalError::BadCast),
    }
}

/// The decimal with the scale of its type, rounded half up; an error when it has more digits than the type's precision.
pub(super) fn fit_decimal(value: &BigDecimal, ty: &Type) -> Result<BigDecimal, EvalError> {
    let Type::Decimal(precision, scale) = ty else { return Err(EvalError::BadCast) };
    // a huge exponent must not become a huge number of digits
    if value.digits() as i64 - value.fractional_digit_count() > i64::from(*precision) + 1 {
        return Err(EvalError::OutOfRange);
    }
    let value = value.with_scale_round(i64::from(*scale), RoundingMode::HalfUp);
    if value.digits() > u64::from(*precision) { Err(EvalError::OutOfRange) } else { Ok(value) }
}

/// Reads text as a value of a type, spaces around it aside.
pub(super) fn parse(text: &str, to: &Type) -> Result<Value<'static>, EvalError> {
    let text = text.trim();
    let value = match to {
        Type::Boolean => {
            let lower = text.to_lowercase();
            Some(Value::Boolean(
                !lower.is_empty() && ["true", "yes"].iter().any(|word| word.starts_with(&lower)),
            ))
        }
        Type::Int => text.parse().ok().map(Value::Int),
        Type::BigInt => text.parse().ok().map(Value::BigInt),
        Type::Double => java_double(text).map(Value::Double),
        Type::Decimal(..) => {
            return text
                .parse()
                .map_err(|_| EvalError::BadCast)
                .and_then(|v| fit_decimal(&v, to))
                .map(Value::Decimal);
        }
        Type::Varchar => Some(Value::Varchar(text.to_string().into())),
        Type::Guid => Guid::parse(text.as_bytes()).map(Value::Guid),
        Type::Timestamp => partial_timestamp(text).map(Value::Timestamp),
        Type::Date => pattern::read_date(text).map(Value::Date),
        Type::Time => pattern::read_time(text).map(Value::Time),
        _ => None,
    };
    value.ok_or(EvalError::BadCast)
}

/// A timestamp, or the first digits of one: `2020`, `2020-05`, and `2020-05-01T10` are the starts of their year, month and hour.
fn partial_timestamp(text: &str) -> Option<Timestamp> {
    if let Some(read) = Timestamp::parse_any(text.as_bytes()) {
        return Some(read.at);
    }
    let fill = "0000-01-01T00:00";
    if matches!(text.len(), 4 | 7 | 13) {
        let full = format!("{text}{}", fill.get(text.len()..)?);
        return Timestamp::parse(full.as_bytes()).map(|read| read.at);
    }
    None
}

/// The text of a value as `CAST(… AS VARCHAR)` gives it: ksqlDB's forms, which for doubles and collections are Java's.
pub(super) fn text_of(value: &Value<'_>, ty: &Type) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::Boolean(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::BigInt(v) => v.to_string(),
        Value::Double(v) => double_text(*v),
        Value::Decimal(v) => v.to_plain_string(),
        Value::Varchar(v) => v.to_string(),
        Value::Bytes(v) => v.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
        Value::Guid(v) => v.to_string(),
        Value::Timestamp(v) => {
            let mut text = v.to_string();
            // without the zone
            text.pop();
            text
        }
        Value::Date(days) => date_text(*days),
        Value::Time(ms) => time_text(*ms),
        Value::Array(items) => {
            let item = if let Type::Array(item) = ty { item } else { ty };
            format!("[{}]", items.iter().map(|v| text_of(v, item)).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let (key, item) =
                if let Type::Map(entry) = ty { (&entry.0, &entry.1) } else { (ty, ty) };
            let entries: Vec<_> = entries
                .iter()
                .map(|(k, v)| format!("{}={}", text_of(k, key), text_of(v, item)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Struct(values) => {
            let Type::Struct(fields) = ty else { return String::new() };
            // Java's Struct leaves absent fields out
            let present = values.iter().zip(fields.iter()).filter(|(v, _)| !v.is_null());
            let fields: Vec<_> =
                present.map(|(v, (name, ty))| format!("{name}={}", text_of(v, ty))).collect();
            format!("Struct{{{}}}", fields.join(","))
        }
    }
}

/// `YYYY-MM-DD`
pub(super) fn date_text(days: i32) -> String {
    let (year, month, day) = civil_from_days(i64::from(days));
    format!("{}-{month:02}-{day:02}", Year(year))
}

/// `HH:MM`, with seconds and milliseconds where they are not zero.
fn time_text(ms: i32) -> String {
    let mut text = format!("{:02}:{:02}", ms / 3_600_000, ms / 60_000 % 60);
    if ms % 60_000 != 0 {
        let _ = write!(text, ":{:02}", ms / 1000 % 60);
    }
    if ms % 1000 != 0 {
        let _ = write!(text, ".{:03}", ms % 1000);
    }
    text
}

/// The shortest digits that read back as this double, in Java's notation: `1.0`, `1.0E10`, `NaN`, `Infinity`.
pub(super) fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_string();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_string();
    }
    let magnitude = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("the exponent is always written");
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

/// Days since 1970 of a calendar date, if there is such a day and it fits.
pub(super) fn checked_days(year: i64, month: i64, day: i64) -> Option<i32> {
    if !(-9999..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    (civil_from_days(days) == (year, month, day)).then_some(days as i32)
}
