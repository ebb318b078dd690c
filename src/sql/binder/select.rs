//! SELECT: from the rows of FROM to those of the query.

use std::time::Duration;

use super::aggregate::Grouping;
use super::expr::{Exprs, has_aggregate, is_null, natural_name};
use super::relation::{Pseudo, Relation, Scope};
use super::{Binder, Result, SqlError, unsupported};
use crate::expr::{self, Expr, typing};
use crate::model::{Column, Type};
use crate::plan::{Key, Mfp, Operator, ViewKind};
use crate::sql::ast::{self, ExprKind, Item};
use crate::sql::error::Span;

/// One column of a projection, over the rows of FROM or of a group.
struct Projected {
    name: String,
    expr: Expr,
    ignore_case: bool,
    span: Span,
}

impl Binder<'_> {
    /// The rows of one SELECT. `retention` says how long what the query keeps is kept.
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        retention: Option<Duration>,
    ) -> Result<Relation> {
        let mut scope = self.from(select)?;
        if let Some(window) = &select.window {
            return Err(unsupported(window.span, "WINDOW is"));
        }
        let schema = self.script.plan.schema(scope.node).clone();
        let exprs = Exprs {
            scope: &scope,
            schema: &schema,
            types: &self.script.types,
            clause: "WHERE",
            grouping: None,
        };
        let predicates = select
            .filter
            .as_ref()
            .map(|filter| exprs.conditions(filter))
            .transpose()?
            .unwrap_or_default();

        let Some(keys) = &select.group_by else {
            if let Some(having) = &select.having {
                return Err(
                    SqlError::new(having.span, "HAVING needs a GROUP BY").hint("write WHERE")
                );
            }
            if let Some(aggregate) = select.items.iter().find_map(aggregate_of) {
                return Err(SqlError::new(
                    aggregate.span,
                    "an aggregate function needs a GROUP BY",
                ));
            }
            if let Some(after) = retention {
                let stream = select.distinct_on.is_some() && scope.kind == ViewKind::Stream;
                let Some(pseudo) = scope.pseudo.filter(|_| stream) else {
                    let message = "this query keeps nothing by itself, so RETENTION has no meaning: it is for tables by GROUP BY or DISTINCT ON";
                    return Err(SqlError::new(select.span, message));
                };
                scope.node = self.script.plan.add(Operator::Expire {
                    input: scope.node,
                    time: pseudo.time,
                    after,
                });
            }
            let exprs = Exprs {
                scope: &scope,
                clause: "SELECT",
                types: &self.script.types,
                schema: &schema,
                grouping: None,
            };
            let projected = project(exprs, &select.items)?;
            return self.plain(select, &scope, predicates, projected);
        };
        self.grouped(select, &scope, predicates, keys, retention)
    }

    fn plain(
        &mut self,
        select: &ast::Select,
        scope: &Scope,
        predicates: Vec<Expr>,
        mut projected: Vec<Projected>,
    ) -> Result<Relation> {
        let schema = self.script.plan.schema(scope.node).clone();
        let exprs = Exprs {
            scope,
            schema: &schema,
            types: &self.script.types,
            clause: "DISTINCT ON",
            grouping: None,
        };
        if let Some(keys) = &select.partition_by {
            add_key(
                Exprs { clause: "PARTITION BY", ..exprs },
                keys,
                &select.items,
                &mut projected,
            )?;
        }
        let place = |column: &usize| {
            projected.iter().position(|item| item.expr.as_column() == Some(*column))
        };
        // the identity, and that of DISTINCT ON: columns of the projection where they are there,
        // else columns added for it
        let mut extra: Vec<Expr> = Vec::new();
        let visible = projected.len();
        let hidden = scope.pseudo.map_or(0, |pseudo| pseudo.positions().count());
        let mut distinct = Vec::new();
        for expr in select.distinct_on.iter().flatten() {
            let bound = find_or_alias(exprs, expr, &projected)?;
            distinct.push(if let Some(at) = projected.iter().position(|item| item.expr == bound) {
                at
            } else {
                extra.push(bound);
                visible + hidden + extra.len() - 1
            });
        }

        let (mut identity, mut lost) = (Vec::new(), None);
        // A corrected event replaces what was said of it before, whether or not its identity is
        // shown.
        let may_lack =
            scope.within.is_some() || scope.identity.iter().any(|&at| scope.is_hidden(at));
        for &column in scope.identity.iter().filter(|_| select.distinct_on.is_none()) {
            let pseudo = scope.pseudo.and_then(|pseudo| pseudo.place(column, visible));
            identity.push(place(&column).or(pseudo).unwrap_or_else(|| {
                if !may_lack {
                    lost.get_or_insert_with(|| schema.columns[column].name.clone());
                }
                extra.push(Expr::column(column, schema.columns[column].ty.clone()));
                visible + hidden + extra.len() - 1
            }));
        }
        let kafka_key = match &select.partition_by {
            Some(keys) => {
                partition_by(Exprs { clause: "PARTITION BY", ..exprs }, keys, &projected)?
            }
            None => scope.kafka_key.iter().map(place).collect::<Option<_>>().unwrap_or_default(),
        };
        if let Some(tombstone) = scope.pseudo.and_then(|pseudo| pseudo.tombstone) {
            of_values(&mut projected, tombstone, &scope.kafka_key);
        }
        let (names, mut columns, mut all) = columns(projected)?;
        for at in scope.pseudo.into_iter().flat_map(Pseudo::positions) {
            columns.push(Column { key: false, ..schema.columns[at].clone() });
            all.push(Expr::column(at, schema.columns[at].ty.clone()));
        }
        let mut relation = Relation {
            node: scope.node,
            kind: scope.kind,
            names,
            pseudo: scope.pseudo.map(|pseudo| pseudo.moved(visible)),
            identity,
            kafka_key,
            lost,
            distinct: scope.distinct
                || (select.distinct_on.is_some() && scope.kind == ViewKind::Stream),
            recursive: scope.recursive,
        };
        let output = columns.clone();
        for expr in extra {
            let ignore_case = expr.as_column().is_some_and(|at| schema.columns[at].ignore_case);
            columns.push(Column {
                ignore_case,
                ..Column::new(format!("KEY_{}", columns.len()), expr.ty.clone())
            });
            all.push(expr);
        }
        let plan = &mut self.script.plan;
        relation.node = plan.transform(scope.node, Mfp { predicates, columns: all }, columns);
        if let Some(on) = &select.distinct_on {
            if scope.recursive {
                return Err(SqlError::new(
                    on[0].span,
                    "the step of a recursion cannot have DISTINCT ON",
                ));
            }
            let key = Key::new(distinct.clone(), plan.schema(relation.node));
            relation.node = plan.add(Operator::DistinctOn { input: relation.node, key });
            if output.len() < plan.schema(relation.node).width() {
                let kept = output
                    .iter()
                    .enumerate()
                    .map(|(i, column)| Expr::column(i, column.ty.clone()))
                    .collect();
                relation.node = plan.transform(
                    relation.node,
                    Mfp { predicates: vec![], columns: kept },
                    output,
                );
            }
            relation.lost =
                distinct.iter().position(|at| *at >= visible).map(|i| on[i].to_string());
            relation.identity = if relation.lost.is_none() { distinct } else { Vec::new() };
        }
        if relation.kind == ViewKind::Table && select.partition_by.is_none() {
            relation.kafka_key.clone_from(&relation.identity);
        }
        Ok(relation)
    }

    fn grouped(
        &mut self,
        select: &ast::Select,
        scope: &Scope,
        predicates: Vec<Expr>,
        keys: &[ast::Expr],
        retention: Option<Duration>,
    ) -> Result<Relation> {
        if scope.recursive {
            return Err(SqlError::new(select.span, "the step of a recursion cannot have GROUP BY"));
        }
        if let Some(on) = &select.distinct_on {
            return Err(unsupported(on[0].span, "DISTINCT ON after GROUP BY is"));
        }
        if keys.is_empty() {
            return Err(unsupported(select.span, "GROUP BY () is"));
        }
        let schema = self.script.plan.schema(scope.node).clone();
        let exprs = Exprs {
            scope,
            schema: &schema,
            types: &self.script.types,
            clause: "GROUP BY",
            grouping: None,
        };
        let keys = keys
            .iter()
            .map(|key| group_key(exprs, key, &select.items))
            .collect::<Result<Vec<Expr>>>()?;
        let grouping = Grouping::new(keys, scope, &schema);
        let after = Exprs { clause: "SELECT", grouping: Some(&grouping), ..exprs };
        let projected = project(after, &select.items)?;
        let having = Exprs { clause: "HAVING", ..after };
        let having = select
            .having
            .as_ref()
            .map(|condition| having.conditions(condition))
            .transpose()?
            .unwrap_or_default();
        let kafka_key = match &select.partition_by {
            Some(keys) => {
                Some(partition_by(Exprs { clause: "PARTITION BY", ..after }, keys, &projected)?)
            }
            None => None,
        };
        // keys that are not shown are hidden columns
        let mut lost = None;
        let mut unseen: Vec<Expr> = Vec::new();
        let mut identity = Vec::new();
        for (i, key) in grouping.keys().iter().enumerate() {
            let shown = projected.iter().position(|item| item.expr.as_column() == Some(i));
            identity.push(shown.unwrap_or_else(|| {
                let written = &select.group_by.as_ref().expect("it is grouped")[i];
                lost.get_or_insert_with(|| written.to_string());
                unseen.push(Expr::column(i, key.ty.clone()));
                projected.len() + unseen.len() - 1
            }));
        }

        let retention = match (retention, scope.pseudo) {
            (None, _) => None,
            (Some(after), Some(pseudo)) => Some((pseudo.time, after)),
            (Some(_), None) => {
                return Err(unsupported(
                    select.span,
                    "RETENTION for a table made of rows that do not come from one record is",
                ));
            }
        };
        let parts: Vec<(Expr, bool)> = grouping
            .keys()
            .iter()
            .map(|key| {
                (key.clone(), key.as_column().is_some_and(|at| schema.columns[at].ignore_case))
            })
            .collect();
        let input = if predicates.is_empty() {
            scope.node
        } else {
            let columns = self.identity(scope.node);
            self.script.plan.transform(
                scope.node,
                Mfp { predicates, columns },
                schema.columns.clone(),
            )
        };
        let (input, key) = self.keyed(input, &parts);
        let (names, mut columns, mut exprs) = columns(projected)?;
        for (i, key) in unseen.into_iter().enumerate() {
            columns.push(Column::new(format!("KEY_{i}"), key.ty.clone()));
            exprs.push(key);
        }
        let plan = &mut self.script.plan;
        let node = plan.add(Operator::Aggregate {
            input,
            key,
            aggregates: grouping.into_aggregates(),
            retention,
        });
        let node = plan.transform(node, Mfp { predicates: having, columns: exprs }, columns);
        let kafka_key = kafka_key.unwrap_or_else(|| identity.clone());
        Ok(Relation {
            node,
            kind: ViewKind::Table,
            names,
            pseudo: None,
            identity,
            kafka_key,
            lost,
            distinct: false,
            recursive: false,
        })
    }
}

/// The columns of the projection that make the Kafka key; `PARTITION BY NULL` is none.
fn partition_by(
    exprs: Exprs<'_>,
    keys: &[ast::Expr],
    projected: &[Projected],
) -> Result<Vec<usize>> {
    if keys.iter().all(is_null) {
        return Ok(Vec::new());
    }
    keys.iter()
        .map(|key| {
            let bound = find_or_alias(exprs, key, projected)?;
            projected.iter().position(|item| item.expr == bound).ok_or_else(|| {
                SqlError::new(key.span, format!("the projection has no {key} to partition by"))
                    .hint("add it to the columns after SELECT")
            })
        })
        .collect()
}

/// `SELECT *` has the columns of the Kafka key as well: those that are computed come first.
fn add_key(
    exprs: Exprs<'_>,
    keys: &[ast::Expr],
    items: &[Item],
    projected: &mut Vec<Projected>,
) -> Result<()> {
    if keys.iter().all(is_null) || !items.iter().any(|item| matches!(item, Item::All(_))) {
        return Ok(());
    }
    let mut added = 0;
    for key in keys {
        let expr = find_or_alias(exprs, key, projected)?;
        if projected.iter().any(|item| item.expr == expr) {
            continue;
        }
        let free = |name: &String| {
            !projected.iter().any(|item| item.name == *name) && !Pseudo::NAMES.contains(&&name[..])
        };
        let natural = natural_name(key).map(String::from).filter(free);
        let numbered = || {
            (0..=projected.len())
                .map(|i| format!("KSQL_COL_{i}"))
                .find(free)
                .expect("one number more than columns")
        };
        let name = natural.unwrap_or_else(numbered);
        projected.insert(
            added,
            Projected { ignore_case: exprs.ignores_case(&expr), name, expr, span: key.span },
        );
        added += 1;
    }
    Ok(())
}

/// Makes NULL of what is computed where a row stands for a record without value: such a record has
/// nothing but its key.
fn of_values(projected: &mut [Projected], tombstone: usize, key: &[usize]) {
    for item in projected.iter_mut().filter(|item| item.expr.as_column().is_none()) {
        let mut of_key = !item.expr.is_constant();
        item.expr.columns(&mut |column| of_key &= key.contains(&column));
        if !of_key {
            let ty = item.expr.ty.clone();
            let value = std::mem::replace(&mut item.expr, Expr::null(Type::Null));
            let has_value = typing::is_null(Expr::column(tombstone, Type::Boolean), false);
            let kind = expr::ExprKind::Case { branches: vec![(has_value, value)], otherwise: None };
            item.expr = Expr { kind, ty };
        }
    }
}

/// An expression over the rows of FROM, or else the column of the projection with that alias.
fn find_or_alias(exprs: Exprs<'_>, expr: &ast::Expr, projected: &[Projected]) -> Result<Expr> {
    match (exprs.bind(expr).map(Expr::fold), &expr.kind) {
        (Err(error), ExprKind::Column { source: None, name }) => projected
            .iter()
            .find(|item| item.name == name.name)
            .map(|item| item.expr.clone())
            .ok_or(error),
        (bound, _) => bound,
    }
}

/// A key of GROUP BY: an expression over the rows of FROM, or else the item of the projection with that alias.
fn group_key(exprs: Exprs<'_>, key: &ast::Expr, items: &[Item]) -> Result<Expr> {
    let ExprKind::Column { source: None, name } = &key.kind else { return exprs.bind(key) };
    exprs.bind(key).or_else(|error| {
        let aliased = items.iter().find_map(|item| match item {
            Item::Expr { expr, alias: Some(alias) } if alias.name == name.name => Some(expr),
            _ => None,
        });
        aliased.map_or(Err(error), |expr| exprs.bind(expr))
    })
}

fn aggregate_of(item: &Item) -> Option<&ast::Expr> {
    match item {
        Item::Expr { expr, .. } | Item::Fields(expr) => {
            Some(expr).filter(|expr| has_aggregate(expr))
        }
        Item::All(_) | Item::AllOf(_) => None,
    }
}

/// Names, columns and expressions of a projection; every name once.
fn columns(projected: Vec<Projected>) -> Result<(Vec<String>, Vec<Column>, Vec<Expr>)> {
    let (mut names, mut columns, mut exprs) = (Vec::new(), Vec::new(), Vec::new());
    for item in projected {
        if names.contains(&item.name) {
            return Err(SqlError::new(item.span, format!("there are two columns {}", item.name))
                .hint("give one of them another name: … AS name"));
        }
        if Pseudo::NAMES.contains(&&item.name[..]) {
            return Err(SqlError::new(
                item.span,
                format!("{} is the name of a pseudo column", item.name),
            )
            .hint("give it another: … AS name"));
        }
        columns.push(Column {
            ignore_case: item.ignore_case,
            ..Column::new(item.name.clone(), item.expr.ty.clone())
        });
        names.push(item.name);
        exprs.push(item.expr);
    }
    Ok((names, columns, exprs))
}

fn project(exprs: Exprs<'_>, items: &[Item]) -> Result<Vec<Projected>> {
    let scope = exprs.scope;
    let mut projected: Vec<Projected> = Vec::new();
    let mut unnamed = 0;
    let mut push = |name: String, expr: Expr, span: Span| {
        let expr = expr.fold();
        projected.push(Projected { ignore_case: exprs.ignores_case(&expr), name, expr, span });
    };
    for item in items {
        match item {
            Item::All(span) => {
                for part in &scope.parts {
                    all_of(exprs, &part.alias, *span, &mut push)?;
                }
            }
            Item::AllOf(alias) => all_of(exprs, &scope.part(alias)?.alias, alias.span, &mut push)?,
            Item::Fields(base) => {
                let bound = exprs.bind(base)?;
                let Type::Struct(fields) = bound.ty.clone() else {
                    return Err(super::relation::expected_type(
                        base.span,
                        &base.to_string(),
                        "STRUCT",
                        &bound.ty,
                    ));
                };
                for (name, _) in fields.iter() {
                    let field = crate::expr::typing::field(bound.clone(), name)
                        .map_err(super::expr::at(base.span))?;
                    push(name.clone(), field, base.span);
                }
            }
            Item::Expr { expr, alias } => {
                let bound = exprs.bind(expr)?;
                let name = match (alias, natural_name(expr)) {
                    (Some(alias), _) => alias.name.clone(),
                    (None, Some(name)) => match &expr.kind {
                        ExprKind::Column { source: Some(source), .. }
                            if scope.is_ambiguous(name)
                                || (scope.is_join() && Pseudo::NAMES.contains(&name)) =>
                        {
                            format!("{}_{name}", source.name)
                        }
                        _ => name.to_string(),
                    },
                    (None, None) => {
                        unnamed += 1;
                        format!("KSQL_COL_{}", unnamed - 1)
                    }
                };
                push(name, bound, expr.span);
            }
        }
    }
    Ok(projected)
}

/// All columns of a relation; after a join under its alias.
fn all_of(
    exprs: Exprs<'_>,
    alias: &str,
    span: Span,
    push: &mut impl FnMut(String, Expr, Span),
) -> Result<()> {
    let scope = exprs.scope;
    let part =
        scope.parts.iter().find(|part| part.alias == alias).expect("the alias is one of them");
    for name in &part.names {
        let ident = |name: &str| ast::Ident { name: name.to_string(), span };
        let source = (!alias.is_empty()).then(|| ident(alias));
        let column = ast::Expr::new(ExprKind::Column { source, name: ident(name) }, span);
        let bound = exprs.bind(&column)?;
        push(if scope.is_join() { format!("{alias}_{name}") } else { name.clone() }, bound, span);
    }
    Ok(())
}
