//! Expressions.
//!
//! Parentheses are not kept: printing puts them where precedence needs them. AND and OR hold any number of operands, since hunters write
//! long ones; every other operator is a level of the tree, and the height of a tree is bounded by [`MAX_HEIGHT`], so that
//! walking it cannot exhaust the stack.

use std::fmt::{self, Display};

use super::{Commas, Ident, Quoted, TypeName};
use crate::sql::Span;

/// Greatest height of an expression that the parser accepts.
pub const MAX_HEIGHT: u32 = 250;

/// An expression and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
    height: u32,
}

/// The kinds of expressions.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// A constant.
    Literal(Literal),
    /// `name` or `source.name`
    Column {
        /// The relation's name or alias.
        source: Option<Ident>,
        /// The column's name.
        name: Ident,
    },
    /// `NOT x`, `-x`, `+x`
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        operand: Box<Expr>,
    },
    /// Arithmetic, concatenation and comparison.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// The operand before it.
        left: Box<Expr>,
        /// The operand after it.
        right: Box<Expr>,
    },
    /// `a AND b AND …`, two or more
    And(Vec<Expr>),
    /// `a OR b OR …`, two or more
    Or(Vec<Expr>),
    /// `x [NOT] BETWEEN low AND high`
    Between {
        /// What is compared.
        operand: Box<Expr>,
        /// The least value that is in.
        low: Box<Expr>,
        /// The greatest value that is in.
        high: Box<Expr>,
        /// With NOT.
        negated: bool,
    },
    /// `x [NOT] IN (a, b, …)`
    In {
        /// What is looked for.
        operand: Box<Expr>,
        /// Where.
        items: Vec<Expr>,
        /// With NOT.
        negated: bool,
    },
    /// `x [NOT] LIKE pattern [ESCAPE 'c']`
    Like {
        /// What is matched.
        operand: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// The character that takes `%` and `_` their meaning.
        escape: Option<char>,
        /// With NOT.
        negated: bool,
    },
    /// `x IS [NOT] NULL`
    IsNull {
        /// What is tested.
        operand: Box<Expr>,
        /// With NOT.
        negated: bool,
    },
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`
    Case {
        /// What is compared with each condition; without it conditions are BOOLEAN.
        operand: Option<Box<Expr>>,
        /// Conditions and results, one or more.
        whens: Vec<(Expr, Expr)>,
        /// The result when no condition holds.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(x AS type)`
    Cast {
        /// What is converted.
        operand: Box<Expr>,
        /// To what.
        ty: TypeName,
    },
    /// `DATE '2018-04-11'`: a constant of a type that has no spelling of its own.
    Typed {
        /// The type.
        ty: Ident,
        /// The constant's text.
        text: String,
    },
    /// `name(arguments)`; `COUNT(*)` is `COUNT` without arguments.
    Call {
        /// The function.
        name: Ident,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// `(x, y) => body`, as an argument.
    Lambda {
        /// The parameters, one or more.
        params: Vec<Ident>,
        /// The result.
        body: Box<Expr>,
    },
    /// `struct->field`
    Field {
        /// The struct.
        base: Box<Expr>,
        /// The field.
        name: Ident,
    },
    /// `array[i]` or `map[key]`
    Index {
        /// The array or map.
        base: Box<Expr>,
        /// Which element.
        index: Box<Expr>,
    },
    /// `ARRAY[a, b, …]`
    Array(Vec<Expr>),
    /// `MAP(k := v, …)`
    Map(Vec<(Expr, Expr)>),
    /// `STRUCT(name := v, …)`
    Struct(Vec<(Ident, Expr)>),
    /// `x AT TIME ZONE 'zone'`
    AtTimeZone {
        /// The time.
        operand: Box<Expr>,
        /// The zone.
        zone: String,
    },
}

/// A constant.
#[derive(Clone, PartialEq, Debug)]
pub enum Literal {
    /// `NULL`
    Null,
    /// `TRUE`, `FALSE`
    Boolean(bool),
    /// A whole number that fits 32 bits.
    Int(i32),
    /// A whole number that fits 64 bits.
    BigInt(i64),
    /// Digits with a point, or a whole number beyond 64 bits: kept as written, since trailing zeros are part of the type.
    Decimal(String),
    /// A number with an exponent, finite.
    Double(f64),
    /// `'text'`
    String(String),
}

/// Operators with one operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    /// `NOT`
    Not,
    /// `-`
    Minus,
    /// `+`
    Plus,
}

/// Operators with two operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `||`
    Concat,
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `IS DISTINCT FROM`
    Distinct,
    /// `IS NOT DISTINCT FROM`
    NotDistinct,
}

impl BinaryOp {
    /// How the operator is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
            BinaryOp::Concat => "||",
            BinaryOp::Equal => "=",
            BinaryOp::NotEqual => "<>",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::Distinct => "IS DISTINCT FROM",
            BinaryOp::NotDistinct => "IS NOT DISTINCT FROM",
        }
    }

    /// How tightly it binds.
    pub(in crate::sql) fn level(self) -> Level {
        match self {
            BinaryOp::Add | BinaryOp::Subtract => Level::Sum,
            BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => Level::Product,
            BinaryOp::Concat => Level::Concat,
            _ => Level::Predicate,
        }
    }
}

/// How tightly expressions bind, loosest first. Shared by the parser and the printer, so that they agree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::sql) enum Level {
    Or,
    And,
    Not,
    /// Comparisons, LIKE, IN, BETWEEN, IS: they do not chain.
    Predicate,
    Concat,
    Sum,
    Product,
    Sign,
    Zone,
    Postfix,
}

impl Level {
    /// The level of the right operand of an operator that groups to the left.
    pub(in crate::sql) fn tighter(self) -> Level {
        match self {
            Level::Or => Level::And,
            Level::And => Level::Not,
            Level::Not => Level::Predicate,
            Level::Predicate => Level::Concat,
            Level::Concat => Level::Sum,
            Level::Sum => Level::Product,
            Level::Product => Level::Sign,
            Level::Sign => Level::Zone,
            Level::Zone | Level::Postfix => Level::Postfix,
        }
    }
}

impl Expr {
    /// An expression at a place.
    pub fn new(kind: ExprKind, span: Span) -> Expr {
        let mut height = 0;
        kind.for_each_child(&mut |child| height = height.max(child.height));
        Expr { kind, span, height: height + 1 }
    }

    /// Number of levels, itself included.
    pub fn height(&self) -> u32 {
        self.height
    }

    fn level(&self) -> Level {
        match &self.kind {
            ExprKind::Or(_) | ExprKind::Lambda { .. } => Level::Or,
            ExprKind::And(_) => Level::And,
            ExprKind::Unary { op: UnaryOp::Not, .. } => Level::Not,
            ExprKind::Between { .. }
            | ExprKind::In { .. }
            | ExprKind::Like { .. }
            | ExprKind::IsNull { .. } => Level::Predicate,
            ExprKind::Binary { op, .. } => op.level(),
            ExprKind::Unary { .. } => Level::Sign,
            ExprKind::Literal(literal) if literal.is_negative() => Level::Sign,
            ExprKind::AtTimeZone { .. } => Level::Zone,
            _ => Level::Postfix,
        }
    }

    /// The expression, in parentheses if it binds more loosely than its place allows.
    pub(super) fn within(&self, least: Level) -> impl Display + '_ {
        fmt::from_fn(
            move |f| if self.level() < least { write!(f, "({self})") } else { self.fmt(f) },
        )
    }
}

impl ExprKind {
    /// Calls `visit` on each direct part that is an expression, in the order of the text.
    pub fn for_each_child<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        match self {
            ExprKind::Literal(_) | ExprKind::Column { .. } | ExprKind::Typed { .. } => {}
            ExprKind::Unary { operand, .. }
            | ExprKind::IsNull { operand, .. }
            | ExprKind::Cast { operand, .. }
            | ExprKind::AtTimeZone { operand, .. } => visit(operand),
            ExprKind::Binary { left, right, .. } => {
                visit(left);
                visit(right);
            }
            ExprKind::And(items)
            | ExprKind::Or(items)
            | ExprKind::Array(items)
            | ExprKind::Call { args: items, .. } => {
                items.iter().for_each(visit);
            }
            ExprKind::Between { operand, low, high, .. } => {
                visit(operand);
                visit(low);
                visit(high);
            }
            ExprKind::In { operand, items, .. } => {
                visit(operand);
                items.iter().for_each(visit);
            }
            ExprKind::Like { operand, pattern, .. } => {
                visit(operand);
                visit(pattern);
            }
            ExprKind::Case { operand, whens, otherwise } => {
                if let Some(operand) = operand {
                    visit(operand);
                }
                for (condition, result) in whens {
                    visit(condition);
                    visit(result);
                }
                if let Some(otherwise) = otherwise {
                    visit(otherwise);
                }
            }
            ExprKind::Lambda { body, .. } => visit(body),
            ExprKind::Field { base, .. } => visit(base),
            ExprKind::Index { base, index } => {
                visit(base);
                visit(index);
            }
            ExprKind::Map(entries) => {
                for (key, value) in entries {
                    visit(key);
                    visit(value);
                }
            }
            ExprKind::Struct(fields) => fields.iter().for_each(|(_, value)| visit(value)),
        }
    }
}

impl Literal {
    /// A number from its digits, in the narrowest type that holds it. `None` for a double out of range.
    pub fn number(text: &str) -> Option<Literal> {
        if text.contains(['e', 'E']) {
            let value: f64 = text.parse().ok()?;
            return value.is_finite().then_some(Literal::Double(value));
        }
        Some(match text.parse::<i64>() {
            Ok(value) => i32::try_from(value).map_or(Literal::BigInt(value), Literal::Int),
            Err(_) => Literal::Decimal(text.to_string()),
        })
    }

    fn is_negative(&self) -> bool {
        match self {
            Literal::Int(v) => *v < 0,
            Literal::BigInt(v) => *v < 0,
            Literal::Decimal(text) => text.starts_with('-'),
            Literal::Double(v) => v.is_sign_negative(),
            Literal::Null | Literal::Boolean(_) | Literal::String(_) => false,
        }
    }

    fn is_number(&self) -> bool {
        !matches!(self, Literal::Null | Literal::Boolean(_) | Literal::String(_))
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("NULL"),
            Literal::Boolean(true) => f.write_str("TRUE"),
            Literal::Boolean(false) => f.write_str("FALSE"),
            Literal::Int(v) => v.fmt(f),
            Literal::BigInt(v) => v.fmt(f),
            Literal::Decimal(text) => f.write_str(text),
            Literal::Double(v) => write!(f, "{v:E}"),
            Literal::String(text) => Quoted(text).fmt(f),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negated: bool| if negated { "NOT " } else { "" };
        match &self.kind {
            ExprKind::Literal(literal) => literal.fmt(f),
            ExprKind::Column { source: Some(source), name } => write!(f, "{source}.{name}"),
            ExprKind::Column { source: None, name } => name.fmt(f),
            ExprKind::Unary { op: UnaryOp::Not, operand } => {
                write!(f, "NOT {}", operand.within(Level::Not))
            }
            ExprKind::Unary { op, operand } => {
                f.write_str(if *op == UnaryOp::Minus { "-" } else { "+" })?;
                // `-1` would be read as a constant, `--1` as a comment
                match &operand.kind {
                    ExprKind::Literal(literal) if literal.is_number() => write!(f, "({operand})"),
                    ExprKind::Unary { op: UnaryOp::Minus, .. } => write!(f, "({operand})"),
                    _ => operand.within(Level::Sign).fmt(f),
                }
            }
            ExprKind::Binary { op, left, right } => {
                let level = op.level();
                let least = if level == Level::Predicate { level.tighter() } else { level };
                write!(
                    f,
                    "{} {} {}",
                    left.within(least),
                    op.symbol(),
                    right.within(level.tighter())
                )
            }
            ExprKind::And(items) => chain(f, items, " AND ", Level::Not),
            ExprKind::Or(items) => chain(f, items, " OR ", Level::And),
            ExprKind::Between { operand, low, high, negated } => {
                let [operand, low, high] =
                    [operand, low, high].map(|part| part.within(Level::Concat));
                write!(f, "{operand} {}BETWEEN {low} AND {high}", not(*negated))
            }
            ExprKind::In { operand, items, negated } => {
                write!(
                    f,
                    "{} {}IN ({})",
                    operand.within(Level::Concat),
                    not(*negated),
                    Commas(items)
                )
            }
            ExprKind::Like { operand, pattern, escape, negated } => {
                write!(
                    f,
                    "{} {}LIKE {}",
                    operand.within(Level::Concat),
                    not(*negated),
                    pattern.within(Level::Concat)
                )?;
                match escape {
                    Some(escape) => {
                        write!(f, " ESCAPE {}", Quoted(escape.encode_utf8(&mut [0; 4])))
                    }
                    None => Ok(()),
                }
            }
            ExprKind::IsNull { operand, negated } => {
                write!(f, "{} IS {}NULL", operand.within(Level::Concat), not(*negated))
            }
            ExprKind::Case { operand, whens, otherwise } => {
                f.write_str("CASE")?;
                if let Some(operand) = operand {
                    write!(f, " {operand}")?;
                }
                for (condition, result) in whens {
                    write!(f, " WHEN {condition} THEN {result}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " ELSE {otherwise}")?;
                }
                f.write_str(" END")
            }
            ExprKind::Cast { operand, ty } => write!(f, "CAST({operand} AS {ty})"),
            ExprKind::Typed { ty, text } => write!(f, "{ty} {}", Quoted(text)),
            ExprKind::Call { name, args } if args.is_empty() && name.name == "COUNT" => {
                f.write_str("COUNT(*)")
            }
            ExprKind::Call { name, args } => write!(f, "{name}({})", Commas(args)),
            ExprKind::Lambda { params, body } => match &params[..] {
                [param] => write!(f, "{param} => {body}"),
                params => write!(f, "({}) => {body}", Commas(params)),
            },
            ExprKind::Field { base, name } => write!(f, "{}->{name}", base.within(Level::Postfix)),
            ExprKind::Index { base, index } => {
                write!(f, "{}[{index}]", base.within(Level::Postfix))
            }
            ExprKind::Array(items) => write!(f, "ARRAY[{}]", Commas(items)),
            ExprKind::Map(entries) => pairs(f, "MAP", entries),
            ExprKind::Struct(fields) => pairs(f, "STRUCT", fields),
            ExprKind::AtTimeZone { operand, zone } => {
                write!(f, "{} AT TIME ZONE {}", operand.within(Level::Zone), Quoted(zone))
            }
        }
    }
}

fn chain(f: &mut fmt::Formatter<'_>, items: &[Expr], between: &str, least: Level) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{}", if i == 0 { "" } else { between }, item.within(least))?;
    }
    Ok(())
}

fn pairs(
    f: &mut fmt::Formatter<'_>,
    constructor: &str,
    pairs: &[(impl Display, Expr)],
) -> fmt::Result {
    write!(f, "{constructor}(")?;
    for (i, (name, value)) in pairs.iter().enumerate() {
        write!(f, "{}{name} := {value}", if i == 0 { "" } else { ", " })?;
    }
    f.write_str(")")
}
