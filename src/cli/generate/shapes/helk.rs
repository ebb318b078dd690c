//! HELK's own index, `logs-endpoint-winevent-sysmon`: what its Logstash pipeline makes of
//! Winlogbeat's event.
//!
//! Names are in snake case and those of HELK's data model: the subject is `process_…` in every
//! event, the source of events 8 and 10 too. Paths, command lines, accounts and host names are in
//! lower case, GUIDs without braces, `LogonId` is decimal, hashes have a field each. `UtcTime` has
//! become `@timestamp` and `event_original_time`; the log's time is `event_recorded_time`.

use super::super::event::{Channel, Event, Kind, kind, rule};
use super::super::world::{COLLECTOR, Host, stamp};
use super::json::{Object, typed};
use super::{bare_guid, task, version};

/// A document.
pub fn document(event: &Event, host: &Host) -> Object {
    let logged = stamp(event.logged, 'T', "Z");
    let utc = event.get("UtcTime").map(iso);
    let mut record = Object::new();
    record
        .text("@timestamp", utc.as_deref().unwrap_or(&logged))
        .text("@version", "1")
        .text("event_original_time", utc.as_deref().unwrap_or(&logged))
        .text("event_timezone", "UTC")
        .text("log_name", event.channel.name())
        .text("source_name", event.channel.provider())
        .text("provider_guid", &bare_guid(event.channel.provider_guid()))
        .number("event_id", event.id)
        .number("version", version(event))
        .text("host_name", &host.name.to_lowercase())
        .text("record_number", &event.record.to_string())
        .text("task", &task(event))
        .text("type", "wineventlog")
        .text("beat_hostname", COLLECTOR);
    if event.channel != Channel::Sysmon {
        for (name, value) in &event.fields {
            record.text(name, value);
        }
        return record;
    }
    record.text("event_recorded_time", &logged);
    if let Some(rule) = rule(event.id) {
        record.text("action", &rule.to_lowercase());
    }
    for (name, value) in &event.fields {
        put(&mut record, event.id, name, value);
    }
    record
}

fn put(record: &mut Object, id: u16, name: &str, value: &str) {
    let renamed = renamed(id, name);
    match name {
        "UtcTime" => {}
        "CreationUtcTime" | "PreviousCreationUtcTime" => _ = record.text(renamed, &iso(value)),
        "Hashes" | "ConfigurationFileHash" => {
            for (algorithm, digest) in value.split(',').filter_map(|part| part.split_once('=')) {
                record.text(&format!("{renamed}_{}", algorithm.to_lowercase()), digest);
            }
        }
        "User" => {
            let value = value.to_lowercase();
            if let Some((domain, user)) = value.split_once('\\') {
                record.text("user_domain", domain).text("user_name", user);
            }
            record.text(renamed, &value);
        }
        "LogonId" => match u64::from_str_radix(value.trim_start_matches("0x"), 16) {
            Ok(number) => _ = record.number(renamed, number),
            Err(_) => _ = record.text(renamed, value),
        },
        _ => match kind(name) {
            Kind::Guid => _ = record.text(renamed, value.trim_matches(['{', '}'])),
            Kind::Number => _ = record.raw(renamed, &typed(name, value)),
            _ if is_lowercased(name) => _ = record.text(renamed, &value.to_lowercase()),
            _ => _ = record.text(renamed, value),
        },
    }
}

/// The name in HELK's data model; what it does not rename keeps Sysmon's.
fn renamed(id: u16, name: &str) -> &str {
    match (name, id) {
        ("ProcessGuid" | "SourceProcessGuid" | "SourceProcessGUID", _) => "process_guid",
        ("ProcessId" | "SourceProcessId", _) => "process_id",
        ("Image" | "SourceImage", _) => "process_path",
        ("TargetProcessGuid" | "TargetProcessGUID", _) => "target_process_guid",
        ("TargetProcessId", _) => "target_process_id",
        ("TargetImage", _) => "target_process_path",
        ("ParentProcessGuid", _) => "process_parent_guid",
        ("ParentProcessId", _) => "process_parent_id",
        ("ParentImage", _) => "process_parent_path",
        ("CommandLine", _) => "process_command_line",
        ("ParentCommandLine", _) => "process_parent_command_line",
        ("CurrentDirectory", _) => "process_current_directory",
        ("IntegrityLevel", _) => "process_integrity_level",
        ("User", _) => "user_account",
        ("LogonGuid", _) => "user_logon_guid",
        ("LogonId", _) => "user_logon_id",
        ("TerminalSessionId", _) => "user_session_id",
        ("FileVersion", _) => "file_version",
        ("Description", 1 | 7) => "file_description",
        ("Product", _) => "file_product",
        ("Company", _) => "file_company",
        ("Hashes" | "Hash", _) => "hash",
        ("ConfigurationFileHash", _) => "sysmon_config_hash",
        ("TargetFilename", _) => "file_name",
        ("CreationUtcTime", _) => "file_creation_time",
        ("PreviousCreationUtcTime", _) => "file_previous_creation_time",
        ("Protocol", _) => "network_protocol",
        ("Initiated", _) => "network_initiated",
        ("SourceIsIpv6", _) => "src_is_ipv6",
        ("SourceIp", _) => "src_ip_addr",
        ("SourceHostname", _) => "src_host_name",
        ("SourcePort", _) => "src_port",
        ("SourcePortName", _) => "src_port_name",
        ("DestinationIsIpv6", _) => "dst_is_ipv6",
        ("DestinationIp", _) => "dst_ip_addr",
        ("DestinationHostname", _) => "dst_host_name",
        ("DestinationPort", _) => "dst_port",
        ("DestinationPortName", _) => "dst_port_name",
        ("State", 4) => "service_state",
        ("Version", 4) => "sysmon_version",
        ("SchemaVersion", _) => "sysmon_schema_version",
        ("Configuration", _) => "sysmon_configuration",
        ("ImageLoaded", 6) => "driver_loaded",
        ("ImageLoaded", _) => "module_loaded",
        ("Signature", _) => "signature",
        ("SignatureStatus", _) => "signature_status",
        ("Signed", _) => "signed",
        ("NewThreadId", _) => "thread_new_id",
        ("StartAddress", _) => "thread_start_address",
        ("StartFunction", _) => "thread_start_function",
        ("StartModule", _) => "thread_start_module",
        ("SourceThreadId", _) => "thread_id",
        ("CallTrace", _) => "process_call_trace",
        ("GrantedAccess", _) => "process_granted_access",
        ("Device", _) => "device_name",
        ("EventType", _) => "event_type",
        ("TargetObject", _) => "registry_key_path",
        ("Details", _) => "registry_key_value",
        ("NewName", _) => "registry_key_new_name",
        ("PipeName", _) => "pipe_name",
        ("Operation", _) => "wmi_operation",
        ("EventNamespace", _) => "wmi_namespace",
        ("Name", 19) => "wmi_filter_name",
        ("Query", _) => "wmi_query",
        ("Name", 20) => "wmi_consumer_name",
        ("Type", 20) => "wmi_consumer_type",
        ("Destination", _) => "wmi_consumer_destination",
        ("Consumer", _) => "wmi_consumer_path",
        ("Filter", _) => "wmi_filter_path",
        ("QueryName", _) => "dns_query_name",
        ("QueryStatus", _) => "dns_query_status",
        ("QueryResults", _) => "dns_query_results",
        _ => name,
    }
}

/// True for fields of which the pipeline keeps no capitals.
pub fn is_lowercased(name: &str) -> bool {
    matches!(
        name,
        "CommandLine"
            | "CurrentDirectory"
            | "DestinationHostname"
            | "DestinationPortName"
            | "Image"
            | "ImageLoaded"
            | "ParentCommandLine"
            | "ParentImage"
            | "QueryName"
            | "SourceHostname"
            | "SourceImage"
            | "SourcePortName"
            | "TargetFilename"
            | "TargetImage"
            | "User"
    )
}

/// Sysmon's time in ISO 8601.
fn iso(utc: &str) -> String {
    format!("{}Z", utc.replace(' ', "T"))
}
