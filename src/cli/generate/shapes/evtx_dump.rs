//! JSON of `evtx_dump`: the binary log's own types, so numbers and booleans are native and GUIDs have no braces.

use super::super::event::{Event, Kind, kind};
use super::super::world::{Host, stamp};
use super::json::{Object, Order};
use super::{thread, version, writer};

/// A record.
pub fn record(event: &Event, host: &Host, order: &mut Order) -> Object {
    let attributes = |fill: &dyn Fn(&mut Object), order: &mut Order| {
        let (mut inner, mut outer) = (Object::new(), Object::new());
        fill(&mut inner);
        outer.object("#attributes", &inner, order);
        outer
    };
    let bare = |guid: &str| guid.trim_matches(['{', '}']).to_uppercase();
    let provider = attributes(
        &|inner| {
            inner
                .text("Name", event.channel.provider())
                .text("Guid", &bare(event.channel.provider_guid()));
        },
        order,
    );
    let time =
        attributes(&|inner| _ = inner.text("SystemTime", &stamp(event.logged, 'T', "000Z")), order);
    let execution = attributes(
        &|inner| {
            inner.number("ProcessID", writer(event, host)).number("ThreadID", thread(event));
        },
        order,
    );
    let security = attributes(&|inner| _ = inner.text("UserID", "S-1-5-18"), order);
    let mut system = Object::new();
    system
        .object("Provider", &provider, order)
        .number("EventID", event.id)
        .number("Version", version(event))
        .number("Level", 4)
        .number("Task", event.id)
        .number("Opcode", 0)
        .text("Keywords", "0x8000000000000000")
        .object("TimeCreated", &time, order)
        .number("EventRecordID", event.record)
        .raw("Correlation", "null")
        .object("Execution", &execution, order)
        .text("Channel", event.channel.name())
        .text("Computer", &host.name)
        .object("Security", &security, order);
    let mut data = Object::new();
    for (name, value) in &event.fields {
        match kind(name) {
            Kind::Guid => data.text(name, &bare(value)),
            Kind::Number if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                data.raw(name, value)
            }
            Kind::Flag if value == "true" || value == "false" => data.raw(name, value),
            _ => data.text(name, value),
        };
    }
    let mut inner = Object::new();
    inner
        .raw("#attributes", r#"{"xmlns":"http://schemas.microsoft.com/win/2004/08/events/event"}"#)
        .object("System", &system, order)
        .object("EventData", &data, order);
    let mut record = Object::new();
    record.object("Event", &inner, order);
    record
}
