//! What integration tests share.
#![allow(dead_code)] // each test binary uses a part of it

pub mod kafka;
pub mod tokens;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use helkflow::dataflow::{Cluster, Sink, Tick};
use helkflow::engine::{Outcome, Prepared, Reading, Replay, script};
use helkflow::model::{Row, RowRef, Schema, SinkError, Value};

/// The folder that an environment variable names, or a default beside the project. `None`, said aloud, when it is absent; in CI that is a failure.
pub fn shared(variable: &str, default: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared").join(default),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{variable}: {} is absent",
        path.display()
    );
    eprintln!("SKIPPED: {} is absent; set {variable}", path.display());
    None
}

/// A replay of SQL over inputs.
pub struct Run<'a> {
    pub sql: &'a str,
    pub view: Option<&'a str>,
    pub inputs: Vec<PathBuf>,
    pub workers: usize,
    pub chunk_bytes: usize,
    pub allowed_lateness: Option<Duration>,
}

impl<'a> Run<'a> {
    pub fn new(sql: &'a str, inputs: &[PathBuf]) -> Run<'a> {
        Run {
            sql,
            view: None,
            inputs: inputs.to_vec(),
            workers: 1,
            chunk_bytes: 1 << 20,
            allowed_lateness: None,
        }
    }

    /// The columns of the view and what came of the run.
    pub fn run(&self) -> (Schema, Outcome) {
        let prepared = self.prepare(None);
        let schema = prepared.schema().clone();
        (schema, prepared.run().unwrap_or_else(|error| panic!("{error}")))
    }

    /// How the run fails.
    pub fn fails(&self) -> String {
        self.prepare(None).run().map(drop).expect_err("it should fail").to_string()
    }

    fn prepare(&self, changes: Option<Box<dyn Sink + Send>>) -> Prepared {
        let script = script::bind("test", self.sql, None).unwrap_or_else(|error| panic!("{error}"));
        let replay = Replay {
            plan: script.plan,
            view: self.view.map(String::from),
            inputs: self.inputs.clone(),
            topics: vec![],
            cluster: Cluster::local(self.workers),
            allowed_lateness: self.allowed_lateness,
            dead_letters: None,
            changes,
            stop: Arc::new(AtomicBool::new(false)),
            reading: Reading { chunk_bytes: self.chunk_bytes, ..Reading::default() },
        };
        replay.prepare().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The rows as JSON lines, sorted; a row that is there several times is there several times.
    pub fn lines(&self) -> Vec<String> {
        let (schema, outcome) = self.run();
        lines(&schema, &outcome)
    }

    /// The change log: the ordinal of the file whose records made the change, the row as a JSON line, and how often it came or, negative, went.
    pub fn changes(&self) -> (Vec<(u64, String, i64)>, Outcome) {
        let collected: Arc<Mutex<Vec<(Tick, Row, i64)>>> = Arc::default();
        let prepared = self.prepare(Some(Box::new(Collect(Arc::clone(&collected)))));
        let schema = prepared.schema().clone();
        let outcome = prepared.run().unwrap_or_else(|error| panic!("{error}"));
        let changes = std::mem::take(&mut *collected.lock().unwrap());
        (
            changes
                .iter()
                .map(|(tick, row, count)| (tick.0 >> 40, line(&schema, row), *count))
                .collect(),
            outcome,
        )
    }

    /// The last column of the view, which is text, as often as it occurs, sorted.
    pub fn texts(&self) -> Vec<String> {
        let (schema, outcome) = self.run();
        let mut lines = Vec::new();
        for (row, count) in &outcome.rows {
            let last = schema.width() - 1;
            let value =
                RowRef::new(row.bytes(), schema.width()).value(last, &schema.columns[last].ty);
            let Value::Varchar(text) = value else { panic!("a text, not {value:?}") };
            lines.extend(std::iter::repeat_n(text.into_owned(), *count as usize));
        }
        lines.sort_unstable();
        lines
    }
}

/// The content of a view as sorted JSON lines.
pub fn lines(schema: &Schema, outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    for (row, count) in &outcome.rows {
        assert!(*count > 0, "a row is there {count} times");
        lines.extend(std::iter::repeat_n(line(schema, row), *count as usize));
    }
    lines.sort_unstable();
    lines
}

fn line(schema: &Schema, row: &Row) -> String {
    let row = RowRef::new(row.bytes(), schema.width());
    let mut line = vec![b'{'];
    for (i, column) in schema.columns.iter().enumerate() {
        line.extend_from_slice(if i > 0 { b",\"" } else { b"\"" });
        line.extend_from_slice(column.name.as_bytes());
        line.extend_from_slice(b"\":");
        row.raw(i).write_json(&column.ty, &mut line);
    }
    line.push(b'}');
    String::from_utf8(line).expect("rows are UTF-8")
}

struct Collect(Arc<Mutex<Vec<(Tick, Row, i64)>>>);

impl Sink for Collect {
    fn changes(&mut self, tick: Tick, changes: &[(Row, i64)]) -> Result<(), SinkError> {
        self.0
            .lock()
            .unwrap()
            .extend(changes.iter().map(|(row, count)| (tick, row.clone(), *count)));
        Ok(())
    }
}
