//! Queries: table expressions, and UNION ALL over SELECTs.

use std::time::Duration;

use super::relation::{Pseudo, Relation};
use super::{Binder, Result, SqlError, unsupported};
use crate::expr::{Expr, typing};
use crate::model::{Column, Type, Value};
use crate::plan::{self, Mfp, NodeId, Operator, ViewKind};
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
        let is_stream = arms.iter().all(|(arm, _)| arm.kind == ViewKind::Stream);
        let mut arms: Vec<Relation> = arms.iter().map(|(arm, _)| arm.clone()).collect();
        for arm in arms.iter_mut().filter(|_| !is_stream) {
            (arm.node, arm.pseudo) = self.with_values(arm.node, arm.pseudo);
        }
        let same = |of: fn(&Relation) -> &Vec<usize>| {
            let first = of(&arms[0]);
            if arms.iter().all(|arm| of(arm) == first) { first.clone() } else { Vec::new() }
        };
        let mut kafka_key = same(|arm| &arm.kafka_key);
        // what tells the events of one stream apart tells apart those of several
        let mut identity = if is_stream { same(|arm| &arm.identity) } else { Vec::new() };
        let width = names.len();
        let is_of_events = !identity.is_empty() && identity.iter().all(|at| *at < width);
        let tombstones =
            arms.iter().any(|arm| arm.pseudo.is_some_and(|pseudo| pseudo.tombstone.is_some()));
        let pseudo = arms.iter().all(|arm| arm.pseudo.is_some()).then(|| Pseudo::after(width));
        let pseudo = pseudo.map(|at| if tombstones { at.with_tombstone() } else { at });
        let hidden = pseudo.map_or(0, |pseudo| pseudo.positions().count());
        let mut arms_hidden: Vec<Vec<(Column, Expr)>> =
            arms.iter().map(|arm| self.pseudo_of(arm, pseudo)).collect();
        if !is_of_events {
            // rows of different arms may be alike
            identity = Vec::new();
            if let Some(columns) = self.identities(&arms) {
                identity = (0..columns[0].len()).map(|i| width + hidden + i).collect();
                arms_hidden.iter_mut().zip(columns).for_each(|(arm, more)| arm.extend(more));
            }
            if !is_stream {
                kafka_key.clone_from(&identity);
            }
        }
        let recursive = arms.iter().any(|arm| arm.recursive);
        let inputs = arms
            .iter()
            .zip(arms_hidden)
            .map(|(arm, hidden)| self.cast_to(arm, &types, hidden))
            .collect();
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

    /// The pseudo columns of an arm, as all arms have them.
    fn pseudo_of(&self, arm: &Relation, wanted: Option<Pseudo>) -> Vec<(Column, Expr)> {
        let (Some(own), Some(wanted)) = (arm.pseudo, wanted) else { return Vec::new() };
        let columns = &self.script.plan.schema(arm.node).columns;
        let mut hidden: Vec<(Column, Expr)> = own
            .positions()
            .map(|at| (columns[at].clone(), Expr::column(at, columns[at].ty.clone())))
            .collect();
        if hidden.len() < wanted.positions().count() {
            hidden.push((plan::tombstone_column(), Expr::null(Type::Boolean)));
        }
        hidden
    }

    /// What tells the rows of all arms apart, as columns of each: the number of the arm, then the
    /// arm's own identity. None where an arm has no identity.
    fn identities(&self, arms: &[Relation]) -> Option<Vec<Vec<(Column, Expr)>>> {
        if arms.iter().any(|arm| arm.identity.is_empty()) {
            return None;
        }
        let column = |arm: &Relation, i: usize| {
            let at = *arm.identity.get(i)?;
            Some(Expr::column(at, self.script.plan.schema(arm.node).columns[at].ty.clone()))
        };
        let number =
            |i: usize| Expr::literal(Value::Int(i32::try_from(i).unwrap_or(i32::MAX)), Type::Int);
        let mut identities: Vec<Vec<(Column, Expr)>> =
            (0..arms.len()).map(|i| vec![(Column::new("BRANCH", Type::Int), number(i))]).collect();
        let most = arms.iter().map(|arm| arm.identity.len()).max()?;
        for i in 0..most {
            let own: Vec<Option<Expr>> = arms.iter().map(|arm| column(arm, i)).collect();
            let common = own.iter().flatten().map(|expr| expr.ty.clone());
            let common = common
                .map(Some)
                .reduce(|a, b| typing::common_type(&a?, &b?))
                .flatten()
                .unwrap_or(Type::Varchar);
            for (identity, expr) in identities.iter_mut().zip(own) {
                let expr = match expr {
                    None => Expr::null(common.clone()),
                    Some(expr) => typing::cast(expr, &common).ok()?,
                };
                identity.push((Column::new(format!("KEY_{i}"), common.clone()), expr));
            }
        }
        Some(identities)
    }

    /// The relation's rows with columns of these names and types, to which theirs can be converted,
    /// and with hidden ones.
    pub(super) fn cast_to(
        &mut self,
        relation: &Relation,
        columns: &[Column],
        hidden: Vec<(Column, Expr)>,
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
        for (column, expr) in hidden {
            columns.push(column);
            exprs.push(expr);
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
