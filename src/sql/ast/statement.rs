//! Statements.

use std::fmt::{self, Display};

use super::{Commas, Duration, Expr, Ident, Literal, Query, Quoted, TypeName};

/// One statement, without its semicolon.
#[derive(Clone, PartialEq, Debug)]
pub enum Statement {
    /// `SELECT …`
    Query(Query),
    /// `CREATE STREAM|TABLE name (…) WITH (…)`
    CreateSource(CreateSource),
    /// `CREATE STREAM|TABLE name WITH (…) AS query`
    CreateAs(CreateAs),
    /// `CREATE SOURCE|SINK CONNECTOR …`
    CreateConnector {
        /// Its direction.
        kind: ConnectorKind,
        /// Keep one that exists.
        if_not_exists: bool,
        /// Its name.
        name: Ident,
        /// Its configuration.
        properties: Vec<Property>,
    },
    /// `CREATE TYPE name AS type`
    CreateType {
        /// Keep one that exists.
        if_not_exists: bool,
        /// Its name.
        name: Ident,
        /// What it stands for.
        ty: TypeName,
    },
    /// `INSERT INTO target [WITH (…)] query`
    InsertSelect {
        /// The stream that gets the rows.
        target: Ident,
        /// Properties of the query.
        properties: Vec<Property>,
        /// The rows.
        query: Query,
    },
    /// `INSERT INTO target [(columns)] VALUES (…)`
    InsertValues {
        /// The source that gets the row.
        target: Ident,
        /// The columns that are given; empty for all.
        columns: Vec<Ident>,
        /// Their values.
        values: Vec<Expr>,
    },
    /// `ALTER STREAM|TABLE name ADD COLUMN …`
    AlterSource {
        /// Stream or table.
        kind: SourceKind,
        /// The source.
        name: Ident,
        /// Columns to add, one or more.
        columns: Vec<(Ident, TypeName)>,
    },
    /// `ALTER SYSTEM 'property' = 'value'`
    AlterSystem(String, String),
    /// `DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC]`
    DropSource {
        /// Stream or table.
        kind: SourceKind,
        /// No error when there is none.
        if_exists: bool,
        /// The source.
        name: Ident,
        /// Delete its topic as well.
        delete_topic: bool,
    },
    /// `DROP CONNECTOR [IF EXISTS] name`
    DropConnector {
        /// No error when there is none.
        if_exists: bool,
        /// The connector.
        name: Ident,
    },
    /// `DROP TYPE [IF EXISTS] name`
    DropType {
        /// No error when there is none.
        if_exists: bool,
        /// The type.
        name: Ident,
    },
    /// `LIST …` or `SHOW …`
    List(List),
    /// `DESCRIBE …`
    Describe(Describe),
    /// `EXPLAIN …`
    Explain(Explain),
    /// `PRINT topic …`
    Print {
        /// The topic, as written.
        topic: String,
        /// From its first record.
        from_beginning: bool,
        /// Every how many records.
        interval: Option<u64>,
        /// How many records.
        limit: Option<u64>,
    },
    /// `TERMINATE query`
    Terminate(Which),
    /// `PAUSE query`
    Pause(Which),
    /// `RESUME query`
    Resume(Which),
    /// `SET 'property' = 'value'`
    Set(String, String),
    /// `UNSET 'property'`
    Unset(String),
    /// `DEFINE variable = 'value'`
    Define(Ident, String),
    /// `UNDEFINE variable`
    Undefine(Ident),
    /// `ASSERT …`
    Assert(Assertion),
    /// `RUN SCRIPT 'file'`
    RunScript(String),
}

/// Stream or table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceKind {
    /// Facts that only come.
    Stream,
    /// The latest row of each key.
    Table,
}

/// `CREATE [OR REPLACE] [SOURCE] STREAM|TABLE [IF NOT EXISTS] name [(columns)] [WITH (…)]`
#[derive(Clone, PartialEq, Debug)]
pub struct CreateSource {
    /// Replace one that exists.
    pub or_replace: bool,
    /// `SOURCE`: read-only, and kept while queries use it.
    pub source: bool,
    /// Stream or table.
    pub kind: SourceKind,
    /// Keep one that exists.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Ident,
    /// Its columns; empty when its format gives them.
    pub columns: Vec<Column>,
    /// `WITH (…)`
    pub properties: Vec<Property>,
}

/// `CREATE [OR REPLACE] STREAM|TABLE [IF NOT EXISTS] name [WITH (…)] AS query`
#[derive(Clone, PartialEq, Debug)]
pub struct CreateAs {
    /// Replace one that exists.
    pub or_replace: bool,
    /// Stream or table.
    pub kind: SourceKind,
    /// Keep one that exists.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Ident,
    /// `WITH (…)`
    pub properties: Vec<Property>,
    /// Its content.
    pub query: Query,
}

/// One column of a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: TypeName,
    /// Where its values come from.
    pub role: ColumnRole,
}

/// Where a column's values come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ColumnRole {
    /// The record's value.
    Value,
    /// `KEY`: the record's key.
    Key,
    /// `PRIMARY KEY`: the record's key, which identifies a row of a table.
    PrimaryKey,
    /// `HEADERS`: all headers.
    Headers,
    /// `HEADER('name')`: the last header with the name.
    Header(String),
}

/// `name = value` in WITH.
#[derive(Clone, PartialEq, Debug)]
pub struct Property {
    /// Its name; compared without regard to case.
    pub name: Ident,
    /// Its value.
    pub value: Literal,
    /// Where the value stands.
    pub span: crate::sql::Span,
}

/// Direction of a connector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectorKind {
    /// Into Kafka.
    Source,
    /// Out of Kafka.
    Sink,
}

/// What LIST lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    /// `[ALL] TOPICS [EXTENDED]`
    Topics {
        /// Hidden ones too.
        all: bool,
        /// With consumers.
        extended: bool,
    },
    /// `STREAMS [EXTENDED]`
    Streams {
        /// With details.
        extended: bool,
    },
    /// `TABLES [EXTENDED]`
    Tables {
        /// With details.
        extended: bool,
    },
    /// `QUERIES [EXTENDED]`
    Queries {
        /// With details.
        extended: bool,
    },
    /// `PROPERTIES`
    Properties,
    /// `FUNCTIONS`
    Functions,
    /// `TYPES`
    Types,
    /// `VARIABLES`
    Variables,
    /// `[SOURCE|SINK] CONNECTORS`
    Connectors(Option<ConnectorKind>),
    /// `CONNECTOR PLUGINS`
    ConnectorPlugins,
}

/// What DESCRIBE describes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Describe {
    /// `name [EXTENDED]`
    Source {
        /// The stream or table.
        name: Ident,
        /// With statistics.
        extended: bool,
    },
    /// `STREAMS [EXTENDED]`
    Streams {
        /// With statistics.
        extended: bool,
    },
    /// `TABLES [EXTENDED]`
    Tables {
        /// With statistics.
        extended: bool,
    },
    /// `FUNCTION name`
    Function(Ident),
    /// `CONNECTOR name`
    Connector(Ident),
}

/// What EXPLAIN explains.
#[derive(Clone, PartialEq, Debug)]
pub enum Explain {
    /// A statement.
    Statement(Box<Statement>),
    /// A running query.
    Query(Ident),
}

/// One query or all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Which {
    /// `ALL`
    All,
    /// The query with this name.
    Query(Ident),
}

/// What ASSERT asserts.
#[derive(Clone, PartialEq, Debug)]
pub enum Assertion {
    /// `[NOT EXISTS] TOPIC name [WITH (…)] [TIMEOUT d]`
    Topic {
        /// It is there, or it is not.
        exists: bool,
        /// Its name, as written.
        name: String,
        /// What it must be like.
        properties: Vec<Property>,
        /// How long to wait for it.
        timeout: Option<Duration>,
    },
    /// `[NOT EXISTS] SCHEMA [SUBJECT name] [ID n] [TIMEOUT d]`
    Schema {
        /// It is there, or it is not.
        exists: bool,
        /// Its subject, as written.
        subject: Option<String>,
        /// Its number.
        id: Option<u64>,
        /// How long to wait for it.
        timeout: Option<Duration>,
    },
    /// `VALUES source [(columns)] VALUES (…)`
    Values {
        /// The source.
        source: Ident,
        /// The columns that are given; empty for all.
        columns: Vec<Ident>,
        /// Their values.
        values: Vec<Expr>,
    },
    /// `NULL VALUES source [(columns)] KEY (…)`
    Tombstone {
        /// The source.
        source: Ident,
        /// The key columns; empty for all.
        columns: Vec<Ident>,
        /// Their values.
        values: Vec<Expr>,
    },
    /// `STREAM|TABLE name [(columns)] [WITH (…)]`
    Source {
        /// Stream or table.
        kind: SourceKind,
        /// Its name.
        name: Ident,
        /// Its columns.
        columns: Vec<Column>,
        /// Its properties.
        properties: Vec<Property>,
    },
}

impl Statement {
    /// The words that the statement begins with, for messages.
    pub fn verb(&self) -> &'static str {
        match self {
            Statement::Query(_) => "SELECT",
            Statement::CreateSource(_) | Statement::CreateAs(_) => "CREATE STREAM or TABLE",
            Statement::CreateConnector { .. } => "CREATE CONNECTOR",
            Statement::CreateType { .. } => "CREATE TYPE",
            Statement::InsertSelect { .. } | Statement::InsertValues { .. } => "INSERT",
            Statement::AlterSource { .. } | Statement::AlterSystem(..) => "ALTER",
            Statement::DropSource { .. }
            | Statement::DropConnector { .. }
            | Statement::DropType { .. } => "DROP",
            Statement::List(_) => "LIST",
            Statement::Describe(_) => "DESCRIBE",
            Statement::Explain(_) => "EXPLAIN",
            Statement::Print { .. } => "PRINT",
            Statement::Terminate(_) => "TERMINATE",
            Statement::Pause(_) => "PAUSE",
            Statement::Resume(_) => "RESUME",
            Statement::Set(..) => "SET",
            Statement::Unset(_) => "UNSET",
            Statement::Define(..) => "DEFINE",
            Statement::Undefine(_) => "UNDEFINE",
            Statement::Assert(_) => "ASSERT",
            Statement::RunScript(_) => "RUN SCRIPT",
        }
    }
}

impl Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SourceKind::Stream => "STREAM",
            SourceKind::Table => "TABLE",
        })
    }
}

impl Display for ConnectorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ConnectorKind::Source => "SOURCE",
            ConnectorKind::Sink => "SINK",
        })
    }
}

impl Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.ty)?;
        match &self.role {
            ColumnRole::Value => Ok(()),
            ColumnRole::Key => f.write_str(" KEY"),
            ColumnRole::PrimaryKey => f.write_str(" PRIMARY KEY"),
            ColumnRole::Headers => f.write_str(" HEADERS"),
            ColumnRole::Header(name) => write!(f, " HEADER({})", Quoted(name)),
        }
    }
}

impl Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name, self.value)
    }
}

impl Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::All => f.write_str("ALL"),
            // a query may be called ALL
            Which::Query(name) if name.name == "ALL" => f.write_str("`ALL`"),
            Which::Query(name) => name.fmt(f),
        }
    }
}

/// ` (a, b)`, or nothing when there is nothing.
struct Optional<'a, T>(&'a str, &'a [T]);

impl<T: Display> Display for Optional<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.is_empty() { Ok(()) } else { write!(f, "{}({})", self.0, Commas(self.1)) }
    }
}

fn columns<T>(items: &[T]) -> Optional<'_, T> {
    Optional(" ", items)
}

fn with(properties: &[Property]) -> Optional<'_, Property> {
    Optional(" WITH ", properties)
}

fn flag(on: bool, words: &'static str) -> &'static str {
    if on { words } else { "" }
}

fn timeout(timeout: Option<Duration>) -> impl Display {
    fmt::from_fn(move |f| timeout.map_or(Ok(()), |timeout| write!(f, " TIMEOUT {timeout}")))
}

/// A name in backquotes, whatever it is: for names that are not upper-cased when they are bare.
fn raw(name: &str) -> impl Display + '_ {
    fmt::from_fn(move |f| write!(f, "`{}`", name.replace('`', "``")))
}

impl Display for CreateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CREATE {}{}{} {}{}{}{}",
            flag(self.or_replace, "OR REPLACE "),
            flag(self.source, "SOURCE "),
            self.kind,
            flag(self.if_not_exists, "IF NOT EXISTS "),
            self.name,
            columns(&self.columns),
            with(&self.properties)
        )
    }
}

impl Display for CreateAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CREATE {}{} {}{}{} AS {}",
            flag(self.or_replace, "OR REPLACE "),
            self.kind,
            flag(self.if_not_exists, "IF NOT EXISTS "),
            self.name,
            with(&self.properties),
            self.query
        )
    }
}

impl Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extended = |on| flag(on, " EXTENDED");
        match *self {
            List::Topics { all, extended: more } => {
                write!(f, "{}TOPICS{}", flag(all, "ALL "), extended(more))
            }
            List::Streams { extended: more } => write!(f, "STREAMS{}", extended(more)),
            List::Tables { extended: more } => write!(f, "TABLES{}", extended(more)),
            List::Queries { extended: more } => write!(f, "QUERIES{}", extended(more)),
            List::Properties => f.write_str("PROPERTIES"),
            List::Functions => f.write_str("FUNCTIONS"),
            List::Types => f.write_str("TYPES"),
            List::Variables => f.write_str("VARIABLES"),
            List::Connectors(None) => f.write_str("CONNECTORS"),
            List::Connectors(Some(kind)) => write!(f, "{kind} CONNECTORS"),
            List::ConnectorPlugins => f.write_str("CONNECTOR PLUGINS"),
        }
    }
}

impl Display for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extended = |on| flag(on, " EXTENDED");
        match self {
            // these words begin other forms when they are bare
            Describe::Source { name, extended: more }
                if matches!(&name.name[..], "STREAMS" | "TABLES" | "FUNCTION" | "CONNECTOR") =>
            {
                write!(f, "{}{}", raw(&name.name), extended(*more))
            }
            Describe::Source { name, extended: more } => write!(f, "{name}{}", extended(*more)),
            Describe::Streams { extended: more } => write!(f, "STREAMS{}", extended(*more)),
            Describe::Tables { extended: more } => write!(f, "TABLES{}", extended(*more)),
            Describe::Function(name) => write!(f, "FUNCTION {name}"),
            Describe::Connector(name) => write!(f, "CONNECTOR {name}"),
        }
    }
}

impl Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Assertion::Topic { exists, name, properties, timeout: wait } => {
                write!(
                    f,
                    "{}TOPIC {}{}{}",
                    flag(!exists, "NOT EXISTS "),
                    raw(name),
                    with(properties),
                    timeout(*wait)
                )
            }
            Assertion::Schema { exists, subject, id, timeout: wait } => {
                write!(f, "{}SCHEMA", flag(!exists, "NOT EXISTS "))?;
                if let Some(subject) = subject {
                    write!(f, " SUBJECT {}", raw(subject))?;
                }
                if let Some(id) = id {
                    write!(f, " ID {id}")?;
                }
                timeout(*wait).fmt(f)
            }
            Assertion::Values { source, columns: names, values } => {
                write!(f, "VALUES {source}{} VALUES ({})", columns(names), Commas(values))
            }
            Assertion::Tombstone { source, columns: names, values } => {
                write!(f, "NULL VALUES {source}{} KEY ({})", columns(names), Commas(values))
            }
            Assertion::Source { kind, name, columns: elements, properties } => {
                write!(f, "{kind} {name}{}{}", columns(elements), with(properties))
            }
        }
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let if_not_exists = |on| flag(on, "IF NOT EXISTS ");
        let if_exists = |on| flag(on, "IF EXISTS ");
        match self {
            Statement::Query(query) => query.fmt(f),
            Statement::CreateSource(create) => create.fmt(f),
            Statement::CreateAs(create) => create.fmt(f),
            Statement::CreateConnector { kind, if_not_exists: keep, name, properties } => {
                write!(
                    f,
                    "CREATE {kind} CONNECTOR {}{name}{}",
                    if_not_exists(*keep),
                    with(properties)
                )
            }
            Statement::CreateType { if_not_exists: keep, name, ty } => {
                write!(f, "CREATE TYPE {}{name} AS {ty}", if_not_exists(*keep))
            }
            Statement::InsertSelect { target, properties, query } => {
                write!(f, "INSERT INTO {target}{} {query}", with(properties))
            }
            Statement::InsertValues { target, columns: names, values } => {
                write!(f, "INSERT INTO {target}{} VALUES ({})", columns(names), Commas(values))
            }
            Statement::AlterSource { kind, name, columns } => {
                write!(f, "ALTER {kind} {name}")?;
                for (i, (name, ty)) in columns.iter().enumerate() {
                    write!(f, "{} ADD COLUMN {name} {ty}", flag(i > 0, ","))?;
                }
                Ok(())
            }
            Statement::AlterSystem(name, value) => {
                write!(f, "ALTER SYSTEM {} = {}", Quoted(name), Quoted(value))
            }
            Statement::DropSource { kind, if_exists: lenient, name, delete_topic } => {
                write!(
                    f,
                    "DROP {kind} {}{name}{}",
                    if_exists(*lenient),
                    flag(*delete_topic, " DELETE TOPIC")
                )
            }
            Statement::DropConnector { if_exists: lenient, name } => {
                write!(f, "DROP CONNECTOR {}{name}", if_exists(*lenient))
            }
            Statement::DropType { if_exists: lenient, name } => {
                write!(f, "DROP TYPE {}{name}", if_exists(*lenient))
            }
            Statement::List(list) => write!(f, "LIST {list}"),
            Statement::Describe(describe) => write!(f, "DESCRIBE {describe}"),
            Statement::Explain(Explain::Statement(statement)) => write!(f, "EXPLAIN {statement}"),
            Statement::Explain(Explain::Query(name)) => write!(f, "EXPLAIN {}", raw(&name.name)),
            Statement::Print { topic, from_beginning, interval, limit } => {
                write!(f, "PRINT {}{}", raw(topic), flag(*from_beginning, " FROM BEGINNING"))?;
                if let Some(interval) = interval {
                    write!(f, " INTERVAL {interval}")?;
                }
                limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
            }
            Statement::Terminate(which) => write!(f, "TERMINATE {which}"),
            Statement::Pause(which) => write!(f, "PAUSE {which}"),
            Statement::Resume(which) => write!(f, "RESUME {which}"),
            Statement::Set(name, value) => write!(f, "SET {} = {}", Quoted(name), Quoted(value)),
            Statement::Unset(name) => write!(f, "UNSET {}", Quoted(name)),
            Statement::Define(name, value) => write!(f, "DEFINE {name} = {}", Quoted(value)),
            Statement::Undefine(name) => write!(f, "UNDEFINE {name}"),
            Statement::Assert(assertion) => write!(f, "ASSERT {assertion}"),
            Statement::RunScript(file) => write!(f, "RUN SCRIPT {}", Quoted(file)),
        }
    }
}
