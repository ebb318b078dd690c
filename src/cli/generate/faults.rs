//! What goes wrong between the event log and the file: loss, disorder, repetition, damage.
//!
//! ```text
//!   event ─▶ lost? ─▶ GUID zeroed? ─▶ GUID respelt? ─▶ create held? ─▶ delay line ─▶ written
//!                                                                        ▲ copies
//! ```
//!
//! Every event gets a place in the delay line: its number plus a random delay below the shuffle window, so no record moves
//! further than the window. A copy is the same event again, within the next 200 places. A late create waits for the first
//! connection of its process (or its end, or for `HELD` others to wait) and follows it directly, unless the
//! shuffle brings them back into order.
//!
//! Without faults the line is empty after each event. It holds at most the window, the copies under way and `HELD` creates.

use std::collections::BTreeMap;

use super::event::{Event, Text, names_process};
use super::facts::ZERO_GUID;
use super::random::Rng;

/// At most this many creates wait at a time.
const HELD: usize = 256;
/// A copy comes within so many records.
const COPY_WITHIN: u64 = 200;

/// Which faults, how often.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// Window of the shuffle, in records.
    pub shuffle: u64,
    /// Percentage of records that come twice.
    pub duplicates: f64,
    /// Percentage of creates that come after a connection of their process.
    pub late_creates: f64,
    /// Percentage of creates that are lost.
    pub missing_creates: f64,
    /// Percentage of Sysmon events of which one GUID is zero.
    pub zero_guids: f64,
    /// GUIDs in upper and lower case, with and without braces.
    pub mixed_guid_case: bool,
}

/// The way from the event log to the file.
#[derive(Debug)]
pub struct Faults {
    rates: Rates,
    /// A stream for each fault, so that asking for one leaves the others as they are.
    missing: Rng,
    zeroed: Rng,
    respelt: Rng,
    late: Rng,
    shuffled: Rng,
    copied: Rng,
    number: u64,
    /// What is under way, by (place, number).
    line: BTreeMap<(u64, u64), Event>,
    held: Vec<Event>,
}

impl Faults {
    /// A way with these faults.
    pub fn new(rates: Rates, seed: u64) -> Self {
        let [missing, zeroed, respelt, late, shuffled, copied] =
            ["missing", "zeroed", "respelt", "late", "shuffled", "copied"]
                .map(|fault| Rng::new(seed, fault));
        let (line, held) = (BTreeMap::new(), Vec::new());
        Self { rates, missing, zeroed, respelt, late, shuffled, copied, number: 0, line, held }
    }

    /// How many records are under way.
    pub fn pending(&self) -> u64 {
        (self.line.len() + self.held.len()) as u64
    }

    /// Sends an event on its way. `room` is how many records may still be written besides those under way.
    pub fn push(&mut self, mut event: Event, room: u64) {
        if event.is(1) && self.missing.chance(self.rates.missing_creates) {
            return;
        }
        if self.zeroed.chance(self.rates.zero_guids) {
            self.zero(&mut event);
        }
        let released = self.release(&event);
        if event.is(1) && self.late.chance(self.rates.late_creates) {
            self.hold(event);
            return;
        }
        // the end of a process lets its create go first, a connection follows at once
        let (before, after) = if event.is(5) { (released, None) } else { (None, released) };
        for (event, room) in before.map(|create| (create, 0)).into_iter().chain([(event, room)]) {
            self.send(event, room);
        }
        if let Some(create) = after {
            self.send(create, 0);
        }
    }

    /// The next record whose place has come.
    pub fn pop(&mut self) -> Option<Event> {
        let first = self.line.first_entry()?;
        (first.key().0 <= self.number).then(|| first.remove())
    }

    /// Nothing comes any more: lets go of everything that is under way.
    pub fn end(&mut self) {
        for create in std::mem::take(&mut self.held) {
            self.send(create, 0);
        }
        self.number = u64::MAX;
    }

    fn send(&mut self, mut event: Event, room: u64) {
        if self.rates.mixed_guid_case {
            self.respell(&mut event);
        }
        self.number += 1;
        let place = self.number + self.shuffled.below(self.rates.shuffle);
        if room > 1 && self.copied.chance(self.rates.duplicates) {
            let copy = Event { copy: true, ..event.clone() };
            let later = place + self.copied.range(1, COPY_WITHIN);
            self.number += 1;
            self.line.insert((later, self.number), copy);
            self.line.insert((place, self.number - 1), event);
        } else {
            self.line.insert((place, self.number), event);
        }
    }

    fn hold(&mut self, event: Event) {
        if self.held.len() == HELD {
            let oldest = self.held.remove(0);
            self.send(oldest, 0);
        }
        self.held.push(event);
    }

    /// The held create that a connection or an end of its process releases.
    fn release(&mut self, event: &Event) -> Option<Event> {
        if self.held.is_empty() || !(event.is(3) || event.is(5)) {
            return None;
        }
        let guid = event.get("ProcessGuid");
        let held = self
            .held
            .iter()
            .position(|held| held.host == event.host && held.get("ProcessGuid") == guid)?;
        Some(self.held.remove(held))
    }

    /// Zeroes one of the GUIDs that name a process; Sysmon then does not know the image either.
    fn zero(&mut self, event: &mut Event) {
        let guids: Vec<usize> =
            (0..event.fields.len()).filter(|&field| names_process(event.fields[field].0)).collect();
        if guids.is_empty() {
            return;
        }
        let field = *self.zeroed.pick(&guids);
        event.fields[field].1 = Text::Borrowed(ZERO_GUID);
        let image = match event.fields[field].0 {
            "SourceProcessGuid" | "SourceProcessGUID" => "SourceImage",
            "TargetProcessGuid" | "TargetProcessGUID" => "TargetImage",
            "ProcessGuid" if event.id != 1 => "Image",
            _ => return,
        };
        if let Some((_, value)) = event.fields.iter_mut().find(|(name, _)| *name == image) {
            *value = Text::Borrowed("<unknown process>");
        }
    }

    fn respell(&mut self, event: &mut Event) {
        for (_, value) in event.fields.iter_mut().filter(|(name, _)| names_process(name)) {
            let draw = self.respelt.below(4);
            let text = if draw & 1 == 0 { value.to_uppercase() } else { value.to_string() };
            *value = if draw & 2 == 0 {
                text.into()
            } else {
                text.trim_matches(['{', '}']).to_owned().into()
            };
        }
    }
}
