//! JSON of the crate `evtx`: the binary log's own types, so numbers and booleans are native and
//! GUIDs have no braces.
//!
//! `evtx_dump` puts an element's attributes into its member `#attributes`; Chainsaw puts them
//! beside the element, as `Provider_attributes`, and the event into a rule's hit.

use super::super::event::Event;
use super::super::world::{Host, stamp};
use super::json::{Object, Order, typed};
use super::{bare, bare_guid, thread, version, writer};

/// A record of `evtx_dump`.
pub fn record(event: &Event, host: &Host, order: &mut Order) -> Object {
    let system = system(event, host, order, |system, name, attributes, order| {
        let mut element = Object::new();
        element.object("#attributes", attributes, order);
        system.object(name, &element, order);
    });
    let mut inner = Object::new();
    inner.raw("#attributes", XMLNS).object("System", &system, order).object(
        "EventData",
        &fields(event),
        order,
    );
    let mut record = Object::new();
    record.object("Event", &inner, order);
    record
}

/// A hit of `chainsaw hunt --jsonl`.
pub fn hit(event: &Event, host: &Host, order: &mut Order) -> Object {
    let system = system(event, host, order, |system, name, attributes, order| {
        system.object(&format!("{name}_attributes"), attributes, order);
    });
    let (mut inner, mut data, mut document) = (Object::new(), Object::new(), Object::new());
    inner.object("EventData", &fields(event), order).object("System", &system, order);
    data.object("Event", &inner, order).raw("Event_attributes", XMLNS);
    document
        .text("kind", "evtx")
        .text("path", "/evidence/sysmon.evtx")
        .object("data", &data, order);
    let mut record = Object::new();
    record
        .text("group", "Sigma")
        .text("kind", "individual")
        .object("document", &document, order)
        .text("name", "Any Sysmon event")
        .text("timestamp", &stamp(event.logged, 'T', "000+00:00"))
        .raw("authors", r#"["somebody"]"#)
        .text("level", "low")
        .text("source", "sigma")
        .text("status", "experimental");
    record
}

const XMLNS: &str = r#"{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"}"#;

/// `System`; `put` adds an element that has attributes alone.
fn system(
    event: &Event,
    host: &Host,
    order: &mut Order,
    put: impl Fn(&mut Object, &str, &Object, &mut Order),
) -> Object {
    let (mut provider, mut time) = (Object::new(), Object::new());
    let (mut execution, mut security) = (Object::new(), Object::new());
    provider
        .text("Name", event.channel.provider())
        .text("Guid", &bare_guid(event.channel.provider_guid()));
    time.text("SystemTime", &stamp(event.logged, 'T', "000Z"));
    execution.number("ProcessID", writer(event, host)).number("ThreadID", thread(event));
    security.text("UserID", "S-1-5-18");
    let mut system = Object::new();
    put(&mut system, "Provider", &provider, order);
    system
        .number("EventID", event.id)
        .number("Version", version(event))
        .number("Level", 4)
        .number("Task", event.id)
        .number("Opcode", 0)
        .text("Keywords", "0x8000000000000000");
    put(&mut system, "TimeCreated", &time, order);
    system.number("EventRecordID", event.record).raw("Correlation", "null");
    put(&mut system, "Execution", &execution, order);
    system.text("Channel", event.channel.name()).text("Computer", &host.name);
    put(&mut system, "Security", &security, order);
    system
}

fn fields(event: &Event) -> Object {
    let mut data = Object::new();
    for (name, value) in &event.fields {
        data.raw(name, &typed(name, &bare(name, value)));
    }
    data
}
