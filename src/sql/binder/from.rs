//! FROM: relations by name, and subqueries.

use super::query::Place;
use super::relation::{Pseudo, Relation, Scope};
use super::{Binder, Result};
use crate::expr::{Expr, typing};
use crate::model::Type;
use crate::plan::{Mfp, NodeId};
use crate::sql::ast::{self, Ident, RelationKind, written};
use crate::sql::error::SqlError;

impl Binder<'_> {
    /// The rows of a FROM clause.
    pub(super) fn from(&mut self, select: &ast::Select) -> Result<Scope> {
        let mut scope = self.relation(&select.from)?;
        let only_projects = select.joins.is_empty()
            && select.filter.is_none()
            && select.group_by.is_none()
            && select.distinct_on.is_none();
        if !only_projects {
            (scope.node, scope.pseudo) = self.with_values(scope.node, scope.pseudo);
        }
        for join in &select.joins {
            let right = self.relation(&join.relation)?;
            scope = self.join(&scope, &right, join)?;
        }
        if scope.is_join()
            && let Some(unnamed) = std::iter::once(&select.from)
                .chain(select.joins.iter().map(|join| &join.relation))
                .find(|relation| is_unnamed(relation))
        {
            return Err(SqlError::new(unnamed.span, "a subquery in a join needs a name")
                .hint("write (…) AS name"));
        }
        Ok(scope)
    }

    /// The rows that stand for records with a value: a record without one goes through projections,
    /// and no further.
    pub(super) fn with_values(
        &mut self,
        node: NodeId,
        pseudo: Option<Pseudo>,
    ) -> (NodeId, Option<Pseudo>) {
        let Some(Pseudo { tombstone: Some(tombstone), .. }) = pseudo else {
            return (node, pseudo);
        };
        let has_value = typing::is_null(Expr::column(tombstone, Type::Boolean), false);
        let columns = self.identity(node);
        let schema = self.script.plan.schema(node).clone();
        let mfp = Mfp { predicates: vec![has_value], columns };
        let node = self.script.plan.transform(node, mfp, schema.columns);
        (node, pseudo.map(|pseudo| Pseudo { tombstone: None, ..pseudo }))
    }

    fn relation(&mut self, relation: &ast::Relation) -> Result<Scope> {
        let (bound, name) = match &relation.kind {
            RelationKind::Named(name) => (self.find(name)?, name.name.clone()),
            RelationKind::Query(query) => (self.query(query, Place::default())?, String::new()),
        };
        let alias = relation.alias.as_ref().map_or(name, |alias| alias.name.clone());
        let schema = self.script.plan.schema(bound.node);
        Ok(Scope::of(bound, alias, schema))
    }

    fn find(&self, name: &Ident) -> Result<Relation> {
        if let Some((_, relation)) = self.ctes.iter().rev().find(|(known, _)| *known == name.name) {
            return Ok(relation.clone());
        }
        self.script.relations.get(&name.name).cloned().ok_or_else(|| {
            let known: Vec<&str> = self
                .ctes
                .iter()
                .map(|(name, _)| &name[..])
                .chain(self.script.relations.keys().map(|name| &name[..]))
                .collect();
            let mut error = SqlError::new(name.span, format!("there is no stream or table {name}"))
                .near_name(&name.name, known.iter().copied());
            if error.hint.is_none() {
                error.expected = known.into_iter().map(written).collect();
            }
            error
        })
    }
}

fn is_unnamed(relation: &ast::Relation) -> bool {
    relation.alias.is_none() && matches!(relation.kind, RelationKind::Query(_))
}
