//! `--host`, `--image`, `--pid`, `--from`, `--to`: which rows are written.
//!
//! The dataflow sees everything, so a process is found by events that the filter would not show. A row that has NULL where a filter looks is not written.

use crate::cli::Failure;
use crate::model::{RowRef, Schema, Timestamp, Type, Value};

use super::args::FilterArgs;

/// Columns that say where, in the order of preference; the last ones are those of HELK's records.
const HOST: &[&str] = &["HOST"];
const IMAGE: &[&str] = &["IMAGE", "N_PROCESS_PATH"];
const PROCESS_ID: &[&str] = &["PROCESS_ID", "N_PROCESS_ID"];
/// Columns that say when.
pub const TIME: &[&str] = &["EVENT_TIME", "UTC_TIME", "STARTED", "N_EVENT_ORIGINAL_TIME"];

/// The filters on a view.
pub struct Filter {
    tests: Vec<(usize, Type, Test)>,
}

enum Test {
    Host(String),
    Contains(String),
    Matches(glob::Pattern),
    Number(i64),
    Time { from: Timestamp, to: Option<Timestamp> },
}

impl Filter {
    /// Finds the columns; that one is missing is wrong usage.
    pub fn new(args: &FilterArgs, schema: &Schema) -> Result<Filter, Failure> {
        let mut tests = Vec::new();
        let mut add = |option: &str, names: &[&str], test: Test| match position(schema, names) {
            Some(at) => {
                tests.push((at, schema.columns[at].ty.clone(), test));
                Ok(())
            }
            None => Err(Failure::misuse(format!(
                "{option} needs a view with a column {}; this one has {schema}",
                names[0]
            ))),
        };
        if let Some(host) = &args.host {
            add("--host", HOST, Test::Host(host.to_lowercase()))?;
        }
        if let Some(image) = &args.image {
            let image = image.to_lowercase();
            let test = if image.contains(['*', '?', '[']) {
                let pattern = glob::Pattern::new(&image)
                    .map_err(|error| Failure::misuse(format!("--image {image}: {error}")))?;
                Test::Matches(pattern)
            } else {
                Test::Contains(image)
            };
            add("--image", IMAGE, test)?;
        }
        if let Some(pid) = args.pid {
            add("--pid", PROCESS_ID, Test::Number(pid.into()))?;
        }
        if args.from.is_some() || args.to.is_some() {
            let option = if args.from.is_some() { "--from" } else { "--to" };
            add(
                option,
                TIME,
                Test::Time { from: args.from.unwrap_or(Timestamp(i64::MIN)), to: args.to },
            )?;
        }
        Ok(Filter { tests })
    }

    /// Whether the row is written.
    pub fn passes(&self, row: RowRef<'_>) -> bool {
        self.tests.iter().all(|(at, ty, test)| test.passes(&row.value(*at, ty)))
    }
}

impl Test {
    fn passes(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Test::Host(host), Value::Varchar(text)) => {
                let text = text.to_lowercase();
                text == *host || text.split('.').next() == Some(host)
            }
            (Test::Contains(part), Value::Varchar(text)) => text.to_lowercase().contains(part),
            (Test::Matches(pattern), Value::Varchar(text)) => pattern.matches(&text.to_lowercase()),
            (Test::Number(number), Value::Int(value)) => i64::from(*value) == *number,
            (Test::Number(number), Value::BigInt(value)) => value == number,
            (Test::Number(number), Value::Varchar(text)) => text.parse() == Ok(*number),
            (Test::Time { from, to }, value) => {
                moment(value).is_some_and(|at| at >= *from && to.is_none_or(|to| at < to))
            }
            _ => false,
        }
    }
}

/// The first of these columns that the view has; a view's name in another case will do.
pub fn position(schema: &Schema, names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| {
        schema.position(name).or_else(|| {
            schema.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
        })
    })
}

/// A time as views hold it: as such, as text, or in ms since 1970.
pub fn moment(value: &Value<'_>) -> Option<Timestamp> {
    match value {
        Value::Timestamp(at) => Some(*at),
        Value::BigInt(ms) => Some(Timestamp(*ms)),
        Value::Varchar(text) => Timestamp::parse(text.as_bytes()).map(|read| read.at),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, Row};

    fn schema() -> Schema {
        Schema {
            columns: vec![
                Column::new("HOST", Type::Varchar),
                Column::new("image", Type::Varchar),
                Column::new("PROCESS_ID", Type::Int),
                Column::new("UTC_TIME", Type::Varchar),
            ],
        }
    }

    fn passes(args: &FilterArgs) -> bool {
        let values = [
            Value::text("WS01.corp.example"),
            Value::text("C:\\Windows\\cmd.exe"),
            Value::Int(7),
            Value::text("2026-01-15 09:00:00.000"),
        ];
        let row = Row::from_values(values.into_iter());
        Filter::new(args, &schema()).unwrap().passes(RowRef::new(row.bytes(), 4))
    }

    #[test]
    fn each_filter() {
        let at = |text: &str| Some(Timestamp::parse(text.as_bytes()).unwrap().at);
        let host = |host: &str| FilterArgs { host: Some(host.into()), ..FilterArgs::default() };
        let image = |image: &str| FilterArgs { image: Some(image.into()), ..FilterArgs::default() };
        assert!(passes(&FilterArgs::default()));
        assert!(
            passes(&host("ws01")) && passes(&host("ws01.CORP.example")) && !passes(&host("ws0"))
        );
        assert!(
            passes(&image("CMD"))
                && passes(&image("*\\cmd.EXE"))
                && passes(&image("c:*"))
                && !passes(&image("cmd*"))
        );
        assert!(passes(&FilterArgs { pid: Some(7), ..FilterArgs::default() }));
        assert!(!passes(&FilterArgs { pid: Some(8), ..FilterArgs::default() }));
        assert!(passes(&FilterArgs {
            from: at("2026-01-15 09:00"),
            to: at("2026-01-15 09:01"),
            ..FilterArgs::default()
        }));
        assert!(!passes(&FilterArgs { to: at("2026-01-15 09:00"), ..FilterArgs::default() }));
        assert!(!passes(&FilterArgs { from: at("2026-01-16"), ..FilterArgs::default() }));
    }

    #[test]
    fn null_does_not_pass_and_a_missing_column_is_wrong_usage() {
        let row =
            Row::from_values([Value::Null, Value::Null, Value::Null, Value::Null].into_iter());
        let filter =
            Filter::new(&FilterArgs { pid: Some(0), ..FilterArgs::default() }, &schema()).unwrap();
        assert!(!filter.passes(RowRef::new(row.bytes(), 4)));
        let none =
            Filter::new(&FilterArgs { pid: Some(0), ..FilterArgs::default() }, &Schema::default());
        assert!(matches!(none, Err(Failure::Usage(_))));
    }
}
