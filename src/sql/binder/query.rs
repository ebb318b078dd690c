//! Queries: table expressions, and UNION ALL over SELECTs.

use std::time::Duration;

use super::relation::{Pseudo, Relation};
use super::{Binder, Result, SqlError, unsupported};
use crate::expr::{Expr, typing};
use crate::model::Column;
use crate::plan::{Mfp, NodeId, Operator, ViewKind};
use crate::sql::ast::{self, Emit, Query};

/// What the place of a query allows.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// How long what it keeps is kept.
    pub retention: Option<Duration>,
    /// It may have a LIMIT.
    pub limit: bool,
}

impl Binder<'_> {
    pub(super) fn query(&mut self, query: &Query, place: Place) -> Result<Relation> {
        let first = query.arms[0].span;
        if query.emit == Some(Emit::Final) {
            return Err(unsupported(first, "EMIT FINAL is"));
        }
        if query.limit.is_some() && !place.limit {
            return Err(unsupported(
                first,
                "LIMIT anywhere but at the end of a SELECT statement is",
            ));
        }
        let outer = self.ctes.len();
        if let Some(with) = &query.with {
            for cte in &with.ctes {
                let relation = self.table_expression(cte, with.recursive)?;
                self.ctes.push((cte.name.name.clone(), relation));
            }
        }
        let relation = self.arms(query, place);
        self.ctes.truncate(outer);
        relation
    }

    fn arms(&mut self, query: &Query, place: Place) -> Result<Relation> {
        if let [only] = &query.arms[..] {
            return self.select(only, place.retention);
        }
        if place.retention.is_some() {
            return Err(unsupported(query.arms[1].span, "RETENTION of a UNION ALL is")
                .hint("give it to the tables in it"));
        }
        let arms = query
            .arms
            .iter()
            .map(|arm| Ok((self.select(arm, None)?, arm)))
            .collect::<Result<Vec<_>>>()?;
        self.union(&arms)
    }

    fn table_expression(&mut self, cte: &ast::Cte, recursive: bool) -> Result<Relation> {
        let mut relation = if recursive && super::recursive::refers_to_itself(cte) {
            self.recursion(cte)?
        } else {
            self.query(&cte.query, Place::default())?
        };
        if !cte.columns.is_empty() {
            rename(&mut relation, cte)?;
        }
        Ok(relation)
    }

    /// UNION ALL: names are those of the first arm, types those that hold the values of all.
    pub(super) fn union(&mut self, arms: &[(Relation, &ast::Select)]) -> Result<Relation> {
        let first = &arms[0].0;
        let names = first.names.clone();
        let mut types: Vec<Column> = self.visible(first).to_vec();
        for (arm, select) in &arms[1..] {
            if arm.names.len() != names.len() {
                let message = format!(
                    "this SELECT has {} columns, the one before UNION ALL has {}",
                    arm.names.len(),
                    names.len()
                );
                return Err(SqlError::new(select.span, message));
            }
            for (column, other) in types.iter_mut().zip(self.visible(arm)) {
                let Some(ty) = typing::common_type(&column.ty, &other.ty) else {
                    let message = format!(
                        "column {} is {} here and {} before UNION ALL",
                        other.name, other.ty, column.ty
                    );
                    return Err(SqlError::new(select.span, message).hint("CAST one of them"));
                };
                column.ty = ty;
                column.ignore_case |= other.ignore_case;
            }
        }
        let pseudo =
            arms.iter().all(|(arm, _)| arm.pseudo.is_some()).then(|| Pseudo::after(names.len()));
        let is_stream = arms.iter().all(|(arm, _)| arm.kind == ViewKind::Stream);
        let same = |of: fn(&Relation) -> &Vec<usize>| {
            let first = of(&arms[0].0);
            if arms.iter().all(|(arm, _)| of(arm) == first) { first.clone() } else { Vec::new() }
        };
        let kafka_key = same(|arm| &arm.kafka_key);
        // what tells the rows of one stream apart tells apart those of several; rows of different tables may be alike
        let identity = if is_stream { same(|arm| &arm.identity) } else { Vec::new() };
        let recursive = arms.iter().any(|(arm, _)| arm.recursive);
        let inputs =
            arms.iter().map(|(arm, _)| self.cast_to(arm, &types, pseudo.is_some())).collect();
        let node = self.script.plan.add(Operator::Union { inputs });
        let kind = if is_stream { ViewKind::Stream } else { ViewKind::Table };
        Ok(Relation {
            node,
            kind,
            names,
            pseudo,
            identity,
            kafka_key,
            lost: None,
            distinct: false,
            recursive,
        })
    }

    pub(super) fn visible(&self, relation: &Relation) -> &[Column] {
        &self.script.plan.schema(relation.node).columns[..relation.names.len()]
    }

    /// The relation's rows with columns of these names and types, to which theirs can be converted, and with the hidden ones or without.
    pub(super) fn cast_to(
        &mut self,
        relation: &Relation,
        columns: &[Column],
        hidden: bool,
    ) -> NodeId {
        let schema = self.script.plan.schema(relation.node).clone();
        let mut columns: Vec<Column> =
            columns.iter().map(|column| Column { key: false, ..column.clone() }).collect();
        let convert = |(i, column): (usize, &Column)| {
            let expr = Expr::column(i, schema.columns[i].ty.clone());
            typing::coerce(expr, &column.ty)
                .expect("the common type of columns holds the values of each")
        };
        let mut exprs: Vec<Expr> = columns.iter().enumerate().map(convert).collect();
        if let Some(pseudo) = relation.pseudo.filter(|_| hidden) {
            for at in pseudo.positions() {
                columns.push(schema.columns[at].clone());
                exprs.push(Expr::column(at, schema.columns[at].ty.clone()));
            }
        }
        self.script.plan.transform(
            relation.node,
            Mfp { predicates: vec![], columns: exprs },
            columns,
        )
    }
}

/// Gives the columns of a table expression the names in its head.
pub(super) fn rename(relation: &mut Relation, cte: &ast::Cte) -> Result<()> {
    if cte.columns.len() != relation.names.len() {
        let message = format!(
            "{} has {} names for the {} columns of its query",
            cte.name,
            cte.columns.len(),
            relation.names.len()
        );
        return Err(SqlError::new(
            cte.columns[0].span.to(cte.columns[cte.columns.len() - 1].span),
            message,
        ));
    }
    for (i, name) in cte.columns.iter().enumerate() {
        if cte.columns[..i].contains(name) {
            return Err(SqlError::new(name.span, format!("there are two columns {name}")));
        }
        relation.names[i].clone_from(&name.name);
    }
    Ok(())
}
