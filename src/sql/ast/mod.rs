//! The syntax tree. Every node prints, through `Display`, SQL that parses to the same tree.
//!
//! Names are kept as they mean (upper-case unless quoted), numbers as exactly as they were written, spans beside the nodes that errors point at.

mod expr;
mod name;
mod query;
mod statement;

pub(super) use expr::Level;
pub use expr::{BinaryOp, Expr, ExprKind, Literal, MAX_HEIGHT, UnaryOp};
pub use name::{Ident, TypeName, written};
pub use query::{
    Cte, Duration, Emit, Item, Join, JoinKind, Query, Relation, RelationKind, Select, TimeUnit,
    Window, WindowKind, With, Within,
};
pub use statement::{
    Assertion, Column, ColumnRole, ConnectorKind, CreateAs, CreateSource, Describe, Explain, List,
    Property, SourceKind, Statement, Which,
};

use std::fmt::{self, Display, Write};

/// Prints items with `, ` between them.
struct Commas<'a, T>(&'a [T]);

impl<T: Display> Display for Commas<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// Prints text as an SQL string.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('\'')?;
        for (i, part) in self.0.split('\'').enumerate() {
            if i > 0 {
                f.write_str("''")?;
            }
            f.write_str(part)?;
        }
        f.write_char('\'')
    }
}
