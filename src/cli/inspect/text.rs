//! An inspection for people: a block for each file, then one for all, and the verdicts last.

use indicatif::HumanCount;

use super::report::{Example, Findings, Input, Name, Report};
use crate::cli::terminal::{output_width, printable};

/// How many names, and lines of them, are told.
const NAMES: usize = 8;

/// Columns of a label.
const LABEL: usize = 12;

/// Columns left of an excerpt.
const INDENT: usize = 2 + LABEL + 4;

/// The whole text.
pub fn render(report: &Report) -> String {
    let width = usize::from(output_width());
    let mut text = String::new();
    let several = report.files.len() != 1;
    for file in &report.files {
        block(&mut text, &title(file), rows(Some(file), &file.findings, several, width), width);
    }
    if several {
        let title = format!("All {} files", HumanCount(report.files.len() as u64));
        block(&mut text, &title, rows(None, &report.all, false, width), width);
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn title(file: &Input) -> String {
    let name = if &*file.file == "-" { "standard input" } else { &file.file };
    match &file.member {
        Some(member) => printable(&format!("{name}/{member}")).into_owned(),
        None => printable(name).into_owned(),
    }
}

fn block(text: &mut String, title: &str, rows: Vec<(&str, String)>, width: usize) {
    text.push_str(title);
    text.push('\n');
    for (label, value) in rows {
        for (number, line) in value.lines().enumerate() {
            let label = if number == 0 { label } else { "" };
            let first = format!("  {label:<LABEL$}");
            let hang = line.len() - line.trim_start().len() + 2;
            let next = " ".repeat(2 + LABEL + hang);
            let options = textwrap::Options::new(width)
                .word_splitter(textwrap::WordSplitter::NoHyphenation)
                .initial_indent(&first)
                .subsequent_indent(&next);
            text.push_str(&textwrap::fill(line, options));
            text.push('\n');
        }
    }
    text.push('\n');
}

/// Labels with their texts. `brief`: what is not there is told with what it means for all files
/// together, since other files may have it.
fn rows(
    file: Option<&Input>,
    found: &Findings,
    brief: bool,
    width: usize,
) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let mut add = |label: &'static str, value: String| {
        if !value.is_empty() {
            rows.push((label, value));
        }
    };
    add("what", file.map(what).unwrap_or_default());
    let kinds = [
        (found.sysmon, "of Sysmon"),
        (found.other_channels, "of other channels"),
        (found.not_understood, "not understood"),
    ];
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{} {kind}", HumanCount(*count)))
        .collect();
    if found.records > 0 {
        add("records", format!("{}: {}", HumanCount(found.records), kinds.join(", ")));
    }
    let shapes = found.shapes.iter().map(|shape| (shape.tool, shape.shape, shape.events));
    add("written by", aligned(&shapes.collect::<Vec<_>>()));
    add("channels", names(&found.channels, found.other_names.channels));
    add("hosts", hosts(found));
    if let (Some(from), Some(to)) = (&found.from, &found.to) {
        add("time", format!("{from} to {to}"));
    }
    let events = found.events.iter().map(|event| {
        format!(
            "{:>3} {:<26} {:>13}",
            event.event_id,
            event.name,
            HumanCount(event.count).to_string()
        )
    });
    add("events", lines(events));
    add("absent", absent(found, brief));
    add("noted", lines(noted(found)));
    add("not read", not_read(file, found, width));
    add("verdict", found.verdict.clone());
    rows
}

/// `JSON lines, UTF-8, in gzip`
fn what(file: &Input) -> String {
    let forms = &file.findings.forms;
    let told: Vec<String> = forms
        .iter()
        .map(|form| match forms.len() {
            1 => form.text.to_owned(),
            _ => format!("{} ({})", form.text, HumanCount(form.records)),
        })
        .collect();
    let packed = file.container.map(|container| format!("in {container}"));
    let encoding = file.encoding.map(str::to_owned);
    told.into_iter().chain(encoding).chain(packed).collect::<Vec<_>>().join(", ")
}

/// A line for each name, a remark and a count in columns.
fn aligned(rows: &[(&str, &str, u64)]) -> String {
    let width = |of: &dyn Fn(&(&str, &str, u64)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (first, second) = (width(&|r| r.0.chars().count()), width(&|r| r.1.chars().count()));
    lines(rows.iter().map(|(name, remark, count)| {
        format!("{name:<first$}  {remark:<second$}  {:>13}", HumanCount(*count).to_string())
    }))
}

fn names(names: &[Name], others: u64) -> String {
    let (told, left) = names.split_at(names.len().min(NAMES));
    let printed: Vec<_> = told.iter().map(|n| (printable(&n.name), n.events)).collect();
    let rows: Vec<_> = printed.iter().map(|(name, events)| (&**name, "", *events)).collect();
    let text = aligned(&rows);
    let more = left.iter().map(|name| name.events).sum::<u64>() + others;
    match more {
        0 => text,
        _ => format!("{text}\n… {} events of others", HumanCount(more)),
    }
}

fn hosts(found: &Findings) -> String {
    if found.hosts.is_empty() {
        return String::new();
    }
    let more = if found.other_names.hosts > 0 { "more than " } else { "" };
    let mut first: Vec<_> =
        found.hosts.iter().take(NAMES).map(|host| printable(&host.name)).collect();
    if found.hosts.len() > first.len() {
        first.push("…".into());
    }
    format!("{more}{}: {}", HumanCount(found.hosts.len() as u64), first.join(", "))
}

fn absent(found: &Findings, brief: bool) -> String {
    let missing = found.missing.iter();
    if brief {
        let names = missing.map(|missing| format!("{} {}", missing.event_id, missing.name));
        return names.collect::<Vec<_>>().join(", ");
    }
    lines(
        missing.map(|missing| {
            format!("{:>3} {}: {}", missing.event_id, missing.name, missing.meaning)
        }),
    )
}

fn noted(found: &Findings) -> Vec<String> {
    let example = found.unreadable_times.first.as_deref().map(printable).unwrap_or_default();
    [
        (found.from_message, "events have their fields in the rendered message alone".to_owned()),
        (found.without_zone, "times have no zone and are read as UTC".to_owned()),
        (found.without_time, "events have no time".to_owned()),
        (found.unreadable_times.count, format!("times cannot be read, as \"{example}\"")),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, text)| format!("{} {text}", HumanCount(count)))
    .chain(found.clocks.iter().map(|line| printable(line).into_owned()))
    .collect()
}

fn not_read(file: Option<&Input>, found: &Findings, width: usize) -> String {
    let mut text = Vec::new();
    for reason in &found.reasons {
        text.push(format!("{} {}", HumanCount(reason.count), reason.text));
        if let Some(file) = file {
            reason.examples.iter().for_each(|e| example(&mut text, file, e, width));
        }
    }
    lines(text)
}

fn example(text: &mut Vec<String>, file: &Input, example: &Example, width: usize) {
    let place = printable(&place(file, &example.place)).into_owned();
    text.push(match (&*place, &*example.detail) {
        ("", detail) => format!("  {}", printable(detail)),
        (place, "") => format!("  {place}"),
        (place, detail) => format!("  {place}: {}", printable(detail)),
    });
    if !example.excerpt.is_empty() {
        let excerpt = printable(&example.excerpt);
        let cut: String = excerpt.chars().take(width.saturating_sub(INDENT + 1)).collect();
        let more = if cut.len() < excerpt.len() { "…" } else { "" };
        text.push(format!("    {cut}{more}"));
    }
    text.extend(example.advice.iter().map(|help| format!("    {}", printable(&help.text))));
}

/// The place within the file that the block is about: `line 5 (byte 313)`.
fn place(file: &Input, place: &str) -> String {
    let name = match &file.member {
        Some(member) => format!("{}/{member}", file.file),
        None => file.file.to_string(),
    };
    match place.strip_prefix(&name) {
        None => place.to_owned(),
        Some(within) => match within.strip_prefix(':') {
            Some(line) => format!("line {line}"),
            None => within.trim_start().to_owned(),
        },
    }
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}
