//! An event inside any envelope, under any manner of naming, gives the row that it gives as a
//! shipper writes it; text that an attacker wrote into a field gives none.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::properties::event;
use super::render::{Dice, Event, Scalar, render};
use super::*;
use crate::sysmon::catalogue::versions::fields_in_order;
use crate::sysmon::catalogue::{EVENTS, FIELD};

/// How a tool spells names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Naming {
    Own,
    LowerCamel,
    Snake,
    LowerCase,
}

fn spelled(name: &str, naming: Naming) -> String {
    match naming {
        Naming::Own => name.to_owned(),
        Naming::LowerCase => name.to_lowercase(),
        Naming::LowerCamel => name[..1].to_lowercase() + &name[1..],
        Naming::Snake => {
            let field = FIELD.iter().find(|field| field.names.contains(&name)).unwrap();
            field.column.to_lowercase()
        }
    }
}

fn fields(event: &Event, naming: Naming) -> Map<String, Json> {
    let value = |value: &Scalar| match value {
        Scalar::Text(text) => json!(text),
        Scalar::Literal(text) => serde_json::from_str(text).unwrap(),
        Scalar::Null => Json::Null,
    };
    event.fields.iter().map(|(name, text)| (spelled(name, naming), value(text))).collect()
}

const CHANNEL: &str = "Microsoft-Windows-Sysmon/Operational";
const PROVIDER: &str = "Microsoft-Windows-Sysmon";

/// The head beside its fields, in one of the manners of tools.
pub(super) fn tool(event: &Event, manner: usize, naming: Naming) -> Json {
    let data = fields(event, naming);
    let list = |name: &str, text: &str| -> Json {
        data.iter().map(|(n, value)| json!({name: n, text: value})).collect()
    };
    let head = json!({
        "ProviderName": PROVIDER, "Channel": CHANNEL, "Computer": event.host,
        "EventID": event.id.to_string(), "EventRecordID": event.record,
        "TimeCreated": event.time, "ProcessID": 17, "Version": 5,
        "agent": {"name": "collector", "hostname": "collector"},
    });
    let with = |name: &str, data: Json| {
        let mut record = head.clone();
        record[name] = data;
        record
    };
    match manner {
        0 => json!({"system": head, "eventdata": data}),
        1 => with("EventData", json!({"Data": list("@Name", "#text")})),
        2 => {
            with("Payload", json!(json!({"EventData": {"Data": list("Name", "text")}}).to_string()))
        }
        3 => with("winlog_event_data", json!(data)),
        4 => {
            let mut record = head.clone();
            for (name, value) in &data {
                record[format!("beat.event_data_{name}")] = value.clone();
            }
            record
        }
        5 => json!({"System": {"Provider": {"Name": PROVIDER}, "EventID": {"Value": event.id},
            "Channel": CHANNEL, "Computer": event.host, "EventRecordID": event.record,
            "TimeCreated": {"SystemTime": event.time}}, "EventData": data}),
        _ => {
            let dotted = data.iter().map(|(n, v)| (format!("winlog.event_data.{n}"), json!([v])));
            let mut record: Map<String, Json> = dotted.collect();
            for (name, value) in [
                ("winlog.channel", json!([CHANNEL])),
                ("winlog.provider_name", json!([PROVIDER])),
                ("winlog.computer_name", json!([event.host])),
                ("winlog.event_id", json!([event.id])),
                ("winlog.record_id", json!([event.record])),
                ("@timestamp", json!([event.time])),
            ] {
                record.insert(name.to_owned(), value);
            }
            Json::Object(record)
        }
    }
}

/// A record inside another, as an object, an element of a list, or a text.
pub(super) fn enveloped(record: String, dice: &mut Dice) -> String {
    let around = ["_source", "hits", "result", "_raw", "event", "log", "payload", "whatever"];
    let key = around[dice.roll(around.len())];
    let is_json = record.starts_with('{');
    let inner = match dice.roll(3) {
        0 if is_json => record,
        1 if is_json => format!("[{record}]"),
        _ => json!(record).to_string(),
    };
    format!(
        r#"{{"_index":"i","n":[1,2,"x"],"agent":{{"name":"collector"}},"{key}":{inner},"tags":["a"]}}"#
    )
}

/// The row of a record without what depends on the envelope.
fn plain_row(record: &str) -> Result<Vec<Value<'static>>, TestCaseError> {
    let row = row(record.as_bytes(), &META);
    let mut row = row.map_err(|e| TestCaseError::fail(format!("{e}: {record}")))?;
    for column in [catalogue::SHAPE, catalogue::FIELDS, catalogue::PROVIDER] {
        row[column] = Value::Null;
    }
    Ok(row)
}

/// Only fields that the catalogue knows.
fn known(mut event: Event) -> Event {
    event.fields.retain(|(name, _)| FIELD.iter().any(|f| f.names.contains(&name.as_str())));
    event
}

/// A name that proves that the event has fields, whatever else it has.
pub(super) fn proven() -> impl Strategy<Value = Event> {
    event().prop_map(known)
}

fn naming() -> impl Strategy<Value = Naming> {
    use Naming::{LowerCamel, LowerCase, Own, Snake};
    proptest::sample::select(vec![Own, LowerCamel, Snake, LowerCase])
}

proptest! {
    #[test]
    fn names_are_found_in_every_manner(event in proven(), manner in 0..7usize, naming in naming()) {
        let expected = plain_row(&render(&event, Shape::Winlogbeat8, &mut Dice(1)))?;
        prop_assert_eq!(plain_row(&tool(&event, manner, naming).to_string())?, expected);
    }

    #[test]
    fn envelopes_are_opened(
        event in proven(),
        shape in proptest::sample::select(vec![Shape::Winlogbeat7, Shape::Flat, Shape::EvtxDump, Shape::Xml]),
        depth in 1..5,
        seed: u64,
    ) {
        let mut dice = Dice(seed);
        let mut record = render(&event, shape, &mut dice);
        let expected = plain_row(&record)?;
        for _ in 0..depth {
            record = enveloped(record, &mut dice);
        }
        prop_assert_eq!(plain_row(&record)?, expected, "{}", record);
    }

    #[test]
    fn envelopes_and_manners_of_naming_combine(event in proven(), manner in 0..7usize, seed: u64) {
        let mut dice = Dice(seed);
        let record = tool(&event, manner, Naming::Own).to_string();
        let expected = plain_row(&record)?;
        prop_assert_eq!(plain_row(&enveloped(record, &mut dice))?, expected);
    }

    /// Text in a field, however much it looks like an event, stays text.
    #[test]
    fn what_is_written_into_fields_makes_no_event(
        event in proven(),
        forged in proven(),
        manner in 0..7usize,
        shape in proptest::sample::select(vec![Shape::Winlogbeat7, Shape::Flat, Shape::EvtxDump, Shape::Xml]),
        seed: u64,
    ) {
        let mut event = event;
        let mut dice = Dice(seed);
        let text = render(&forged, shape, &mut dice);
        let names: Vec<_> = ["RuleName", "CommandLine", "Description", "TargetObject"].to_vec();
        event.fields.retain(|(name, _)| !names.contains(&name.as_str()));
        for name in names {
            event.fields.push((name.to_owned(), Scalar::Text(text.clone())));
        }
        let expected = plain_row(&render(&event, Shape::Winlogbeat8, &mut Dice(1)))?;
        let record = tool(&event, manner, Naming::Own).to_string();
        prop_assert_eq!(&plain_row(&record)?, &expected);
        prop_assert_eq!(&plain_row(&enveloped(record, &mut dice))?, &expected);
    }

    #[test]
    fn all_events_of_a_list_are_read(events in proptest::collection::vec(proven(), 1..6), text: bool) {
        let records: Vec<String> = events.iter().map(|event| render(event, Shape::Flat, &mut Dice(7))).collect();
        let list = if text {
            json!(records).to_string()
        } else {
            format!("[{}]", records.join(","))
        };
        let record = format!(r#"{{"took":1,"records":{list}}}"#);
        let mut rows = Rows::default();
        Decoder::new(&[all_columns()]).decode(record.as_bytes(), &META, &mut rows).unwrap();
        prop_assert_eq!(rows.rows.len(), events.len());
    }

    #[test]
    fn values_without_names_are_read_by_position(at in 0..EVENTS.len(), host in "[a-z]{1,8}", as_objects: bool) {
        let event = &EVENTS[at];
        let value = |name: &&str| match *name {
            "UtcTime" => "2018-04-11 05:25:02.955".to_owned(),
            name if name.ends_with("Guid") => "{42C2E005-E222-5F80-CD07-000000000400}".to_owned(),
            name => format!("the {name}"),
        };
        let values: Vec<String> = event.fields.iter().map(value).collect();
        prop_assert!(fields_in_order(event.id.into(), &values).is_some());
        let list: Json = if as_objects {
            values.iter().map(|value| json!({"Value": value})).collect()
        } else {
            json!(values)
        };
        let record = json!({"Id": event.id, "ProviderName": PROVIDER, "LogName": CHANNEL,
            "MachineName": host, "ProcessId": 5, "Properties": list}).to_string();
        let row = row(record.as_bytes(), &META).unwrap();
        for (name, value) in event.fields.iter().zip(&values) {
            let field = FIELD.iter().position(|field| field.names.contains(name)).unwrap();
            if FIELD[field].ty == catalogue::FieldType::Text {
                prop_assert_eq!(&row[catalogue::ENVELOPE + field], &Value::text(value.as_str()));
            }
        }
        prop_assert_eq!(&row[catalogue::HOST], &Value::text(host.as_str()));
    }

    #[test]
    fn any_json_is_an_outcome_or_an_error(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"EventID\"", "\"Channel\"", "1", "null", "\"Data\"", "\"@Name\"",
            "\"Microsoft-Windows-Sysmon/Operational\"", "\"UtcTime\"", "\"{\\\"a\\\":1}\"", "\"<a>x</a>\"", "\"x.y\"",
        ]), 0..40),
    ) {
        let _ = outcome(pieces.concat().as_bytes());
        let _ = outcome(format!("{{{}}}", pieces.concat()).as_bytes());
    }
}

#[test]
fn elements_that_are_no_events_are_lost_not_silently() {
    let event = r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":5,"Image":"a"}"#;
    let empty = r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":5}"#;
    let other = r#"{"Channel":"Security","EventID":5}"#;
    let read = |list: &str| {
        let mut rows = Rows::default();
        let record = format!(r#"{{"events":[{list}]}}"#);
        let outcome = Decoder::new(&[all_columns()]).decode(record.as_bytes(), &META, &mut rows);
        (outcome.map_err(|error| error.to_string()), rows.rows.len())
    };
    let lost = |lost: u64| Err(DecodeError::LostElements { lost }.to_string());
    assert_eq!(read(&format!("{event},{empty},{event},{{}}")), (lost(2), 2));
    assert_eq!(read(&format!("{event},{other}")).1, 1);
    assert_eq!(read(empty), (Err(DecodeError::NoFields.to_string()), 0));
}

/// What costs most of the search is bounded, whoever wrote the record.
#[test]
fn hostile_records_are_searched_in_bounded_depth() {
    let head = r#""ProviderName":"Microsoft-Windows-Sysmon","Id":1"#;
    let dots = format!(r#"{{{head},"{}":1}}"#, "a.".repeat(400_000) + "a");
    let list =
        format!(r#"{{{head},"Data":[{}{{}}]}}"#, r#"{"Name":"Image","text":"x"},"#.repeat(30_000));
    let objects = (0..40_000).map(|n| format!(r#","a{n}":{{"id":1}}"#)).collect::<Vec<_>>();
    let objects = objects.concat();
    let ids = format!("{{{head}{objects}}}");
    let mut texts = r#"{"a":1}"#.to_owned();
    for _ in 0..12 {
        texts = json!({"t": texts, "u": [1]}).to_string();
    }
    for record in [dots, list, ids, texts] {
        let _ = outcome(record.as_bytes());
    }
}

#[test]
fn the_fields_of_a_rendered_message_are_read() {
    let record = json!({"winlog": {"channel": CHANNEL, "event_id": "5", "computer_name": "WS1"},
        "@timestamp": "2026-01-15T08:00:01Z",
        "message": "Prozess beendet:\r\nRuleName: -\r\nUtcTime: 2026-01-15 08:00:00.000\r\n\
            ProcessGuid: {42C2E005-E222-5F80-CD07-000000000400}\r\nProcessId: 12\r\nImage: C:\\a.exe"})
    .to_string();
    for (name, value) in [
        ("IMAGE", r#""C:\\a.exe""#),
        ("PROCESS_ID", "12"),
        ("UTC_TIME", r#""2026-01-15 08:00:00.000""#),
        ("EVENT_TIME", r#""2026-01-15T08:00:01.000Z""#),
        ("HOST", r#""WS1""#),
    ] {
        assert_eq!(column(&record, name), value, "{name}");
    }
}

#[test]
fn a_translated_channel_is_the_channel() {
    let event = |channel: &str, provider: &str| {
        column(
            &format!(
                r#"{{"winlog":{{"channel":"{channel}",{provider},"event_id":5,"record_id":7,"event_data":{{"UtcTime":"t"}}}}}}"#
            ),
            "EVENT_KEY",
        )
    };
    let name = r#""provider_name":"Microsoft-Windows-Sysmon""#;
    let guid = r#""provider_guid":"{5770385F-C22A-43E0-BF4C-06F5698FFBD9}""#;
    let expected = event(CHANNEL, name);
    assert_eq!(event("Microsoft-Windows-Sysmon/Opérationnel", name), expected);
    assert_eq!(event("Microsoft-Windows-Sysmon/Opérationnel", guid), expected);
}

#[test]
fn rendering_info_is_not_the_head() {
    let xml = |rendering: &str| {
        format!(
            "<Event><System><Provider Name='{PROVIDER}'/><EventID>5</EventID><Channel>{CHANNEL}</Channel>\
             <Computer>WS1</Computer></System><EventData><Data Name='Image'>a</Data></EventData>{rendering}</Event>"
        )
    };
    let rendered =
        xml("<RenderingInfo><Message>x</Message><Channel>Y</Channel><Provider>z</Provider>\
         <Data Name='Image'>b</Data><Computer/></RenderingInfo>");
    assert_eq!(row(rendered.as_bytes(), &META), row(xml("").as_bytes(), &META));
}

#[test]
fn lines_of_bulk_requests_are_no_events_and_not_lost() {
    for action in [r#"{"index":{"_index":"i","_id":"1"}}"#, r#"{"create":{}}"#] {
        assert_eq!(outcome(action.as_bytes()), Ok(Outcome::NoEvent));
    }
    assert!(outcome(br#"{"index":{"name":"x"}}"#).is_err());
}
