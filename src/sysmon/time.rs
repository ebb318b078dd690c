//! Which of a record's times is the event's.
//!
//! The event log's own time, not Sysmon's `UtcTime`: in network events that one may lie days before
//! the process that connects. In order:
//!
//! 1. what the shape calls the log's time, when it has a zone: `TimeCreated` (event XML, flat),
//!    `winlog.time_created`, `event.created` (ECS), `@timestamp` (Winlogbeat, flat), `EventTime`
//!    (flat), `TimeGenerated` (Azure);
//! 2. the same without a zone, read as UTC and flagged;
//! 3. `UtcTime`, which is UTC by definition, so nothing is flagged;
//! 4. the time of the Kafka record.
//!
//! In Winlogbeat `event.created` is when the collector read the event, so it is no time of the
//! event. Only Elastic's Sysmon module leaves nothing better: it puts `UtcTime` into `@timestamp`.
//!
//! Times are read in any form of [`format::time`](crate::format::time). One that is there and cannot
//! be read is reported, whatever comes of the others.

use super::Shape;
use super::slots::{Part, Slot, Slots};
use super::typed::says_none;
use crate::format::time;
use crate::model::Timestamp;
use crate::model::timestamp::Read;

/// What a record says of the event's time.
pub(super) struct EventTime {
    /// The event's time; `zoned` is false when it had to be taken for UTC.
    pub read: Option<Read>,
    /// The first of the log's times that is there and is no time, absent if there is none.
    pub unreadable: Slot,
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
        Shape::Flat => [part(Part::TimeCreated), part(Part::AtTimestamp), part(Part::EventTime)],
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
    let zoned = times.iter().flatten().find(|time| time.zoned);
    let any = || times.iter().flatten().next();
    let read = zoned.or_else(any).copied().or_else(|| {
        let utc = slots.text(record, utc_time).and_then(|text| time::read(text.as_bytes()));
        utc.map(|time| time.at).or(kafka).map(|at| Read { at, zoned: true })
    });
    EventTime { read, unreadable }
}
