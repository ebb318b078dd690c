//! The tables of Azure's Log Analytics that Microsoft Sentinel reads: an event is a row, and no row
//! has a record number but those of `WindowsEvent`.
//!
//! * `azure`: a table whose `EventData` is JSON inside a string.
//! * `WindowsEvent`: `EventData` is an object.
//! * `Event`, of the older agent: `EventData` is a `DataItem` in XML, `ParameterXml` has the values
//!   by position, `RenderedDescription` the message; the provider is `Source`, the channel
//!   `EventLog`.
//! * `Syslog`: `SyslogMessage` is the XML of Sysmon for Linux, and the times around it are
//!   syslog's.

use std::fmt::Write as _;

use super::super::event::Event;
use super::super::world::{Host, civil, stamp};
use super::json::{Object, Order};
use super::{message, whole_seconds, xml};

const TENANT: &str = "7f1a4c1e-6b0d-4e0a-9d53-0c6f2f1d9b55";
const GROUP: &str = "AOI-7f1a4c1e-6b0d-4e0a-9d53-0c6f2f1d9b55";

/// A row whose `EventData` is JSON in a string, with `UtcTime` in ISO 8601.
pub fn azure(event: &Event, host: &Host, order: &mut Order) -> Object {
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
        .text("TenantId", TENANT)
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
        .text("ManagementGroupName", GROUP)
        .text("Type", "WindowsEvent");
    record
}

/// A row of `WindowsEvent`.
pub fn windows_event(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut data = Object::new();
    for (name, value) in &event.fields {
        data.text(name, value);
    }
    let mut record = Object::new();
    record
        .text("TenantId", TENANT)
        .text("TimeGenerated", &stamp(event.logged, 'T', "0000Z"))
        .text("Provider", event.channel.provider())
        .text("Channel", event.channel.name())
        .text("Computer", &host.name)
        .number("Task", event.id)
        .number("EventLevel", 4)
        .text("EventLevelName", "Information")
        .object("EventData", &data, order)
        .number("EventID", event.id)
        .text("EventRecordId", &event.record.to_string())
        .text("SystemUserId", "S-1-5-18")
        .text("ManagementGroupName", GROUP)
        .text("Type", "WindowsEvent");
    record
}

/// The first line of the portal's export of `Event` as CSV.
pub const CSV_HEAD: &str =
    "TenantId,SourceSystem,\"TimeGenerated [UTC]\",Source,EventLog,Computer,EventID,EventData\n";

/// A line of that export.
pub fn csv(event: &Event, host: &Host, out: &mut String) {
    let _ = write!(
        out,
        "{TENANT},OpsManager,\"{}\",{},{},{},{},\"{}\"",
        civil(event.logged).strftime("%-m/%-d/%Y, %-I:%M:%S%.3f %p"),
        event.channel.provider(),
        event.channel.name(),
        host.name,
        event.id,
        data_item(event).replace('"', "\"\"")
    );
}

/// The event's data as the agent renders it.
fn data_item(event: &Event) -> String {
    let mut data = String::with_capacity(2048);
    data.push_str("<DataItem type=\"System.XmlData\" time=\"");
    data.push_str(&stamp(event.logged, 'T', "0000Z"));
    data.push_str("\" sourceHealthServiceId=\"4d7b2c6e-1f0a-4a3b-8e55-90c1d2e3f4a5\">");
    data.push_str("<EventData xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\">");
    for (name, value) in &event.fields {
        data.push_str("<Data Name=\"");
        data.push_str(name);
        data.push_str("\">");
        xml::escape(&mut data, value, false);
        data.push_str("</Data>");
    }
    data.push_str("</EventData></DataItem>");
    data
}

/// A row of `Event`.
pub fn event(event: &Event, host: &Host) -> Object {
    let mut parameters = String::new();
    for (_, value) in &event.fields {
        parameters.push_str("<Param>");
        xml::escape(&mut parameters, value, false);
        parameters.push_str("</Param>");
    }
    let mut record = Object::new();
    record
        .text("TenantId", TENANT)
        .text("SourceSystem", "OpsManager")
        .text("TimeGenerated", &stamp(event.logged, 'T', "Z"))
        .text("Source", event.channel.provider())
        .text("EventLog", event.channel.name())
        .text("Computer", &host.name)
        .number("EventLevel", 4)
        .text("EventLevelName", "Information")
        .text("ParameterXml", &parameters)
        .text("EventData", &data_item(event))
        .number("EventID", event.id)
        .text("RenderedDescription", &message(event, "\r\n"))
        .number("EventCategory", event.id)
        .text("UserName", r"NT AUTHORITY\SYSTEM")
        .text("Message", "")
        .text("ManagementGroupName", GROUP)
        .text("Type", "Event");
    record
}

/// A row of `Syslog`.
pub fn syslog(event: &Event, host: &Host) -> Object {
    let mut message = String::with_capacity(4096);
    xml::linux(event, host, &mut message);
    let mut record = Object::new();
    record
        .text("TenantId", TENANT)
        .text("SourceSystem", "Linux")
        .text("TimeGenerated", &stamp(event.logged + 4000, 'T', "Z"))
        .text("Computer", host.short())
        .text("EventTime", &whole_seconds(event.logged, 'T', "Z"))
        .text("Facility", "user")
        .text("HostName", host.short())
        .text("SeverityLevel", "info")
        .text("SyslogMessage", &message)
        .number("ProcessID", host.sysmon_pid)
        .text("HostIP", &host.ip)
        .text("ProcessName", "sysmon")
        .text("MG", TENANT)
        .text("Type", "Syslog");
    record
}
