//! An event as text in any shape, with everything random that a shape leaves open: key order, white space, escapes, duplicates of keys before the last.

use crate::sysmon::Shape;

/// What a test knows of an event.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: u8,
    pub host: String,
    pub record: u32,
    pub time: String,
    /// Fields of the catalogue and others, by the names in event data.
    pub fields: Vec<(String, Scalar)>,
}

/// A value as a shipper may write it.
#[derive(Clone, Debug)]
pub enum Scalar {
    Text(String),
    /// Written as a JSON literal where the shape is JSON.
    Literal(String),
    /// JSON's null; XML has none, the element is left out.
    Null,
}

#[derive(Clone, Debug)]
enum Json {
    Text(String),
    Literal(String),
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
}

/// A small generator: the seed decides all choices.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.roll(i + 1));
        }
    }
}

/// Shapes that [`render`] writes and that keep Sysmon's names.
pub const SHAPES: [Shape; 8] = [
    Shape::Winlogbeat6,
    Shape::Winlogbeat7,
    Shape::Winlogbeat8,
    Shape::Flat,
    Shape::EvtxDump,
    Shape::Azure,
    Shape::Xml,
    Shape::Linux,
];

pub fn provider(shape: Shape) -> (&'static str, &'static str) {
    match shape {
        Shape::Linux => ("Linux-Sysmon", "Linux-Sysmon/Operational"),
        _ => ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational"),
    }
}

pub fn render(event: &Event, shape: Shape, dice: &mut Dice) -> String {
    let text = |text: &str| Json::Text(text.to_owned());
    let number = |n: &dyn std::fmt::Display| Json::Literal(n.to_string());
    let object = |members: &[(&str, Json)]| {
        Json::Object(
            members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        )
    };
    let (source, channel) = provider(shape);
    let mut fields: Vec<(String, Json)> =
        event.fields.iter().map(|(name, value)| (name.clone(), json(value))).collect();
    let record = match shape {
        Shape::Winlogbeat6 => object(&[
            ("@timestamp", text(&event.time)),
            ("event_id", number(&event.id)),
            ("source_name", text(source)),
            ("log_name", text(channel)),
            ("computer_name", text(&event.host)),
            ("record_number", text(&event.record.to_string())),
            ("host", object(&[("name", text("collector"))])),
            ("user", object(&[("name", text("SYSTEM"))])),
            ("process_id", number(&17)),
            ("type", text("wineventlog")),
            ("event_data", Json::Object(fields)),
        ]),
        Shape::Winlogbeat7 | Shape::Winlogbeat8 => object(&[
            ("@timestamp", text(&event.time)),
            ("host", object(&[("name", text("collector"))])),
            ("event", object(&[("created", text("2001-01-01T00:00:00Z"))])),
            (
                "winlog",
                object(&[
                    (
                        "event_id",
                        if shape == Shape::Winlogbeat7 {
                            number(&event.id)
                        } else {
                            text(&event.id.to_string())
                        },
                    ),
                    ("provider_name", text(source)),
                    ("channel", text(channel)),
                    ("computer_name", text(&event.host)),
                    ("record_id", number(&event.record)),
                    ("process", object(&[("pid", number(&17))])),
                    ("event_data", Json::Object(fields)),
                ]),
            ),
        ]),
        Shape::Flat => {
            let mut members = vec![
                ("@timestamp", text(&event.time)),
                ("EventID", number(&event.id)),
                ("SourceName", text(source)),
                ("Channel", text(channel)),
                ("Hostname", text(&event.host)),
                ("RecordNumber", number(&event.record)),
                ("EventTime", text("2001-01-01 00:00:00")),
                ("host", text("collector")),
                ("ProcessID", number(&17)),
                ("Severity", text("INFO")),
                ("Message", text("ProcessGuid: {}")),
                ("type", text("wineventlog")),
            ];
            if !event.fields.iter().any(|(name, _)| name == "EventType") {
                members.push(("EventType", text("INFO")));
            }
            if !event.fields.iter().any(|(name, _)| name == "Version") {
                members.push(("Version", number(&5)));
            }
            fields.extend(members.into_iter().map(|(key, value)| (key.to_owned(), value)));
            Json::Object(fields)
        }
        Shape::EvtxDump | Shape::Evtx => {
            let attributes = |name, value| object(&[("#attributes", object(&[(name, value)]))]);
            let data = match dice.roll(3) {
                0 => Json::Array(
                    fields
                        .into_iter()
                        .map(|(name, value)| {
                            object(&[
                                ("#attributes", object(&[("Name", Json::Text(name))])),
                                ("#text", value),
                            ])
                        })
                        .collect(),
                ),
                _ => Json::Object(fields),
            };
            let data =
                if matches!(data, Json::Array(_)) { object(&[("Data", data)]) } else { data };
            let id = number(&event.id);
            let id = if dice.roll(2) == 0 {
                id
            } else {
                object(&[("#attributes", object(&[("Qualifiers", number(&0))])), ("#text", id)])
            };
            let system = object(&[
                ("Provider", attributes("Name", text(source))),
                ("EventID", id),
                ("TimeCreated", attributes("SystemTime", text(&event.time))),
                ("Execution", attributes("ProcessID", number(&17))),
                ("EventRecordID", number(&event.record)),
                ("Channel", text(channel)),
                ("Computer", text(&event.host)),
            ]);
            object(&[("Event", object(&[("System", system), ("EventData", data)]))])
        }
        Shape::Azure => {
            let data = if dice.roll(2) == 0 {
                let mut inner = String::new();
                write(&Json::Object(fields), dice, &mut inner);
                inner
            } else {
                format!(
                    "<DataItem type=\"System.XmlData\"><EventData xmlns=\"urn:x\">{}</EventData></DataItem>",
                    data_elements(event, dice)
                )
            };
            object(&[
                ("TimeGenerated", text(&event.time)),
                ("EventID", number(&event.id)),
                ("Provider", text(source)),
                ("Channel", text(channel)),
                ("Computer", text(&event.host)),
                ("Type", text("WindowsEvent")),
                ("EventRecordId", number(&event.record)),
                ("EventData", Json::Text(data)),
            ])
        }
        Shape::Xml | Shape::Linux => return xml(event, shape, dice),
        _ => unreachable!("has its own tests"),
    };
    let mut out = String::new();
    write(&record, dice, &mut out);
    out
}

fn json(value: &Scalar) -> Json {
    match value {
        Scalar::Text(text) => Json::Text(text.clone()),
        Scalar::Literal(text) => Json::Literal(text.clone()),
        Scalar::Null => Json::Literal("null".to_owned()),
    }
}

fn write(value: &Json, dice: &mut Dice, out: &mut String) {
    space(dice, out);
    match value {
        Json::Text(text) => string(text, dice, out),
        Json::Literal(text) => out.push_str(text),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, dice, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(key, value)| (key, value.clone())).collect();
            dice.shuffle(&mut members);
            if !members.is_empty() && dice.roll(4) == 0 {
                let real = dice.roll(members.len());
                let junk = match dice.roll(4) {
                    0 => Json::Literal("null".to_owned()),
                    1 => Json::Literal("-1.5e3".to_owned()),
                    2 => Json::Text("junk".to_owned()),
                    _ => Json::Object(
                        [
                            "event_data",
                            "EventData",
                            "System",
                            "Image",
                            "event_id",
                            "EventID",
                            "created",
                        ]
                        .map(|key| {
                            (
                                key.to_owned(),
                                Json::Object(vec![(
                                    "Image".to_owned(),
                                    Json::Text("junk".to_owned()),
                                )]),
                            )
                        })
                        .to_vec(),
                    ),
                };
                let key = members[real].0;
                members.insert(dice.roll(real + 1), (key, junk));
            }
            out.push('{');
            for (i, (key, value)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                space(dice, out);
                string(key, dice, out);
                space(dice, out);
                out.push(':');
                write(value, dice, out);
            }
            space(dice, out);
            out.push('}');
        }
    }
    space(dice, out);
}

fn space(dice: &mut Dice, out: &mut String) {
    if dice.roll(8) == 0 {
        out.push([' ', '\t', '\n', '\r'][dice.roll(4)]);
    }
}

fn string(text: &str, dice: &mut Dice, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    for char in text.chars() {
        if dice.roll(16) == 0 {
            for unit in char.encode_utf16(&mut [0; 2]) {
                if dice.roll(2) == 0 {
                    write!(out, "\\u{unit:04x}")
                } else {
                    write!(out, "\\u{unit:04X}")
                }
                .unwrap();
            }
        } else if char == '/' && dice.roll(2) == 0 {
            out.push_str("\\/");
        } else {
            let quoted = serde_json::to_string(&char.to_string()).unwrap();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    out.push('"');
}

fn xml(event: &Event, shape: Shape, dice: &mut Dice) -> String {
    let (source, channel) = provider(shape);
    let prefix = ["", "", "e:"][dice.roll(3)];
    let mut system = [
        format!(
            "<{prefix}Provider Guid='{{5770385F-C22A-43E0-BF4C-06F5698FFBD9}}' Name='{source}'/>"
        ),
        format!("<{prefix}EventID>{}</{prefix}EventID>", event.id),
        format!("<{prefix}TimeCreated SystemTime=\"{}\"></{prefix}TimeCreated>", event.time),
        format!("<{prefix}EventRecordID>{}</{prefix}EventRecordID>", event.record),
        format!("<{prefix}Channel>{}</{prefix}Channel>", escape(channel, dice)),
        format!("<{prefix}Computer>{}</{prefix}Computer>", escape(&event.host, dice)),
        format!("<{prefix}Execution ProcessID='17' ThreadID='18'/>"),
    ];
    dice.shuffle(&mut system);
    let start = if prefix.is_empty() { "xmlns='http://x'" } else { "xmlns:e='http://x'" };
    format!(
        "<{prefix}Event {start}>\n<{prefix}System>{}</{prefix}System> <EventData>{}</EventData><!-- end --></{prefix}Event>\n",
        system.concat(),
        data_elements(event, dice)
    )
}

fn data_elements(event: &Event, dice: &mut Dice) -> String {
    let mut elements: Vec<String> = Vec::new();
    for (name, value) in &event.fields {
        let name = escape(name, dice);
        match value {
            Scalar::Text(text) if text.is_empty() && dice.roll(2) == 0 => {
                elements.push(format!("<Data Name=\"{name}\"/>"))
            }
            Scalar::Text(text)
                if !text.contains("]]>") && !text.contains('\r') && dice.roll(4) == 0 =>
            {
                elements.push(format!("<Data Name='{name}'><![CDATA[{text}]]></Data>"));
            }
            Scalar::Text(text) | Scalar::Literal(text) => {
                elements.push(format!("<Data Name='{name}'>{}</Data>", escape(text, dice)))
            }
            Scalar::Null => {}
        }
    }
    dice.shuffle(&mut elements);
    elements.concat()
}

/// Text for an element or attribute. White space other than blanks is written as references, since XML may change it.
fn escape(text: &str, dice: &mut Dice) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ if char.is_control() || "\u{85}\u{2028}".contains(char) || dice.roll(16) == 0 => {
                out.extend(["&#x", &format!("{:x}", u32::from(char)), ";"])
            }
            _ => out.push(char),
        }
    }
    out
}
