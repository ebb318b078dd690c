//! Expressions as SQL-like text, for EXPLAIN.

use std::fmt;

use super::cast::text_of;
use super::{Expr, ExprKind};
use crate::model::schema::quoted;
use crate::model::{Type, Value};

impl Expr {
    /// The expression with columns under these names; a column beyond them prints as `#n`.
    pub fn display<'a, S: AsRef<str>>(&'a self, names: &'a [S]) -> impl fmt::Display + 'a {
        Printed {
            expr: self,
            name: Box::new(move |at| {
                names.get(at).map_or_else(|| format!("#{at}"), |name| name.as_ref().to_string())
            }),
        }
    }
}

/// Columns print as `#n`.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self, &|at| format!("#{at}"), f)
    }
}

struct Printed<'a> {
    expr: &'a Expr,
    name: Box<dyn Fn(usize) -> String + 'a>,
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.expr, &*self.name, f)
    }
}

fn print(expr: &Expr, name: &dyn Fn(usize) -> String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let list = |f: &mut fmt::Formatter<'_>, parts: &[Expr], between: &str| {
        for (i, part) in parts.iter().enumerate() {
            if i > 0 {
                f.write_str(between)?;
            }
            print(part, name, f)?;
        }
        Ok(())
    };
    match &expr.kind {
        ExprKind::Column(at) => f.write_str(&name(*at)),
        ExprKind::Literal(value) => print_literal(value, &expr.ty, f),
        ExprKind::Call(function, args) => {
            write!(f, "{}(", function.name())?;
            list(f, args, ", ")?;
            f.write_str(")")
        }
        ExprKind::Arithmetic(op, pair) => {
            f.write_str("(")?;
            list(f, &pair[..], &format!(" {} ", op.symbol()))?;
            f.write_str(")")
        }
        ExprKind::Negate(one) => {
            f.write_str("-")?;
            print(one, name, f)
        }
        ExprKind::Compare(op, pair) => {
            f.write_str("(")?;
            list(f, &pair[..], &format!(" {} ", op.symbol()))?;
            f.write_str(")")
        }
        ExprKind::And(parts) => {
            f.write_str("(")?;
            list(f, parts, " AND ")?;
            f.write_str(")")
        }
        ExprKind::Or(parts) => {
            f.write_str("(")?;
            list(f, parts, " OR ")?;
            f.write_str(")")
        }
        ExprKind::Not(one) => {
            f.write_str("(NOT ")?;
            print(one, name, f)?;
            f.write_str(")")
        }
        ExprKind::Case { branches, otherwise } => {
            f.write_str("CASE")?;
            for (condition, result) in branches {
                f.write_str(" WHEN ")?;
                print(condition, name, f)?;
                f.write_str(" THEN ")?;
                print(result, name, f)?;
            }
            if let Some(last) = otherwise {
                f.write_str(" ELSE ")?;
                print(last, name, f)?;
            }
            f.write_str(" END")
        }
        ExprKind::Cast(one) => {
            f.write_str("CAST(")?;
            print(one, name, f)?;
            write!(f, " AS {})", expr.ty)
        }
        ExprKind::Field(one, at) => {
            print(one, name, f)?;
            match &one.ty {
                Type::Struct(fields) => write!(f, "->{}", quoted(&fields[*at].0)),
                _ => write!(f, "->{at}"),
            }
        }
        ExprKind::Subscript(pair) => {
            print(&pair[0], name, f)?;
            f.write_str("[")?;
            print(&pair[1], name, f)?;
            f.write_str("]")
        }
        ExprKind::Struct(parts) => {
            f.write_str("STRUCT(")?;
            for (i, part) in parts.iter().enumerate() {
                f.write_str(if i > 0 { ", " } else { "" })?;
                if let Type::Struct(fields) = &expr.ty {
                    write!(f, "{} := ", quoted(&fields[i].0))?;
                }
                print(part, name, f)?;
            }
            f.write_str(")")
        }
        ExprKind::Array(parts) => {
            f.write_str("ARRAY[")?;
            list(f, parts, ", ")?;
            f.write_str("]")
        }
        ExprKind::Map(entries) => {
            f.write_str("MAP(")?;
            for (i, (key, value)) in entries.iter().enumerate() {
                f.write_str(if i > 0 { ", " } else { "" })?;
                print(key, name, f)?;
                f.write_str(" := ")?;
                print(value, name, f)?;
            }
            f.write_str(")")
        }
        ExprKind::IsNull(one, negated) => {
            f.write_str("(")?;
            print(one, name, f)?;
            f.write_str(if *negated { " IS NOT NULL)" } else { " IS NULL)" })
        }
        ExprKind::In(one, parts) => {
            f.write_str("(")?;
            print(one, name, f)?;
            f.write_str(" IN (")?;
            list(f, parts, ", ")?;
            f.write_str("))")
        }
        ExprKind::InSet(one, set) => {
            f.write_str("(")?;
            print(one, name, f)?;
            f.write_str(" IN (")?;
            for (i, value) in set.values().iter().take(SHOWN_ITEMS).enumerate() {
                f.write_str(if i > 0 { ", " } else { "" })?;
                print_literal(value, &one.ty, f)?;
            }
            match set.values().len() {
                0..=SHOWN_ITEMS => {}
                all => write!(f, ", … {all} in all")?,
            }
            f.write_str(if set.has_null() { ", NULL))" } else { "))" })
        }
        ExprKind::Like(pair, escape) => {
            f.write_str("(")?;
            list(f, &pair[..], " LIKE ")?;
            if let Some(escape) = escape {
                write!(f, " ESCAPE '{escape}'")?;
            }
            f.write_str(")")
        }
    }
}

/// So many constants of a list are printed.
const SHOWN_ITEMS: usize = 30;

fn print_literal(value: &Value<'_>, ty: &Type, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Null => f.write_str("NULL"),
        Value::Boolean(v) => f.write_str(if *v { "TRUE" } else { "FALSE" }),
        Value::Varchar(_)
        | Value::Bytes(_)
        | Value::Guid(_)
        | Value::Timestamp(_)
        | Value::Date(_)
        | Value::Time(_) => {
            write!(f, "'{}'", text_of(value, ty).replace('\'', "''"))
        }
        _ => f.write_str(&text_of(value, ty)),
    }
}
