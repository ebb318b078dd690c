//! Evaluation of an expression on one tuple.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::functions::Site;
use super::{Comparison, Expr, ExprKind, arithmetic, cast, like};
use crate::model::row::Raw;
use crate::model::{RowRef, RowWriter, Type, Value};

/// Columns of one row, or of two joined rows seen as one: left, then right.
#[derive(Clone, Copy)]
pub struct Tuple<'a> {
    left: RowRef<'a>,
    right: Option<RowRef<'a>>,
}

impl<'a> Tuple<'a> {
    /// No columns: for constants.
    pub fn empty() -> Tuple<'static> {
        Tuple { left: RowRef::new(&[], 0), right: None }
    }

    /// The columns of one row.
    #[inline]
    pub fn single(row: RowRef<'a>) -> Tuple<'a> {
        Tuple { left: row, right: None }
    }

    /// The columns of two rows, those of `right` after those of `left`. A missing right row reads as NULLs.
    #[inline]
    pub fn joined(left: RowRef<'a>, right: Option<RowRef<'a>>) -> Tuple<'a> {
        Tuple { left, right }
    }

    /// Column `at` as a value of its type.
    #[inline]
    pub fn value(self, at: usize, ty: &Type) -> Value<'a> {
        self.raw(at).value(ty)
    }

    /// Copies neighbouring columns.
    #[inline]
    pub fn write_run(self, columns: Range<usize>, out: &mut RowWriter<'_>) {
        let width = self.left.width();
        if columns.start < width {
            out.run(self.left, columns.start..columns.end.min(width));
        }
        if columns.end > width {
            let rest = columns.start.max(width) - width..columns.end - width;
            match self.right {
                Some(row) => out.run(row, rest),
                None => rest.for_each(|_| out.null()),
            }
        }
    }

    /// Column `at` as stored.
    #[inline]
    pub fn raw(self, at: usize) -> Raw<'a> {
        match at.checked_sub(self.left.width()) {
            None => self.left.raw(at),
            Some(at) => self.right.map_or(Raw::Null, |row| row.raw(at)),
        }
    }
}

/// Why an expression has no value on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum EvalError {
    /// Division or remainder by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A number does not fit its type.
    #[error("a number is out of the range of its type")]
    OutOfRange,
    /// Text that is no value of the type it is cast to.
    #[error("text cannot be read as the type it is cast to")]
    BadCast,
    /// A date or time pattern that is not one, or that the text does not fit.
    #[error("text does not fit the date and time pattern")]
    BadTime,
    /// A date and time pattern with letters that mean nothing.
    #[error("not a date and time pattern")]
    BadTimePattern,
    /// An unknown time zone.
    #[error("unknown time zone")]
    BadTimeZone,
    /// A regular expression that does not compile.
    #[error("not a regular expression")]
    BadRegex,
    /// Text that is not JSON, or a path that is not a JSON path.
    #[error("not JSON, or not a JSON path")]
    BadJson,
    /// An argument outside of what the function takes.
    #[error("an argument is outside of what the function takes")]
    BadArgument,
}

impl EvalError {
    /// The stable name under which the error is counted.
    pub fn code(self) -> &'static str {
        match self {
            EvalError::DivisionByZero => "division_by_zero",
            EvalError::OutOfRange => "out_of_range",
            EvalError::BadCast => "bad_cast",
            EvalError::BadTime => "bad_time",
            EvalError::BadTimePattern => "bad_time_pattern",
            EvalError::BadTimeZone => "bad_time_zone",
            EvalError::BadRegex => "bad_regex",
            EvalError::BadJson => "bad_json",
            EvalError::BadArgument => "bad_argument",
        }
    }
}

/// A view of a value that lives elsewhere: the outermost text is borrowed, not copied.
pub(super) fn borrow<'a>(value: &'a Value<'_>) -> Value<'a> {
    match value {
        Value::Null => Value::Null,
        Value::Boolean(v) => Value::Boolean(*v),
        Value::Int(v) => Value::Int(*v),
        Value::BigInt(v) => Value::BigInt(*v),
        Value::Double(v) => Value::Double(*v),
        Value::Decimal(v) => Value::Decimal(v.clone()),
        Value::Varchar(v) => Value::Varchar(Cow::Borrowed(v)),
        Value::Bytes(v) => Value::Bytes(Cow::Borrowed(v)),
        Value::Guid(v) => Value::Guid(*v),
        Value::Timestamp(v) => Value::Timestamp(*v),
        Value::Date(v) => Value::Date(*v),
        Value::Time(v) => Value::Time(*v),
        Value::Array(items) => Value::Array(items.iter().map(borrow).collect()),
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(k, v)| (borrow(k), borrow(v))).collect())
        }
        Value::Struct(fields) => Value::Struct(fields.iter().map(borrow).collect()),
    }
}

/// The entries of a map as a value: sorted by key, of equal keys the last.
pub(super) fn map_value<'a>(mut entries: Vec<(Value<'a>, Value<'a>)>) -> Value<'a> {
    entries.reverse();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries.dedup_by(|later, kept| later.0 == kept.0);
    Value::Map(entries)
}

impl Expr {
    /// The value on a tuple. Text is borrowed from the row or from the expression where it can be.
    pub fn eval<'a>(&'a self, row: Tuple<'a>) -> Result<Value<'a>, EvalError> {
        match &self.kind {
            ExprKind::Column(at) => Ok(row.value(*at, &self.ty)),
            ExprKind::Literal(value) => Ok(borrow(value)),
            ExprKind::Call(function, args) => {
                let site = Site { args, ty: &self.ty };
                // an array is not unpacked to ask for its length
                if function.takes_stored()
                    && args.iter().any(|arg| matches!(arg.ty, Type::Array(_)))
                {
                    let mut stored = Vec::new();
                    let mut writer = RowWriter::new(&mut stored, 1);
                    self.write(row, &mut writer)?;
                    writer.finish();
                    return Ok(RowRef::new(&stored, 1).value(0, &self.ty).into_owned());
                }
                match args.as_slice() {
                    [a] => function.call(&mut [a.eval(row)?], site),
                    [a, b] => function.call(&mut [a.eval(row)?, b.eval(row)?], site),
                    [a, b, c] => {
                        function.call(&mut [a.eval(row)?, b.eval(row)?, c.eval(row)?], site)
                    }
                    _ => function.call(&mut eval_all(args, row)?, site),
                }
            }
            ExprKind::Arithmetic(op, pair) => match (pair[0].eval(row)?, pair[1].eval(row)?) {
                (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
                (left, right) => arithmetic::apply(*op, left, right, &self.ty),
            },
            ExprKind::Negate(one) => arithmetic::negate(one.eval(row)?),
            ExprKind::Compare(op, pair) => {
                Ok(compare(*op, &pair[0].eval(row)?, &pair[1].eval(row)?))
            }
            ExprKind::And(parts) => decide(parts, row, false),
            ExprKind::Or(parts) => decide(parts, row, true),
            ExprKind::Not(one) => Ok(match one.eval(row)? {
                Value::Boolean(value) => Value::Boolean(!value),
                _ => Value::Null,
            }),
            ExprKind::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    if condition.eval(row)? == Value::Boolean(true) {
                        return result.eval(row);
                    }
                }
                otherwise.as_ref().map_or(Ok(Value::Null), |last| last.eval(row))
            }
            ExprKind::Cast(one) => cast::cast(one.eval(row)?, &one.ty, &self.ty),
            ExprKind::Field(one, at) => Ok(match one.eval(row)? {
                Value::Struct(mut fields) if *at < fields.len() => fields.swap_remove(*at),
                _ => Value::Null,
            }),
            ExprKind::Subscript(pair) => Ok(subscript(pair[0].eval(row)?, &pair[1].eval(row)?)),
            ExprKind::Struct(parts) => Ok(Value::Struct(eval_all(parts, row)?)),
            ExprKind::Array(parts) => Ok(Value::Array(eval_all(parts, row)?)),
            ExprKind::Map(entries) => {
                let entries: Result<_, EvalError> = entries
                    .iter()
                    .map(|(key, value)| Ok((key.eval(row)?, value.eval(row)?)))
                    .collect();
                Ok(map_value(entries?))
            }
            ExprKind::IsNull(one, negated) => {
                Ok(Value::Boolean(one.eval(row)?.is_null() != *negated))
            }
            ExprKind::In(one, list) => {
                let value = one.eval(row)?;
                if value.is_null() {
                    return Ok(Value::Null);
                }
                let mut unknown = false;
                for item in list {
                    match item.eval(row)? {
                        Value::Null => unknown = true,
                        item if item == value => return Ok(Value::Boolean(true)),
                        _ => {}
                    }
                }
                Ok(if unknown { Value::Null } else { Value::Boolean(false) })
            }
            ExprKind::InSet(one, set) => {
                let value = one.eval(row)?;
                if value.is_null() {
                    return Ok(Value::Null);
                }
                Ok(set.contains(&value).map_or(Value::Null, Value::Boolean))
            }
            ExprKind::Like(pair, escape) => match (pair[0].eval(row)?, pair[1].eval(row)?) {
                (Value::Varchar(text), Value::Varchar(pattern)) => {
                    Ok(Value::Boolean(like::like(&text, &pattern, *escape)))
                }
                _ => Ok(Value::Null),
            },
        }
    }

    /// Writes the value on a tuple as a column: what is only moved is copied as it is stored. Nothing is written when it fails.
    pub fn write(&self, row: Tuple<'_>, out: &mut RowWriter<'_>) -> Result<(), EvalError> {
        match &self.kind {
            ExprKind::Column(at) => out.raw(row.raw(*at)),
            ExprKind::Struct(parts) => {
                return out.parts(parts.len(), |out| {
                    parts.iter().try_for_each(|part| part.write(row, out))
                });
            }
            ExprKind::Call(function, args) if function.takes_stored() => {
                let mut written = Vec::new();
                for arg in args.iter().filter(|arg| arg.as_column().is_none()) {
                    let mut stored = Vec::new();
                    let mut writer = RowWriter::new(&mut stored, 1);
                    arg.write(row, &mut writer)?;
                    writer.finish();
                    written.push(stored);
                }
                let mut written = written.iter();
                let arg = |arg: &Expr| match arg.as_column() {
                    Some(at) => row.raw(at),
                    None => RowRef::new(
                        written.next().expect("one for each argument that is no column"),
                        1,
                    )
                    .raw(0),
                };
                let stored: Vec<Raw<'_>> = args.iter().map(arg).collect();
                function.call_stored(&stored, Site { args, ty: &self.ty }, out);
            }
            _ => out.value(&self.eval(row)?),
        }
        Ok(())
    }

    /// True when the value is TRUE: what a filter asks.
    #[inline]
    pub fn holds(&self, row: Tuple<'_>) -> Result<bool, EvalError> {
        Ok(matches!(self.eval(row)?, Value::Boolean(true)))
    }
}

fn eval_all<'a>(parts: &'a [Expr], row: Tuple<'a>) -> Result<Vec<Value<'a>>, EvalError> {
    parts.iter().map(|part| part.eval(row)).collect()
}

/// Conjunction (`decisive` = false) and disjunction (true).
fn decide<'a>(parts: &'a [Expr], row: Tuple<'a>, decisive: bool) -> Result<Value<'a>, EvalError> {
    let mut unknown = false;
    for part in parts {
        match part.eval(row)? {
            Value::Boolean(value) if value == decisive => return Ok(Value::Boolean(decisive)),
            Value::Boolean(_) => {}
            _ => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Boolean(!decisive) })
}

fn compare<'a>(op: Comparison, left: &Value<'_>, right: &Value<'_>) -> Value<'a> {
    match op {
        Comparison::Distinct => return Value::Boolean(left != right),
        Comparison::NotDistinct => return Value::Boolean(left == right),
        _ if left.is_null() || right.is_null() => return Value::Null,
        _ => {}
    }
    let order = left.cmp(right);
    Value::Boolean(match op {
        Comparison::Equal | Comparison::NotDistinct => order == Ordering::Equal,
        Comparison::NotEqual | Comparison::Distinct => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
    })
}

fn subscript<'a>(from: Value<'a>, index: &Value<'a>) -> Value<'a> {
    match (from, index) {
        (Value::Array(mut items), Value::Int(index)) => {
            let at = match *index {
                0 => return Value::Null,
                at @ 1.. => i64::from(at) - 1,
                at => items.len() as i64 + i64::from(at),
            };
            if (0..items.len() as i64).contains(&at) {
                items.swap_remove(at as usize)
            } else {
                Value::Null
            }
        }
        (Value::Map(mut entries), key) => match entries.binary_search_by(|(k, _)| k.cmp(key)) {
            Ok(at) => entries.swap_remove(at).1,
            Err(_) => Value::Null,
        },
        _ => Value::Null,
    }
}
