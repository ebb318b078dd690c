//! What names in FROM stand for, and how columns are found in them.

use crate::model::{Schema, Type};
use crate::plan::{NodeId, ViewKind};
use crate::sql::ast::{Ident, written};
use crate::sql::error::{Span, SqlError};

/// Positions of the hidden columns in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pseudo {
    pub time: usize,
    pub partition: usize,
    pub offset: usize,
    /// Where rows may stand for records without value: the column that says which do.
    pub tombstone: Option<usize>,
}

impl Pseudo {
    pub const NAMES: [&'static str; 3] = ["ROWTIME", "ROWPARTITION", "ROWOFFSET"];

    /// Hidden columns that follow so many others.
    pub fn after(width: usize) -> Pseudo {
        Pseudo { time: width, partition: width + 1, offset: width + 2, tombstone: None }
    }

    /// The same with a tombstone column behind them.
    pub fn with_tombstone(self) -> Pseudo {
        Pseudo { tombstone: Some(self.offset + 1), ..self }
    }

    /// The same hidden columns after so many others.
    pub fn moved(self, width: usize) -> Pseudo {
        let moved = Pseudo::after(width);
        if self.tombstone.is_some() { moved.with_tombstone() } else { moved }
    }

    pub fn positions(self) -> impl Iterator<Item = usize> {
        [self.time, self.partition, self.offset].into_iter().chain(self.tombstone)
    }

    /// Where a hidden column is when they are [moved](Pseudo::moved).
    pub fn place(self, column: usize, width: usize) -> Option<usize> {
        self.positions().position(|at| at == column).map(|i| width + i)
    }

    fn shifted(self, by: usize) -> Pseudo {
        Pseudo {
            time: self.time + by,
            partition: self.partition + by,
            offset: self.offset + by,
            tombstone: self.tombstone.map(|at| at + by),
        }
    }

    fn find(self, name: &str) -> Option<usize> {
        Pseudo::NAMES
            .iter()
            .zip(self.positions())
            .find(|(known, _)| **known == name)
            .map(|(_, at)| at)
    }
}

/// A stream, a table, or the result of a query.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// Rows of the relation's columns, then, if it has any, the hidden ones: pseudo columns, and
    /// those of the identity that are not shown.
    pub node: NodeId,
    pub kind: ViewKind,
    pub names: Vec<String>,
    pub pseudo: Option<Pseudo>,
    /// Columns that tell one row from another, hidden ones where they are not among the names; none
    /// when not known.
    pub identity: Vec<usize>,
    /// Columns of the Kafka key.
    pub kafka_key: Vec<usize>,
    /// A column of the identity that the projection has left out.
    pub lost: Option<String>,
    /// Its rows are those of a stream, each identity once: CREATE may make a table of it, and WITHIN may say how long they stay joinable.
    pub distinct: bool,
    /// It depends on the rows of the recursion that is being bound.
    pub recursive: bool,
}

/// What the FROM clause has joined so far: rows of all columns, hidden ones included, of all its relations.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub node: NodeId,
    pub kind: ViewKind,
    pub parts: Vec<Part>,
    pub width: usize,
    /// Those of the record that the row came from.
    pub pseudo: Option<Pseudo>,
    pub identity: Vec<usize>,
    pub kafka_key: Vec<usize>,
    /// As in [`Relation`].
    pub distinct: bool,
    pub recursive: bool,
    /// How long rows of the stream at the left stay joinable, once a join has said so.
    pub within: Option<std::time::Duration>,
}

/// One relation in a [`Scope`].
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub alias: String,
    pub names: Vec<String>,
    /// Position of its first column.
    pub first: usize,
    pub pseudo: Option<Pseudo>,
}

impl Scope {
    pub fn of(relation: Relation, alias: String, schema: &Schema) -> Scope {
        Scope {
            node: relation.node,
            kind: relation.kind,
            width: schema.width(),
            pseudo: relation.pseudo,
            identity: relation.identity,
            kafka_key: relation.kafka_key,
            distinct: relation.distinct,
            recursive: relation.recursive,
            within: None,
            parts: vec![Part { alias, names: relation.names, first: 0, pseudo: relation.pseudo }],
        }
    }

    /// True for a column that no name stands for.
    pub fn is_hidden(&self, column: usize) -> bool {
        !self.parts.iter().any(|part| (part.first..part.first + part.names.len()).contains(&column))
    }

    pub fn is_join(&self) -> bool {
        self.parts.len() > 1
    }

    /// The parts of both, as they are in the row that has the columns of this one and then those of the other.
    pub fn parts_with(&self, right: &Scope) -> Vec<Part> {
        let moved = right.parts.iter().map(|part| Part {
            first: part.first + self.width,
            pseudo: part.pseudo.map(|pseudo| pseudo.shifted(self.width)),
            ..part.clone()
        });
        self.parts.iter().cloned().chain(moved).collect()
    }

    /// True when more than one relation has a column of this name.
    pub fn is_ambiguous(&self, name: &str) -> bool {
        self.parts.iter().filter(|part| part.names.iter().any(|known| known == name)).count() > 1
    }

    pub fn part(&self, alias: &Ident) -> Result<&Part, SqlError> {
        self.parts.iter().find(|part| part.alias == alias.name).ok_or_else(|| {
            let mut error =
                SqlError::new(alias.span, format!("no relation in FROM is called {alias}"));
            error.expected = self
                .parts
                .iter()
                .filter(|part| !part.alias.is_empty())
                .map(|part| written(&part.alias))
                .collect();
            error.near_name(&alias.name, self.parts.iter().map(|part| &part.alias[..]))
        })
    }

    /// The position of a column.
    pub fn resolve(&self, source: Option<&Ident>, name: &Ident) -> Result<usize, SqlError> {
        if let Some(source) = source {
            let part = self.part(source)?;
            if let Some(at) = part.names.iter().position(|known| *known == name.name) {
                return Ok(part.first + at);
            }
            if Pseudo::NAMES.contains(&&name.name[..]) {
                return part
                    .pseudo
                    .and_then(|pseudo| pseudo.find(&name.name))
                    .ok_or_else(|| no_pseudo(name));
            }
            let error = SqlError::new(name.span, format!("{source} has no column {name}"));
            return Err(suggest(error, name, part.names.iter()));
        }
        let found: Vec<(&Part, usize)> = self
            .parts
            .iter()
            .filter_map(|part| {
                part.names
                    .iter()
                    .position(|known| *known == name.name)
                    .map(|at| (part, part.first + at))
            })
            .collect();
        match found[..] {
            [(_, at)] => Ok(at),
            [] if Pseudo::NAMES.contains(&&name.name[..]) => self
                .pseudo
                .and_then(|pseudo| pseudo.find(&name.name))
                .ok_or_else(|| no_pseudo(name)),
            [] => {
                let error = SqlError::new(name.span, format!("there is no column {name}"));
                Err(suggest(error, name, self.parts.iter().flat_map(|part| &part.names)))
            }
            _ => {
                let ways: Vec<String> = found
                    .iter()
                    .map(|(part, _)| format!("{}.{name}", written(&part.alias)))
                    .collect();
                Err(SqlError::new(name.span, format!("the column {name} is ambiguous"))
                    .hint(format!("write {}", ways.join(" or "))))
            }
        }
    }
}

/// Adds near misses, or, when there are none and the list is short, all that there is.
fn suggest<'a>(
    error: SqlError,
    name: &Ident,
    known: impl Iterator<Item = &'a String> + Clone,
) -> SqlError {
    let mut error = error.near_name(&name.name, known.clone().map(|known| &known[..]));
    if error.hint.is_none() {
        error.expected = known.map(|known| written(known)).collect();
    }
    error
}

fn no_pseudo(name: &Ident) -> SqlError {
    SqlError::new(
        name.span,
        format!("{name} is not known here: these rows do not come from one record"),
    )
}

/// The error for an expression that should have had another type.
pub(super) fn expected_type(span: Span, what: &str, expected: &str, found: &Type) -> SqlError {
    let mut error = SqlError::new(span, format!("{what} is of type {found}"));
    error.expected = vec![expected.to_string()];
    error
}
