//! What Elasticsearch and Kibana give back of Winlogbeat's documents, and what Logstash puts in.
//!
//! A search hit holds the document in `_source`, or in `fields`: dotted names, every value an
//! array. Tools that flatten documents print dotted names alone; the bulk interface wants a line
//! with the action before each document. Kibana's CSV has the columns that its user chose, `-`
//! where a document has no value, and times as people read them. A pipeline that keeps the original
//! event and no more has `event.original`, the event's XML, and its own time in `@timestamp`.

use serde_json::{Map, Value};

use super::super::event::Event;
use super::super::random::mix;
use super::super::world::{COLLECTOR, Host, civil, stamp};
use super::json::{Object, Order, array};
use super::{lag, xml};

const INDEX: &str = ".ds-winlogbeat-8.17.4-2026.01.15-000001";

/// The beginning of a response, up to its hits.
pub const RESPONSE: &str = concat!(
    r#"{"took":18,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"#,
    r#""hits":{"total":{"value":10000,"relation":"gte"},"max_score":null,"hits":["#
);

/// A hit with the document in `_source`.
pub fn hit(document: &Object, event: &Event, order: &mut Order) -> Object {
    let document = Value::Object(stored(document, order)).to_string();
    let mut hit = head(event);
    hit.raw("_source", &document);
    hit
}

/// A hit with the document in `fields`.
pub fn fields(document: &Object, event: &Event, order: &mut Order) -> Object {
    let mut fields = Object::new();
    for (name, value) in flat(document, order) {
        match value {
            Value::Array(_) => fields.raw(&name, &value.to_string()),
            value => fields.raw(&name, &array([value.to_string()])),
        };
    }
    let mut hit = head(event);
    hit.object("fields", &fields, order);
    hit
}

/// A document with dotted names.
pub fn dotted(document: &Object, order: &mut Order) -> Object {
    let mut record = Object::new();
    for (name, value) in flat(document, order) {
        record.raw(&name, &value.to_string());
    }
    record
}

/// A document behind the line that says what to do with it.
pub fn bulk(document: &Object, order: &mut Order, out: &mut String) {
    out.push_str("{\"create\":{\"_index\":\"winlogbeat-8.17.4\"}}\n");
    out.push_str(&Value::Object(stored(document, order)).to_string());
}

/// A document of Logstash that has kept the event's XML alone.
pub fn original(event: &Event, host: &Host, order: &mut Order) -> Object {
    let (mut about, mut collector, mut record) = (Object::new(), Object::new(), Object::new());
    about.text("original", &xml::text(event, host));
    collector.text("name", COLLECTOR);
    record
        .text("@timestamp", &stamp(event.logged + 5000 + lag(event), 'T', "Z"))
        .text("@version", "1")
        .object("event", &about, order)
        .object("host", &collector, order)
        .raw("tags", r#"["preserve_original_event"]"#);
    record
}

/// The columns of Kibana's CSV but the first, which is `@timestamp`.
const COLUMNS: [&str; 5] = [
    "winlog.event_id",
    "winlog.computer_name",
    "winlog.channel",
    "winlog.provider_name",
    "winlog.record_id",
];

/// And those under `winlog.event_data`: all fields of Sysmon's events.
#[rustfmt::skip]
const FIELDS: [&str; 88] = [
    "RuleName", "EventType", "UtcTime", "ProcessGuid", "ProcessId", "Image", "FileVersion",
    "Description", "Product", "Company", "OriginalFileName", "CommandLine", "CurrentDirectory",
    "User", "LogonGuid", "LogonId", "TerminalSessionId", "IntegrityLevel", "Hashes",
    "ParentProcessGuid", "ParentProcessId", "ParentImage", "ParentCommandLine", "ParentUser",
    "TargetFilename", "CreationUtcTime", "PreviousCreationUtcTime", "Protocol", "Initiated",
    "SourceIsIpv6", "SourceIp", "SourceHostname", "SourcePort", "SourcePortName",
    "DestinationIsIpv6", "DestinationIp", "DestinationHostname", "DestinationPort",
    "DestinationPortName", "State", "Version", "SchemaVersion", "ImageLoaded", "Signed",
    "Signature", "SignatureStatus", "SourceProcessGuid", "SourceProcessGUID", "SourceProcessId",
    "SourceThreadId", "SourceImage", "TargetProcessGuid", "TargetProcessGUID", "TargetProcessId",
    "TargetImage", "NewThreadId", "StartAddress", "StartModule", "StartFunction", "SourceUser",
    "TargetUser", "Device", "GrantedAccess", "CallTrace", "TargetObject", "Details", "NewName",
    "Hash", "Contents", "Configuration", "ConfigurationFileHash", "PipeName", "QueryName",
    "QueryStatus", "QueryResults", "IsExecutable", "Archived", "Session", "ClientInfo", "Type",
    "ID", "Operation", "EventNamespace", "Name", "Query", "Destination", "Consumer", "Filter",
];

/// The first line of Kibana's CSV.
pub fn csv_head() -> String {
    let data = FIELDS.iter().map(|name| cell(&format!("winlog.event_data.{name}")));
    let columns = COLUMNS.iter().map(|name| cell(name)).chain(data);
    let columns: Vec<String> = [cell("@timestamp")].into_iter().chain(columns).collect();
    columns.join(",") + "\n"
}

/// A line of Kibana's CSV.
pub fn csv_row(document: &Object, event: &Event, order: &mut Order, out: &mut String) {
    let values: Map<String, Value> = flat(document, order).into_iter().collect();
    out.push_str(&cell(&civil(event.logged).strftime("%b %-d, %Y @ %H:%M:%S%.3f").to_string()));
    let data = FIELDS.iter().map(|name| format!("winlog.event_data.{name}"));
    for name in COLUMNS.iter().map(|name| (*name).to_owned()).chain(data) {
        out.push(',');
        out.push_str(&match values.get(&name) {
            Some(Value::String(text)) => cell(text),
            Some(value) => cell(&value.to_string()),
            None => cell("-"),
        });
    }
}

/// A cell: in quotes if anything but letters and digits is in it.
fn cell(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "\"\""))
    }
}

fn head(event: &Event) -> Object {
    let id = mix(event.record ^ mix(event.host as u64 * 3 + event.channel as u64));
    let mut hit = Object::new();
    hit.text("_index", INDEX)
        .text("_id", &format!("{id:016x}"))
        .number("_version", 1)
        .raw("_score", "1.0");
    hit
}

/// The document as it is stored: what the Beat says to its output is not part of it.
fn stored(document: &Object, order: &mut Order) -> Map<String, Value> {
    let mut text = String::with_capacity(4096);
    document.write(&mut text, order);
    let Ok(Value::Object(mut document)) = serde_json::from_str(&text) else {
        unreachable!("an object is written as JSON")
    };
    document.shift_remove("@metadata");
    document
}

/// The document's values by dotted name.
pub fn flat(document: &Object, order: &mut Order) -> Vec<(String, Value)> {
    fn walk(prefix: &str, members: Map<String, Value>, out: &mut Vec<(String, Value)>) {
        for (name, value) in members {
            let name = format!("{prefix}{name}");
            match value {
                Value::Object(members) => walk(&format!("{name}."), members, out),
                value => out.push((name, value)),
            }
        }
    }
    let mut out = Vec::new();
    walk("", stored(document, order), &mut out);
    out
}
