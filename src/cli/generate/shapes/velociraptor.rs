//! Velociraptor's `parse_evtx`: the binary log's own types, the event id in `EventID.Value`, the
//! time as seconds since 1970 with a fraction.

use super::super::event::{Event, Kind, kind};
use super::super::world::Host;
use super::json::{Object, Order, quoted, typed};
use super::{bare, bare_guid, message, thread, version, writer};

/// A row.
pub fn row(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut provider = Object::new();
    provider
        .text("Name", event.channel.provider())
        .text("Guid", &bare_guid(event.channel.provider_guid()));
    let (mut id, mut time, mut execution) = (Object::new(), Object::new(), Object::new());
    id.number("Value", event.id);
    let (seconds, ms) = (event.logged.div_euclid(1000), event.logged.rem_euclid(1000));
    time.raw("SystemTime", &format!("{seconds}.{ms:03}"));
    execution.number("ProcessID", writer(event, host)).number("ThreadID", thread(event));
    let mut system = Object::new();
    system
        .object("Provider", &provider, order)
        .object("EventID", &id, order)
        .number("Version", version(event))
        .number("Level", 4)
        .number("Task", event.id)
        .number("Opcode", 0)
        .raw("Keywords", "9223372036854775808")
        .object("TimeCreated", &time, order)
        .number("EventRecordID", event.record)
        .raw("Correlation", "{}")
        .object("Execution", &execution, order)
        .text("Channel", event.channel.name())
        .text("Computer", &host.name)
        .raw("Security", r#"{"UserID":"S-1-5-18"}"#);
    let mut data = Object::new();
    for (name, value) in &event.fields {
        let value = bare(name, value);
        // flags are texts in the log
        let flag = kind(name) == Kind::Flag;
        data.raw(name, &if flag { quoted(&value) } else { typed(name, &value) });
    }
    let mut record = Object::new();
    record
        .object("System", &system, order)
        .object("EventData", &data, order)
        .text("Message", &message(event, "\r\n"))
        .text(
            "FullPath",
            &format!(
                r"C:\Windows\System32\winevt\Logs\{}.evtx",
                event.channel.name().replace('/', "%4")
            ),
        );
    record
}
