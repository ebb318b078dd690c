//! Scalar functions: the registry, signatures, and the resolution of overloads.
//!
//! A family of functions is one file with a table of `Definition`s. A signature is written as it is shown to the user, and read when the
//! registry is first used:
//!
//! ```text
//! (VARCHAR, INT) VARCHAR            exact types, narrower numbers are widened
//! (ARRAY<T>, T) BOOLEAN             T, U, K, V stand for any type, the same one wherever they stand
//! (VARCHAR, VARCHAR...) VARCHAR     the last parameter any number of times, at least once
//! (DECIMAL) DECIMAL                 any decimal; as a result, the type of the first decimal argument
//! ```
//!
//! Of several overloads that fit, the one that converts least wins; of equal ones, the first in the table.

#![allow(clippy::unnecessary_wraps, reason = "every body has the signature of one that can fail")]

mod bytes;
mod collection;
mod json;
mod math;
mod misc;
pub(super) mod pattern;
mod regexp;
mod string;
mod time;
mod url;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use bigdecimal::BigDecimal;

use super::typing::{TypeError, coerce, common_type};
use super::{EvalError, Expr, ExprKind};
use crate::model::row::Raw;
use crate::model::{RowWriter, Timestamp, Type, Value};

/// One overload of a function: a handle that is copied, compared and hashed by name and signature.
#[derive(Clone, Copy)]
pub struct Function {
    name: &'static str,
    overload: &'static Overload,
}

impl Function {
    /// The name in capitals.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Calls the function on values of its parameters' types. The values may be taken.
    #[inline]
    pub(super) fn call<'a>(
        self,
        args: &mut [Value<'a>],
        site: Site<'_>,
    ) -> Result<Value<'a>, EvalError> {
        if !self.overload.sees_nulls && args.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        (self.overload.body)(args, site)
    }

    /// True when it can be called on stored columns.
    #[inline]
    pub(super) fn takes_stored(self) -> bool {
        self.overload.stored.is_some()
    }

    /// Calls the function on stored columns and writes the result as one; only if it takes such.
    #[inline]
    pub(super) fn call_stored(self, args: &[Raw<'_>], site: Site<'_>, out: &mut RowWriter<'_>) {
        let body = self.overload.stored.expect("asked for before");
        if !self.overload.sees_nulls && args.contains(&Raw::Null) {
            return out.null();
        }
        body(args, site, out);
    }

    fn key(self) -> (&'static str, &'static str) {
        (self.name, self.overload.signature)
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.name, self.overload.signature)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Function {}
impl PartialOrd for Function {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Function {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Where a call stands: the argument expressions, for their types, and the type of the result.
#[derive(Clone, Copy)]
pub struct Site<'e> {
    pub(super) args: &'e [Expr],
    pub(super) ty: &'e Type,
}

/// The type of the result from the converted arguments.
type ResultType = fn(&[Expr]) -> Result<Type, TypeError>;

type Body = for<'a> fn(&mut [Value<'a>], Site<'_>) -> Result<Value<'a>, EvalError>;

/// The same on stored columns, for functions that only move what is in them: nothing is unpacked, and nothing can fail.
type Stored = fn(&[Raw<'_>], Site<'_>, &mut RowWriter<'_>);

/// A function with its overloads, as its family's table states it.
struct Definition {
    name: &'static str,
    about: &'static str,
    overloads: &'static [Overload],
}

struct Overload {
    signature: &'static str,
    body: Body,
    stored: Option<Stored>,
    sees_nulls: bool,
    /// Where the signature cannot say the type of the result, or not enough of it.
    result: Option<ResultType>,
}

/// An overload that is NULL when any argument is.
const fn strict(signature: &'static str, body: Body) -> Overload {
    Overload { signature, body, stored: None, sees_nulls: false, result: None }
}

/// An overload that is called with NULLs.
const fn lenient(signature: &'static str, body: Body) -> Overload {
    Overload { signature, body, stored: None, sees_nulls: true, result: None }
}

impl Overload {
    const fn returning(self, result: ResultType) -> Overload {
        Overload { result: Some(result), ..self }
    }

    const fn stored(self, stored: Stored) -> Overload {
        Overload { stored: Some(stored), ..self }
    }
}

/// What a body returns.
type Out<'a> = Result<Value<'a>, EvalError>;

/// Takes an argument out of its place.
fn take<'a>(value: &mut Value<'a>) -> Value<'a> {
    std::mem::replace(value, Value::Null)
}

const TYPED: &str = "arguments have the types of the signature";

fn text<'v>(value: &'v Value<'_>) -> &'v str {
    if let Value::Varchar(v) = value { v } else { unreachable!("{TYPED}") }
}

fn take_text<'a>(value: &mut Value<'a>) -> Cow<'a, str> {
    if let Value::Varchar(v) = take(value) { v } else { unreachable!("{TYPED}") }
}

fn bytes<'v>(value: &'v Value<'_>) -> &'v [u8] {
    if let Value::Bytes(v) = value { v } else { unreachable!("{TYPED}") }
}

fn boolean(value: &Value<'_>) -> bool {
    if let Value::Boolean(v) = value { *v } else { unreachable!("{TYPED}") }
}

/// `INT`, `DATE` or `TIME`
fn int(value: &Value<'_>) -> i32 {
    if let Value::Int(v) | Value::Date(v) | Value::Time(v) = value {
        *v
    } else {
        unreachable!("{TYPED}")
    }
}

/// `BIGINT` or `TIMESTAMP`
fn bigint(value: &Value<'_>) -> i64 {
    if let Value::BigInt(v) | Value::Timestamp(Timestamp(v)) = value {
        *v
    } else {
        unreachable!("{TYPED}")
    }
}

fn double(value: &Value<'_>) -> f64 {
    if let Value::Double(v) = value { *v } else { unreachable!("{TYPED}") }
}

fn decimal<'v>(value: &'v Value<'_>) -> &'v BigDecimal {
    if let Value::Decimal(v) = value { v } else { unreachable!("{TYPED}") }
}

fn take_array<'a>(value: &mut Value<'a>) -> Vec<Value<'a>> {
    if let Value::Array(v) = take(value) { v } else { unreachable!("{TYPED}") }
}

fn take_map<'a>(value: &mut Value<'a>) -> Vec<(Value<'a>, Value<'a>)> {
    if let Value::Map(v) = take(value) { v } else { unreachable!("{TYPED}") }
}

fn varchar<'a>(text: impl Into<Cow<'a, str>>) -> Out<'a> {
    Ok(Value::Varchar(text.into()))
}

fn texts<'a, S: Into<Cow<'a, str>>>(texts: impl IntoIterator<Item = S>) -> Out<'a> {
    Ok(Value::Array(texts.into_iter().map(|text| Value::Varchar(text.into())).collect()))
}

/// A parameter's type.
#[derive(Clone, Debug)]
enum Pattern {
    Is(Type),
    AnyDecimal,
    Variable(u8),
    Array(Box<Pattern>),
    Map(Box<Pattern>, Box<Pattern>),
    /// Of results only.
    Struct(Vec<(&'static str, Pattern)>),
}

#[derive(Debug)]
struct Signature {
    params: Vec<Pattern>,
    variadic: bool,
    result: Pattern,
}

/// Reads a signature; tables are checked by a test, so that a broken one is found before use.
fn parse_signature(text: &'static str) -> Option<Signature> {
    fn pattern(text: &mut &'static str) -> Option<Pattern> {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        *text = rest;
        let mut open = || {
            *text = text.strip_prefix('<')?;
            Some(())
        };
        Some(match word {
            "ARRAY" => {
                open()?;
                let item = pattern(text)?;
                *text = text.strip_prefix('>')?;
                Pattern::Array(Box::new(item))
            }
            "MAP" => {
                open()?;
                let key = pattern(text)?;
                *text = text.strip_prefix(", ")?;
                let value = pattern(text)?;
                *text = text.strip_prefix('>')?;
                Pattern::Map(Box::new(key), Box::new(value))
            }
            "STRUCT" => {
                open()?;
                let mut fields = Vec::new();
                loop {
                    let (name, rest) = text.split_once(' ')?;
                    *text = rest;
                    fields.push((name, pattern(text)?));
                    match text.strip_prefix(", ") {
                        Some(more) => *text = more,
                        None => break,
                    }
                }
                *text = text.strip_prefix('>')?;
                Pattern::Struct(fields)
            }
            "DECIMAL" => Pattern::AnyDecimal,
            "BOOLEAN" => Pattern::Is(Type::Boolean),
            "INT" => Pattern::Is(Type::Int),
            "BIGINT" => Pattern::Is(Type::BigInt),
            "DOUBLE" => Pattern::Is(Type::Double),
            "VARCHAR" => Pattern::Is(Type::Varchar),
            "BYTES" => Pattern::Is(Type::Bytes),
            "GUID" => Pattern::Is(Type::Guid),
            "TIMESTAMP" => Pattern::Is(Type::Timestamp),
            "DATE" => Pattern::Is(Type::Date),
            "TIME" => Pattern::Is(Type::Time),
            "T" | "U" | "K" | "V" => Pattern::Variable(word.as_bytes()[0]),
            _ => return None,
        })
    }
    let mut rest = text.strip_prefix('(')?;
    let mut params = Vec::new();
    let mut variadic = false;
    while !rest.starts_with(')') {
        params.push(pattern(&mut rest)?);
        if let Some(more) = rest.strip_prefix("...") {
            variadic = true;
            rest = more;
            break;
        }
        rest = rest.strip_prefix(", ").unwrap_or(rest);
    }
    let mut rest = rest.strip_prefix(") ")?;
    let result = pattern(&mut rest)?;
    rest.is_empty().then_some(Signature { params, variadic, result })
}

/// The types that variables and decimals stand for while a call is resolved.
type Bindings = BTreeMap<u8, Type>;

impl Pattern {
    /// Fits the argument to the pattern: what that costs in conversions, or `None`. Binds variables.
    fn fit(&self, arg: &Expr, bound: &mut Bindings) -> Option<u32> {
        let literal = || matches!((&arg.kind, &arg.ty), (ExprKind::Literal(_), Type::Varchar));
        let read = |ty: &Type| coerce(arg.clone(), ty).map(|_| 50);
        match self {
            Pattern::Is(ty) if literal() && *ty != Type::Varchar => read(ty),
            Pattern::Variable(name)
                if literal() && bound.get(name).is_some_and(|ty| *ty != Type::Varchar) =>
            {
                read(&bound[name])
            }
            _ => self.fit_type(&arg.ty, bound),
        }
    }

    fn fit_type(&self, ty: &Type, bound: &mut Bindings) -> Option<u32> {
        match (self, ty) {
            (_, Type::Null) => Some(1),
            (Pattern::Is(to), ty) => widening(ty, to),
            (Pattern::AnyDecimal, ty) => {
                let decimal = as_decimal(ty)?;
                bound.entry(b'.').or_insert(decimal);
                Some(if matches!(ty, Type::Decimal(..)) { 0 } else { 20 })
            }
            (Pattern::Variable(name), ty) => {
                let merged = match bound.get(name) {
                    Some(other) => common_type(other, ty)?,
                    None => ty.clone(),
                };
                bound.insert(*name, merged);
                Some(2)
            }
            (Pattern::Array(item), Type::Array(ty)) => item.fit_type(ty, bound),
            (Pattern::Map(key, value), Type::Map(ty)) => {
                Some(key.fit_type(&ty.0, bound)? + value.fit_type(&ty.1, bound)?)
            }
            _ => None,
        }
    }

    /// The type that the pattern means for an argument of type `arg`, once variables are bound.
    fn resolved(&self, arg: &Type, bound: &Bindings) -> Type {
        match self {
            Pattern::Is(ty) => ty.clone(),
            Pattern::AnyDecimal => as_decimal(arg)
                .or_else(|| bound.get(&b'.').cloned())
                .unwrap_or(Type::Decimal(10, 0)),
            Pattern::Variable(name) => bound.get(name).cloned().unwrap_or(Type::Null),
            Pattern::Array(item) => {
                let inner = if let Type::Array(item) = arg { item } else { &Type::Null };
                Type::array(item.resolved(inner, bound))
            }
            Pattern::Map(key, value) => {
                let (k, v) = if let Type::Map(entry) = arg {
                    (&entry.0, &entry.1)
                } else {
                    (&Type::Null, &Type::Null)
                };
                Type::map(key.resolved(k, bound), value.resolved(v, bound))
            }
            Pattern::Struct(fields) => Type::Struct(
                fields
                    .iter()
                    .map(|(name, ty)| ((*name).to_string(), ty.resolved(&Type::Null, bound)))
                    .collect(),
            ),
        }
    }
}

/// The decimal that holds every value of an exact numeric type.
pub(super) fn as_decimal(ty: &Type) -> Option<Type> {
    match ty {
        Type::Int => Some(Type::Decimal(10, 0)),
        Type::BigInt => Some(Type::Decimal(19, 0)),
        Type::Decimal(..) => Some(ty.clone()),
        _ => None,
    }
}

fn widening(from: &Type, to: &Type) -> Option<u32> {
    let rank = |ty: &Type| match ty {
        Type::Int => Some(0u32),
        Type::BigInt => Some(1),
        Type::Decimal(..) => Some(2),
        Type::Double => Some(3),
        _ => None,
    };
    if from == to {
        return Some(0);
    }
    match (rank(from), rank(to)) {
        (Some(from), Some(to)) if from < to => Some(10 * (to - from)),
        (None, None) => (common_type(from, to).as_ref() == Some(to)).then_some(10),
        _ => None,
    }
}

struct Entry {
    definition: &'static Definition,
    category: &'static str,
    overloads: Vec<(&'static Overload, Signature)>,
}

static REGISTRY: LazyLock<BTreeMap<&'static str, Entry>> = LazyLock::new(|| {
    let families: [(&'static str, &'static [Definition]); 9] = [
        ("STRING", string::FUNCTIONS),
        ("REGULAR EXPRESSION", regexp::FUNCTIONS),
        ("MATHEMATICAL", math::FUNCTIONS),
        ("DATE / TIME", time::FUNCTIONS),
        ("ARRAY / MAP", collection::FUNCTIONS),
        ("JSON", json::FUNCTIONS),
        ("BYTES", bytes::FUNCTIONS),
        ("URL", url::FUNCTIONS),
        ("OTHER", misc::FUNCTIONS),
    ];
    let mut registry = BTreeMap::new();
    for (category, definitions) in families {
        for definition in definitions {
            let overloads = definition
                .overloads
                .iter()
                .map(|overload| {
                    (
                        overload,
                        parse_signature(overload.signature).expect("a test reads every signature"),
                    )
                })
                .collect();
            registry.insert(definition.name, Entry { definition, category, overloads });
        }
    }
    registry
});

/// A function as `SHOW FUNCTIONS` lists it.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The name in capitals.
    pub name: &'static str,
    /// The family.
    pub category: &'static str,
    /// One line on what it does.
    pub about: &'static str,
    /// Parameters and result of each overload.
    pub signatures: Vec<&'static str>,
}

/// All scalar functions by name.
pub fn functions() -> Vec<Listing> {
    REGISTRY
        .values()
        .map(|entry| Listing {
            name: entry.definition.name,
            category: entry.category,
            about: entry.definition.about,
            signatures: entry.overloads.iter().map(|(overload, _)| overload.signature).collect(),
        })
        .collect()
}

/// True for the name of a scalar function, in any case.
pub fn is_function(name: &str) -> bool {
    REGISTRY.contains_key(name.to_uppercase().as_str())
}

/// The call of the best overload, arguments converted.
pub(super) fn resolve(name: &str, args: Vec<Expr>) -> Result<Expr, TypeError> {
    let upper = name.to_uppercase();
    let Some(entry) = REGISTRY.get(upper.as_str()) else {
        let names = REGISTRY.keys().copied().chain(super::aggregate::names());
        return Err(TypeError::UnknownFunction {
            name: upper.clone(),
            near: near_misses(&upper, names),
        });
    };
    let mut best: Option<(u32, &'static Overload, &Signature, Bindings)> = None;
    for (overload, signature) in &entry.overloads {
        let Some((cost, bound)) = signature.fit(&args) else { continue };
        if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
            best = Some((cost, overload, signature, bound));
        }
    }
    let Some((_, overload, signature, bound)) = best else {
        return Err(TypeError::WrongArguments {
            name: entry.definition.name,
            found: args.iter().map(|arg| arg.ty.clone()).collect(),
            expected: entry.overloads.iter().map(|(overload, _)| overload.signature).collect(),
        });
    };
    let last = signature.params.len().saturating_sub(1);
    let args: Vec<Expr> = args
        .into_iter()
        .enumerate()
        .map(|(i, arg)| {
            let to = signature.params[i.min(last)].resolved(&arg.ty, &bound);
            coerce(arg, &to).expect("an argument that fits its parameter can be converted to it")
        })
        .collect();
    let ty = overload.result.map_or_else(
        || Ok(signature.result.resolved(&Type::Null, &bound)),
        |result| result(&args),
    )?;
    Ok(Expr { kind: ExprKind::Call(Function { name: entry.definition.name, overload }, args), ty })
}

impl Signature {
    fn fit(&self, args: &[Expr]) -> Option<(u32, Bindings)> {
        let count = self.params.len();
        if args.len() < count || (args.len() > count && !self.variadic) {
            return None;
        }
        let mut bound = Bindings::new();
        let mut cost = u32::from(self.variadic);
        // text constants come last: they may be read as what the others bind a variable to
        for constants in [false, true] {
            for (i, arg) in args
                .iter()
                .enumerate()
                .filter(|(_, arg)| matches!(arg.as_literal(), Some(Value::Varchar(_))) == constants)
            {
                cost += self.params[i.min(count - 1)].fit(arg, &mut bound)?;
            }
        }
        Some((cost, bound))
    }
}

/// Up to three names at an edit distance of a third of the name.
pub(super) fn near_misses(
    name: &str,
    names: impl Iterator<Item = &'static str>,
) -> Vec<&'static str> {
    let mut near: Vec<_> = names
        .map(|known| (distance(name, known), known))
        .filter(|(distance, known)| {
            *distance <= 1 + name.len() / 4 || (name.len() > 3 && known.contains(name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, known)| known).collect()
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
