//! Every shape that `helkflow generate` writes, replayed: the rows of a view are those that
//! `oracle` computes from the events that a reader of its own (`oracle/export.rs`) finds in the
//! file, and no record is left over.

mod common;
mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Parser;
use common::Run;
use helkflow::cli::generate::{GenerateArgs, Shape, run as generate};
use helkflow::engine::script::SHIPPED;
use oracle::event::{Event, column};
use oracle::export::{Record, is_field, known, millis, read_all};
use oracle::views;
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    generate: GenerateArgs,
}

/// A generated file, and the folder that it goes with.
struct File {
    _folder: TempDir,
    path: PathBuf,
    records: Vec<Record>,
}

fn file(options: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let args =
        ["generate", "-o", path.to_str().unwrap()].into_iter().chain(options.split_whitespace());
    generate(&Cli::try_parse_from(args).unwrap().generate).unwrap();
    let records = read_all(&std::fs::read(&path).unwrap());
    File { _folder: folder, path, records }
}

/// Sysmon's events among the records.
fn events(records: &[Record]) -> Vec<Event> {
    let event = |record: &Record| Event {
        id: record.id as u32,
        host: Some(record.host.clone()),
        time: Some(millis(&record.time)),
        record: record.number,
        fields: record.fields.clone(),
    };
    records.iter().filter(|record| record.sysmon()).map(event).collect()
}

/// Columns and what they hold, as text; without what says nothing, and with the host in lower case.
type Row = BTreeMap<String, String>;

fn row(line: &str) -> Row {
    let columns: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    let columns = columns.into_iter().filter(|(_, value)| !value.is_null());
    let columns = columns.map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = if name == "HOST" { text.to_lowercase() } else { text };
        (name, text)
    });
    columns.filter(|(_, text)| text != "-").collect()
}

/// All that the decoder makes of the events.
const EVENTS: &str = "
    CREATE STREAM sysmon WITH (KAFKA_TOPIC = 'winlogbeat', VALUE_FORMAT = 'SYSMON');
    CREATE TABLE events AS SELECT DISTINCT ON (event_key) * FROM sysmon;";

/// What the row of a record must hold, of the columns that are compared.
fn expected(record: &Record, compared: &impl Fn(&str) -> bool) -> Row {
    let mut row = Row::from([
        ("EVENT_ID".to_owned(), record.id.to_string()),
        ("EVENT_TIME".to_owned(), format!("{}Z", record.time)),
        ("HOST".to_owned(), record.host.clone()),
    ]);
    if compared("UTC_TIMESTAMP") {
        let utc = record.utc().replace(' ', "T");
        row.insert("UTC_TIMESTAMP".to_owned(), format!("{utc}Z"));
    }
    row.extend(record.number.map(|number| ("RECORD_ID".to_owned(), number.to_string())));
    for (name, text) in record.fields.iter().filter(|(name, text)| is_field(name) && *text != "-") {
        let (column, text) = Event::default().with(name, text).canonical(name, text);
        if !text.is_empty() && compared(&column) {
            row.insert(column, text);
        }
    }
    row
}

/// The columns of events that are compared in a file of these shapes: what the oracle's reader
/// knows and the shapes keep.
fn compared(shapes: &[&str]) -> impl Fn(&str) -> bool {
    let any = |names: &[&str]| shapes.iter().any(|shape| names.contains(shape));
    let mut not: Vec<&str> = vec!["CHANNEL", "PROVIDER", "SHAPE", "FIELDS", "EVENT_KEY"];
    if any(&["nxlog", "syslog-json"]) {
        not.extend(["EVENT_TYPE", "VERSION"]);
    }
    if any(&["helk"]) {
        not.extend(["UTC_TIME", "UTC_TIMESTAMP"]);
    }
    let known: Vec<BTreeSet<String>> = shapes
        .iter()
        .filter_map(|shape| known(shape))
        .map(|fields| fields.into_iter().map(column).collect())
        .collect();
    let envelope = ["EVENT_ID", "EVENT_TIME", "HOST", "RECORD_ID"];
    move |column| {
        !not.contains(&column)
            && (envelope.contains(&column) || known.iter().all(|known| known.contains(column)))
    }
}

/// The columns of `process_network` that are compared: in every shape the same.
const NETWORK: [&str; 16] = [
    "EVENT_TIME",
    "HOST",
    "KNOWLEDGE",
    "PROCESS_GUID",
    "IMAGE",
    "COMMAND_LINE",
    "PARENT_PROCESS_GUID",
    "PARENT_IMAGE",
    "PARENT_COMMAND_LINE",
    "SOURCE_IP",
    "SOURCE_PORT",
    "DESTINATION_IP",
    "DESTINATION_PORT",
    "DEPTH",
    "TRUNCATED",
    "ANCESTORS",
];

/// Replays a file and compares the events and their view with what the file's records say. The
/// first difference is the error.
fn check(file: &File, shapes: &[&str]) -> Result<(), String> {
    let trimmed = shapes.contains(&"wazuh");
    let rows = |lines: Vec<String>, compared: &dyn Fn(&str) -> bool| -> BTreeSet<Row> {
        let rows = lines.iter().map(|line| {
            let mut row = row(line);
            row.retain(|column, _| compared(column));
            row
        });
        rows.collect()
    };
    // a mixture is compared as its poorest shape has it
    let as_kept = |rows: BTreeSet<Row>| -> BTreeSet<Row> {
        let trim = |(column, text): (String, String)| (column, text.trim().to_owned());
        let row = |row: Row| if trimmed { row.into_iter().map(trim).collect() } else { row };
        rows.into_iter().map(row).collect()
    };
    let run = |sql| {
        let run = Run { workers: 2, ..Run::new(sql, std::slice::from_ref(&file.path)) };
        let (schema, outcome) = run.run();
        (common::lines(&schema, &outcome), outcome)
    };
    let compared = compared(shapes);
    let (lines, outcome) = run(EVENTS);
    let dead = outcome.dead_letters;
    let found = rows(lines, &compared);
    let wanted = file.records.iter().filter(|record| record.sysmon());
    let wanted = wanted.map(|record| expected(record, &compared)).collect();
    same(shapes, "events", &as_kept(found), &as_kept(wanted))?;
    if !dead.counts.is_empty() {
        return Err(format!(
            "{}: dead letters {:?} {:?}",
            shapes.join(","),
            dead.counts,
            dead.first[0]
        ));
    }
    let network = SHIPPED.iter().find(|shipped| shipped.name == "process_network").unwrap();
    let compared = |column: &str| NETWORK.contains(&column);
    let found = rows(run(network.sql).0, &compared);
    let wanted = rows(views::process_network(&events(&file.records)), &compared);
    same(shapes, "process_network", &as_kept(found), &as_kept(wanted))
}

fn same(
    shapes: &[&str],
    what: &str,
    found: &BTreeSet<Row>,
    wanted: &BTreeSet<Row>,
) -> Result<(), String> {
    let shapes = shapes.join(",");
    let missing: Vec<&Row> = wanted.difference(found).collect();
    let Some(first) = missing.first() else {
        return if found.len() == wanted.len() {
            Ok(())
        } else {
            let extra = found.difference(wanted).next();
            Err(format!("{shapes}: {} {what}, {} wanted; {extra:?}", found.len(), wanted.len()))
        };
    };
    // the row that is most like it
    let like = found.difference(wanted).max_by_key(|row| {
        first.iter().filter(|(column, text)| row.get(*column) == Some(*text)).count()
    });
    let like = like.cloned().unwrap_or_default();
    let columns: BTreeSet<&String> = first.keys().chain(like.keys()).collect();
    let differences = columns.into_iter().filter(|column| first.get(*column) != like.get(*column));
    let differences: Vec<String> = differences
        .map(|column| {
            format!("\n    {column}: {:?}, wanted {:?}", like.get(column), first.get(column))
        })
        .collect();
    Err(format!(
        "{shapes}: {} {what}, {} wanted, {} of them missing; event {:?} of record {:?}{}",
        found.len(),
        wanted.len(),
        missing.len(),
        first.get("EVENT_ID"),
        first.get("RECORD_ID"),
        differences.concat()
    ))
}

const FAULTS: &str = "--shuffle 200 --duplicates 5 --late-creates 30 --missing-creates 10 \
                      --zero-guids 2 --mixed-guid-case --clock-skew 90000 --shuffle-keys";

fn names(which: impl Fn(Shape) -> bool) -> Vec<&'static str> {
    let names = Shape::ALL.into_iter().filter(|shape| which(*shape)).map(Shape::name);
    names.collect()
}

#[test]
fn every_shape_gives_the_rows_of_its_events() {
    let mut wrong = BTreeMap::new();
    for shape in names(|_| true) {
        let file = file(&format!("--events 1200 --hosts 6 --shape {shape} {FAULTS}"));
        if let Err(error) = check(&file, &[shape]) {
            wrong.insert(shape, error);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_values().collect::<Vec<_>>().join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(6)
    })]

    /// Whatever shapes stand in a file, each record is read as if it stood alone.
    #[test]
    fn any_mixture_gives_the_rows_of_its_events(
        seed: u64,
        shapes in prop::sample::subsequence(
names(Shape::mixes), 2..8,
        ).prop_shuffle(),
    ) {
        let shape = shapes.join(",");
        let file = file(&format!("--seed {seed} --events 900 --hosts 9 --shape {shape} {FAULTS}"));
        check(&file, &shapes).map_err(TestCaseError::fail)?;
    }
}
