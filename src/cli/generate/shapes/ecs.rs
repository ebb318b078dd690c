//! Winlogbeat 7 with Elastic's Sysmon module: fields are renamed away to ECS names.
//!
//! `UtcTime` becomes `@timestamp`, and the log time is left in `event.created` alone. What the
//! module does not know stays in `winlog.event_data`, which may be absent. Other channels come as
//! raw Winlogbeat 7.

use super::super::event::{Channel, Event};
use super::super::world::{Host, stamp};
use super::json::{Object, Order};
use super::winlogbeat::{record as surround, seven, winlog};
use super::{message, task};

/// The objects that the module makes.
#[derive(Default)]
struct Renamed {
    process: Option<Object>,
    parent: Option<Object>,
    file: Option<Object>,
    user: Option<Object>,
    source: Option<Object>,
    destination: Option<Object>,
    network: Option<Object>,
    dns: Option<Object>,
    registry: Option<Object>,
    rule: Option<Object>,
    sysmon_file: Option<Object>,
    sysmon_dns: Option<Object>,
    hash: Option<Object>,
}

fn at(object: &mut Option<Object>) -> &mut Object {
    object.get_or_insert_with(Object::new)
}

fn file_name(path: &str) -> &str {
    path.rsplit('\\').next().unwrap_or(path)
}

/// An event of Winlogbeat 7 with the module.
pub fn record(event: &Event, host: &Host, order: &mut Order) -> Object {
    if event.channel != Channel::Sysmon {
        return seven(event, host, order);
    }
    let mut renamed = Renamed::default();
    let mut data = Object::new();
    for (name, value) in &event.fields {
        if !value.is_empty() && *value != "-" {
            rename(event.id, name, value, &mut renamed, &mut data, order);
        }
    }
    let mut about = Object::new();
    about
        .text("kind", "event")
        .number("code", event.id)
        .text("module", "sysmon")
        .text("provider", event.channel.provider())
        .text("action", &task(event))
        .text("created", &stamp(event.logged, 'T', "Z"));
    if let Some((category, kind)) = category(event.id) {
        about.raw("category", &format!(r#"["{category}"]"#)).raw("type", &format!(r#"["{kind}"]"#));
    }
    let winlog = winlog(event, host, &data, false, order);
    let utc = event.get("UtcTime").unwrap_or_default();
    let mut record =
        surround(&format!("{}Z", utc.replace(' ', "T")), &about, &winlog, "7.17.28", order);
    record.text("message", &message(event, "\n"));
    if let Some(hash) = &renamed.hash {
        at(if matches!(event.id, 1 | 24) { &mut renamed.process } else { &mut renamed.file })
            .object("hash", hash, order);
    }
    if let Some(parent) = &renamed.parent {
        at(&mut renamed.process).object("parent", parent, order);
    }
    let mut sysmon = Object::new();
    for (name, part) in [("file", &renamed.sysmon_file), ("dns", &renamed.sysmon_dns)] {
        if let Some(part) = part {
            sysmon.object(name, part, order);
        }
    }
    let sysmon = (!sysmon.is_empty()).then_some(sysmon);
    for (name, part) in [
        ("process", &renamed.process),
        ("file", &renamed.file),
        ("user", &renamed.user),
        ("source", &renamed.source),
        ("destination", &renamed.destination),
        ("network", &renamed.network),
        ("dns", &renamed.dns),
        ("registry", &renamed.registry),
        ("rule", &renamed.rule),
        ("sysmon", &sysmon),
    ] {
        if let Some(part) = part {
            record.object(name, part, order);
        }
    }
    record
}

fn rename(
    id: u16,
    name: &str,
    value: &str,
    renamed: &mut Renamed,
    data: &mut Object,
    order: &mut Order,
) {
    match name {
        "UtcTime" => {}
        "RuleName" => _ = at(&mut renamed.rule).text("name", value),
        "ProcessGuid" | "SourceProcessGuid" | "SourceProcessGUID" => {
            at(&mut renamed.process).text("entity_id", value);
        }
        "ProcessId" | "SourceProcessId" => _ = at(&mut renamed.process).raw("pid", value),
        "SourceThreadId" => {
            let mut thread = Object::new();
            thread.raw("id", value);
            at(&mut renamed.process).object("thread", &thread, order);
        }
        "Image" | "SourceImage" => {
            at(&mut renamed.process).text("executable", value).text("name", file_name(value));
        }
        "CommandLine" => _ = at(&mut renamed.process).text("command_line", value),
        "CurrentDirectory" => _ = at(&mut renamed.process).text("working_directory", value),
        "ParentProcessGuid" => _ = at(&mut renamed.parent).text("entity_id", value),
        "ParentProcessId" => _ = at(&mut renamed.parent).raw("pid", value),
        "ParentImage" => {
            _ = at(&mut renamed.parent).text("executable", value).text("name", file_name(value))
        }
        "ParentCommandLine" => _ = at(&mut renamed.parent).text("command_line", value),
        "User" => {
            let (domain, user) = value.split_once('\\').unwrap_or(("", value));
            at(&mut renamed.user).text("domain", domain).text("name", user);
        }
        "Hashes" | "Hash" => {
            for (algorithm, digest) in value.split(',').filter_map(|part| part.split_once('=')) {
                at(&mut renamed.hash).text(&algorithm.to_lowercase(), &digest.to_lowercase());
            }
        }
        "TargetFilename" | "ImageLoaded" | "Device" => {
            at(&mut renamed.file).text("path", value).text("name", file_name(value));
        }
        "PipeName" => _ = at(&mut renamed.file).text("name", value),
        "Protocol" => _ = at(&mut renamed.network).text("transport", value),
        "Initiated" => {
            let direction = if value == "true" { "egress" } else { "ingress" };
            at(&mut renamed.network).text("direction", direction);
        }
        "SourceIsIpv6" => {
            let kind = if value == "true" { "ipv6" } else { "ipv4" };
            at(&mut renamed.network).text("type", kind);
        }
        "DestinationPortName" => _ = at(&mut renamed.network).text("protocol", value),
        "SourceIp" => _ = at(&mut renamed.source).text("ip", value),
        "SourceHostname" => _ = at(&mut renamed.source).text("domain", value),
        "SourcePort" => _ = at(&mut renamed.source).raw("port", value),
        "DestinationIp" => _ = at(&mut renamed.destination).text("ip", value),
        "DestinationHostname" => _ = at(&mut renamed.destination).text("domain", value),
        "DestinationPort" => _ = at(&mut renamed.destination).raw("port", value),
        "QueryName" => {
            let mut question = Object::new();
            question.text("name", value);
            at(&mut renamed.dns).object("question", &question, order);
        }
        "QueryStatus" => {
            let status = match value {
                "0" => "SUCCESS",
                "9003" => "DNS_ERROR_RCODE_NAME_ERROR",
                other => other,
            };
            at(&mut renamed.sysmon_dns).text("status", status);
        }
        "QueryResults" => {
            let answers = value.split(';').filter(|part| !part.is_empty());
            let addresses: Vec<_> =
                answers.map(|part| format!("\"{}\"", part.trim_start_matches("::ffff:"))).collect();
            at(&mut renamed.dns).raw("resolved_ip", &format!("[{}]", addresses.join(",")));
        }
        "TargetObject" => {
            let (hive, key) = value.split_once('\\').unwrap_or((value, ""));
            at(&mut renamed.registry)
                .text("path", value)
                .text("hive", hive)
                .text("key", key)
                .text("value", file_name(value));
        }
        "IsExecutable" => _ = at(&mut renamed.sysmon_file).raw("is_executable", value),
        "Archived" if id == 23 => _ = at(&mut renamed.sysmon_file).raw("archived", value),
        _ => _ = data.text(name, value),
    }
}

fn category(id: u16) -> Option<(&'static str, &'static str)> {
    Some(match id {
        1 => ("process", "start"),
        5 => ("process", "end"),
        3 => ("network", "connection"),
        22 => ("network", "info"),
        2 | 11 | 15 => ("file", "creation"),
        23 | 26 => ("file", "deletion"),
        12..=14 => ("registry", "change"),
        7..=10 | 25 => ("process", "change"),
        4 | 16 | 17..=21 => ("configuration", "change"),
        _ => return None,
    })
}
