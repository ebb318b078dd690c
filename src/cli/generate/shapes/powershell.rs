//! `Get-WinEvent | ForEach-Object { $_ | ConvertTo-Json -Compress }`: an object of .NET's
//! `EventLogRecord` a line.
//!
//! The values stand in `Properties` by position and typed, a GUID without braces and `LogonId` as a
//! decimal number; the message has the names. `ProcessId` is that of the Sysmon service. Windows
//! PowerShell escapes what HTML does not like.

use super::super::event::{Event, Kind, kind};
use super::super::world::Host;
use super::json::{Object, Order, array, typed};
use super::{bare_guid, message, task, thread, version, writer};

/// A record.
pub fn record(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut properties = Vec::with_capacity(event.fields.len());
    for (name, value) in &event.fields {
        let mut property = Object::escaping("<>&'");
        match (kind(name), value.strip_prefix("0x")) {
            (Kind::Guid, _) => property.text("Value", &bare_guid(value).to_lowercase()),
            (_, Some(digits)) if *name == "LogonId" => property
                .number("Value", u64::from_str_radix(digits, 16).expect("a logon id is hex")),
            (Kind::Text, _) => property.text("Value", value),
            _ => property.raw("Value", &typed(name, value)),
        };
        let mut text = String::with_capacity(64);
        property.write(&mut text, order);
        properties.push(text);
    }
    let mut record = Object::escaping("<>&'");
    record
        .number("Id", event.id)
        .number("Version", version(event))
        .raw("Qualifiers", "null")
        .number("Level", 4)
        .number("Task", event.id)
        .number("Opcode", 0)
        .raw("Keywords", "-9223372036854775808")
        .number("RecordId", event.record)
        .text("ProviderName", event.channel.provider())
        .text("ProviderId", event.channel.provider_guid().trim_matches(['{', '}']))
        .text("LogName", event.channel.name())
        .number("ProcessId", writer(event, host))
        .number("ThreadId", thread(event))
        .text("MachineName", &host.name)
        .raw("UserId", r#"{"BinaryLength":12,"AccountDomainSid":null,"Value":"S-1-5-18"}"#)
        .raw("TimeCreated", &format!(r#""\/Date({})\/""#, event.logged))
        .raw("ActivityId", "null")
        .raw("RelatedActivityId", "null")
        .text("ContainerLog", event.channel.name())
        .raw("MatchedQueryIds", "[]")
        .raw("Bookmark", "{}")
        .text("LevelDisplayName", "Information")
        .text("OpcodeDisplayName", "Info")
        .text("TaskDisplayName", &task(event))
        .raw("KeywordsDisplayNames", "[]")
        .raw("Properties", &array(properties))
        .text("Message", &message(event, "\r\n"));
    record
}
