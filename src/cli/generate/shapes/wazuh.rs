//! Wazuh's `alerts.json`: the event stands in `data.win`, with names in lower camel case and all
//! values as text.
//!
//! In `eventdata` the manager keeps the entities of the event's XML, doubles backslashes and puts
//! one before a quote, takes blanks off both ends, and leaves out a value of `-`. The message, in
//! quotes of its own, is as Windows renders it. `timestamp` is the time of arrival.

use super::super::event::Event;
use super::super::world::{Host, stamp};
use super::json::{Object, Order};
use super::{message, thread, version, writer, xml};

/// An alert.
pub fn alert(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut system = Object::new();
    system
        .text("providerName", event.channel.provider())
        .text("providerGuid", event.channel.provider_guid())
        .text("eventID", &event.id.to_string())
        .text("version", &version(event).to_string())
        .text("level", "4")
        .text("task", &event.id.to_string())
        .text("opcode", "0")
        .text("keywords", "0x8000000000000000")
        .text("systemTime", &stamp(event.logged, 'T', "0000Z"))
        .text("eventRecordID", &event.record.to_string())
        .text("processID", &writer(event, host).to_string())
        .text("threadID", &thread(event).to_string())
        .text("channel", event.channel.name())
        .text("computer", &host.name)
        .text("severityValue", "INFORMATION")
        .text("message", &format!("\"{}\"", message(event, "\r\n")));
    let mut data = Object::new();
    for (name, value) in &event.fields {
        let value = value.trim();
        if !value.is_empty() && value != "-" {
            data.text(&camel(name), &escaped(value));
        }
    }
    let (mut win, mut outer) = (Object::new(), Object::new());
    win.object("system", &system, order).object("eventdata", &data, order);
    outer.object("win", &win, order);
    let number = format!("{:03}", host.index + 1);
    let mut agent = Object::new();
    agent.text("id", &number).text("name", host.short()).text("ip", &host.ip);
    let mut record = Object::new();
    record
        .text("timestamp", &stamp(event.logged + 13_000, 'T', "+0000"))
        .raw("rule", r#"{"level":3,"description":"Sysmon","id":"61600","groups":["sysmon"]}"#)
        .object("agent", &agent, order)
        .raw("manager", r#"{"name":"wazuh"}"#)
        .text("id", &format!("{}.{}", (event.logged + 13_000) / 1000, event.record))
        .raw("decoder", r#"{"name":"windows_eventchannel"}"#)
        .object("data", &outer, order)
        .text("location", "EventChannel");
    record
}

/// A name with a small first letter.
fn camel(name: &str) -> String {
    name[..1].to_lowercase() + &name[1..]
}

/// A value as the manager leaves it.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 16);
    xml::escape(&mut text, value, false);
    text.replace('\\', r"\\").replace('"', r#"\""#)
}
