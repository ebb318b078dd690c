//! Reads what `helkflow generate` writes, in every shape: by general parsers of JSON, XML and CSV
//! and by what the tools document of their forms. A record is told by its looks, so a file may hold
//! several shapes.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event as Xml};
use quick_xml::reader::Reader;
use serde_json::Value;

use super::event::print_time;

/// An event as a tool's record has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// In lower case.
    pub host: String,
    pub channel: String,
    pub number: Option<u64>,
    pub id: u64,
    /// Log time to the ms, `2026-01-15T08:00:00.123`.
    pub time: String,
    /// By Sysmon's names.
    pub fields: BTreeMap<String, String>,
}

/// The fields of processes' GUIDs.
pub const GUIDS: [&str; 6] = [
    "ProcessGuid",
    "ParentProcessGuid",
    "SourceProcessGuid",
    "TargetProcessGuid",
    "SourceProcessGUID",
    "TargetProcessGUID",
];

impl Record {
    pub fn sysmon(&self) -> bool {
        self.channel.contains("Sysmon")
    }

    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// A process's GUID in one spelling; none if absent or zero.
    pub fn guid(&self, name: &str) -> Option<String> {
        let bare = self.fields.get(name)?.trim_matches(['{', '}']).to_uppercase();
        (bare.len() == 36 && bare.bytes().any(|byte| !matches!(byte, b'0' | b'-')))
            .then(|| format!("{{{bare}}}"))
    }

    pub fn utc(&self) -> String {
        self.get("UtcTime").replace('T', " ").chars().take(23).collect()
    }

    /// What makes it the same event as another record.
    pub fn identity(&self) -> String {
        match self.number {
            Some(number) => {
                format!("{}|{}|{number}|{}|{}", self.host, self.channel, self.utc(), self.id)
            }
            None => format!("{self:?}"),
        }
    }
}

/// The order of the fields in schema 4.90, which tools that print values by position follow.
const ORDER: &[(&[u64], &str)] = &[
    (
        &[1],
        "RuleName UtcTime ProcessGuid ProcessId Image FileVersion Description Product \
         Company OriginalFileName CommandLine CurrentDirectory User LogonGuid LogonId \
         TerminalSessionId IntegrityLevel Hashes ParentProcessGuid ParentProcessId \
         ParentImage ParentCommandLine ParentUser",
    ),
    (
        &[2],
        "RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime \
         PreviousCreationUtcTime User",
    ),
    (
        &[3],
        "RuleName UtcTime ProcessGuid ProcessId Image User Protocol Initiated \
         SourceIsIpv6 SourceIp SourceHostname SourcePort SourcePortName DestinationIsIpv6 \
         DestinationIp DestinationHostname DestinationPort DestinationPortName",
    ),
    (&[4], "UtcTime State Version SchemaVersion"),
    (&[5], "RuleName UtcTime ProcessGuid ProcessId Image User"),
    (&[6], "RuleName UtcTime ImageLoaded Hashes Signed Signature SignatureStatus"),
    (
        &[7],
        "RuleName UtcTime ProcessGuid ProcessId Image ImageLoaded FileVersion Description \
         Product Company OriginalFileName Hashes Signed Signature SignatureStatus User",
    ),
    (
        &[8],
        "RuleName UtcTime SourceProcessGuid SourceProcessId SourceImage TargetProcessGuid \
         TargetProcessId TargetImage NewThreadId StartAddress StartModule StartFunction \
         SourceUser TargetUser",
    ),
    (&[9], "RuleName UtcTime ProcessGuid ProcessId Image Device User"),
    (
        &[10],
        "RuleName UtcTime SourceProcessGUID SourceProcessId SourceThreadId SourceImage \
         TargetProcessGUID TargetProcessId TargetImage GrantedAccess CallTrace SourceUser \
         TargetUser",
    ),
    (&[11], "RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime User"),
    (&[12], "RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject User"),
    (&[13], "RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject Details User"),
    (&[14], "RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject NewName User"),
    (
        &[15],
        "RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime Hash \
         Contents User",
    ),
    (&[16], "UtcTime Configuration ConfigurationFileHash"),
    (&[17, 18], "RuleName EventType UtcTime ProcessGuid ProcessId PipeName Image User"),
    (&[19], "RuleName EventType UtcTime Operation User EventNamespace Name Query"),
    (&[20], "RuleName EventType UtcTime Operation User Name Type Destination"),
    (&[21], "RuleName EventType UtcTime Operation User Consumer Filter"),
    (
        &[22],
        "RuleName UtcTime ProcessGuid ProcessId QueryName QueryStatus QueryResults Image \
         User",
    ),
    (
        &[23],
        "RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes \
         IsExecutable Archived",
    ),
    (
        &[24],
        "RuleName UtcTime ProcessGuid ProcessId Image Session ClientInfo Hashes Archived \
         User",
    ),
    (&[25], "RuleName UtcTime ProcessGuid ProcessId Image Type User"),
    (
        &[26],
        "RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes \
         IsExecutable",
    ),
    (&[29], "RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes"),
    (&[255], "UtcTime ID Description"),
];

/// The names of a record's values by position; those of other channels have numbers.
fn by_position(channel: &str, id: u64, values: impl Iterator<Item = String>) -> Fields {
    let order = ORDER.iter().find(|(ids, _)| channel.contains("Sysmon") && ids.contains(&id));
    let mut names = order.into_iter().flat_map(|(_, names)| names.split_whitespace());
    values
        .enumerate()
        .map(|(at, value)| (names.next().map_or_else(|| at.to_string(), str::to_owned), value))
        .collect()
}

/// True for the name of a field of Sysmon.
pub fn is_field(name: &str) -> bool {
    ORDER.iter().any(|(_, names)| names.split_whitespace().any(|field| field == name))
}

/// The fields that the reader below knows of a shape, if it does not know all.
pub fn known(shape: &str) -> Option<Vec<&'static str>> {
    match shape {
        "winlogbeat7-ecs" | "elastic-hits-ecs" => Some(
            ECS.iter().map(|(_, name)| *name).chain(GUIDS).chain(["UtcTime", "Image"]).collect(),
        ),
        "helk" => Some(
            HELK.iter()
                .map(|(_, name)| *name)
                .chain(GUIDS)
                .chain(["UtcTime", "RuleName"])
                .collect(),
        ),
        _ => None,
    }
}

type Fields = BTreeMap<String, String>;

/// All records of a file.
pub fn read_all(output: &[u8]) -> Vec<Record> {
    let text = std::str::from_utf8(output).unwrap();
    if text.starts_with("\"_time\"") {
        return read_csv(text, |row| read_xml(&row["_raw"]));
    }
    if text.starts_with("TenantId,") {
        return read_csv(text, |row| sentinel(&row));
    }
    if text.starts_with(r#"{"took""#) {
        let response: Value = serde_json::from_str(text).unwrap();
        return response["hits"]["hits"].as_array().unwrap().iter().map(read_json).collect();
    }
    if text.starts_with("\"@timestamp\"") {
        return read_csv(text, kibana);
    }
    split(text).into_iter().map(read).collect()
}

fn read_csv(text: &str, read: impl Fn(BTreeMap<String, String>) -> Record) -> Vec<Record> {
    csv::Reader::from_reader(text.as_bytes()).deserialize().map(|row| read(row.unwrap())).collect()
}

/// The records' texts: XML ends at `</Event>`, Splunk's text where the next begins, all else at the
/// end of its line.
pub fn split(text: &str) -> Vec<&str> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let end = if rest.starts_with("<Event ") {
            let end = rest.find("</Event>").unwrap() + "</Event>".len();
            end + usize::from(rest[end..].starts_with('\n'))
        } else if rest[line..].starts_with("LogName=") {
            // two lines of the next: its time and its log
            let next = rest[line..].find("\nLogName=").map(|at| line + at);
            next.map_or(rest.len(), |at| rest[..at].rfind('\n').unwrap() + 1)
        } else {
            line
        };
        let record = rest[..end].trim_end_matches('\n');
        let around = ["<Events>", "</Events>", r#"{"create":{"_index":"winlogbeat-8.17.4"}}"#];
        if !around.contains(&record) {
            records.push(record);
        }
        rest = &rest[end..];
    }
    records
}

/// One record.
pub fn read(text: &str) -> Record {
    if text.starts_with("<Event ") {
        return read_xml(text);
    }
    if text.contains("\nLogName=") {
        return splunk_text(text);
    }
    if let Some(rest) = text.strip_prefix("CreateTime:") {
        let (time, json) = rest.split_once("\tnull\t").unwrap();
        let record = read_json(&serde_json::from_str(json).unwrap());
        assert_eq!(record.time, iso(time.parse().unwrap()));
        return record;
    }
    if let Some(rest) = text.strip_prefix("<14>") {
        let (head, json) = rest.split_at(rest.find('{').unwrap());
        let record = read_json(&serde_json::from_str(json).unwrap());
        assert!(record.host.starts_with(&head[16..].trim().to_lowercase()), "{head}");
        return record;
    }
    match text.find("<Event>") {
        Some(at) if !text.starts_with('{') => {
            assert!(text[..at].contains(" sysmon["), "{text}");
            read_xml(&text[at..])
        }
        _ => read_json(&serde_json::from_str(text).unwrap()),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn flat(value: &Value) -> Fields {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// A JSON text inside JSON.
fn inner(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}

/// A list of names and texts.
fn named(list: &Value) -> Fields {
    let items = list.as_array().unwrap().iter();
    items
        .map(|item| (text(&item["@Name"]), item.get("#text").map_or_else(String::new, text)))
        .collect()
}

/// `2026-01-15T08:00:00.123` of milliseconds since 1970.
fn iso(ms: i64) -> String {
    print_time(ms, 'T', "")
}

/// Milliseconds since 1970 of a time in UTC.
pub fn millis(time: &str) -> i64 {
    let text = time.trim_end_matches('Z').replace(' ', "T");
    let time: DateTime = text.parse().unwrap();
    Offset::UTC.to_timestamp(time).unwrap().as_millisecond()
}

/// A time in UTC, in ISO 8601 or nearly so.
fn to_ms(time: &str) -> String {
    iso(millis(&time.trim_end_matches(" +0000").chars().take(23).collect::<String>()))
}

fn read_json(v: &Value) -> Record {
    let at = |path: &str| v.pointer(path).cloned().unwrap_or_default();
    let xml = |path: &str| v.pointer(path).and_then(Value::as_str).map(read_xml);
    let record = |paths: [&str; 4], time: String, fields: Fields| {
        let [host, channel, number, id] = paths.map(|path| text(&at(path)));
        Record {
            host: host.to_lowercase(),
            channel,
            number: number.parse().ok(),
            id: id.parse().unwrap(),
            time,
            fields,
        }
    };
    let at_text = |path: &str| text(&at(path));
    if let Some(document) = v.get("_source") {
        assert!(v["_index"].is_string() && document.get("@metadata").is_none());
        return read_json(document);
    }
    for path in
        ["/result/_raw", "/event", "/event/original", "/System", "/SyslogMessage", "/MESSAGE"]
    {
        if let Some(record) = xml(path) {
            match path {
                "/event/original" => assert!(at_text("/@timestamp")[..19] > record.time[..19]),
                "/System" => assert_eq!(message(&at_text("/Message")), record.fields),
                _ => {}
            }
            return record;
        }
    }
    if v.pointer("/agent/type").is_some_and(|it| it == "filebeat") {
        return read(&at_text("/message"));
    }
    if let Some(data) = v.pointer("/document/data") {
        let time = to_ms(&text(&data["Event"]["System"]["TimeCreated_attributes"]["SystemTime"]));
        assert_eq!(time[..23], at_text("/timestamp")[..23]);
        let paths = ["Computer", "Channel", "EventRecordID", "EventID"];
        let paths = paths.map(|name| format!("/document/data/Event/System/{name}"));
        let fields = flat(&data["Event"]["EventData"]);
        return record(paths.each_ref().map(String::as_str), time, fields);
    }
    if let Some(fields) = v.get("fields") {
        let values = fields.as_object().unwrap().iter().map(|(name, values)| {
            assert_eq!(values.as_array().unwrap().len(), 1);
            (name.clone(), text(&values[0]))
        });
        return dotted(&values.collect());
    }
    if v.get("winlog.channel").is_some() {
        return dotted(&flat(v));
    }
    if v.get("winlog").is_some() {
        return winlog(v);
    }
    if v.pointer("/data/win").is_some() {
        return wazuh(v);
    }
    if v.get("beats_type").is_some() {
        return graylog(&flat(v));
    }
    if v.get("source_type").is_some() {
        assert_eq!(message(&at_text("/message")), flat(&v["event_data"]));
        let time = to_ms(&at_text("/timestamp"));
        return record(
            ["/computer", "/channel", "/record_id", "/event_id"],
            time,
            flat(&v["event_data"]),
        );
    }
    if v.pointer("/System/EventID/Value").is_some() {
        let time =
            iso((at("/System/TimeCreated/SystemTime").as_f64().unwrap() * 1000.0).round() as i64);
        assert!(
            at("/EventData/ProcessId").is_number()
                == v.pointer("/EventData/ProcessId")
                    .is_some_and(|pid| !text(pid).starts_with("0x"))
        );
        return record(
            [
                "/System/Computer",
                "/System/Channel",
                "/System/EventRecordID",
                "/System/EventID/Value",
            ],
            time,
            flat(&v["EventData"]),
        );
    }
    if let Some(properties) = v.get("Properties") {
        let digits = at_text("/TimeCreated");
        let ms = digits.trim_start_matches("/Date(").trim_end_matches(")/").parse().unwrap();
        let mut record =
            record(["/MachineName", "/LogName", "/RecordId", "/Id"], iso(ms), Fields::new());
        let values = properties.as_array().unwrap().iter().map(|value| text(&value["Value"]));
        record.fields = by_position(&record.channel, record.id, values);
        return record;
    }
    if v.get("Payload").is_some() {
        let fields = named(&inner(&v["Payload"])["EventData"]["Data"]);
        let time = to_ms(&at_text("/TimeCreated"));
        return record(["/Computer", "/Channel", "/RecordNumber", "/EventId"], time, fields);
    }
    if v.get("Event").is_some() {
        let (time, fields) = if v.pointer("/Event/System/Provider/#attributes").is_some() {
            ("/Event/System/TimeCreated/#attributes/SystemTime", flat(&v["Event"]["EventData"]))
        } else if let Some(list) = v.pointer("/Event/EventData/Data") {
            ("/Event/System/TimeCreated/@SystemTime", named(list))
        } else {
            ("/Event/System/TimeCreated/SystemTime", flat(&v["Event"]["EventData"]))
        };
        let paths = ["Computer", "Channel", "EventRecordID", "EventID"];
        let paths = paths.map(|name| format!("/Event/System/{name}"));
        return record(paths.each_ref().map(String::as_str), to_ms(&at_text(time)), fields);
    }
    if let Some(columns) = v.get("columns") {
        let time = to_ms(&text(&columns["datetime"]));
        let fields = flat(&inner(&columns["data"])["EventData"]);
        let paths = ["/columns/computer_name", "/columns/source", "/none", "/columns/eventid"];
        return record(paths, time, fields);
    }
    if v.get("EventLog").is_some() {
        let fields = read_xml(v["EventData"].as_str().unwrap()).fields;
        assert_eq!(message(&at_text("/RenderedDescription")), fields);
        assert_eq!(at_text("/ParameterXml").matches("<Param>").count(), fields.len());
        let time = to_ms(&at_text("/TimeGenerated"));
        return record(["/Computer", "/EventLog", "/none", "/EventID"], time, fields);
    }
    if v.get("EventLevelName").is_some() {
        let data = &v["EventData"];
        let fields = if data.is_string() { flat(&inner(data)) } else { flat(data) };
        let time = to_ms(&at_text("/TimeGenerated"));
        return record(["/Computer", "/Channel", "/EventRecordId", "/EventID"], time, fields);
    }
    if let Some(list) = v.get("StringInserts").or(v.get("EventData").filter(|it| it.is_array())) {
        let time = to_ms(&at_text("/TimeCreated"));
        let paths = ["/Computer", "/Channel", "/EventRecordID", "/EventID"];
        let mut record = record(paths, time, Fields::new());
        let values = list.as_array().unwrap().iter().map(text);
        record.fields = by_position(&record.channel, record.id, values);
        let said = v.get("Message").or(v.get("Description")).unwrap();
        assert_eq!(message(&text(said)).len(), record.fields.len());
        return record;
    }
    if v.get("host_name").is_some() {
        return helk(v);
    }
    if v.get("log_name").is_some() {
        assert!(v["record_number"].is_string() && v["event_id"].is_u64());
        let time = to_ms(&at_text("/@timestamp"));
        let paths = ["/computer_name", "/log_name", "/record_number", "/event_id"];
        return record(paths, time, flat(&v["event_data"]));
    }
    assert_eq!(v["SourceModuleType"], "im_msvistalog");
    let (local, arrival) = (millis(&at_text("/EventTime")), millis(&at_text("/@timestamp")));
    let quarter = 900_000;
    let zone = (arrival - local + quarter / 2).div_euclid(quarter) * quarter;
    let time = iso(local + zone);
    record(["/Hostname", "/Channel", "/RecordNumber", "/EventID"], time, flat(v))
}

/// Where Elastic's module puts fields, beside the subject's GUID and image.
const ECS: [(&str, &str); 8] = [
    ("/process/parent/entity_id", "ParentProcessGuid"),
    ("/process/parent/executable", "ParentImage"),
    ("/process/parent/command_line", "ParentCommandLine"),
    ("/process/command_line", "CommandLine"),
    ("/destination/ip", "DestinationIp"),
    ("/destination/port", "DestinationPort"),
    ("/source/ip", "SourceIp"),
    ("/source/port", "SourcePort"),
];

/// Winlogbeat 7 and 8, with Elastic's module or without, and where its fields are in the message or
/// have numbers.
fn winlog(v: &Value) -> Record {
    let at = |path: &str| v.pointer(path).map_or_else(String::new, text);
    let eight = v["agent"]["version"].as_str().unwrap().starts_with('8');
    assert_eq!(v["winlog"]["event_id"].is_string(), eight);
    assert_eq!(v["host"]["name"], "WEC01");
    let (channel, id) = (at("/winlog/channel"), at("/winlog/event_id").parse().unwrap());
    let mut time = at("/@timestamp");
    let mut fields = flat(&v["winlog"]["event_data"]);
    if v["event"]["module"] == "sysmon" {
        assert!(!fields.contains_key("ProcessGuid") && !fields.contains_key("UtcTime"));
        let (guid, image) = match id {
            8 => ("SourceProcessGuid", "SourceImage"),
            10 => ("SourceProcessGUID", "SourceImage"),
            _ => ("ProcessGuid", "Image"),
        };
        let ends = [("/process/entity_id", guid), ("/process/executable", image)];
        for (path, name) in ends.into_iter().chain(ECS) {
            if let Some(value) = v.pointer(path) {
                fields.insert(name.into(), text(value));
            }
        }
        fields.insert("UtcTime".into(), time.replace('T', " ").trim_end_matches('Z').into());
        time = at("/event/created");
    } else if fields.is_empty() {
        fields = message(&at("/message"));
    } else if channel.contains("Sysmon") && fields.keys().all(|name| name.starts_with("param")) {
        let last = fields.keys().map(|name| name[5..].parse().unwrap()).max().unwrap_or(0);
        let values = (1..=last)
            .map(|n: usize| fields.get(&format!("param{n}")).cloned().unwrap_or_default());
        fields = by_position(&channel, id, values);
    }
    Record {
        host: at("/winlog/computer_name").to_lowercase(),
        channel,
        number: v["winlog"]["record_id"].as_u64(),
        id,
        time: to_ms(&time),
        fields,
    }
}

/// The fields under a prefix, and what is beside them.
fn below(values: &Fields, prefix: &str) -> Fields {
    let fields = values
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone())));
    fields.collect()
}

fn dotted(values: &Fields) -> Record {
    Record {
        host: values["winlog.computer_name"].to_lowercase(),
        channel: values["winlog.channel"].clone(),
        number: values["winlog.record_id"].parse().ok(),
        id: values["winlog.event_id"].parse().unwrap(),
        time: to_ms(&values["@timestamp"]),
        fields: below(values, "winlog.event_data."),
    }
}

fn kibana(mut row: BTreeMap<String, String>) -> Record {
    let time = DateTime::strptime("%b %d, %Y @ %H:%M:%S%.f", &row["@timestamp"]).unwrap();
    row.insert("@timestamp".into(), time.to_string());
    row.retain(|name, value| value != "-" || !name.contains("event_data"));
    let mut record = dotted(&row);
    if record.sysmon() {
        // what has no value and what has `-` look the same
        record.fields.entry("RuleName".into()).or_insert_with(|| "-".into());
    }
    record
}

fn sentinel(row: &BTreeMap<String, String>) -> Record {
    let time = DateTime::strptime("%m/%d/%Y, %I:%M:%S%.f %p", &row["TimeGenerated [UTC]"]).unwrap();
    Record {
        host: row["Computer"].to_lowercase(),
        channel: row["EventLog"].clone(),
        number: None,
        id: row["EventID"].parse().unwrap(),
        time: to_ms(&time.to_string()),
        fields: read_xml(&row["EventData"]).fields,
    }
}

fn graylog(values: &Fields) -> Record {
    let old = !values.contains_key("winlogbeat_winlog_channel");
    let names = if old {
        ["computer_name", "log_name", "record_number", "event_id", "event_data_"]
    } else {
        [
            "winlog_computer_name",
            "winlog_channel",
            "winlog_record_id",
            "winlog_event_id",
            "winlog_event_data_",
        ]
    };
    let [host, channel, number, id, data] = names.map(|name| format!("winlogbeat_{name}"));
    Record {
        host: values[&host].to_lowercase(),
        channel: values[&channel].clone(),
        number: values[&number].parse().ok(),
        id: values[&id].parse().unwrap(),
        time: to_ms(&values["timestamp"]),
        fields: below(values, &data),
    }
}

fn wazuh(v: &Value) -> Record {
    let system = flat(&v["data"]["win"]["system"]);
    let fields = flat(&v["data"]["win"]["eventdata"]).into_iter().map(|(name, value)| {
        let plain = value.replace("\\\\", "\u{0}").replace("\\\"", "\"").replace('\u{0}', "\\");
        assert!(!value.contains('<') && !value.contains('>'));
        (name[..1].to_uppercase() + &name[1..], unescaped(&plain))
    });
    let fields: Fields = fields.collect();
    let quoted = system["message"].strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let mut said = message(quoted.unwrap());
    said.retain(|_, value| !value.is_empty() && value != "-");
    for value in said.values_mut() {
        *value = value.trim().to_owned();
    }
    assert!(said == fields || system["channel"] == "System", "{said:?} {fields:?}");
    Record {
        host: system["computer"].to_lowercase(),
        channel: system["channel"].clone(),
        number: system["eventRecordID"].parse().ok(),
        id: system["eventID"].parse().unwrap(),
        time: to_ms(&system["systemTime"]),
        fields,
    }
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// HELK's names for the fields that a view needs.
const HELK: [(&str, &str); 24] = [
    ("process_id", "ProcessId"),
    ("process_path", "Image"),
    ("process_command_line", "CommandLine"),
    ("process_current_directory", "CurrentDirectory"),
    ("process_integrity_level", "IntegrityLevel"),
    ("process_parent_guid", "ParentProcessGuid"),
    ("process_parent_id", "ParentProcessId"),
    ("process_parent_path", "ParentImage"),
    ("process_parent_command_line", "ParentCommandLine"),
    ("user_account", "User"),
    ("network_protocol", "Protocol"),
    ("network_initiated", "Initiated"),
    ("src_ip_addr", "SourceIp"),
    ("src_host_name", "SourceHostname"),
    ("src_port", "SourcePort"),
    ("src_is_ipv6", "SourceIsIpv6"),
    ("dst_ip_addr", "DestinationIp"),
    ("dst_host_name", "DestinationHostname"),
    ("dst_port", "DestinationPort"),
    ("dst_port_name", "DestinationPortName"),
    ("dst_is_ipv6", "DestinationIsIpv6"),
    ("target_process_id", "TargetProcessId"),
    ("target_process_path", "TargetImage"),
    ("file_name", "TargetFilename"),
];

fn helk(v: &Value) -> Record {
    let mut values = flat(v);
    let id = values["event_id"].parse().unwrap();
    let time = values.get("event_recorded_time").unwrap_or(&values["@timestamp"]).clone();
    let mut fields = Fields::new();
    let ends = match id {
        8 => ["SourceProcessGuid", "TargetProcessGuid", "SourceProcessId", "SourceImage"],
        10 => ["SourceProcessGUID", "TargetProcessGUID", "SourceProcessId", "SourceImage"],
        _ => ["ProcessGuid", "", "ProcessId", "Image"],
    };
    let subject = ["process_guid", "target_process_guid", "process_id", "process_path"];
    let names = subject.into_iter().zip(ends).chain(HELK);
    let channel = values["log_name"].clone();
    if channel.contains("Sysmon") {
        for (name, field) in names {
            if let Some(value) = values.remove(name) {
                assert!(!value.contains(['{', '}']) || !name.ends_with("guid"));
                fields.insert(field.into(), value);
            }
        }
        let utc = values["event_original_time"].replace('T', " ");
        fields.insert("UtcTime".into(), utc.trim_end_matches('Z').into());
        fields.extend(values.remove_entry("RuleName"));
    } else {
        fields = values.clone();
    }
    Record {
        host: values["host_name"].clone(),
        channel,
        number: values["record_number"].parse().ok(),
        id,
        time: to_ms(&time),
        fields,
    }
}

/// The fields that a rendered message has behind its title.
fn message(text: &str) -> Fields {
    let lines = text.lines().skip(1);
    lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned())
        })
        .collect()
}

fn splunk_text(text: &str) -> Record {
    let (head, said) = text.split_once("\nMessage=").unwrap();
    let (time, head) = head.split_once('\n').unwrap();
    let head: Fields = head
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let time = DateTime::strptime("%m/%d/%Y %I:%M:%S %p", time).unwrap();
    Record {
        host: head["ComputerName"].to_lowercase(),
        channel: head["LogName"].clone(),
        number: head["RecordNumber"].parse().ok(),
        id: head["EventCode"].parse().unwrap(),
        time: to_ms(&time.to_string()),
        fields: message(said),
    }
}

/// An event's XML, or the `DataItem` of one.
fn read_xml(xml: &str) -> Record {
    let attribute = |tag: &BytesStart<'_>, wanted: &str| -> Option<String> {
        let found = tag.attributes().map(Result::unwrap);
        let mut found = found.filter(|found| found.key.local_name().as_ref() == wanted);
        Some(found.next()?.normalized_value(XmlVersion::Implicit1_0).unwrap().into_owned())
    };
    let mut reader = Reader::from_str(xml);
    let mut record = Record::default();
    let mut path: Vec<String> = Vec::new();
    let (mut field, mut text) = (String::new(), String::new());
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(tag) => {
                path.push(tag.local_name().as_ref().to_owned());
                text.clear();
                field = attribute(&tag, "Name").unwrap_or_default();
            }
            Xml::Empty(tag)
                if path.join("/") == "Event/System"
                    && tag.local_name().as_ref() == "TimeCreated" =>
            {
                record.time = to_ms(&attribute(&tag, "SystemTime").unwrap());
            }
            Xml::Text(piece) => text.push_str(&piece.xml10_content()),
            Xml::GeneralRef(entity) => text.push_str(resolve_xml_entity(&entity).unwrap()),
            Xml::End(_) => {
                let text = std::mem::take(&mut text);
                match path.join("/").as_str() {
                    "Event/System/Computer" => record.host = text.to_lowercase(),
                    "Event/System/Channel" => record.channel = text,
                    "Event/System/EventRecordID" => record.number = text.parse().ok(),
                    "Event/System/EventID" => record.id = text.parse().unwrap(),
                    "Event/EventData/Data" | "DataItem/EventData/Data" => {
                        record.fields.insert(field.clone(), text);
                    }
                    _ => {}
                }
                path.pop();
            }
            Xml::Eof => return record,
            _ => {}
        }
    }
}
