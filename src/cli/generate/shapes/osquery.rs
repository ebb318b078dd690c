//! osquery's table `windows_events` in its results log: the fields are JSON in a string, the
//! channel is `source`.
//!
//! There is no record number. `hostIdentifier` is the short name, and `time`, `unixTime` and
//! `calendarTime` are those of the collection, not of the event.

use super::super::event::Event;
use super::super::world::{Host, civil, stamp};
use super::json::{Object, Order};

/// A result.
pub fn result(event: &Event, host: &Host, order: &mut Order) -> Object {
    let (mut fields, mut data) = (Object::new(), Object::new());
    for (name, value) in &event.fields {
        fields.text(name, value);
    }
    data.object("EventData", &fields, order);
    let mut text = String::with_capacity(2048);
    data.write(&mut text, order);
    let id = event.id.to_string();
    let collected = event.logged / 1000 + 8;
    let mut columns = Object::new();
    columns
        .text("data", &text)
        .text("datetime", &stamp(event.logged, 'T', "0000Z"))
        .text("eventid", &id)
        .text("keywords", "-1")
        .text("level", "4")
        .text("provider_guid", event.channel.provider_guid())
        .text("provider_name", event.channel.provider())
        .text("computer_name", &host.name)
        .text("source", event.channel.name())
        .text("task", &id)
        .text("time", &collected.to_string());
    let mut record = Object::new();
    record
        .text("name", "windows_events")
        .text("hostIdentifier", host.short())
        .text(
            "calendarTime",
            &civil(collected * 1000).strftime("%a %b %e %H:%M:%S %Y UTC").to_string(),
        )
        .number("unixTime", collected)
        .number("epoch", 0)
        .number("counter", 0)
        .object("columns", &columns, order)
        .text("action", "added");
    record
}
