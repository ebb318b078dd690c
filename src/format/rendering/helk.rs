//! `helk`: the columns of the record that HELK's KSQL published to SYSMON_JOIN, in their order, for what was built on them.
//!
//! HELK's record did not say which event it was of, when that was logged, and on which machine. `EVENT_KEY`, by which its document is known, comes before its columns, as in the view `sysmon_join`; `EVENT_TIME` and
//! `HOST_NAME`, called after `SRC_HOST_NAME`, come after them. `KNOWLEDGE` ends the record: HELK had only those that are `complete`.
//!
//! What a network view does not have is null: `SRC_PORT_NAME`, `N_SOURCE_NAME`, `N_LOG_NAME`, the logon and the session, the current directory, `PROCESS_PARENT_ID`. The view `sysmon_join` has it.

use super::connection::{Connection, Field};
use super::object::Object;
use crate::format::time::read;

/// Where a column comes from.
enum Source {
    /// A column of the view.
    Column(Field),
    /// A truth value, as text.
    Flag(Field),
    /// Whether an address is of IPv6, as text.
    IsIpv6(Field),
    /// A time in text, as milliseconds since 1970.
    Millis(Field),
    /// Nowhere.
    Nothing,
}

use Source::{Column, Flag, IsIpv6, Millis, Nothing};

const COLUMNS: &[(&str, Source)] = &[
    ("EVENT_KEY", Column(Field::EventKey)),
    ("N_EVENT_ORIGINAL_TIME", Millis(Field::UtcTime)),
    ("N_PROCESS_GUID", Column(Field::ProcessGuid)),
    ("N_PROCESS_ID", Column(Field::ProcessId)),
    ("N_PROCESS_PATH", Column(Field::Image)),
    ("N_USER_ACCOUNT", Column(Field::User)),
    ("NETWORK_PROTOCOL", Column(Field::Protocol)),
    ("NETWORK_CONNECTION_INITIATED", Flag(Field::Initiated)),
    ("SRC_IS_IPV6", IsIpv6(Field::SourceIp)),
    ("SRC_IP_ADDR", Column(Field::SourceIp)),
    ("SRC_HOST_NAME", Column(Field::SourceHostname)),
    ("SRC_PORT", Column(Field::SourcePort)),
    ("SRC_PORT_NAME", Nothing),
    ("DST_IS_IPV6", IsIpv6(Field::DestinationIp)),
    ("DST_IP_ADDR", Column(Field::DestinationIp)),
    ("DST_HOST_NAME", Column(Field::DestinationHostname)),
    ("DST_PORT", Column(Field::DestinationPort)),
    ("DST_PORT_NAME", Column(Field::DestinationPortName)),
    ("N_SOURCE_NAME", Nothing),
    ("N_LOG_NAME", Nothing),
    ("PROCESS_COMMAND_LINE", Column(Field::CommandLine)),
    ("HASHES", Column(Field::Hashes)),
    ("PROCESS_PARENT_PATH", Column(Field::ParentImage)),
    ("PROCESS_PARENT_COMMAND_LINE", Column(Field::ParentCommandLine)),
    ("USER_LOGON_GUID", Nothing),
    ("USER_LOGON_ID", Nothing),
    ("USER_SESSION_ID", Nothing),
    ("PROCESS_CURRENT_DIRECTORY", Nothing),
    ("PROCESS_INTEGRITY_LEVEL", Column(Field::IntegrityLevel)),
    ("PROCESS_PARENT_GUID", Column(Field::ParentProcessGuid)),
    ("PROCESS_PARENT_ID", Nothing),
    ("EVENT_TIME", Column(Field::EventTime)),
    ("HOST_NAME", Column(Field::Host)),
    ("KNOWLEDGE", Column(Field::Knowledge)),
];

/// Appends the connection.
pub fn encode(connection: Connection<'_>, out: &mut Vec<u8>) {
    let text = |flag: bool| if flag { "\"true\"" } else { "\"false\"" };
    Object::write(out, |record| {
        for (name, source) in COLUMNS {
            match source {
                Column(field) => match connection.stored(*field) {
                    Some(value) => record.stored(name, Some(value)),
                    None => record.json(name, "null"),
                },
                Flag(field) => record.json(name, connection.flag(*field).map_or("null", text)),
                IsIpv6(field) => record.json(
                    name,
                    connection.address(*field).map_or("null", |address| text(address.is_ipv6())),
                ),
                Millis(field) => {
                    let time = connection.text(*field).and_then(|text| read(text.as_bytes()));
                    record
                        .json(name, &time.map_or("null".to_owned(), |time| time.at.0.to_string()));
                }
                Nothing => record.json(name, "null"),
            }
        }
    });
}
