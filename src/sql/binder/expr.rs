//! Expressions: names are resolved here, types by [`typing`].
//!
//! A comparison with a column that ignores case (the names of hosts) compares both sides in lower case.

use std::collections::BTreeMap;

use super::aggregate::Grouping;
use super::relation::Scope;
use super::{Result, literal, types, unsupported};
use crate::expr::{Arithmetic, Comparison, EvalError, Expr, TypeError, aggregate, typing};
use crate::model::{Schema, Type};
use crate::sql::ast::{self, BinaryOp, ExprKind, Ident, Literal, UnaryOp};
use crate::sql::error::{Span, SqlError};

/// Words that functions take for units of time, as in `DATEADD(DAYS, 1, d)`.
const UNITS: [&str; 16] = [
    "MILLISECOND",
    "MILLISECONDS",
    "SECOND",
    "SECONDS",
    "MINUTE",
    "MINUTES",
    "HOUR",
    "HOURS",
    "DAY",
    "DAYS",
    "WEEK",
    "WEEKS",
    "MONTH",
    "MONTHS",
    "YEAR",
    "YEARS",
];

/// Binds expressions of one clause.
#[derive(Clone, Copy)]
pub(super) struct Exprs<'a> {
    pub scope: &'a Scope,
    /// Columns of the scope's rows.
    pub schema: &'a Schema,
    pub types: &'a BTreeMap<String, Type>,
    /// The clause, for messages.
    pub clause: &'static str,
    /// Present after GROUP BY: then expressions are over its keys and aggregates, and columns of the scope mean those.
    pub grouping: Option<&'a Grouping>,
}

/// A typing error, at a place.
pub(super) fn at(span: Span) -> impl Fn(TypeError) -> SqlError {
    move |error| match error {
        TypeError::UnknownFunction { name, near } => {
            let error = SqlError::new(span, format!("there is no function {name}"));
            if near.is_empty() {
                error
            } else {
                error.hint(format!("did you mean {}?", near.join(" or ")))
            }
        }
        TypeError::WrongArguments { name, found, expected } => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            let mut error =
                SqlError::new(span, format!("{name} does not take ({})", found.join(", ")));
            error.expected =
                expected.iter().map(|signature| format!("{name}{signature}")).collect();
            error
        }
        other => SqlError::new(span, other.to_string()),
    }
}

/// The expression, unless its type is made of too many.
fn bounded(expr: Expr, span: Span) -> Result<Expr> {
    types::bounded(expr.ty.clone(), span).map(|_| expr)
}

/// How many parts the copies of an operand may have together.
const COPIED: usize = 100_000;

/// Checks that an operand which is compared several times is not too large to be copied. Such operands within each other double with each level.
fn copied(operand: &Expr, times: usize, span: Span) -> Result<()> {
    if times > 1 && operand.size() * times > COPIED {
        return Err(SqlError::new(span, "this operand is too large to be compared several times")
            .hint("compute it in a subquery, and compare its column"));
    }
    Ok(())
}

fn negate(
    negated: bool,
    expr: std::result::Result<Expr, TypeError>,
) -> std::result::Result<Expr, TypeError> {
    if negated { typing::not(expr?) } else { expr }
}

/// True when the expression calls an aggregate function.
pub(super) fn has_aggregate(expr: &ast::Expr) -> bool {
    if let ExprKind::Call { name, .. } = &expr.kind
        && aggregate::is_aggregate(&name.name)
    {
        return true;
    }
    let mut found = false;
    expr.kind.for_each_child(&mut |child| found |= has_aggregate(child));
    found
}

impl<'a> Exprs<'a> {
    /// The same, before GROUP BY.
    pub fn ungrouped(self) -> Exprs<'a> {
        Exprs { grouping: None, ..self }
    }

    /// The expression.
    pub fn bind(self, expr: &ast::Expr) -> Result<Expr> {
        if let Some(grouping) = self.grouping
            && let Some(bound) = grouping.bind(self, expr)?
        {
            return Ok(bound);
        }
        // one method for each form, so that this recursion has a small frame
        match &expr.kind {
            ExprKind::Literal(literal) => literal::constant(literal, expr.span),
            ExprKind::Column { source, name } => self.column(source.as_ref(), name),
            ExprKind::Unary { op, operand } => self.unary(*op, operand, expr.span),
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, expr.span),
            ExprKind::And(items) => self.junction(items, typing::and, expr.span),
            ExprKind::Or(items) => self.junction(items, typing::or, expr.span),
            ExprKind::Between { operand, low, high, negated } => {
                self.between([operand, low, high], *negated, expr.span)
            }
            ExprKind::In { operand, items, negated } => {
                self.in_list(operand, items, *negated, expr.span)
            }
            ExprKind::Like { operand, pattern, escape, negated } => {
                self.like([operand, pattern], *escape, *negated, expr.span)
            }
            ExprKind::IsNull { operand, negated } => {
                Ok(typing::is_null(self.bind(operand)?, *negated))
            }
            ExprKind::Case { operand, whens, otherwise } => {
                self.case(operand.as_deref(), whens, otherwise.as_deref(), expr.span)
            }
            ExprKind::Cast { operand, ty } => self.cast(operand, ty, expr.span),
            ExprKind::Typed { ty, text } => self.typed(ty, text, expr.span),
            ExprKind::Call { name, args } => self.call(expr.span, name, args),
            ExprKind::Lambda { .. } => Err(unsupported(expr.span, "functions of functions are")),
            ExprKind::Field { base, name } => {
                typing::field(self.bind(base)?, &name.name).map_err(at(name.span))
            }
            ExprKind::Index { base, index } => self.subscript(base, index, expr.span),
            ExprKind::Array(items) => self
                .junction(items, typing::array, expr.span)
                .and_then(|array| bounded(array, expr.span)),
            ExprKind::Map(entries) => {
                self.map(entries, expr.span).and_then(|map| bounded(map, expr.span))
            }
            ExprKind::Struct(fields) => {
                self.structure(fields).and_then(|fields| bounded(fields, expr.span))
            }
            ExprKind::AtTimeZone { .. } => Err(unsupported(expr.span, "AT TIME ZONE is")),
        }
    }

    fn column(self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        let position = self.scope.resolve(source, name)?;
        Ok(Expr::column(position, self.schema.columns[position].ty.clone()))
    }

    fn unary(self, op: UnaryOp, operand: &ast::Expr, span: Span) -> Result<Expr> {
        let operand = self.bind(operand)?;
        match op {
            UnaryOp::Not => typing::not(operand).map_err(at(span)),
            UnaryOp::Minus => typing::negate(operand).map_err(at(span)),
            UnaryOp::Plus if operand.ty.is_numeric() => Ok(operand),
            UnaryOp::Plus => Err(super::relation::expected_type(
                span,
                "the operand of +",
                "a number",
                &operand.ty,
            )),
        }
    }

    fn binary(self, op: BinaryOp, left: &ast::Expr, right: &ast::Expr, span: Span) -> Result<Expr> {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        self.operation(op, left, right).map_err(at(span))
    }

    fn junction(
        self,
        items: &[ast::Expr],
        of: fn(Vec<Expr>) -> std::result::Result<Expr, TypeError>,
        span: Span,
    ) -> Result<Expr> {
        of(self.bind_all(items)?).map_err(at(span))
    }

    fn between(self, parts: [&ast::Expr; 3], negated: bool, span: Span) -> Result<Expr> {
        let [operand, low, high] = parts.map(|part| self.bind(part));
        let [operand, low, high] = self.same_case([operand?, low?, high?]).map_err(at(span))?;
        copied(&operand, 2, span)?;
        negate(negated, typing::between(operand, low, high)).map_err(at(span))
    }

    fn in_list(
        self,
        operand: &ast::Expr,
        items: &[ast::Expr],
        negated: bool,
        span: Span,
    ) -> Result<Expr> {
        let mut all = vec![self.bind(operand)?];
        all.extend(self.bind_all(items)?);
        let mut all = self.all_same_case(all).map_err(at(span))?;
        let operand = all.remove(0);
        negate(negated, typing::in_list(operand, all)).map_err(at(span))
    }

    fn like(
        self,
        parts: [&ast::Expr; 2],
        escape: Option<char>,
        negated: bool,
        span: Span,
    ) -> Result<Expr> {
        let [operand, pattern] = parts.map(|part| self.bind(part));
        let [operand, pattern] = self.same_case([operand?, pattern?]).map_err(at(span))?;
        negate(negated, typing::like(operand, pattern, escape)).map_err(at(span))
    }

    fn case(
        self,
        operand: Option<&ast::Expr>,
        whens: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        span: Span,
    ) -> Result<Expr> {
        let mut operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let mut whens = self.bind_pairs(whens)?;
        if let Some(operand) = &mut operand {
            copied(operand, whens.len(), span)?;
            let (mut compared, results): (Vec<Expr>, Vec<Expr>) = whens.into_iter().unzip();
            compared.insert(0, operand.clone());
            let mut compared = self.all_same_case(compared).map_err(at(span))?;
            *operand = compared.remove(0);
            whens = compared.into_iter().zip(results).collect();
        }
        let otherwise = otherwise.map(|otherwise| self.bind(otherwise)).transpose()?;
        typing::case(operand.as_ref(), whens, otherwise).map_err(at(span))
    }

    fn cast(self, operand: &ast::Expr, ty: &ast::TypeName, span: Span) -> Result<Expr> {
        let ty = types::resolve(ty, self.types)?;
        typing::cast(self.bind(operand)?, &ty).map_err(at(span))
    }

    fn typed(self, ty: &Ident, text: &str, span: Span) -> Result<Expr> {
        let to = types::resolve(&ast::TypeName::Named(ty.clone(), Vec::new()), self.types)?;
        let constant = typing::cast(Expr::text(text), &to).map_err(at(span))?;
        match constant.as_literal() {
            Some(_) => Ok(constant),
            None => Err(SqlError::new(span, format!("'{text}' is not a {to}"))),
        }
    }

    fn subscript(self, base: &ast::Expr, index: &ast::Expr, span: Span) -> Result<Expr> {
        let base = self.bind(base)?;
        typing::subscript(base, self.bind(index)?).map_err(at(span))
    }

    fn map(self, entries: &[(ast::Expr, ast::Expr)], span: Span) -> Result<Expr> {
        typing::map(self.bind_pairs(entries)?).map_err(at(span))
    }

    fn structure(self, fields: &[(Ident, ast::Expr)]) -> Result<Expr> {
        let fields = fields
            .iter()
            .map(|(name, value)| Ok((name.name.clone(), self.bind(value)?)))
            .collect::<Result<_>>()?;
        Ok(typing::structure(fields))
    }

    fn bind_pairs(self, pairs: &[(ast::Expr, ast::Expr)]) -> Result<Vec<(Expr, Expr)>> {
        pairs.iter().map(|(first, second)| Ok((self.bind(first)?, self.bind(second)?))).collect()
    }

    fn bind_all(self, exprs: &[ast::Expr]) -> Result<Vec<Expr>> {
        exprs.iter().map(|expr| self.bind(expr)).collect()
    }

    /// The conditions whose conjunction this is.
    pub fn conditions(self, expr: &ast::Expr) -> Result<Vec<Expr>> {
        let bound = self.bind(expr)?;
        let found = bound.ty.clone();
        let condition = typing::and(vec![bound]);
        let condition = condition.map_err(|_| {
            super::relation::expected_type(
                expr.span,
                &format!("the condition of {}", self.clause),
                "BOOLEAN",
                &found,
            )
        })?;
        Ok(condition.fold().into_conjuncts())
    }

    fn operation(
        self,
        op: BinaryOp,
        left: Expr,
        right: Expr,
    ) -> std::result::Result<Expr, TypeError> {
        let compare = |op, left, right| {
            let [left, right] = self.same_case([left, right])?;
            typing::compare(op, left, right)
        };
        match op {
            BinaryOp::Add => typing::arithmetic(Arithmetic::Add, left, right),
            BinaryOp::Subtract => typing::arithmetic(Arithmetic::Subtract, left, right),
            BinaryOp::Multiply => typing::arithmetic(Arithmetic::Multiply, left, right),
            BinaryOp::Divide => typing::arithmetic(Arithmetic::Divide, left, right),
            BinaryOp::Modulo => typing::arithmetic(Arithmetic::Modulo, left, right),
            BinaryOp::Concat => typing::call("CONCAT", vec![left, right]),
            BinaryOp::Equal => compare(Comparison::Equal, left, right),
            BinaryOp::NotEqual => compare(Comparison::NotEqual, left, right),
            BinaryOp::Less => compare(Comparison::Less, left, right),
            BinaryOp::LessEqual => compare(Comparison::LessOrEqual, left, right),
            BinaryOp::Greater => compare(Comparison::Greater, left, right),
            BinaryOp::GreaterEqual => compare(Comparison::GreaterOrEqual, left, right),
            BinaryOp::Distinct => compare(Comparison::Distinct, left, right),
            BinaryOp::NotDistinct => compare(Comparison::NotDistinct, left, right),
        }
    }

    /// True when the values of the expression compare without regard to case.
    pub fn ignores_case(self, expr: &Expr) -> bool {
        match (expr.as_column(), self.grouping) {
            (Some(column), Some(grouping)) => grouping.ignores_case(column),
            (Some(column), None) => self.schema.columns[column].ignore_case,
            (None, _) => false,
        }
    }

    fn all_same_case(self, exprs: Vec<Expr>) -> std::result::Result<Vec<Expr>, TypeError> {
        if !exprs.iter().any(|expr| self.ignores_case(expr)) {
            return Ok(exprs);
        }
        let lower = |expr: Expr| {
            if expr.ty == Type::Varchar {
                typing::call("LCASE", vec![expr]).map(Expr::fold)
            } else {
                Ok(expr)
            }
        };
        exprs.into_iter().map(lower).collect()
    }

    fn same_case<const N: usize>(
        self,
        exprs: [Expr; N],
    ) -> std::result::Result<[Expr; N], TypeError> {
        let exprs = self.all_same_case(exprs.into())?;
        Ok(exprs.try_into().expect("as many as there were"))
    }

    fn call(self, span: Span, name: &Ident, args: &[ast::Expr]) -> Result<Expr> {
        if aggregate::is_aggregate(&name.name) {
            let message =
                format!("{name} is an aggregate function, which has no meaning in {}", self.clause);
            return Err(SqlError::new(name.span, message));
        }
        if matches!(&name.name[..], "EXPLODE" | "CUBE_EXPLODE") {
            return Err(unsupported(name.span, &format!("the table function {name} is")));
        }
        let bound = args.iter().map(|arg| self.argument(arg)).collect::<Result<Vec<Expr>>>()?;
        let place = if crate::expr::functions::is_function(&name.name) { span } else { name.span };
        let call = typing::call(&name.name, bound).map_err(at(place))?;
        let Some((argument, failure)) = crate::expr::never_works(&call) else { return Ok(call) };
        let place = argument.and_then(|i| args.get(i)).map_or(span, |arg| arg.span);
        let error = SqlError::new(place, format!("{name} fails on every row: {failure}"));
        Err(match failure {
            EvalError::BadRegex => error.hint(
                "regular expressions are those of Rust's regex crate: without look-around, back-references and \\Q…\\E, which Java's have",
            ),
            EvalError::BadTimeZone => error.hint("write a name such as 'Europe/Berlin', or an offset such as '+02:00'"),
            _ => error,
        })
    }

    /// An argument, which may be a unit of time if there is no column of that name.
    fn argument(self, arg: &ast::Expr) -> Result<Expr> {
        match (self.bind(arg), &arg.kind) {
            (Err(_), ExprKind::Column { source: None, name })
                if UNITS.contains(&&name.name[..]) =>
            {
                Ok(Expr::text(name.name.clone()))
            }
            (bound, _) => bound,
        }
    }
}

/// The name that a projection gives to an expression without alias; `None` for one that has none of its own.
pub(super) fn natural_name(expr: &ast::Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Column { name, .. } | ExprKind::Field { name, .. } => Some(&name.name),
        _ => None,
    }
}

/// True for `NULL`.
pub(super) fn is_null(expr: &ast::Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(Literal::Null))
}
