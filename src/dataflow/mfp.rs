//! Filters and projections, compiled for one operator.
//!
//! Columns that are only moved are copied as they are stored; the rest is evaluated. An expression that fails gives NULL in a projection and drops the row
//! in a predicate, as ksqlDB does; both are counted by their reason.

use std::ops::Range;

use super::counters::{Counter, Counters};
use crate::expr::{Expr, Tuple};
use crate::model::{RowWriter, Value};
use crate::plan::Mfp;

enum Output {
    Copy(usize),
    Evaluate(Expr),
}

/// A compiled [`Mfp`].
pub struct Compiled {
    predicates: Vec<Expr>,
    outputs: Vec<Output>,
    counters: Counters,
}

impl Compiled {
    /// Prepares for evaluation.
    pub fn new(mfp: &Mfp, counters: &Counters) -> Compiled {
        let output = |expr: &Expr| expr.as_column().map_or_else(|| Output::Evaluate(expr.clone()), Output::Copy);
        Compiled { predicates: mfp.predicates.clone(), outputs: mfp.columns.iter().map(output).collect(), counters: counters.clone() }
    }

    /// Writes the resulting row to `out`, unless a predicate is not TRUE.
    #[inline]
    pub fn apply(&self, row: Tuple<'_>, out: &mut Vec<u8>) -> Option<Range<usize>> {
        if !self.passes(row) {
            return None;
        }
        let mut writer = RowWriter::new(out, self.outputs.len());
        for output in &self.outputs {
            match output {
                Output::Copy(column) => writer.raw(row.raw(*column)),
                Output::Evaluate(expr) => match expr.eval(row) {
                    Ok(value) => writer.value(&value),
                    Err(error) => {
                        self.counters.add(Counter::ExpressionNull(error.code()), 1);
                        writer.null();
                    }
                },
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
