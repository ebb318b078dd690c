//! GROUP BY: what expressions mean after it.

use std::cell::RefCell;

use super::expr::{Exprs, at, has_aggregate};
use super::relation::Scope;
use super::{Result, SqlError};
use crate::expr::aggregate::Hidden;
use crate::expr::{Aggregate, Expr, aggregate};
use crate::model::{Schema, Type};
use crate::sql::ast::{self, ExprKind, Ident};

/// The groups of a query. Its rows are the keys, then the aggregates, which are collected while the projection and HAVING are bound.
pub(super) struct Grouping {
    /// Over the rows that are grouped.
    keys: Vec<Expr>,
    keys_ignore_case: Vec<bool>,
    aggregates: RefCell<Vec<Aggregate>>,
    hidden: Hidden,
}

impl Grouping {
    /// Groups the rows of a scope.
    pub fn new(keys: Vec<Expr>, scope: &Scope, schema: &Schema) -> Grouping {
        let column = |at: usize| Expr::column(at, schema.columns[at].ty.clone());
        let hidden = match scope.pseudo {
            Some(pseudo) => Hidden {
                time: Some(column(pseudo.time)),
                offset: Some((column(pseudo.partition), column(pseudo.offset))),
            },
            None => Hidden::default(),
        };
        let keys_ignore_case = keys
            .iter()
            .map(|key| key.as_column().is_some_and(|at| schema.columns[at].ignore_case))
            .collect();
        Grouping { keys, keys_ignore_case, aggregates: RefCell::default(), hidden }
    }

    /// The keys, over the rows that are grouped.
    pub fn keys(&self) -> &[Expr] {
        &self.keys
    }

    /// The aggregates that were used.
    pub fn into_aggregates(self) -> Vec<Aggregate> {
        self.aggregates.into_inner()
    }

    /// True for a column of a group's row that compares without regard to case.
    pub fn ignores_case(&self, column: usize) -> bool {
        match column.checked_sub(self.keys.len()) {
            None => self.keys_ignore_case[column],
            Some(aggregate) => {
                let aggregates = self.aggregates.borrow();
                let aggregate = &aggregates[aggregate];
                aggregate.ty == Type::Varchar
                    && aggregate.args.first().is_some_and(|arg| self.reads_ignoring_case(arg))
            }
        }
    }

    fn reads_ignoring_case(&self, arg: &Expr) -> bool {
        self.keys.iter().zip(&self.keys_ignore_case).any(|(key, ignores)| *ignores && key == arg)
    }

    /// What an expression is to a group, if it is something as a whole: an aggregate, a key, or a constant.
    pub fn bind(&self, exprs: Exprs<'_>, expr: &ast::Expr) -> Result<Option<Expr>> {
        if let ExprKind::Call { name, args } = &expr.kind
            && aggregate::is_aggregate(&name.name)
        {
            return self.aggregate(exprs, expr, name, args).map(Some);
        }
        if has_aggregate(expr) {
            return Ok(None);
        }
        let is_column = matches!(expr.kind, ExprKind::Column { .. });
        let bound = match exprs.ungrouped().bind(expr) {
            Ok(bound) => bound,
            Err(error) if is_column => return Err(error),
            Err(_) => return Ok(None),
        };
        if let Some(at) = self.keys.iter().position(|key| *key == bound) {
            return Ok(Some(Expr::column(at, bound.ty)));
        }
        if bound.is_constant() {
            return Ok(Some(bound));
        }
        if is_column {
            let message = format!("{expr} is neither in GROUP BY nor in an aggregate function");
            return Err(SqlError::new(expr.span, message).hint(format!(
                "group by it, or say which of the group's values is meant: MIN({expr}), say"
            )));
        }
        Ok(None)
    }

    fn aggregate(
        &self,
        exprs: Exprs<'_>,
        expr: &ast::Expr,
        name: &Ident,
        args: &[ast::Expr],
    ) -> Result<Expr> {
        let inside = Exprs { clause: "the argument of another", ..exprs.ungrouped() };
        let args = args.iter().map(|arg| inside.bind(arg)).collect::<Result<Vec<Expr>>>()?;
        let aggregate = aggregate::call(&name.name, args, &self.hidden).map_err(at(expr.span))?;
        let ty = aggregate.ty.clone();
        let mut known = self.aggregates.borrow_mut();
        let at = known.iter().position(|other| *other == aggregate).unwrap_or_else(|| {
            known.push(aggregate);
            known.len() - 1
        });
        Ok(Expr::column(self.keys.len() + at, ty))
    }
}
