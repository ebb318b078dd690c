//! Splunk: what it takes, and what it exports.
//!
//! * Text, the add-on's classic form: `Name=value` lines from `LogName` on, then the message. Its
//!   time has no zone (here UTC) and no milliseconds, and an event ends where the next begins.
//! * The event's XML: a cell of CSV, a result's `_raw`, or the `event` of an HTTP event collector.

use std::fmt::Write as _;

use super::super::event::Event;
use super::super::world::{Host, civil, stamp};
use super::json::{Object, Order};
use super::{message, task, xml};

/// The first line of a CSV export.
pub const CSV_HEAD: &str = "\"_time\",\"_raw\",host\n";

/// An event as text.
pub fn text(event: &Event, host: &Host, out: &mut String) {
    let _ = write!(
        out,
        "{}\nLogName={}\nEventCode={}\nEventType=4\nComputerName={}\nUser=NOT_TRANSLATED\n\
         Sid=S-1-5-18\nSidType=0\nSourceName={}\nType=Information\nRecordNumber={}\nKeywords=None\n\
         TaskCategory={}\nOpCode=Info\nMessage={}",
        civil(event.logged).strftime("%m/%d/%Y %I:%M:%S %p"),
        event.channel.name(),
        event.id,
        host.name,
        event.channel.provider(),
        event.record,
        task(event),
        message(event, "\n")
    );
}

/// A line of a CSV export.
pub fn csv(event: &Event, host: &Host, out: &mut String) {
    let raw = xml::text(event, host).replace('"', "\"\"");
    let time = stamp(event.logged, 'T', "+0000");
    let _ = write!(out, "\"{time}\",\"{raw}\",{}", host.short());
}

/// A result of the search interface.
pub fn result(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut result = Object::new();
    result
        .text("_raw", &xml::text(event, host))
        .text("_time", &stamp(event.logged, 'T', "+00:00"))
        .text("host", host.short())
        .text("source", &source(event))
        .text("sourcetype", "XmlWinEventLog");
    let mut record = Object::new();
    record.raw("preview", "false").object("result", &result, order);
    record
}

/// What is sent to an HTTP event collector.
pub fn collected(event: &Event, host: &Host) -> Object {
    let (seconds, ms) = (event.logged.div_euclid(1000), event.logged.rem_euclid(1000));
    let mut record = Object::new();
    record
        .raw("time", &format!("{seconds}.{ms:03}"))
        .text("host", host.short())
        .text("source", &source(event))
        .text("sourcetype", "XmlWinEventLog")
        .text("event", &xml::text(event, host));
    record
}

fn source(event: &Event) -> String {
    format!("XmlWinEventLog:{}", event.channel.name())
}
