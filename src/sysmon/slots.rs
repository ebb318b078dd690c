//! Where the parts of one record lie.
//!
//! A slot is a byte range, not a reference, so that the set of slots outlives the record and is used again for the next one without allocation.
//! Text that does not stand in the record as JSON (Azure's inner text, XML, what is rebuilt from ECS fields) is written to a buffer of ours and the
//! slot points there: everything downstream sees JSON values only.

use std::borrow::Cow;

use super::catalogue::FIELD_COUNT;
use crate::format::scan;
use crate::model::{RowWriter, json};

/// Which bytes a slot is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Source {
    /// The record.
    #[default]
    Record,
    /// [`Slots::inner`].
    Inner,
    /// [`Slots::built`].
    Built,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Kind {
    #[default]
    Absent,
    /// JSON string content.
    Content,
    /// A number or boolean: its text is itself.
    Literal,
    /// An object or array.
    Nested,
}

/// A value's place, or none.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    start: u32,
    len: u32,
    source: Source,
    kind: Kind,
    /// Stored under a name spelled exactly as Sysmon spells it.
    exact: bool,
}

impl Slot {
    pub const ABSENT: Slot =
        Slot { start: 0, len: 0, source: Source::Record, kind: Kind::Absent, exact: false };

    /// A scanned value. JSON's `null` is absent.
    #[inline]
    pub fn token(token: &scan::Token, source: Source, exact: bool) -> Slot {
        let kind = match token.kind {
            scan::Kind::Null => Kind::Absent,
            scan::Kind::Boolean | scan::Kind::Number => Kind::Literal,
            scan::Kind::String => Kind::Content,
            scan::Kind::Object | scan::Kind::Array => Kind::Nested,
        };
        Slot { start: token.range.start as u32, len: token.range.len() as u32, source, kind, exact }
    }

    /// A string, by its content's range.
    pub fn content(range: std::ops::Range<usize>, source: Source) -> Slot {
        Slot {
            start: range.start as u32,
            len: range.len() as u32,
            source,
            kind: Kind::Content,
            exact: true,
        }
    }

    /// The same value under a name spelled exactly or not.
    pub fn spelled(mut self, exact: bool) -> Slot {
        self.exact = exact;
        self
    }

    /// Where it lies in its source.
    pub fn content_range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }

    #[inline]
    pub fn present(self) -> bool {
        self.kind != Kind::Absent
    }

    /// True for a value that is neither absent nor an object or array.
    pub fn is_scalar(self) -> bool {
        matches!(self.kind, Kind::Content | Kind::Literal)
    }

    pub fn is_string(self) -> bool {
        self.kind == Kind::Content
    }

    /// Stores `next` here: the last one of a name counts, but no other spelling replaces the exact one.
    #[inline]
    pub fn store(&mut self, next: Slot) {
        if next.exact || !self.exact {
            *self = next;
        }
    }
}

/// Parts of an event that are not its fields. Several names may stand for one part; which counts, the shape says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Part {
    /// `winlog`'s; so with the other parts of this prefix.
    WinlogEventId,
    WinlogChannel,
    WinlogProvider,
    WinlogComputer,
    WinlogTime,
    WinlogRecord,
    /// Winlogbeat 6.
    EventId6,
    Channel6,
    Provider6,
    Computer6,
    Record6,
    /// `Event.System`, in JSON or XML.
    SystemEventId,
    SystemChannel,
    SystemProvider,
    SystemComputer,
    SystemRecord,
    SystemTime,
    /// Top level of NXLog and Azure.
    FlatEventId,
    FlatChannel,
    FlatProvider,
    FlatHost,
    FlatRecord,
    /// `EventData` at top level, a string.
    EventDataText,
    /// Times at top level.
    AtTimestamp,
    EventTime,
    TimeCreated,
    TimeGenerated,
    /// Objects at top level that hold ECS fields.
    EcsEvent,
    EcsProcess,
    EcsSource,
    EcsDestination,
    EcsNetwork,
    EcsUser,
    EcsFile,
    EcsHash,
    EcsRule,
    EcsDns,
    EcsRegistry,
    EcsError,
    EcsSysmon,
}

const PARTS: usize = Part::EcsSysmon as usize + 1;

/// Whose object the `data` slots were read from; a later one replaces an earlier one of its rank or lower.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum DataOf {
    #[default]
    Nobody,
    /// `EventData` at top level.
    Azure,
    /// `event_data` at top level.
    Winlogbeat6,
    /// `Event.EventData`.
    Event,
    /// `winlog.event_data`.
    Winlog,
}

/// A name that no column has, and its value.
pub(super) type Unknown = (Slot, Slot);

/// All slots of a record.
#[derive(Default)]
pub(super) struct Slots {
    parts: Parts,
    /// Fields by index into the catalogue, from the event's data object.
    pub data: Fields,
    pub data_of: DataOf,
    pub data_unknown: Vec<Unknown>,
    /// Fields at top level.
    pub top: Fields,
    pub top_unknown: Vec<Unknown>,
    /// How many names in the data are those of fields with other separators.
    pub respelled: usize,
    /// There is a `winlog` object, an `Event` object.
    pub winlog: bool,
    pub event: bool,
    /// The unescaped text of an `EventData` string.
    pub inner: String,
    /// JSON string contents of ours.
    pub built: Vec<u8>,
    /// All strings of the record are known to be canonical content.
    pub canonical: bool,
}

/// One slot per part.
pub(super) struct Parts([Slot; PARTS]);
/// One slot per field.
pub(super) struct Fields(pub [Slot; FIELD_COUNT]);

impl Default for Parts {
    fn default() -> Self {
        Parts([Slot::ABSENT; PARTS])
    }
}

impl Default for Fields {
    fn default() -> Self {
        Fields([Slot::ABSENT; FIELD_COUNT])
    }
}

impl Slots {
    /// Forgets the record before.
    pub fn clear(&mut self) {
        self.parts = Parts::default();
        self.top = Fields::default();
        self.top_unknown.clear();
        self.clear_data();
        self.data_of = DataOf::Nobody;
        self.winlog = false;
        self.event = false;
        self.inner.clear();
        self.built.clear();
        self.canonical = false;
    }

    /// Forgets the data object: it comes a second time, and the last one counts.
    pub fn clear_data(&mut self) {
        self.data = Fields::default();
        self.data_unknown.clear();
        self.respelled = 0;
    }

    #[inline]
    pub fn part(&self, part: Part) -> Slot {
        self.parts.0[part as usize]
    }

    #[inline]
    pub fn set(&mut self, part: Part, slot: Slot) {
        self.parts.0[part as usize].store(slot);
    }

    /// Forgets the parts in a range: their object comes a second time.
    pub fn clear_parts(&mut self, from: Part, to: Part) {
        self.parts.0[from as usize..=to as usize].fill(Slot::ABSENT);
    }

    /// Appends text to the buffer of ours.
    pub fn build(&mut self, text: &str) -> Slot {
        let start = self.built.len();
        json::escape_into(text, &mut self.built);
        Slot::content(start..self.built.len(), Source::Built)
    }

    /// The spelling of a slot: of a string its content, escaped.
    #[inline]
    fn spelled<'s>(&'s self, record: &'s str, slot: Slot) -> &'s str {
        let range = slot.content_range();
        match slot.source {
            Source::Record => &record[range],
            Source::Inner => &self.inner[range],
            Source::Built => std::str::from_utf8(&self.built[range]).expect("it was text"),
        }
    }

    /// The text of a slot; `None` when absent.
    #[inline]
    pub fn text<'s>(&'s self, record: &'s str, slot: Slot) -> Option<Cow<'s, str>> {
        if !slot.present() {
            return None;
        }
        let spelled = self.spelled(record, slot);
        match slot.kind {
            Kind::Content if memchr::memchr(b'\\', spelled.as_bytes()).is_some() => {
                Some(json::unescape(spelled.as_bytes()).expect("the scanner checked the escapes"))
            }
            _ => Some(Cow::Borrowed(spelled)),
        }
    }

    /// Writes the text of a slot.
    #[inline]
    pub fn write(&self, record: &str, slot: Slot, writer: &mut RowWriter<'_>) {
        let spelled = self.spelled(record, slot);
        match slot.kind {
            Kind::Absent => writer.null(),
            Kind::Content if self.canonical && slot.source == Source::Record => {
                writer.canonical_text(spelled.as_bytes())
            }
            Kind::Content => drop(writer.json_text(spelled.as_bytes())),
            Kind::Literal | Kind::Nested => writer.text(spelled),
        }
    }
}
