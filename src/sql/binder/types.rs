//! Names of types.

use std::collections::BTreeMap;

use super::Result;
use crate::model::Type;
use crate::sql::ast::TypeName;
use crate::sql::error::{Span, SqlError};

const NAMES: [&str; 14] = [
    "BOOLEAN",
    "INT",
    "INTEGER",
    "BIGINT",
    "DOUBLE",
    "DECIMAL",
    "VARCHAR",
    "STRING",
    "BYTES",
    "GUID",
    "TIMESTAMP",
    "DATE",
    "TIME",
    "ARRAY",
];

/// How many types a type may be made of. Types grow with each statement that has an earlier one twice, so without a limit a short script takes for ever.
const PARTS: usize = 10_000;

/// The type, unless it is made of too many.
pub(super) fn bounded(ty: Type, span: Span) -> Result<Type> {
    if ty.is_larger_than(PARTS) {
        let message = format!("this type is made of more than {PARTS} types");
        return Err(SqlError::new(span, message).hint("each use of a type counts all its parts"));
    }
    Ok(ty)
}

/// The type that a name stands for; `declared` are those of CREATE TYPE.
pub(super) fn resolve(name: &TypeName, declared: &BTreeMap<String, Type>) -> Result<Type> {
    let ty = unbounded(name, declared)?;
    if matches!(name, TypeName::Named(..)) { Ok(ty) } else { bounded(ty, place(name)) }
}

/// Where a type is named.
fn place(name: &TypeName) -> Span {
    match name {
        TypeName::Named(ident, _) => ident.span,
        TypeName::Array(item) => place(item),
        TypeName::Map(key, _) => place(key),
        TypeName::Struct(fields) => fields.first().map_or(Span::default(), |(name, _)| name.span),
    }
}

fn unbounded(name: &TypeName, declared: &BTreeMap<String, Type>) -> Result<Type> {
    Ok(match name {
        TypeName::Array(item) => Type::array(resolve(item, declared)?),
        TypeName::Map(key, value) => Type::map(resolve(key, declared)?, resolve(value, declared)?),
        TypeName::Struct(fields) => {
            let fields: Result<Vec<_>> = fields
                .iter()
                .map(|(name, ty)| Ok((name.name.clone(), resolve(ty, declared)?)))
                .collect();
            Type::Struct(fields?.into())
        }
        TypeName::Named(ident, params) => match (&ident.name[..], &params[..]) {
            ("BOOLEAN", []) => Type::Boolean,
            ("INT" | "INTEGER", []) => Type::Int,
            ("BIGINT", []) => Type::BigInt,
            ("DOUBLE", []) => Type::Double,
            ("DECIMAL", &[precision, scale]) => {
                match (u16::try_from(precision), u16::try_from(scale)) {
                    (Ok(precision @ 1..), Ok(scale)) if scale <= precision => {
                        Type::Decimal(precision, scale)
                    }
                    _ => {
                        let message = format!("DECIMAL({precision}, {scale}) has no values");
                        return Err(SqlError::new(ident.span, message).hint(
                            "the first number counts all digits, the second those after the point",
                        ));
                    }
                }
            }
            ("DECIMAL", _) => {
                return Err(SqlError::new(ident.span, "DECIMAL needs a precision and a scale")
                    .hint("such as DECIMAL(10, 2)"));
            }
            ("VARCHAR" | "STRING", [] | [_]) => Type::Varchar,
            ("BYTES", []) => Type::Bytes,
            ("GUID", []) => Type::Guid,
            ("TIMESTAMP", []) => Type::Timestamp,
            ("DATE", []) => Type::Date,
            ("TIME", []) => Type::Time,
            (other, params) => match declared.get(other) {
                Some(ty) if params.is_empty() => ty.clone(),
                _ if NAMES.contains(&other) || declared.contains_key(other) => {
                    return Err(SqlError::new(
                        ident.span,
                        format!("{ident} takes no parameters like these"),
                    ));
                }
                _ => {
                    let known = NAMES.into_iter().chain(declared.keys().map(|name| &name[..]));
                    return Err(SqlError::new(ident.span, format!("there is no type {ident}"))
                        .near(other, known));
                }
            },
        },
    })
}
