//! Which of a record's times is the event's.
//!
//! The event log's own time, not Sysmon's `UtcTime`: in network events that one may lie days before
//! the process that connects. In order:
//!
//! 1. what the shape calls the log's time, when it has a zone: `TimeCreated` (event XML, flat),
//!    `EventTime` (flat), `winlog.time_created`, `@timestamp` (Winlogbeat), `event.created` (ECS),
//!    `TimeGenerated` (Azure);
//! 2. flat, of those without a zone, the first in the zone that its difference to `@timestamp`
//!    shows, which is the time of arrival (see [`clock`](super::clock)); if none, the arrival;
//! 3. what has no zone, read as UTC and flagged;
//! 4. `UtcTime`, which is UTC by definition, so nothing is flagged;
//! 5. the time of the Kafka record.
//!
//! In Winlogbeat `event.created` is when the collector read the event, so it is no time of the
//! event. Only Elastic's Sysmon module leaves nothing better: it puts `UtcTime` into `@timestamp`.
//!
//! Times are read in any form of [`format::time`](crate::format::time). One that is there and
//! cannot be read is reported, whatever comes of the others.

use super::Shape;
use super::clock::{Apart, Local};
use super::slots::{Part, Slot, Slots};
use super::typed::says_none;
use crate::format::time;
use crate::model::Timestamp;
use crate::model::timestamp::Read;

/// What a record says of the event's time.
pub(super) struct EventTime {
    /// The event's time; `zoned` is false when it had to be taken for UTC.
    pub read: Option<Read>,
    /// It is the log's, not one that took its place.
    pub is_logged: bool,
    /// What a local time and its arrival show, where there are both.
    pub local: Option<Result<Local, Apart>>,
    /// The first of the log's times that is there and is no time, absent if there is none.
    pub unreadable: Slot,
}

/// Whether the record has a time where its shape has it.
pub(super) fn is_present(slots: &Slots, shape: Shape) -> bool {
    shape == Shape::Ecs
        || [
            Part::SystemTime,
            Part::WinlogTime,
            Part::AtTimestamp,
            Part::TimeCreated,
            Part::TimeGenerated,
            Part::EventTime,
        ]
        .into_iter()
        .any(|part| slots.part(part).present())
}

/// The event's time.
pub(super) fn event_time(
    slots: &Slots,
    record: &str,
    shape: Shape,
    created: Slot,
    utc_time: Slot,
    kafka: Option<Timestamp>,
) -> EventTime {
    let part = |part| slots.part(part);
    let candidates = match shape {
        Shape::Winlogbeat6 | Shape::Winlogbeat7 | Shape::Winlogbeat8 => {
            [part(Part::WinlogTime), part(Part::AtTimestamp), Slot::ABSENT]
        }
        Shape::Ecs => [part(Part::WinlogTime), created, Slot::ABSENT],
        Shape::Flat => [part(Part::TimeCreated), part(Part::EventTime), part(Part::AtTimestamp)],
        Shape::Azure => {
            [part(Part::TimeGenerated), part(Part::TimeCreated), part(Part::AtTimestamp)]
        }
        // XML, and what was put together by names
        _ => [part(Part::SystemTime), Slot::ABSENT, Slot::ABSENT],
    };
    let mut unreadable = Slot::ABSENT;
    let times = candidates.map(|slot| {
        let text = slots.text(record, slot)?;
        let time = time::read(text.as_bytes());
        if time.is_none() && !unreadable.present() && !says_none(text.as_bytes()) {
            unreadable = slot;
        }
        time
    });
    let zoned = times.iter().position(|time| time.is_some_and(|time| time.zoned));
    let logged = zoned.or_else(|| times.iter().position(Option::is_some));
    let mut read = logged.and_then(|at| times[at]);
    let local = match (shape, zoned, times) {
        (
            Shape::Flat,
            Some(2),
            [Some(local), _, Some(arrival)] | [_, Some(local), Some(arrival)],
        ) => Some(Local::find(local.at, arrival.at)),
        _ => None,
    };
    if let Some(Ok(local)) = local {
        read = Some(Read { at: local.at, zoned: true });
    }
    let read = read.or_else(|| {
        let utc = slots.text(record, utc_time).and_then(|text| time::read(text.as_bytes()));
        utc.map(|time| time.at).or(kafka).map(|at| Read { at, zoned: true })
    });
    EventTime { read, is_logged: logged.is_some(), local, unreadable }
}
