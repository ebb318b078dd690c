//! Which of a record's times is the event's.
//!
//! The event log's own time, not Sysmon's `UtcTime`: in network events that one may lie days before the process that connects. In order:
//!
//! 1. what the shape calls the log's time, when it has a zone: `TimeCreated` (event XML, flat), `event.created` (ECS), `@timestamp` (Winlogbeat, flat),
//!    `EventTime` (flat), `TimeGenerated` (Azure);
//! 2. the same without a zone, read as UTC and flagged;
//! 3. `UtcTime`, which is UTC by definition, so nothing is flagged;
//! 4. the time of the Kafka record.

use super::Shape;
use super::slots::{Part, Slot, Slots};
use crate::model::Timestamp;
use crate::model::timestamp::Read;

/// The event's time; `zoned` is false when it had to be taken for UTC.
pub(super) fn event_time(
    slots: &Slots,
    record: &str,
    shape: Shape,
    created: Slot,
    utc_time: Slot,
    kafka: Option<Timestamp>,
) -> Option<Read> {
    let part = |part| slots.part(part);
    let candidates = match shape {
        Shape::Winlogbeat6 | Shape::Winlogbeat7 | Shape::Winlogbeat8 => {
            [part(Part::AtTimestamp), Slot::ABSENT, Slot::ABSENT]
        }
        Shape::Ecs => [created, Slot::ABSENT, Slot::ABSENT],
        Shape::Flat => [part(Part::TimeCreated), part(Part::AtTimestamp), part(Part::EventTime)],
        Shape::Azure => {
            [part(Part::TimeGenerated), part(Part::TimeCreated), part(Part::AtTimestamp)]
        }
        // XML, and what was put together by names
        _ => [part(Part::SystemTime), Slot::ABSENT, Slot::ABSENT],
    };
    let read =
        |slot: Slot| slots.text(record, slot).and_then(|text| Timestamp::parse(text.as_bytes()));
    let times = candidates.map(read);
    let zoned = times.iter().flatten().find(|time| time.zoned);
    let any = || times.iter().flatten().next();
    if let Some(time) = zoned.or_else(any) {
        return Some(*time);
    }
    let fallback = read(utc_time).map(|time| time.at).or(kafka);
    fallback.map(|at| Read { at, zoned: true })
}

/// Whether a text is a time in some form of event logs.
pub(super) fn is_readable(text: &str) -> bool {
    Timestamp::parse(text.as_bytes()).is_some()
}
