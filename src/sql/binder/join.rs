//! Joins. Which of the three a JOIN is follows from its sides and WITHIN; see the table in the [module's documentation](super).
//!
//! ON is a conjunction. Its equalities between the two sides are the key; columns of one side that are not plain are computed below the index.
//! Conditions beside the key filter joined rows of an inner join; in a left join they may only look at the right side, which they filter below the index, since
//! they decide what is a match.
//!
//! `RETROACTIVE WITHIN d` says how long a row of the stream waits for late facts. It bounds no
//! pair:
//! older rows of the table always join. Plain WITHIN means the same here, with a notice, since it
//! bounds pairs elsewhere. In a chain every WITHIN speaks of the same stream, the leftmost, so all
//! must be equal: its rows end once.

use super::expr::{Exprs, at};
use super::properties::length;
use super::relation::Scope;
use super::{Binder, Result, SqlError, unsupported};
use crate::expr::{Comparison, Expr, ExprKind, typing};
use crate::model::Column;
use crate::plan::{self, Key, Mfp, NodeId, Operator, ViewKind};
use crate::sql::ast::{self, BinaryOp, JoinKind};

/// The three joins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Stream with table as of arrival.
    AsOf,
    /// Stream with table, whatever came first.
    Retroactive(std::time::Duration),
    /// Table with table, or one more table after a retroactive join.
    Tables,
}

/// A key column: its value, and whether it compares without regard to case.
type KeyPart = (Expr, bool);

/// The condition of a join, taken apart.
#[derive(Default)]
struct Condition {
    left: Vec<KeyPart>,
    right: Vec<KeyPart>,
    /// Over the right rows.
    of_right: Vec<Expr>,
    /// Over the joined rows.
    others: Vec<Expr>,
}

impl Binder<'_> {
    pub(super) fn join(&mut self, left: &Scope, right: &Scope, join: &ast::Join) -> Result<Scope> {
        let alias = &right.parts[0].alias;
        if left.parts.iter().any(|part| part.alias == *alias) {
            let error = SqlError::new(
                join.relation.span,
                format!("there are two relations called {alias}"),
            );
            return Err(error.hint("give one of them another name: … AS name"));
        }
        let kind = match join.kind {
            JoinKind::Inner => plan::JoinKind::Inner,
            JoinKind::Left => plan::JoinKind::Left,
            JoinKind::Right => {
                return Err(unsupported(join.span, "RIGHT JOIN is")
                    .hint("exchange the two sides and write LEFT JOIN"));
            }
            JoinKind::Full => return Err(unsupported(join.span, "FULL JOIN is")),
        };
        let mode = mode(left, right, join)?;
        if let Some(within) = join.within.as_ref().filter(|within| !within.retroactive) {
            let notice = SqlError::new(
                within.span,
                "this WITHIN says how long a row of the stream waits for late facts; it does not bound how far the two lie apart, and older rows of the table always join",
            );
            self.script.notices.push(notice.hint(format!(
                "RETROACTIVE WITHIN {} says the same without this notice",
                within.before
            )));
        }
        let recursive = left.recursive || right.recursive;
        if recursive && (mode != Mode::Tables || kind != plan::JoinKind::Inner) {
            return Err(SqlError::new(
                join.span,
                "the step of a recursion can only have inner joins with tables",
            ));
        }
        let parts = left.parts_with(right);
        let condition = self.condition(left, right, parts.clone(), join, kind)?;

        let mut left_node = left.node;
        if let Mode::Retroactive(after) = mode {
            let time = left.pseudo.expect("the rows of a stream come from records").time;
            left_node = self.script.plan.add(Operator::Expire { input: left_node, time, after });
        }
        let right_node = self.filtered(right.node, condition.of_right);
        let (left_node, left_key) = self.keyed(left_node, &condition.left);
        let (right_node, right_key) = self.keyed(right_node, &condition.right);

        let plan = &mut self.script.plan;
        // computed key columns stand behind the others, and go no further
        let computed = plan.schema(left_node).width() - left.width;
        let to = |i: usize| if i < left.width { i } else { i + computed };
        let moved = |mut expr: Expr| {
            expr.remap(&to);
            expr
        };
        let columns =
            |width: usize, node: NodeId, from: usize| (0..width).map(move |i| (from + i, node, i));
        let columns = columns(left.width, left_node, 0)
            .chain(columns(right.width, right_node, left.width + computed))
            .map(|(position, node, i)| {
                Expr::column(position, plan.schema(node).columns[i].ty.clone())
            })
            .collect();
        let mfp = Mfp { predicates: condition.others.into_iter().map(moved).collect(), columns };
        let width = left.width + right.width;
        let identity = identity(left, right, &right_key.columns, mode);
        let kafka_key = match mode {
            Mode::AsOf if left_key.columns.iter().all(|i| *i < left.width) => {
                left_key.columns.clone()
            }
            Mode::AsOf => Vec::new(),
            _ => identity.clone(),
        };
        let right_index = plan.add(Operator::Arrange { input: right_node, key: right_key });
        let node = if mode == Mode::AsOf {
            plan.add(Operator::AsOf {
                left: left_node,
                key: left_key,
                right: right_index,
                kind,
                mfp,
            })
        } else {
            let left_index = plan.add(Operator::Arrange { input: left_node, key: left_key });
            let unkeyed = (kind == plan::JoinKind::Left).then_some(left_node);
            plan.add(Operator::Join { left: left_index, right: right_index, kind, mfp, unkeyed })
        };
        let within = match mode {
            Mode::Retroactive(after) => Some(after),
            _ => left.within,
        };
        Ok(Scope {
            node,
            kind: if mode == Mode::AsOf { ViewKind::Stream } else { ViewKind::Table },
            parts,
            width,
            // the rows of a stream stay those of its records whatever is joined to them
            pseudo: left.pseudo.filter(|_| mode != Mode::Tables || left.within.is_some()),
            identity,
            kafka_key,
            distinct: false,
            recursive,
            within,
        })
    }

    fn condition(
        &self,
        left: &Scope,
        right: &Scope,
        parts: Vec<super::relation::Part>,
        join: &ast::Join,
        kind: plan::JoinKind,
    ) -> Result<Condition> {
        let schema = self.script.plan.joined_schema(left.node, right.node);
        let both =
            Scope { parts, width: left.width + right.width, pseudo: left.pseudo, ..left.clone() };
        let exprs = Exprs {
            scope: &both,
            schema: &schema,
            types: &self.script.types,
            clause: "ON",
            grouping: None,
        };
        let mut condition = Condition::default();
        let conjuncts = match &join.on.kind {
            ast::ExprKind::And(conjuncts) => &conjuncts[..],
            _ => std::slice::from_ref(&join.on),
        };
        for conjunct in conjuncts {
            if let Some((of_left, of_right)) = key_part(exprs, conjunct, left.width)? {
                condition.left.push(of_left);
                condition.right.push(of_right);
                continue;
            }
            for mut residual in exprs.conditions(conjunct)? {
                let (reads_left, reads_right) = sides(&residual, left.width);
                if reads_right && !reads_left {
                    residual.remap(&|i| i - left.width);
                    condition.of_right.push(residual);
                } else if kind == plan::JoinKind::Inner {
                    condition.others.push(residual);
                } else {
                    return Err(unsupported(
                        conjunct.span,
                        "in the ON of a LEFT JOIN, a condition on the left side that is no equality with the right side is",
                    ));
                }
            }
        }
        if condition.left.is_empty() {
            let error = SqlError::new(join.on.span, "ON has no equality between the two sides");
            let (a, b) = (&left.parts[0].alias, &right.parts[0].alias);
            return Err(error.hint(format!(
                "a join needs one, such as {a}.x = {b}.y, perhaps with others by AND"
            )));
        }
        Ok(condition)
    }

    fn filtered(&mut self, node: NodeId, predicates: Vec<Expr>) -> NodeId {
        if predicates.is_empty() {
            return node;
        }
        let columns = self.identity(node);
        let schema = self.script.plan.schema(node).clone();
        self.script.plan.transform(node, Mfp { predicates, columns }, schema.columns)
    }

    /// The columns of a node, as they are.
    pub(super) fn identity(&self, node: NodeId) -> Vec<Expr> {
        self.script
            .plan
            .schema(node)
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| Expr::column(i, column.ty.clone()))
            .collect()
    }

    /// The node with the columns that the key needs: those that are not there as they must be are added behind the others.
    pub(super) fn keyed(&mut self, node: NodeId, parts: &[KeyPart]) -> (NodeId, Key) {
        let schema = self.script.plan.schema(node).clone();
        let (mut columns, mut exprs) = (schema.columns.clone(), self.identity(node));
        let mut key = Vec::new();
        for (expr, ignore_case) in parts {
            if let Some(at) =
                expr.as_column().filter(|at| schema.columns[*at].ignore_case == *ignore_case)
            {
                key.push(at);
                continue;
            }
            key.push(columns.len());
            columns.push(Column {
                ignore_case: *ignore_case,
                ..Column::new(format!("KEY_{}", key.len()), expr.ty.clone())
            });
            exprs.push(expr.clone());
        }
        let node = if columns.len() == schema.columns.len() {
            node
        } else {
            self.script.plan.transform(node, Mfp { predicates: vec![], columns: exprs }, columns)
        };
        let key = Key::new(key, self.script.plan.schema(node));
        (node, key)
    }
}

/// The two sides of an equality between a value of the left and a value of the right side.
fn key_part(
    exprs: Exprs<'_>,
    conjunct: &ast::Expr,
    width: usize,
) -> Result<Option<(KeyPart, KeyPart)>> {
    let ast::ExprKind::Binary { op: BinaryOp::Equal, left, right } = &conjunct.kind else {
        return Ok(None);
    };
    let (mut a, mut b) = (exprs.bind(left)?, exprs.bind(right)?);
    match (sides(&a, width), sides(&b, width)) {
        ((true, false), (false, true)) => {}
        ((false, true), (true, false)) => std::mem::swap(&mut a, &mut b),
        _ => return Ok(None),
    }
    let ignore_case = exprs.ignores_case(&a) || exprs.ignores_case(&b);
    let equality = typing::compare(Comparison::Equal, a, b).map_err(at(conjunct.span))?;
    let ExprKind::Compare(_, pair) = equality.kind else {
        unreachable!("a comparison is a comparison")
    };
    let [a, mut b] = *pair;
    b.remap(&|i| i - width);
    Ok(Some(((a, ignore_case), (b, ignore_case))))
}

fn mode(left: &Scope, right: &Scope, join: &ast::Join) -> Result<Mode> {
    let within = match &join.within {
        Some(within) if within.retroactive && (within.after, within.grace) != (None, None) => {
            return Err(SqlError::new(
                within.span,
                "RETROACTIVE WITHIN has one duration: how long a row of the stream waits for late facts",
            ));
        }
        Some(within) if within.after.is_some() => {
            return Err(unsupported(within.span, "WITHIN (before, after) is"));
        }
        Some(within) if within.grace.is_some() => {
            return Err(unsupported(within.span, "GRACE PERIOD is"));
        }
        Some(within) => Some((length(within.before), within.span)),
        None => None,
    };
    match (left.kind, right.kind, within) {
        (ViewKind::Stream, ViewKind::Table, None) => Ok(Mode::AsOf),
        (ViewKind::Stream, ViewKind::Table, Some((after, _))) => Ok(Mode::Retroactive(after)),
        (ViewKind::Table, ViewKind::Table, None) => Ok(Mode::Tables),
        (ViewKind::Table, ViewKind::Table, Some((after, span))) => match left.within {
            Some(known) if known == after => Ok(Mode::Tables),
            None if left.distinct => Ok(Mode::Retroactive(after)),
            Some(_) => Err(SqlError::new(
                span,
                "all joins of a chain must have the same RETROACTIVE WITHIN: it says how long rows of the one stream at their left wait for late facts",
            )),
            None => Err(SqlError::new(span, "RETROACTIVE WITHIN says how long the rows of a stream wait for late facts, and the left side is a table")
                .hint("leave it out: tables are joined for as long as their rows are there")),
        },
        (ViewKind::Stream, ViewKind::Stream, _) => {
            Err(unsupported(join.span, "joining two streams is").hint("make a table of the right one"))
        }
        (ViewKind::Table, ViewKind::Stream, _) => {
            Err(SqlError::new(join.span, "a table cannot be joined with a stream at its right").hint("exchange the two sides"))
        }
    }
}

/// Whether an expression over joined rows reads left columns, right columns.
fn sides(expr: &Expr, width: usize) -> (bool, bool) {
    let mut sides = (false, false);
    expr.columns(&mut |i| if i < width { sides.0 = true } else { sides.1 = true });
    sides
}

/// What tells joined rows apart: the left side's identity, if each left row has at most one match, else both.
fn identity(left: &Scope, right: &Scope, right_key: &[usize], mode: Mode) -> Vec<usize> {
    if mode == Mode::AsOf {
        return left.identity.clone();
    }
    let one_match =
        !right.identity.is_empty() && right.identity.iter().all(|i| right_key.contains(i));
    if one_match {
        left.identity.clone()
    } else if left.identity.is_empty() || right.identity.is_empty() {
        Vec::new()
    } else {
        left.identity.iter().copied().chain(right.identity.iter().map(|i| i + left.width)).collect()
    }
}
