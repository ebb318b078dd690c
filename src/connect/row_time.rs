//! The event time of a record where the statement says in which column it is.

use crate::expr::{Expr, Tuple};
use crate::format::error::DecodeError;
use crate::model::{RowRef, Timestamp, Type, Value};
use crate::plan::Source;

/// Reads the time from a row of that column.
pub struct RowTime {
    column: String,
    ty: Type,
    expr: Expr,
}

impl RowTime {
    /// What sources of one reading say of time, if anything; then a source is put before them that reads the column of all records that any of them reads.
    pub fn of(sources: &mut Vec<Source>) -> Option<RowTime> {
        let mut expr = sources[0].time.clone()?;
        let mut at = 0;
        expr.columns(&mut |column| at = column);
        expr.remap(&|_| 0);
        let events = sources
            .iter()
            .map(|source| source.events)
            .reduce(|all, more| Some(all?.union(more?)))
            .flatten();
        let source = Source { columns: vec![at], events, ..sources[0].clone() };
        let column = source.schema().columns.remove(0);
        sources.insert(0, source);
        Some(RowTime { column: column.name, ty: column.ty, expr })
    }

    /// The time in a row; none if the column is NULL.
    pub fn read(&self, row: RowRef<'_>) -> Result<Option<Timestamp>, DecodeError> {
        match self.expr.eval(Tuple::single(row)) {
            Ok(Value::Timestamp(time)) => Ok(Some(time)),
            Ok(_) => Ok(None),
            Err(_) => {
                let value = row.value(0, &self.ty);
                let text = if let Value::Varchar(text) = &value { text } else { "it" };
                Err(DecodeError::misfit(&self.column, &Type::Timestamp, text))
            }
        }
    }
}
