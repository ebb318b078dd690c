//! `flat`: the event as Sysmon names its fields, with the process's fields beside its own, so that rules written for event 1 match event 3 as well.
//!
//! | field | |
//! |---|---|
//! | `EventID` | 3 |
//! | `TimeCreated` | when it was logged; `UtcTime` is Sysmon's own |
//! | `Computer` | the machine |
//! | `RuleName` … `DestinationPortName` | Sysmon's, of events 3 and 1; truth values are text there: `"true"`, `"false"` |
//! | `SourceIsIpv6`, `DestinationIsIpv6` | from the addresses |
//! | `ProcessStartTime` | when the process started |
//! | `GrandParentImage` | the program of the parent's parent |
//! | `Ancestors` | programs of the ancestors, parent first; of a program that is not known the process's GUID |
//! | `AncestorsTruncated` | `"true"` when there are more |
//! | `Knowledge` | complete, partial or orphan |
//! | `EventKey` | identity of the event: the id of its document |
//!
//! Values are verbatim: an empty `RuleName` is `""` or `"-"`, as it was logged.

use super::connection::{Ancestor, Connection, Field};
use super::object::Object;

const SYSTEM: &[(&str, Field)] = &[
    ("TimeCreated", Field::EventTime),
    ("Computer", Field::Host),
    ("RuleName", Field::RuleName),
    ("UtcTime", Field::UtcTime),
];

const PROCESS: &[(&str, Field)] = &[
    ("ProcessGuid", Field::ProcessGuid),
    ("ProcessId", Field::ProcessId),
    ("ProcessStartTime", Field::Started),
    ("Image", Field::Image),
    ("CommandLine", Field::CommandLine),
    ("User", Field::User),
    ("IntegrityLevel", Field::IntegrityLevel),
    ("Hashes", Field::Hashes),
    ("ParentProcessGuid", Field::ParentProcessGuid),
    ("ParentImage", Field::ParentImage),
    ("ParentCommandLine", Field::ParentCommandLine),
];

const SOURCE: &[(&str, Field)] = &[
    ("SourceIp", Field::SourceIp),
    ("SourceHostname", Field::SourceHostname),
    ("SourcePort", Field::SourcePort),
];

const DESTINATION: &[(&str, Field)] = &[
    ("DestinationIp", Field::DestinationIp),
    ("DestinationHostname", Field::DestinationHostname),
    ("DestinationPort", Field::DestinationPort),
    ("DestinationPortName", Field::DestinationPortName),
];

/// Appends the connection.
pub fn encode(connection: Connection<'_>, out: &mut Vec<u8>) {
    Object::write(out, |event| {
        event.json("EventID", "3");
        verbatim(event, connection, SYSTEM);
        verbatim(event, connection, PROCESS);
        event.stored(
            "GrandParentImage",
            connection.ancestors().nth(1).and_then(|ancestor| ancestor.image),
        );
        event.stored_all("Ancestors", connection.ancestors().filter_map(Ancestor::name));
        flag(
            event,
            "AncestorsTruncated",
            connection.flag(Field::Truncated).filter(|truncated| *truncated),
        );
        event.stored("Protocol", connection.stored(Field::Protocol));
        flag(event, "Initiated", connection.flag(Field::Initiated));
        flag(
            event,
            "SourceIsIpv6",
            connection.address(Field::SourceIp).map(|address| address.is_ipv6()),
        );
        verbatim(event, connection, SOURCE);
        flag(
            event,
            "DestinationIsIpv6",
            connection.address(Field::DestinationIp).map(|address| address.is_ipv6()),
        );
        verbatim(event, connection, DESTINATION);
        event.stored("Knowledge", connection.stored(Field::Knowledge));
        event.stored("EventKey", connection.stored(Field::EventKey));
    });
}

fn verbatim(event: &mut Object<'_>, connection: Connection<'_>, members: &[(&str, Field)]) {
    for (name, field) in members {
        event.stored(name, connection.stored(*field));
    }
}

fn flag(event: &mut Object<'_>, name: &str, flag: Option<bool>) {
    if let Some(flag) = flag {
        event.text(name, if flag { "true" } else { "false" });
    }
}
