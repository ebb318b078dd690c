//! From syntax trees to the typed relational plan.
//!
//! ```text
//!  statement ─▶ relations of FROM ─▶ joins ─▶ WHERE ─▶ GROUP BY ─▶ projection ─▶ DISTINCT ON ─▶ UNION ALL ─▶ view
//!                  ▲                                                                                          │
//!                  └──────────────────────────────── catalogue ◀──────────────────────────────────────────────┘
//! ```
//!
//! # Relations
//! Every name in FROM stands for a [`Relation`]: a node of the plan whose rows are the relation's columns and then, hidden, `ROWTIME`, `ROWPARTITION` and
//! `ROWOFFSET` of the record that the row came from. Hidden columns go through every projection for the benefit of later statements; the optimiser removes
//! those that nobody asks for. Aggregation, recursion and joins of two tables end them: their rows do not come from one record.
//!
//! # Streams and tables
//! A stream's rows are never taken back; a table's are. What a query gives follows from its parts, and CREATE must say the same word:
//!
//! | query | gives |
//! |---|---|
//! | projection, filter, UNION ALL | what its inputs are; a table if one of them is |
//! | DISTINCT ON | what its input is; of a stream, CREATE may make a table |
//! | GROUP BY, WITH RECURSIVE | a table |
//! | stream JOIN table | a stream: one look-up as of arrival, as in KSQL |
//! | stream, or its DISTINCT ON, JOIN table RETROACTIVE WITHIN d | a table: the join of everything known, revised when late facts come |
//! | table JOIN table | a table |
//!
//! # Keys
//! A table's *identity* says which row replaces which: the primary key, the GROUP BY or DISTINCT ON columns; after a join the left side's, and the right side's as well
//! when the ON clause leaves more than one match possible; of a retroactive join the event's, which for SYSMON is `EVENT_KEY`.
//! CREATE TABLE must project it. The *Kafka key* is the identity unless PARTITION BY says otherwise; a stream has just that.
//!
//! # Topics
//! A view's topic is known to the statements after it: a source over it is an edge of the plan, not an input (see `link`). `TIMESTAMP` in the WITH clause of a view says what
//! the time of its rows is for whoever reads them, as it does for a source.
//!
//! # What is refused
//! Grammar that cannot run yet is refused here, at its place, with "is not supported yet".

mod aggregate;
mod expr;
mod from;
mod headers;
mod join;
mod link;
mod literal;
mod properties;
mod query;
mod recursive;
mod relation;
mod select;
mod source;
mod time;
mod types;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use properties::Properties;

use super::ast::{self, Explain, SourceKind, Statement};
use super::error::{Span, SqlError};
use super::parser::parse;
use crate::expr::Expr;
use crate::model::{Column, Schema, Type};
use crate::plan::{Format, Mfp, Plan, View, ViewKind};
use query::Place;
use relation::Relation;

/// The text of a script by the name that RUN SCRIPT gives it.
pub type Library<'l> = &'l dyn Fn(&str) -> Option<String>;

type Result<T> = std::result::Result<T, SqlError>;

/// Statements, bound: one plan with the views of all of them.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The plan, not yet optimised.
    pub plan: Plan,
    /// What else is known of each view of the plan, in the same order.
    pub views: Vec<ViewInfo>,
    /// The streams and tables that read topics, those of the script's own views among them.
    pub sources: Vec<SourceInfo>,
    /// What SET has set.
    pub settings: BTreeMap<String, String>,
    /// What is not wrong but may be meant otherwise, each at its place.
    pub notices: Vec<SqlError>,
    /// Names of the scripts that were run.
    scripts: BTreeSet<String>,
    /// Streams and tables by name.
    relations: BTreeMap<String, Relation>,
    types: BTreeMap<String, Type>,
    /// See [`Script::to_publish`].
    publishes_only: bool,
}

/// A view, beside what the plan says of it.
#[derive(Clone, Debug)]
pub struct ViewInfo {
    /// Its columns. Key columns are those of a table's identity, or of a stream's Kafka key.
    pub schema: Schema,
    /// Its WITH clause.
    pub properties: Properties,
    /// Columns of the Kafka key in the [record](crate::plan::View::record), in order; none for
    /// records without key.
    pub partition_by: Vec<usize>,
    /// How many rows are wanted.
    pub limit: Option<u64>,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a view is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// CREATE … AS SELECT: it has a name and a topic.
    Publish,
    /// SELECT: its rows are shown.
    Show,
    /// EXPLAIN: its plan is shown.
    Explain,
}

/// A stream or table that reads a topic.
#[derive(Clone, Debug)]
pub struct SourceInfo {
    /// Its name.
    pub name: String,
    /// Stream or table.
    pub kind: ViewKind,
    /// The topic.
    pub topic: String,
    /// How records are read.
    pub format: Arc<Format>,
    /// Its WITH clause.
    pub properties: Properties,
}

/// What a statement has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Added a source: index in [`Script::sources`].
    Source(usize),
    /// Added a view: index in [`Script::views`].
    View(usize),
    /// Changed what later statements mean, or nothing.
    Done,
}

/// Binds a list of statements that starts from nothing.
///
/// ```
/// use helkflow::sql::bind_script;
/// let script = bind_script(
///     "CREATE STREAM logs (id INT, text VARCHAR) WITH (KAFKA_TOPIC='logs', VALUE_FORMAT='JSON');
///      CREATE TABLE counts AS SELECT id, COUNT(*) AS n FROM logs GROUP BY id;",
/// ).unwrap();
/// assert_eq!(script.views[0].schema.to_string(), "ID INTEGER KEY, N BIGINT");
/// ```
pub fn bind_script(text: &str) -> Result<Script> {
    bind_script_with(text, &|_| None)
}

/// Binds a list of statements that may RUN SCRIPTs of a library.
pub fn bind_script_with(text: &str, library: Library<'_>) -> Result<Script> {
    let mut script = Script::default();
    script.extend(text, library)?;
    Ok(script)
}

impl Script {
    /// A script for a run that publishes and has nobody to show anything to: SELECT and EXPLAIN are errors.
    pub fn to_publish() -> Script {
        Script { publishes_only: true, ..Script::default() }
    }

    /// Binds more statements. Of a text with an error nothing is bound.
    pub fn extend(&mut self, text: &str, library: Library<'_>) -> Result<Vec<Outcome>> {
        let mut binder = Binder { script: self.clone(), ctes: Vec::new(), library };
        let outcomes = binder.statements(text)?;
        *self = binder.script;
        Ok(outcomes)
    }

    /// Topics that need an input, since they are read and not written, each once, in the order of their sources.
    pub fn topics_read(&self) -> Vec<&str> {
        let mut topics: Vec<&str> = Vec::new();
        for source in &self.sources {
            let written =
                self.plan.views.iter().zip(&self.views).any(|(view, info)| {
                    info.purpose == Purpose::Publish && view.topic == source.topic
                });
            if !written && !topics.contains(&&source.topic[..]) {
                topics.push(&source.topic);
            }
        }
        topics
    }

    /// The view that the script is for: that of its last SELECT, whether or not a CREATE … AS stands before it.
    pub fn main_view(&self) -> Option<usize> {
        self.views.iter().rposition(|view| view.purpose != Purpose::Explain)
    }
}

/// The state of binding one text.
struct Binder<'l> {
    script: Script,
    /// Table expressions in sight, innermost last.
    ctes: Vec<(String, Relation)>,
    library: Library<'l>,
}

fn unsupported(span: Span, what: &str) -> SqlError {
    SqlError::new(span, format!("{what} not supported yet"))
}

fn view_kind(kind: SourceKind) -> ViewKind {
    match kind {
        SourceKind::Stream => ViewKind::Stream,
        SourceKind::Table => ViewKind::Table,
    }
}

impl Binder<'_> {
    fn statements(&mut self, text: &str) -> Result<Vec<Outcome>> {
        let statements = parse(text)?;
        let noticed = self.script.notices.len();
        let outcomes: Result<Vec<Outcome>> =
            statements.iter().map(|(statement, span)| self.statement(statement, *span)).collect();
        let new = self.script.notices.split_off(noticed);
        self.script.notices.extend(new.into_iter().map(|notice| notice.in_text(text)));
        outcomes.map_err(|error| error.in_text(text))
    }

    /// Runs a script, unless it has been run.
    fn run_script(&mut self, name: &str, span: Span) -> Result<Outcome> {
        if self.script.scripts.insert(name.to_string()) {
            let text = (self.library)(name)
                .ok_or_else(|| SqlError::new(span, format!("there is no script '{name}'")))?;
            self.statements(&text).map_err(|error| error.of_script(name))?;
        }
        Ok(Outcome::Done)
    }

    fn statement(&mut self, statement: &Statement, span: Span) -> Result<Outcome> {
        match statement {
            Statement::CreateSource(create) => self.create_source(create),
            Statement::CreateAs(create) => self.create_as(create, Purpose::Publish),
            Statement::Query(_) if self.script.publishes_only => {
                Err(SqlError::new(span, "a run shows nothing: the result would go nowhere")
                    .hint("write CREATE STREAM … AS or CREATE TABLE … AS before SELECT"))
            }
            Statement::Explain(_) if self.script.publishes_only => {
                Err(SqlError::new(span, "a run shows nothing: the plan would go nowhere")
                    .hint("see `helkflow explain`"))
            }
            Statement::Query(query) => self.select_statement(query, Purpose::Show),
            Statement::Explain(Explain::Statement(inner)) => match &**inner {
                Statement::Query(query) => self.select_statement(query, Purpose::Explain),
                Statement::CreateAs(create) => self.create_as(create, Purpose::Explain),
                other => {
                    Err(SqlError::new(span, format!("{} has no plan to explain", other.verb())))
                }
            },
            Statement::CreateType { if_not_exists, name, ty } => {
                let exists = self.script.types.contains_key(&name.name);
                if exists && !if_not_exists {
                    return Err(SqlError::new(
                        name.span,
                        format!("there is a type {name} already"),
                    ));
                }
                if !exists {
                    let ty = types::resolve(ty, &self.script.types)?;
                    self.script.types.insert(name.name.clone(), ty);
                }
                Ok(Outcome::Done)
            }
            Statement::Set(name, value) => {
                self.script.settings.insert(name.clone(), value.clone());
                Ok(Outcome::Done)
            }
            Statement::Unset(name) => {
                self.script.settings.remove(name);
                Ok(Outcome::Done)
            }
            Statement::RunScript(name) => self.run_script(name, span),
            other => Err(unsupported(span, &format!("{} is", other.verb()))),
        }
    }

    /// Checks a new name; true when there is one already and the statement says to keep it.
    fn keeps(&self, name: &ast::Ident, or_replace: bool, if_not_exists: bool) -> Result<bool> {
        let exists = self.script.relations.contains_key(&name.name);
        if exists && or_replace {
            return Err(unsupported(name.span, "replacing a stream or table is"));
        }
        if exists && !if_not_exists {
            return Err(SqlError::new(
                name.span,
                format!("there is a stream or table {name} already"),
            ));
        }
        Ok(exists)
    }

    fn create_as(&mut self, create: &ast::CreateAs, purpose: Purpose) -> Result<Outcome> {
        if self.keeps(&create.name, create.or_replace, create.if_not_exists)? {
            return Ok(Outcome::Done);
        }
        let properties = Properties::read(&create.properties)?;
        let retention = properties.retention(create.kind)?;
        let mut relation = self.query(&create.query, Place { retention, limit: false })?;
        let kind = view_kind(create.kind);
        if relation.distinct
            && !relation.identity.is_empty()
            && relation.lost.is_none()
            && kind == ViewKind::Table
        {
            relation.kind = kind;
            if relation.kafka_key.is_empty() {
                relation.kafka_key.clone_from(&relation.identity);
            }
        }
        match (kind, relation.kind) {
            (ViewKind::Stream, ViewKind::Table) => {
                return Err(SqlError::new(
                    create.name.span,
                    "this query gives a table: its rows are revised when facts come",
                )
                .hint("write CREATE TABLE"));
            }
            (ViewKind::Table, ViewKind::Stream) => {
                let hint = "write CREATE STREAM, or make a table of it by GROUP BY, DISTINCT ON, or a JOIN with a table RETROACTIVE WITHIN some time";
                return Err(SqlError::new(
                    create.name.span,
                    "this query gives a stream: nothing says which row replaces which",
                )
                .hint(hint));
            }
            (ViewKind::Table, ViewKind::Table) if let Some(column) = &relation.lost => {
                let message =
                    format!("the projection leaves out {column}, which is in the key of the table");
                return Err(SqlError::new(create.query.arms[0].span, message)
                    .hint(format!("add {column} to the columns after SELECT")));
            }
            (ViewKind::Table, ViewKind::Table)
                if relation.kafka_key.is_empty() && self.script.publishes_only =>
            {
                let message = "the rows of this table have no key, so its topic could not say which row replaces which";
                return Err(SqlError::new(create.name.span, message).hint(
                    "make the columns that tell its rows apart its key, by GROUP BY or DISTINCT ON",
                ));
            }
            _ => {}
        }
        relation.node = self.with_time(relation.node, relation.pseudo, &properties)?;
        let topic = properties.text("KAFKA_TOPIC")?.unwrap_or_else(|| create.name.name.clone());
        if purpose == Purpose::Publish {
            self.unread(&topic, create.name.span)?;
        }
        let view =
            self.add_view(create.name.name.clone(), topic, &relation, properties, purpose, None);
        if purpose == Purpose::Publish {
            self.script.relations.insert(create.name.name.clone(), relation);
        }
        Ok(Outcome::View(view))
    }

    fn select_statement(&mut self, query: &ast::Query, purpose: Purpose) -> Result<Outcome> {
        let relation = self.query(query, Place { retention: None, limit: true })?;
        let name = format!("SELECT_{}", self.script.views.len() + 1);
        let view = self.add_view(
            name.clone(),
            name,
            &relation,
            Properties::default(),
            purpose,
            query.limit,
        );
        Ok(Outcome::View(view))
    }

    /// Adds a view of the relation's columns, without the hidden ones.
    fn add_view(
        &mut self,
        name: String,
        topic: String,
        relation: &Relation,
        properties: Properties,
        purpose: Purpose,
        limit: Option<u64>,
    ) -> usize {
        let plan = &mut self.script.plan;
        let key =
            if relation.kind == ViewKind::Table { &relation.identity } else { &relation.kafka_key };
        let all = plan.schema(relation.node).columns.clone();
        let width = relation.names.len();
        // part of a key is none
        let shows_key = key.iter().all(|at| *at < width);
        let visible = all[..width].to_vec();
        let exprs = visible
            .iter()
            .enumerate()
            .map(|(i, column)| Expr::column(i, column.ty.clone()))
            .collect();
        let named = visible.into_iter().zip(&relation.names).enumerate();
        let columns: Vec<Column> = named
            .map(|(i, (column, name))| Column {
                name: name.clone(),
                key: key.contains(&i),
                ..column
            })
            .collect();
        let exprs: Vec<Expr> = exprs;
        let mut shown = columns.clone();
        for column in &mut shown {
            column.key &= shows_key;
        }
        let root = plan.transform(
            relation.node,
            Mfp { predicates: vec![], columns: exprs.clone() },
            shown,
        );
        // what a record needs beside the columns that are shown
        let tombstone = relation.pseudo.and_then(|pseudo| pseudo.tombstone);
        let mut unseen: Vec<usize> =
            key.iter().chain(&relation.kafka_key).copied().filter(|at| *at >= width).collect();
        unseen.sort_unstable();
        unseen.dedup();
        unseen.extend(tombstone.filter(|_| relation.kind == ViewKind::Stream));
        let mut in_order = root;
        if let Some(pseudo) = relation.pseudo.filter(|_| relation.kind == ViewKind::Stream) {
            let (mut columns, mut exprs) = (columns.clone(), exprs.clone());
            for at in [pseudo.partition, pseudo.offset] {
                columns.push(all[at].clone());
                exprs.push(Expr::column(at, all[at].ty.clone()));
            }
            in_order =
                plan.transform(relation.node, Mfp { predicates: vec![], columns: exprs }, columns);
        }
        let (mut columns, mut exprs) = (columns, exprs);
        for &at in &unseen {
            columns.push(Column { key: key.contains(&at), ..all[at].clone() });
            exprs.push(Expr::column(at, all[at].ty.clone()));
        }
        let record =
            plan.transform(relation.node, Mfp { predicates: vec![], columns: exprs }, columns);
        let place = |at: &usize| {
            let unseen = unseen.iter().position(|unseen| unseen == at);
            unseen.map_or(*at, |i| width + i)
        };
        let schema = plan.schema(root).clone();
        plan.views.push(View { name, kind: relation.kind, topic, root, record, in_order });
        self.script.views.push(ViewInfo {
            schema,
            properties,
            partition_by: relation.kafka_key.iter().map(place).collect(),
            limit,
            purpose,
        });
        self.script.views.len() - 1
    }
}
