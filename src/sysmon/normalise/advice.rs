//! What a record that is no event lacks, and which of its keys look like it.
//!
//! An event is known by its number, its channel or provider, and its fields, each looked for by the
//! names that tools give it. Where one is missing, the record often has it under a name that nobody
//! listed: the nearest is told, so that a person can rename it, or report it.
//!
//! A key is near when few letters differ, or when it contains the name. A value of another kind
//! than what is missing has (a text for a number, say) makes no name near; one that says Sysmon is
//! nearest of all to a channel.

use serde::Serialize;
use serde_json::Value;

use super::super::catalogue::FIELD;
use super::super::catalogue::aliases::{AMBIGUOUS, HEAD_NAMES, Head, plain};
use super::assemble::{self, is_field_name};
use super::leaves::{self, Leaf};
use super::{MAX_EVENT, MAX_PART, text, tree};
use crate::format::error::utf8;

/// Names with a greater share of equal letters are near.
const NEAR: f64 = 0.6;

/// A name of fewer letters is in others by chance.
const CONTAINED: usize = 5;

/// How many near keys are told.
const TOLD: usize = 3;

/// What an event needs and a record lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// All of it: the record is of something else.
    Everything,
    /// Which kind of event it is.
    EventNumber,
    /// Whose event it is.
    ChannelOrProvider,
    /// What it says.
    Fields,
}

impl Missing {
    /// Usual spellings of the names under which it is looked for.
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Missing::Everything => &[],
            Missing::EventNumber => &["event_id", "EventID", "EventCode", "EventIdentifier"],
            Missing::ChannelOrProvider => {
                &["channel", "log_name", "EventLog", "provider_name", "SourceName"]
            }
            Missing::Fields => &["Image", "ProcessGuid", "UtcTime", "CommandLine"],
        }
    }
}

/// What would help.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Advice {
    /// What is missing.
    pub missing: Missing,
    /// Keys of the record that may be it, with the name that each resembles.
    pub nearest: Vec<Nearest>,
}

/// A key that is nearly a known one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Nearest {
    /// The key, as in the record.
    pub key: String,
    /// The name that would be read.
    pub name: &'static str,
}

impl std::fmt::Display for Advice {
    /// `no event number: looked for under event_id, EventID, …; nearest is "evt_id"`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.missing {
            Missing::Everything => return f.write_str("nothing in it is of a Windows event"),
            Missing::EventNumber => "no event number: looked for under ",
            Missing::ChannelOrProvider => "no channel or provider: looked for under ",
            Missing::Fields => "no fields: looked for under Sysmon's names, ",
        })?;
        write!(f, "{} …", self.missing.names().join(", "))?;
        for (at, Nearest { key, name }) in self.nearest.iter().enumerate() {
            f.write_str(if at == 0 { "; rename " } else { ", " })?;
            write!(f, "\"{key}\" to {name}")?;
        }
        if self.nearest.is_empty() { Ok(()) } else { f.write_str("?") }
    }
}

/// What a record lacks of an event. Nothing for what cannot be taken apart, or lacks nothing.
pub fn advise(record: &[u8]) -> Vec<Advice> {
    let Some(tree) = utf8(record).ok().filter(|text| text.len() <= MAX_EVENT).and_then(tree_of)
    else {
        return Vec::new();
    };
    let leaves = leaves::of(&tree).all;
    let all: Vec<&Leaf> = leaves.iter().collect();
    let fields = leaves.iter().any(|leaf| {
        let ambiguous = AMBIGUOUS.contains(&plain(&leaf.name).as_str());
        is_field_name(&leaf.name) && !ambiguous && leaf.text.is_some()
    });
    let found = [
        (Missing::ChannelOrProvider, assemble::head(&all).is_some()),
        (Missing::EventNumber, leaves.iter().any(is_number)),
        (Missing::Fields, fields),
    ];
    let lacking = found.into_iter().filter(|(_, found)| !found).map(|(missing, _)| missing);
    let lacking: Vec<Advice> =
        lacking.map(|missing| Advice { missing, nearest: nearest(missing, &leaves) }).collect();
    // what is like a field is in every log
    let is_near = |advice: &Advice| advice.missing != Missing::Fields && !advice.nearest.is_empty();
    if lacking.len() == found.len() && !lacking.iter().any(is_near) {
        return vec![Advice { missing: Missing::Everything, nearest: Vec::new() }];
    }
    lacking
}

fn tree_of(record: &str) -> Option<Value> {
    let record = record.trim();
    match record.as_bytes().first()? {
        b'{' | b'[' => serde_json::from_str(record).ok(),
        _ => {
            let xml = record.find('<').and_then(|at| tree::xml(&record[at..]).ok());
            xml.filter(Value::is_object).or_else(|| text::parts(record))
        }
    }
}

/// The plain names of parts, without what stands before a dot.
fn names_of(parts: &[Head]) -> impl Iterator<Item = &'static str> {
    let names = HEAD_NAMES.iter().filter(|(part, _)| parts.contains(part));
    names.flat_map(|(_, names)| *names).map(|name| name.split_once('.').map_or(*name, |(_, n)| n))
}

fn is_number(leaf: &Leaf) -> bool {
    let name = plain(&leaf.name);
    // much is called an id, or a code
    let is_own = names_of(&[Head::EventId]).any(|own| own == name && own != "id");
    is_own && leaf.text.as_deref().is_some_and(is_event_number)
}

fn is_event_number(text: &str) -> bool {
    text.trim().parse::<u8>().is_ok_and(|number| number > 0)
}

/// The keys that are nearest to a name of what is missing, the best first.
fn nearest(missing: Missing, leaves: &[Leaf]) -> Vec<Nearest> {
    let mut near: Vec<(f64, Nearest)> = leaves
        .iter()
        .filter_map(|leaf| {
            let (score, name) = likeness(missing, leaf)?;
            Some((score, Nearest { key: leaf.name.clone(), name }))
        })
        .collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut near: Vec<Nearest> = near.into_iter().map(|(_, nearest)| nearest).collect();
    near.dedup();
    near.truncate(if missing == Missing::Fields { TOLD } else { 1 });
    near
}

/// How much a leaf resembles what is missing, from [`NEAR`] to 1, and by which name.
fn likeness(missing: Missing, leaf: &Leaf) -> Option<(f64, &'static str)> {
    let text = leaf.text.as_deref().filter(|text| text.len() <= MAX_PART);
    let own = plain(&leaf.name);
    let near = |name: &'static str| -> Option<(f64, &'static str)> {
        let known = plain(name);
        let score = strsim::normalized_damerau_levenshtein(&own, &known);
        let contains = known.len() >= CONTAINED && own.contains(&known);
        let score = if contains { score.max(0.8) } else { score };
        (score >= NEAR).then_some((score, name))
    };
    let best = |names: &mut dyn Iterator<Item = &'static str>| {
        names.filter_map(near).max_by(|(a, _), (b, _)| a.total_cmp(b))
    };
    match missing {
        Missing::EventNumber if text.is_some_and(is_event_number) => {
            best(&mut missing.names().iter().copied()).map(|(score, _)| (score, missing.names()[0]))
        }
        Missing::ChannelOrProvider => {
            let text = text.filter(|text| text.parse::<f64>().is_err() && !text.contains(' '))?;
            if text.to_ascii_lowercase().contains("sysmon") {
                return Some((1.0, if text.contains('/') { "channel" } else { "provider_name" }));
            }
            best(&mut missing.names().iter().copied())
        }
        Missing::Fields if !names_of_head(&own) => {
            best(&mut FIELD.iter().map(|field| field.names[0]).filter(|name| !is_ambiguous(name)))
        }
        Missing::Everything | Missing::EventNumber | Missing::Fields => None,
    }
}

fn is_ambiguous(name: &str) -> bool {
    AMBIGUOUS.contains(&plain(name).as_str())
}

/// Whether a plain name is that of a part of the head, which is no field.
fn names_of_head(name: &str) -> bool {
    HEAD_NAMES.iter().any(|(_, names)| names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(record: &str) -> Vec<String> {
        advise(record.as_bytes()).iter().map(Advice::to_string).collect()
    }

    #[test]
    fn the_names_that_are_told_are_looked_for() {
        for (missing, parts) in [
            (Missing::EventNumber, &[Head::EventId][..]),
            (Missing::ChannelOrProvider, &[Head::Channel, Head::Provider]),
        ] {
            for told in missing.names() {
                assert!(names_of(parts).any(|name| name == plain(told)), "{told}");
            }
        }
        assert!(Missing::Fields.names().iter().all(|name| is_field_name(name)));
    }

    #[test]
    fn the_nearest_key_is_told_of_what_is_missing() {
        let number = r#"{"channel":"Microsoft-Windows-Sysmon/Operational","evt_id":3,"x":{"Image":"a","UtcTime":"b"}}"#;
        assert_eq!(
            says(number),
            [
                r#"no event number: looked for under event_id, EventID, EventCode, EventIdentifier …; rename "evt_id" to event_id?"#
            ]
        );
        let channel = r#"{"stream":"Microsoft-Windows-Sysmon/Operational","EventID":3,"Image":"a","UtcTime":"b"}"#;
        assert!(says(channel)[0].ends_with(r#"; rename "stream" to channel?"#), "{channel}");
        let fields = r#"{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":3,"the_image":"a","cmd_line":"b","Opcode":"0"}"#;
        let told = says(fields);
        assert!(told[0].contains(r#""cmd_line" to CommandLine"#), "{told:?}");
        assert!(told.len() == 1 && !told[0].contains("Opcode"), "{told:?}");
    }

    #[test]
    fn what_is_of_something_else_is_told_in_one_line() {
        let log = r#"{"remote":"192.0.2.1","query_stat":200,"bytes":"17","agent":"x"}"#;
        assert_eq!(says(log), ["nothing in it is of a Windows event"]);
        assert_eq!(says("{\"torn\":"), Vec::<String>::new());
        assert_eq!(says("GET / HTTP/1.1"), Vec::<String>::new());
    }

    #[test]
    fn what_lacks_nothing_is_told_nothing() {
        let event = r#"{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":3,"event_data":{"Image":"a","UtcTime":"b"}}"#;
        assert_eq!(says(event), Vec::<String>::new());
    }
}
