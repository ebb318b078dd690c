//! One event from the leaves of a tree.
//!
//! The *head* (number, channel, provider, host, record number, time) is found by the names that
//! tools give its parts ([`HEAD_NAMES`]), the best name first. The *fields* come from one place,
//! the first of these that has any:
//!
//! 1. the group of leaves with a common path that has most of Sysmon's fields by name. Names that
//!    also speak of the service that wrote the event, such as `ProcessId`, prove nothing;
//! 2. a list of values, by position ([`fields_in_order`]);
//! 3. the rendered message ([`message`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use quick_xml::escape::unescape;

use super::super::Shape;
use super::super::catalogue::aliases::{
    ALGORITHMS, AMBIGUOUS, COLLECTORS, FIELD_ALIASES, HASH_ALIASES, HEAD_NAMES, HEADS, Head,
    PROVIDER_GUID, plain,
};
use super::super::catalogue::versions::fields_in_order;
use super::super::catalogue::{Event, FIELD, event, index_of};
use super::super::typed;
use super::super::walk::field_named;
use super::leaves::{Leaf, Leaves, List};
use super::message;
use crate::format::time;

/// An event under Sysmon's names.
#[derive(Debug)]
pub struct Assembled {
    /// The tool's shape.
    pub shape: Shape,
    /// Its number.
    pub id: i32,
    /// Its head, by [`Head`].
    pub head: [Option<String>; HEADS],
    /// Its fields, by index into the catalogue.
    pub fields: BTreeMap<usize, String>,
    /// What the catalogue has no name for.
    pub unknown: Vec<(String, String)>,
    /// Its fields were read from the rendered message.
    pub rendered: bool,
}

/// What the leaves of a tree make.
#[derive(Debug)]
pub enum Outcome {
    /// No event.
    Nothing,
    /// An event of another channel or provider, which is named.
    OtherChannel(String),
    /// A Sysmon event without a number.
    NoNumber,
    /// A Sysmon event in which no field is found.
    NoFields,
    /// A Sysmon event.
    Event(Box<Assembled>),
}

/// Channel and provider of Sysmon, and of Sysmon for Linux.
pub const NAMES: [(&str, &str); 2] = [
    ("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon"),
    ("Linux-Sysmon/Operational", "Linux-Sysmon"),
];

/// Every plain name of a field.
static FIELD_NAMES: LazyLock<HashMap<String, usize>> = LazyLock::new(|| {
    let own = FIELD.iter().enumerate().map(|(index, field)| (plain(field.names[0]), index));
    let aliases = FIELD_ALIASES.iter().map(|(alias, name)| {
        let (index, _) = field_named(name.as_bytes()).expect("aliases are of listed fields");
        ((*alias).to_owned(), index)
    });
    own.chain(aliases).collect()
});

/// The shapes of tools, each by names that only its events have together: plain ones, those with a
/// dot directly within each other; after `^` outermost; after `=` as the tool writes them.
const TOOLS: &[(Shape, &[&str])] = &[
    (Shape::Wazuh, &["=eventID", "=providerName"]),
    (Shape::Graylog, &["winlogbeat"]),
    (Shape::Vector, &["sourcetype", "providername"]),
    (Shape::FluentBit, &["stringinserts"]),
    (Shape::EvtxEcmd, &["payload", "eventrecordid", "chunknumber"]),
    (Shape::Osquery, &["data.eventdata", "datetime"]),
    (Shape::AzureEvent, &["eventlog", "rendereddescription"]),
    (Shape::AzureEvent, &["eventlog", "source", "eventdata"]),
    (Shape::GetWinEvent, &["providername", "logname", "machinename"]),
    (Shape::Splunk, &["eventcode", "logname"]),
    (Shape::Helk, &["logname", "processpath", "processguid"]),
    (Shape::Velociraptor, &["^system.eventid", "eventdata"]),
    (Shape::EvtxDump, &["event.system"]),
    (Shape::Winlogbeat8, &["winlog"]),
];

/// Whether a name is that of a field, or stands for one: then what it names is a value.
pub fn is_field_name(name: &str) -> bool {
    FIELD_NAMES.contains_key(&plain(name)) || param(name).is_some()
}

/// The number in `param7`.
fn param(name: &str) -> Option<usize> {
    name.to_ascii_lowercase().strip_prefix("param")?.parse().ok()
}

/// Finds the event whose number, and channel or provider, stand in the tree itself. With
/// `in_texts` they may be in texts of JSON or XML as well; with `rendered` the fields may be in a
/// rendered message.
pub fn assemble(leaves: &Leaves, in_texts: bool, rendered: bool) -> Outcome {
    let own = leaves.all.iter().filter(|leaf| !leaf.inner).collect::<Vec<_>>();
    let complete = |found: &HeadOf| found.0[Head::EventId as usize].is_some();
    let found = head(&own).filter(complete);
    let found = match found {
        None if in_texts => head(&leaves.all.iter().collect::<Vec<_>>()),
        found => found,
    };
    let Some((head, linux)) = found else { return Outcome::Nothing };
    let mut assembled = Assembled {
        shape: Shape::Named,
        id: 0,
        head,
        fields: BTreeMap::new(),
        unknown: Vec::new(),
        rendered: false,
    };
    let Some(linux) = linux else {
        return match assembled.head[Head::EventId as usize] {
            Some(_) => {
                let [channel, provider] = [Head::Channel, Head::Provider]
                    .map(|part| assembled.head[part as usize].take());
                Outcome::OtherChannel(channel.or(provider).unwrap_or_default())
            }
            None => Outcome::Nothing,
        };
    };
    for (part, name) in [(Head::Channel, NAMES[linux].0), (Head::Provider, NAMES[linux].1)] {
        assembled.head[part as usize] = Some(name.to_owned());
    }
    let number = assembled.head[Head::EventId as usize].as_deref();
    let number = number.and_then(|text| typed::integer(text.as_bytes()));
    let Some(event_id) = number.and_then(|number| i32::try_from(number).ok()) else {
        return Outcome::NoNumber;
    };
    assembled.id = event_id;
    let texts = leaves.all.iter().filter(|leaf| !is_field_name(&leaf.name) || is_message(leaf));
    let mut messages =
        texts.filter_map(|leaf| leaf.text.as_deref()).filter(|text| message::is_rendered(text));
    let found = named_fields(&leaves.all, event_id, &mut assembled)
        || listed_fields(&leaves.lists, &leaves.all, event_id, &mut assembled)
        || rendered
            && messages.any(|text| {
                assembled.fields = message::fields(event_id, text).into_iter().collect();
                assembled.rendered = true;
                !assembled.fields.is_empty()
            });
    if !found {
        return Outcome::NoFields;
    }
    assembled.shape = shape(leaves, assembled.rendered);
    if assembled.shape == Shape::Wazuh && !assembled.rendered {
        unescape_wazuh(&mut assembled.fields);
    }
    Outcome::Event(Box::new(assembled))
}

/// The head, and whose events they are: the position in [`NAMES`] for Sysmon's. `None` where
/// neither a channel nor a provider is named.
pub type HeadOf = ([Option<String>; HEADS], Option<usize>);

pub fn head(leaves: &[&Leaf]) -> Option<HeadOf> {
    let mut head: [Option<String>; HEADS] = Default::default();
    let mut whose = None;
    let mut times: Vec<&str> = Vec::new();
    // `Id` is an event's number only where a provider or a log is named beside it
    let named: HashSet<&[String]> = leaves
        .iter()
        .filter(|leaf| matches!(leaf.plain.as_str(), "providername" | "logname"))
        .map(|leaf| leaf.path.as_slice())
        .collect();
    for (part, name) in
        HEAD_NAMES.iter().flat_map(|(part, names)| names.iter().map(move |n| (*part, *n)))
    {
        let (parent, name) = name.split_once('.').map_or((None, name), |(p, n)| (Some(p), n));
        for leaf in leaves.iter().filter(|leaf| !leaf.listed) {
            let Some(text) = leaf.text.as_deref().filter(|text| !text.is_empty()) else { continue };
            if leaf.plain != name
                || parent.is_some_and(|p| leaf.path.last().is_none_or(|last| last != p))
                || is_collectors(leaf, part)
            {
                continue;
            }
            match part {
                Head::Channel | Head::Provider => {
                    let whole = |own: &str| {
                        let from = text.len().checked_sub(own.len());
                        from.and_then(|at| text.get(at..))
                            .is_some_and(|end| end.eq_ignore_ascii_case(own))
                    };
                    let own = NAMES.iter().position(|(channel, provider)| {
                        whole(channel) || text.eq_ignore_ascii_case(provider)
                    });
                    whose = whose.or(own);
                    // words of many meanings count only by what they say
                    if own.is_none() && matches!(name, "source" | "log" | "path" | "logfile") {
                        continue;
                    }
                }
                Head::ProviderGuid if plain(text) == PROVIDER_GUID => {
                    whose = whose.or(Some(0));
                }
                Head::EventId if name == "id" && !named.contains(leaf.path.as_slice()) => continue,
                Head::Time => times.push(text),
                _ => {}
            }
            head[part as usize].get_or_insert_with(|| text.to_owned());
        }
    }
    // of times the first that can be read
    let read = times.iter().find(|text| time::read(text.as_bytes()).is_some());
    head[Head::Time as usize] = read.or(times.first()).map(|text| (*text).to_owned());
    let named = head[Head::Channel as usize].is_some() || head[Head::Provider as usize].is_some();
    (named || whose.is_some()).then_some((head, whose))
}

/// Whether a name is one that rendered messages have, and fields too.
fn is_message(leaf: &Leaf) -> bool {
    let name = leaf.plain.as_str();
    HEAD_NAMES.iter().any(|(part, names)| *part == Head::Message && names.contains(&name))
}

/// The part of a head that leaves name, without those of whoever collected the event.
pub fn part(leaves: &[Leaf], part: Head) -> Option<String> {
    let names = HEAD_NAMES.iter().filter(|(of, _)| *of == part).flat_map(|(_, names)| *names);
    let named = |name: &str| leaves.iter().find(|leaf| leaf.plain == *name);
    names.filter_map(|name| named(name)).find_map(|leaf| leaf.text.clone())
}

/// Whether a leaf speaks of whoever collected the event.
fn is_collectors(leaf: &Leaf, part: Head) -> bool {
    matches!(part, Head::Host | Head::Time | Head::EventId)
        && leaf.path.iter().any(|name| COLLECTORS.contains(&name.as_str()))
}

/// Leaves with a common path that have names of fields.
#[derive(Default)]
struct Group<'l> {
    /// One of the names can only be a field's.
    proven: bool,
    fields: Vec<(usize, &'l Leaf)>,
}

/// Takes the fields of the group that has most of them.
fn named_fields(leaves: &[Leaf], event_id: i32, assembled: &mut Assembled) -> bool {
    let exact = |field: usize, leaf: &Leaf| FIELD[field].names.contains(&leaf.name.as_str());
    // the one that acts may have the plain names in events of two processes
    let has = |event: &Event, field: usize| {
        let own = |field: usize| FIELD[field].names.iter().any(|name| event.fields.contains(name));
        own(field) || PAIRS.iter().any(|(plain, source)| *plain == field && own(*source))
    };
    let mut groups: BTreeMap<&[String], Group<'_>> = BTreeMap::new();
    for leaf in leaves {
        let name = &leaf.plain;
        let Some(field) = FIELD_NAMES.get(name).filter(|_| leaf.name != "ProcessID") else {
            continue;
        };
        // under other names than Sysmon's only what the event has: they are common words
        if !exact(*field, leaf) && event(event_id).is_some_and(|event| !has(event, *field)) {
            continue;
        }
        let group = groups.entry(&leaf.path).or_default();
        group.proven |= !AMBIGUOUS.contains(&name.as_str()) && leaf.text.is_some();
        group.fields.push((*field, leaf));
    }
    let proven = groups.into_iter().filter(|(_, group)| group.proven);
    let Some((path, Group { fields, .. })) = proven.max_by_key(|(_, group)| group.fields.len())
    else {
        return false;
    };
    for (field, leaf) in &fields {
        let known = assembled.fields.contains_key(field);
        if let Some(text) = &leaf.text
            && (!known || exact(*field, leaf))
        {
            assembled.fields.insert(*field, text.clone());
        }
    }
    join_hashes(leaves.iter().filter(|leaf| leaf.path == path), event_id, &mut assembled.fields);
    // where the head stands beside the fields, so does everything that the tool says
    let beside_head =
        path.is_empty() || leaves.iter().any(|leaf| leaf.path == path && leaf.plain == "eventid");
    if beside_head {
        drop_envelope(event_id, &mut assembled.fields);
    }
    // under Sysmon's own names they are where they belong
    if !fields.iter().any(|(field, leaf)| *field == PROCESS_GUID && exact(*field, leaf)) {
        move_to_source(event_id, &mut assembled.fields);
    }
    let unknown = leaves.iter().filter(|leaf| leaf.path == path && !beside_head);
    for leaf in unknown.filter(|leaf| !FIELD_NAMES.contains_key(&leaf.plain)) {
        if let Some(text) = &leaf.text {
            assembled.unknown.push((leaf.name.clone(), text.clone()));
        }
    }
    true
}

/// Puts hashes that have a name each into their field, as Sysmon writes them.
fn join_hashes<'l>(
    leaves: impl Iterator<Item = &'l Leaf>,
    event_id: i32,
    fields: &mut BTreeMap<usize, String>,
) {
    let mut joined: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for leaf in leaves {
        let found = HASH_ALIASES.iter().find_map(|(prefix, field)| {
            let rest = leaf.plain.strip_prefix(prefix)?;
            let algorithm = ALGORITHMS.iter().find(|name| name.eq_ignore_ascii_case(rest))?;
            let (field, _) = field_named(field.as_bytes())?;
            Some((if event_id == 15 { HASH } else { field }, algorithm))
        });
        if let (Some((field, algorithm)), Some(text)) = (found, &leaf.text) {
            joined.entry(field).or_default().push(format!("{algorithm}={text}"));
        }
    }
    for (field, hashes) in joined {
        fields.entry(field).or_insert_with(|| hashes.join(","));
    }
}

/// Undoes the escapes that Wazuh puts into the values of an event: backslashes are doubled, quotes
/// have one before them, and the entities of XML stay. Nothing is changed where a value shows that
/// there are none.
fn unescape_wazuh(fields: &mut BTreeMap<usize, String>) {
    let escapes = |text: &str| {
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\\' if !matches!(chars.next(), Some('\\' | '"')) => return false,
                '"' => return false,
                _ => {}
            }
        }
        true
    };
    let any = fields.values().any(|text| text.contains('\\'));
    if !any || !fields.values().all(|text| escapes(text)) {
        return;
    }
    for text in fields.values_mut() {
        let plain = text.replace("\\\\", "\0").replace("\\\"", "\"").replace('\0', "\\");
        *text = match unescape(&plain) {
            Ok(unescaped) => unescaped.into_owned(),
            Err(_) => plain,
        };
    }
}

/// Words of the tool that are names of fields too.
fn drop_envelope(event_id: i32, fields: &mut BTreeMap<usize, String>) {
    if event_id != 4 {
        fields.remove(const { &index_of("VERSION") });
    }
    if fields.get(&EVENT_TYPE).is_some_and(|text| !text.bytes().any(|b| b.is_ascii_lowercase())) {
        fields.remove(&EVENT_TYPE);
    }
}

/// Fields of the process that acts: under its plain name, and in events of two processes.
const PAIRS: [(usize, usize); 4] = [
    (PROCESS_GUID, index_of("SOURCE_PROCESS_GUID")),
    (index_of("PROCESS_ID"), index_of("SOURCE_PROCESS_ID")),
    (index_of("IMAGE"), index_of("SOURCE_IMAGE")),
    (index_of("USER"), index_of("SOURCE_USER")),
];

const EVENT_TYPE: usize = index_of("EVENT_TYPE");
const HASH: usize = index_of("HASH");
const PROCESS_GUID: usize = index_of("PROCESS_GUID");

/// In events of two processes the one that acts has the plain names in some indexes.
fn move_to_source(event_id: i32, fields: &mut BTreeMap<usize, String>) {
    if !matches!(event_id, 8 | 10) {
        return;
    }
    for (plain, source) in PAIRS {
        if !fields.contains_key(&source)
            && let Some(text) = fields.remove(&plain)
        {
            fields.insert(source, text);
        }
    }
}

/// Takes the fields of a list without names.
fn listed_fields(
    lists: &[List],
    leaves: &[Leaf],
    event_id: i32,
    assembled: &mut Assembled,
) -> bool {
    let numbered = numbered(leaves);
    lists.iter().map(|list| &list.values).chain(&numbered).any(|values| {
        let Some(order) = fields_in_order(event_id, values) else { return false };
        assembled.fields = order.into_iter().zip(values.iter().cloned()).collect();
        true
    })
}

/// The values of `param1`, `param2` …, in their order.
fn numbered(leaves: &[Leaf]) -> Option<Vec<String>> {
    let mut values = BTreeMap::new();
    for leaf in leaves {
        if let Some(number) = param(&leaf.name) {
            values.insert(number, leaf.text.clone().unwrap_or_default());
        }
    }
    let complete = values.keys().copied().eq(1..=values.len());
    (complete && !values.is_empty()).then(|| values.into_values().collect())
}

/// Which tool writes such names.
fn shape(leaves: &Leaves, rendered: bool) -> Shape {
    let own = leaves
        .all
        .iter()
        .map(|leaf| leaf.path.iter().cloned().chain([leaf.plain.clone()]).collect::<Vec<_>>());
    let paths: Vec<Vec<String>> = own.chain(leaves.lists.iter().map(|l| l.path.clone())).collect();
    let within = |path: &[String], mark: &str| match mark.split_once('.') {
        None => path.iter().any(|level| level == mark),
        Some((parent, name)) => path.windows(2).any(|pair| pair[0] == parent && pair[1] == name),
    };
    let has = |mark: &str| {
        if let Some(name) = mark.strip_prefix('=') {
            leaves.all.iter().any(|leaf| leaf.name == name)
        } else if let Some(mark) = mark.strip_prefix('^') {
            paths.iter().any(|path| within(&path[..path.len().min(2)], mark))
        } else {
            paths.iter().any(|path| within(path, mark))
        }
    };
    let tool = TOOLS.iter().find(|(_, marks)| marks.iter().all(|mark| has(mark)));
    if leaves.xml {
        return Shape::Xml;
    }
    tool.map_or(if rendered { Shape::Rendered } else { Shape::Named }, |(shape, _)| *shape)
}
