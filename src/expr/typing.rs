//! Building typed expressions: the binder's door to this module.
//!
//! Conversions that lose nothing are inserted: `INT` → `BIGINT` → `DECIMAL` → `DOUBLE`, and NULL to every type. In comparisons a `VARCHAR`
//! beside a GUID, TIMESTAMP, DATE or TIME is read as that type (a constant at once, so that a wrong one is an error in the statement; a
//! column row by row). Among the items of a list (IN, ARRAY, MAP, the arguments that share a type) a text constant is read as the type of
//! the others, numbers and booleans too. Nothing else converts without CAST.

use super::cast::castable;
use super::functions::{as_decimal, resolve};
use super::{Arithmetic, Comparison, Expr, ExprKind, Tuple, cast};
use crate::model::{Type, Value};

/// Why an expression makes no sense: what was expected, what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// No such function.
    #[error("unknown function {name}{}", did_you_mean(near))]
    UnknownFunction {
        /// The name in capitals.
        name: String,
        /// Functions with similar names.
        near: Vec<&'static str>,
    },
    /// No overload takes these arguments.
    #[error("{name} does not take ({}); expected {}", commas(found), expected.iter().map(|s| format!("{name}{s}")).collect::<Vec<_>>().join(" or "))]
    WrongArguments {
        /// The function.
        name: &'static str,
        /// The arguments' types.
        found: Vec<Type>,
        /// The signatures that there are.
        expected: Vec<&'static str>,
    },
    /// The operator is not defined on these types.
    #[error("{operator} is not defined on {left} and {right}")]
    Operands {
        /// As written in SQL.
        operator: &'static str,
        /// Type of the left operand.
        left: Type,
        /// Type of the right operand.
        right: Type,
    },
    /// Something must have another type.
    #[error("{what} must be {expected}, found {found}")]
    Expected {
        /// The part of the expression.
        what: &'static str,
        /// The type or kind of type.
        expected: String,
        /// The type that it has.
        found: Type,
    },
    /// No conversion between these types.
    #[error("cannot cast {from} to {to}")]
    Cast {
        /// From.
        from: Type,
        /// To.
        to: Type,
    },
    /// A constant that cannot be read as the type it is compared with.
    #[error("'{text}' cannot be read as {ty}")]
    Constant {
        /// The constant.
        text: String,
        /// The type.
        ty: Type,
    },
    /// No such field.
    #[error("no field {name} in {found}")]
    NoField {
        /// The name asked for.
        name: String,
        /// The struct.
        found: Type,
    },
    /// An argument must be a constant.
    #[error("{what} must be a constant {expected}")]
    NotConstant {
        /// The argument.
        what: &'static str,
        /// What kind.
        expected: &'static str,
    },
    /// An aggregate over input that does not have what it needs.
    #[error("{name} {reason}")]
    Unsupported {
        /// The function.
        name: &'static str,
        /// Why.
        reason: &'static str,
    },
}

fn did_you_mean(near: &[&str]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) }
}

fn commas(types: &[Type]) -> String {
    types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The narrowest type that holds every value of both, if there is one.
pub fn common_type(a: &Type, b: &Type) -> Option<Type> {
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (Type::Null, other) | (other, Type::Null) => Some(other.clone()),
        (Type::Double, other) | (other, Type::Double) if other.is_numeric() => Some(Type::Double),
        (Type::Decimal(..), _) | (_, Type::Decimal(..)) => {
            let (Type::Decimal(p1, s1), Type::Decimal(p2, s2)) = (as_decimal(a)?, as_decimal(b)?)
            else {
                return None;
            };
            let scale = s1.max(s2);
            Some(Type::Decimal(p1.saturating_sub(s1).max(p2.saturating_sub(s2)) + scale, scale))
        }
        (Type::Int | Type::BigInt, Type::Int | Type::BigInt) => Some(Type::BigInt),
        (Type::Array(a), Type::Array(b)) => Some(Type::array(common_type(a, b)?)),
        (Type::Map(a), Type::Map(b)) => {
            Some(Type::map(common_type(&a.0, &b.0)?, common_type(&a.1, &b.1)?))
        }
        (Type::Struct(a), Type::Struct(b)) => {
            // fields that only one of them has are NULL in the other
            let mut fields = a.to_vec();
            for (name, ty) in b.iter() {
                match fields.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => *known = common_type(known, ty)?,
                    None => fields.push((name.clone(), ty.clone())),
                }
            }
            Some(Type::Struct(fields.into()))
        }
        _ => None,
    }
}

/// Converts without loss to `to`, reading a text constant where `to` has a text form of its own; `None` when that is not possible.
pub fn coerce(expr: Expr, to: &Type) -> Option<Expr> {
    if expr.ty == *to {
        return Some(expr);
    }
    if let (Some(Value::Varchar(text)), Type::Guid | Type::Timestamp | Type::Date | Type::Time) =
        (expr.as_literal(), to)
    {
        return Some(Expr::literal(cast::parse(text, to).ok()?, to.clone()));
    }
    let widened = common_type(&expr.ty, to)?;
    if widened != *to {
        return None;
    }
    Some(convert(expr, to))
}

/// A cast, of a constant at once. Types must be castable.
fn convert(expr: Expr, to: &Type) -> Expr {
    if expr.ty == *to {
        return expr;
    }
    if let Some(value) = expr.as_literal()
        && let Ok(value) = cast::cast(value.clone(), &expr.ty, to)
    {
        return Expr::literal(value, to.clone());
    }
    Expr { kind: ExprKind::Cast(Box::new(expr)), ty: to.clone() }
}

/// A scalar function by name, in any case.
pub fn call(name: &str, args: Vec<Expr>) -> Result<Expr, TypeError> {
    resolve(name, args)
}

/// `CAST(expr AS to)`
pub fn cast(expr: Expr, to: &Type) -> Result<Expr, TypeError> {
    if !castable(&expr.ty, to) {
        return Err(TypeError::Cast { from: expr.ty, to: to.clone() });
    }
    Ok(convert(expr, to))
}

/// Arithmetic.
pub fn arithmetic(op: Arithmetic, left: Expr, right: Expr) -> Result<Expr, TypeError> {
    let (l, r) = (left.ty.clone(), right.ty.clone());
    let ty = match (&l, &r) {
        (Type::Varchar, Type::Varchar | Type::Null) | (Type::Null, Type::Varchar)
            if op == Arithmetic::Add =>
        {
            Some(Type::Varchar)
        }
        (Type::Null, Type::Null) => Some(Type::Int),
        (Type::Null, other) | (other, Type::Null) if other.is_numeric() => Some(other.clone()),
        (l, r) if l.is_numeric() && r.is_numeric() => common_type(l, r),
        _ => None,
    };
    let operands =
        || TypeError::Operands { operator: op.symbol(), left: l.clone(), right: r.clone() };
    let ty = ty.ok_or_else(operands)?;
    if let Type::Decimal(p, s) = ty {
        // each side keeps its own precision: the result's type follows from both
        let own = |side: &Type| {
            if let Some(Type::Decimal(p, s)) = as_decimal(side) { (p, s) } else { (p, s) }
        };
        let (a, b) = (own(&l), own(&r));
        let pair = Box::new([
            convert(left, &Type::Decimal(a.0, a.1)),
            convert(right, &Type::Decimal(b.0, b.1)),
        ]);
        return Ok(Expr { kind: ExprKind::Arithmetic(op, pair), ty: op.decimal_type(a, b) });
    }
    let pair = Box::new([convert(left, &ty), convert(right, &ty)]);
    Ok(Expr { kind: ExprKind::Arithmetic(op, pair), ty })
}

/// Both sides converted to the type in which they compare.
fn comparable(operator: &'static str, left: Expr, right: Expr) -> Result<(Expr, Expr), TypeError> {
    if let Some(ty) = common_type(&left.ty, &right.ty) {
        return Ok((convert(left, &ty), convert(right, &ty)));
    }
    let textual = |ty: &Type| matches!(ty, Type::Guid | Type::Timestamp | Type::Date | Type::Time);
    let read = |text: Expr, ty: &Type| match text.as_literal() {
        Some(Value::Varchar(constant)) => match cast::parse(constant, ty) {
            Ok(value) => Ok(Expr::literal(value, ty.clone())),
            Err(_) => Err(TypeError::Constant { text: constant.to_string(), ty: ty.clone() }),
        },
        _ => Ok(convert(text, ty)),
    };
    match (&left.ty, &right.ty) {
        (Type::Varchar, ty) if textual(ty) => {
            let left = read(left, ty)?;
            Ok((left, right))
        }
        (ty, Type::Varchar) if textual(ty) => {
            let right = read(right, ty)?;
            Ok((left, right))
        }
        (Type::Timestamp, Type::Date) => Ok((left, convert(right, &Type::Timestamp))),
        (Type::Date, Type::Timestamp) => Ok((convert(left, &Type::Timestamp), right)),
        // ksqlDB counts ROWTIME and the bounds of windows in milliseconds
        (Type::Timestamp, Type::Int | Type::BigInt) => {
            Ok((left, convert(convert(right, &Type::BigInt), &Type::Timestamp)))
        }
        (Type::Int | Type::BigInt, Type::Timestamp) => {
            Ok((convert(convert(left, &Type::BigInt), &Type::Timestamp), right))
        }
        _ => Err(TypeError::Operands { operator, left: left.ty, right: right.ty }),
    }
}

/// A comparison, `IS DISTINCT FROM` included.
pub fn compare(op: Comparison, left: Expr, right: Expr) -> Result<Expr, TypeError> {
    let (left, right) = comparable(op.symbol(), left, right)?;
    if matches!(left.ty, Type::Map(_))
        && !matches!(
            op,
            Comparison::Equal
                | Comparison::NotEqual
                | Comparison::Distinct
                | Comparison::NotDistinct
        )
    {
        return Err(TypeError::Operands { operator: op.symbol(), left: left.ty, right: right.ty });
    }
    Ok(Expr { kind: ExprKind::Compare(op, Box::new([left, right])), ty: Type::Boolean })
}

/// `-expr`
pub fn negate(expr: Expr) -> Result<Expr, TypeError> {
    if !expr.ty.is_numeric() && expr.ty != Type::Null {
        return Err(TypeError::Expected {
            what: "the operand of -",
            expected: "a number".into(),
            found: expr.ty,
        });
    }
    let ty = expr.ty.clone();
    Ok(Expr { kind: ExprKind::Negate(Box::new(expr)), ty }.fold())
}

/// The condition, which may be a bare NULL.
fn condition(what: &'static str, expr: Expr) -> Result<Expr, TypeError> {
    match expr.ty {
        Type::Boolean => Ok(expr),
        Type::Null => Ok(Expr::null(Type::Boolean)),
        found => Err(TypeError::Expected { what, expected: Type::Boolean.to_string(), found }),
    }
}

/// Conjunction of any number of conditions; of none, TRUE.
pub fn and(parts: Vec<Expr>) -> Result<Expr, TypeError> {
    junction("an operand of AND", parts, true, ExprKind::And)
}

/// Disjunction of any number of conditions; of none, FALSE.
pub fn or(parts: Vec<Expr>) -> Result<Expr, TypeError> {
    junction("an operand of OR", parts, false, ExprKind::Or)
}

fn junction(
    what: &'static str,
    parts: Vec<Expr>,
    neutral: bool,
    kind: fn(Vec<Expr>) -> ExprKind,
) -> Result<Expr, TypeError> {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match condition(what, part)? {
            Expr { kind: ExprKind::And(inner), .. } if neutral => flat.extend(inner),
            Expr { kind: ExprKind::Or(inner), .. } if !neutral => flat.extend(inner),
            part => flat.push(part),
        }
    }
    Ok(match flat.len() {
        0 => Expr::literal(Value::Boolean(neutral), Type::Boolean),
        1 => flat.remove(0),
        _ => Expr { kind: kind(flat), ty: Type::Boolean },
    })
}

/// `NOT expr`
pub fn not(expr: Expr) -> Result<Expr, TypeError> {
    let expr = condition("the operand of NOT", expr)?;
    Ok(Expr { kind: ExprKind::Not(Box::new(expr)), ty: Type::Boolean })
}

/// `expr IS NULL`, or `IS NOT NULL`
pub fn is_null(expr: Expr, negated: bool) -> Expr {
    Expr { kind: ExprKind::IsNull(Box::new(expr), negated), ty: Type::Boolean }
}

/// `expr BETWEEN low AND high`, bounds included
pub fn between(expr: Expr, low: Expr, high: Expr) -> Result<Expr, TypeError> {
    let low = compare(Comparison::GreaterOrEqual, expr.clone(), low)?;
    let high = compare(Comparison::LessOrEqual, expr, high)?;
    and(vec![low, high])
}

/// `expr IN (list)`
pub fn in_list(expr: Expr, list: Vec<Expr>) -> Result<Expr, TypeError> {
    let mut value = expr;
    let mut items = Vec::with_capacity(list.len());
    // an item may widen the value, and that the items before it
    for item in list {
        let item = if is_text_constant(&item) { read_constant(item, &value.ty)? } else { item };
        let (wider, item) = comparable("IN", value, item)?;
        value = wider;
        items.push(item);
    }
    let items = items.into_iter().map(|item| convert(item, &value.ty)).collect();
    Ok(Expr { kind: ExprKind::In(Box::new(value), items), ty: Type::Boolean })
}

/// `expr LIKE pattern [ESCAPE escape]`
pub fn like(expr: Expr, pattern: Expr, escape: Option<char>) -> Result<Expr, TypeError> {
    let text = |what, expr: Expr| match expr.ty {
        Type::Varchar => Ok(expr),
        Type::Null => Ok(Expr::null(Type::Varchar)),
        Type::Guid => Ok(convert(expr, &Type::Varchar)),
        found => Err(TypeError::Expected { what, expected: Type::Varchar.to_string(), found }),
    };
    let pair =
        Box::new([text("the left side of LIKE", expr)?, text("the pattern of LIKE", pattern)?]);
    Ok(Expr { kind: ExprKind::Like(pair, escape), ty: Type::Boolean })
}

/// `CASE [operand] WHEN … THEN … ELSE … END`; with an operand the branches' conditions are values to compare it with.
pub fn case(
    operand: Option<&Expr>,
    branches: Vec<(Expr, Expr)>,
    otherwise: Option<Expr>,
) -> Result<Expr, TypeError> {
    let mut ty = Type::Null;
    for result in branches.iter().map(|(_, result)| result).chain(&otherwise) {
        ty = joined("a result of CASE", &ty, &result.ty)?;
    }
    if ty == Type::Null {
        return Err(TypeError::Expected {
            what: "a result of CASE",
            expected: "of some type; at least one must not be a bare NULL".into(),
            found: ty,
        });
    }
    let branches = branches
        .into_iter()
        .map(|(when, result)| {
            let when = match operand {
                Some(operand) => compare(Comparison::Equal, operand.clone(), when)?,
                None => condition("the condition of WHEN", when)?,
            };
            Ok((when, convert(result, &ty)))
        })
        .collect::<Result<_, TypeError>>()?;
    let otherwise = otherwise.map(|last| Box::new(convert(last, &ty)));
    Ok(Expr { kind: ExprKind::Case { branches, otherwise }, ty })
}

/// `expr->name`; names compare exactly, and without regard to case when there is no exact one.
pub fn field(expr: Expr, name: &str) -> Result<Expr, TypeError> {
    let Type::Struct(fields) = &expr.ty else {
        return Err(TypeError::Expected {
            what: "the left side of ->",
            expected: "a STRUCT".into(),
            found: expr.ty,
        });
    };
    let at = fields
        .iter()
        .position(|(n, _)| n == name)
        .or_else(|| fields.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)));
    let Some(at) = at else {
        return Err(TypeError::NoField { name: name.to_string(), found: expr.ty });
    };
    let ty = fields[at].1.clone();
    Ok(Expr { kind: ExprKind::Field(Box::new(expr), at), ty })
}

/// `expr[index]`: an array's item from 1, or from the end with a negative index; a map's value.
pub fn subscript(expr: Expr, index: Expr) -> Result<Expr, TypeError> {
    let (ty, index) = match &expr.ty {
        Type::Array(item) => {
            let found = index.ty.clone();
            let Some(index) = coerce(index, &Type::Int) else {
                return Err(TypeError::Expected {
                    what: "an array's index",
                    expected: Type::Int.to_string(),
                    found,
                });
            };
            ((**item).clone(), index)
        }
        Type::Map(entry) => {
            let found = index.ty.clone();
            let key = coerce(index, &entry.0);
            (
                entry.1.clone(),
                key.ok_or_else(|| TypeError::Expected {
                    what: "a map's key",
                    expected: entry.0.to_string(),
                    found,
                })?,
            )
        }
        found => {
            return Err(TypeError::Expected {
                what: "the left side of [ ]",
                expected: "an ARRAY or a MAP".into(),
                found: found.clone(),
            });
        }
    };
    Ok(Expr { kind: ExprKind::Subscript(Box::new([expr, index])), ty })
}

/// `ARRAY[…]`
pub fn array(items: Vec<Expr>) -> Result<Expr, TypeError> {
    let item = all_of("an item of ARRAY", &items)?;
    let items =
        items.into_iter().map(|expr| convert_item(expr, &item)).collect::<Result<_, _>>()?;
    Ok(Expr { kind: ExprKind::Array(items), ty: Type::array(item) })
}

/// `MAP(key := value, …)`
pub fn map(entries: Vec<(Expr, Expr)>) -> Result<Expr, TypeError> {
    let (keys, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    let (key, value) = (all_of("a key of MAP", &keys)?, all_of("a value of MAP", &values)?);
    let entries = keys
        .into_iter()
        .zip(values)
        .map(|(k, v)| Ok((convert_item(k, &key)?, convert_item(v, &value)?)));
    let entries = entries.collect::<Result<_, TypeError>>()?;
    Ok(Expr { kind: ExprKind::Map(entries), ty: Type::map(key, value) })
}

/// The type that holds all items; text constants are read as that of the others.
fn all_of(what: &'static str, items: &[Expr]) -> Result<Type, TypeError> {
    let mut ty = Type::Null;
    let (constants, others): (Vec<_>, Vec<_>) =
        items.iter().partition(|item| is_text_constant(item));
    for item in others {
        ty = joined(what, &ty, &item.ty)?;
    }
    for item in constants {
        let read = read_constant(item.clone(), &ty)?;
        ty = joined(what, &ty, &read.ty)?;
    }
    if ty == Type::Null {
        return Err(TypeError::Expected {
            what,
            expected: "of some type; at least one must not be a bare NULL".into(),
            found: ty,
        });
    }
    Ok(ty)
}

fn joined(what: &'static str, ty: &Type, item: &Type) -> Result<Type, TypeError> {
    common_type(ty, item).ok_or_else(|| TypeError::Expected {
        what,
        expected: format!("{ty}, as the others"),
        found: item.clone(),
    })
}

fn is_text_constant(expr: &Expr) -> bool {
    matches!(expr.as_literal(), Some(Value::Varchar(_)))
}

/// A text constant as a value of the type, or of a wider type of numbers; unchanged beside types that have no text form.
fn read_constant(expr: Expr, ty: &Type) -> Result<Expr, TypeError> {
    let Some(Value::Varchar(text)) = expr.as_literal() else { return Ok(expr) };
    let wrong = || TypeError::Constant { text: text.to_string(), ty: ty.clone() };
    match ty {
        Type::Boolean => {
            let word = text.trim().to_lowercase();
            let starts = |words: [&str; 2]| {
                !word.is_empty() && words.iter().any(|known| known.starts_with(&word))
            };
            let value = if starts(["true", "yes"]) {
                Some(true)
            } else {
                starts(["false", "no"]).then_some(false)
            };
            Ok(Expr::literal(Value::Boolean(value.ok_or_else(wrong)?), Type::Boolean))
        }
        Type::Guid | Type::Timestamp | Type::Date | Type::Time => {
            Ok(Expr::literal(cast::parse(text, ty).map_err(|_| wrong())?, ty.clone()))
        }
        ty if ty.is_numeric() => {
            let number = text.trim();
            let whole = [Type::Int, Type::BigInt]
                .into_iter()
                .find_map(|ty| Some(Expr::literal(cast::parse(number, &ty).ok()?, ty)));
            match whole {
                Some(whole) => Ok(whole),
                None => cast::parse(number, &Type::Double)
                    .map(|value| Expr::literal(value, Type::Double))
                    .map_err(|_| wrong()),
            }
        }
        _ => Ok(expr),
    }
}

/// An item of a list whose type [`all_of`] found.
fn convert_item(expr: Expr, ty: &Type) -> Result<Expr, TypeError> {
    let expr = if is_text_constant(&expr) { read_constant(expr, ty)? } else { expr };
    Ok(convert(expr, ty))
}

/// `STRUCT(name := value, …)`
pub fn structure(fields: Vec<(String, Expr)>) -> Expr {
    let ty =
        Type::Struct(fields.iter().map(|(name, expr)| (name.clone(), expr.ty.clone())).collect());
    Expr { kind: ExprKind::Struct(fields.into_iter().map(|(_, expr)| expr).collect()), ty }
}

/// The value of a constant expression, for clauses that need one.
pub fn constant(expr: &Expr) -> Option<Value<'static>> {
    if !expr.is_constant() {
        return None;
    }
    expr.eval(Tuple::empty()).ok().map(Value::into_owned)
}
