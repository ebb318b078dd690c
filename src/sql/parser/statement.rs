//! Statements.

use super::{Parser, Result};
use crate::sql::ast::{
    Assertion, Column, ColumnRole, ConnectorKind, CreateAs, CreateSource, Describe, Duration,
    Explain, Expr, Ident, List, Property, SourceKind, Statement, Which,
};
use crate::sql::token::Token;

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        self.nested(Self::any_statement)
    }

    fn any_statement(&mut self) -> Result<Statement> {
        if self.at_word("SELECT") || self.at_word("WITH") {
            return self.query().map(Statement::Query);
        }
        if self.eat_word("CREATE") {
            return self.create();
        }
        if self.eat_word("INSERT") {
            return self.insert();
        }
        if self.eat_word("DROP") {
            return self.drop_statement();
        }
        if self.eat_word("ALTER") {
            return self.alter();
        }
        if self.eat_word("LIST") || self.eat_word("SHOW") {
            return self.list().map(Statement::List);
        }
        if self.eat_word("DESCRIBE") {
            return self.describe().map(Statement::Describe);
        }
        if self.eat_word("EXPLAIN") {
            return self.explain().map(Statement::Explain);
        }
        if self.eat_word("PRINT") {
            return self.print();
        }
        if self.eat_word("TERMINATE") {
            return self.which().map(Statement::Terminate);
        }
        if self.eat_word("PAUSE") {
            return self.which().map(Statement::Pause);
        }
        if self.eat_word("RESUME") {
            return self.which().map(Statement::Resume);
        }
        if self.eat_word("SET") {
            let (name, value) = self.setting()?;
            return Ok(Statement::Set(name, value));
        }
        if self.eat_word("UNSET") {
            return self.string().map(Statement::Unset);
        }
        if self.eat_word("DEFINE") {
            let name = self.ident()?;
            self.expect(Token::Equal)?;
            return Ok(Statement::Define(name, self.string()?));
        }
        if self.eat_word("UNDEFINE") {
            return self.ident().map(Statement::Undefine);
        }
        if self.eat_word("ASSERT") {
            return self.assertion().map(Statement::Assert);
        }
        if self.eat_words(&["RUN", "SCRIPT"])? {
            return self.string().map(Statement::RunScript);
        }
        Err(self.unexpected())
    }

    /// `'property' = 'value'`
    fn setting(&mut self) -> Result<(String, String)> {
        let name = self.string()?;
        self.expect(Token::Equal)?;
        Ok((name, self.string()?))
    }

    fn source_kind(&mut self) -> Result<SourceKind> {
        if self.eat_word("STREAM") {
            return Ok(SourceKind::Stream);
        }
        self.expect_word("TABLE")?;
        Ok(SourceKind::Table)
    }

    /// `[IF NOT EXISTS]`; IF alone may be the name that follows.
    fn if_not_exists(&mut self) -> Result<bool> {
        Ok(self.is_word_at(1, "NOT") && self.eat_words(&["IF", "NOT", "EXISTS"])?)
    }

    fn connector_kind(&mut self) -> Option<ConnectorKind> {
        if self.eat_word("SOURCE") {
            return Some(ConnectorKind::Source);
        }
        self.eat_word("SINK").then_some(ConnectorKind::Sink)
    }

    fn create(&mut self) -> Result<Statement> {
        if self.eat_word("TYPE") {
            let if_not_exists = self.if_not_exists()?;
            let name = self.ident()?;
            self.expect_word("AS")?;
            return Ok(Statement::CreateType { if_not_exists, name, ty: self.type_name()? });
        }
        if self.is_word_at(1, "CONNECTOR") {
            let kind = self.connector_kind().ok_or_else(|| self.unexpected())?;
            self.expect_word("CONNECTOR")?;
            let if_not_exists = self.if_not_exists()?;
            let name = self.ident()?;
            return Ok(Statement::CreateConnector {
                kind,
                if_not_exists,
                name,
                properties: self.with_properties()?,
            });
        }
        let or_replace = self.eat_words(&["OR", "REPLACE"])?;
        let source = self.eat_word("SOURCE");
        let kind = self.source_kind()?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.ident()?;
        let columns = if self.at(Token::Open) { self.columns()? } else { Vec::new() };
        let properties = self.with_properties()?;
        if !source && columns.is_empty() && self.eat_word("AS") {
            let query = self.query()?;
            return Ok(Statement::CreateAs(CreateAs {
                or_replace,
                kind,
                if_not_exists,
                name,
                properties,
                query,
            }));
        }
        Ok(Statement::CreateSource(CreateSource {
            or_replace,
            source,
            kind,
            if_not_exists,
            name,
            columns,
            properties,
        }))
    }

    fn columns(&mut self) -> Result<Vec<Column>> {
        self.parenthesised(|p| {
            let name = p.ident()?;
            let ty = p.type_name()?;
            let role = if p.eat_words(&["PRIMARY", "KEY"])? {
                ColumnRole::PrimaryKey
            } else if p.eat_word("KEY") {
                ColumnRole::Key
            } else if p.eat_word("HEADERS") {
                ColumnRole::Headers
            } else if p.eat_word("HEADER") {
                p.expect(Token::Open)?;
                let name = p.string()?;
                p.expect(Token::Close)?;
                ColumnRole::Header(name)
            } else {
                ColumnRole::Value
            };
            Ok(Column { name, ty, role })
        })
    }

    /// `[WITH (name = value, …)]`
    fn with_properties(&mut self) -> Result<Vec<Property>> {
        if !self.at_word("WITH") || self.peek_at(1) != Token::Open {
            return Ok(Vec::new());
        }
        self.bump();
        self.parenthesised(|p| {
            let name = if p.at(Token::String) {
                let span = p.span();
                Ident { name: p.string()?, span }
            } else {
                p.ident()?
            };
            p.expect(Token::Equal)?;
            let span = p.span();
            p.note("a constant");
            match p.literal()? {
                Some(value) => Ok(Property { name, value, span: span.to(p.last_span()) }),
                None => Err(p.unexpected()),
            }
        })
    }

    fn insert(&mut self) -> Result<Statement> {
        self.expect_word("INTO")?;
        let target = self.ident()?;
        let columns =
            if self.at(Token::Open) { self.parenthesised(Self::ident)? } else { Vec::new() };
        if self.at_word("VALUES") {
            self.bump();
            return Ok(Statement::InsertValues { target, columns, values: self.values()? });
        }
        if !columns.is_empty() {
            return Err(self.unexpected());
        }
        let properties = self.with_properties()?;
        Ok(Statement::InsertSelect { target, properties, query: self.query()? })
    }

    fn values(&mut self) -> Result<Vec<Expr>> {
        self.expect(Token::Open)?;
        if self.eat(Token::Close) {
            return Ok(Vec::new());
        }
        let values = self.commas(Self::expr)?;
        self.expect(Token::Close)?;
        Ok(values)
    }

    fn drop_statement(&mut self) -> Result<Statement> {
        let connector = self.eat_word("CONNECTOR");
        let ty = !connector && self.eat_word("TYPE");
        let kind = if connector || ty { None } else { Some(self.source_kind()?) };
        let if_exists = self.is_word_at(1, "EXISTS") && self.eat_words(&["IF", "EXISTS"])?;
        let name = self.ident()?;
        Ok(match kind {
            None if connector => Statement::DropConnector { if_exists, name },
            None => Statement::DropType { if_exists, name },
            Some(kind) => Statement::DropSource {
                kind,
                if_exists,
                name,
                delete_topic: self.eat_words(&["DELETE", "TOPIC"])?,
            },
        })
    }

    fn alter(&mut self) -> Result<Statement> {
        if self.eat_word("SYSTEM") {
            let (name, value) = self.setting()?;
            return Ok(Statement::AlterSystem(name, value));
        }
        let kind = self.source_kind()?;
        let name = self.ident()?;
        let columns = self.commas(|p| {
            p.expect_word("ADD")?;
            // COLUMN may be left out, and may be the name
            if p.at_word("COLUMN") && p.is_ident_at(1) && p.is_ident_at(2) {
                p.bump();
            }
            Ok((p.ident()?, p.type_name()?))
        })?;
        Ok(Statement::AlterSource { kind, name, columns })
    }

    fn list(&mut self) -> Result<List> {
        if self.eat_word("PROPERTIES") {
            return Ok(List::Properties);
        }
        if self.eat_word("FUNCTIONS") {
            return Ok(List::Functions);
        }
        if self.eat_word("TYPES") {
            return Ok(List::Types);
        }
        if self.eat_word("VARIABLES") {
            return Ok(List::Variables);
        }
        if self.eat_words(&["CONNECTOR", "PLUGINS"])? {
            return Ok(List::ConnectorPlugins);
        }
        if self.eat_word("STREAMS") {
            return Ok(List::Streams { extended: self.eat_word("EXTENDED") });
        }
        if self.eat_word("TABLES") {
            return Ok(List::Tables { extended: self.eat_word("EXTENDED") });
        }
        if self.eat_word("QUERIES") {
            return Ok(List::Queries { extended: self.eat_word("EXTENDED") });
        }
        let all = self.eat_word("ALL");
        if self.eat_word("TOPICS") {
            return Ok(List::Topics { all, extended: self.eat_word("EXTENDED") });
        }
        if all {
            return Err(self.unexpected());
        }
        let kind = self.connector_kind();
        self.expect_word("CONNECTORS")?;
        Ok(List::Connectors(kind))
    }

    fn describe(&mut self) -> Result<Describe> {
        if self.eat_word("STREAMS") {
            return Ok(Describe::Streams { extended: self.eat_word("EXTENDED") });
        }
        if self.eat_word("TABLES") {
            return Ok(Describe::Tables { extended: self.eat_word("EXTENDED") });
        }
        if self.eat_word("FUNCTION") {
            return self.ident().map(Describe::Function);
        }
        if self.eat_word("CONNECTOR") {
            return self.ident().map(Describe::Connector);
        }
        let name = self.ident()?;
        Ok(Describe::Source { name, extended: self.eat_word("EXTENDED") })
    }

    fn explain(&mut self) -> Result<Explain> {
        if self.is_ident_at(0) && matches!(self.peek_at(1), Token::Semicolon | Token::End) {
            return self.ident().map(Explain::Query);
        }
        Ok(Explain::Statement(Box::new(self.statement()?)))
    }

    fn print(&mut self) -> Result<Statement> {
        let topic = self.raw_name()?;
        let from_beginning = self.eat_words(&["FROM", "BEGINNING"])?;
        let interval = if self.eat_word("INTERVAL") || self.eat_word("SAMPLE") {
            Some(self.integer()?)
        } else {
            None
        };
        let limit = if self.eat_word("LIMIT") { Some(self.integer()?) } else { None };
        Ok(Statement::Print { topic, from_beginning, interval, limit })
    }

    fn which(&mut self) -> Result<Which> {
        if self.eat_word("ALL") { Ok(Which::All) } else { self.ident().map(Which::Query) }
    }

    fn assertion(&mut self) -> Result<Assertion> {
        if self.eat_word("VALUES") {
            let (source, columns) = self.target()?;
            self.expect_word("VALUES")?;
            return Ok(Assertion::Values { source, columns, values: self.values()? });
        }
        if self.eat_words(&["NULL", "VALUES"])? {
            let (source, columns) = self.target()?;
            self.expect_word("KEY")?;
            return Ok(Assertion::Tombstone { source, columns, values: self.values()? });
        }
        let exists = !self.eat_words(&["NOT", "EXISTS"])?;
        if self.eat_word("TOPIC") {
            let name = self.raw_name()?;
            let properties = self.with_properties()?;
            return Ok(Assertion::Topic { exists, name, properties, timeout: self.timeout()? });
        }
        if self.eat_word("SCHEMA") {
            let subject = if self.eat_word("SUBJECT") { Some(self.raw_name()?) } else { None };
            let id = if self.eat_word("ID") { Some(self.integer()?) } else { None };
            if subject.is_none() && id.is_none() {
                return Err(self.unexpected());
            }
            return Ok(Assertion::Schema { exists, subject, id, timeout: self.timeout()? });
        }
        if !exists {
            return Err(self.unexpected());
        }
        let kind = self.source_kind()?;
        let name = self.ident()?;
        let columns = if self.at(Token::Open) { self.columns()? } else { Vec::new() };
        Ok(Assertion::Source { kind, name, columns, properties: self.with_properties()? })
    }

    fn target(&mut self) -> Result<(Ident, Vec<Ident>)> {
        let name = self.ident()?;
        let columns =
            if self.at(Token::Open) { self.parenthesised(Self::ident)? } else { Vec::new() };
        Ok((name, columns))
    }

    fn timeout(&mut self) -> Result<Option<Duration>> {
        if self.eat_word("TIMEOUT") { self.duration().map(Some) } else { Ok(None) }
    }
}
