//! Events that are not in one of the shippers' shapes: exports of SIEMs, collectors and consoles.
//!
//! ```text
//!                  ┌──────── a nested object or text, as a record of its own ───────┐
//!                  ▼                                                                │
//!  record ──► as a shipper's shape? ──no──► objects, lists and texts within it ─────┤
//!                                                        │ no event in any of them  │
//!                                                        ▼                          │
//!                                    leaves ──► head and fields by their names ──► event
//! ```
//!
//! Two things are undone, and neither is a list of tools:
//!
//! * *Envelopes.* An event may be anywhere inside a record: as an object or list (`_source`,
//!   `hits.hits`, `records`), or as a text of JSON, XML or name=value lines (`_raw`, `message`,
//!   `event.original`). Every object and text is tried as a record of its own. Of the members of an
//!   object the first that is an event counts, since the others repeat it; of the elements of a
//!   list all do.
//! * *Names.* Where no part of an object is an event, its leaves may be one together: a number here,
//!   a channel there, the fields in a text of XML. They are put together by their names
//!   ([`assemble`]), which stand in the catalogue ([`aliases`](super::catalogue::aliases)).
//!
//! # What attackers write
//! Fields hold text that attackers choose, and it may look like an event. So a value under the name
//! of a field is never searched, and texts are searched only where the object around them does not
//! say itself which event it is.
//!
//! # Bounds
//! Objects, lists and texts are searched [`MAX_DEPTH`] deep. Leaves are taken from objects of at
//! most [`MAX_EVENT`] bytes: an event has 64 KiB, of which exports may hold several copies. A larger
//! object is searched for events without being copied.
//!
//! # What is lost
//! Elements of a list of events that are none, or cannot be read, are counted, and the record is a
//! dead letter besides the events that it gave.

pub mod advice;
mod assemble;
mod leaves;
mod message;
mod text;
mod tree;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use assemble::Outcome;
pub(super) use assemble::{Assembled, NAMES};
use leaves::Leaves;

use super::catalogue::aliases::Head;
use crate::format::error::DecodeError;

/// How deep an event may be in objects, lists and texts.
const MAX_DEPTH: usize = 12;

/// The largest object that is taken apart into leaves, in bytes.
const MAX_EVENT: usize = 1 << 20;

/// The longest part of a head with its quotes: a name of a machine, in DNS.
const MAX_PART: usize = 255;

/// An event of Sysmon whose kind is not known.
pub(super) const NO_NUMBER: DecodeError =
    DecodeError::UnknownShape { missing: "no event number in a Sysmon event" };

/// Who takes what is found.
pub(super) trait Target {
    /// Reads a text as a record in a shipper's shape; false when it is no event of one. What the
    /// record does not say is taken from what is around it.
    fn record(&mut self, text: &str, around: &Around<'_>) -> Result<bool, DecodeError>;
    /// Takes an event that was put together.
    fn event(&mut self, event: &Assembled, around: &Around<'_>);
    /// Takes note of an event of another channel or provider.
    fn other_channel(&mut self, name: &str);
}

/// What came of a search.
#[derive(Default)]
pub(super) struct Found {
    /// Events, of any channel.
    pub events: u64,
    /// The record is an action of Elasticsearch's bulk format, which says where an event goes.
    pub action: bool,
    /// Elements of lists of events that are none.
    pub lost: u64,
    /// Why the first of what looked like an event could not be read.
    pub problem: Option<DecodeError>,
}

/// Searches a record that is in none of the shippers' shapes.
pub(super) fn search(record: &str, target: &mut impl Target) -> Found {
    let mut search = Search { target, found: Found::default(), rendered: false };
    let record = record.trim();
    search.without_rendered_first(|search| match record.as_bytes().first() {
        Some(b'{') => search.object(record, 0, &Around::NOTHING),
        Some(b'[') => search.list(record, 0, &Around::NOTHING),
        _ => search.text(record, 0, &Around::NOTHING),
    });
    search.found
}

struct Search<'t, T> {
    target: &'t mut T,
    found: Found,
    /// Rendered messages are read too.
    rendered: bool,
}

impl<T: Target> Search<'_, T> {
    fn note(&mut self, problem: DecodeError) {
        self.found.problem.get_or_insert(problem);
    }

    /// Searches for fields by their names and positions, and only then in rendered messages.
    fn without_rendered_first(&mut self, search: impl Fn(&mut Self) -> bool) -> bool {
        if self.rendered {
            return search(self);
        }
        if search(self) {
            return true;
        }
        self.rendered = true;
        let found = search(self);
        self.rendered = false;
        found
    }

    /// Whether there is an event in an object.
    fn object(&mut self, text: &str, depth: usize, around: &Around<'_>) -> bool {
        if depth > MAX_DEPTH {
            return false;
        }
        let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(text) else { return false };
        if is_bulk_action(&members) {
            self.found.action = true;
            return false;
        }
        // the record itself has been tried
        if depth > 0 && self.record(text, around) {
            return true;
        }
        if text.len() <= MAX_EVENT
            && members.iter().any(|(key, _)| key.contains('.'))
            && self.record(&nested(&members).to_string(), around)
        {
            return true;
        }
        let within = Around { members: &members, outer: Some(around) };
        let searched: Vec<&str> = members
            .iter()
            .filter(|(key, value)| {
                let name = leaves::levels(key).pop().unwrap_or_default();
                value.get().starts_with('{') || !assemble::is_field_name(name)
            })
            .map(|(_, value)| value.get())
            .collect();
        if searched.iter().any(|value| self.structure(value, depth + 1, &within)) {
            return true;
        }
        let leaves = (text.len() <= MAX_EVENT)
            .then(|| serde_json::from_str(text).ok().map(|tree| leaves::of(&tree)))
            .flatten();
        leaves.as_ref().is_some_and(|leaves| self.assemble(leaves, false, around))
            || searched.iter().any(|value| self.inner_text(value, depth + 1, &within))
            || leaves.is_some_and(|leaves| self.assemble(&leaves, true, around))
    }

    /// Searches an object, or a list of objects.
    fn structure(&mut self, text: &str, depth: usize, around: &Around<'_>) -> bool {
        match text.as_bytes().first() {
            Some(b'{') => self.object(text, depth, around),
            Some(b'[') => self.list(text, depth, around),
            _ => false,
        }
    }

    /// Whether there is an event in a list; all of its elements are searched.
    fn list(&mut self, text: &str, depth: usize, around: &Around<'_>) -> bool {
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else { return false };
        if depth > MAX_DEPTH || !is_of_events(&items) {
            return false;
        }
        let (before, mut lost) = (self.found.events, 0);
        for item in items.iter().map(|item| item.get()) {
            let found = self.without_rendered_first(|search| {
                search.structure(item, depth + 1, around)
                    || search.inner_text(item, depth + 1, around)
            });
            lost += u64::from(!found);
        }
        let any = self.found.events > before;
        self.found.lost += if any { lost } else { 0 };
        any
    }

    /// Searches the text of a JSON string.
    fn inner_text(&mut self, json: &str, depth: usize, around: &Around<'_>) -> bool {
        if !json.starts_with('"') || !may_hold_event(json) {
            return false;
        }
        let Ok(text) = serde_json::from_str::<String>(json) else { return false };
        let (text, depth) = (text.trim(), depth + 1);
        match text.as_bytes().first() {
            Some(b'{') => self.object(text, depth, around),
            Some(b'[') => self.list(text, depth, around),
            _ => {
                (text.contains('<') && self.record(text, around)) || self.text(text, depth, around)
            }
        }
    }

    /// Whether a text that is not JSON, or holds no event as it stands, is one.
    fn text(&mut self, text: &str, depth: usize, around: &Around<'_>) -> bool {
        if depth > MAX_DEPTH || text.len() > MAX_EVENT {
            return false;
        }
        let tree = (text.starts_with('<') && text.ends_with('>')).then(|| tree::xml(text).ok());
        let tree = tree.flatten().filter(Value::is_object);
        let leaves = tree.map(|tree| Leaves { xml: true, ..leaves::of(&tree) });
        leaves.is_some_and(|leaves| self.assemble(&leaves, true, around))
            || (self.rendered
                && text::parts(text)
                    .is_some_and(|parts| self.assemble(&leaves::of(&parts), true, around)))
    }

    fn record(&mut self, text: &str, around: &Around<'_>) -> bool {
        match self.target.record(text, around) {
            Ok(is_event) => {
                self.found.events += u64::from(is_event);
                is_event
            }
            Err(problem) => {
                self.note(problem);
                false
            }
        }
    }

    fn assemble(&mut self, leaves: &Leaves, in_texts: bool, around: &Around<'_>) -> bool {
        match assemble::assemble(leaves, in_texts, self.rendered) {
            Outcome::Nothing => return false,
            Outcome::NoNumber => self.note(NO_NUMBER),
            Outcome::NoFields => self.note(DecodeError::NoFields),
            Outcome::OtherChannel(name) => {
                self.target.other_channel(&name);
                self.found.events += 1;
                return true;
            }
            Outcome::Event(mut event) => {
                for part in [Head::Host, Head::Time] {
                    let own = &mut event.head[part as usize];
                    *own = own.take().or_else(|| around.part(part));
                }
                self.target.event(&event, around);
                self.found.events += 1;
                return true;
            }
        }
        false
    }
}

/// The objects around what is searched, innermost first.
pub(super) struct Around<'a> {
    members: &'a [(Cow<'a, str>, &'a RawValue)],
    outer: Option<&'a Around<'a>>,
}

impl Around<'_> {
    const NOTHING: Around<'static> = Around { members: &[], outer: None };

    /// Where the event was kept and by whom it was collected, by the names that tools use.
    pub fn origin(&self) -> Vec<(String, String)> {
        let mut origin: Vec<_> = self.outer.map_or_else(Vec::new, Around::origin);
        for (key, value) in self.members {
            let text = |json: &str| serde_json::from_str::<String>(json).ok();
            match &**key {
                "_index" | "index" => {
                    origin.extend(text(value.get()).map(|t| (key.to_string(), t)))
                }
                "agent" => {
                    let agent = serde_json::from_str::<Map<String, Value>>(value.get());
                    let name =
                        agent.ok().and_then(|agent| Some(agent.get("name")?.as_str()?.to_owned()));
                    origin.extend(name.map(|name| ("agent.name".to_owned(), name)));
                }
                _ => {}
            }
        }
        origin
    }

    /// The part of a head that the innermost object names: some tools say it once for what they
    /// enclose.
    pub fn part(&self, part: Head) -> Option<String> {
        let short = self.members.iter().filter(|(_, value)| {
            !value.get().starts_with(['{', '[']) && value.get().len() <= MAX_PART
        });
        let tree = short.filter_map(|(key, value)| {
            Some((key.to_string(), serde_json::from_str(value.get()).ok()?))
        });
        assemble::part(&leaves::of(&Value::Object(tree.collect())).all, part)
            .or_else(|| self.outer.and_then(|outer| outer.part(part)))
    }
}

/// The members of an object in their order, values unread.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((member.0.0, member.1));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether an object is a line of Elasticsearch's bulk format that says what to do with the next.
fn is_bulk_action(members: &[(Cow<'_, str>, &RawValue)]) -> bool {
    let [(key, value)] = members else { return false };
    let of_index = |text: &str| {
        serde_json::from_str::<Map<String, Value>>(text)
            .is_ok_and(|of| of.keys().all(|key| key.starts_with('_') || key == "routing"))
    };
    matches!(&**key, "index" | "create" | "update" | "delete") && of_index(value.get())
}

/// Whether a JSON string may hold an event: a cheap look before it is unescaped.
fn may_hold_event(json: &str) -> bool {
    let mut content = json[1..].trim_start();
    while let Some(rest) = ["\\r", "\\n", "\\t"].iter().find_map(|b| content.strip_prefix(b)) {
        content = rest.trim_start();
    }
    content.starts_with(['{', '[', '<'])
        || content.starts_with("\\u003c")
        || content.starts_with("\\u003C")
        || json.contains("UtcTime")
        // a header of syslog before XML
        || json.get(..256).unwrap_or(json).contains("<Event")
}

/// Whether a list may be one of events: not one of fields, with or without their names.
fn is_of_events(items: &[&RawValue]) -> bool {
    let objects = items.iter().all(|item| item.get().starts_with('{'));
    let texts =
        || items.iter().all(|item| item.get().starts_with('"') && may_hold_event(item.get()));
    let Some(first) = items.first().filter(|_| objects || texts()) else { return false };
    if first.get().len() > MAX_EVENT {
        return true;
    }
    serde_json::from_str::<Value>(first.get()).is_ok_and(|first| {
        let is_value = first.as_object().is_some_and(|o| o.keys().eq(["Value"]));
        leaves::named(&first).is_none() && !is_value
    })
}

/// An object whose keys have their levels in dots, as objects in each other. Lists of one value are
/// that value.
fn nested(members: &[(Cow<'_, str>, &RawValue)]) -> Value {
    let mut root = Map::new();
    // deeper ones are no names
    let names = members.iter().filter(|(key, _)| key.split('.').count() <= MAX_DEPTH);
    for (key, value) in names {
        let mut levels: Vec<&str> = key.split('.').collect();
        let last = levels.pop().expect("splitting gives one part at least");
        let mut object = &mut root;
        for level in levels {
            let next = object.entry(level).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            object = next.as_object_mut().expect("it was made one");
        }
        let value: Value = serde_json::from_str(value.get()).unwrap_or_default();
        let value = match value {
            Value::Array(mut one) if one.len() == 1 => one.remove(0),
            value => value,
        };
        object.insert(last.to_owned(), value);
    }
    Value::Object(root)
}
