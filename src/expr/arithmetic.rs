//! Arithmetic on values of one type, and the types of its results.
//!
//! The precision and scale of decimal results follow ksqlDB: they always hold the exact sum, difference and product; a quotient keeps at least
//! six digits after the point and is rounded half up.

use bigdecimal::{BigDecimal, RoundingMode, Zero};

use super::EvalError;
use super::cast::fit_decimal;
use crate::model::{Type, Value};

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arithmetic {
    /// `+`, which also concatenates text
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`, truncating on integers
    Divide,
    /// `%`, with the sign of the dividend
    Modulo,
}

impl Arithmetic {
    /// The operator as written in SQL.
    pub fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Modulo => "%",
        }
    }

    /// The type of the result on two decimals.
    pub(super) fn decimal_type(self, (p1, s1): (u16, u16), (p2, s2): (u16, u16)) -> Type {
        let whole = (p1.saturating_sub(s1)).max(p2.saturating_sub(s2));
        let scale = s1.max(s2);
        let (precision, scale) = match self {
            Arithmetic::Add | Arithmetic::Subtract => (whole + scale + 1, scale),
            Arithmetic::Multiply => (p1 + p2 + 1, s1 + s2),
            Arithmetic::Divide => {
                let scale = 6.max(s1 + p2 + 1);
                ((p1.saturating_sub(s1)) + s2 + scale, scale)
            }
            Arithmetic::Modulo => {
                ((p1.saturating_sub(s1)).min(p2.saturating_sub(s2)) + scale, scale)
            }
        };
        Type::Decimal(precision.max(1), scale)
    }
}

/// Applies the operator to two values of one type, neither NULL.
pub(super) fn apply<'a>(
    op: Arithmetic,
    left: Value<'a>,
    right: Value<'a>,
    ty: &Type,
) -> Result<Value<'a>, EvalError> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => {
            let value = match op {
                Arithmetic::Add => a.checked_add(b),
                Arithmetic::Subtract => a.checked_sub(b),
                Arithmetic::Multiply => a.checked_mul(b),
                Arithmetic::Divide | Arithmetic::Modulo if b == 0 => {
                    return Err(EvalError::DivisionByZero);
                }
                Arithmetic::Divide => a.checked_div(b),
                // the one remainder that overflows is of MIN by -1, and is 0
                Arithmetic::Modulo => Some(a.wrapping_rem(b)),
            };
            value.map(Value::Int).ok_or(EvalError::OutOfRange)
        }
        (Value::BigInt(a), Value::BigInt(b)) => {
            let value = match op {
                Arithmetic::Add => a.checked_add(b),
                Arithmetic::Subtract => a.checked_sub(b),
                Arithmetic::Multiply => a.checked_mul(b),
                Arithmetic::Divide | Arithmetic::Modulo if b == 0 => {
                    return Err(EvalError::DivisionByZero);
                }
                Arithmetic::Divide => a.checked_div(b),
                Arithmetic::Modulo => Some(a.wrapping_rem(b)),
            };
            value.map(Value::BigInt).ok_or(EvalError::OutOfRange)
        }
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(match op {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide | Arithmetic::Modulo if b == 0.0 => {
                return Err(EvalError::DivisionByZero);
            }
            Arithmetic::Divide => a / b,
            Arithmetic::Modulo => a % b,
        })),
        (Value::Decimal(a), Value::Decimal(b)) => {
            let value = match op {
                Arithmetic::Add => a + b,
                Arithmetic::Subtract => a - b,
                Arithmetic::Multiply => a * b,
                Arithmetic::Divide | Arithmetic::Modulo if b.is_zero() => {
                    return Err(EvalError::DivisionByZero);
                }
                Arithmetic::Divide => quotient(&a, &b, ty),
                Arithmetic::Modulo => a % b,
            };
            fit_decimal(&value, ty).map(Value::Decimal)
        }
        (Value::Varchar(a), Value::Varchar(b)) if op == Arithmetic::Add => {
            let mut text = a.into_owned();
            text.push_str(&b);
            Ok(Value::Varchar(text.into()))
        }
        _ => unreachable!("typing gives both operands one type that has the operator"),
    }
}

/// `a / b` rounded half up to the scale of the type, by integer division so that nothing is rounded twice.
fn quotient(a: &BigDecimal, b: &BigDecimal, ty: &Type) -> BigDecimal {
    let Type::Decimal(_, scale) = ty else { unreachable!("decimals divide into a decimal") };
    let scale = i64::from(*scale);
    // a = A·10^-sa, b = B·10^-sb, so a/b = (A/B)·10^(sb-sa); half up looks at one more digit only
    let (a_digits, a_scale) = a.as_bigint_and_exponent();
    let (b_digits, b_scale) = b.as_bigint_and_exponent();
    let shift = scale + 1 + b_scale - a_scale;
    let ten = bigdecimal::num_bigint::BigInt::from(10);
    let (numerator, denominator) = if shift >= 0 {
        (a_digits * ten.pow(shift as u32), b_digits)
    } else {
        (a_digits, b_digits * ten.pow(-shift as u32))
    };
    let whole = numerator / denominator;
    BigDecimal::new(whole, scale + 1).with_scale_round(scale, RoundingMode::HalfUp)
}

/// `-value`
pub(super) fn negate(value: Value<'_>) -> Result<Value<'_>, EvalError> {
    Ok(match value {
        Value::Int(v) => Value::Int(v.checked_neg().ok_or(EvalError::OutOfRange)?),
        Value::BigInt(v) => Value::BigInt(v.checked_neg().ok_or(EvalError::OutOfRange)?),
        Value::Double(v) => Value::Double(-v),
        Value::Decimal(v) => Value::Decimal(-v),
        _ => Value::Null,
    })
}
