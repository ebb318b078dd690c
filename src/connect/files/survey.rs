//! What each member holds: the form of its records, what the decoders counted, and what would help
//! where a record was not understood.
//!
//! Every reader adds what it found in a chunk to the member's account, so that the result does not
//! depend on who read what.
//!
//! *Bounds.* An account for each member, of counts and bounded names, and advice on the first
//! [`EXAMPLES`] records of each reason.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memchr;

use super::chunk::{Chunk, Kind, Member, Record};
use crate::format::encoding::Encoding;
use crate::format::split::Syntax;
use crate::model::Reason;
use crate::sysmon::{Advice, Stats, advice};

/// On how many records of a reason advice is kept for each member.
const EXAMPLES: usize = 3;

/// How a record is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Form {
    /// A record of an event log file.
    Evtx,
    /// A JSON object on a line.
    JsonLine,
    /// A JSON object over several lines.
    Json,
    /// An `<Event>` on a line.
    XmlLine,
    /// An `<Event>` over several lines.
    Xml,
    /// Text of another kind.
    Text,
}

impl Form {
    fn of(record: &Record<'_>) -> Form {
        let lines = memchr(b'\n', record.bytes).is_some();
        match (record.number, record.syntax) {
            (Some(_), _) => Form::Evtx,
            (None, Syntax::Xml) if lines => Form::Xml,
            (None, Syntax::Xml) => Form::XmlLine,
            _ if !record.bytes.starts_with(b"{") => Form::Text,
            _ if lines => Form::Json,
            _ => Form::JsonLine,
        }
    }

    /// The stable name for scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Evtx => "evtx",
            Form::JsonLine => "json_lines",
            Form::Json => "json",
            Form::XmlLine => "xml_lines",
            Form::Xml => "xml",
            Form::Text => "text",
        }
    }

    /// The same for people.
    pub const fn text(self) -> &'static str {
        match self {
            Form::Evtx => "Windows event log (EVTX)",
            Form::JsonLine => "JSON lines",
            Form::Json => "JSON over several lines",
            Form::XmlLine => "event XML, one event a line",
            Form::Xml => "event XML over several lines",
            Form::Text => "other text",
        }
    }
}

/// What was found in a member.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How many records there are of each form.
    pub forms: BTreeMap<Form, u64>,
    /// How its text is stored; `None` for event log files.
    pub encoding: Option<Encoding>,
    /// What the decoders counted.
    pub stats: Stats,
    /// For each reason the first records, by offset, with advice.
    advice: BTreeMap<Reason, BTreeMap<u64, Vec<Advice>>>,
}

impl Found {
    /// What would help a record that was not understood, if it is one of the first.
    pub fn advice(&self, reason: Reason, offset: Option<u64>) -> &[Advice] {
        let of_reason = || self.advice.get(&reason)?.get(&offset?);
        of_reason().map_or(&[], Vec::as_slice)
    }

    fn advise(&mut self, reason: Reason, offset: u64, advice: Vec<Advice>) {
        let of_reason = self.advice.entry(reason).or_default();
        of_reason.insert(offset, advice);
        if of_reason.len() > EXAMPLES {
            of_reason.pop_last();
        }
    }
}

/// The accounts of all members.
#[derive(Default)]
pub struct Survey {
    members: Mutex<BTreeMap<u32, Found>>,
}

impl Survey {
    /// What was found in a member; complete when all readers have ended.
    pub fn take(&self, member: &Member) -> Found {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.remove(&member.ordinal).unwrap_or_default()
    }
}

/// What one reader finds in its chunks.
pub(super) struct Surveyor {
    to: Arc<Survey>,
    forms: BTreeMap<Form, u64>,
    advice: BTreeMap<Reason, BTreeMap<u64, Vec<Advice>>>,
}

impl Surveyor {
    pub fn new(to: Arc<Survey>) -> Surveyor {
        Surveyor { to, forms: BTreeMap::new(), advice: BTreeMap::new() }
    }

    /// Sees a record.
    pub fn record(&mut self, record: &Record<'_>) {
        *self.forms.entry(Form::of(record)).or_default() += 1;
    }

    /// Sees that a record was not understood; `bytes` are those that were decoded.
    pub fn lost(&mut self, offset: u64, bytes: &[u8], reason: Reason) {
        let of_reason = self.advice.entry(reason).or_default();
        // records come by their offsets
        if of_reason.len() < EXAMPLES {
            of_reason.insert(offset, advice::advise(bytes));
        }
    }

    /// Adds what was found in a chunk to the member's account.
    pub fn chunk(&mut self, chunk: &Chunk, stats: &Stats) {
        let mut members = self.to.members.lock().unwrap_or_else(PoisonError::into_inner);
        let found = members.entry(chunk.member.ordinal).or_default();
        if let Kind::Text { encoding, .. } = chunk.kind {
            found.encoding = Some(encoding);
        }
        found.stats.add(stats);
        for (form, count) in std::mem::take(&mut self.forms) {
            *found.forms.entry(form).or_default() += count;
        }
        for (reason, records) in std::mem::take(&mut self.advice) {
            for (offset, advice) in records {
                found.advise(reason, offset, advice);
            }
        }
    }
}
