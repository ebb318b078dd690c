//! Queries: SELECT and what it is made of.

use std::fmt::{self, Display};

use super::{Commas, Expr, Ident};
use crate::sql::Span;

/// `[WITH …] select [UNION ALL select …] [EMIT …] [LIMIT n]`
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// Table expressions.
    pub with: Option<With>,
    /// One SELECT, or several with UNION ALL between them.
    pub arms: Vec<Select>,
    /// `EMIT …`
    pub emit: Option<Emit>,
    /// `LIMIT n`
    pub limit: Option<u64>,
}

/// `WITH [RECURSIVE] name AS (query), …`
#[derive(Clone, PartialEq, Debug)]
pub struct With {
    /// The expressions may name themselves.
    pub recursive: bool,
    /// The expressions, one or more.
    pub ctes: Vec<Cte>,
}

/// `name [(columns)] AS (query)`
#[derive(Clone, PartialEq, Debug)]
pub struct Cte {
    /// Its name.
    pub name: Ident,
    /// Names for its columns; empty for those of the query.
    pub columns: Vec<Ident>,
    /// What it stands for.
    pub query: Query,
}

/// When results are given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Emit {
    /// `EMIT CHANGES`
    Changes,
    /// `EMIT FINAL`
    Final,
}

/// `SELECT … FROM …`
#[derive(Clone, PartialEq, Debug)]
pub struct Select {
    /// From SELECT to the last clause.
    pub span: Span,
    /// `DISTINCT ON (…)`
    pub distinct_on: Option<Vec<Expr>>,
    /// The projection.
    pub items: Vec<Item>,
    /// The first relation of FROM.
    pub from: Relation,
    /// The relations joined to it, in order.
    pub joins: Vec<Join>,
    /// `WINDOW …`
    pub window: Option<Window>,
    /// `WHERE …`
    pub filter: Option<Expr>,
    /// `GROUP BY …`
    pub group_by: Option<Vec<Expr>>,
    /// `PARTITION BY …`
    pub partition_by: Option<Vec<Expr>>,
    /// `HAVING …`
    pub having: Option<Expr>,
}

/// One item of a projection.
#[derive(Clone, PartialEq, Debug)]
pub enum Item {
    /// `expr [AS alias]`
    Expr {
        /// The value.
        expr: Expr,
        /// Its name.
        alias: Option<Ident>,
    },
    /// `*`
    All(Span),
    /// `source.*`
    AllOf(Ident),
    /// `struct->*`
    Fields(Expr),
}

/// A relation in FROM.
#[derive(Clone, PartialEq, Debug)]
pub struct Relation {
    /// What it is.
    pub kind: RelationKind,
    /// `AS alias`
    pub alias: Option<Ident>,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of relations.
#[derive(Clone, PartialEq, Debug)]
pub enum RelationKind {
    /// A source, an earlier statement's result, or a table expression.
    Named(Ident),
    /// `(query)`
    Query(Box<Query>),
}

/// `[LEFT] JOIN relation [[RETROACTIVE] WITHIN …] ON …`
#[derive(Clone, PartialEq, Debug)]
pub struct Join {
    /// Which rows without a match stay.
    pub kind: JoinKind,
    /// The relation after JOIN.
    pub relation: Relation,
    /// `[RETROACTIVE] WITHIN …`
    pub within: Option<Within>,
    /// The condition.
    pub on: Expr,
    /// From JOIN's first word to the end of its condition.
    pub span: Span,
}

/// Which rows without a match stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    /// None.
    Inner,
    /// Those before JOIN.
    Left,
    /// Those after JOIN.
    Right,
    /// Both.
    Full,
}

/// `[RETROACTIVE] WITHIN d` or `WITHIN (before, after)`, `[GRACE PERIOD d]`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Within {
    /// It says how long a row waits for late facts, and bounds no pair.
    pub retroactive: bool,
    /// How far the other row may lie before.
    pub before: Duration,
    /// How far the other row may lie after; absent when one duration was given for both.
    pub after: Option<Duration>,
    /// How late rows may come.
    pub grace: Option<Duration>,
    /// Where it stands.
    pub span: Span,
}

/// `WINDOW [name] TUMBLING|HOPPING|SESSION (…)`
#[derive(Clone, PartialEq, Debug)]
pub struct Window {
    /// Its name, without meaning in KSQL.
    pub name: Option<Ident>,
    /// Its shape.
    pub kind: WindowKind,
    /// How long windows are kept.
    pub retention: Option<Duration>,
    /// How late rows may come.
    pub grace: Option<Duration>,
    /// Where it stands.
    pub span: Span,
}

/// The shapes of windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowKind {
    /// `TUMBLING (SIZE d)`
    Tumbling(Duration),
    /// `HOPPING (SIZE d, ADVANCE BY d)`
    Hopping(Duration, Duration),
    /// `SESSION (d)`
    Session(Duration),
}

/// `7 DAYS`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duration {
    /// How many.
    pub count: u64,
    /// Of what.
    pub unit: TimeUnit,
}

/// A unit of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeUnit {
    /// `MILLISECONDS`
    Millisecond,
    /// `SECONDS`
    Second,
    /// `MINUTES`
    Minute,
    /// `HOURS`
    Hour,
    /// `DAYS`
    Day,
}

impl TimeUnit {
    /// Reads an upper-case word, singular or plural.
    pub fn parse(word: &str) -> Option<TimeUnit> {
        Some(match word.strip_suffix('S').unwrap_or(word) {
            "MILLISECOND" => TimeUnit::Millisecond,
            "SECOND" => TimeUnit::Second,
            "MINUTE" => TimeUnit::Minute,
            "HOUR" => TimeUnit::Hour,
            "DAY" => TimeUnit::Day,
            _ => return None,
        })
    }

    /// Its length.
    pub fn milliseconds(self) -> u64 {
        match self {
            TimeUnit::Millisecond => 1,
            TimeUnit::Second => 1_000,
            TimeUnit::Minute => 60_000,
            TimeUnit::Hour => 3_600_000,
            TimeUnit::Day => 86_400_000,
        }
    }
}

impl Duration {
    /// Its length; the longest that there is when it is longer.
    pub fn milliseconds(self) -> i64 {
        i64::try_from(self.count.saturating_mul(self.unit.milliseconds())).unwrap_or(i64::MAX)
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            TimeUnit::Millisecond => "MILLISECONDS",
            TimeUnit::Second => "SECONDS",
            TimeUnit::Minute => "MINUTES",
            TimeUnit::Hour => "HOURS",
            TimeUnit::Day => "DAYS",
        };
        write!(f, "{} {unit}", self.count)
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(with) = &self.with {
            write!(
                f,
                "WITH {}{} ",
                if with.recursive { "RECURSIVE " } else { "" },
                Commas(&with.ctes)
            )?;
        }
        for (i, arm) in self.arms.iter().enumerate() {
            write!(f, "{}{arm}", if i == 0 { "" } else { " UNION ALL " })?;
        }
        match self.emit {
            Some(Emit::Changes) => f.write_str(" EMIT CHANGES")?,
            Some(Emit::Final) => f.write_str(" EMIT FINAL")?,
            None => {}
        }
        self.limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
    }
}

impl Display for Cte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        if !self.columns.is_empty() {
            write!(f, " ({})", Commas(&self.columns))?;
        }
        write!(f, " AS ({})", self.query)
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        if let Some(columns) = &self.distinct_on {
            write!(f, "DISTINCT ON ({}) ", Commas(columns))?;
        }
        write!(f, "{} FROM {}", Commas(&self.items), self.from)?;
        for join in &self.joins {
            write!(f, " {join}")?;
        }
        if let Some(window) = &self.window {
            write!(f, " {window}")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        if let Some(columns) = &self.group_by {
            write!(f, " GROUP BY {}", Keys(columns))?;
        }
        if let Some(columns) = &self.partition_by {
            write!(f, " PARTITION BY {}", Keys(columns))?;
        }
        self.having.as_ref().map_or(Ok(()), |having| write!(f, " HAVING {having}"))
    }
}

/// The columns of GROUP BY or PARTITION BY.
struct Keys<'a>(&'a [Expr]);

impl Display for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("()") } else { Commas(self.0).fmt(f) }
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Expr { expr, alias: Some(alias) } => write!(f, "{expr} AS {alias}"),
            Item::Expr { expr, alias: None } => expr.fmt(f),
            Item::All(_) => f.write_str("*"),
            Item::AllOf(source) => write!(f, "{source}.*"),
            Item::Fields(base) => write!(f, "{}->*", base.within(super::expr::Level::Postfix)),
        }
    }
}

impl Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            RelationKind::Named(name) => name.fmt(f)?,
            RelationKind::Query(query) => write!(f, "({query})")?,
        }
        self.alias.as_ref().map_or(Ok(()), |alias| write!(f, " AS {alias}"))
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            JoinKind::Inner => "",
            JoinKind::Left => "LEFT ",
            JoinKind::Right => "RIGHT ",
            JoinKind::Full => "FULL ",
        })?;
        write!(f, "JOIN {}", self.relation)?;
        if let Some(within) = &self.within {
            write!(f, " {within}")?;
        }
        write!(f, " ON {}", self.on)
    }
}

impl Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.retroactive {
            f.write_str("RETROACTIVE ")?;
        }
        match &self.after {
            Some(after) => write!(f, "WITHIN ({}, {after})", self.before)?,
            None => write!(f, "WITHIN {}", self.before)?,
        }
        self.grace.map_or(Ok(()), |grace| write!(f, " GRACE PERIOD {grace}"))
    }
}

impl Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WINDOW ")?;
        if let Some(name) = &self.name {
            write!(f, "{name} ")?;
        }
        match self.kind {
            WindowKind::Tumbling(size) => write!(f, "TUMBLING (SIZE {size}")?,
            WindowKind::Hopping(size, advance) => {
                write!(f, "HOPPING (SIZE {size}, ADVANCE BY {advance}")?
            }
            WindowKind::Session(gap) => write!(f, "SESSION ({gap}")?,
        }
        if let Some(retention) = self.retention {
            write!(f, ", RETENTION {retention}")?;
        }
        if let Some(grace) = self.grace {
            write!(f, ", GRACE PERIOD {grace}")?;
        }
        f.write_str(")")
    }
}
