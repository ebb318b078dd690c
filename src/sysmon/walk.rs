//! The one pass over a JSON record: notes where everything is, judges nothing.
//!
//! Objects that hold parts of an event are entered; every other value is passed over, checked all the same. When an object comes twice under the same key,
//! what the first one left is forgotten.

use std::ops::Range;
use std::sync::LazyLock;

use super::catalogue::{FIELD, FIELD_COUNT};
use super::names::{Key, Names, Order, text};
use super::slots::{DataOf, Part, Slot, Slots, Source};
use crate::format::scan::{Kind, Result, Scanner, Token};

/// What a key at top level means.
#[derive(Clone, Copy)]
enum Top {
    Field(usize),
    /// The flag says that this is the usual name: it wins over others for the same part.
    Part(Part, bool),
    Winlog,
    EventData6,
    Event,
    EventData,
    /// Part of the flat shape's envelope that no column holds. `ProcessID` is the Sysmon service's.
    Envelope,
}

static FIELD_NAMES: LazyLock<Names<usize>> = LazyLock::new(|| Names::new(field_names()));

fn field_names() -> impl Iterator<Item = (&'static str, usize)> {
    (0..FIELD_COUNT).flat_map(|i| FIELD[i].names.iter().map(move |name| (*name, i)))
}

/// Whether a name, which is none of a field, would be one without what separates its words.
fn is_respelled(name: &[u8]) -> bool {
    let is_separator = |byte: &u8| matches!(byte, b'_' | b'-' | b' ');
    let joined = || name.iter().copied().filter(|b| !is_separator(b)).collect::<Vec<u8>>();
    name.iter().any(is_separator) && FIELD_NAMES.get(&joined()).is_some()
}

/// The index of the field with this name.
pub(super) fn field_named(name: &[u8]) -> Option<(usize, bool)> {
    FIELD_NAMES.get(name)
}

/// Keys that NXLog, WEF collectors and Logstash put beside the fields of a flat event.
const ENVELOPE: &[&str] = &[
    "@metadata",
    "@version",
    "AccountName",
    "AccountType",
    "ActivityID",
    "Category",
    "Domain",
    "ERROR_EVT_UNRESOLVED",
    "EventReceivedTime",
    "EventTypeOriginal",
    "EventTypeOrignal",
    "ExecutionProcessID",
    "ExecutionThreadID",
    "Keywords",
    "Level",
    "Message",
    "Opcode",
    "OpcodeValue",
    "ProcessID",
    "ProviderGuid",
    "RelatedActivityID",
    "Severity",
    "SeverityValue",
    "SourceModuleName",
    "SourceModuleType",
    "Task",
    "ThreadID",
    "UserID",
    "_id",
    "_index",
    "_type",
    "agent",
    "ecs",
    "host",
    "index_name",
    "log",
    "message",
    "port",
    "tags",
    "timestamp",
    "type",
];

static TOP: LazyLock<Names<Top>> = LazyLock::new(|| {
    use Part as P;
    let usual = |name, part| (name, Top::Part(part, true));
    let other = |name, part| (name, Top::Part(part, false));
    let parts = [
        ("winlog", Top::Winlog),
        ("event_data", Top::EventData6),
        ("Event", Top::Event),
        ("EventData", Top::EventData),
        usual("event_id", P::EventId6),
        usual("log_name", P::Channel6),
        usual("source_name", P::Provider6),
        usual("computer_name", P::Computer6),
        usual("record_number", P::Record6),
        usual("EventID", P::FlatEventId),
        other("EventId", P::FlatEventId),
        usual("Channel", P::FlatChannel),
        usual("SourceName", P::FlatProvider),
        other("Provider", P::FlatProvider),
        other("ProviderName", P::FlatProvider),
        usual("Hostname", P::FlatHost),
        other("Computer", P::FlatHost),
        other("ComputerName", P::FlatHost),
        usual("RecordNumber", P::FlatRecord),
        other("EventRecordID", P::FlatRecord),
        other("EventRecordId", P::FlatRecord),
        usual("@timestamp", P::AtTimestamp),
        usual("EventTime", P::EventTime),
        usual("TimeCreated", P::TimeCreated),
        usual("TimeGenerated", P::TimeGenerated),
        usual("event", P::EcsEvent),
        usual("process", P::EcsProcess),
        usual("source", P::EcsSource),
        usual("destination", P::EcsDestination),
        usual("network", P::EcsNetwork),
        usual("user", P::EcsUser),
        usual("file", P::EcsFile),
        usual("hash", P::EcsHash),
        usual("rule", P::EcsRule),
        usual("dns", P::EcsDns),
        usual("registry", P::EcsRegistry),
        usual("error", P::EcsError),
        usual("sysmon", P::EcsSysmon),
    ];
    let envelope = ENVELOPE.iter().map(|name| (*name, Top::Envelope));
    Names::new(field_names().map(|(name, i)| (name, Top::Field(i))).chain(parts).chain(envelope))
});

/// What a key in `winlog` means.
#[derive(Clone, Copy)]
enum Winlog {
    Part(Part),
    Data,
    /// Nothing to us.
    Other,
}

static WINLOG: LazyLock<Names<Winlog>> = LazyLock::new(|| {
    let parts = [
        ("event_id", Winlog::Part(Part::WinlogEventId)),
        ("channel", Winlog::Part(Part::WinlogChannel)),
        ("provider_name", Winlog::Part(Part::WinlogProvider)),
        ("computer_name", Winlog::Part(Part::WinlogComputer)),
        ("record_id", Winlog::Part(Part::WinlogRecord)),
        ("time_created", Winlog::Part(Part::WinlogTime)),
        ("event_data", Winlog::Data),
    ];
    let others = [
        "activity_id",
        "api",
        "keywords",
        "opcode",
        "process",
        "provider_guid",
        "task",
        "user",
        "version",
    ];
    Names::new(parts.into_iter().chain(others.into_iter().map(|name| (name, Winlog::Other))))
});

/// What the walk has learnt of the order of keys, by the object in which they are.
pub(super) struct Orders {
    top: Order,
    winlog: Order,
    data: Order,
}

impl Default for Orders {
    fn default() -> Self {
        Orders {
            top: Order::new(&TOP),
            winlog: Order::new(&WINLOG),
            data: Order::new(&FIELD_NAMES),
        }
    }
}

/// Walks a record that begins with `{`. With `keep`, names that no column has are noted as well.
pub(super) fn record(
    mut scanner: Scanner<'_>,
    orders: &mut Orders,
    slots: &mut Slots,
    keep: bool,
) -> Result<()> {
    slots.canonical = scanner.canonical();
    scanner.enter_object()?;
    orders.top.start();
    while let Some(Key { range: key, named }) = orders.top.key(&TOP, &mut scanner)? {
        match named {
            Some((Top::Field(field), exact))
                if exact
                    || FIELD[field].names[0][1..].contains(|c: char| c.is_ascii_uppercase()) =>
            {
                // `user`, `type`, `version` at top level are other shippers' words, so a name of one word counts only as Sysmon spells it
                let token = scanner.value()?;
                slots.top.0[field].store(Slot::token(&token, Source::Record, exact));
            }
            Some((Top::Part(part, usual), true)) => {
                let token = scanner.value()?;
                slots.set(part, Slot::token(&token, Source::Record, usual));
            }
            Some((Top::Winlog, true)) => winlog(&mut scanner, orders, slots, keep)?,
            Some((Top::EventData6, true)) => {
                data(&mut scanner, orders, slots, Source::Record, DataOf::Winlogbeat6, keep)?
            }
            Some((Top::Event, true)) => event(&mut scanner, orders, slots, keep)?,
            Some((Top::EventData, true)) => {
                slots.clear_parts(Part::EventDataText, Part::EventDataText);
                if slots.data_of == DataOf::Azure {
                    slots.clear_data();
                }
                if scanner.peek() == Some(b'{') {
                    data(&mut scanner, orders, slots, Source::Record, DataOf::Azure, keep)?;
                } else {
                    let token = scanner.value()?;
                    slots.set(Part::EventDataText, Slot::token(&token, Source::Record, true));
                }
            }
            Some((Top::Envelope, true)) => orders.top.skip(&mut scanner)?,
            _ => {
                let token = scanner.value()?;
                if keep {
                    slots.top_unknown.push((
                        Slot::content(key, Source::Record),
                        Slot::token(&token, Source::Record, true),
                    ));
                }
            }
        }
    }
    scanner.end()
}

/// Walks the JSON text of Azure's `EventData`, which [`Slots::inner`] holds.
pub(super) fn inner(orders: &mut Orders, slots: &mut Slots, keep: bool) -> Result<()> {
    let text = std::mem::take(&mut slots.inner);
    let mut scanner = Scanner::new(&text);
    let walked = data(&mut scanner, orders, slots, Source::Inner, DataOf::Azure, keep)
        .and_then(|()| scanner.end());
    slots.inner = text;
    walked
}

fn winlog(
    scanner: &mut Scanner<'_>,
    orders: &mut Orders,
    slots: &mut Slots,
    keep: bool,
) -> Result<()> {
    slots.clear_parts(Part::WinlogEventId, Part::WinlogRecord);
    if slots.data_of == DataOf::Winlog {
        slots.clear_data();
    }
    slots.winlog = scanner.peek() == Some(b'{');
    if !slots.winlog {
        return scanner.skip();
    }
    scanner.enter_object()?;
    orders.winlog.start();
    while let Some(Key { named, .. }) = orders.winlog.key(&WINLOG, scanner)? {
        match named {
            Some((Winlog::Part(part), true)) => {
                let token = scanner.value()?;
                slots.set(part, Slot::token(&token, Source::Record, true));
            }
            Some((Winlog::Data, true)) => {
                data(scanner, orders, slots, Source::Record, DataOf::Winlog, keep)?
            }
            _ => orders.winlog.skip(scanner)?,
        }
    }
    Ok(())
}

fn event(
    scanner: &mut Scanner<'_>,
    orders: &mut Orders,
    slots: &mut Slots,
    keep: bool,
) -> Result<()> {
    slots.clear_parts(Part::SystemEventId, Part::SystemTime);
    if slots.data_of == DataOf::Event {
        slots.clear_data();
    }
    slots.event = scanner.peek() == Some(b'{');
    if !slots.event {
        return scanner.skip();
    }
    scanner.enter_object()?;
    while let Some(key) = scanner.key()? {
        match &*text(scanner, &key) {
            b"System" => system(scanner, slots)?,
            b"EventData" => data(scanner, orders, slots, Source::Record, DataOf::Event, keep)?,
            _ => scanner.skip()?,
        }
    }
    Ok(())
}

fn system(scanner: &mut Scanner<'_>, slots: &mut Slots) -> Result<()> {
    slots.clear_parts(Part::SystemEventId, Part::SystemTime);
    if scanner.peek() != Some(b'{') {
        return scanner.skip();
    }
    scanner.enter_object()?;
    while let Some(key) = scanner.key()? {
        let (part, attribute): (_, &[u8]) = match &*text(scanner, &key) {
            b"EventID" => (Part::SystemEventId, b"#text"),
            b"Channel" => (Part::SystemChannel, b"#text"),
            b"Computer" => (Part::SystemComputer, b"#text"),
            b"EventRecordID" => (Part::SystemRecord, b"#text"),
            b"Provider" | b"Provider_attributes" => (Part::SystemProvider, b"Name"),
            b"TimeCreated" | b"TimeCreated_attributes" => (Part::SystemTime, b"SystemTime"),
            _ => {
                scanner.skip()?;
                continue;
            }
        };
        let mut element = scanner.clone();
        let mut token = attribute_or_text(scanner, attribute)?;
        if token.kind == Kind::Null && part == Part::SystemTime {
            // a time that is not found in it is still there: who reads times says so
            token = element.value()?;
        }
        slots.set(part, Slot::token(&token, Source::Record, true));
    }
    Ok(())
}

/// An XML element as JSON: its text, or an object with its text as `#text` and its attributes,
/// usually in `#attributes`, or among its members with a mark before their names.
fn attribute_or_text(scanner: &mut Scanner<'_>, wanted: &[u8]) -> Result<Token> {
    if scanner.peek() != Some(b'{') {
        return scanner.value();
    }
    let mut found = Token { kind: Kind::Null, range: 0..0 };
    scanner.enter_object()?;
    while let Some(key) = scanner.key()? {
        let name = text(scanner, &key);
        let marked = matches!(&*name, [b'@' | b'-' | b'_', bare @ ..] if bare == wanted);
        if &*name == wanted || marked {
            found = scanner.value()?;
        } else if matches!(&*name, b"#attributes" | b"@attributes" | b"$")
            && scanner.peek() == Some(b'{')
        {
            if wanted != b"#text" {
                found = Token { kind: Kind::Null, range: 0..0 };
            }
            scanner.enter_object()?;
            while let Some(key) = scanner.key()? {
                let token = scanner.value()?;
                if &*text(scanner, &key) == wanted {
                    found = token;
                }
            }
        } else {
            scanner.skip()?;
        }
    }
    Ok(found)
}

/// The object that holds an event's fields.
fn data(
    scanner: &mut Scanner<'_>,
    orders: &mut Orders,
    slots: &mut Slots,
    source: Source,
    of: DataOf,
    keep: bool,
) -> Result<()> {
    if of < slots.data_of {
        return scanner.skip();
    }
    slots.clear_data();
    slots.data_of = of;
    if scanner.peek() != Some(b'{') {
        return scanner.skip();
    }
    scanner.enter_object()?;
    let mut seen = false;
    orders.data.start();
    while let Some(Key { range: key, named }) = orders.data.key(&FIELD_NAMES, scanner)? {
        if let Some((field, exact)) = named {
            let token = scanner.value()?;
            slots.data.0[field].store(Slot::token(&token, source, exact));
            continue;
        }
        match &*text(scanner, &key) {
            b"Data" if matches!(scanner.peek(), Some(b'[' | b'{')) => {
                // of duplicates the last one counts: the elements are then all there is
                if std::mem::replace(&mut seen, true) {
                    slots.clear_data();
                }
                elements(scanner, slots, source, key, keep)?;
            }
            b"#attributes" | b"xmlns" => scanner.skip()?,
            name => {
                seen |= name == b"Data";
                slots.respelled += usize::from(is_respelled(name));
                let token = scanner.value()?;
                if keep {
                    slots
                        .data_unknown
                        .push((Slot::content(key, source), Slot::token(&token, source, true)));
                }
            }
        }
    }
    Ok(())
}

/// `<Data Name="…">…</Data>` elements as JSON: one object or an array of them.
fn elements(
    scanner: &mut Scanner<'_>,
    slots: &mut Slots,
    source: Source,
    key: Range<usize>,
    keep: bool,
) -> Result<()> {
    let array = scanner.peek() == Some(b'[');
    if array {
        scanner.enter_array()?;
    }
    while !array || scanner.element()? {
        let mut label = Slot::ABSENT;
        let mut value = Slot::ABSENT;
        if scanner.peek() == Some(b'{') {
            scanner.enter_object()?;
            while let Some(key) = scanner.key()? {
                match &*text(scanner, &key) {
                    b"#attributes" => {
                        label = Slot::token(&attribute_or_text(scanner, b"Name")?, source, true)
                    }
                    b"@Name" | b"Name" => label = Slot::token(&scanner.value()?, source, true),
                    b"#text" | b"Value" => value = Slot::token(&scanner.value()?, source, true),
                    _ => scanner.skip()?,
                }
            }
        } else {
            value = Slot::token(&scanner.value()?, source, true);
        }
        if label.is_string() {
            // keys and labels are content of the same text
            let content = label.content_range();
            let name = text(scanner, &content);
            if let Some((field, exact)) = FIELD_NAMES.get(&name) {
                slots.data.0[field].store(value.spelled(exact));
            } else {
                slots.respelled += usize::from(is_respelled(&name));
                if keep {
                    slots.data_unknown.push((label, value));
                }
            }
        } else if keep && value.present() {
            slots.data_unknown.push((Slot::content(key.clone(), source), value));
        }
        if !array {
            break;
        }
    }
    Ok(())
}
