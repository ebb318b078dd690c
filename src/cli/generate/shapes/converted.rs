//! Event XML turned into JSON by libraries: Python's `xmltodict`, and 0xrawsec's `golang-evtx`,
//! which reads the binary log.
//!
//! `xmltodict` marks attributes by `@` and keeps the list of `Data`; `golang-evtx` puts attributes
//! and fields under their names. Both give every value as text, the second prints GUIDs without
//! braces.

use super::super::event::Event;
use super::super::world::{Host, stamp};
use super::json::{Object, Order};
use super::{bare, bare_guid, named, thread, version, writer};

/// An event of `xmltodict`.
pub fn xmltodict(event: &Event, host: &Host, order: &mut Order) -> Object {
    let provider = event.channel.provider_guid().to_uppercase();
    let mut system = system(event, host, "@", &provider, order);
    system.raw("Correlation", "null");
    let (mut data, mut inner, mut record) = (Object::new(), Object::new(), Object::new());
    data.raw("Data", &named(event, order));
    inner
        .text("@xmlns", "http://schemas.microsoft.com/win/2004/08/events/event")
        .object("System", &system, order)
        .object("EventData", &data, order);
    record.object("Event", &inner, order);
    record
}

/// An event of `golang-evtx`.
pub fn golang_evtx(event: &Event, host: &Host, order: &mut Order) -> Object {
    let provider = bare_guid(event.channel.provider_guid());
    let mut system = system(event, host, "", &provider, order);
    system.raw("Correlation", "{}");
    let (mut data, mut inner, mut record) = (Object::new(), Object::new(), Object::new());
    for (name, value) in &event.fields {
        data.text(name, &bare(name, value));
    }
    inner.object("EventData", &data, order).object("System", &system, order);
    record.object("Event", &inner, order);
    record
}

/// `System` with a mark before the names of attributes.
fn system(event: &Event, host: &Host, mark: &str, provider: &str, order: &mut Order) -> Object {
    let attributes = |attributes: &[(&str, &str)], order: &mut Order| {
        let mut object = Object::new();
        for (name, value) in attributes {
            object.text(&format!("{mark}{name}"), value);
        }
        let mut text = String::new();
        object.write(&mut text, order);
        text
    };
    let (pid, tid) = (writer(event, host).to_string(), thread(event).to_string());
    let name = event.channel.provider();
    let mut system = Object::new();
    system
        .raw("Provider", &attributes(&[("Name", name), ("Guid", provider)], order))
        .text("EventID", &event.id.to_string())
        .text("Version", &version(event).to_string())
        .text("Level", "4")
        .text("Task", &event.id.to_string())
        .text("Opcode", "0")
        .text("Keywords", "0x8000000000000000")
        .raw(
            "TimeCreated",
            &attributes(&[("SystemTime", &stamp(event.logged, 'T', "0000Z"))], order),
        )
        .text("EventRecordID", &event.record.to_string())
        .raw("Execution", &attributes(&[("ProcessID", &pid), ("ThreadID", &tid)], order))
        .text("Channel", event.channel.name())
        .text("Computer", &host.name)
        .raw("Security", &attributes(&[("UserID", "S-1-5-18")], order));
    system
}
