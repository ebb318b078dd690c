//! WITH RECURSIVE: `base UNION ALL step`.
//!
//! SELECTs that do not name the expression are the base, those that do are the step; each of these names it once. The types are the base's.
//! The dataflow derives rows round by round as a bag, so the step may filter, project and join with tables, and must end by itself:
//! by a condition on a depth, say. One that does not is given up after a number of rounds, which
//! `SET 'helkflow.recursion.rounds' = '…'` says.

use super::relation::Relation;
use super::{Binder, Result, SqlError};
use crate::expr::{Expr, typing};
use crate::model::Schema;
use crate::plan::{self, Operator, ViewKind};
use crate::sql::ast::{Cte, Emit, Ident, Query, RelationKind, Select};

/// The setting that says after how many rounds a recursion is given up.
const ROUNDS: &str = "helkflow.recursion.rounds";

/// True when the query of a table expression reads the expression.
pub(super) fn refers_to_itself(cte: &Cte) -> bool {
    !references(&cte.query, &cte.name.name).is_empty()
}

/// The places in which a query reads the relation of that name.
fn references<'q>(query: &'q Query, name: &str) -> Vec<&'q Ident> {
    let ctes = query.with.iter().flat_map(|with| &with.ctes);
    let mut found: Vec<&Ident> =
        ctes.clone().flat_map(|cte| references(&cte.query, name)).collect();
    if !ctes.into_iter().any(|cte| cte.name.name == name) {
        found.extend(query.arms.iter().flat_map(|arm| references_in(arm, name)));
    }
    found
}

fn references_in<'q>(select: &'q Select, name: &str) -> Vec<&'q Ident> {
    let relations =
        std::iter::once(&select.from).chain(select.joins.iter().map(|join| &join.relation));
    relations
        .flat_map(|relation| match &relation.kind {
            RelationKind::Named(ident) if ident.name == name => vec![ident],
            RelationKind::Named(_) => vec![],
            RelationKind::Query(query) => references(query, name),
        })
        .collect()
}

impl Binder<'_> {
    pub(super) fn recursion(&mut self, cte: &Cte) -> Result<Relation> {
        let Query { with, arms, emit, limit } = &cte.query;
        if with.is_some() || limit.is_some() || *emit == Some(Emit::Final) {
            return Err(SqlError::new(
                cte.name.span,
                "a recursion must be SELECT … UNION ALL SELECT …, without WITH, LIMIT or EMIT FINAL of its own",
            ));
        }
        let (steps, bases): (Vec<&Select>, Vec<&Select>) =
            arms.iter().partition(|arm| !references_in(arm, &cte.name.name).is_empty());
        if bases.is_empty() {
            let error = SqlError::new(
                cte.name.span,
                format!(
                    "{} has nowhere to start: every SELECT in it reads {} itself",
                    cte.name, cte.name
                ),
            );
            return Err(error.hint("begin with a SELECT from something else, then UNION ALL"));
        }
        for step in &steps {
            if let [_, second, ..] = references_in(step, &cte.name.name)[..] {
                return Err(SqlError::new(
                    second.span,
                    format!(
                        "{second} is read a second time: the step of a recursion can read it once"
                    ),
                ));
            }
        }

        let mut base = self.select_all(&bases)?;
        (base.node, base.pseudo) = self.with_values(base.node, base.pseudo);
        if !cte.columns.is_empty() {
            super::query::rename(&mut base, cte)?;
        }
        let columns: Vec<_> = self
            .visible(&base)
            .iter()
            .zip(&base.names)
            .map(|(column, name)| named(column, name))
            .collect();
        let base_node = self.cast_to(&base, &columns, Vec::new());
        let schema = Schema { columns };
        let name = format!("{}#{}", cte.name.name, self.script.plan.nodes().count());
        let variable = self.script.plan.add(Operator::Variable { name, schema: schema.clone() });
        let found = Relation {
            node: variable,
            kind: ViewKind::Table,
            names: base.names.clone(),
            pseudo: None,
            identity: Vec::new(),
            kafka_key: Vec::new(),
            lost: None,
            distinct: false,
            recursive: true,
        };
        self.ctes.push((cte.name.name.clone(), found.clone()));
        let step = self.select_all(&steps);
        self.ctes.pop();
        let step = step?;
        if step.names.len() != base.names.len() {
            let message = format!(
                "this SELECT has {} columns, the start of the recursion has {}",
                step.names.len(),
                base.names.len()
            );
            return Err(SqlError::new(steps[0].span, message));
        }
        for (i, column) in self.visible(&step).iter().enumerate() {
            let to = &schema.columns[i];
            if typing::coerce(Expr::column(i, column.ty.clone()), &to.ty).is_none() {
                let message = format!(
                    "column {} is {} at the start of the recursion and {} in its step",
                    to.name, to.ty, column.ty
                );
                return Err(SqlError::new(steps[0].span, message).hint("CAST one of them"));
            }
        }
        let step = self.cast_to(&step, &schema.columns, Vec::new());
        let rounds = self.rounds(cte)?;
        let node =
            self.script.plan.add(Operator::Recursive { base: base_node, step, variable, rounds });
        Ok(Relation { node, recursive: false, ..found })
    }

    /// After how many rounds a recursion is given up.
    fn rounds(&self, cte: &Cte) -> Result<u64> {
        let Some(text) = self.script.settings.get(ROUNDS) else { return Ok(plan::ROUNDS) };
        text.parse().ok().filter(|rounds| *rounds > 0).ok_or_else(|| {
            SqlError::new(
                cte.name.span,
                format!("'{ROUNDS}' is '{text}', which is no number above zero"),
            )
        })
    }

    fn select_all(&mut self, selects: &[&Select]) -> Result<Relation> {
        let mut arms = selects
            .iter()
            .map(|arm| Ok((self.select(arm, None)?, *arm)))
            .collect::<Result<Vec<_>>>()?;
        if arms.len() == 1 { Ok(arms.remove(0).0) } else { self.union(&arms) }
    }
}

fn named(column: &crate::model::Column, name: &str) -> crate::model::Column {
    crate::model::Column { name: name.to_string(), key: false, ..column.clone() }
}
