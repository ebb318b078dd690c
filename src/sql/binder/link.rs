//! CREATE STREAM and CREATE TABLE over a topic that a view of the script writes.
//!
//! ```text
//!  CREATE STREAM a AS SELECT … PARTITION BY k;                          A ─▶ topic A
//!  CREATE TABLE b (k VARCHAR, …) WITH (KAFKA_TOPIC='A', KEY='k');       ╰──▶ columns by name ─▶ last row of each K ─▶ B
//! ```
//!
//! Such a source is no input. It reads the view's rows inside the dataflow, at the tick of the record that they come from, so a stream that is joined with the table sees
//! what was written before it and nothing else.
//!
//! # Columns
//! Columns are found as a decoder finds the members of a JSON record: by name, exactly, then without regard to case. The sole column of the Kafka key needs no name: where both sides
//! have one, the key of a record goes into it. A column that the view does not have is NULL. Values are CAST to the declared type; one that does
//! not fit is NULL and counted. Without a list of columns the source has those of the view.
//!
//! # Rows
//! | source | view | gives |
//! |---|---|---|
//! | stream | stream | its rows |
//! | table | stream | the last row of each key, in offset order; a row without key is left out |
//! | table | table | that table, which must have the same key |
//! | stream | table | refused: a row of a table is not an event, as it is taken back when it changes |
//!
//! A script must write a topic before it reads it, and by one view: the binder goes through the statements once.

use std::sync::Arc;

use super::properties::Properties;
use super::relation::{Pseudo, Relation};
use super::source::name_key;
use super::{Binder, Outcome, Purpose, Result, SourceInfo, unsupported, view_kind};
use crate::expr::{Expr, typing};
use crate::model::{Column, Schema, Type};
use crate::plan::{Format, Key, Mfp, NodeId, Operator, ViewKind, pseudo_columns, tombstone_column};
use crate::sql::ast::CreateSource;
use crate::sql::error::{Span, SqlError};

/// The view behind a source.
struct Writer {
    name: String,
    relation: Relation,
    /// Its columns under the names that SQL knows.
    columns: Vec<Column>,
}

/// The columns of a source, and where they are in the rows of its view.
struct Reading {
    columns: Vec<Column>,
    from: Vec<Option<usize>>,
}

impl Binder<'_> {
    /// The view that writes the topic.
    pub(super) fn writer(&self, topic: &str, span: Span) -> Result<Option<String>> {
        let views = self.script.plan.views.iter().zip(&self.script.views);
        let mut writers = views
            .filter(|(view, info)| info.purpose == Purpose::Publish && view.topic == topic)
            .map(|(view, _)| &view.name);
        let writer = writers.next().cloned();
        match (&writer, writers.next()) {
            (Some(first), Some(second)) => Err(unsupported(
                span,
                &format!("reading topic {topic}, which both {first} and {second} write, is"),
            )
            .hint("read a UNION ALL of the two")),
            _ => Ok(writer),
        }
    }

    /// Refuses a view whose topic has a reader already, to which its rows would not come.
    pub(super) fn unread(&self, topic: &str, span: Span) -> Result<()> {
        match self.script.sources.iter().find(|source| source.topic == topic) {
            Some(source) => Err(SqlError::new(
                span,
                format!("topic {topic} is read by {} already", source.name),
            )
            .hint(format!(
                "a script writes a topic before it reads it: put this statement before that of {}",
                source.name
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn create_link(
        &mut self,
        create: &CreateSource,
        properties: Properties,
        topic: String,
        view: String,
    ) -> Result<Outcome> {
        let name = &create.name;
        let relation = self.script.relations[&view].clone();
        let columns = self.visible(&relation).iter().zip(&relation.names);
        let columns = columns
            .map(|(column, name)| Column { name: name.clone(), key: false, ..column.clone() })
            .collect();
        let writer = Writer { name: view, relation, columns };
        self.readable(create, &properties, &writer)?;
        let kind = view_kind(create.kind);
        let retention = properties.retention(create.kind)?;
        if (kind, writer.relation.kind) == (ViewKind::Stream, ViewKind::Table) {
            let message = format!(
                "topic {topic} holds the rows of table {}, which are taken back when they change",
                writer.name
            );
            return Err(SqlError::new(name.span, message).hint("write CREATE TABLE"));
        }

        let reading = self.reading(create, &properties, kind, &writer)?;
        let key: Vec<usize> =
            (0..reading.columns.len()).filter(|&i| reading.columns[i].key).collect();
        if kind == ViewKind::Table && key.is_empty() {
            return Err(SqlError::new(name.span, "a table needs a PRIMARY KEY column")
                .hint("or is it a stream?"));
        }
        let width = reading.columns.len();
        let mut node = self.read_view(create, &writer, &reading)?;
        let pseudo = writer.relation.pseudo.map(|pseudo| pseudo.moved(width));
        node = self.with_time(node, pseudo, &properties)?;
        let direct = |to: usize| {
            reading.from[to].filter(|&from| writer.columns[from].ty == reading.columns[to].ty)
        };
        let own = writer.relation.pseudo;
        let place = |from: &usize| {
            let hidden = own.and_then(|pseudo| pseudo.place(*from, width));
            (0..width).find(|&to| direct(to) == Some(*from)).or(hidden)
        };
        let names: Vec<String> = reading.columns.iter().map(|column| column.name.clone()).collect();
        let mut relation = Relation {
            node,
            kind,
            names,
            pseudo,
            identity: Vec::new(),
            kafka_key: key.clone(),
            lost: None,
            ..writer.relation
        };
        match (kind, writer.relation.kind) {
            (ViewKind::Stream, _) => {
                relation.identity = writer
                    .relation
                    .identity
                    .iter()
                    .map(place)
                    .collect::<Option<_>>()
                    .unwrap_or_default();
                relation.distinct &= !relation.identity.is_empty();
            }
            (ViewKind::Table, ViewKind::Stream) => {
                (relation.node, relation.pseudo) =
                    self.last_rows(create, &writer, &reading, (node, key.clone()), retention)?;
                relation.identity = key;
                relation.distinct = false;
            }
            (ViewKind::Table, ViewKind::Table) => {
                same_key(create, &writer, &reading, &key)?;
                if retention.is_some() {
                    let message =
                        format!("{name} is the table {}, which keeps its rows itself", writer.name);
                    return Err(SqlError::new(properties.span("RETENTION"), message)
                        .hint(format!("give RETENTION to {}", writer.name)));
                }
                relation.identity = key;
            }
        }
        self.script.relations.insert(name.name.clone(), relation);
        let format = Arc::new(Format::Json(Schema { columns: reading.columns }));
        self.script.sources.push(SourceInfo {
            name: name.name.clone(),
            kind,
            topic,
            format,
            properties,
        });
        Ok(Outcome::Source(self.script.sources.len() - 1))
    }

    /// Checks that the source reads what the view writes.
    fn readable(
        &self,
        create: &CreateSource,
        properties: &Properties,
        writer: &Writer,
    ) -> Result<()> {
        let Some((format, span)) = super::source::value_format(properties)? else { return Ok(()) };
        let view = self
            .script
            .plan
            .views
            .iter()
            .position(|view| view.name == writer.name)
            .expect("the writer is a view");
        let written = super::source::value_format(&self.script.views[view].properties)?
            .map_or("JSON".into(), |(format, _)| format);
        if format == "SYSMON" {
            let message = format!("the topic holds the rows of {}, not Sysmon events", writer.name);
            return Err(SqlError::new(span, message).hint(format!("VALUE_FORMAT='{written}'")));
        }
        if format != written {
            return Err(SqlError::new(
                span,
                format!(
                    "{} writes this topic as {written}, and {} reads it as {format}",
                    writer.name, create.name
                ),
            ));
        }
        if format != "JSON" {
            return Err(unsupported(
                span,
                &format!("reading what another statement writes as {format} is"),
            ));
        }
        Ok(())
    }

    fn reading(
        &self,
        create: &CreateSource,
        properties: &Properties,
        kind: ViewKind,
        writer: &Writer,
    ) -> Result<Reading> {
        let declared = self.declared_columns(create)?;
        if let Some((_, column)) =
            declared.iter().zip(&create.columns).find(|(declared, _)| declared.header.is_some())
        {
            return Err(SqlError::new(
                column.name.span,
                format!("{} writes no headers", writer.name),
            ));
        }
        let mut columns: Vec<Column> =
            declared.into_iter().map(|declared| declared.column).collect();
        let inferred = columns.is_empty();
        if inferred {
            columns.clone_from(&writer.columns);
        }
        name_key(&mut columns, properties)?;
        let named = columns.iter().filter(|column| column.key).count();
        if inferred {
            let own = if writer.relation.kind == ViewKind::Table {
                &writer.relation.identity
            } else {
                &writer.relation.kafka_key
            };
            for &i in own.iter().filter(|_| named == 0) {
                columns[i].key = true;
            }
            let from = (0..columns.len()).map(Some).collect();
            return Ok(Reading { columns, from });
        }
        let mut from = Vec::new();
        for (column, declared) in columns.iter_mut().zip(&create.columns) {
            let exact = writer.columns.iter().position(|own| own.name == column.name);
            let found = exact.or_else(|| {
                writer.columns.iter().position(|own| own.name.eq_ignore_ascii_case(&column.name))
            });
            let sole = match writer.relation.kafka_key[..] {
                [sole] if column.key && named == 1 => Some(sole),
                _ => None,
            };
            let at = found.or(sole);
            if column.key && at.is_none() && kind == ViewKind::Table {
                let message = format!(
                    "{} has no column {}, so no row would have this key",
                    writer.name, declared.name
                );
                let known = writer.columns.iter().map(|own| &own.name[..]);
                return Err(
                    SqlError::new(declared.name.span, message).near_name(&column.name, known)
                );
            }
            column.ignore_case =
                at.is_some_and(|at| writer.columns[at].ignore_case && column.ty == Type::Varchar);
            from.push(at);
        }
        Ok(Reading { columns, from })
    }

    /// The view's rows in the columns of the source, with the hidden ones.
    fn read_view(
        &mut self,
        create: &CreateSource,
        writer: &Writer,
        reading: &Reading,
    ) -> Result<NodeId> {
        let mut exprs = Vec::new();
        for (i, (column, from)) in reading.columns.iter().zip(&reading.from).enumerate() {
            exprs.push(match from {
                None => Expr::null(column.ty.clone()),
                Some(from) => {
                    let own = &writer.columns[*from];
                    typing::cast(Expr::column(*from, own.ty.clone()), &column.ty).map_err(|_| {
                        let message = format!(
                            "{} of {} is of type {} and cannot be read as {}",
                            own.name, writer.name, own.ty, column.ty
                        );
                        SqlError::new(create.columns[i].name.span, message)
                    })?
                }
            });
        }
        let mut columns: Vec<Column> =
            reading.columns.iter().map(|column| Column { key: false, ..column.clone() }).collect();
        for (column, at) in pseudo_columns()
            .into_iter()
            .chain([tombstone_column()])
            .zip(writer.relation.pseudo.into_iter().flat_map(Pseudo::positions))
        {
            exprs.push(Expr::column(at, column.ty.clone()));
            columns.push(column);
        }
        Ok(self.script.plan.transform(
            writer.relation.node,
            Mfp { predicates: vec![], columns: exprs },
            columns,
        ))
    }

    /// The table of a stream's rows.
    fn last_rows(
        &mut self,
        create: &CreateSource,
        writer: &Writer,
        reading: &Reading,
        (node, key): (NodeId, Vec<usize>),
        retention: Option<std::time::Duration>,
    ) -> Result<(NodeId, Option<Pseudo>)> {
        let plan = &mut self.script.plan;
        if writer.relation.pseudo.is_none() || !plan.node(writer.relation.node).append_only {
            let what = format!(
                "a table of the rows of {}, which may be taken back when others come, is",
                writer.name
            );
            return Err(unsupported(create.name.span, &what));
        }
        let pseudo = Pseudo::after(reading.columns.len());
        let mut columns = plan.schema(node).columns.clone();
        let mut exprs: Vec<Expr> = columns
            .iter()
            .enumerate()
            .map(|(i, column)| Expr::column(i, column.ty.clone()))
            .collect();
        if columns.len() == pseudo.offset + 1 {
            columns.push(tombstone_column());
            exprs.push(Expr::null(Type::Boolean));
        }
        let input = plan.transform(node, Mfp { predicates: vec![], columns: exprs }, columns);
        let key = Key::new(key, plan.schema(input));
        let node = plan.add(Operator::Upsert {
            input,
            key,
            retention: retention.map(|after| (pseudo.time, after)),
        });
        Ok((node, Some(pseudo)))
    }
}

/// Checks that the key of a source is that of the table behind it.
fn same_key(
    create: &CreateSource,
    writer: &Writer,
    reading: &Reading,
    key: &[usize],
) -> Result<()> {
    if writer.relation.identity.iter().any(|at| *at >= writer.columns.len()) {
        let message = format!("the rows of table {} have a key that no column shows", writer.name);
        return Err(SqlError::new(create.name.span, message)
            .hint(format!("give {} a key by GROUP BY or DISTINCT ON", writer.name)));
    }
    // two keys that are told apart must still be after the CAST
    let kept = |to: usize| {
        reading.from[to].filter(|&from| {
            [&writer.columns[from].ty, &Type::Varchar].contains(&&reading.columns[to].ty)
        })
    };
    let mut from: Vec<Option<usize>> = key.iter().map(|&to| kept(to)).collect();
    let mut own: Vec<Option<usize>> = writer.relation.identity.iter().copied().map(Some).collect();
    from.sort_unstable();
    own.sort_unstable();
    if from == own {
        return Ok(());
    }
    let own: Vec<String> = writer
        .relation
        .identity
        .iter()
        .map(|&i| format!("{} {}", writer.columns[i].name, writer.columns[i].ty))
        .collect();
    let error = SqlError::new(
        create.name.span,
        format!(
            "{} does not have the key of table {}, whose rows it reads",
            create.name, writer.name
        ),
    );
    Err(error.hint(format!("the key is ({})", own.join(", "))))
}
