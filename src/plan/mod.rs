//! The typed relational plan: what SQL is bound to and what the dataflow renders.
//!
//! A plan is a DAG. Its nodes are kept in one list, inputs before their readers, and are *hash-consed*: adding an operator that is there already returns the
//! node that is there. Two joins that look into the same relation by the same key therefore read one [`Arrange`](Operator::Arrange) node,
//! which is one index in memory; `EXPLAIN` shows who shares it.
//!
//! ```text
//!  Source ─▶ Transform ─▶ Expire ─▶ Arrange ─┐
//!  Source ─▶ Transform ─▶ Aggregate ─▶ Arrange ─▶ Join ─▶ Transform ─▶ view
//! ```
//!
//! Facts and expiries. Every node's output is a collection of rows that changes by *facts* (a row is asserted or taken back; these flow to sinks) and by
//! *expiries* (a row leaves the state of whoever remembers it; nothing is published). Only [`Expire`](Operator::Expire) and operators with a retention start expiries.
//!
//! Hidden columns. A stream relation carries its pseudo columns `ROWTIME`, `ROWPARTITION` and `ROWOFFSET` as trailing columns, for later statements that need them;
//! [`optimize`] removes every column that nobody reads.

mod explain;
mod identity;
mod key;
mod optimize;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use key::Key;
pub use optimize::optimize;

use crate::expr::{Aggregate, Expr};
use crate::model::{Column, Schema, Secret, Type};
use crate::sysmon::EventSet;

/// Index of a node in its [`Plan`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub usize);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// How the records of a topic are read.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// Every shape of Sysmon event; the columns are the catalogue's.
    Sysmon,
    /// One JSON object; the columns are those declared.
    Json(Schema),
    /// Delimited text; the columns are those declared.
    Delimited(Schema, u8),
    /// One value as Kafka's own serializers write it; the columns are those declared, of which one is no key.
    Kafka(Schema),
}

impl Format {
    /// The columns of the relation, without pseudo columns.
    pub fn schema(&self) -> &Schema {
        match self {
            Format::Sysmon => crate::sysmon::schema(),
            Format::Json(schema) | Format::Delimited(schema, _) | Format::Kafka(schema) => schema,
        }
    }
}

/// How the keys of a topic's records are written, by ksqlDB's names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum KeyFormat {
    /// One column as Kafka's own serializers write it.
    #[default]
    Kafka,
    /// One JSON object, or for a single column the value itself.
    Json,
    /// Delimited text.
    Delimited,
    /// Keys are not read, and not written.
    None,
}

/// Names and types of the pseudo columns, in the order in which they follow a source's columns.
///
/// `ROWTIME` is the record's event time. Offset order is the order of (`ROWPARTITION`, `ROWOFFSET`).
pub fn pseudo_columns() -> [Column; 3] {
    [
        Column::new("ROWTIME", Type::Timestamp),
        Column::new("ROWPARTITION", Type::Int),
        Column::new("ROWOFFSET", Type::BigInt),
    ]
}

/// The column behind the pseudo columns of declared formats: TRUE for a record that has no value,
/// which deletes a row of a table, and NULL for all others.
pub fn tombstone_column() -> Column {
    Column::new("TOMBSTONE", Type::Boolean)
}

/// A column of a source that is read from the headers of records.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HeaderColumn {
    /// Its name.
    pub name: String,
    /// The name of the header whose value it is; `None` for all headers.
    pub header: Option<String>,
}

impl HeaderColumn {
    /// The type of its values, as ksqlDB has it.
    pub fn ty(&self) -> Type {
        match self.header {
            Some(_) => Type::Bytes,
            None => Type::array(Type::Struct(
                [("KEY".to_owned(), Type::Varchar), ("VALUE".to_owned(), Type::Bytes)].into(),
            )),
        }
    }
}

/// One reading of a topic: the columns and events that one reader wants.
///
/// The sources of one topic are read together: a record is looked at once, and becomes one row for each source that wants it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Source {
    /// The topic.
    pub topic: String,
    /// How its records are read.
    pub format: Arc<Format>,
    /// How their keys are read, where the format declares key columns.
    pub key: KeyFormat,
    /// Columns that come from the headers of records.
    pub headers: Vec<HeaderColumn>,
    /// Where the statement says so, the record's event time, of one column by its position as in `columns`. NULL leaves the record the time that it has; a record on which it fails cannot be decoded.
    pub time: Option<Expr>,
    /// Which columns, as positions in the format's schema followed by the pseudo columns, for a
    /// declared format the [tombstone column](tombstone_column), and those of `headers`.
    pub columns: Vec<usize>,
    /// Which Sysmon events; `None` is all of them, and for other formats always.
    pub events: Option<EventSet>,
}

impl Source {
    /// The position of the first column of headers, see `columns`.
    pub fn first_header(&self) -> usize {
        let tombstone = usize::from(*self.format != Format::Sysmon);
        self.format.schema().width() + pseudo_columns().len() + tombstone
    }

    /// The columns of its rows.
    pub fn schema(&self) -> Schema {
        let headers =
            self.headers.iter().map(|header| Column::new(header.name.clone(), header.ty()));
        let all: Vec<Column> = self
            .format
            .schema()
            .columns
            .iter()
            .cloned()
            .chain(pseudo_columns())
            .chain((*self.format != Format::Sysmon).then(tombstone_column))
            .chain(headers)
            .collect();
        Schema { columns: self.columns.iter().map(|&i| all[i].clone()).collect() }
    }

    /// The same reading with these columns, positions as in `columns`, and no headers that are none of them.
    #[must_use]
    pub fn with_columns(&self, columns: &[usize]) -> Source {
        let first = self.first_header();
        let kept: Vec<usize> =
            (0..self.headers.len()).filter(|i| columns.contains(&(first + i))).collect();
        let moved = |i: usize| match i.checked_sub(first) {
            Some(header) => first + kept.partition_point(|&other| other < header),
            None => i,
        };
        Source {
            headers: kept.iter().map(|&i| self.headers[i].clone()).collect(),
            columns: columns.iter().map(|&i| moved(i)).collect(),
            ..self.clone()
        }
    }

    /// Whether one decoder does for both: a record is the same to them, and has the same time.
    pub fn is_read_with(&self, other: &Source) -> bool {
        self.topic == other.topic
            && self.format == other.format
            && self.key == other.key
            && self.time == other.time
    }

    /// What a decoder of the topic is known by over restarts: the same for sources that are [read together](Source::is_read_with).
    pub fn reading(&self) -> u64 {
        identity::hash(&format!("{:?} {:?} {:?}", self.format, self.key, self.time))
    }
}

/// Inner or left outer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JoinKind {
    /// Only matches.
    Inner,
    /// Matches, and left rows without a match, padded with NULLs.
    Left,
}

impl fmt::Display for JoinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinKind::Inner => "INNER",
            JoinKind::Left => "LEFT",
        })
    }
}

/// A filter and a projection, evaluated together on each row.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mfp {
    /// A row passes when all of them are TRUE.
    pub predicates: Vec<Expr>,
    /// The columns of the result.
    pub columns: Vec<Expr>,
}

/// What a node does. Input rows of an operator with two inputs are seen as one row: the left columns, then the right ones.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Operator {
    /// Reads a topic.
    Source(Source),
    /// Filters and projects.
    Transform {
        /// The rows.
        input: NodeId,
        /// What is done with each.
        mfp: Mfp,
    },
    /// Lets each row live until the watermark passes the time in column `time` plus `after`, then expires it.
    ///
    /// A row that arrives when its end has passed already is published as any other, expires at once and is counted as late; one whose time is NULL is never late and never ends.
    Expire {
        /// The rows.
        input: NodeId,
        /// Column of type TIMESTAMP.
        time: usize,
        /// How long after that time.
        after: Duration,
    },
    /// An index of its input by a key; the only operator whose output a join can look into. Rows with a NULL in the key are left out.
    Arrange {
        /// The rows.
        input: NodeId,
        /// By what.
        key: Key,
    },
    /// The join of everything known: a change on either side revises the result.
    Join {
        /// An `Arrange` node.
        left: NodeId,
        /// An `Arrange` node with a key of the same types.
        right: NodeId,
        /// Inner or left.
        kind: JoinKind,
        /// Applied to each joined row. For a left join, predicates see the padded row too: they are those of a WHERE, not of the ON.
        mfp: Mfp,
        /// The left input before it was arranged, for left rows that have a NULL in the key: a left join publishes them padded.
        unkeyed: Option<NodeId>,
    },
    /// The look-up of each left row in the right side as of its arrival, never revised.
    AsOf {
        /// The stream, not arranged.
        left: NodeId,
        /// Its key.
        key: Key,
        /// An `Arrange` node with a key of the same types.
        right: NodeId,
        /// Inner or left.
        kind: JoinKind,
        /// Applied to each joined row.
        mfp: Mfp,
    },
    /// One row for each group: the key columns, then the aggregates. Rows with a NULL in the key make no group.
    ///
    /// A group ends when its rows have been taken back, when all of them have expired, or by `retention`.
    Aggregate {
        /// The rows.
        input: NodeId,
        /// The group.
        key: Key,
        /// Over the input's columns.
        aggregates: Vec<Aggregate>,
        /// Column with the time of a fact and how long after its last fact a group lives; `None` is for ever.
        retention: Option<(usize, Duration)>,
    },
    /// One row for each key: of rows with equal keys the smallest in bytes stays, by the columns that anybody reads (the optimizer removes the others). Rows with a NULL in the key are left out.
    DistinctOn {
        /// The rows.
        input: NodeId,
        /// The identity.
        key: Key,
    },
    /// The last row of each key, by offset order within a partition; a
    /// [tombstone](tombstone_column) deletes the key.
    Upsert {
        /// The rows, append-only; its last columns are the pseudo columns and the tombstone column.
        input: NodeId,
        /// The primary key.
        key: Key,
        /// Column with the time of a fact and how long after its last fact a key lives; `None` is for ever.
        retention: Option<(usize, Duration)>,
    },
    /// All rows of all inputs, which have the same types.
    Union {
        /// At least two.
        inputs: Vec<NodeId>,
    },
    /// The rows of `base`, and all that `step` derives from rows that were found; as a bag, so it must end by itself.
    Recursive {
        /// Where it starts.
        base: NodeId,
        /// One more round, over `variable`.
        step: NodeId,
        /// The [`Variable`](Operator::Variable) node that stands for the rows found so far.
        variable: NodeId,
        /// After so many rounds it is given up.
        rounds: u64,
    },
    /// Inside the step of a recursion: the rows found so far.
    Variable {
        /// Unique in the plan.
        name: String,
        /// Columns of the recursion.
        schema: Schema,
    },
}

impl Operator {
    /// The nodes it reads, in order.
    pub fn inputs(&self) -> Vec<NodeId> {
        match self {
            Operator::Source(_) | Operator::Variable { .. } => vec![],
            Operator::Transform { input, .. }
            | Operator::Expire { input, .. }
            | Operator::Arrange { input, .. }
            | Operator::Aggregate { input, .. }
            | Operator::DistinctOn { input, .. }
            | Operator::Upsert { input, .. } => vec![*input],
            Operator::Join { left, right, unkeyed, .. } => {
                [*left, *right].into_iter().chain(*unkeyed).collect()
            }
            Operator::AsOf { left, right, .. } => vec![*left, *right],
            Operator::Union { inputs } => inputs.clone(),
            Operator::Recursive { base, step, variable, .. } => vec![*base, *variable, *step],
        }
    }
}

/// An operator with what is known about its output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// What it does.
    pub operator: Operator,
    /// Columns of its rows.
    pub schema: Schema,
    /// True when rows are never taken back.
    pub append_only: bool,
}

/// Whether a view is read as events or as a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ViewKind {
    /// All its rows.
    Stream,
    /// Its current rows, one for each key.
    Table,
}

impl fmt::Display for ViewKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ViewKind::Stream => "STREAM",
            ViewKind::Table => "TABLE",
        })
    }
}

/// The rounds after which a recursion is given up, where no statement says how many.
pub const ROUNDS: u64 = 1000;

/// A named result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// As it prints.
    pub name: String,
    /// Stream or table.
    pub kind: ViewKind,
    /// The topic that it is published to.
    pub topic: String,
    /// The node with exactly the columns of the view; key columns are marked in its schema.
    pub root: NodeId,
    /// The node with what a record of its topic is made of: the columns of the view; for a table
    /// those of its key that the view does not show; for a stream, where a row
    /// may stand for a record without value, the [tombstone column](tombstone_column).
    pub record: NodeId,
    /// The node with the columns of the view and, for a stream, behind them ROWPARTITION and
    /// ROWOFFSET, by which its rows are in order.
    pub in_order: NodeId,
}

/// A DAG of operators and the views that are wanted of it.
#[derive(Clone, Default, Debug)]
pub struct Plan {
    nodes: Vec<Node>,
    /// By operator and names: names are no part of an operator, so nodes that differ in nothing but the names of their columns are kept apart.
    known: HashMap<(Operator, Schema), NodeId>,
    /// In the order of their statements.
    pub views: Vec<View>,
}

impl Plan {
    /// All nodes, inputs before their readers.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(i, node)| (NodeId(i), node))
    }

    /// The node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The columns of the node's rows.
    pub fn schema(&self, id: NodeId) -> &Schema {
        &self.nodes[id.0].schema
    }

    /// Whether any statement reads the topic.
    pub fn reads(&self, topic: &str) -> bool {
        self.nodes
            .iter()
            .any(|node| matches!(&node.operator, Operator::Source(source) if source.topic == topic))
    }

    /// Sets the secret of all digests of keys.
    pub fn key_by(&mut self, secret: Secret) {
        for node in &mut self.nodes {
            match &mut node.operator {
                Operator::Arrange { key, .. }
                | Operator::AsOf { key, .. }
                | Operator::Aggregate { key, .. }
                | Operator::DistinctOn { key, .. }
                | Operator::Upsert { key, .. } => *key = key.clone().keyed(secret),
                _ => {}
            }
        }
    }

    /// The view of that name.
    pub fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.name == name)
    }

    /// The same plan, for a run that publishes its views: their roots are what records are made of.
    #[must_use]
    pub fn to_publish(&self) -> Plan {
        let mut plan = self.clone();
        plan.views.iter_mut().for_each(|view| view.root = view.record);
        plan
    }

    /// The same plan, for a run that shows the content of a view: rows of streams have their place
    /// with them.
    #[must_use]
    pub fn to_show(&self) -> Plan {
        let mut plan = self.clone();
        plan.views.iter_mut().for_each(|view| view.root = view.in_order);
        plan
    }

    /// Adds an operator, or finds the node that does the same. Column names are taken from the inputs; [`name`](Plan::named) gives new ones.
    pub fn add(&mut self, operator: Operator) -> NodeId {
        let schema = self.derive_schema(&operator);
        self.insert(operator, schema)
    }

    /// Adds a filter and projection whose result has these columns, in the order of `mfp.columns`. Types come from the expressions.
    pub fn transform(&mut self, input: NodeId, mfp: Mfp, columns: Vec<Column>) -> NodeId {
        debug_assert_eq!(mfp.columns.len(), columns.len());
        let columns = columns
            .into_iter()
            .zip(&mfp.columns)
            .map(|(column, expr)| Column { ty: expr.ty.clone(), ..column })
            .collect();
        self.insert(Operator::Transform { input, mfp }, Schema { columns })
    }

    fn insert(&mut self, operator: Operator, schema: Schema) -> NodeId {
        let known = (operator, schema);
        if let Some(&id) = self.known.get(&known) {
            return id;
        }
        let (operator, schema) = known.clone();
        let append_only = self.derive_append_only(&operator);
        let id = NodeId(self.nodes.len());
        self.known.insert(known, id);
        self.nodes.push(Node { operator, schema, append_only });
        id
    }

    /// The left columns, then the right ones.
    pub fn joined_schema(&self, left: NodeId, right: NodeId) -> Schema {
        Schema {
            columns: self
                .schema(left)
                .columns
                .iter()
                .chain(&self.schema(right).columns)
                .cloned()
                .collect(),
        }
    }

    fn derive_schema(&self, operator: &Operator) -> Schema {
        let after_mfp = |input: &Schema, mfp: &Mfp| Schema {
            columns: mfp
                .columns
                .iter()
                .enumerate()
                .map(|(i, expr)| match expr.as_column() {
                    Some(column) => input.columns[column].clone(),
                    None => Column::new(format!("KSQL_COL_{i}"), expr.ty.clone()),
                })
                .collect(),
        };
        match operator {
            Operator::Source(source) => source.schema(),
            Operator::Transform { input, mfp } => after_mfp(self.schema(*input), mfp),
            Operator::Expire { input, .. }
            | Operator::Arrange { input, .. }
            | Operator::DistinctOn { input, .. }
            | Operator::Upsert { input, .. } => self.schema(*input).clone(),
            Operator::Join { left, right, mfp, .. } | Operator::AsOf { left, right, mfp, .. } => {
                after_mfp(&self.joined_schema(*left, *right), mfp)
            }
            Operator::Aggregate { input, key, aggregates, .. } => {
                let input = self.schema(*input);
                let keys =
                    key.columns.iter().map(|&i| Column { key: true, ..input.columns[i].clone() });
                let values = aggregates.iter().enumerate().map(|(i, aggregate)| {
                    Column::new(format!("KSQL_AGG_{i}"), aggregate.ty.clone())
                });
                Schema { columns: keys.chain(values).collect() }
            }
            Operator::Union { inputs } => self.schema(inputs[0]).clone(),
            Operator::Recursive { variable, .. } => self.schema(*variable).clone(),
            Operator::Variable { schema, .. } => schema.clone(),
        }
    }

    fn derive_append_only(&self, operator: &Operator) -> bool {
        let all = |ids: &[NodeId]| ids.iter().all(|id| self.nodes[id.0].append_only);
        match operator {
            Operator::Source(_) => true,
            Operator::Transform { input, .. }
            | Operator::Expire { input, .. }
            | Operator::Arrange { input, .. } => all(&[*input]),
            Operator::Join { kind: JoinKind::Inner, left, right, .. } => all(&[*left, *right]),
            // an as-of join publishes once for each left row, whatever happens on the right
            Operator::AsOf { left, .. } => all(&[*left]),
            Operator::Union { inputs } => all(inputs),
            Operator::Join { .. }
            | Operator::Aggregate { .. }
            | Operator::DistinctOn { .. }
            | Operator::Upsert { .. }
            | Operator::Recursive { .. }
            | Operator::Variable { .. } => false,
        }
    }
}
