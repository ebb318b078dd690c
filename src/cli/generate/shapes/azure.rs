//! A row of Azure's event table: `EventData` is JSON inside a string, and nothing has a record number.

use super::super::event::Event;
use super::super::world::{Host, stamp};
use super::json::{Object, Order};

/// A record.
pub fn record(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut data = Object::new();
    for (name, value) in &event.fields {
        if *name == "UtcTime" {
            data.text(name, &format!("{}0000Z", value.replace(' ', "T")));
        } else {
            data.text(name, value);
        }
    }
    let mut fields = String::with_capacity(1024);
    data.write(&mut fields, order);
    let mut record = Object::new();
    record
        .text("TenantId", "7f1a4c1e-6b0d-4e0a-9d53-0c6f2f1d9b55")
        .text("SourceSystem", "OpsManager")
        .text("TimeGenerated", &stamp(event.logged, 'T', "Z"))
        .text("Provider", event.channel.provider())
        .text("Channel", event.channel.name())
        .text("Computer", &host.name)
        .number("Task", event.id)
        .number("EventLevel", 4)
        .text("EventLevelName", "Information")
        .text("EventData", &fields)
        .number("EventID", event.id)
        .text("ManagementGroupName", "AOI-7f1a4c1e-6b0d-4e0a-9d53-0c6f2f1d9b55")
        .text("Type", "WindowsEvent");
    record
}
