//! Constants.

use std::str::FromStr;

use bigdecimal::BigDecimal;

use super::Result;
use crate::expr::Expr;
use crate::model::{Type, Value};
use crate::sql::ast::Literal;
use crate::sql::error::{Span, SqlError};

/// The constant, in the type that its spelling has: `1.20` is a `DECIMAL(3, 2)`.
pub(super) fn constant(literal: &Literal, span: Span) -> Result<Expr> {
    Ok(match literal {
        Literal::Null => Expr::null(Type::Null),
        Literal::Boolean(v) => Expr::literal(Value::Boolean(*v), Type::Boolean),
        Literal::Int(v) => Expr::literal(Value::Int(*v), Type::Int),
        Literal::BigInt(v) => Expr::literal(Value::BigInt(*v), Type::BigInt),
        Literal::Double(v) => Expr::literal(Value::Double(*v), Type::Double),
        Literal::String(text) => Expr::text(text.clone()),
        Literal::Decimal(text) => {
            let value = BigDecimal::from_str(text.trim_end_matches('.'))
                .map_err(|_| SqlError::new(span, "this is not a number"))?;
            let (digits, scale) = (value.digits(), value.fractional_digit_count().max(0) as u64);
            let (Ok(precision), Ok(scale)) =
                (u16::try_from(digits.max(scale)), u16::try_from(scale))
            else {
                return Err(SqlError::new(span, "this number has too many digits"));
            };
            Expr::literal(Value::Decimal(value), Type::Decimal(precision, scale))
        }
    })
}
