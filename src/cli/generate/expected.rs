//! The expected result: what a reader of the written records must find.
//!
//! It is computed from the events themselves, before they take a shape, in plain maps: nothing of
//! the engine takes part. It goes as JSON beside the output:
//!
//! * `records`, `events` (written Sysmon events by id, copies included), `shapes`,
//!   `other_channels`, `duplicates` (copies), `late_creates` (creates written after a connection of
//!   their process), `seed`, `first_time`, `last_time` (event log time).
//! * `processes`: distinct (host, `ProcessGuid`) by knowledge. `complete`: its own event 1 was
//!   written. `partial`: another event than an event 3 names it, as any of its GUIDs of a process.
//!   `orphan`: event 3 alone names it. Zero GUIDs name none.
//! * `connections`: distinct events 3 by the knowledge of their process; `zero_guid` are those
//!   without one, so they are in none of the other three; a view with three states calls them
//!   orphans.
//! * `inner_join`: the distinct connections whose process is `complete`. `blake3` is the hash of
//!   their lines `host|ProcessGuid|DestinationIp|DestinationPort|SourcePort|CommandLine` in UTF-8,
//!   sorted by bytes, each ended by `\n`: the host in lower case, the GUID in upper case with
//!   braces, the others as the event has them. `CommandLine` is that of the create. Null beyond
//!   5,000,000 records, where the lines would not fit.
//! * `attack`: what the attacker did, in order: technique, action, host, time, GUID, image and
//!   command line.
//!
//! What a shape loses is lost here too: the printer shows an event to this file as its shape
//! carries it, so that times may be in whole seconds and command lines in lower case. Shapes
//! `azure`, `osquery` and `sentinel-event` have no record numbers, so there a reader may find more
//! copies than `duplicates`: two different events of the same ms that agree in every field (never
//! connections: those differ in their ports).
//!
//! Copies are the same event and count once in `processes`, `connections` and `inner_join`. Memory:
//! some 50 bytes for each process, plus the connections where lines are wanted; nothing where no
//! expected result is.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::attack::Deed;
use super::event::{Channel, Event, names_process};
use super::facts::ZERO_GUID;
use super::world::{World, stamp};

/// Beyond this many records no lines are kept.
pub const MOST_WITH_LINES: u64 = 5_000_000;

/// What is known of a process.
#[derive(Debug, Default)]
struct Known {
    created: bool,
    named: bool,
    connections: u32,
    command_line: Option<Box<str>>,
}

/// A connection of which a line is wanted.
#[derive(Debug)]
struct Connection {
    process: (usize, u128),
    rest: Box<str>,
}

/// Counts what is written.
#[derive(Debug)]
pub struct Expected {
    records: u64,
    duplicates: u64,
    late_creates: u64,
    other_channels: u64,
    zero_guid: u64,
    events: BTreeMap<u16, u64>,
    shapes: BTreeMap<&'static str, u64>,
    times: Option<(i64, i64)>,
    processes: HashMap<(usize, u128), Known>,
    connections: Option<Vec<Connection>>,
}

impl Expected {
    /// Nothing written yet, of `records` to come.
    pub fn new(records: u64) -> Self {
        Self {
            records: 0,
            duplicates: 0,
            late_creates: 0,
            other_channels: 0,
            zero_guid: 0,
            events: BTreeMap::new(),
            shapes: BTreeMap::new(),
            times: None,
            processes: HashMap::new(),
            connections: (records <= MOST_WITH_LINES).then(Vec::new),
        }
    }

    /// Takes note of an event that is written in a shape.
    pub fn see(&mut self, event: &Event, shape: &'static str) {
        self.records += 1;
        *self.shapes.entry(shape).or_default() += 1;
        let (first, last) = self.times.unwrap_or((event.logged, event.logged));
        self.times = Some((first.min(event.logged), last.max(event.logged)));
        if event.channel != Channel::Sysmon {
            self.other_channels += 1;
            self.duplicates += u64::from(event.copy);
            return;
        }
        *self.events.entry(event.id).or_default() += 1;
        if event.copy {
            self.duplicates += 1;
            return;
        }
        if event.id == 3 {
            self.connection(event);
            return;
        }
        for (name, guid) in event.fields.iter().filter(|(name, _)| names_process(name)) {
            let Some(guid) = bits(guid) else { continue };
            let known = self.processes.entry((event.host, guid)).or_default();
            known.named = true;
            if event.id == 1 && *name == "ProcessGuid" {
                known.created = true;
                self.late_creates += u64::from(known.connections > 0);
                if self.connections.is_some() {
                    known.command_line = event.get("CommandLine").map(Into::into);
                }
            }
        }
    }

    fn connection(&mut self, event: &Event) {
        let Some(guid) = event.get("ProcessGuid").and_then(bits) else {
            self.zero_guid += 1;
            return;
        };
        let process = (event.host, guid);
        self.processes.entry(process).or_default().connections += 1;
        if let Some(connections) = &mut self.connections {
            let [ip, to, from] = ["DestinationIp", "DestinationPort", "SourcePort"]
                .map(|name| event.get(name).unwrap_or_default());
            connections.push(Connection { process, rest: format!("{ip}|{to}|{from}").into() });
        }
    }

    /// The expected result as JSON.
    pub fn result(&self, seed: u64, world: &World, deeds: &[Deed]) -> Value {
        let mut processes = [0_u64; 3];
        let mut connections = [0_u64; 3];
        for known in self.processes.values() {
            let state = if known.created {
                0
            } else if known.named {
                1
            } else {
                2
            };
            processes[state] += 1;
            connections[state] += u64::from(known.connections);
        }
        let total = connections.iter().sum::<u64>() + self.zero_guid;
        let time = |ms: i64| stamp(ms, 'T', "Z");
        let events: BTreeMap<String, u64> =
            self.events.iter().map(|(id, count)| (id.to_string(), *count)).collect();
        json!({
            "seed": seed,
            "records": self.records,
            "first_time": self.times.map(|(first, _)| time(first)),
            "last_time": self.times.map(|(_, last)| time(last)),
            "shapes": self.shapes,
            "events": events,
            "other_channels": self.other_channels,
            "duplicates": self.duplicates,
            "late_creates": self.late_creates,
            "processes": {
                "total": self.processes.len(),
                "complete": processes[0], "partial": processes[1], "orphan": processes[2],
            },
            "connections": {
                "total": total,
                "complete": connections[0], "partial": connections[1], "orphan": connections[2],
                "zero_guid": self.zero_guid,
            },
            "inner_join": { "rows": connections[0], "blake3": self.lines(world).map(|lines| digest(&lines)) },
            "attack": deeds.iter().map(|deed| json!({
                "time": time(deed.at),
                "technique": deed.technique,
                "action": deed.action,
                "host": world.hosts[deed.host].name,
                "process_guid": deed.process.guid_text().to_uppercase(),
                "image": deed.process.image,
                "command_line": deed.process.command_line,
            })).collect::<Vec<_>>(),
        })
    }

    fn lines(&self, world: &World) -> Option<Vec<String>> {
        let mut lines: Vec<String> = self
            .connections
            .as_ref()?
            .iter()
            .filter_map(|connection| {
                let (host, guid) = connection.process;
                let command_line =
                    self.processes.get(&connection.process)?.command_line.as_ref()?;
                let host = world.hosts[host].name.to_lowercase();
                Some(format!("{host}|{}|{}|{command_line}", guid_text(guid), connection.rest))
            })
            .collect();
        lines.sort_unstable();
        Some(lines)
    }
}

fn digest(lines: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    for line in lines {
        hasher.update(line.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

/// The bits of a GUID's text, however it is spelt; none for the GUID of no process.
fn bits(text: &str) -> Option<u128> {
    if text == ZERO_GUID {
        return None;
    }
    let digits = text.chars().filter_map(|sign| sign.to_digit(16));
    Some(digits.fold(0, |bits, digit| bits << 4 | u128::from(digit))).filter(|bits| *bits != 0)
}

/// Upper case, with braces.
fn guid_text(bits: u128) -> String {
    let hex = format!("{bits:032X}");
    format!("{{{}-{}-{}-{}-{}}}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
