//! What a run says at its end, on standard error: what was read, what is known, what was lost, and, when nothing came of it, why most likely.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use indicatif::{BinaryBytes, HumanCount};

use super::tally::Tally;
use crate::cli::clocks;
use crate::cli::terminal::{error_width, printable, printable_lines, styles};
use crate::connect::files::Member;
use crate::engine::Outcome;
use crate::model::Reason;
use crate::sysmon::{EventSet, catalogue};

/// How many names of files are told.
const NAMES: usize = 3;

/// A run that has ended.
pub struct Summary<'a> {
    /// What came of it.
    pub outcome: &'a Outcome,
    /// What was read, as arguments of a command.
    pub inputs: &'a [PathBuf],
    /// The name of the view.
    pub view: &'a str,
    /// What was written; `None` where another process writes.
    pub written: Option<Written<'a>>,
    /// Which events each reader of Sysmon events wants; `None` for all.
    pub wanted: &'a [Option<EventSet>],
    /// Where all dead letters are.
    pub dead_letters: Option<&'a Path>,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Whether it is the only process of the run.
    pub alone: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// What was written.
pub struct Written<'a> {
    /// The rows, after the filters.
    pub tally: &'a Tally,
    /// Lines of a changelog, instead of a content.
    pub changes: Option<u64>,
    /// Rows, or changes, that the filters left out.
    pub left_out: u64,
}

impl Summary<'_> {
    /// The table, ready to be printed.
    pub fn render(&self) -> String {
        let mut table = Table::new();
        table
            .force_no_tty()
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(error_width());
        let styled = styles();
        if styled {
            table.enforce_styling();
        }
        for (label, text) in self.lines() {
            let label = Cell::new(label);
            let text = printable_lines(text.trim_end()).into_owned();
            table.add_row([
                if styled { label.add_attribute(Attribute::Bold) } else { label },
                Cell::new(text),
            ]);
        }
        table.trim_fmt()
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let outcome = self.outcome;
        let stats = &outcome.stats;
        let mut lines = Vec::new();
        let mut add = |label: &'static str, text: String| {
            if !text.is_empty() {
                lines.push((label, text));
            }
        };
        add("files", self.files());
        let records = [
            (stats.sysmon(), "of Sysmon"),
            (stats.other_channels, "of other channels"),
            (self.unreadable(), "unreadable"),
            (stats.passed_over, "passed over: they can only be of events that no statement reads"),
        ];
        let kinds = list(records);
        add(
            "records",
            format!(
                "{}{}{kinds}",
                HumanCount(outcome.records),
                if kinds.is_empty() { "" } else { ": " }
            ),
        );
        add("shapes", list(stats.by_shape().map(|(shape, count)| (count, shape.name()))));
        let mut events = String::new();
        for (id, count) in &stats.events {
            let name = catalogue::event(*id).map_or("", |event| event.name);
            line(
                &mut events,
                format_args!("{id:>3} {name:<26} {:>13}", HumanCount(*count).to_string()),
            );
        }
        add("events", events);
        if let Some(written) = &self.written {
            add("view", self.rows(written));
            add("joined", self.joined(written.tally));
        }
        let mut counted = String::new();
        for (counter, count) in &outcome.counters {
            line(&mut counted, format_args!("{counter}: {}", HumanCount(*count)));
        }
        if !stats.by_column().eq(std::iter::empty()) {
            let columns = list(stats.by_column().map(|(column, count)| (count, column)));
            line(
                &mut counted,
                format_args!("values that do not fit their column, NULL instead: {columns}"),
            );
        }
        if let Some(first) = stats.unreadable_times.first() {
            line(
                &mut counted,
                format_args!(
                    "times that cannot be read, so that another is the event's: {}, as \"{}\"",
                    HumanCount(stats.unreadable_times.count),
                    printable(first)
                ),
            );
        }
        let no_fields = outcome.dead_letters.counts.get(&Reason::NoFields).copied();
        if let Some(count) = no_fields {
            line(
                &mut counted,
                format_args!(
                    "events of Sysmon without any field that is known, left out: {}",
                    HumanCount(count)
                ),
            );
        }
        if stats.rendered > 0 {
            line(
                &mut counted,
                format_args!(
                    "events whose fields were read from their rendered message: {}",
                    HumanCount(stats.rendered)
                ),
            );
        }
        if stats.without_zone > 0 {
            line(
                &mut counted,
                format_args!(
                    "times without a zone, read as UTC: {}",
                    HumanCount(stats.without_zone)
                ),
            );
        }
        if stats.without_time > 0 {
            line(
                &mut counted,
                format_args!("events without a time: {}", HumanCount(stats.without_time)),
            );
        }
        add("noted", counted);
        add("clocks", clocks::lines(&stats.clocks).join("\n"));
        add("unreadable", self.letters());
        add("run", self.run());
        add("hint", self.hints().join("\n"));
        lines
    }

    fn files(&self) -> String {
        let sum = |of: fn(&crate::connect::files::Census) -> u64| {
            self.outcome.census.iter().map(of).sum::<u64>()
        };
        let names = |of: fn(&crate::connect::files::Census) -> &Vec<Arc<Member>>| {
            let members: Vec<&Arc<Member>> = self.outcome.census.iter().flat_map(of).collect();
            let mut names: Vec<String> =
                members.iter().take(NAMES).map(|member| member.origin().to_string()).collect();
            if members.len() > NAMES {
                names.push("…".to_owned());
            }
            (members.len() as u64, printable(&names.join(", ")).into_owned())
        };
        let mut text = format!("{} read", HumanCount(sum(|census| census.read)));
        for (what, (count, names)) in [
            ("empty", names(|census| &census.empty)),
            ("skipped, no captures by name or content", names(|census| &census.skipped)),
        ] {
            if count > 0 {
                write!(text, "; {} {what} ({names})", HumanCount(count))
                    .expect("writing to a String cannot fail");
            }
        }
        text
    }

    fn rows(&self, written: &Written<'_>) -> String {
        let left_out = match written.left_out {
            0 => String::new(),
            count => format!(", {} left out by filters", HumanCount(count)),
        };
        match written.changes {
            Some(lines) => format!(
                "{}: {} changes, {} rows remain{left_out}",
                self.view,
                HumanCount(lines),
                signed(written.tally.rows)
            ),
            None => format!("{}: {} rows{left_out}", self.view, signed(written.tally.rows)),
        }
    }

    fn joined(&self, tally: &Tally) -> String {
        let mut knowledge: Vec<(&str, i64)> =
            tally.knowledge.iter().map(|(knowledge, count)| (knowledge.as_str(), *count)).collect();
        knowledge.sort_by_key(|(knowledge, _)| {
            ["complete", "partial", "orphan"].iter().position(|known| known == knowledge)
        });
        let mut text = list(
            knowledge
                .into_iter()
                .map(|(knowledge, count)| (u64::try_from(count).unwrap_or(0), knowledge)),
        );
        let causes = tally.causes(self.outcome.span);
        for (count, cause) in [
            (causes.without_guid, "without a process: its GUID is zero or missing"),
            (causes.before, "whose process started before the first event of the input"),
            (
                causes.after,
                "whose process started after the last event of the input, going by its GUID: the times of the events are off",
            ),
            (causes.missing, "whose create event (1) is not in the input"),
        ] {
            if count > 0 {
                write!(text, "\n  {} {cause}", signed(count))
                    .expect("writing to a String cannot fail");
            }
        }
        text
    }

    fn unreadable(&self) -> u64 {
        self.outcome.dead_letters.counts.values().sum()
    }

    fn letters(&self) -> String {
        let letters = &self.outcome.dead_letters;
        let mut text = list(letters.counts.iter().map(|(reason, count)| (*count, reason.code())));
        if text.is_empty() {
            return text;
        }
        if let Some(path) = self.dead_letters {
            write!(text, "; all of them are in {}", path.display())
                .expect("writing to a String cannot fail");
            return text;
        }
        for letter in &letters.first {
            write!(text, "\n  {letter}").expect("writing to a String cannot fail");
        }
        if self.unreadable() > letters.first.len() as u64 {
            text.push_str("\n  … --dead-letters PATH writes all of them");
        }
        text
    }

    fn run(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let rate = if seconds > 0.0 { self.outcome.records as f64 / seconds } else { 0.0 };
        let mut text = format!("{seconds:.1} s, {} events/s", HumanCount(rate as u64));
        if let Some(bytes) = peak_memory() {
            write!(text, ", {} of memory at most", BinaryBytes(bytes))
                .expect("writing to a String cannot fail");
        }
        if self.interrupted {
            text.push_str("; INTERRUPTED: the input was not read to its end, no rows were written");
        }
        text
    }

    /// What to do where something is missing.
    fn hints(&self) -> Vec<String> {
        let mut hints = self.why_nothing();
        let filtered = self.written.as_ref().is_some_and(|written| written.left_out > 0);
        if !self.interrupted && (self.unreadable() > 0 || !hints.is_empty() && !filtered) {
            hints.push(format!(
                "`helkflow inspect {}` tells what each file holds, and which key would help where \
                 a record was not understood",
                arguments(self.inputs)
            ));
        }
        hints
    }

    /// Why nothing appears, if nothing does.
    fn why_nothing(&self) -> Vec<String> {
        let Some(written) = &self.written else { return Vec::new() };
        let (outcome, stats) = (self.outcome, &self.outcome.stats);
        let lines = written.changes.unwrap_or(written.tally.rows.unsigned_abs());
        if !self.alone || self.interrupted || lines > 0 {
            return Vec::new();
        }
        if written.left_out > 0 {
            return vec!["The filters left out every row.".to_owned()];
        }
        if self.wanted.is_empty() {
            let hint = match (outcome.records, self.unreadable()) {
                (0, 0) => "The input is empty.",
                (_, 0) => "No record meets the conditions of the dataflow.",
                _ => "What can be read of the input meets no condition of the dataflow.",
            };
            return vec![hint.to_owned()];
        }
        let mut hints = Vec::new();
        if stats.sysmon() > 0 || stats.passed_over > 0 {
            let seen = |set: &EventSet| stats.events.keys().any(|id| set.contains(*id));
            let missing: Vec<&EventSet> =
                self.wanted.iter().flatten().filter(|set| !seen(set)).collect();
            let names = |set: &EventSet| {
                let events = catalogue::EVENTS.iter().filter(|event| set.contains(event.id.into()));
                events
                    .map(|event| format!("{} ({})", event.id, event.name))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let sets: Vec<String> = missing.into_iter().map(names).collect();
            if sets.is_empty() {
                return vec!["No event meets the conditions of the dataflow.".to_owned()];
            }
            hints
                .push("The dataflow reads events that are not in the input (Sysmon logs only what its configuration asks for):".to_owned());
            hints.extend(sets.iter().map(|set| format!("  {set}")));
            if stats.sysmon() > 0 {
                return hints;
            }
        }
        hints.push("No Sysmon event was read. Most likely:".to_owned());
        let letter = |reasons: &[Reason]| {
            reasons.iter().any(|reason| outcome.dead_letters.counts.contains_key(reason))
        };
        if stats.other_channels > 0 || stats.passed_over > 0 {
            hints.push(
                "  the events are of other channels, as Security or System: export Microsoft-Windows-Sysmon/Operational, or check that Sysmon is installed on these hosts"
                    .to_owned(),
            );
        }
        if letter(&[Reason::UnknownShape]) {
            hints.push(
                "  the records are of something else, or have the number or the channel of an event under names that are not known"
                    .to_owned(),
            );
        }
        if letter(&[Reason::NoFields]) {
            hints.push(
                "  the events have no field that is known: what shipped them left the fields out, or renamed them"
                    .to_owned(),
            );
        }
        if letter(&[Reason::InvalidJson, Reason::InvalidXml, Reason::InvalidUtf8, Reason::Binary]) {
            hints.push("  the files hold something else than JSON, event XML or EVTX".to_owned());
        }
        if letter(&[Reason::TruncatedArchive, Reason::DamagedArchive, Reason::UnsupportedArchive]) {
            hints.push(
                "  the archive is damaged, encrypted or nested too deep: unpack it by hand"
                    .to_owned(),
            );
        }
        if letter(&[Reason::Unreadable]) {
            hints.push("  the files cannot be opened: check their permissions".to_owned());
        }
        if outcome.records == 0 && outcome.dead_letters.counts.is_empty() {
            hints.push("  the input is empty".to_owned());
        }
        if outcome.census.iter().any(|census| !census.skipped.is_empty()) {
            hints.push(
                "  the archives hold files that are no captures by name or content".to_owned(),
            );
        }
        hints
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a String cannot fail");
}

/// Paths as a shell takes them.
fn arguments(paths: &[PathBuf]) -> String {
    let quoted = paths.iter().map(|path| {
        let path = path.to_string_lossy();
        shlex::try_quote(&path).map_or_else(|_| path.to_string(), std::borrow::Cow::into_owned)
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// `1,234 complete, 5 orphan`, leaving out zeros.
fn list<'n>(counts: impl IntoIterator<Item = (u64, &'n str)>) -> String {
    let parts = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{} {name}", HumanCount(count)));
    parts.collect::<Vec<_>>().join(", ")
}

fn signed(count: i64) -> String {
    format!("{}{}", if count < 0 { "-" } else { "" }, HumanCount(count.unsigned_abs()))
}

/// The most memory that this process has had, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
