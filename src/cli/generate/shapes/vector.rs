//! Vector's source `windows_event_log`: snake-case names on one level, the fields in `event_data`.

use super::super::event::Event;
use super::super::world::{Host, stamp};
use super::json::{Object, Order};
use super::{message, thread, version, writer};

/// A log event.
pub fn record(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut data = Object::new();
    for (name, value) in &event.fields {
        data.text(name, value);
    }
    let mut record = Object::new();
    record
        .text("timestamp", &stamp(event.logged, 'T', "Z"))
        .text("message", &message(event, "\r\n"))
        .text("host", &host.name)
        .text("source_type", "windows_event_log")
        .number("event_id", event.id)
        .number("record_id", event.record)
        .text("level", "Information")
        .number("level_value", 4)
        .text("channel", event.channel.name())
        .text("provider_name", event.channel.provider())
        .text("provider_guid", &event.channel.provider_guid().to_uppercase())
        .text("computer", &host.name)
        .text("user_id", "S-1-5-18")
        .text("user_name", r"NT AUTHORITY\SYSTEM")
        .number("process_id", writer(event, host))
        .number("thread_id", thread(event))
        .number("task", event.id)
        .text("keywords", "0x8000000000000000")
        .number("version", version(event))
        .object("event_data", &data, order);
    record
}
