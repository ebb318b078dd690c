//! `FORMAT='KAFKA'`: one value as Kafka's own serializers write it: big-endian numbers, UTF-8 text, plain bytes.
//!
//! ksqlDB has it for `INT`, `BIGINT`, `DOUBLE`, `VARCHAR` and `BYTES`. `GUID`, which only we have, is its text with braces, as Winlogbeat writes it and as HELK keys its topics.

use super::convert::from_text;
use super::error::{DecodeError, utf8};
use crate::model::row::Raw;
use crate::model::{Type, Value};

/// Whether values of this type have such a form.
pub fn has_form(ty: &Type) -> bool {
    matches!(ty, Type::Int | Type::BigInt | Type::Double | Type::Varchar | Type::Bytes | Type::Guid)
}

/// Appends a value; NULL has no bytes.
pub fn encode(raw: Raw<'_>, ty: &Type, out: &mut Vec<u8>) {
    match raw.value(ty) {
        Value::Int(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::BigInt(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Double(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Varchar(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => out.extend_from_slice(&bytes),
        Value::Guid(guid) => out.extend_from_slice(guid.to_string().as_bytes()),
        _ => {}
    }
}

/// Reads a value of a column.
pub fn decode<'a>(bytes: &'a [u8], column: &str, ty: &Type) -> Result<Value<'a>, DecodeError> {
    let value = match ty {
        Type::Int => bytes.try_into().ok().map(|bytes| Value::Int(i32::from_be_bytes(bytes))),
        Type::BigInt => bytes.try_into().ok().map(|bytes| Value::BigInt(i64::from_be_bytes(bytes))),
        Type::Double => bytes.try_into().ok().map(|bytes| Value::Double(f64::from_be_bytes(bytes))),
        Type::Bytes => Some(Value::Bytes(bytes.into())),
        ty => from_text(utf8(bytes)?, ty),
    };
    value.ok_or_else(|| DecodeError::misfit(column, ty, &String::from_utf8_lossy(bytes)))
}

/// Reads a value of a column as it prints.
pub fn printed<'a>(bytes: &'a [u8], column: &str, ty: &Type) -> Result<Value<'a>, DecodeError> {
    let text = utf8(bytes)?;
    from_text(text, ty).ok_or_else(|| DecodeError::misfit(column, ty, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Guid, Row, RowRef};
    use proptest::prelude::*;

    fn typed() -> impl Strategy<Value = (Type, Value<'static>)> {
        prop_oneof![
            any::<i32>().prop_map(|v| (Type::Int, Value::Int(v))),
            any::<i64>().prop_map(|v| (Type::BigInt, Value::BigInt(v))),
            proptest::num::f64::NORMAL.prop_map(|v| (Type::Double, Value::Double(v))),
            any::<String>().prop_map(|v| (Type::Varchar, Value::Varchar(v.into()))),
            any::<Vec<u8>>().prop_map(|v| (Type::Bytes, Value::Bytes(v.into()))),
            any::<u128>().prop_map(|v| (Type::Guid, Value::Guid(Guid(v)))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back((ty, value) in typed()) {
            prop_assert!(has_form(&ty));
            let row = Row::from_values(std::iter::once(value.clone()));
            let mut bytes = Vec::new();
            encode(RowRef::new(row.bytes(), 1).raw(0), &ty, &mut bytes);
            prop_assert_eq!(decode(&bytes, "C", &ty).unwrap(), value);
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes: Vec<u8>, (ty, _) in typed()) {
            let _ = decode(&bytes, "C", &ty);
        }
    }
}
