//! `NXLog`'s flat JSON, as in the Mordor data sets.
//!
//! `EventTime` is local time of the collector (five hours behind) in whole seconds, `@timestamp` is
//! the time of arrival at Logstash a few seconds later, `EventType` has lost Sysmon's, `host` is
//! the collector, `ProcessID`, `ExecutionProcessID`, `AccountName` and `Domain` belong to the
//! Sysmon service. Names are case-insensitive to `NXLog`: older releases, here on every second
//! host, lose `ProcessId` to the service's `ProcessID`. The same goes through syslog, behind a BSD
//! header.

use std::fmt::Write as _;

use super::super::event::{Channel, Event};
use super::super::world::{COLLECTOR, Host, stamp};
use super::json::{Object, Order};
use super::{lag, message, syslog_time, task, thread, version, whole_seconds, writer};

/// How far the collector's local time is behind UTC, in ms.
const BEHIND: i64 = 5 * 3_600_000;

/// A record.
pub fn record(event: &Event, host: &Host) -> Object {
    let old = host.index % 2 == 1;
    let local = |ms: i64| whole_seconds(ms - BEHIND, ' ', "");
    let sysmon = event.channel == Channel::Sysmon;
    let mut record = Object::new();
    record
        .text("@timestamp", &stamp(event.logged + 2000 + lag(event), 'T', "Z"))
        .text("@version", "1")
        .text("EventTime", &local(event.logged))
        .text("EventReceivedTime", &local(event.logged + 2000))
        .text("Hostname", &host.name)
        .text("host", COLLECTOR)
        .number("port", 64545)
        .text("Channel", event.channel.name())
        .text("SourceName", event.channel.provider())
        .text("ProviderGuid", &event.channel.provider_guid().to_uppercase())
        .number("EventID", event.id)
        .number("RecordNumber", event.record)
        .number("Version", version(event))
        .number("Task", event.id)
        .text("Category", &task(event))
        .number("OpcodeValue", 0)
        .text("Opcode", "Info")
        .raw("Keywords", if sysmon { "-9223372036854775808" } else { "-9214364837600034816" })
        .text(
            "EventType",
            if event.channel == Channel::Security { "AUDIT_SUCCESS" } else { "INFO" },
        )
        .text("Severity", "INFO")
        .number("SeverityValue", 2)
        .number(if old { "ProcessID" } else { "ExecutionProcessID" }, writer(event, host))
        .number("ThreadID", thread(event))
        .text("SourceModuleName", "eventlog")
        .text("SourceModuleType", "im_msvistalog")
        .raw("tags", r#"["generated"]"#)
        .text("Message", &message(event, "\r\n"));
    if sysmon {
        record
            .text("UserID", "S-1-5-18")
            .text("AccountName", "SYSTEM")
            .text("AccountType", "User")
            .text("Domain", "NT AUTHORITY");
    }
    for (name, value) in &event.fields {
        // names that the record has already keep NXLog's value
        let lost = matches!(*name, "EventType" | "Version") || (old && *name == "ProcessId");
        if !value.is_empty() && !lost {
            record.text(name, value);
        }
    }
    record
}

/// A record behind the header of BSD syslog, whose time is in UTC.
pub fn syslog(event: &Event, host: &Host, order: &mut Order, out: &mut String) {
    let _ = write!(out, "<14>{} {} ", syslog_time(event.logged + 1000), host.short());
    record(event, host).write(out, order);
}
