//! The shapes an event takes on its way: a file per family of tools, all from the same `Event`.
//!
//! A shape carries host, event id, log time, record number and fields, but for what the table says.
//! What a shape does to them, a reader must undo; what it loses, [`Shape::carried`] takes from the
//! expected result.
//!
//! | shape | what is special | what is lost |
//! |---|---|---|
//! | `winlogbeat6` | flat, record number as text, `<>&` escaped | values of `-`, as of old Sysmon |
//! | `winlogbeat7` | under `winlog`, numbers | values of `-` |
//! | `winlogbeat8` | event id as text | |
//! | `winlogbeat7-ecs` | ECS names, `@timestamp` is `UtcTime`, `event.created` the log time | |
//! | `nxlog` | flat, local `EventTime`, `@timestamp` is arrival | see below |
//! | `evtx-dump` | native numbers and booleans, GUIDs in upper case without braces | |
//! | `azure` | `EventData` is JSON in a string, `UtcTime` in ISO 8601 | record number |
//! | `xml`, `xml-events` | Windows event XML, an event a line; the second inside `<Events>` | |
//! | `linux-syslog` | XML with Sysmon for Linux's provider, channel and syslog prefix | |
//! | `wazuh` | lower camel case, backslashes doubled, entities kept | values of `-`, outer blanks |
//! | `elastic-hits` | a search hit with Winlogbeat 8 in `_source` | |
//! | `elastic-hits-ecs` | the same with Elastic's Sysmon module | |
//! | `elastic-fields` | a search hit with `fields`: dotted names, values in arrays | |
//! | `dotted` | Winlogbeat 8 with dotted names | |
//! | `bulk` | Winlogbeat 8, a line of the bulk interface before each | |
//! | `graylog` | `winlogbeat_winlog_event_data_…`, `winlogbeat_event_data_…` | as Winlogbeat |
//! | `vector` | snake case, fields in `event_data` | |
//! | `velociraptor` | native numbers, `EventID.Value`, time as a float | |
//! | `get-winevent` | `Properties` by position, message, time as `/Date(ms)/` | |
//! | `evtxecmd` | fields in `Payload`, JSON in a string, as `@Name` and `#text` | |
//! | `xmltodict` | all as text, attributes with `@`, the same list | |
//! | `golang-evtx` | all as text, GUIDs in upper case without braces | |
//! | `osquery` | fields in `columns.data`, JSON in a string | record number |
//! | `sentinel-event` | table `Event`: `EventData` is XML in a string | record number |
//! | `sentinel-windowsevent` | table `WindowsEvent`: `EventData` is an object | |
//! | `sentinel-syslog` | table `Syslog`: XML of Sysmon for Linux in `SyslogMessage` | |
//! | `splunk-text` | `Name=value` lines and the message, local time | milliseconds, zone |
//! | `splunk-csv` | XML in a cell of CSV | |
//! | `splunk-hec` | XML in `event` | |
//! | `splunk-result` | XML in `result._raw` | |
//! | `helk` | snake case, `event_recorded_time` is the log time | case of paths and commands |
//! | `kibana-csv` | CSV with dotted names, times for people, `-` for no value | other channels' fields |
//! | `fluentbit` | `StringInserts` by position, message | milliseconds |
//! | `fluentbit-xml` | XML in `System` | |
//! | `fluentd` | `EventData` by position, message in `Description`, all as text | |
//! | `logstash` | XML in `event.original`, `@timestamp` is arrival | |
//! | `winlogbeat-message` | Winlogbeat 8 with the fields in the message alone | |
//! | `winlogbeat-params` | Winlogbeat 8 with `param1` … for names | names of fields |
//! | `wef` | XML with a German `RenderingInfo`: a second channel, several lines | |
//! | `xml-indented` | XML with an element a line | |
//! | `syslog-json` | `nxlog` behind a syslog header | as `nxlog` |
//! | `kafka-console` | Winlogbeat 8 behind time and key | |
//! | `chainsaw` | a hit with `evtx-dump`'s event in `document.data`, attributes beside elements | |
//! | `journald` | XML of Sysmon for Linux in `MESSAGE` | |
//! | `filebeat-syslog` | `linux-syslog` in `message`, `@timestamp` is arrival | |
//! | `elastic-response` | `elastic-hits` inside `hits.hits` of one object | |
//! | `sentinel-csv` | `sentinel-event` as CSV, American times | record number |
//! | `xml-joined` | XML, an event directly behind the other | |
//!
//! `NXLog` loses the milliseconds and Sysmon's `EventType`, and `ProcessId` on every second host.
//!
//! `xml-events`, `elastic-response` and the three of CSV have lines of their own at a file's
//! beginning or end, `xml-joined` has no lines, and the end of an event in `splunk-text` is the
//! beginning of the next: these seven have a file for themselves. All others stand beside each
//! other, and `mixed` is all of them.

mod converted;
mod ecs;
mod elastic;
mod evtx_dump;
mod evtxecmd;
mod fluent;
mod graylog;
mod helk;
mod json;
mod kafka;
mod nxlog;
mod osquery;
mod powershell;
mod sentinel;
mod splunk;
mod vector;
mod velociraptor;
mod wazuh;
mod winlogbeat;
mod xml;

use std::borrow::Cow;
use std::str::FromStr;

use super::event::{Channel, Event, Kind, kind, rule, title};
use super::random::Rng;
use super::world::{Host, civil, stamp};
use json::{Object, Order, array};

/// Declares the shapes with their names.
macro_rules! shapes {
    ($($(#[$doc:meta])* $shape:ident = $name:literal,)*) => {
        /// A shape of records.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Shape {
            $($(#[$doc])* $shape,)*
        }

        impl Shape {
            /// All shapes.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$shape),*];

            /// Its name on the command line and in the expected result.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$shape => $name,)*
                }
            }
        }
    };
}

shapes! {
    /// Winlogbeat 6.
    Winlogbeat6 = "winlogbeat6",
    /// Winlogbeat 7, raw.
    Winlogbeat7 = "winlogbeat7",
    /// Winlogbeat 8 and 9, raw.
    Winlogbeat8 = "winlogbeat8",
    /// Winlogbeat 7 with Elastic's Sysmon module.
    Winlogbeat7Ecs = "winlogbeat7-ecs",
    /// `NXLog`, as in the Mordor data sets.
    Nxlog = "nxlog",
    /// JSON of `evtx_dump`.
    EvtxDump = "evtx-dump",
    /// Azure's event table.
    Azure = "azure",
    /// Windows event XML.
    Xml = "xml",
    /// The same inside `<Events>`.
    XmlEvents = "xml-events",
    /// Sysmon for Linux in syslog.
    LinuxSyslog = "linux-syslog",
    /// Alerts of Wazuh.
    Wazuh = "wazuh",
    /// Elasticsearch's hits.
    ElasticHits = "elastic-hits",
    /// The same over Elastic's Sysmon module.
    ElasticHitsEcs = "elastic-hits-ecs",
    /// Hits with `fields`.
    ElasticFields = "elastic-fields",
    /// Dotted names.
    Dotted = "dotted",
    /// Elasticsearch's bulk interface.
    Bulk = "bulk",
    /// Graylog's messages.
    Graylog = "graylog",
    /// Vector.
    Vector = "vector",
    /// Velociraptor.
    Velociraptor = "velociraptor",
    /// PowerShell.
    GetWinevent = "get-winevent",
    /// `EvtxECmd`.
    Evtxecmd = "evtxecmd",
    /// Python's `xmltodict`.
    Xmltodict = "xmltodict",
    /// `golang-evtx`.
    GolangEvtx = "golang-evtx",
    /// osquery.
    Osquery = "osquery",
    /// Sentinel's table `Event`.
    SentinelEvent = "sentinel-event",
    /// Sentinel's table `WindowsEvent`.
    SentinelWindowsEvent = "sentinel-windowsevent",
    /// Sentinel's table `Syslog`.
    SentinelSyslog = "sentinel-syslog",
    /// Splunk's text.
    SplunkText = "splunk-text",
    /// Splunk's CSV export.
    SplunkCsv = "splunk-csv",
    /// Splunk's HTTP event collector.
    SplunkHec = "splunk-hec",
    /// Splunk's search results.
    SplunkResult = "splunk-result",
    /// HELK's index.
    Helk = "helk",
    /// Kibana's CSV export.
    KibanaCsv = "kibana-csv",
    /// Fluent Bit.
    Fluentbit = "fluentbit",
    /// Fluent Bit with XML.
    FluentbitXml = "fluentbit-xml",
    /// Fluentd.
    Fluentd = "fluentd",
    /// Logstash with the original event alone.
    Logstash = "logstash",
    /// Winlogbeat 8 without `event_data`.
    WinlogbeatMessage = "winlogbeat-message",
    /// Winlogbeat 8 without names of fields.
    WinlogbeatParams = "winlogbeat-params",
    /// Windows Event Forwarding.
    Wef = "wef",
    /// Indented XML.
    XmlIndented = "xml-indented",
    /// `NXLog` through syslog.
    SyslogJson = "syslog-json",
    /// Kafka's console consumer.
    KafkaConsole = "kafka-console",
    /// Chainsaw's hits.
    Chainsaw = "chainsaw",
    /// The journal of systemd.
    Journald = "journald",
    /// Filebeat's syslog.
    FilebeatSyslog = "filebeat-syslog",
    /// A response of Elasticsearch.
    ElasticResponse = "elastic-response",
    /// Sentinel's table `Event` as CSV.
    SentinelCsv = "sentinel-csv",
    /// Event XML without line ends.
    XmlJoined = "xml-joined",
}

impl Shape {
    /// What stands around the records of a file.
    pub fn frame(self) -> Frame {
        let lines = Frame { beginning: "".into(), between: "\n", end: "\n" };
        match self {
            Self::XmlEvents => {
                Frame { beginning: "<Events>\n".into(), end: "\n</Events>\n", ..lines }
            }
            Self::XmlJoined => Frame { between: "", ..lines },
            Self::ElasticResponse => {
                Frame { beginning: elastic::RESPONSE.into(), between: ",", end: "]}}\n" }
            }
            Self::SplunkCsv => Frame { beginning: splunk::CSV_HEAD.into(), ..lines },
            Self::SentinelCsv => Frame { beginning: sentinel::CSV_HEAD.into(), ..lines },
            Self::KibanaCsv => Frame { beginning: elastic::csv_head().into(), ..lines },
            _ => lines,
        }
    }

    /// True if records of other shapes may stand in the same file.
    pub fn mixes(self) -> bool {
        !matches!(
            self,
            Self::XmlEvents
                | Self::XmlJoined
                | Self::ElasticResponse
                | Self::SplunkCsv
                | Self::SplunkText
                | Self::SentinelCsv
                | Self::KibanaCsv
        )
    }

    /// What the shape carries of an event, as far as the expected result names it: a time may be in
    /// whole seconds, a command line in lower case or without blanks at its end.
    pub fn carried(self, event: &Event) -> Cow<'_, Event> {
        let change: fn(&mut Event) = match self {
            Self::Nxlog | Self::SyslogJson | Self::SplunkText | Self::Fluentbit => {
                |event| event.logged -= event.logged.rem_euclid(1000)
            }
            Self::Helk => |event| {
                for (_, value) in
                    event.fields.iter_mut().filter(|(name, _)| helk::is_lowercased(name))
                {
                    *value = value.to_lowercase().into();
                }
            },
            Self::Wazuh => |event| {
                for (_, value) in &mut event.fields {
                    *value = value.trim().to_owned().into();
                }
            },
            _ => return Cow::Borrowed(event),
        };
        let mut carried = event.clone();
        change(&mut carried);
        Cow::Owned(carried)
    }
}

/// What stands around the records of a file.
#[derive(Debug)]
pub struct Frame {
    /// Before the first.
    pub beginning: Cow<'static, str>,
    /// Between two.
    pub between: &'static str,
    /// Behind the last.
    pub end: &'static str,
}

/// A name or list of names given for `--shape`; `mixed` is every shape that stands in a file with
/// others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shapes(pub Vec<Shape>);

impl FromStr for Shapes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shapes = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name == "mixed" {
                shapes.extend(Shape::ALL.into_iter().filter(|shape| shape.mixes()));
            } else if let Some(shape) = Shape::ALL.into_iter().find(|shape| shape.name() == name) {
                shapes.push(shape);
            } else {
                let names: Vec<_> = Shape::ALL.into_iter().map(Shape::name).collect();
                return Err(format!(
                    "unknown shape '{name}'; the shapes are {} and mixed",
                    names.join(", ")
                ));
            }
        }
        Ok(Self(shapes))
    }
}

/// Prints events.
#[derive(Debug)]
pub struct Printer {
    order: Order,
}

impl Printer {
    /// A printer; with `shuffle`, the keys of JSON objects come in random order.
    pub fn new(seed: u64, shuffle: bool) -> Self {
        Self { order: Order(shuffle.then(|| Rng::new(seed, "keys"))) }
    }

    /// Appends an event, without the end of its last line.
    pub fn print(&mut self, shape: Shape, event: &Event, host: &Host, out: &mut String) {
        let order = &mut self.order;
        match shape {
            Shape::Xml | Shape::XmlEvents | Shape::XmlJoined => xml::event(event, host, out),
            Shape::XmlIndented => xml::indented(event, host, out),
            Shape::Wef => xml::forwarded(event, host, out),
            Shape::LinuxSyslog => xml::syslog(event, host, out),
            Shape::SyslogJson => nxlog::syslog(event, host, order, out),
            Shape::KafkaConsole => kafka::console(event, host, order, out),
            Shape::SplunkText => splunk::text(event, host, out),
            Shape::SplunkCsv => splunk::csv(event, host, out),
            Shape::Bulk => elastic::bulk(&winlogbeat::eight(event, host, order), order, out),
            Shape::KibanaCsv => {
                elastic::csv_row(&winlogbeat::eight(event, host, order), event, order, out);
            }
            Shape::SentinelCsv => sentinel::csv(event, host, out),
            _ => object(shape, event, host, order).write(out, order),
        }
    }
}

/// An event in a shape that is one JSON object.
fn object(shape: Shape, event: &Event, host: &Host, order: &mut Order) -> Object {
    let eight = |order: &mut Order| winlogbeat::eight(event, host, order);
    match shape {
        Shape::Winlogbeat6 => winlogbeat::six(event, host, order),
        Shape::Winlogbeat7 => winlogbeat::seven(event, host, order),
        Shape::Winlogbeat8 => eight(order),
        Shape::WinlogbeatMessage => winlogbeat::message_only(event, host, order),
        Shape::WinlogbeatParams => winlogbeat::numbered(event, host, order),
        Shape::Winlogbeat7Ecs => ecs::record(event, host, order),
        Shape::ElasticHits | Shape::ElasticResponse => elastic::hit(&eight(order), event, order),
        Shape::ElasticHitsEcs => elastic::hit(&ecs::record(event, host, order), event, order),
        Shape::ElasticFields => elastic::fields(&eight(order), event, order),
        Shape::Dotted => elastic::dotted(&eight(order), order),
        Shape::Logstash => elastic::original(event, host, order),
        Shape::Graylog => graylog::message(event, host, order),
        Shape::Helk => helk::document(event, host),
        Shape::Nxlog => nxlog::record(event, host),
        Shape::EvtxDump => evtx_dump::record(event, host, order),
        Shape::Chainsaw => evtx_dump::hit(event, host, order),
        Shape::Journald => xml::journal(event, host),
        Shape::FilebeatSyslog => xml::filebeat(event, host, order),
        Shape::Evtxecmd => evtxecmd::record(event, host, order),
        Shape::Xmltodict => converted::xmltodict(event, host, order),
        Shape::GolangEvtx => converted::golang_evtx(event, host, order),
        Shape::Velociraptor => velociraptor::row(event, host, order),
        Shape::GetWinevent => powershell::record(event, host, order),
        Shape::Osquery => osquery::result(event, host, order),
        Shape::Azure => sentinel::azure(event, host, order),
        Shape::SentinelEvent => sentinel::event(event, host),
        Shape::SentinelWindowsEvent => sentinel::windows_event(event, host, order),
        Shape::SentinelSyslog => sentinel::syslog(event, host),
        Shape::SplunkHec => splunk::collected(event, host),
        Shape::SplunkResult => splunk::result(event, host, order),
        Shape::Fluentbit => fluent::bit(event, host),
        Shape::FluentbitXml => fluent::bit_xml(event, host),
        Shape::Fluentd => fluent::d(event, host),
        Shape::Vector => vector::record(event, host, order),
        Shape::Wazuh => wazuh::alert(event, host, order),
        _ => unreachable!("a shape that is no JSON object is printed by itself"),
    }
}

/// A time as BSD syslog has it: without year and zone.
fn syslog_time(ms: i64) -> String {
    civil(ms).strftime("%b %e %H:%M:%S").to_string()
}

/// A time without its milliseconds.
fn whole_seconds(ms: i64, between: char, end: &str) -> String {
    let mut text = stamp(ms, between, "");
    text.truncate("2026-01-15 08:00:00".len());
    text + end
}

/// A GUID in upper case without braces.
fn bare_guid(guid: &str) -> String {
    guid.trim_matches(['{', '}']).to_uppercase()
}

/// A field's value as parsers of the binary log print it: a GUID bare, else as it is.
fn bare<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if kind(name) == Kind::Guid { bare_guid(value).into() } else { value.into() }
}

/// The fields as a JSON list of names and texts; an empty field has no text.
fn named(event: &Event, order: &mut Order) -> String {
    array(event.fields.iter().map(|(name, value)| {
        let mut item = Object::new();
        item.text("@Name", name);
        if !value.is_empty() {
            item.text("#text", value);
        }
        let mut text = String::with_capacity(64);
        item.write(&mut text, order);
        text
    }))
}

/// How long the collector took, the same for each delivery of an event.
fn lag(event: &Event) -> i64 {
    (event.record * 37 % 900) as i64
}

/// The message, as Windows renders it.
fn message(event: &Event, newline: &str) -> String {
    let mut text = String::with_capacity(1024);
    text.push_str(title(event.channel, event.id));
    text.push(':');
    for (name, value) in &event.fields {
        text.push_str(newline);
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
    }
    text
}

/// The task's name.
fn task(event: &Event) -> String {
    let title = title(event.channel, event.id);
    match rule(event.id) {
        Some(rule) if event.channel == Channel::Sysmon => format!("{title} (rule: {rule})"),
        _ => title.to_owned(),
    }
}

/// Version of the event's template in schema 4.90.
fn version(event: &Event) -> u8 {
    match event.id {
        17 | 18 => 1,
        8 | 9 | 11..=15 | 4624 | 4688 => 2,
        4 | 5 | 7 | 10 | 16 | 19..=21 | 255 => 3,
        6 => 4,
        1..=3 | 22..=29 => 5,
        _ => 0,
    }
}

/// Process id of the service that wrote the event, not of its subject.
fn writer(event: &Event, host: &Host) -> u32 {
    if event.channel == Channel::Sysmon { host.sysmon_pid } else { 4 }
}

/// Thread id of that service.
fn thread(event: &Event) -> u32 {
    3684 + (event.record % 5) as u32 * 4
}
