//! CREATE STREAM and CREATE TABLE over a topic.

use std::sync::Arc;

use super::headers::header_column;
use super::properties::Properties;
use super::relation::{Pseudo, Relation};
use super::time::time_in;
use super::{Binder, Outcome, Result, SourceInfo, types, unsupported, view_kind};
use crate::model::{Column, Schema};
use crate::plan::{Format, HeaderColumn, Key, KeyFormat, Operator, Source, ViewKind};
use crate::sql::ast::{ColumnRole, CreateSource, Ident, SourceKind};
use crate::sql::error::{Span, SqlError};

/// The column of a Sysmon event that tells it from all others.
const EVENT_KEY: &str = "EVENT_KEY";

/// A column in the list of a statement.
pub(super) struct Declared {
    pub column: Column,
    /// How it is read, if from headers.
    pub header: Option<HeaderColumn>,
}

impl Binder<'_> {
    pub(super) fn create_source(&mut self, create: &CreateSource) -> Result<Outcome> {
        if self.keeps(&create.name, create.or_replace, create.if_not_exists)? {
            return Ok(Outcome::Done);
        }
        let properties = Properties::read(&create.properties)?;
        for property in ["WINDOW_TYPE", "WINDOW_SIZE"] {
            if properties.get(property).is_some() {
                return Err(unsupported(
                    properties.span(property),
                    "a source with windowed keys is",
                ));
            }
        }
        let topic = properties.text("KAFKA_TOPIC")?.unwrap_or_else(|| create.name.name.clone());
        if let Some(view) = self.writer(&topic, create.name.span)? {
            return self.create_link(create, properties, topic, view);
        }
        let declared = self.declared_columns(create)?;
        let format = Arc::new(format(create, &properties, &declared)?);
        let columns = positions(&format, &declared);
        let mut pseudo = Pseudo::after(match &*format {
            Format::Sysmon => columns.len() - Pseudo::NAMES.len(),
            _ => declared.len(),
        });
        let headers = declared.into_iter().filter_map(|column| column.header).collect();
        let key = key_format(&properties)?;
        let mut source = Source {
            topic: topic.clone(),
            format: Arc::clone(&format),
            key,
            headers,
            time: None,
            columns,
            events: None,
        };
        let mut schema = source.schema();
        schema.columns.truncate(pseudo.time);
        source.time = time_in(&schema.columns, &properties)?.map(|mut time| {
            time.remap(&|i| source.columns[i]);
            time
        });
        let node = self.script.plan.add(Operator::Source(source));
        let mut node = self.with_time(node, Some(pseudo), &properties)?;
        let key = schema.key();
        let kind = view_kind(create.kind);
        if kind == ViewKind::Stream && *format != Format::Sysmon {
            pseudo = pseudo.with_tombstone();
        }
        let retention = properties.retention(create.kind)?.map(|after| (pseudo.time, after));
        let identity = match kind {
            ViewKind::Table if key.is_empty() => {
                return Err(SqlError::new(create.name.span, "a table needs a PRIMARY KEY column")
                    .hint("or is it a stream?"));
            }
            ViewKind::Table => {
                let key = Key::new(key.clone(), self.script.plan.schema(node));
                node = self.script.plan.add(Operator::Upsert {
                    input: node,
                    key: key.clone(),
                    retention,
                });
                key.columns
            }
            ViewKind::Stream => match &*format {
                Format::Sysmon => schema.position(EVENT_KEY).into_iter().collect(),
                // what brings no identity has that of its place in the topic
                _ => vec![pseudo.partition, pseudo.offset],
            },
        };
        let names = schema.columns.into_iter().map(|column| column.name).collect();
        let relation = Relation {
            node,
            kind,
            names,
            pseudo: Some(pseudo),
            identity,
            kafka_key: key,
            lost: None,
            distinct: false,
            recursive: false,
        };
        self.script.relations.insert(create.name.name.clone(), relation);
        self.script.sources.push(SourceInfo {
            name: create.name.name.clone(),
            kind,
            topic,
            format,
            properties,
        });
        Ok(Outcome::Source(self.script.sources.len() - 1))
    }

    /// The columns in the list of a statement; none without a list.
    pub(super) fn declared_columns(&self, create: &CreateSource) -> Result<Vec<Declared>> {
        let mut declared: Vec<Declared> = Vec::new();
        for column in &create.columns {
            let key = match (&column.role, create.kind) {
                (ColumnRole::Value | ColumnRole::Headers | ColumnRole::Header(_), _) => false,
                (ColumnRole::Key, SourceKind::Stream)
                | (ColumnRole::PrimaryKey, SourceKind::Table) => true,
                (ColumnRole::Key, SourceKind::Table) => {
                    return Err(SqlError::new(
                        column.name.span,
                        "the key of a table is a PRIMARY KEY",
                    ));
                }
                (ColumnRole::PrimaryKey, SourceKind::Stream) => {
                    return Err(SqlError::new(column.name.span, "a stream has no PRIMARY KEY")
                        .hint("write KEY"));
                }
            };
            new_name(declared.iter().map(|declared| &declared.column.name), &column.name)?;
            let ty = types::resolve(&column.ty, &self.script.types)?;
            let header = header_column(
                column,
                &ty,
                declared.iter().filter_map(|declared| declared.header.as_ref()),
            )?;
            declared.push(Declared {
                column: Column { key, ..Column::new(column.name.name.clone(), ty) },
                header,
            });
        }
        Ok(declared)
    }
}

/// The columns of a source, by their positions in [`Source::columns`]: Sysmon's own, which are in
/// no list, then those of the list in its order, then the pseudo columns and, of declared formats,
/// the tombstone column.
fn positions(format: &Format, declared: &[Declared]) -> Vec<usize> {
    let width = format.schema().width();
    let first_header = width + Pseudo::NAMES.len() + usize::from(*format != Format::Sysmon);
    let own = if *format == Format::Sysmon { 0..width } else { 0..0 };
    let (mut of_record, mut of_headers) = (0..width, first_header..);
    let listed = declared.iter().filter_map(|column| {
        if column.header.is_some() { of_headers.next() } else { of_record.next() }
    });
    own.chain(listed).chain(width..first_header).collect()
}

/// How the records of a source with these columns are read.
fn format(create: &CreateSource, properties: &Properties, declared: &[Declared]) -> Result<Format> {
    let Some((name, span)) = value_format(properties)? else {
        return Err(SqlError::new(create.name.span, "VALUE_FORMAT is missing")
            .hint("add it to WITH (…): 'SYSMON', 'JSON' or 'DELIMITED'"));
    };
    let of_record =
        declared.iter().zip(&create.columns).filter(|(column, _)| column.header.is_none());
    let mut columns =
        of_record.clone().map(|(declared, _)| declared.column.clone()).collect::<Vec<_>>();
    name_key(&mut columns, properties)?;
    let schema = Schema { columns };
    let format = match &name[..] {
        "SYSMON" if let Some((_, column)) = of_record.clone().next() => {
            let message = "VALUE_FORMAT='SYSMON' gives the columns itself";
            return Err(SqlError::new(column.name.span, message)
                .hint("list nothing but columns of headers"));
        }
        "SYSMON" if create.kind == SourceKind::Table => {
            return Err(SqlError::new(create.name.span, "Sysmon events are a stream")
                .hint("write CREATE STREAM"));
        }
        "SYSMON" => {
            let own = || crate::sysmon::schema().columns.iter().map(|column| &column.name);
            create.columns.iter().try_for_each(|column| new_name(own(), &column.name))?;
            Format::Sysmon
        }
        "JSON" => Format::Json(schema),
        "DELIMITED" => Format::Delimited(schema, delimiter(properties)?),
        "KAFKA" => {
            let values: Vec<_> = schema.columns.iter().filter(|column| !column.key).collect();
            let [column] = values[..] else {
                return Err(SqlError::new(
                    span,
                    "VALUE_FORMAT='KAFKA' is for records of one value",
                )
                .hint("such as VALUE_FORMAT='JSON' for several"));
            };
            if !crate::format::kafka::has_form(&column.ty) {
                return Err(SqlError::new(span, format!("Kafka has no form for {}", column.ty))
                    .hint("VALUE_FORMAT='JSON'"));
            }
            Format::Kafka(schema)
        }
        "AVRO" | "JSON_SR" | "PROTOBUF" | "PROTOBUF_NOSR" | "NONE" => {
            return Err(unsupported(span, &format!("VALUE_FORMAT='{name}' is")));
        }
        other => {
            return Err(SqlError::new(span, format!("there is no format {name}"))
                .near(other, ["SYSMON", "JSON", "DELIMITED", "KAFKA"]));
        }
    };
    if format.schema().columns.is_empty() {
        let more = if declared.is_empty() { "" } else { " beside those of headers" };
        return Err(SqlError::new(
            create.name.span,
            format!("VALUE_FORMAT='{name}' needs a list of columns{more}"),
        ));
    }
    Ok(format)
}

/// What VALUE_FORMAT, or else FORMAT, says, in capitals, and where.
pub(super) fn value_format(properties: &Properties) -> Result<Option<(String, Span)>> {
    let property = if properties.get("VALUE_FORMAT").is_some() { "VALUE_FORMAT" } else { "FORMAT" };
    Ok(properties.text(property)?.map(|name| (name.to_uppercase(), properties.span(property))))
}

/// What KEY_FORMAT, or else FORMAT, says of keys.
pub(super) fn key_format(properties: &Properties) -> Result<KeyFormat> {
    let property = if properties.get("KEY_FORMAT").is_some() { "KEY_FORMAT" } else { "FORMAT" };
    let Some(name) = properties.text(property)?.map(|name| name.to_uppercase()) else {
        return Ok(KeyFormat::default());
    };
    let span = properties.span(property);
    match &name[..] {
        "KAFKA" => Ok(KeyFormat::Kafka),
        "JSON" => Ok(KeyFormat::Json),
        "DELIMITED" => Ok(KeyFormat::Delimited),
        "NONE" => Ok(KeyFormat::None),
        // events bring their own identity
        "SYSMON" if property == "FORMAT" => Ok(KeyFormat::None),
        "AVRO" | "JSON_SR" | "PROTOBUF" | "PROTOBUF_NOSR" => {
            Err(unsupported(span, &format!("KEY_FORMAT='{name}' is")))
        }
        other => Err(SqlError::new(span, format!("there is no format {name}"))
            .near(other, ["KAFKA", "JSON", "DELIMITED", "NONE"])),
    }
}

/// Marks the column that KEY names. KSQL 5.x named the key like this, and left its column in the value.
pub(super) fn name_key(columns: &mut [Column], properties: &Properties) -> Result<()> {
    let Some(name) = properties.text("KEY")? else { return Ok(()) };
    if let Some(column) =
        columns.iter_mut().find(|column| column.name == name || column.name == name.to_uppercase())
    {
        column.key = true;
        return Ok(());
    }
    let known = columns.iter().map(|column| &column.name[..]);
    Err(SqlError::new(properties.span("KEY"), format!("there is no column {name}"))
        .near(&name.to_uppercase(), known))
}

fn new_name<'k>(mut known: impl Iterator<Item = &'k String>, name: &Ident) -> Result<()> {
    if Pseudo::NAMES.contains(&&name.name[..]) {
        return Err(SqlError::new(name.span, format!("{name} is the name of a pseudo column")));
    }
    if known.any(|known| *known == name.name) {
        return Err(SqlError::new(name.span, format!("there are two columns {name}")));
    }
    Ok(())
}

fn delimiter(properties: &Properties) -> Result<u8> {
    match properties.text("VALUE_DELIMITER")?.as_deref() {
        None => Ok(b','),
        Some("SPACE") => Ok(b' '),
        Some("TAB") => Ok(b'\t'),
        Some(text) if text.len() == 1 => Ok(text.as_bytes()[0]),
        Some(_) => Err(SqlError::new(
            properties.span("VALUE_DELIMITER"),
            "VALUE_DELIMITER must be one ASCII character, 'SPACE' or 'TAB'",
        )),
    }
}
