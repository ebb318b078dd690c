//! WITH clauses.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Result;
use crate::sql::ast::{self, Literal, Property, SourceKind, TimeUnit};
use crate::sql::error::{Span, SqlError};

/// The properties that KSQL has, and our RETENTION.
const NAMES: &[&str] = &[
    "CLEANUP_POLICY",
    "FORMAT",
    "KAFKA_TOPIC",
    "KEY",
    "KEY_DELIMITER",
    "KEY_FORMAT",
    "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    "KEY_SCHEMA_FULL_NAME",
    "KEY_SCHEMA_ID",
    "PARTITIONS",
    "REPLICAS",
    "RETENTION",
    "RETENTION_MS",
    "SOURCED_BY_CONNECTOR",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    "VALUE_AVRO_SCHEMA_FULL_NAME",
    "VALUE_DELIMITER",
    "VALUE_FORMAT",
    "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
    "VALUE_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_ID",
    "WINDOW_SIZE",
    "WINDOW_TYPE",
    "WRAP_SINGLE_VALUE",
];

/// Properties by their upper-case names.
#[derive(Clone, Default, Debug)]
pub struct Properties(BTreeMap<String, (Literal, Span)>);

impl Properties {
    pub(super) fn read(properties: &[Property]) -> Result<Properties> {
        let mut read = BTreeMap::new();
        for property in properties {
            let name = property.name.name.to_uppercase();
            if !NAMES.contains(&&name[..]) {
                let error =
                    SqlError::new(property.name.span, format!("there is no property {name}"));
                return Err(error.near(&name, NAMES.iter().copied()));
            }
            if read.insert(name.clone(), (property.value.clone(), property.span)).is_some() {
                return Err(SqlError::new(property.name.span, format!("{name} is given twice")));
            }
        }
        Ok(Properties(read))
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&Literal> {
        self.0.get(name).map(|(value, _)| value)
    }

    pub(super) fn span(&self, name: &str) -> Span {
        self.0.get(name).map(|(_, span)| *span).unwrap_or_default()
    }

    /// The value of a property that must be a string.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.0.get(name) {
            None => Ok(None),
            Some((Literal::String(text), _)) => Ok(Some(text.clone())),
            Some((_, span)) => Err(SqlError::new(*span, format!("{name} must be a string"))),
        }
    }

    /// `RETENTION='7 DAYS'`, for tables.
    pub(super) fn retention(&self, kind: SourceKind) -> Result<Option<Duration>> {
        let Some(text) = self.text("RETENTION")? else { return Ok(None) };
        let span = self.span("RETENTION");
        if kind == SourceKind::Stream {
            return Err(SqlError::new(span, "a stream keeps nothing, so it has no RETENTION")
                .hint("RETROACTIVE WITHIN says how long its rows wait in a join"));
        }
        let parsed = text.split_once(' ').and_then(|(count, unit)| {
            let unit = TimeUnit::parse(&unit.trim().to_uppercase())?;
            Some(ast::Duration { count: count.parse().ok()?, unit })
        });
        match parsed {
            Some(duration) => Ok(Some(length(duration))),
            None => Err(SqlError::new(span, "RETENTION must be a number and a unit of time")
                .hint("such as '7 DAYS'")),
        }
    }
}

/// How long it is.
pub(super) fn length(duration: ast::Duration) -> Duration {
    Duration::from_millis(duration.milliseconds() as u64)
}
