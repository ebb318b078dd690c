//! Typed expressions over packed rows, scalar functions, and aggregates.
//!
//! An [`Expr`] is built by [`typing`], which resolves names and overloads and inserts every conversion, so that evaluation never decides
//! anything about types: the two sides of a comparison have one type, an argument has its parameter's type. Plans are hash-consed, so
//! expressions compare, order and hash by structure.
//!
//! # Semantics
//! * Three-valued logic (Kleene): `FALSE AND NULL` is FALSE, `TRUE OR NULL` is TRUE; both stop at the first operand that decides, from the left.
//! * NULL in, NULL out, for operators and for functions, unless the function is declared to see NULLs.
//! * Arrays count from 1, negative indexes from the end; outside the array is NULL, and so is a key that a map has not.
//! * Integers do not wrap: what does not fit is an error.
//! * An [`EvalError`] is a fact about one row, never a panic: the caller shows NULL (projection) or drops the row (filter), and counts it by
//!   its reason code.
//! * Nothing depends on the clock, on the locale or on the time zone of the machine, and no function is random: replaying the same input gives
//!   the same output.
//!
//! # Layout
//! One file per concern: [`eval`] runs an expression on a [`Tuple`], `cast` converts values, `arithmetic` and `like` are operators,
//! [`functions`] has one file per family of scalar functions, [`aggregate`] the accumulators. A new kind of expression (lambdas, say) is a
//! variant of [`ExprKind`], an arm in `eval` and `display`, and a builder in [`typing`].

pub mod aggregate;
mod arithmetic;
mod cast;
mod constants;
mod display;
pub mod eval;
pub mod functions;
mod like;
mod set;
pub mod typing;

pub use aggregate::{Accumulator, Aggregate};
pub use arithmetic::Arithmetic;
pub use constants::never_works;
pub use eval::{EvalError, Tuple};
pub use functions::Function;
pub use set::Set;
pub use typing::TypeError;

use crate::model::{Type, Value};

/// An expression and the type of its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expr {
    /// What is computed.
    pub kind: ExprKind,
    /// The type of the result; every value is of this type or NULL, and a decimal has exactly its scale.
    pub ty: Type,
}

/// The forms of an expression.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExprKind {
    /// A column of the tuple.
    Column(usize),
    /// A constant.
    Literal(Value<'static>),
    /// A scalar function; the arguments have its parameters' types.
    Call(Function, Vec<Expr>),
    /// `+ - * / %`; operands of the result's family of types.
    Arithmetic(Arithmetic, Box<[Expr; 2]>),
    /// `-x`
    Negate(Box<Expr>),
    /// A comparison of two values of one type.
    Compare(Comparison, Box<[Expr; 2]>),
    /// Conjunction of two or more.
    And(Vec<Expr>),
    /// Disjunction of two or more.
    Or(Vec<Expr>),
    /// Negation.
    Not(Box<Expr>),
    /// The first branch whose condition is true.
    Case {
        /// Condition and result.
        branches: Vec<(Expr, Expr)>,
        /// The result when no condition is true; NULL without it.
        otherwise: Option<Box<Expr>>,
    },
    /// Conversion to the type of the expression.
    Cast(Box<Expr>),
    /// A field of a struct, by position.
    Field(Box<Expr>, usize),
    /// An item of an array or a map.
    Subscript(Box<[Expr; 2]>),
    /// A struct; the names are in the type.
    Struct(Vec<Expr>),
    /// An array.
    Array(Vec<Expr>),
    /// A map; of equal keys the last one counts.
    Map(Vec<(Expr, Expr)>),
    /// `IS NULL`, or `IS NOT NULL` when true.
    IsNull(Box<Expr>, bool),
    /// Equality with any of the list, three-valued.
    In(Box<Expr>, Vec<Expr>),
    /// The same where all of the list are constants.
    InSet(Box<Expr>, Set),
    /// `LIKE`: value and pattern, with the escape character.
    Like(Box<[Expr; 2]>, Option<char>),
}

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `IS DISTINCT FROM`, which never is NULL
    Distinct,
    /// `IS NOT DISTINCT FROM`, which never is NULL
    NotDistinct,
}

impl Comparison {
    /// The operator as written in SQL.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Distinct => "IS DISTINCT FROM",
            Comparison::NotDistinct => "IS NOT DISTINCT FROM",
        }
    }

    /// The operator that means the same with the operands exchanged.
    #[must_use]
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }
}

impl Expr {
    /// A column of the tuple.
    pub fn column(at: usize, ty: Type) -> Expr {
        Expr { kind: ExprKind::Column(at), ty }
    }

    /// A constant of a type; a decimal must have the type's scale.
    pub fn literal(value: Value<'static>, ty: Type) -> Expr {
        Expr { kind: ExprKind::Literal(value), ty }
    }

    /// `NULL` of a type.
    pub fn null(ty: Type) -> Expr {
        Expr::literal(Value::Null, ty)
    }

    /// A `VARCHAR` constant.
    pub fn text(text: impl Into<String>) -> Expr {
        Expr::literal(Value::Varchar(text.into().into()), Type::Varchar)
    }

    /// The constant, if it is one.
    pub fn as_literal(&self) -> Option<&Value<'static>> {
        if let ExprKind::Literal(value) = &self.kind { Some(value) } else { None }
    }

    /// The column, if it is nothing else: it can be copied between rows as stored.
    pub fn as_column(&self) -> Option<usize> {
        if let ExprKind::Column(at) = self.kind { Some(at) } else { None }
    }

    /// For `x = constant`, `constant = x` and `x IN (constants)`: the `x` and the constants.
    pub fn as_equals_any(&self) -> Option<(&Expr, Vec<&Value<'static>>)> {
        match &self.kind {
            ExprKind::Compare(Comparison::Equal, pair) => {
                match (pair[0].as_literal(), pair[1].as_literal()) {
                    (None, Some(value)) => Some((&pair[0], vec![value])),
                    (Some(value), None) => Some((&pair[1], vec![value])),
                    _ => None,
                }
            }
            ExprKind::In(subject, list) => {
                Some((&**subject, list.iter().map(Expr::as_literal).collect::<Option<_>>()?))
            }
            ExprKind::InSet(subject, set) if !set.has_null() => {
                Some((&**subject, set.values().iter().collect()))
            }
            _ => None,
        }
    }

    /// True when the value does not depend on the row.
    pub fn is_constant(&self) -> bool {
        let mut constant = true;
        self.columns(&mut |_| constant = false);
        constant
    }

    /// True when it has a value on every row: no part of it can fail.
    pub fn is_total(&self) -> bool {
        let mut total = !matches!(
            self.kind,
            ExprKind::Call(..) | ExprKind::Arithmetic(..) | ExprKind::Negate(_) | ExprKind::Cast(_)
        );
        self.children(&mut |child| total &= child.is_total());
        total
    }

    /// Visits every column that is read, as often as it is.
    pub fn columns(&self, visit: &mut dyn FnMut(usize)) {
        if let ExprKind::Column(at) = self.kind {
            visit(at);
        }
        self.children(&mut |child| child.columns(visit));
    }

    /// Renumbers the columns.
    pub fn remap(&mut self, to: &dyn Fn(usize) -> usize) {
        if let ExprKind::Column(at) = &mut self.kind {
            *at = to(*at);
        }
        self.children_mut(&mut |child| child.remap(to));
    }

    /// How many expressions it is made of, itself among them.
    pub fn size(&self) -> usize {
        let mut size = 1;
        self.children(&mut |child| size += child.size());
        size
    }

    /// The same expression over the columns' definitions: what composing with a projection gives.
    #[must_use]
    pub fn substitute(&self, columns: &[Expr]) -> Expr {
        if let ExprKind::Column(at) = self.kind {
            return columns[at].clone();
        }
        let mut expr = self.clone();
        expr.children_mut(&mut |child| *child = child.substitute(columns));
        expr
    }

    /// The conditions whose conjunction this is.
    pub fn into_conjuncts(self) -> Vec<Expr> {
        match self.kind {
            ExprKind::And(parts) => parts.into_iter().flat_map(Expr::into_conjuncts).collect(),
            _ => vec![self],
        }
    }

    /// Evaluates what is constant, from the leaves up. What would fail is left to fail on its rows.
    #[must_use]
    pub fn fold(mut self) -> Expr {
        self.children_mut(&mut |child| {
            let owned = std::mem::replace(child, Expr::null(Type::Null));
            *child = owned.fold();
        });
        let mut leaf = true;
        let mut literals = true;
        self.children(&mut |child| {
            leaf = false;
            literals &= child.as_literal().is_some();
        });
        if !leaf
            && literals
            && let Ok(value) = self.eval(Tuple::empty())
        {
            let value = value.into_owned();
            return Expr::literal(value, self.ty);
        }
        if let ExprKind::In(_, list) = &self.kind
            && list.iter().all(|item| item.as_literal().is_some())
            && let ExprKind::In(subject, list) = self.kind
        {
            let items = list.into_iter().filter_map(|item| match item.kind {
                ExprKind::Literal(value) => Some(value),
                _ => None,
            });
            return Expr { kind: ExprKind::InSet(subject, Set::new(items)), ty: self.ty };
        }
        self
    }

    /// Visits the operands, in order of evaluation.
    pub fn children(&self, visit: &mut dyn FnMut(&Expr)) {
        match &self.kind {
            ExprKind::Column(_) | ExprKind::Literal(_) => {}
            ExprKind::Call(_, parts)
            | ExprKind::And(parts)
            | ExprKind::Or(parts)
            | ExprKind::Struct(parts)
            | ExprKind::Array(parts) => {
                parts.iter().for_each(visit);
            }
            ExprKind::Arithmetic(_, pair)
            | ExprKind::Compare(_, pair)
            | ExprKind::Subscript(pair)
            | ExprKind::Like(pair, _) => {
                pair.iter().for_each(visit);
            }
            ExprKind::Negate(one)
            | ExprKind::Not(one)
            | ExprKind::Cast(one)
            | ExprKind::Field(one, _)
            | ExprKind::InSet(one, _)
            | ExprKind::IsNull(one, _) => visit(one),
            ExprKind::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    visit(condition);
                    visit(result);
                }
                if let Some(last) = otherwise {
                    visit(last);
                }
            }
            ExprKind::Map(entries) => {
                for (key, value) in entries {
                    visit(key);
                    visit(value);
                }
            }
            ExprKind::In(value, list) => {
                visit(value);
                list.iter().for_each(visit);
            }
        }
    }

    /// Visits the operands for change, in order of evaluation.
    pub fn children_mut(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        match &mut self.kind {
            ExprKind::Column(_) | ExprKind::Literal(_) => {}
            ExprKind::Call(_, parts)
            | ExprKind::And(parts)
            | ExprKind::Or(parts)
            | ExprKind::Struct(parts)
            | ExprKind::Array(parts) => {
                parts.iter_mut().for_each(visit);
            }
            ExprKind::Arithmetic(_, pair)
            | ExprKind::Compare(_, pair)
            | ExprKind::Subscript(pair)
            | ExprKind::Like(pair, _) => {
                pair.iter_mut().for_each(visit);
            }
            ExprKind::Negate(one)
            | ExprKind::Not(one)
            | ExprKind::Cast(one)
            | ExprKind::Field(one, _)
            | ExprKind::InSet(one, _)
            | ExprKind::IsNull(one, _) => visit(one),
            ExprKind::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    visit(condition);
                    visit(result);
                }
                if let Some(last) = otherwise {
                    visit(last);
                }
            }
            ExprKind::Map(entries) => {
                for (key, value) in entries {
                    visit(key);
                    visit(value);
                }
            }
            ExprKind::In(value, list) => {
                visit(value);
                list.iter_mut().for_each(visit);
            }
        }
    }
}

#[cfg(test)]
mod tests;
