//! Fluent Bit's input `winevtlog`, with the event's parts or its XML, and Fluentd's
//! `windows_eventlog2`.
//!
//! Values stand by position, the message has the names. Fluent Bit types them (numbers and flags)
//! and prints the time in whole seconds; Fluentd has text alone, in `EventData`, and the time to
//! nine digits. GUIDs are in upper case with braces. With XML, Fluent Bit has the event in
//! `System`, a string.

use super::super::event::{Event, Kind, kind};
use super::super::world::{Host, stamp};
use super::json::{Object, array, quoted, typed};
use super::{bare_guid, message, thread, version, whole_seconds, writer, xml};

/// An event of Fluent Bit by its parts.
pub fn bit(event: &Event, host: &Host) -> Object {
    let mut record = Object::new();
    record
        .text("ProviderName", event.channel.provider())
        .text("ProviderGuid", &event.channel.provider_guid().to_uppercase())
        .text("Qualifiers", "")
        .number("EventID", event.id)
        .number("Version", version(event))
        .number("Level", 4)
        .number("Task", event.id)
        .number("Opcode", 0)
        .text("Keywords", "0x8000000000000000")
        .text("TimeCreated", &whole_seconds(event.logged, ' ', " +0000"))
        .number("EventRecordID", event.record)
        .text("ActivityID", "")
        .text("RelatedActivityID", "")
        .number("ProcessID", writer(event, host))
        .number("ThreadID", thread(event))
        .text("Channel", event.channel.name())
        .text("Computer", &host.name)
        .text("UserID", "S-1-5-18")
        .text("Message", &message(event, "\r\n"))
        .raw("StringInserts", &inserts(event));
    record
}

/// An event of Fluent Bit by its XML.
pub fn bit_xml(event: &Event, host: &Host) -> Object {
    let mut record = Object::new();
    record
        .text("System", &xml::text(event, host))
        .text("Message", &message(event, "\r\n"))
        .raw("StringInserts", &inserts(event));
    record
}

/// An event of Fluentd.
pub fn d(event: &Event, host: &Host) -> Object {
    let id = event.id.to_string();
    let values = event.fields.iter().map(|(name, value)| quoted(&printed(name, value)));
    let mut record = Object::new();
    record
        .text("ProviderName", event.channel.provider())
        .text("ProviderGUID", &event.channel.provider_guid().to_uppercase())
        .text("EventID", &id)
        .text("Qualifiers", "")
        .text("Level", "4")
        .text("Task", &id)
        .text("Opcode", "0")
        .text("Keywords", "0x8000000000000000")
        .text("TimeCreated", &stamp(event.logged, 'T', "000000Z"))
        .text("EventRecordID", &event.record.to_string())
        .text("ActivityID", "")
        .text("RelatedActivityID", "")
        .text("ProcessID", &writer(event, host).to_string())
        .text("ThreadID", &thread(event).to_string())
        .text("Channel", event.channel.name())
        .text("Computer", &host.name)
        .text("UserID", "S-1-5-18")
        .text("Version", &version(event).to_string())
        .text("Description", &message(event, "\r\n"))
        .raw("EventData", &array(values));
    record
}

fn inserts(event: &Event) -> String {
    array(event.fields.iter().map(|(name, value)| typed(name, &printed(name, value))))
}

/// A value as Windows prints it.
fn printed(name: &str, value: &str) -> String {
    if kind(name) == Kind::Guid { format!("{{{}}}", bare_guid(value)) } else { value.to_owned() }
}
