//! What a decoder saw.

use std::collections::BTreeMap;

use super::Shape;
use super::catalogue::{FIELD, FIELD_COUNT};
use super::clock::Clocks;
use super::survey::Survey;

/// Counts over all records of a decoder. Counts of several decoders add up.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Records that were passed over, since they can only be of events that no tap wants. All other counts are of what was decoded.
    pub passed_over: u64,
    /// Sysmon events by shape.
    pub shapes: [u64; Shape::COUNT],
    /// Sysmon events by event id.
    pub events: BTreeMap<i32, u64>,
    /// Events of other channels.
    pub other_channels: u64,
    /// Values that did not fit their column, by field, of events that some tap wanted and columns that some tap reads.
    pub misfits: [u64; FIELD_COUNT],
    /// Record numbers of wanted events that did not fit.
    pub record_ids: u64,
    /// Wanted events whose time has no zone and was read as UTC.
    pub without_zone: u64,
    /// Wanted events without any time.
    pub without_time: u64,
    /// Events of which only the rendered message had the fields.
    pub rendered: u64,
    /// Wanted events with a time of the log that cannot be read, whether or not they have another.
    pub unreadable_times: Examples,
    /// Names and times, where somebody asks for them.
    pub survey: Option<Box<Survey>>,
    /// `UtcTime` of wanted events that is no time, where some tap reads `UTC_TIMESTAMP`.
    pub utc_times: u64,
    /// Wanted events: how far their times are apart, by host.
    pub clocks: Clocks,
}

/// A count of values, and the first of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Examples {
    /// How many there were.
    pub count: u64,
    /// The one at the least position (member, offset), and its first characters.
    first: Option<((i32, i64), String)>,
}

impl Examples {
    /// How many characters of a value are kept.
    const LENGTH: usize = 48;

    /// Counts the value at a position.
    pub fn see(&mut self, position: (i32, i64), text: &str) {
        self.count += 1;
        if self.first.as_ref().is_none_or(|(first, _)| position < *first) {
            self.first = Some((position, text.chars().take(Self::LENGTH).collect()));
        }
    }

    /// The first value, or the beginning of it.
    pub fn first(&self) -> Option<&str> {
        self.first.as_ref().map(|(_, text)| &**text)
    }

    fn add(&mut self, other: &Examples) {
        self.count += other.count;
        let first = self.first.iter().chain(&other.first).min();
        self.first = first.cloned();
    }
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            passed_over: 0,
            shapes: [0; Shape::COUNT],
            events: BTreeMap::new(),
            other_channels: 0,
            misfits: [0; FIELD_COUNT],
            record_ids: 0,
            without_zone: 0,
            without_time: 0,
            rendered: 0,
            unreadable_times: Examples::default(),
            survey: None,
            utc_times: 0,
            clocks: Clocks::default(),
        }
    }
}

impl Stats {
    /// Adds another decoder's counts.
    pub fn add(&mut self, other: &Stats) {
        self.passed_over += other.passed_over;
        for (mine, theirs) in self.shapes.iter_mut().zip(other.shapes) {
            *mine += theirs;
        }
        for (id, count) in &other.events {
            *self.events.entry(*id).or_default() += count;
        }
        self.other_channels += other.other_channels;
        for (mine, theirs) in self.misfits.iter_mut().zip(other.misfits) {
            *mine += theirs;
        }
        self.record_ids += other.record_ids;
        self.without_zone += other.without_zone;
        self.without_time += other.without_time;
        self.rendered += other.rendered;
        self.unreadable_times.add(&other.unreadable_times);
        if let Some(theirs) = &other.survey {
            self.survey.get_or_insert_default().add(theirs);
        }
        self.utc_times += other.utc_times;
        self.clocks.add(&other.clocks);
    }

    /// Number of Sysmon events.
    pub fn sysmon(&self) -> u64 {
        self.shapes.iter().sum()
    }

    /// Sysmon events by shape, where there were any.
    pub fn by_shape(&self) -> impl Iterator<Item = (Shape, u64)> {
        Shape::ALL.into_iter().zip(self.shapes).filter(|(_, count)| *count > 0)
    }

    /// Misfits by column name, where there were any.
    pub fn by_column(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let fields = FIELD.iter().map(|field| field.column).zip(self.misfits);
        [("RECORD_ID", self.record_ids), ("UTC_TIMESTAMP", self.utc_times)]
            .into_iter()
            .chain(fields)
            .filter(|(_, count)| *count > 0)
    }
}
