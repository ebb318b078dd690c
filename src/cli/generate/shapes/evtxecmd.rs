//! Eric Zimmerman's `EvtxECmd --json`: a line per event, the fields in `Payload`, JSON in a string,
//! as a list of names and texts.
//!
//! `ProcessId` and `UserId` are those of the Sysmon service. `PayloadData1` and on are a digest for
//! people, without a fixed meaning.

use super::super::event::Event;
use super::super::world::{Host, stamp};
use super::json::{Object, Order};
use super::{named, thread, writer};

/// A record.
pub fn record(event: &Event, host: &Host, order: &mut Order) -> Object {
    let (mut data, mut payload) = (Object::new(), Object::new());
    data.raw("Data", &named(event, order));
    payload.object("EventData", &data, order);
    let mut text = String::with_capacity(2048);
    payload.write(&mut text, order);
    let mut record = Object::new();
    for (number, name) in ["ProcessGuid", "RuleName"].into_iter().enumerate() {
        if let Some(value) = event.get(name) {
            record.text(&format!("PayloadData{}", number + 1), &format!("{name}: {value}"));
        }
    }
    record
        .number("ChunkNumber", event.record / 120)
        .text("Computer", &host.name)
        .text("Payload", &text)
        .text("UserId", "S-1-5-18")
        .text("Channel", event.channel.name())
        .text("Provider", event.channel.provider())
        .number("EventId", event.id)
        .text("EventRecordId", &event.record.to_string())
        .number("ProcessId", writer(event, host))
        .number("ThreadId", thread(event))
        .text("Level", "Info")
        .text("Keywords", "0x8000000000000000")
        .text("SourceFile", r"E:\collected\sysmon.evtx")
        .number("ExtraDataOffset", 0)
        .raw("HiddenRecord", "false")
        .text("TimeCreated", &stamp(event.logged, 'T', "0000+00:00"))
        .number("RecordNumber", event.record);
    record
}
