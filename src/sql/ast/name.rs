//! Names and the names of types.

use std::fmt;

use super::Commas;
use crate::model::schema::quoted;
use crate::sql::Span;
use crate::sql::token::{is_constructor, is_reserved};

/// A name, as it means: bare names upper-cased, quoted ones as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Ident {
    /// A name from nowhere in the text.
    pub fn new(name: impl Into<String>) -> Ident {
        Ident { name: name.into(), span: Span::default() }
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&written(&self.name))
    }
}

/// A name as it must be typed to mean itself.
pub fn written(name: &str) -> String {
    if is_reserved(name) || is_constructor(name) { format!("`{name}`") } else { quoted(name) }
}

/// A type as it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeName {
    /// A built-in or declared type, perhaps with parameters: `DECIMAL(4, 2)`.
    Named(Ident, Vec<u32>),
    /// `ARRAY<item>`
    Array(Box<TypeName>),
    /// `MAP<key, value>`
    Map(Box<TypeName>, Box<TypeName>),
    /// `STRUCT<name type, …>`
    Struct(Vec<(Ident, TypeName)>),
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeName::Named(name, params) if params.is_empty() => write!(f, "{name}"),
            TypeName::Named(name, params) => write!(f, "{name}({})", Commas(params)),
            TypeName::Array(item) => write!(f, "ARRAY<{item}>"),
            TypeName::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            TypeName::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    write!(f, "{}{name} {ty}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(">")
            }
        }
    }
}
