//! Events as shippers write them, in the simplest form of each shape.

use serde_json::{Map, Value, json};

use super::event::{CHANNEL, Event, PROVIDER, is_flag, is_guid, is_int, parse_guid, print_time};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Winlogbeat6,
    Winlogbeat7,
    Winlogbeat8,
    Flat,
    EvtxDump,
    Azure,
    Xml,
}

impl Shape {
    pub const ALL: [Shape; 7] = [
        Shape::Winlogbeat6,
        Shape::Winlogbeat7,
        Shape::Winlogbeat8,
        Shape::Flat,
        Shape::EvtxDump,
        Shape::Azure,
        Shape::Xml,
    ];
}

/// How a GUID is spelled: 0 as it is, 1 lower-case, 2 without braces, 3 both.
fn spelled(text: &str, spelling: u8) -> String {
    if parse_guid(text).is_none() {
        return text.to_owned();
    }
    let text = if spelling & 1 == 1 { text.to_lowercase() } else { text.to_owned() };
    if spelling & 2 == 2 { text.trim_matches(['{', '}']).to_owned() } else { text }
}

/// One line.
pub fn render(event: &Event, shape: Shape, spelling: u8) -> String {
    // Azure has no record number: an event that has one is written flat instead.
    let shape = if shape == Shape::Azure && event.record.is_some() { Shape::Flat } else { shape };
    let time = event.time.map(|ms| print_time(ms, 'T', "Z"));
    let value = |name: &str, text: &str| {
        if is_guid(name) { spelled(text, spelling) } else { text.to_owned() }
    };
    let fields: Map<String, Value> =
        event.fields.iter().map(|(name, text)| (name.clone(), value(name, text).into())).collect();
    let record = event.record;
    let mut line = match shape {
        Shape::Winlogbeat6 => json!({
            "@timestamp": time, "source_name": PROVIDER, "log_name": CHANNEL, "computer_name": event.host, "event_id": event.id,
            "record_number": record.map(|number| number.to_string()), "event_data": fields,
        }),
        Shape::Winlogbeat7 | Shape::Winlogbeat8 => {
            let id = if shape == Shape::Winlogbeat7 {
                json!(event.id)
            } else {
                json!(event.id.to_string())
            };
            json!({"@timestamp": time, "host": {"name": "collector"}, "winlog": {
                "provider_name": PROVIDER, "channel": CHANNEL, "computer_name": event.host, "event_id": id, "record_id": record, "event_data": fields,
            }})
        }
        Shape::Flat => {
            let mut all = fields;
            let envelope = json!({
                "@timestamp": time, "SourceName": PROVIDER, "Channel": CHANNEL, "Hostname": event.host, "EventID": event.id, "RecordNumber": record,
            });
            all.extend(envelope.as_object().unwrap().clone());
            Value::Object(all)
        }
        Shape::EvtxDump => {
            // this one prints numbers and booleans as such
            let native = |(name, text): (String, Value)| {
                let text = text.as_str().unwrap().to_owned();
                let value = match text.parse::<i64>() {
                    Ok(number) if is_int(&name) && number.to_string() == text => json!(number),
                    _ if is_flag(&name) && matches!(text.as_str(), "true" | "false") => {
                        json!(text == "true")
                    }
                    _ => json!(text),
                };
                (name, value)
            };
            let fields: Map<String, Value> = fields.into_iter().map(native).collect();
            json!({"Event": {"EventData": fields, "System": {
                "Provider": {"#attributes": {"Name": PROVIDER}}, "Channel": CHANNEL, "Computer": event.host, "EventID": event.id, "EventRecordID": record,
                "TimeCreated": {"#attributes": {"SystemTime": time}},
            }}})
        }
        Shape::Azure => json!({
            "TimeGenerated": time, "Provider": PROVIDER, "Channel": CHANNEL, "Computer": event.host, "EventID": event.id,
            "EventData": Value::Object(fields).to_string(),
        }),
        Shape::Xml => return xml(event, &fields, time.as_deref()),
    };
    strip(&mut line);
    line.to_string()
}

/// Absent is absent, not null.
fn strip(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(strip);
    }
}

fn xml(event: &Event, fields: &Map<String, Value>, time: Option<&str>) -> String {
    let quote = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let element = |name: &str, text: Option<String>| {
        text.map_or_else(String::new, |text| format!("<{name}>{}</{name}>", quote(&text)))
    };
    let time =
        time.map_or_else(String::new, |time| format!("<TimeCreated SystemTime=\"{time}\"/>"));
    let datum = |(name, text): (&String, &Value)| {
        format!("<Data Name=\"{name}\">{}</Data>", quote(text.as_str().unwrap()))
    };
    let data = fields.iter().map(datum).collect::<Vec<_>>().concat();
    format!(
        "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\"><System><Provider Name=\"{PROVIDER}\"/>{}{time}{}{}{}</System><EventData>{data}</EventData></Event>",
        element("EventID", Some(event.id.to_string())),
        element("EventRecordID", event.record.map(|number| number.to_string())),
        element("Channel", Some(CHANNEL.to_owned())),
        element("Computer", event.host.clone()),
    )
}

/// Reads what `helkflow generate` wrote as Winlogbeat 7; events of other channels are left out.
pub fn read_winlogbeat7(lines: &str) -> Vec<Event> {
    let read = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let winlog = &value["winlog"];
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (winlog["channel"] == CHANNEL).then(|| Event {
            id: winlog["event_id"].as_u64().unwrap() as u32,
            host: winlog["computer_name"].as_str().map(str::to_owned),
            time: Some(
                value["@timestamp"]
                    .as_str()
                    .unwrap()
                    .parse::<jiff::Timestamp>()
                    .unwrap()
                    .as_millisecond(),
            ),
            record: winlog["record_id"].as_u64(),
            fields: winlog["event_data"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        })
    };
    lines.lines().filter_map(read).collect()
}
