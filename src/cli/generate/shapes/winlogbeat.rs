//! Winlogbeat without Elastic's module: 6, 7, 8 and 9.
//!
//! Of 8 there are two forms more. Where the pipeline has dropped `event_data`, the fields are in
//! the rendered message alone. Where the collector does not know Sysmon's manifest, fields have
//! numbers for names and there is no message.
//!
//! The collector's name stands in `host.name`, `beat` and `agent`; the machine is `computer_name`.
//! The process and user at the top level (6) or under `winlog` are those of the Sysmon service.
//! Empty fields are left out; 6 and 7 met a Sysmon that left fields empty where a newer one writes
//! `-`.

use super::super::event::{Channel, Event};
use super::super::world::{COLLECTOR, Host, stamp};
use super::json::{Object, Order};
use super::{lag, message, task, thread, version, writer};

/// Winlogbeat 6.
pub fn six(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut data = Object::escaping("<>&");
    fields(event, true, &mut data);
    let mut beat = Object::new();
    beat.text("name", COLLECTOR).text("hostname", COLLECTOR).text("version", "6.8.23");
    let mut collector = Object::new();
    collector.text("name", COLLECTOR);
    let mut record = Object::escaping("<>&");
    record
        .text("@timestamp", &stamp(event.logged, 'T', "Z"))
        .raw(
            "@metadata",
            r#"{"beat":"winlogbeat","type":"doc","version":"6.8.23","topic":"winlogbeat"}"#,
        )
        .text("type", "wineventlog")
        .text("log_name", event.channel.name())
        .text("source_name", event.channel.provider())
        .text("provider_guid", event.channel.provider_guid())
        .text("computer_name", &host.name)
        .text("record_number", &event.record.to_string())
        .number("event_id", event.id)
        .number("version", version(event))
        .text("level", "Information")
        .text("opcode", "Info")
        .text("task", &task(event))
        .number("process_id", writer(event, host))
        .number("thread_id", thread(event))
        .object("event_data", &data, order)
        .text("message", &message(event, "\n"))
        .object("host", &collector, order)
        .object("beat", &beat, order);
    if event.channel == Channel::Sysmon {
        record.object("user", &service_user(), order);
    }
    record
}

/// Winlogbeat 7.
pub fn seven(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut data = Object::new();
    fields(event, true, &mut data);
    let winlog = winlog(event, host, &data, false, order);
    let mut about = Object::new();
    about
        .text("kind", "event")
        .number("code", event.id)
        .text("action", &task(event))
        .text("created", &stamp(event.logged + 1300 + lag(event), 'T', "Z"));
    let mut record = record(&stamp(event.logged, 'T', "Z"), &about, &winlog, "7.17.28", order);
    record.text("message", &message(event, "\n"));
    record
}

/// Winlogbeat 8 and 9.
pub fn eight(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut data = Object::new();
    fields(event, false, &mut data);
    let mut record = eight_with(event, host, &data, order);
    record.text("message", &message(event, "\n"));
    record
}

/// Winlogbeat 8 whose `event_data` was dropped on the way.
pub fn message_only(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut record = eight_with(event, host, &Object::new(), order);
    record.text("message", &message(event, "\n"));
    record
}

/// Winlogbeat 8 that does not know the names of the fields; an empty field keeps its number.
pub fn numbered(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut data = Object::new();
    for (index, (_, value)) in event.fields.iter().enumerate() {
        if !value.is_empty() {
            data.text(&format!("param{}", index + 1), value);
        }
    }
    eight_with(event, host, &data, order)
}

/// Winlogbeat 8 with this `event_data`, without a message.
fn eight_with(event: &Event, host: &Host, data: &Object, order: &mut Order) -> Object {
    let winlog = winlog(event, host, data, true, order);
    let mut about = Object::new();
    about
        .text("kind", "event")
        .text("code", &event.id.to_string())
        .text("provider", event.channel.provider())
        .text("action", &task(event))
        .text("created", &stamp(event.logged + 1100 + lag(event), 'T', "Z"));
    record(&stamp(event.logged, 'T', "Z"), &about, &winlog, "8.17.4", order)
}

/// The object `winlog`, which 7 with the module has as well.
pub fn winlog(
    event: &Event,
    host: &Host,
    data: &Object,
    id_as_text: bool,
    order: &mut Order,
) -> Object {
    let mut writer_thread = Object::new();
    writer_thread.number("id", thread(event));
    let mut process = Object::new();
    process.number("pid", writer(event, host)).object("thread", &writer_thread, order);
    let mut winlog = Object::new();
    winlog
        .text("channel", event.channel.name())
        .text("provider_name", event.channel.provider())
        .text("provider_guid", event.channel.provider_guid())
        .text("computer_name", &host.name)
        .number("record_id", event.record)
        .number("version", version(event))
        .text("api", "wineventlog")
        .text("opcode", "Info")
        .text("task", &task(event))
        .object("process", &process, order);
    if id_as_text {
        winlog.text("event_id", &event.id.to_string());
    } else {
        winlog.number("event_id", event.id);
    }
    if event.channel == Channel::Sysmon {
        winlog.object("user", &service_user(), order);
    }
    if !data.is_empty() {
        winlog.object("event_data", data, order);
    }
    winlog
}

/// What surrounds `winlog` and `event`; the message is not in it.
pub fn record(
    timestamp: &str,
    about: &Object,
    winlog: &Object,
    release: &str,
    order: &mut Order,
) -> Object {
    let mut collector = Object::new();
    collector.text("name", COLLECTOR);
    let mut agent = Object::new();
    agent
        .text("type", "winlogbeat")
        .text("hostname", COLLECTOR)
        .text("name", COLLECTOR)
        .text("version", release)
        .text("id", "5d0c3a52-2f0e-4f5b-9a55-0b9d6b1a7c11");
    let mut record = Object::new();
    record
        .text("@timestamp", timestamp)
        .raw(
            "@metadata",
            &format!(r#"{{"beat":"winlogbeat","type":"_doc","version":"{release}"}}"#),
        )
        .object("event", about, order)
        .object("winlog", winlog, order)
        .object("host", &collector, order)
        .object("agent", &agent, order)
        .raw("log", r#"{"level":"information"}"#)
        .raw("ecs", r#"{"version":"1.12.0"}"#);
    record
}

fn service_user() -> Object {
    let mut user = Object::new();
    user.text("identifier", "S-1-5-18")
        .text("name", "SYSTEM")
        .text("domain", "NT AUTHORITY")
        .text("type", "User");
    user
}

/// The fields as text; `old` leaves out what an old Sysmon left empty.
fn fields(event: &Event, old: bool, data: &mut Object) {
    for (name, value) in &event.fields {
        let left_out = value.is_empty() || (old && value == "-");
        if !left_out {
            data.text(name, value);
        }
    }
}
