//! Filters and projections, compiled for one operator.
//!
//! Columns that are only moved are copied as they are stored, neighbours at once, constants as they were packed once; the rest is evaluated. An expression that fails gives NULL in a projection and drops the row
//! in a predicate, as ksqlDB does; both are counted by their reason.

use std::ops::Range;

use super::counters::{Counter, Counters};
use crate::expr::{Expr, Tuple};
use crate::model::{Row, RowRef, RowWriter, Value};
use crate::plan::Mfp;

enum Output {
    /// Columns that are neighbours in both rows.
    Copy(Range<usize>),
    /// The same on every row, as a packed row of one column.
    Constant(Row),
    Evaluate(Expr),
}

/// A compiled [`Mfp`].
pub struct Compiled {
    predicates: Vec<Expr>,
    width: usize,
    outputs: Vec<Output>,
    counters: Counters,
}

impl Compiled {
    /// Prepares for evaluation.
    pub fn new(mfp: &Mfp, counters: &Counters) -> Compiled {
        let mut outputs = Vec::new();
        for expr in &mfp.columns {
            let expr = expr.clone().fold();
            match (expr.as_column(), expr.as_literal(), outputs.last_mut()) {
                (Some(column), _, Some(Output::Copy(columns))) if columns.end == column => {
                    columns.end += 1
                }
                (Some(column), ..) => outputs.push(Output::Copy(column..column + 1)),
                (_, Some(value), _) => {
                    outputs.push(Output::Constant(Row::from_values(std::iter::once(value.clone()))))
                }
                _ => outputs.push(Output::Evaluate(expr)),
            }
        }
        Compiled {
            predicates: mfp.predicates.clone(),
            width: mfp.columns.len(),
            outputs,
            counters: counters.clone(),
        }
    }

    /// Columns of the resulting rows.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Writes the resulting row to `out`, unless a predicate is not TRUE.
    #[inline]
    pub fn apply(&self, row: Tuple<'_>, out: &mut Vec<u8>) -> Option<Range<usize>> {
        if !self.passes(row) {
            return None;
        }
        let mut writer = RowWriter::new(out, self.width);
        for output in &self.outputs {
            match output {
                Output::Copy(columns) => row.write_run(columns.clone(), &mut writer),
                Output::Constant(packed) => writer.raw(RowRef::new(packed.bytes(), 1).raw(0)),
                Output::Evaluate(expr) => {
                    if let Err(error) = expr.write(row, &mut writer) {
                        self.counters.add(Counter::ExpressionNull(error.code()), 1);
                        writer.null();
                    }
                }
            }
        }
        Some(writer.finish())
    }

    /// True when all predicates are TRUE.
    #[inline]
    pub fn passes(&self, row: Tuple<'_>) -> bool {
        self.predicates.iter().all(|predicate| match predicate.eval(row) {
            Ok(value) => matches!(value, Value::Boolean(true)),
            Err(error) => {
                self.counters.add(Counter::PredicateDrop(error.code()), 1);
                false
            }
        })
    }
}
