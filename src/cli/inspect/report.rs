//! The figures of an inspection, by file and for all of them. Its names are those of the JSON, which
//! scripts read: a name once released stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use indicatif::HumanCount;
use serde::Serialize;

use crate::cli::clocks;
use crate::connect::files::Form;
use crate::engine::{Fate, Inspected};
use crate::format::encoding::Encoding;
use crate::model::{DeadLetter, Reason};
use crate::sysmon::{Advice, Names, Stats, catalogue};

/// The events that hunters look for first, and what is not known without them.
const WANTED: [(i32, &str); 4] = [
    (
        1,
        "no process is seen to start, so command lines, users, hashes and parents are not known. \
         Sysmon logs them unless its configuration leaves them out",
    ),
    (
        3,
        "there are no network connections, so process_network has no rows. \
         Sysmon logs them only if its configuration asks for them",
    ),
    (
        5,
        "when a process ended is not known. \
         Sysmon logs that unless its configuration leaves it out",
    ),
    (
        22,
        "which names a process looked up is not known. Sysmon logs that only if its configuration \
         asks for it, from Windows 8.1",
    ),
];

/// How many examples of a reason are told.
const EXAMPLES: usize = 3;

/// All that is told.
#[derive(Debug, Serialize)]
pub struct Report {
    /// By file or member, in the order of the input.
    pub files: Vec<Input>,
    /// For all together.
    pub all: Findings,
}

/// One file, or one member of an archive.
#[derive(Debug, Serialize)]
pub struct Input {
    pub file: Arc<str>,
    pub member: Option<Arc<str>>,
    pub container: Option<&'static str>,
    pub status: &'static str,
    pub encoding: Option<&'static str>,
    #[serde(flatten)]
    pub findings: Findings,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Findings {
    pub records: u64,
    pub forms: Vec<Forms>,
    pub sysmon: u64,
    pub other_channels: u64,
    pub not_understood: u64,
    pub shapes: Vec<Written>,
    pub channels: Vec<Name>,
    pub hosts: Vec<Name>,
    pub other_names: OtherNames,
    pub from: Option<String>,
    pub to: Option<String>,
    pub events: Vec<Kind>,
    pub missing: Vec<Absent>,
    pub from_message: u64,
    pub without_zone: u64,
    pub without_time: u64,
    pub unreadable_times: Times,
    pub clocks: Vec<String>,
    pub reasons: Vec<NotUnderstood>,
    pub verdict: String,
}

/// Records of one form.
#[derive(Debug, Serialize)]
pub struct Forms {
    pub form: &'static str,
    pub text: &'static str,
    pub records: u64,
}

/// Events of one shape.
#[derive(Debug, Serialize)]
pub struct Written {
    pub shape: &'static str,
    pub tool: &'static str,
    pub events: u64,
}

/// A name of a channel or host.
#[derive(Debug, Serialize)]
pub struct Name {
    pub name: String,
    pub events: u64,
}

/// Events whose names are beyond those that are kept.
#[derive(Debug, Serialize)]
pub struct OtherNames {
    pub channels: u64,
    pub hosts: u64,
}

/// Events of one kind.
#[derive(Debug, Serialize)]
pub struct Kind {
    pub event_id: i32,
    pub name: &'static str,
    pub count: u64,
}

/// A kind of event that is not there.
#[derive(Debug, Serialize)]
pub struct Absent {
    pub event_id: i32,
    pub name: &'static str,
    pub meaning: &'static str,
}

/// Times that cannot be read.
#[derive(Debug, Serialize)]
pub struct Times {
    pub count: u64,
    pub first: Option<String>,
}

/// Records that were lost for one reason.
#[derive(Debug, Serialize)]
pub struct NotUnderstood {
    pub reason: Reason,
    pub text: &'static str,
    pub count: u64,
    pub examples: Vec<Example>,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    pub place: String,
    pub detail: String,
    pub excerpt: String,
    pub advice: Vec<Help>,
}

/// What would help.
#[derive(Clone, Debug, Serialize)]
pub struct Help {
    #[serde(flatten)]
    pub advice: Advice,
    pub text: String,
}

impl Report {
    /// The figures of what was inspected.
    pub fn of(inspected: &[Inspected]) -> Report {
        let mut all = Sum::default();
        let files = inspected.iter().map(|inspected| {
            let own = Sum::of(inspected);
            all.add(&own);
            Input {
                file: Arc::clone(&inspected.member.path),
                member: inspected.member.inner.clone(),
                container: inspected.packed,
                status: match inspected.fate {
                    Fate::Read => "read",
                    Fate::Empty => "empty",
                    Fate::LeftOut => "left_out",
                    Fate::Archive => "archive",
                },
                encoding: inspected.found.encoding.map(encoding),
                findings: own.findings(&own.verdict(inspected.fate)),
            }
        });
        let files: Vec<Input> = files.collect();
        let verdict = all.verdict_of_all(&files);
        Report { all: all.findings(&verdict), files }
    }
}

fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Utf8 => "UTF-8",
        Encoding::Utf16Le => "UTF-16LE",
        Encoding::Utf16Be => "UTF-16BE",
    }
}

/// Figures that add up.
#[derive(Default)]
struct Sum {
    forms: BTreeMap<Form, u64>,
    stats: Stats,
    reasons: BTreeMap<Reason, (u64, Vec<Example>)>,
}

impl Sum {
    fn of(inspected: &Inspected) -> Sum {
        let found = &inspected.found;
        let reasons = inspected.lost.iter().flat_map(|lost| &lost.reasons);
        let example = |letter: &DeadLetter| {
            let advice = found.advice(letter.reason, letter.origin.offset).iter();
            Example {
                place: letter.origin.to_string(),
                detail: letter.detail.clone(),
                excerpt: letter.excerpt.clone(),
                advice: advice
                    .map(|advice| Help { text: advice.to_string(), advice: advice.clone() })
                    .collect(),
            }
        };
        Sum {
            forms: found.forms.clone(),
            stats: found.stats.clone(),
            reasons: reasons
                .map(|(reason, (count, first))| {
                    (*reason, (*count, first.iter().map(example).collect()))
                })
                .collect(),
        }
    }

    fn add(&mut self, other: &Sum) {
        for (form, count) in &other.forms {
            *self.forms.entry(*form).or_default() += count;
        }
        self.stats.add(&other.stats);
        for (reason, (count, examples)) in &other.reasons {
            let (total, first) = self.reasons.entry(*reason).or_default();
            *total += count;
            first.extend(examples.iter().take(EXAMPLES.saturating_sub(first.len())).cloned());
        }
    }

    fn lost(&self) -> u64 {
        self.reasons.values().map(|(count, _)| count).sum()
    }

    fn findings(&self, verdict: &str) -> Findings {
        let stats = &self.stats;
        let survey = stats.survey.as_deref().cloned().unwrap_or_default();
        let is_there = |id: &i32| stats.events.contains_key(id);
        let absent = WANTED.iter().filter(|(id, _)| stats.sysmon() > 0 && !is_there(id));
        Findings {
            records: self.forms.values().sum(),
            forms: self
                .forms
                .iter()
                .map(|(form, records)| Forms {
                    form: form.name(),
                    text: form.text(),
                    records: *records,
                })
                .collect(),
            sysmon: stats.sysmon(),
            other_channels: stats.other_channels,
            not_understood: self.lost(),
            shapes: stats
                .by_shape()
                .map(|(shape, events)| Written { shape: shape.name(), tool: shape.tool(), events })
                .collect(),
            channels: names(&survey.channels),
            hosts: names(&survey.hosts),
            other_names: OtherNames {
                channels: survey.channels.others(),
                hosts: survey.hosts.others(),
            },
            from: survey.span.map(|(first, _)| first.to_string()),
            to: survey.span.map(|(_, last)| last.to_string()),
            events: stats
                .events
                .iter()
                .map(|(id, count)| Kind { event_id: *id, name: name(*id), count: *count })
                .collect(),
            missing: absent
                .map(|(id, meaning)| Absent { event_id: *id, name: name(*id), meaning })
                .collect(),
            from_message: stats.rendered,
            without_zone: stats.without_zone,
            without_time: stats.without_time,
            unreadable_times: Times {
                count: stats.unreadable_times.count,
                first: stats.unreadable_times.first().map(str::to_owned),
            },
            clocks: clocks::lines(&stats.clocks),
            reasons: self
                .reasons
                .iter()
                .map(|(reason, (count, examples))| NotUnderstood {
                    reason: *reason,
                    text: reason.text(),
                    count: *count,
                    examples: examples.clone(),
                })
                .collect(),
            verdict: verdict.to_owned(),
        }
    }

    /// What a replay would read of a file, or why nothing.
    fn verdict(&self, fate: Fate) -> String {
        let sysmon = self.stats.sysmon();
        if sysmon > 0 {
            let lost = match self.lost() {
                0 => String::new(),
                lost => format!("; {} not understood", HumanCount(lost)),
            };
            return format!("{} of Sysmon would be read{lost}.", events(sysmon));
        }
        let why = match fate {
            Fate::Empty => "the file is empty".to_owned(),
            Fate::LeftOut => "going by its name and its beginning it holds no events".to_owned(),
            Fate::Read | Fate::Archive => self.why_nothing(),
        };
        format!("Nothing would be read: {why}.")
    }

    fn why_nothing(&self) -> String {
        let mut why = Vec::new();
        if self.stats.other_channels > 0 {
            why.push(format!(
                "{} of other channels, none of Sysmon's (export \
                 Microsoft-Windows-Sysmon/Operational, or check that Sysmon is installed there)",
                events(self.stats.other_channels)
            ));
        }
        for (reason, (count, _)) in &self.reasons {
            why.push(match reason {
                Reason::NoFields => {
                    format!("{} of Sysmon without any field that is known", events(*count))
                }
                Reason::UnknownShape => format!(
                    "{} of something else, or with what makes an event under other names",
                    plural(*count, "record")
                ),
                Reason::Unreadable => "it cannot be opened or read".to_owned(),
                Reason::Binary => "it is binary data of no known format".to_owned(),
                Reason::UnsupportedArchive => {
                    "the archive is of a kind that is not read, encrypted, or nested too deep"
                        .to_owned()
                }
                Reason::TruncatedArchive => "the archive is truncated".to_owned(),
                Reason::DamagedArchive => "the archive is damaged".to_owned(),
                reason => format!("{}: {}", plural(*count, "record"), reason.text()),
            });
        }
        if why.is_empty() {
            why.push("there is no record in it".to_owned());
        }
        why.join("; ")
    }

    fn verdict_of_all(&self, files: &[Input]) -> String {
        let sysmon = self.stats.sysmon();
        if sysmon == 0 {
            let why = if files.iter().all(|file| file.status == "empty") {
                "there is no byte in the input".to_owned()
            } else {
                self.why_nothing()
            };
            return format!("Nothing would be read: {why}.");
        }
        let with = files.iter().filter(|file| file.findings.sysmon > 0).count();
        let lost = match self.lost() {
            0 => String::new(),
            lost => format!("; {} not understood", HumanCount(lost)),
        };
        format!(
            "{} of Sysmon would be read, from {with} of {}{lost}.",
            events(sysmon),
            plural(files.len() as u64, "file")
        )
    }
}

fn events(count: u64) -> String {
    plural(count, "event")
}

fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

fn name(event: i32) -> &'static str {
    catalogue::event(event).map_or("", |event| event.name)
}

/// The most frequent first.
fn names(names: &Names) -> Vec<Name> {
    let owned = names.iter().map(|(name, events)| Name { name: name.to_owned(), events });
    let mut names: Vec<Name> = owned.collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.events));
    names
}
