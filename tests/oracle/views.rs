//! The four views.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::event::{CHANNEL, Event, PROVIDER, print_guid, print_time};

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Int(i32),
    Text(String),
    Guid(u128),
    Time(i64),
}

impl Value {
    fn json(&self) -> Json {
        match self {
            Value::Int(value) => json!(value),
            Value::Text(value) => json!(value),
            Value::Guid(value) => json!(print_guid(*value)),
            Value::Time(value) => json!(print_time(*value, 'T', "Z")),
        }
    }
}

fn json(value: Option<&Value>) -> Json {
    value.map_or(Json::Null, Value::json)
}

/// A row as a line: columns in order.
fn line(columns: &[(&str, Json)]) -> String {
    let members: Vec<String> =
        columns.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Host in lower case, and GUID.
type Id = (String, u128);

/// What one event says of one process.
struct Claim {
    host: String,
    priority: u8,
    knowledge: u8,
    time: Option<i64>,
    columns: BTreeMap<&'static str, Value>,
}

/// The columns of a process that events tell, with the field that tells it in its own create.
const COLUMNS: [(&str, &str); 19] = [
    ("PROCESS_ID", "ProcessId"),
    ("IMAGE", "Image"),
    ("COMMAND_LINE", "CommandLine"),
    ("CURRENT_DIRECTORY", "CurrentDirectory"),
    ("USER", "User"),
    ("LOGON_GUID", "LogonGuid"),
    ("LOGON_ID", "LogonId"),
    ("TERMINAL_SESSION_ID", "TerminalSessionId"),
    ("INTEGRITY_LEVEL", "IntegrityLevel"),
    ("HASHES", "Hashes"),
    ("ORIGINAL_FILE_NAME", "OriginalFileName"),
    ("PARENT_PROCESS_GUID", "ParentProcessGuid"),
    ("PARENT_PROCESS_ID", "ParentProcessId"),
    ("PARENT_IMAGE", "ParentImage"),
    ("PARENT_COMMAND_LINE", "ParentCommandLine"),
    ("PARENT_USER", "ParentUser"),
    ("STARTED", ""),
    ("ENDED", ""),
    ("KNOWLEDGE", ""),
];

fn value(event: &Event, column: &str, field: &str) -> Option<Value> {
    match column {
        "PROCESS_ID" | "PARENT_PROCESS_ID" | "TERMINAL_SESSION_ID" => {
            event.int(field).map(Value::Int)
        }
        "LOGON_GUID" | "PARENT_PROCESS_GUID" => event.guid(field).map(Value::Guid),
        _ => event.text(field).map(|text| Value::Text(text.to_owned())),
    }
}

/// When the process of a create event started: by UtcTime, unless the GUID says something else and
/// the log's time is near to that.
fn started(event: &Event, guid: u128) -> Option<i64> {
    let (utc, logged) = (event.utc(), event.at());
    let by_guid = guid_time(guid);
    if let (Some(utc), Some(by_guid)) = (utc, by_guid)
        && utc.abs_diff(by_guid) <= 10_000
    {
        return Some(utc);
    }
    if let (Some(logged), Some(by_guid)) = (logged, by_guid)
        && (by_guid - 10_000..=by_guid + 3_600_000).contains(&logged)
    {
        return Some(by_guid);
    }
    utc.or(logged)
}

/// All that an event says of processes.
fn claims(event: &Event) -> Vec<(Id, Claim)> {
    let claim = |guid: &str, priority, knowledge, fields: &[(&'static str, &str)]| {
        let (host, guid) = (event.host.clone()?, event.guid(guid).filter(|guid| *guid != 0)?);
        let mut columns: BTreeMap<&str, Value> = fields
            .iter()
            .filter_map(|(column, field)| Some((*column, value(event, column, field)?)))
            .collect();
        if priority == 0 {
            columns.extend(started(event, guid).map(|time| ("STARTED", Value::Time(time))));
        } else if event.id == 5 {
            columns.extend(event.at().map(|time| ("ENDED", Value::Time(time))));
        }
        Some((
            (host.to_lowercase(), guid),
            Claim { host, priority, knowledge, time: event.at(), columns },
        ))
    };
    let other = |guid: &str, end: &str, knowledge| {
        let fields = ["ProcessId", "Image", "User"].map(|field| format!("{end}{field}"));
        claim(
            guid,
            2,
            knowledge,
            &[("PROCESS_ID", &fields[0]), ("IMAGE", &fields[1]), ("USER", &fields[2])],
        )
    };
    let claims = match event.id {
        1 => {
            let parent = [
                ("PROCESS_ID", "ParentProcessId"),
                ("IMAGE", "ParentImage"),
                ("COMMAND_LINE", "ParentCommandLine"),
                ("USER", "ParentUser"),
            ];
            vec![
                claim("ProcessGuid", 0, 0, &COLUMNS[..16]),
                claim("ParentProcessGuid", 1, 1, &parent),
            ]
        }
        3 => vec![other("ProcessGuid", "", 2)],
        8 => vec![other("SourceProcessGuid", "Source", 1), other("TargetProcessGuid", "Target", 1)],
        10 => {
            vec![other("SourceProcessGUID", "Source", 1), other("TargetProcessGUID", "Target", 1)]
        }
        // all other events of a process
        2 | 5 | 7 | 9 | 11..=15 | 17 | 18 | 22..=29 => vec![other("ProcessGuid", "", 1)],
        _ => vec![],
    };
    claims.into_iter().flatten().collect()
}

struct Process {
    host: String,
    columns: BTreeMap<&'static str, Value>,
}

impl Process {
    fn parent(&self) -> Option<u128> {
        match self.columns.get("PARENT_PROCESS_GUID") {
            Some(Value::Guid(guid)) => Some(*guid),
            _ => None,
        }
    }

    fn json(&self, column: &str) -> Json {
        json(self.columns.get(column))
    }
}

/// The best known value: lowest priority, then earliest, then smallest.
fn first_known(claims: &[&Claim], column: &str) -> Option<Value> {
    let known =
        claims.iter().filter_map(|claim| claim.columns.get(column).map(|value| (claim, value)));
    known
        .min_by_key(|(claim, value)| (claim.priority, claim.time.is_none(), claim.time, *value))
        .map(|(_, value)| value.clone())
}

/// The second and third group of a GUID are the low and the high half of seconds since 1970.
fn guid_time(guid: u128) -> Option<i64> {
    let text = print_guid(guid);
    let seconds = i64::from_str_radix(&format!("{}{}", &text[15..19], &text[10..14]), 16).unwrap();
    let oldest: jiff::Timestamp = "2001-01-01T00:00:00Z".parse().unwrap();
    (seconds >= oldest.as_second()).then_some(seconds * 1000)
}

fn all_processes(events: &[Event]) -> BTreeMap<Id, Process> {
    let claims: Vec<(Id, Claim)> = events.iter().flat_map(claims).collect();
    let mut by_process: BTreeMap<&Id, Vec<&Claim>> = BTreeMap::new();
    for (id, claim) in &claims {
        by_process.entry(id).or_default().push(claim);
    }
    let process = |(id, claims): (&Id, Vec<&Claim>)| {
        let mut columns: BTreeMap<&str, Value> = COLUMNS
            .iter()
            .filter_map(|(column, _)| Some((*column, first_known(&claims, column)?)))
            .collect();
        if let (false, Some(started)) = (columns.contains_key("STARTED"), guid_time(id.1)) {
            columns.insert("STARTED", Value::Time(started));
        }
        let knowledge = ["complete", "partial", "orphan"]
            [usize::from(claims.iter().map(|claim| claim.knowledge).min().unwrap())];
        columns.insert("KNOWLEDGE", Value::Text(knowledge.to_owned()));
        let host = claims.iter().map(|claim| &claim.host).min().unwrap().clone();
        (id.clone(), Process { host, columns })
    };
    by_process.into_iter().map(process).collect()
}

pub fn processes(events: &[Event]) -> Vec<String> {
    let line = |((_, guid), process): (&Id, &Process)| {
        let mut columns = vec![
            format!("\"HOST\":{}", json!(process.host)),
            format!("\"PROCESS_GUID\":{}", json!(print_guid(*guid))),
        ];
        let names =
            std::iter::once("KNOWLEDGE").chain(COLUMNS[..18].iter().map(|(column, _)| *column));
        columns.extend(names.map(|name| format!("\"{name}\":{}", process.json(name))));
        format!("{{{}}}", columns.join(","))
    };
    sorted(all_processes(events).iter().map(line))
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// The ancestors as JSON, how many are listed, and whether there are more.
fn ancestry(processes: &BTreeMap<Id, Process>, (host, guid): &Id) -> (String, usize, bool) {
    let mut seen = BTreeSet::from([*guid]);
    let mut list = Vec::new();
    let mut at = processes[&(host.clone(), *guid)].parent();
    while let Some((parent, process)) =
        at.and_then(|parent| Some((parent, processes.get(&(host.clone(), parent))?)))
    {
        if !seen.insert(parent) {
            break;
        }
        list.push(line(&[
            ("DISTANCE", json!(list.len() + 1)),
            ("PROCESS_GUID", json!(print_guid(parent))),
            ("IMAGE", process.json("IMAGE")),
            ("COMMAND_LINE", process.json("COMMAND_LINE")),
        ]));
        if list.len() > 32 {
            break;
        }
        at = process.parent();
    }
    let truncated = list.len() > 32;
    list.truncate(32);
    (format!("[{}]", list.join(",")), list.len(), truncated)
}

/// A line that ends with the columns of an ancestry.
fn with_ancestry(line: &str, (list, depth, truncated): &(String, usize, bool)) -> String {
    format!(
        "{},\"DEPTH\":{depth},\"TRUNCATED\":{truncated},\"ANCESTORS\":{list}}}",
        line.strip_suffix('}').unwrap()
    )
}

pub fn process_tree(events: &[Event]) -> Vec<String> {
    let processes = all_processes(events);
    let row = |(id, process): (&Id, &Process)| {
        let columns = line(&[
            ("HOST", json!(process.host)),
            ("PROCESS_GUID", json!(print_guid(id.1))),
            ("KNOWLEDGE", process.json("KNOWLEDGE")),
            ("PROCESS_ID", process.json("PROCESS_ID")),
            ("IMAGE", process.json("IMAGE")),
            ("COMMAND_LINE", process.json("COMMAND_LINE")),
            ("USER", process.json("USER")),
            ("STARTED", process.json("STARTED")),
            ("ENDED", process.json("ENDED")),
            ("PARENT_PROCESS_GUID", process.json("PARENT_PROCESS_GUID")),
        ]);
        with_ancestry(&columns, &ancestry(&processes, id))
    };
    sorted(processes.iter().map(row))
}

/// Connections by identity; of several deliveries, the spelling of the host that sorts first.
fn connections(events: &[Event]) -> BTreeMap<String, &Event> {
    let mut connections: BTreeMap<String, &Event> = BTreeMap::new();
    for event in events.iter().filter(|event| event.id == 3) {
        let known = connections.entry(event.key()).or_insert(event);
        if event.host < known.host {
            *known = event;
        }
    }
    connections
}

fn process_of(event: &Event) -> Option<Id> {
    Some((
        event.host.as_ref()?.to_lowercase(),
        event.guid("ProcessGuid").filter(|guid| *guid != 0)?,
    ))
}

pub fn process_network(events: &[Event]) -> Vec<String> {
    let processes = all_processes(events);
    let row = |(key, n): (&String, &&Event)| {
        let id = process_of(n).filter(|id| processes.contains_key(id));
        let process = id.as_ref().map(|id| &processes[id]);
        let p = |column: &str| process.map_or(Json::Null, |process| process.json(column));
        let or = |column: &str, own: Json| if p(column).is_null() { own } else { p(column) };
        let ancestry =
            id.as_ref().map_or(("null".to_owned(), 0, false), |id| ancestry(&processes, id));
        let columns = line(&[
            ("EVENT_KEY", json!(key)),
            ("EVENT_TIME", json(n.at().map(Value::Time).as_ref())),
            ("HOST", json!(n.host)),
            ("KNOWLEDGE", or("KNOWLEDGE", json!("orphan"))),
            ("PROCESS_GUID", json!(n.guid("ProcessGuid").map(print_guid))),
            ("PROCESS_ID", or("PROCESS_ID", json!(n.int("ProcessId")))),
            ("IMAGE", or("IMAGE", json!(n.text("Image")))),
            ("COMMAND_LINE", p("COMMAND_LINE")),
            ("USER", or("USER", json!(n.text("User")))),
            ("INTEGRITY_LEVEL", p("INTEGRITY_LEVEL")),
            ("HASHES", p("HASHES")),
            ("STARTED", p("STARTED")),
            ("PARENT_PROCESS_GUID", p("PARENT_PROCESS_GUID")),
            ("PARENT_IMAGE", p("PARENT_IMAGE")),
            ("PARENT_COMMAND_LINE", p("PARENT_COMMAND_LINE")),
            ("PROTOCOL", json!(n.text("Protocol"))),
            ("INITIATED", json!(n.flag("Initiated"))),
            ("SOURCE_IP", json!(n.text("SourceIp"))),
            ("SOURCE_PORT", json!(n.int("SourcePort"))),
            ("SOURCE_HOSTNAME", json!(n.text("SourceHostname"))),
            ("DESTINATION_IP", json!(n.text("DestinationIp"))),
            ("DESTINATION_PORT", json!(n.int("DestinationPort"))),
            ("DESTINATION_HOSTNAME", json!(n.text("DestinationHostname"))),
            ("DESTINATION_PORT_NAME", json!(n.text("DestinationPortName"))),
            ("RULE_NAME", json!(n.text("RuleName"))),
            ("UTC_TIME", json!(n.text("UtcTime"))),
        ]);
        with_ancestry(&columns, &ancestry)
    };
    sorted(connections(events).iter().map(row))
}

pub fn sysmon_join(events: &[Event]) -> Vec<String> {
    let mut creates: BTreeMap<Id, Vec<Claim>> = BTreeMap::new();
    for (id, claim) in events.iter().flat_map(claims).filter(|(_, claim)| claim.priority == 0) {
        creates.entry(id).or_default().push(claim);
    }
    let row = |(key, n): (&String, &&Event)| {
        let creates: Vec<&Claim> = creates.get(&process_of(n)?)?.iter().collect();
        let c = |column: &str| json(first_known(&creates, column).as_ref());
        let flag = |name: &str| json!(n.flag(name).map(|value| value.to_string()));
        Some(line(&[
            ("EVENT_KEY", json!(key)),
            ("N_EVENT_ORIGINAL_TIME", json!(n.utc())),
            ("N_PROCESS_GUID", json!(n.guid("ProcessGuid").map(print_guid))),
            ("N_PROCESS_ID", json!(n.int("ProcessId"))),
            ("N_PROCESS_PATH", json!(n.text("Image"))),
            ("N_USER_ACCOUNT", json!(n.text("User"))),
            ("NETWORK_PROTOCOL", json!(n.text("Protocol"))),
            ("NETWORK_CONNECTION_INITIATED", flag("Initiated")),
            ("SRC_IS_IPV6", flag("SourceIsIpv6")),
            ("SRC_IP_ADDR", json!(n.text("SourceIp"))),
            ("SRC_HOST_NAME", json!(n.text("SourceHostname"))),
            ("SRC_PORT", json!(n.int("SourcePort"))),
            ("SRC_PORT_NAME", json!(n.text("SourcePortName"))),
            ("DST_IS_IPV6", flag("DestinationIsIpv6")),
            ("DST_IP_ADDR", json!(n.text("DestinationIp"))),
            ("DST_HOST_NAME", json!(n.text("DestinationHostname"))),
            ("DST_PORT", json!(n.int("DestinationPort"))),
            ("DST_PORT_NAME", json!(n.text("DestinationPortName"))),
            ("N_SOURCE_NAME", json!(PROVIDER)),
            ("N_LOG_NAME", json!(CHANNEL)),
            ("PROCESS_COMMAND_LINE", c("COMMAND_LINE")),
            ("HASHES", c("HASHES")),
            ("PROCESS_PARENT_PATH", c("PARENT_IMAGE")),
            ("PROCESS_PARENT_COMMAND_LINE", c("PARENT_COMMAND_LINE")),
            ("USER_LOGON_GUID", c("LOGON_GUID")),
            ("USER_LOGON_ID", c("LOGON_ID")),
            ("USER_SESSION_ID", c("TERMINAL_SESSION_ID")),
            ("PROCESS_CURRENT_DIRECTORY", c("CURRENT_DIRECTORY")),
            ("PROCESS_INTEGRITY_LEVEL", c("INTEGRITY_LEVEL")),
            ("PROCESS_PARENT_GUID", c("PARENT_PROCESS_GUID")),
            ("PROCESS_PARENT_ID", c("PARENT_PROCESS_ID")),
        ]))
    };
    sorted(connections(events).iter().filter_map(row))
}
