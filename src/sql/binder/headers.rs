//! Columns of headers: `HEADERS` and `HEADER('name')` in the list of a CREATE statement.
//!
//! A source has either all headers in one column or some by their names, each once, as in ksqlDB.

use super::Result;
use super::relation::expected_type;
use crate::model::Type;
use crate::plan::HeaderColumn;
use crate::sql::ast::{self, ColumnRole};
use crate::sql::error::SqlError;

/// The column of headers that a column of this type is declared as, if any; `before` are those before it in the list.
pub(super) fn header_column<'h>(
    column: &ast::Column,
    ty: &Type,
    before: impl Iterator<Item = &'h HeaderColumn>,
) -> Result<Option<HeaderColumn>> {
    let header = match &column.role {
        ColumnRole::Headers => None,
        ColumnRole::Header(name) => Some(name.clone()),
        ColumnRole::Value | ColumnRole::Key | ColumnRole::PrimaryKey => return Ok(None),
    };
    let new = HeaderColumn { name: column.name.name.clone(), header };
    if *ty != new.ty() {
        return Err(expected_type(column.name.span, &new.name, &new.ty().to_string(), ty));
    }
    for other in before {
        let message = match (&other.header, &new.header) {
            (Some(known), Some(name)) if known != name => continue,
            (Some(_), Some(name)) => format!("{} is the header '{name}' already", other.name),
            (None, None) => format!("{} is all headers already", other.name),
            (..) => {
                "a source has either one column of all HEADERS or columns of single ones".to_owned()
            }
        };
        return Err(SqlError::new(column.name.span, message));
    }
    Ok(Some(new))
}
