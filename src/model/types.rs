//! SQL types, by ksqlDB's names plus `GUID`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The type of a column or an expression.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Type {
    /// The type of a bare `NULL`; it can be coerced to every other type.
    Null,
    /// `BOOLEAN`
    Boolean,
    /// `INT`, 32 bits
    Int,
    /// `BIGINT`, 64 bits
    BigInt,
    /// `DOUBLE`, IEEE 754 binary64
    Double,
    /// `DECIMAL(precision, scale)`
    Decimal(u16, u16),
    /// `VARCHAR`, UTF-8
    Varchar,
    /// `BYTES`
    Bytes,
    /// `GUID`, 128 bits; compares with a `VARCHAR` by parsing it
    Guid,
    /// `TIMESTAMP`, milliseconds since 1970 in UTC
    Timestamp,
    /// `DATE`, days since 1970
    Date,
    /// `TIME`, milliseconds since midnight
    Time,
    /// `ARRAY<T>`
    Array(Arc<Type>),
    /// `MAP<K, V>`
    Map(Arc<(Type, Type)>),
    /// `STRUCT<name T, …>`, fields in declared order
    Struct(Arc<[(String, Type)]>),
}

impl Type {
    /// `ARRAY<item>`
    pub fn array(item: Type) -> Type {
        Type::Array(Arc::new(item))
    }

    /// `MAP<key, value>`
    pub fn map(key: Type, value: Type) -> Type {
        Type::Map(Arc::new((key, value)))
    }

    /// Whether the type is made of more than `most` types, itself among them. A type that has another one twice has twice its parts, so what a script says in twenty lines may have a million.
    pub fn is_larger_than(&self, most: usize) -> bool {
        fn count(ty: &Type, left: &mut usize) -> bool {
            if *left == 0 {
                return false;
            }
            *left -= 1;
            match ty {
                Type::Array(item) => count(item, left),
                Type::Map(entry) => count(&entry.0, left) && count(&entry.1, left),
                Type::Struct(fields) => fields.iter().all(|(_, ty)| count(ty, left)),
                _ => true,
            }
        }
        !count(self, &mut { most })
    }

    /// True for the types on which arithmetic is defined.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Type::Int | Type::BigInt | Type::Double | Type::Decimal(..))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Null => f.write_str("NULL"),
            Type::Boolean => f.write_str("BOOLEAN"),
            Type::Int => f.write_str("INTEGER"),
            Type::BigInt => f.write_str("BIGINT"),
            Type::Double => f.write_str("DOUBLE"),
            Type::Decimal(precision, scale) => write!(f, "DECIMAL({precision}, {scale})"),
            Type::Varchar => f.write_str("STRING"),
            Type::Bytes => f.write_str("BYTES"),
            Type::Guid => f.write_str("GUID"),
            Type::Timestamp => f.write_str("TIMESTAMP"),
            Type::Date => f.write_str("DATE"),
            Type::Time => f.write_str("TIME"),
            Type::Array(item) => write!(f, "ARRAY<{item}>"),
            Type::Map(entry) => write!(f, "MAP<{}, {}>", entry.0, entry.1),
            Type::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    write!(
                        f,
                        "{}{} {ty}",
                        if i == 0 { "" } else { ", " },
                        crate::model::schema::quoted(name)
                    )?;
                }
                f.write_str(">")
            }
        }
    }
}
