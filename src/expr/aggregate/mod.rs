//! Aggregate functions: their types, and what they need to know of a row beside their arguments.
//!
//! # Order
//! A result never depends on the order in which updates come to the function. Where SQL speaks of
//! order it is the *order of arrival*: (moment, ROWPARTITION, ROWOFFSET). The binder supplies it as
//! hidden arguments ([`Hidden`]), with ROWTIME for the moment; what the moment is where rows are
//! grouped is for the dataflow to say. Without offsets collections are sorted by value, and the
//! BY_OFFSET functions do not exist. Sums of doubles are exact and rounded once, see `exact`.
//!
//! # Results
//! * `COUNT(x)`, `SUM`, `AVG`, `MIN`, `MAX`, `FIRST_KNOWN`, `TOPK`, `HISTOGRAM` and the statistics pass over NULLs; `COLLECT_*` and `ATTR` keep them.
//! * `SUM`, `AVG`, `STDDEV_SAMP` and `COUNT` of nothing are 0, as in ksqlDB; everything else of nothing is NULL, or empty when it is a collection.
//! * An integer sum that does not fit its type is NULL while it does not fit: sums are kept in 128 bits.
//! * `FIRST_KNOWN(value, priority)`: of the values that are not NULL, the one with the lowest priority (NULL last), then of the earliest row
//!   (an unknown time last; over a table all times are unknown), then the least value; for text that is the one with the smallest bytes.

mod accumulator;
mod exact;
mod list;
mod winners;

pub use accumulator::Accumulator;
pub use winners::{Output, Split, Winners};

use super::Expr;
use super::functions::near_misses;
use super::typing::{TypeError, coerce, constant};
use crate::model::{Type, Value};

/// An aggregate function over a group's rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregate {
    /// What is computed.
    pub function: AggregateFunction,
    /// The arguments, the hidden ones last; what [`Accumulator::update`] takes, in order.
    pub args: Vec<Expr>,
    /// The type of the result.
    pub ty: Type,
    /// How many of the arguments, at the end, are those of the order of arrival, or ROWTIME.
    hidden: usize,
}

/// The aggregate functions, with their constant arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AggregateFunction {
    /// `COUNT(*)`, `COUNT(x)`
    Count,
    /// `COUNT_DISTINCT(x)`
    CountDistinct,
    /// `SUM(x)`, `SUM_LIST(array)`
    Sum,
    /// `AVG(x)`
    Average,
    /// `MIN(x)`
    Min,
    /// `MAX(x)`
    Max,
    /// `COLLECT_LIST(x)`
    CollectList,
    /// `COLLECT_SET(x)`
    CollectSet,
    /// `EARLIEST_BY_OFFSET(x[, n][, ignore_nulls])`
    Earliest(ByOffset),
    /// `LATEST_BY_OFFSET(x[, n][, ignore_nulls])`
    Latest(ByOffset),
    /// `FIRST_KNOWN(x, priority)`
    FirstKnown,
    /// `TOPK(x, others…, k)`
    TopK(u32),
    /// `TOPKDISTINCT(x, k)`
    TopKDistinct(u32),
    /// `HISTOGRAM(x)`
    Histogram,
    /// `ATTR(x)`: the value that all rows have
    Attribute,
    /// `STDDEV_SAMP(x)`
    Deviation,
    /// `CORRELATION(x, y)`
    Correlation,
}

/// The constant arguments of the BY_OFFSET functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByOffset {
    /// How many values; `None` for the one value itself instead of an array.
    pub count: Option<u32>,
    /// NULLs count as values.
    pub nulls: bool,
}

/// What the binder knows of the aggregated rows beside their columns. Absent over tables.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    /// ROWTIME
    pub time: Option<Expr>,
    /// ROWPARTITION and ROWOFFSET
    pub offset: Option<(Expr, Expr)>,
}

/// Name, what it does, and signatures, as listed by `SHOW FUNCTIONS`.
const LISTING: &[(&str, &str, &[&str])] = &[
    ("ATTR", "The value that all rows of the group have, else NULL", &["(T) T"]),
    (
        "AVG",
        "Mean of the numbers",
        &["(INT) DOUBLE", "(BIGINT) DOUBLE", "(DOUBLE) DOUBLE", "(DECIMAL) DOUBLE"],
    ),
    ("COLLECT_LIST", "All values, in the order of arrival", &["(T) ARRAY<T>"]),
    (
        "COLLECT_SET",
        "The distinct values, in the order of arrival of their first",
        &["(T) ARRAY<T>"],
    ),
    ("CORRELATION", "Pearson's correlation of two columns", &["(DOUBLE, DOUBLE) DOUBLE"]),
    ("COUNT", "Number of rows, or of values that are not NULL", &["(*) BIGINT", "(T) BIGINT"]),
    ("COUNT_DISTINCT", "Number of distinct values, exactly", &["(T) BIGINT"]),
    (
        "EARLIEST_BY_OFFSET",
        "The first value, or the first n, in the order of arrival",
        &["(T) T", "(T, BOOLEAN) T", "(T, INT) ARRAY<T>", "(T, INT, BOOLEAN) ARRAY<T>"],
    ),
    (
        "FIRST_KNOWN",
        "The value of the lowest priority number, then of the earliest row",
        &["(T, INT) T"],
    ),
    ("HISTOGRAM", "How often each value occurs", &["(VARCHAR) MAP<VARCHAR, BIGINT>"]),
    (
        "LATEST_BY_OFFSET",
        "The last value, or the last n, in the order of arrival",
        &["(T) T", "(T, BOOLEAN) T", "(T, INT) ARRAY<T>", "(T, INT, BOOLEAN) ARRAY<T>"],
    ),
    ("MAX", "The greatest value", &["(T) T"]),
    ("MIN", "The least value", &["(T) T"]),
    ("STDDEV_SAMP", "Standard deviation of a sample", &["(DOUBLE) DOUBLE"]),
    ("STDDEV_SAMPLE", "Standard deviation of a sample", &["(DOUBLE) DOUBLE"]),
    (
        "SUM",
        "Sum of the numbers",
        &["(INT) INT", "(BIGINT) BIGINT", "(DOUBLE) DOUBLE", "(DECIMAL) DECIMAL"],
    ),
    (
        "SUM_LIST",
        "Sum of the numbers of all arrays",
        &[
            "(ARRAY<INT>) INT",
            "(ARRAY<BIGINT>) BIGINT",
            "(ARRAY<DOUBLE>) DOUBLE",
            "(ARRAY<DECIMAL>) DECIMAL",
        ],
    ),
    (
        "TOPK",
        "The k greatest values, or structs of them with other columns",
        &["(T, INT) ARRAY<T>", "(T, U..., INT) ARRAY<STRUCT>"],
    ),
    ("TOPKDISTINCT", "The k greatest distinct values", &["(T, INT) ARRAY<T>"]),
];

/// The names of all aggregate functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    LISTING.iter().map(|(name, ..)| *name)
}

/// True for the name of an aggregate function, in any case.
pub fn is_aggregate(name: &str) -> bool {
    names().any(|known| known.eq_ignore_ascii_case(name))
}

/// All aggregate functions, for `SHOW FUNCTIONS`.
pub fn functions() -> Vec<super::functions::Listing> {
    LISTING
        .iter()
        .map(|(name, about, signatures)| super::functions::Listing {
            name,
            category: "AGGREGATE",
            about,
            signatures: signatures.to_vec(),
        })
        .collect()
}

/// An aggregate by name, in any case. `COUNT(*)` has no arguments.
pub fn call(name: &str, mut args: Vec<Expr>, hidden: &Hidden) -> Result<Aggregate, TypeError> {
    let upper = name.to_uppercase();
    let Some(&(name, _, signatures)) = LISTING.iter().find(|(known, ..)| *known == upper) else {
        return Err(TypeError::UnknownFunction { near: near_misses(&upper, names()), name: upper });
    };
    let wrong = |args: &[Expr]| TypeError::WrongArguments {
        name,
        found: args.iter().map(|arg| arg.ty.clone()).collect(),
        expected: signatures.to_vec(),
    };
    let original = args.clone();
    let time = || hidden.time.clone().unwrap_or_else(|| Expr::null(Type::Timestamp));
    let offsets = || {
        hidden
            .offset
            .iter()
            .flat_map(|(partition, offset)| [time(), partition.clone(), offset.clone()])
            .collect::<Vec<_>>()
    };
    let (function, ty, extra) = match (name, args.len()) {
        ("COUNT", 0 | 1) => (AggregateFunction::Count, Type::BigInt, vec![]),
        ("COUNT_DISTINCT", 1) => (AggregateFunction::CountDistinct, Type::BigInt, vec![]),
        ("SUM", 1) if args[0].ty.is_numeric() => {
            (AggregateFunction::Sum, args[0].ty.clone(), vec![])
        }
        ("SUM_LIST", 1) => match &args[0].ty {
            Type::Array(item) if item.is_numeric() => {
                (AggregateFunction::Sum, (**item).clone(), vec![])
            }
            _ => return Err(wrong(&args)),
        },
        ("AVG", 1) if args[0].ty.is_numeric() => (AggregateFunction::Average, Type::Double, vec![]),
        ("MIN", 1) => (AggregateFunction::Min, args[0].ty.clone(), vec![]),
        ("MAX", 1) => (AggregateFunction::Max, args[0].ty.clone(), vec![]),
        ("ATTR", 1) => (AggregateFunction::Attribute, args[0].ty.clone(), vec![]),
        ("COLLECT_LIST", 1) => {
            (AggregateFunction::CollectList, Type::array(args[0].ty.clone()), offsets())
        }
        ("COLLECT_SET", 1) => {
            (AggregateFunction::CollectSet, Type::array(args[0].ty.clone()), offsets())
        }
        ("HISTOGRAM", 1) if matches!(args[0].ty, Type::Varchar) => {
            (AggregateFunction::Histogram, Type::map(Type::Varchar, Type::BigInt), vec![])
        }
        ("STDDEV_SAMP" | "STDDEV_SAMPLE", 1) | ("CORRELATION", 2) => {
            args = args
                .into_iter()
                .map(|arg| coerce(arg, &Type::Double))
                .collect::<Option<_>>()
                .ok_or_else(|| wrong(&original))?;
            let function = if name == "CORRELATION" {
                AggregateFunction::Correlation
            } else {
                AggregateFunction::Deviation
            };
            (function, Type::Double, vec![])
        }
        ("FIRST_KNOWN", 2) => {
            let value = args.swap_remove(0);
            let priority = coerce(args.remove(0), &Type::Int).ok_or_else(|| wrong(&original))?;
            // over a table, whose rows have no one time, the priority decides, then the value
            let ty = value.ty.clone();
            args = vec![value, priority];
            (AggregateFunction::FirstKnown, ty, vec![time()])
        }
        ("EARLIEST_BY_OFFSET" | "LATEST_BY_OFFSET", 1..=3) => {
            let extra = offsets();
            if extra.is_empty() {
                return Err(TypeError::Unsupported {
                    name,
                    reason: "needs rows that have a ROWOFFSET; a table's have none",
                });
            }
            let mut by = ByOffset { count: None, nulls: false };
            let mut rest = args.split_off(1).into_iter().peekable();
            if let Some(arg) = rest.next_if(|arg| arg.ty.is_numeric()) {
                by.count = Some(positive(name, &arg)?);
            }
            if let Some(arg) = rest.next() {
                let Some(Value::Boolean(ignore)) = constant(&arg) else {
                    return Err(TypeError::NotConstant {
                        what: "ignore_nulls",
                        expected: "BOOLEAN",
                    });
                };
                by.nulls = !ignore;
            }
            if rest.next().is_some() {
                return Err(wrong(&original));
            }
            let value = args[0].ty.clone();
            let ty = if by.count.is_some() { Type::array(value) } else { value };
            let function = if name == "EARLIEST_BY_OFFSET" {
                AggregateFunction::Earliest(by)
            } else {
                AggregateFunction::Latest(by)
            };
            (function, ty, extra)
        }
        ("TOPKDISTINCT", 2) => {
            let k = positive(name, &args.remove(1))?;
            (AggregateFunction::TopKDistinct(k), Type::array(args[0].ty.clone()), vec![])
        }
        ("TOPK", 2..) => {
            let k = positive(name, &args.pop().expect("two or more"))?;
            let item = if args.len() == 1 {
                args[0].ty.clone()
            } else {
                let names =
                    std::iter::once("sort_col".to_string()).chain((0..).map(|i| format!("col{i}")));
                Type::Struct(names.zip(&args).map(|(name, arg)| (name, arg.ty.clone())).collect())
            };
            (AggregateFunction::TopK(k), Type::array(item), vec![])
        }
        _ => return Err(wrong(&args)),
    };
    if matches!(function, AggregateFunction::Min | AggregateFunction::Max)
        && matches!(ty, Type::Map(_) | Type::Array(_) | Type::Struct(_))
    {
        return Err(wrong(&original));
    }
    let hidden = extra.len();
    args.extend(extra);
    Ok(Aggregate { function, args, ty, hidden })
}

fn positive(name: &'static str, arg: &Expr) -> Result<u32, TypeError> {
    match constant(arg) {
        Some(Value::Int(n)) if n > 0 => Ok(n as u32),
        _ if name.starts_with("TOPK") => {
            Err(TypeError::NotConstant { what: "k", expected: "INTEGER above zero" })
        }
        _ => Err(TypeError::NotConstant { what: "n", expected: "INTEGER above zero" }),
    }
}

impl Aggregate {
    /// The aggregate over columns under these names, without its hidden arguments.
    pub fn display<'a, S: AsRef<str>>(&'a self, names: &'a [S]) -> impl std::fmt::Display + 'a {
        std::fmt::from_fn(move |f| {
            let name = match self.function {
                AggregateFunction::Count => "COUNT",
                AggregateFunction::CountDistinct => "COUNT_DISTINCT",
                AggregateFunction::Sum if matches!(self.args[0].ty, Type::Array(_)) => "SUM_LIST",
                AggregateFunction::Sum => "SUM",
                AggregateFunction::Average => "AVG",
                AggregateFunction::Min => "MIN",
                AggregateFunction::Max => "MAX",
                AggregateFunction::CollectList => "COLLECT_LIST",
                AggregateFunction::CollectSet => "COLLECT_SET",
                AggregateFunction::Earliest(_) => "EARLIEST_BY_OFFSET",
                AggregateFunction::Latest(_) => "LATEST_BY_OFFSET",
                AggregateFunction::FirstKnown => "FIRST_KNOWN",
                AggregateFunction::TopK(_) => "TOPK",
                AggregateFunction::TopKDistinct(_) => "TOPKDISTINCT",
                AggregateFunction::Histogram => "HISTOGRAM",
                AggregateFunction::Attribute => "ATTR",
                AggregateFunction::Deviation => "STDDEV_SAMP",
                AggregateFunction::Correlation => "CORRELATION",
            };
            write!(f, "{name}(")?;
            let visible = self.visible();
            for (i, arg) in visible.iter().enumerate() {
                write!(f, "{}{}", if i > 0 { ", " } else { "" }, arg.display(names))?;
            }
            match self.function {
                AggregateFunction::Count if visible.is_empty() => f.write_str("*")?,
                AggregateFunction::TopK(k) | AggregateFunction::TopKDistinct(k) => {
                    write!(f, ", {k}")?
                }
                AggregateFunction::Earliest(by) | AggregateFunction::Latest(by) => {
                    if let Some(count) = by.count {
                        write!(f, ", {count}")?;
                    }
                    if by.nulls {
                        f.write_str(", FALSE")?;
                    }
                }
                _ => {}
            }
            f.write_str(")")
        })
    }

    /// The arguments that the statement wrote.
    pub fn visible(&self) -> &[Expr] {
        &self.args[..self.args.len() - self.hidden]
    }

    /// True when the hidden arguments are those of the order of arrival.
    fn has_offsets(&self) -> bool {
        self.hidden == 3
    }

    /// The arguments that say in which order rows arrived: ROWTIME, ROWPARTITION and ROWOFFSET.
    pub fn arrival(&self) -> Option<[&Expr; 3]> {
        let hidden = &self.args[self.visible().len()..];
        self.has_offsets().then(|| [&hidden[0], &hidden[1], &hidden[2]])
    }
}

#[cfg(test)]
mod tests;
