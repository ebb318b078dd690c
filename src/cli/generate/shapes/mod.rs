//! The shapes an event takes on its way: one file per shape, all from the same `Event`.
//!
//! Every shape carries the same facts: host, event id, record number (Azure's has none), log time to the ms, and the fields.
//! What a shape does to them, a reader must undo:
//!
//! | shape | what is special |
//! |---|---|
//! | `winlogbeat6` | flat, record number as text, `<>&` escaped, no `-` values (Sysmon of that time left fields empty) |
//! | `winlogbeat7` | under `winlog`, numbers, no `-` values |
//! | `winlogbeat8` | event id as text |
//! | `winlogbeat7-ecs` | fields renamed to ECS, `UtcTime` is `@timestamp`, the log time is `event.created` |
//! | `nxlog` | flat, local `EventTime`, `EventType` lost; every second host's shipper has overwritten `ProcessId` too |
//! | `evtx-dump` | native numbers and booleans, GUIDs in upper case without braces |
//! | `azure` | `EventData` is JSON in a string, `UtcTime` in ISO 8601, no record number |
//! | `xml`, `xml-events` | Windows event XML, an event a line; the second inside `<Events>` |
//! | `linux-syslog` | that XML with Sysmon for Linux's provider, behind a syslog prefix |

mod azure;
mod ecs;
mod evtx_dump;
mod json;
mod nxlog;
mod winlogbeat;
mod xml;

use std::str::FromStr;

use super::event::{Channel, Event, rule, title};
use super::random::Rng;
use super::world::Host;
use json::Order;

/// A shape of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Winlogbeat 6.
    Winlogbeat6,
    /// Winlogbeat 7, raw.
    Winlogbeat7,
    /// Winlogbeat 8 and 9, raw.
    Winlogbeat8,
    /// Winlogbeat 7 with Elastic's Sysmon module.
    Winlogbeat7Ecs,
    /// `NXLog`, as in the Mordor data sets.
    Nxlog,
    /// JSON of `evtx_dump`.
    EvtxDump,
    /// Azure's event table.
    Azure,
    /// Windows event XML.
    Xml,
    /// The same inside `<Events>`.
    XmlEvents,
    /// Sysmon for Linux in syslog.
    LinuxSyslog,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 10] = [
        Self::Winlogbeat6,
        Self::Winlogbeat7,
        Self::Winlogbeat8,
        Self::Winlogbeat7Ecs,
        Self::Nxlog,
        Self::EvtxDump,
        Self::Azure,
        Self::Xml,
        Self::XmlEvents,
        Self::LinuxSyslog,
    ];

    /// Its name on the command line and in the expected result.
    pub fn name(self) -> &'static str {
        match self {
            Self::Winlogbeat6 => "winlogbeat6",
            Self::Winlogbeat7 => "winlogbeat7",
            Self::Winlogbeat8 => "winlogbeat8",
            Self::Winlogbeat7Ecs => "winlogbeat7-ecs",
            Self::Nxlog => "nxlog",
            Self::EvtxDump => "evtx-dump",
            Self::Azure => "azure",
            Self::Xml => "xml",
            Self::XmlEvents => "xml-events",
            Self::LinuxSyslog => "linux-syslog",
        }
    }
}

/// A name or list of names given for `--shape`; `mixed` is every shape that stands on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shapes(pub Vec<Shape>);

impl FromStr for Shapes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shapes = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name == "mixed" {
                shapes.extend(Shape::ALL.into_iter().filter(|shape| *shape != Shape::XmlEvents));
            } else if let Some(shape) = Shape::ALL.into_iter().find(|shape| shape.name() == name) {
                shapes.push(shape);
            } else {
                let names: Vec<_> = Shape::ALL.into_iter().map(Shape::name).collect();
                return Err(format!(
                    "unknown shape '{name}'; the shapes are {} and mixed",
                    names.join(", ")
                ));
            }
        }
        Ok(Self(shapes))
    }
}

/// Prints events.
#[derive(Debug)]
pub struct Printer {
    order: Order,
}

impl Printer {
    /// A printer; with `shuffle`, the keys of JSON objects come in random order.
    pub fn new(seed: u64, shuffle: bool) -> Self {
        Self { order: Order(shuffle.then(|| Rng::new(seed, "keys"))) }
    }

    /// Appends an event as a line.
    pub fn print(&mut self, shape: Shape, event: &Event, host: &Host, out: &mut String) {
        let order = &mut self.order;
        match shape {
            Shape::Winlogbeat6 => winlogbeat::six(event, host, order).write(out, order),
            Shape::Winlogbeat7 => winlogbeat::seven(event, host, order).write(out, order),
            Shape::Winlogbeat8 => winlogbeat::eight(event, host, order).write(out, order),
            Shape::Winlogbeat7Ecs => ecs::record(event, host, order).write(out, order),
            Shape::Nxlog => nxlog::record(event, host).write(out, order),
            Shape::EvtxDump => evtx_dump::record(event, host, order).write(out, order),
            Shape::Azure => azure::record(event, host, order).write(out, order),
            Shape::Xml | Shape::XmlEvents => xml::event(event, host, out),
            Shape::LinuxSyslog => xml::syslog(event, host, out),
        }
        out.push('\n');
    }
}

/// The message, as Windows renders it.
fn message(event: &Event, newline: &str) -> String {
    let mut text = String::with_capacity(1024);
    text.push_str(title(event.channel, event.id));
    text.push(':');
    for (name, value) in &event.fields {
        text.push_str(newline);
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
    }
    text
}

/// The task's name.
fn task(event: &Event) -> String {
    let title = title(event.channel, event.id);
    match rule(event.id) {
        Some(rule) if event.channel == Channel::Sysmon => format!("{title} (rule: {rule})"),
        _ => title.to_owned(),
    }
}

/// Version of the event's template.
fn version(event: &Event) -> u8 {
    match event.id {
        1 | 3 | 22 | 23 => 5,
        12..=14 | 4624 | 4688 => 2,
        _ => 3,
    }
}

/// Process id of the service that wrote the event, not of its subject.
fn writer(event: &Event, host: &Host) -> u32 {
    if event.channel == Channel::Sysmon { host.sysmon_pid } else { 4 }
}

/// Thread id of that service.
fn thread(event: &Event) -> u32 {
    3684 + (event.record % 5) as u32 * 4
}
