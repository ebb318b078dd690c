//! From a record to rows.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use super::catalogue::aliases::{AMBIGUOUS, Head as Named, plain};
use super::catalogue::{self, ENVELOPE, FIELD, FIELD_COUNT, FieldType, index_of};
use super::clock::Start;
use super::ecs::Ecs;
use super::key::{Identity, Key};
use super::normalise::{self, Around, Assembled, NAMES, NO_NUMBER};
use super::reject::Search;
use super::slots::{DataOf, Fields, Part, Slot, Slots, Unknown};
use super::survey::Surveyor;
use super::time::EventTime;
use super::typed::{self, Typed};
use super::{Shape, Stats, time, walk, xml};
use crate::format::encoding::CodePage;
use crate::format::error::{DecodeError, utf8};
use crate::format::quotes::Quotes;
use crate::format::scan::Scanner;
use crate::format::time::read as read_time;
use crate::model::{Guid, RowRef, RowWriter, Timestamp, Value};

/// A set of event numbers up to 255.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct EventSet([u64; 4]);

impl EventSet {
    /// Adds an event.
    pub fn insert(&mut self, event: u8) {
        self.0[usize::from(event) / 64] |= 1 << (event % 64);
    }

    /// The set of one event.
    pub fn of(event: u8) -> EventSet {
        EventSet::from_iter([event])
    }

    /// Events that are in either set.
    #[must_use]
    pub fn union(self, other: EventSet) -> EventSet {
        EventSet(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// Events that are in both sets.
    #[must_use]
    pub fn intersection(self, other: EventSet) -> EventSet {
        EventSet(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    /// The events, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |event| self.contains(i32::from(*event)))
    }

    /// True when the event is in the set.
    pub fn contains(&self, event: i32) -> bool {
        u8::try_from(event)
            .is_ok_and(|event| self.0[usize::from(event) / 64] >> (event % 64) & 1 == 1)
    }
}

impl FromIterator<u8> for EventSet {
    fn from_iter<I: IntoIterator<Item = u8>>(events: I) -> Self {
        let mut set = EventSet::default();
        events.into_iter().for_each(|event| set.insert(event));
        set
    }
}

/// What one reader of the relation wants: rows of exactly these columns, of these events.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tap {
    /// Positions in [`catalogue::schema`], or the pseudo columns after it, or those of headers after these.
    pub columns: Vec<usize>,
    /// `None` for all Sysmon events.
    pub events: Option<EventSet>,
}

impl Tap {
    fn wants(&self, event: i32) -> bool {
        self.events.is_none_or(|events| events.contains(event))
    }
}

/// What is known of a record without looking inside.
#[derive(Clone, Copy, Default)]
pub struct RecordMeta<'r> {
    /// `ROWPARTITION`
    pub partition: i32,
    /// `ROWOFFSET`
    pub offset: i64,
    /// The Kafka record's time.
    pub timestamp: Option<Timestamp>,
    /// The record is ours, made from an EVTX file.
    pub evtx: bool,
    /// What bytes mean that are not UTF-8.
    pub code_page: CodePage,
    /// The columns of headers.
    pub headers: RowRef<'r>,
}

/// Where rows go.
pub trait RowSink {
    /// The buffer that rows are appended to.
    fn arena(&mut self) -> &mut Vec<u8>;
    /// A row for tap number `tap` was written at `range` of the arena.
    fn row(&mut self, tap: usize, range: Range<usize>);
}

/// What a record was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A Sysmon event, whether or not a tap wanted it.
    Sysmon {
        /// Its number.
        event_id: i32,
        /// How it was written.
        shape: Shape,
        /// Its time, if a tap wanted it and it has one.
        event_time: Option<Timestamp>,
    },
    /// An event of another channel.
    OtherChannel,
    /// A record that says what becomes of the next one, and holds no event.
    NoEvent,
}

/// Decodes records, one after the other, for a fixed list of taps.
pub struct Decoder {
    taps: Vec<Tap>,
    search: Option<Search>,
    /// Fields with a type that some tap reads.
    typed: Vec<usize>,
    /// Some tap reads `EVENT_KEY`, `FIELDS`, `UTC_TIMESTAMP`.
    key: bool,
    fields: bool,
    utc_timestamp: bool,
    quotes: Quotes,
    orders: walk::Orders,
    slots: Slots,
    values: [Typed; FIELD_COUNT],
    identity: Identity,
    /// What is around the event in its record, which is no part of its identity.
    origin: Vec<(String, String)>,
    stats: Stats,
    /// Counts names and times, where somebody asks.
    surveyor: Option<Box<Surveyor>>,
}

/// What the shape says about a record.
struct Head {
    shape: Shape,
    event_id: Slot,
    channel: Slot,
    provider: Slot,
    host: Slot,
    record: Slot,
}

/// One wanted event, ready to be written.
struct Ready<'s> {
    head: Head,
    event_id: i32,
    record_id: Option<i64>,
    event_time: Option<Timestamp>,
    utc_timestamp: Option<Timestamp>,
    meta: &'s RecordMeta<'s>,
    fields: Option<Value<'s>>,
    key: Option<Key>,
}

impl Decoder {
    /// A decoder for these taps.
    pub fn new(taps: &[Tap]) -> Decoder {
        let reads = |column: usize| taps.iter().any(|tap| tap.columns.contains(&column));
        let (key, fields) = (reads(catalogue::EVENT_KEY), reads(catalogue::FIELDS));
        // the values of all fields tell what goes to FIELDS, and may all be needed for the key
        let typed = |field: &usize| {
            FIELD[*field].ty != FieldType::Text && (key || fields || reads(ENVELOPE + field))
        };
        Decoder {
            taps: taps.to_vec(),
            search: Search::new(taps),
            typed: (0..FIELD_COUNT).filter(typed).collect(),
            key,
            fields,
            utc_timestamp: reads(catalogue::UTC_TIMESTAMP),
            quotes: Quotes::default(),
            orders: walk::Orders::default(),
            slots: Slots::default(),
            values: [Typed::Null; FIELD_COUNT],
            identity: Identity::default(),
            origin: Vec::new(),
            stats: Stats::default(),
            surveyor: None,
        }
    }

    /// What was seen so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Also counts names and times from now on.
    pub fn survey(&mut self) {
        self.surveyor.get_or_insert_default();
    }

    /// What was seen since it was taken before.
    pub fn take_stats(&mut self) -> Stats {
        let survey = self.surveyor.as_mut().map(|surveyor| Box::new(surveyor.take()));
        Stats { survey, ..std::mem::take(&mut self.stats) }
    }

    /// True when a look at the record's bytes tells that no tap wants it; it is then counted, and need not be decoded. A record of EVTX is not asked for.
    pub fn passes_over(&mut self, record: &[u8]) -> bool {
        let passed = self.search.as_ref().is_some_and(|search| search.rejects(record));
        self.stats.passed_over += u64::from(passed);
        passed
    }

    /// Decodes one record: a JSON object, an `<Event>`, or text that has an event in it. A record
    /// may hold several events; the outcome is then that of the latest.
    ///
    /// An error is a dead letter. It has written no row, unless it says that elements of a list
    /// were lost: then the others have theirs.
    pub fn decode(
        &mut self,
        record: &[u8],
        meta: &RecordMeta<'_>,
        out: &mut impl RowSink,
    ) -> Result<Outcome, DecodeError> {
        let recoded;
        let text = if let Ok(text) = utf8(record) {
            text
        } else {
            self.stats.recoded += 1;
            recoded = meta.code_page.decode(record);
            &recoded
        };
        self.origin.clear();
        let missing = match self.read(text, None, meta, out)? {
            Read::Event(outcome) => return Ok(outcome),
            Read::Nothing(missing) => missing,
        };
        let mut reading = Reading { decoder: self, meta, out, outcome: Outcome::NoEvent };
        let found = normalise::search(text, &mut reading);
        let outcome = reading.outcome;
        match (found.events, found.lost) {
            (0, _) if found.action => Ok(outcome),
            (0, _) if missing == DecodeError::NoFields => Err(missing),
            (0, _) => Err(found.problem.unwrap_or(missing)),
            (_, 0) => Ok(outcome),
            (_, lost) => Err(DecodeError::LostElements { lost }),
        }
    }

    /// Reads a record in one of the shippers' shapes.
    fn read(
        &mut self,
        text: &str,
        around: Option<&Around<'_>>,
        meta: &RecordMeta<'_>,
        out: &mut impl RowSink,
    ) -> Result<Read, DecodeError> {
        self.slots.clear();
        let keep = self.key || self.fields;
        let from_xml = !text.trim_ascii_start().starts_with('{');
        let whole = text;
        let text = if from_xml { event_xml(text) } else { Some(text) };
        let Some(text) = text else { return not_a_record(whole).map(Read::Nothing) };
        if from_xml {
            xml::event(text, DataOf::Event, &mut self.slots, keep)?;
            self.slots.event = true;
        } else {
            self.quotes.find(text);
            walk::record(
                Scanner::with_quotes(text, &self.quotes),
                &mut self.orders,
                &mut self.slots,
                keep,
            )?;
        }
        let Some(mut head) = head(&self.slots, meta, from_xml) else {
            return Ok(Read::Nothing(NO_HEAD));
        };
        if !is_sysmon(&mut self.slots, text, &mut head) {
            // where no provider is named, its GUID may be there
            if !head.provider.present() && names_provider(text) {
                return Ok(Read::Nothing(NO_HEAD));
            }
            self.stats.other_channels += 1;
            if let Some(surveyor) = &mut self.surveyor {
                surveyor.channel(&whose(&self.slots, text, &head));
            }
            return Ok(Read::Event(Outcome::OtherChannel));
        }
        let number =
            |slot| self.slots.text(text, slot).and_then(|text| typed::integer(text.as_bytes()));
        let Some(event_id) = number(head.event_id).and_then(|id| i32::try_from(id).ok()) else {
            return Ok(Read::Nothing(NO_NUMBER));
        };
        if head.shape == Shape::Azure {
            self.read_event_data(text, keep)?;
        }
        let mut created = Slot::ABSENT;
        if matches!(head.shape, Shape::Winlogbeat7 | Shape::Winlogbeat8)
            && let Some(ecs) = Ecs::detect(&self.slots, text, event_id)
        {
            head.shape = Shape::Ecs;
            created = ecs.created;
            ecs.put_back(&mut self.slots, text, event_id);
        }
        if self.slots.respelled > 0 || !has_fields(&self.slots, head.shape) {
            return Ok(Read::Nothing(DecodeError::NoFields));
        }
        if let Some(around) = around {
            self.complete(&mut head, around);
        }
        Ok(Read::Event(self.write(text, head, event_id, created, meta, out)))
    }

    /// Adds to the event in the slots what only its envelope says.
    fn complete(&mut self, head: &mut Head, around: &Around<'_>) {
        if !head.host.present()
            && let Some(host) = around.part(Named::Host)
        {
            head.host = self.slots.build(&host);
        }
        if !time::is_present(&self.slots, head.shape)
            && let Some(time) = around.part(Named::Time)
        {
            self.set_time(&time);
        }
        self.note_origin(around);
    }

    fn note_origin(&mut self, around: &Around<'_>) {
        self.origin = if self.fields { around.origin() } else { Vec::new() };
    }

    fn set_time(&mut self, time: &str) {
        let slot = self.slots.build(time);
        // where XML has it, and where Winlogbeat does
        self.slots.set(Part::SystemTime, slot);
        self.slots.set(Part::AtTimestamp, slot);
    }

    /// Writes the rows of the event in the slots.
    fn write(
        &mut self,
        text: &str,
        head: Head,
        event_id: i32,
        created: Slot,
        meta: &RecordMeta<'_>,
        out: &mut impl RowSink,
    ) -> Outcome {
        self.stats.shapes[head.shape as usize] += 1;
        *self.stats.events.entry(event_id).or_default() += 1;
        if !self.taps.iter().any(|tap| tap.wants(event_id)) {
            return Outcome::Sysmon { event_id, shape: head.shape, event_time: None };
        }

        let record_id =
            self.slots.text(text, head.record).and_then(|text| typed::integer(text.as_bytes()));
        if record_id.is_none() {
            let number = self.slots.text(text, head.record);
            self.stats.record_ids +=
                u64::from(number.is_some_and(|number| !typed::says_none(number.as_bytes())));
        }
        if head.shape == Shape::Flat {
            drop_envelope(&mut self.slots, text, event_id);
        }
        let utc_time = fields(&self.slots, head.shape).0[UTC_TIME];
        let time =
            time::event_time(&self.slots, text, head.shape, created, utc_time, meta.timestamp);
        let event_time = time.read.map(|time| time.at);
        if let Some(surveyor) = &mut self.surveyor {
            surveyor.channel(&whose(&self.slots, text, &head));
            surveyor.event(self.slots.text(text, head.host).as_deref(), event_time);
        }
        let utc_timestamp = self.note_times(text, &head, event_id, &time, utc_time, meta);

        self.read_typed(text, head.shape);
        let shape = head.shape;
        let by_content = self.key && record_id.is_none();
        let kept = if self.fields || by_content {
            kept(&self.slots, text, &head, &self.values, event_id)
        } else {
            Vec::new()
        };
        let keyed = self.key
            && self
                .taps
                .iter()
                .any(|tap| tap.wants(event_id) && tap.columns.contains(&catalogue::EVENT_KEY));
        let key = keyed.then(|| self.identify(&head, text, event_id, record_id, event_time, &kept));
        let text_map = || {
            let all = kept.into_iter().chain(std::mem::take(&mut self.origin));
            let all: std::collections::BTreeMap<_, _> = all.collect();
            all.into_iter()
                .map(|(name, text)| (Value::Varchar(name.into()), Value::Varchar(text.into())))
                .collect()
        };
        let fields = self.fields.then(|| Value::Map(text_map()));
        let ready =
            Ready { head, event_id, record_id, event_time, utc_timestamp, meta, fields, key };
        for (number, tap) in self.taps.iter().enumerate().filter(|(_, tap)| tap.wants(event_id)) {
            let mut writer = RowWriter::new(out.arena(), tap.columns.len());
            for &column in &tap.columns {
                write(&mut writer, column, &ready, &self.slots, text, &self.values);
            }
            let range = writer.finish();
            out.row(number, range);
        }
        Outcome::Sysmon { event_id, shape, event_time }
    }

    /// Puts an event that was found by names into the slots.
    fn place(&mut self, event: &Assembled) -> Head {
        self.slots.clear();
        let slots = &mut self.slots;
        let mut part = |part: Named| {
            let text = event.head[part as usize].as_deref();
            text.map_or(Slot::ABSENT, |text| slots.build(text))
        };
        let [event_id, channel, provider, host, record] =
            [Named::EventId, Named::Channel, Named::Provider, Named::Host, Named::Record]
                .map(&mut part);
        for (field, text) in &event.fields {
            slots.data.0[*field] = slots.build(text);
        }
        for (name, text) in &event.unknown {
            let entry = (slots.build(name), slots.build(text));
            slots.data_unknown.push(entry);
        }
        if let Some(time) = &event.head[Named::Time as usize] {
            self.set_time(time);
        }
        Head { shape: event.shape, event_id, channel, provider, host, record }
    }

    /// Reads the text of Azure's `EventData`.
    fn read_event_data(&mut self, record: &str, keep: bool) -> Result<(), DecodeError> {
        let slot = self.slots.part(Part::EventDataText);
        let Some(text) = self.slots.text(record, slot) else { return Ok(()) };
        let inner = text.trim_ascii().to_owned();
        match inner.bytes().next() {
            None => Ok(()),
            Some(b'<') => xml::event(&inner, DataOf::Azure, &mut self.slots, keep),
            Some(_) => {
                self.slots.inner = inner;
                Ok(walk::inner(&mut self.orders, &mut self.slots, keep)?)
            }
        }
    }

    /// Counts what the record's times are, and reads `UtcTime` where that is wanted.
    fn note_times(
        &mut self,
        record: &str,
        head: &Head,
        event_id: i32,
        time: &EventTime,
        utc_time: Slot,
        meta: &RecordMeta<'_>,
    ) -> Option<Timestamp> {
        let (slots, stats) = (&self.slots, &mut self.stats);
        if let Some(text) = slots.text(record, time.unreadable) {
            stats.unreadable_times.see((meta.partition, meta.offset), &text);
        }
        stats.without_zone += u64::from(time.read.is_some_and(|time| !time.zoned));
        stats.without_time += u64::from(time.read.is_none());
        let mut utc_timestamp = None;
        if (self.utc_timestamp || event_id == 1)
            && let Some(text) = slots.text(record, utc_time)
        {
            utc_timestamp = read_time(text.as_bytes()).map(|time| time.at);
            stats.utc_times += u64::from(
                self.utc_timestamp && utc_timestamp.is_none() && !typed::says_none(text.as_bytes()),
            );
        }
        let start = utc_timestamp.filter(|_| event_id == 1).and_then(|utc| {
            let guid = slots.text(record, fields(slots, head.shape).0[PROCESS_GUID]);
            let guid = guid.and_then(|text| Guid::parse(text.as_bytes()));
            let logged = time.read.filter(|_| time.is_logged).map(|time| time.at);
            Start::compare(utc, logged, guid)
        });
        // the host is looked up only where there is something to tell
        if (start.is_some() || time.local.is_some())
            && let Some(host) = slots.text(record, head.host)
            && let Some(clock) = stats.clocks.of(&host)
        {
            if let Some(local) = time.local {
                clock.local(local);
            }
            if let Some(start) = start {
                clock.start(start);
            }
        }
        utc_timestamp
    }

    fn read_typed(&mut self, record: &str, shape: Shape) {
        let from = fields(&self.slots, shape);
        for &field in &self.typed {
            let slot = from.0[field];
            self.values[field] = match self.slots.text(record, slot) {
                None => Typed::Null,
                Some(text) => {
                    let value = Typed::read(text.as_bytes(), FIELD[field].ty);
                    if value == Typed::Misfit && !typed::says_none(text.as_bytes()) {
                        self.stats.misfits[field] += 1;
                    }
                    value
                }
            };
        }
    }

    /// The identity of an event; `kept` is needed where it has no record number.
    fn identify(
        &mut self,
        head: &Head,
        record: &str,
        event_id: i32,
        record_id: Option<i64>,
        event_time: Option<Timestamp>,
        kept: &[(String, String)],
    ) -> Key {
        let (slots, identity) = (&self.slots, &mut self.identity);
        identity.clear();
        identity.number(if record_id.is_some() { 1 } else { 2 });
        identity.lower_case(slots.text(record, head.host).as_deref());
        identity.lower_case(slots.text(record, head.channel).as_deref());
        if let Some(number) = record_id {
            identity.number(number);
            let utc_time = fields(slots, head.shape).0[UTC_TIME];
            identity.text(slots.text(record, utc_time).as_deref());
            identity.number(event_id);
            return identity.key();
        }
        identity.number(event_id);
        match event_time {
            Some(time) => identity.number(time.0),
            None => identity.text(None),
        }
        for (name, text) in content(slots, record, head.shape, &self.values, kept) {
            identity.text(Some(&name));
            identity.text(Some(&text));
        }
        identity.key()
    }
}

const UTC_TIME: usize = index_of("UTC_TIME");
const PROCESS_GUID: usize = index_of("PROCESS_GUID");
const VERSION: usize = index_of("VERSION");
const EVENT_TYPE: usize = index_of("EVENT_TYPE");

/// What a record in one of the shippers' shapes would be.
enum Read {
    Event(Outcome),
    /// None, for this reason.
    Nothing(DecodeError),
}

const NOT_A_RECORD: DecodeError =
    DecodeError::UnknownShape { missing: "neither a JSON object nor event XML" };
const NO_HEAD: DecodeError =
    DecodeError::UnknownShape { missing: "no channel or provider of an event" };

/// What is wrong with text that is no record: that it is none, or JSON that is damaged.
fn not_a_record(text: &str) -> Result<DecodeError, DecodeError> {
    if text.trim_ascii_start().starts_with('[') {
        let mut scanner = Scanner::new(text);
        scanner.value()?;
        scanner.end()?;
    }
    Ok(NOT_A_RECORD)
}

/// Takes the events that are found in a record of no shipper's shape.
struct Reading<'d, 'm, S> {
    decoder: &'d mut Decoder,
    meta: &'m RecordMeta<'m>,
    out: &'m mut S,
    outcome: Outcome,
}

impl<S> Reading<'_, '_, S> {
    /// The latest Sysmon event's outcome is the record's.
    fn add(&mut self, outcome: Outcome) {
        let time = |outcome: Outcome| match outcome {
            Outcome::NoEvent => None,
            Outcome::OtherChannel => Some(None),
            Outcome::Sysmon { event_time, .. } => Some(Some(event_time)),
        };
        if time(outcome) >= time(self.outcome) {
            self.outcome = outcome;
        }
    }
}

impl<S: RowSink> normalise::Target for Reading<'_, '_, S> {
    fn record(&mut self, text: &str, around: &Around<'_>) -> Result<bool, DecodeError> {
        match self.decoder.read(text, Some(around), self.meta, self.out)? {
            Read::Event(outcome) => {
                self.add(outcome);
                Ok(true)
            }
            Read::Nothing(DecodeError::NoFields) => Err(DecodeError::NoFields),
            Read::Nothing(_) => Ok(false),
        }
    }

    fn event(&mut self, event: &Assembled, around: &Around<'_>) {
        self.decoder.stats.rendered += u64::from(event.rendered);
        let head = self.decoder.place(event);
        self.decoder.note_origin(around);
        let outcome = self.decoder.write("", head, event.id, Slot::ABSENT, self.meta, self.out);
        self.add(outcome);
    }

    fn other_channel(&mut self, name: &str) {
        self.decoder.stats.other_channels += 1;
        if let Some(surveyor) = &mut self.decoder.surveyor {
            surveyor.channel(name);
        }
        self.add(Outcome::OtherChannel);
    }
}

/// Whether an event has a field. Names that the head of a flat event has too prove nothing, nor
/// does the time of a record that is the event's `UtcTime` where fields were renamed.
fn has_fields(slots: &Slots, shape: Shape) -> bool {
    static PROVES: LazyLock<[bool; FIELD_COUNT]> = LazyLock::new(|| {
        FIELD.each_ref().map(|field| !AMBIGUOUS.contains(&plain(field.names[0]).as_str()))
    });
    let proves = |field: usize| match shape {
        Shape::Flat => PROVES[field],
        Shape::Ecs => field != UTC_TIME,
        _ => true,
    };
    let slots = fields(slots, shape).0.iter().enumerate();
    slots.filter(|(_, slot)| slot.present()).any(|(field, _)| proves(field))
}

/// Whether the text has the GUID of Sysmon's provider.
fn names_provider(text: &str) -> bool {
    const SPELLINGS: [&str; 2] =
        ["5770385f-c22a-43e0-bf4c-06f5698ffbd9", "5770385F-C22A-43E0-BF4C-06F5698FFBD9"];
    SPELLINGS.iter().any(|guid| memchr::memmem::find(text.as_bytes(), guid.as_bytes()).is_some())
}

/// The XML in a record that is no JSON object, from its `<Event`: syslog puts a header before it.
///
/// A header is short, and a rendered message, which quotes what attackers write, is none.
fn event_xml(text: &str) -> Option<&str> {
    const HEADER: usize = 1024;
    let bytes = &text.as_bytes()[..text.len().min(HEADER)];
    let bytes = memchr::memmem::find(bytes, b"UtcTime:").map_or(bytes, |at| &bytes[..at]);
    for at in memchr::memmem::find_iter(bytes, b"Event") {
        // a prefix is short; looking no further keeps the search linear
        let before = &bytes[at.saturating_sub(64)..at];
        let is_prefix = |name: &[u8]| {
            name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let start = match before.strip_suffix(b":") {
            Some(name) => memchr::memrchr(b'<', name)
                .filter(|open| is_prefix(&name[open + 1..]))
                .map(|open| at - (before.len() - open)),
            None => before.ends_with(b"<").then(|| at - 1),
        };
        if let Some(start) = start
            && bytes
                .get(at + 5)
                .is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))
        {
            return Some(&text[start..]);
        }
    }
    let is_tag = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    text.trim_ascii_start().strip_prefix('<').is_some_and(is_tag).then_some(text)
}

/// The shape by what the record has, and where it keeps the parts of an event.
fn head(slots: &Slots, meta: &RecordMeta<'_>, from_xml: bool) -> Option<Head> {
    use Part as P;
    let head = |shape, [event_id, channel, provider, host, record]: [Part; 5]| {
        let [event_id, channel, provider, host, record] =
            [event_id, channel, provider, host, record].map(|part| slots.part(part));
        let head = Head { shape, event_id, channel, provider, host, record };
        (channel.is_scalar() || provider.is_scalar()).then_some(head)
    };
    if slots.winlog {
        let shape = if slots.part(P::WinlogEventId).is_string() {
            Shape::Winlogbeat8
        } else {
            Shape::Winlogbeat7
        };
        return head(
            shape,
            [
                P::WinlogEventId,
                P::WinlogChannel,
                P::WinlogProvider,
                P::WinlogComputer,
                P::WinlogRecord,
            ],
        );
    }
    if slots.event {
        let shape = match (from_xml, meta.evtx) {
            (true, _) => Shape::Xml,
            (false, true) => Shape::Evtx,
            (false, false) => Shape::EvtxDump,
        };
        return head(
            shape,
            [
                P::SystemEventId,
                P::SystemChannel,
                P::SystemProvider,
                P::SystemComputer,
                P::SystemRecord,
            ],
        );
    }
    if slots.part(P::Channel6).present() || slots.part(P::Provider6).present() {
        return head(
            Shape::Winlogbeat6,
            [P::EventId6, P::Channel6, P::Provider6, P::Computer6, P::Record6],
        );
    }
    if !slots.part(P::FlatEventId).present() {
        return None;
    }
    let azure = slots.part(P::EventDataText).present() || slots.data_of == DataOf::Azure;
    let shape = if azure { Shape::Azure } else { Shape::Flat };
    head(shape, [P::FlatEventId, P::FlatChannel, P::FlatProvider, P::FlatHost, P::FlatRecord])
}

/// Whether the event is Sysmon's; for XML, which Sysmon's. A channel under a name that Windows has
/// translated gets its own back, since it is part of the event's identity.
fn is_sysmon(slots: &mut Slots, record: &str, head: &mut Head) -> bool {
    let is = |slots: &Slots, slot: Slot, name: &str| {
        slots.text(record, slot).is_some_and(|text| text.eq_ignore_ascii_case(name))
    };
    for (channel, provider) in NAMES {
        let by_channel = is(slots, head.channel, channel);
        if !by_channel && !is(slots, head.provider, provider) {
            continue;
        }
        if !by_channel && head.channel.present() && !is(slots, head.channel, "") {
            head.channel = slots.build(channel);
        }
        if head.shape == Shape::Xml && provider == "Linux-Sysmon" {
            head.shape = Shape::Linux;
        }
        return true;
    }
    false
}

/// The channel of an event, or its provider where none is named.
fn whose<'s>(slots: &'s Slots, record: &'s str, head: &Head) -> Cow<'s, str> {
    let channel = slots.text(record, head.channel).filter(|name| !name.is_empty());
    channel.or_else(|| slots.text(record, head.provider)).unwrap_or_default()
}

/// Where the shape keeps the fields.
fn fields(slots: &Slots, shape: Shape) -> &Fields {
    if shape == Shape::Flat { &slots.top } else { &slots.data }
}

/// NXLog's own `Version` and `EventType` stand where Sysmon's would be. Sysmon's version is text and in event 4 only; NXLog's event types are severities
/// and all capitals (`INFO`), Sysmon's are not (`SetValue`).
fn drop_envelope(slots: &mut Slots, record: &str, event_id: i32) {
    if event_id != 4 || !slots.top.0[VERSION].is_string() {
        slots.top.0[VERSION] = Slot::ABSENT;
    }
    let event_type = slots.top.0[EVENT_TYPE];
    if slots
        .text(record, event_type)
        .is_some_and(|text| !text.bytes().any(|b| b.is_ascii_lowercase()))
    {
        slots.top.0[EVENT_TYPE] = Slot::ABSENT;
    }
}

/// What no column holds, sorted by name: unknown fields and misfits.
fn kept(
    slots: &Slots,
    record: &str,
    head: &Head,
    values: &[Typed; FIELD_COUNT],
    event_id: i32,
) -> Vec<(String, String)> {
    let own = |slot: Slot| slots.text(record, slot).map(Cow::into_owned);
    let unknown: &[Unknown] =
        if head.shape == Shape::Flat { &slots.top_unknown } else { &slots.data_unknown };
    // the last of a name counts, also when it is null
    let mut last = std::collections::BTreeMap::new();
    for (name, value) in unknown {
        last.insert(own(*name).unwrap_or_default(), own(*value));
    }
    let from = fields(slots, head.shape);
    for (field, _) in values.iter().enumerate().filter(|(_, value)| **value == Typed::Misfit) {
        let names = FIELD[field].names;
        // event 10 alone writes GUID in capitals
        let name = if event_id == 10 { names[names.len() - 1] } else { names[0] };
        last.insert(name.to_owned(), own(from.0[field]));
    }
    if head.record.present()
        && own(head.record).is_some_and(|text| typed::integer(text.as_bytes()).is_none())
    {
        last.insert("RecordNumber".to_owned(), own(head.record));
    }
    last.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// All fields with their canonical texts, sorted by name.
fn content(
    slots: &Slots,
    record: &str,
    shape: Shape,
    values: &[Typed; FIELD_COUNT],
    kept: &[(String, String)],
) -> Vec<(String, String)> {
    let from = fields(slots, shape);
    let columns = FIELD.iter().enumerate().filter_map(|(i, field)| {
        let text = match values[i] {
            _ if field.ty == FieldType::Text => slots.text(record, from.0[i])?.into_owned(),
            Typed::Null | Typed::Misfit => return None,
            Typed::Int(value) => value.to_string(),
            Typed::Flag(value) => value.to_string(),
            Typed::Guid(value) => value.to_string(),
        };
        Some((field.column.to_owned(), text))
    });
    let mut all: Vec<_> = columns.chain(kept.iter().cloned()).collect();
    all.sort();
    all
}

fn write(
    writer: &mut RowWriter<'_>,
    column: usize,
    ready: &Ready<'_>,
    slots: &Slots,
    record: &str,
    values: &[Typed; FIELD_COUNT],
) {
    let head = &ready.head;
    match column {
        catalogue::EVENT_ID => writer.int(ready.event_id),
        catalogue::EVENT_TIME | catalogue::ROWTIME => match ready.event_time {
            Some(time) => writer.timestamp(time),
            None => writer.null(),
        },
        catalogue::HOST => slots.write(record, head.host, writer),
        catalogue::CHANNEL => slots.write(record, head.channel, writer),
        catalogue::PROVIDER => slots.write(record, head.provider, writer),
        catalogue::RECORD_ID => match ready.record_id {
            Some(number) => writer.bigint(number),
            None => writer.null(),
        },
        catalogue::SHAPE => writer.text(head.shape.name()),
        catalogue::FIELDS => writer.value(ready.fields.as_ref().unwrap_or(&Value::Null)),
        catalogue::EVENT_KEY => {
            writer.canonical_text(ready.key.as_ref().map_or(&[], |key| &key[..]))
        }
        catalogue::UTC_TIMESTAMP => match ready.utc_timestamp {
            Some(time) => writer.timestamp(time),
            None => writer.null(),
        },
        catalogue::ROWPARTITION => writer.int(ready.meta.partition),
        catalogue::ROWOFFSET => writer.bigint(ready.meta.offset),
        catalogue::HEADERS.. => writer.raw(ready.meta.headers.raw(column - catalogue::HEADERS)),
        _ => {
            let field = column - ENVELOPE;
            match values[field] {
                _ if FIELD[field].ty == FieldType::Text => {
                    slots.write(record, fields(slots, head.shape).0[field], writer)
                }
                Typed::Null | Typed::Misfit => writer.null(),
                Typed::Int(value) => writer.int(value),
                Typed::Flag(value) => writer.boolean(value),
                Typed::Guid(value) => writer.guid(value),
            }
        }
    }
}
