use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::model::{Column, Guid, Row, Timestamp, Type, Value};

const KINDS: [As; 3] = [As::Flat, As::Helk, As::Ecs];

fn type_of(field: Field) -> Type {
    match field {
        Field::EventTime | Field::Started => Type::Timestamp,
        Field::ProcessGuid | Field::ParentProcessGuid => Type::Guid,
        Field::ProcessId | Field::SourcePort | Field::DestinationPort | Field::Depth => Type::Int,
        Field::Initiated | Field::Truncated => Type::Boolean,
        Field::Ancestors => {
            let parts = [
                ("DISTANCE", Type::Int),
                ("PROCESS_GUID", Type::Guid),
                ("IMAGE", Type::Varchar),
                ("COMMAND_LINE", Type::Varchar),
            ];
            Type::array(Type::Struct(parts.map(|(name, ty)| (name.to_owned(), ty)).into()))
        }
        _ => Type::Varchar,
    }
}

fn ancestor(distance: i32, guid: Option<u128>, image: Option<&str>) -> Value<'static> {
    let guid = guid.map_or(Value::Null, |guid| Value::Guid(Guid(guid)));
    Value::Struct(vec![
        Value::Int(distance),
        guid,
        image.map_or(Value::Null, |image| Value::text(image).into_owned()),
        Value::Null,
    ])
}

/// What a row of these values is rendered as. The JSON must be as `serde_json` would write it: so nothing is there twice.
fn rendered(kind: As, values: &[(Field, Type, Value<'static>)]) -> Json {
    let schema = Schema {
        columns: values
            .iter()
            .map(|(field, ty, _)| Column::new(field.name(), ty.clone()))
            .collect(),
    };
    let row = Row::from_values(
        values.iter().map(|(_, _, value)| value.clone()).collect::<Vec<_>>().into_iter(),
    );
    let mut out = b"before".to_vec();
    Rendering::new(kind, &schema)
        .unwrap()
        .encode(RowRef::new(row.bytes(), schema.width()), &mut out);
    let written = out.strip_prefix(b"before").unwrap();
    let json: Json = serde_json::from_slice(written)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(written)));
    assert_eq!(serde_json::to_string(&json).unwrap(), String::from_utf8_lossy(written));
    json
}

/// A row that has these values and NULL in all other columns.
fn with(kind: As, values: &[(Field, Value<'static>)]) -> Json {
    let value = |field| {
        values.iter().find(|(of, _)| *of == field).map_or(Value::Null, |(_, value)| value.clone())
    };
    let row: Vec<_> =
        Field::ALL.iter().map(|field| (*field, type_of(*field), value(*field))).collect();
    rendered(kind, &row)
}

fn text() -> impl Strategy<Value = Value<'static>> {
    let pieces = prop_oneof![
        Just(""),
        Just("-"),
        Just("tcp"),
        Just("10.0.0.1"),
        Just("fe80:0:0:0:0:0:0:1"),
        Just("A\\b"),
        Just("MD5=00,SHA1=aB"),
        Just("\"x y"),
        Just("2026-01-15 09:00:00.5"),
        Just("é\n\u{1}"),
    ];
    prop_oneof![pieces.prop_map(str::to_owned), any::<String>()]
        .prop_map(|text| Value::Varchar(text.into()))
}

fn value(ty: &Type) -> BoxedStrategy<Value<'static>> {
    let some = match ty {
        Type::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Type::Int => prop_oneof![0..70_000i32, any::<i32>()].prop_map(Value::Int).boxed(),
        Type::BigInt => prop_oneof![0..70_000i64, any::<i64>()].prop_map(Value::BigInt).boxed(),
        Type::Guid => {
            prop_oneof![Just(0), any::<u128>()].prop_map(|bits| Value::Guid(Guid(bits))).boxed()
        }
        Type::Timestamp => any::<i64>().prop_map(|ms| Value::Timestamp(Timestamp(ms))).boxed(),
        Type::Array(_) => {
            let ancestor = (
                any::<i32>(),
                proptest::option::of(0..3u128),
                proptest::option::of("[a-c\\\\\"]{0,3}"),
            )
                .prop_map(|(distance, guid, image)| ancestor(distance, guid, image.as_deref()));
            proptest::collection::vec(prop_oneof![9 => ancestor, 1 => Just(Value::Null)], 0..4)
                .prop_map(Value::Array)
                .boxed()
        }
        _ => text().boxed(),
    };
    prop_oneof![4 => some, 1 => Just(Value::Null)].boxed()
}

/// Rows of network views, some of which have other types or fewer columns.
fn row() -> impl Strategy<Value = Vec<(Field, Type, Value<'static>)>> {
    let columns: Vec<_> = Field::ALL
        .iter()
        .map(|&field| {
            let other = prop_oneof![
                Just(Type::Varchar),
                Just(Type::BigInt),
                Just(Type::Boolean),
                Just(Type::Guid)
            ];
            let ty = prop_oneof![8 => Just(type_of(field)), 1 => other];
            let there = if REQUIRED.contains(&field) {
                Just(true).boxed()
            } else {
                proptest::bool::weighted(0.9).boxed()
            };
            (there, ty)
                .prop_flat_map(move |(there, ty)| (Just(there), value(&ty), Just(ty)))
                .prop_map(move |(there, value, ty)| (there, field, ty, value))
        })
        .collect();
    columns.prop_map(|row| {
        row.into_iter()
            .filter(|column| column.0)
            .map(|(_, field, ty, value)| (field, ty, value))
            .collect()
    })
}

/// No null, no empty object, no empty array, however deep.
fn is_full(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::Object(members) => !members.is_empty() && members.values().all(is_full),
        Json::Array(items) => !items.is_empty() && items.iter().all(is_full),
        _ => true,
    }
}

proptest! {
    #[test]
    fn any_row_is_rendered(row in row()) {
        prop_assert!(is_full(&rendered(As::Flat, &row)));
        prop_assert!(is_full(&rendered(As::Ecs, &row)));
        let helk = rendered(As::Helk, &row);
        let names: Vec<_> = helk.as_object().unwrap().keys().map(String::as_str).collect();
        prop_assert_eq!(names.join(" "), HELK);
    }

    #[test]
    fn values_are_verbatim(values in proptest::collection::vec(text(), 3)) {
        let fields = [Field::EventKey, Field::CommandLine, Field::RuleName];
        let row: Vec<_> = fields.into_iter().zip(values.clone()).collect();
        let texts: Vec<_> = values.iter().map(|value| if let Value::Varchar(text) = value { &text[..] } else { unreachable!() }).collect();
        let (flat, helk, ecs) = (with(As::Flat, &row), with(As::Helk, &row), with(As::Ecs, &row));
        prop_assert_eq!([&flat["EventKey"], &flat["CommandLine"], &flat["RuleName"]], [&texts[0], &texts[1], &texts[2]]);
        prop_assert_eq!([&helk["EVENT_KEY"], &helk["PROCESS_COMMAND_LINE"]], [&texts[0], &texts[1]]);
        for (path, text) in ["/event/id", "/process/command_line", "/rule/name"].iter().zip(texts) {
            prop_assert_eq!(ecs.pointer(path).and_then(Json::as_str), Some(text).filter(|text| !["", "-"].contains(text)));
        }
    }
}

const HELK: &str = "EVENT_KEY N_EVENT_ORIGINAL_TIME N_PROCESS_GUID N_PROCESS_ID N_PROCESS_PATH N_USER_ACCOUNT NETWORK_PROTOCOL NETWORK_CONNECTION_INITIATED \
    SRC_IS_IPV6 SRC_IP_ADDR SRC_HOST_NAME SRC_PORT SRC_PORT_NAME DST_IS_IPV6 DST_IP_ADDR DST_HOST_NAME DST_PORT DST_PORT_NAME N_SOURCE_NAME N_LOG_NAME \
    PROCESS_COMMAND_LINE HASHES PROCESS_PARENT_PATH PROCESS_PARENT_COMMAND_LINE USER_LOGON_GUID USER_LOGON_ID USER_SESSION_ID PROCESS_CURRENT_DIRECTORY \
    PROCESS_INTEGRITY_LEVEL PROCESS_PARENT_GUID PROCESS_PARENT_ID EVENT_TIME HOST_NAME KNOWLEDGE";

const GUIDS: [u128; 3] = [
    0xA98268C1_9C2E_5ACD_0000_0010396CAB00,
    0xA98268C1_9C2E_5ACD_0000_001000000001,
    0xA98268C1_9C2E_5ACD_0000_001000000002,
];

/// A connection of which everything is known.
fn example(kind: As) -> Json {
    let text = |text: &'static str| Value::text(text);
    with(
        kind,
        &[
            (Field::EventKey, text("k1")),
            (Field::EventTime, Value::Timestamp(Timestamp(1_523_424_302_955))),
            (Field::Host, text("WS01.shire.example")),
            (Field::Knowledge, text("complete")),
            (Field::ProcessGuid, Value::Guid(Guid(GUIDS[0]))),
            (Field::ProcessId, Value::Int(7)),
            (Field::Image, text(r"C:\Windows\System32\cmd.exe")),
            (Field::CommandLine, text(r#""C:\Windows\System32\cmd.exe" /c "a b""#)),
            (Field::User, text(r"SHIRE\frodo")),
            (Field::IntegrityLevel, text("High")),
            (Field::Hashes, text("SHA1=AB12,MD5=CD34,SHA256=0000,IMPHASH=EF56")),
            (Field::Started, Value::Timestamp(Timestamp(1_523_424_302_000))),
            (Field::ParentProcessGuid, Value::Guid(Guid(GUIDS[1]))),
            (Field::ParentImage, text(r"C:\p.exe")),
            (Field::ParentCommandLine, text("p -x")),
            (Field::Protocol, text("tcp")),
            (Field::Initiated, Value::Boolean(true)),
            (Field::SourceIp, text("128.232.110.120")),
            (Field::SourcePort, Value::Int(34855)),
            (Field::SourceHostname, text("WS01.shire.example")),
            (Field::DestinationIp, text("66.35.250.204")),
            (Field::DestinationPort, Value::Int(80)),
            (Field::DestinationHostname, text("-")),
            (Field::DestinationPortName, text("http")),
            (Field::RuleName, text("-")),
            (Field::UtcTime, text("2018-04-11 05:25:02.955")),
            (Field::Depth, Value::Int(2)),
            (Field::Truncated, Value::Boolean(false)),
            (
                Field::Ancestors,
                Value::Array(vec![
                    ancestor(1, Some(GUIDS[1]), Some(r"C:\p.exe")),
                    ancestor(2, Some(GUIDS[2]), None),
                ]),
            ),
        ],
    )
}

#[test]
fn flat_has_names_of_sysmon() {
    let expected = json!({
        "EventID": 3,
        "TimeCreated": "2018-04-11T05:25:02.955Z",
        "Computer": "WS01.shire.example",
        "RuleName": "-",
        "UtcTime": "2018-04-11 05:25:02.955",
        "ProcessGuid": "{A98268C1-9C2E-5ACD-0000-0010396CAB00}",
        "ProcessId": 7,
        "ProcessStartTime": "2018-04-11T05:25:02.000Z",
        "Image": r"C:\Windows\System32\cmd.exe",
        "CommandLine": r#""C:\Windows\System32\cmd.exe" /c "a b""#,
        "User": r"SHIRE\frodo",
        "IntegrityLevel": "High",
        "Hashes": "SHA1=AB12,MD5=CD34,SHA256=0000,IMPHASH=EF56",
        "ParentProcessGuid": "{A98268C1-9C2E-5ACD-0000-001000000001}",
        "ParentImage": r"C:\p.exe",
        "ParentCommandLine": "p -x",
        "Ancestors": [r"C:\p.exe", "{A98268C1-9C2E-5ACD-0000-001000000002}"],
        "Protocol": "tcp",
        "Initiated": "true",
        "SourceIsIpv6": "false",
        "SourceIp": "128.232.110.120",
        "SourceHostname": "WS01.shire.example",
        "SourcePort": 34855,
        "DestinationIsIpv6": "false",
        "DestinationIp": "66.35.250.204",
        "DestinationHostname": "-",
        "DestinationPort": 80,
        "DestinationPortName": "http",
        "Knowledge": "complete",
        "EventKey": "k1",
    });
    assert_eq!(example(As::Flat).to_string(), expected.to_string());
    assert_eq!(with(As::Flat, &[]), json!({ "EventID": 3 }));
    let line = vec![ancestor(1, None, None), ancestor(2, None, Some("g.exe"))];
    let row = [(Field::Ancestors, Value::Array(line)), (Field::Truncated, Value::Boolean(true))];
    assert_eq!(
        with(As::Flat, &row),
        json!({ "EventID": 3, "GrandParentImage": "g.exe", "Ancestors": ["g.exe"], "AncestorsTruncated": "true" })
    );
}

#[test]
fn helk_has_columns_of_sysmon_join() {
    let record = example(As::Helk);
    for (name, value) in [
        ("EVENT_KEY", json!("k1")),
        ("N_EVENT_ORIGINAL_TIME", json!(1_523_424_302_955_i64)),
        ("N_PROCESS_GUID", json!("{A98268C1-9C2E-5ACD-0000-0010396CAB00}")),
        ("NETWORK_CONNECTION_INITIATED", json!("true")),
        ("SRC_IS_IPV6", json!("false")),
        ("SRC_PORT", json!(34855)),
        ("DST_PORT_NAME", json!("http")),
        ("USER_LOGON_GUID", json!(null)),
        ("PROCESS_PARENT_PATH", json!(r"C:\p.exe")),
        ("HOST_NAME", json!("WS01.shire.example")),
        ("KNOWLEDGE", json!("complete")),
    ] {
        assert_eq!(record[name], value, "{name}");
    }
    assert!(with(As::Helk, &[]).as_object().unwrap().values().all(Json::is_null));
}

#[test]
fn ecs_is_what_winlogbeat_writes_and_more() {
    let expected = json!({
        "@timestamp": "2018-04-11T05:25:02.955Z",
        "ecs": { "version": "8.0.0" },
        "event": {
            "code": "3", "kind": "event", "category": ["network"], "type": ["start", "connection", "protocol"], "action": "Network connection",
            "provider": "Microsoft-Windows-Sysmon", "module": "sysmon", "id": "k1",
        },
        "agent": { "type": "winlogbeat" },
        "host": { "name": "WS01.shire.example" },
        "process": {
            "entity_id": "{A98268C1-9C2E-5ACD-0000-0010396CAB00}", "pid": 7, "start": "2018-04-11T05:25:02.000Z",
            "executable": r"C:\Windows\System32\cmd.exe", "name": "cmd.exe",
            "command_line": r#""C:\Windows\System32\cmd.exe" /c "a b""#, "args": [r"C:\Windows\System32\cmd.exe", "/c", "a b"],
            "hash": { "sha1": "ab12", "md5": "cd34", "imphash": "ef56" },
            "parent": { "entity_id": "{A98268C1-9C2E-5ACD-0000-001000000001}", "executable": r"C:\p.exe", "name": "p.exe", "command_line": "p -x" },
            "Ext": { "ancestry": ["{A98268C1-9C2E-5ACD-0000-001000000001}", "{A98268C1-9C2E-5ACD-0000-001000000002}"] },
        },
        "network": { "transport": "tcp", "protocol": "http", "direction": "egress", "type": "ipv4", "community_id": "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
        "source": { "ip": "128.232.110.120", "port": 34855, "domain": "WS01.shire.example" },
        "destination": { "ip": "66.35.250.204", "port": 80 },
        "user": { "domain": "SHIRE", "name": "frodo" },
        "related": { "ip": ["128.232.110.120", "66.35.250.204"], "hosts": ["WS01.shire.example"], "user": ["frodo"], "hash": ["ab12", "cd34", "ef56"] },
        "winlog": { "event_data": { "IntegrityLevel": "High", "UtcTime": "2018-04-11 05:25:02.955" } },
        "join": { "state": "complete", "ancestors": [r"C:\p.exe", "{A98268C1-9C2E-5ACD-0000-001000000002}"], "truncated": false },
    });
    assert_eq!(example(As::Ecs).to_string(), expected.to_string());
}

#[test]
fn ecs_leaves_out_what_is_not_known() {
    let names: Vec<_> = with(As::Ecs, &[]).as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["ecs", "event", "agent"]);
    let odd = with(
        As::Ecs,
        &[
            (Field::ProcessGuid, Value::Guid(Guid::ZERO)),
            (Field::ParentProcessGuid, Value::Guid(Guid(GUIDS[1]))),
            (Field::CommandLine, Value::text("x \"y")),
            (Field::User, Value::text("root")),
            (Field::Image, Value::text("/usr/bin/curl")),
            (Field::Hashes, Value::text("MD5=AA,MD5=BB,SHA7=CC,SHA1=x")),
            (Field::SourceIp, Value::text("nowhere")),
            (Field::DestinationIp, Value::text("fe80::1")),
            (Field::Initiated, Value::Boolean(false)),
        ],
    );
    let process = json!({
        "executable": "/usr/bin/curl", "name": "curl", "command_line": "x \"y", "hash": { "md5": "aa" },
        "parent": { "entity_id": "{A98268C1-9C2E-5ACD-0000-001000000001}" }, "Ext": { "ancestry": ["{A98268C1-9C2E-5ACD-0000-001000000001}"] },
    });
    assert_eq!(odd["process"], process);
    assert_eq!(odd["user"], json!({ "name": "root" }));
    assert_eq!(odd["source"], json!({ "address": "nowhere" }));
    assert_eq!(odd["network"], json!({ "direction": "ingress", "type": "ipv6" }));
    assert_eq!(odd["related"], json!({ "ip": ["fe80::1"], "user": ["root"], "hash": ["aa"] }));
}

#[test]
fn other_views_are_refused() {
    let schema = Schema {
        columns: ["EVENT_KEY", "EVENT_TIME", "SOURCE_IP"]
            .map(|name| Column::new(name, Type::Varchar))
            .to_vec(),
    };
    for kind in KINDS {
        let error = Rendering::new(kind, &schema).err().unwrap();
        assert_eq!(
            error.to_string(),
            "not a network view, as process_network is: it has no PROCESS_GUID, DESTINATION_IP"
        );
    }
}
