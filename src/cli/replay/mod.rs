//! `helkflow replay`: captured logs in, the content of a view out.
//!
//! ```text
//!  args ─▶ statements, view, filter, cluster, output      everything that can be wrong without reading
//!            │
//!            ▼
//!          engine ──▶ content ──▶ sort ──▶ filter ──▶ encode ──▶ output ──▶ summary
//!            └─(--changes)─▶ changelog ────────────────────────────┘
//! ```
//!
//! Rows of a stream are in the order of their records. Those of a table are sorted by key, then by
//! the bytes of their line, which for this is the view's own whatever --as says; a row that is in
//! the content several times is written as often. The content is held in memory until the end, and
//! so are the lines of rows with equal keys (all lines, for a view without a key); the changelog is
//! written as it comes. LIMIT keeps the first in that order.
//!
//! An interrupted run writes no content: half a result looks like a whole one.

mod args;
mod changes;
mod encode;
mod filter;
mod growth;
mod interrupt;
mod order;
mod summary;
mod table;
mod tally;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use args::Format;
pub use args::ReplayArgs;
use changes::Changelog;
use encode::{Encoder, csv_header};
use filter::Filter;
use growth::Growth;
use interrupt::Interrupt;
use summary::{Summary, Written};
use tally::Tally;

use super::failure::print;
use super::output::Output;
use super::progress::Progress;
use super::{Failure, hosts, statements, terminal};
use crate::connect::files::{DiscoverError, DispenserError};
use crate::dataflow::{Sink, Tick};
use crate::engine::{Bounds, Outcome, Reading, Replay, ReplayError};
use crate::format::rendering::Rendering;
use crate::model::{Row, RowRef, Schema, SinkError};
use crate::plan::{Format as Records, Operator, ViewKind, optimize};

/// Replays.
pub fn run(args: &ReplayArgs) -> Result<(), Failure> {
    let start = Instant::now();
    if args.changes && args.format == Format::Table {
        return Err(Failure::misuse(
            "--changes cannot be written as a table: choose ndjson or csv",
        ));
    }
    if let Some(kind) = args.rendering.filter(|_| args.format != Format::Ndjson) {
        return Err(Failure::misuse(format!("--as {kind} writes JSON: leave out --format")));
    }
    let script =
        statements::load(&args.dataflow, Bounds::of(args.max_command_line, args.max_ancestor))?;
    let explained = statements::explained(&script);
    if !explained.is_empty() {
        let text = optimize(&script.plan, &explained, args.allowed_lateness.is_some())
            .explain()
            .to_string();
        if args.view.is_none() && script.main_view().is_none() {
            return print(text.as_bytes());
        }
        // Standard output is for rows.
        let _ = io::stderr().write_all(text.as_bytes());
    }
    let position = statements::choose_view(&script, args.view.as_deref())?;
    let limit = script.views[position].limit;
    if args.changes && limit.is_some() {
        return Err(Failure::misuse("--changes cannot be limited: leave out LIMIT"));
    }
    let plan = script.plan;
    let view = plan.views[position].clone();
    let schema = plan.schema(view.root).clone();
    let filter = Filter::new(&args.filter, &schema)?;
    let rendering = args.rendering.map(|kind| Rendering::new(kind, &schema)).transpose();
    let rendering =
        rendering.map_err(|error| Failure::misuse(format!("{} is {error}", view.name)))?;
    let encoder = Encoder::new(&schema, rendering).guarded(args.csv_guard);
    let cluster = hosts::cluster(&args.hosts, args.workers)?;
    let (process, processes) = (cluster.process, cluster.processes());
    let wanted: Vec<_> = optimize(&plan, &[position], args.allowed_lateness.is_some())
        .nodes()
        .filter_map(|(_, node)| {
            if let Operator::Source(source) = &node.operator
                && *source.format == Records::Sysmon
            {
                Some(source.events)
            } else {
                None
            }
        })
        .collect();
    let letters = args.dead_letters.as_deref().map(|path| numbered(path, process));
    let interrupt = Interrupt::listen(processes > 1)?;

    let mut writer = if process > 0 {
        Writer::Elsewhere
    } else {
        let output = open(args.output.as_deref())?;
        if args.changes {
            Writer::Changes(Changelog::new(
                &schema,
                encoder,
                view.kind,
                args.format,
                filter,
                output,
            )?)
        } else {
            Writer::Content(Box::new(Content {
                output,
                encoder,
                filter,
                format: args.format,
                limit,
                kind: view.kind,
                tally: Tally::new(&schema),
                left_out: 0,
            }))
        }
    };
    let changes: Option<Box<dyn Sink + Send>> = match &writer {
        Writer::Changes(changelog) => Some(Box::new(changelog.clone())),
        Writer::Elsewhere if args.changes => Some(Box::new(Nothing)),
        _ => None,
    };
    let replay = Replay {
        plan,
        view: Some(view.name.clone()),
        inputs: args.inputs.clone(),
        topics: args.topic.clone(),
        cluster,
        allowed_lateness: args.allowed_lateness,
        dead_letters: letters.as_deref().map(create).transpose()?,
        changes,
        stop: interrupt.stop.clone(),
        reading: Reading {
            chunk_bytes: args.chunk_bytes,
            max_record: usize::try_from(args.max_record).unwrap_or(usize::MAX),
            max_unpacked: args.max_unpacked,
            password: args.password.clone(),
        },
    };
    let prepared = replay.prepare()?;
    let growth = Growth::new(prepared.largest());
    interrupt.watches(growth.clone());
    if let Some(limit) = args.memory_limit {
        growth.limit(limit);
    }
    let lines_on_terminal = args.changes && args.output.is_none() && io::stdout().is_terminal();
    let bar = !args.quiet && io::stderr().is_terminal() && !lines_on_terminal;
    let progress =
        bar.then(|| Progress::start(prepared.progress(), prepared.seen(), move || growth.most()));
    let mut outcome = prepared.run()?;
    drop(progress);

    let inputs: Vec<PathBuf> =
        args.inputs.iter().chain(args.topic.iter().map(|(_, path)| path)).cloned().collect();
    let rows = std::mem::take(&mut outcome.rows);
    if !interrupt.asked() {
        writer.finish(&schema, rows, &interrupt)?;
    }
    if !args.quiet {
        writer.with_written(|written| {
            let summary = Summary {
                outcome: &outcome,
                inputs: &inputs,
                view: &view.name,
                written,
                wanted: &wanted,
                dead_letters: letters.as_deref(),
                interrupted: interrupt.asked(),
                alone: processes == 1,
                elapsed: start.elapsed(),
            };
            // There is nobody to tell when stderr has gone.
            let _ = writeln!(io::stderr(), "{}", summary.render());
        });
    }
    if interrupt.asked() {
        return Err(Failure::Interrupted);
    }
    strict(args, &outcome)
}

fn strict(args: &ReplayArgs, outcome: &Outcome) -> Result<(), Failure> {
    let count: u64 = outcome.dead_letters.counts.values().sum();
    if args.strict && count > 0 {
        return Err(Failure::Failed(anyhow::anyhow!(
            "--strict: {count} records or files could not be read"
        )));
    }
    Ok(())
}

/// Who writes what comes out.
enum Writer {
    /// This process, the content at the end.
    Content(Box<Content>),
    /// This process, changes as they come.
    Changes(Changelog),
    /// Another process.
    Elsewhere,
}

impl Writer {
    /// Writes what is not written yet and completes the output.
    fn finish(
        &mut self,
        schema: &Schema,
        rows: Vec<(Row, i64)>,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        match self {
            Writer::Content(content) => content.write(schema, rows, interrupt),
            Writer::Changes(changelog) => {
                let output = &mut changelog.log().output;
                output.commit().map_err(|error| output.error(error).into())
            }
            Writer::Elsewhere => Ok(()),
        }
    }

    fn with_written(&self, tell: impl FnOnce(Option<Written<'_>>)) {
        match self {
            Writer::Content(content) => tell(Some(Written {
                tally: &content.tally,
                changes: None,
                left_out: content.left_out,
            })),
            Writer::Changes(changelog) => {
                let log = changelog.log();
                tell(Some(Written {
                    tally: &log.tally,
                    changes: Some(log.lines),
                    left_out: log.left_out,
                }));
            }
            Writer::Elsewhere => tell(None),
        }
    }
}

/// The content of the view on its way out.
struct Content {
    output: Output,
    encoder: Encoder,
    filter: Filter,
    format: Format,
    limit: Option<u64>,
    kind: ViewKind,
    tally: Tally,
    left_out: u64,
}

impl Content {
    fn write(
        &mut self,
        schema: &Schema,
        mut rows: Vec<(Row, i64)>,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let width = schema.width();
        rows.retain(|(row, count)| {
            let passes = self.filter.passes(RowRef::new(row.bytes(), width));
            if !passes {
                self.left_out += count.unsigned_abs();
            }
            passes
        });
        if self.kind == ViewKind::Table {
            order::sort(&mut rows, schema, &self.encoder, self.format);
        }
        if let Some(limit) = self.limit {
            first(&mut rows, limit);
        }
        for (row, count) in &rows {
            self.tally.add(RowRef::new(row.bytes(), width), *count);
        }
        let written = self.write_sorted(schema, &rows, interrupt);
        // What was interrupted is not completed.
        if interrupt.asked() {
            return Err(Failure::Interrupted);
        }
        written.and_then(|()| self.output.commit()).map_err(|error| self.output.error(error).into())
    }

    fn write_sorted(
        &mut self,
        schema: &Schema,
        rows: &[(Row, i64)],
        interrupt: &Interrupt,
    ) -> io::Result<()> {
        match self.format {
            Format::Table => {
                return table::write(&mut self.output, schema, rows, terminal::output_width());
            }
            Format::Csv => self
                .output
                .write_all(&csv_header(schema.columns.iter().map(|column| column.name.as_str())))?,
            Format::Ndjson => {}
        }
        let mut line = Vec::new();
        for (row, count) in rows {
            if interrupt.asked() {
                break;
            }
            line.clear();
            self.encoder.line(self.format, RowRef::new(row.bytes(), schema.width()), &mut line);
            for _ in 0..*count {
                self.output.write_all(&line)?;
            }
        }
        Ok(())
    }
}

/// Keeps the first rows, a row that is there several times counted as often.
fn first(rows: &mut Vec<(Row, i64)>, limit: u64) {
    let mut left = i64::try_from(limit).unwrap_or(i64::MAX);
    rows.retain_mut(|(_, count)| {
        *count = left.min(*count);
        left -= *count;
        *count > 0
    });
}

/// Asks for changes on behalf of a process that gets none, so that all run the same dataflow.
struct Nothing;

impl Sink for Nothing {
    fn changes(&mut self, _: Tick, _: &[(Row, i64)]) -> Result<(), SinkError> {
        Ok(())
    }
}

fn open(path: Option<&Path>) -> Result<Output, Failure> {
    match path {
        None => Ok(Output::stdout()),
        Some(path) => Output::create(path).map_err(|error| cannot_create(path, error)),
    }
}

/// Dead letters are written as they come: what could not be read stays true if the run fails.
fn create(path: &Path) -> Result<Box<dyn Write + Send>, Failure> {
    let file = File::create(path).map_err(|error| cannot_create(path, error))?;
    Ok(Box::new(BufWriter::new(file)))
}

fn cannot_create(path: &Path, error: io::Error) -> Failure {
    let usage = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory
    );
    let error = anyhow::Error::new(error).context(format!("cannot create {}", path.display()));
    if usage { Failure::Usage(error) } else { Failure::Failed(error) }
}

/// Processes that share a folder must not write the same file.
fn numbered(path: &Path, process: usize) -> PathBuf {
    if process == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{process}"));
    name.into()
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Failure {
        match error {
            SinkError::Closed => Failure::Closed,
            SinkError::Write { .. } | SinkError::Endless { .. } => Failure::Failed(error.into()),
        }
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Failure {
        match error {
            ReplayError::Sink(error) => error.into(),
            ReplayError::Discover(DiscoverError::Unreadable { .. })
            | ReplayError::Dispenser(DispenserError::Thread(_))
            | ReplayError::Connect(_)
            | ReplayError::DeadLetters(_) => Failure::Failed(error.into()),
            ReplayError::UnknownView { .. }
            | ReplayError::NoView
            | ReplayError::UnknownTopic { .. }
            | ReplayError::NoInput(_)
            | ReplayError::OneOrder
            | ReplayError::Discover(_)
            | ReplayError::Dispenser(DispenserError::PipeShared(_)) => Failure::Usage(error.into()),
        }
    }
}
