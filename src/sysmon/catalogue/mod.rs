//! What Sysmon writes: its events, their fields, and the relation that they all become.
//!
//! The relation has one row per event, whatever the event: ten columns about the event ([`ENVELOPE`] of them), then one column for every
//! field of any Sysmon event up to schema 4.90 (Sysmon 15), NULL where an event does not have it. Fields are found by name, never by position, because
//! versions of Sysmon insert fields in the middle; a field that is not listed here is kept in `FIELDS`.
//!
//! A column is named by its field in snake case, upper-case as SQL prints it. Two spellings of one field (`SourceProcessGuid` in event 8,
//! `SourceProcessGUID` in event 10) feed one column.

pub mod aliases;
pub mod versions;

use std::sync::LazyLock;

use crate::model::{Column, Schema, Type};

/// The type of a field's column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldType {
    /// `VARCHAR`, verbatim.
    Text,
    /// `INT`: identifiers of processes, threads and sessions, and ports.
    Int,
    /// `BOOLEAN`: flags.
    Flag,
    /// `GUID`
    Guid,
}

/// A field of some Sysmon event.
#[derive(Debug)]
pub struct Field {
    /// Its column.
    pub column: &'static str,
    /// The spellings that Sysmon uses, the usual one first.
    pub names: &'static [&'static str],
    /// Its column's type.
    pub ty: FieldType,
}

/// Number of columns before the fields.
pub const ENVELOPE: usize = 10;
/// Position of `EVENT_ID INT`.
pub const EVENT_ID: usize = 0;
/// Position of `EVENT_TIME TIMESTAMP`: the event log's time, not Sysmon's.
pub const EVENT_TIME: usize = 1;
/// Position of `HOST VARCHAR`: the machine on which the event happened, not the collector.
pub const HOST: usize = 2;
/// Position of `CHANNEL VARCHAR`.
pub const CHANNEL: usize = 3;
/// Position of `PROVIDER VARCHAR`.
pub const PROVIDER: usize = 4;
/// Position of `RECORD_ID BIGINT`: the event's number in its log.
pub const RECORD_ID: usize = 5;
/// Position of `SHAPE VARCHAR`: how the event was written, see [`Shape`](super::Shape).
pub const SHAPE: usize = 6;
/// Position of `FIELDS MAP<VARCHAR, VARCHAR>`: what no column holds.
pub const FIELDS: usize = 7;
/// Position of `EVENT_KEY VARCHAR`: the event's identity, see [`key`](super::key).
pub const EVENT_KEY: usize = 8;
/// Position of `UTC_TIMESTAMP TIMESTAMP`: field `UTC_TIME` as a time, NULL where it is none.
pub const UTC_TIMESTAMP: usize = 9;

/// Pseudo column `ROWTIME TIMESTAMP`, the event time; a [`Tap`](super::Tap) may ask for it as if it followed the schema's last column.
pub const ROWTIME: usize = WIDTH;
/// Pseudo column `ROWPARTITION INT`.
pub const ROWPARTITION: usize = WIDTH + 1;
/// Pseudo column `ROWOFFSET BIGINT`.
pub const ROWOFFSET: usize = WIDTH + 2;
/// The first of the columns of headers.
pub const HEADERS: usize = WIDTH + 3;

/// Number of fields.
pub const FIELD_COUNT: usize = FIELD.len();
/// Number of columns of the relation, pseudo columns not counted.
pub const WIDTH: usize = ENVELOPE + FIELD_COUNT;

const fn field(column: &'static str, names: &'static [&'static str], ty: FieldType) -> Field {
    Field { column, names, ty }
}

use FieldType::{Flag, Guid, Int, Text};

/// All fields, in column order. Field `i` is column `ENVELOPE + i`.
pub const FIELD: [Field; 86] = [
    field("RULE_NAME", &["RuleName"], Text),
    field("UTC_TIME", &["UtcTime"], Text),
    field("PROCESS_GUID", &["ProcessGuid"], Guid),
    field("PROCESS_ID", &["ProcessId"], Int),
    field("IMAGE", &["Image"], Text),
    field("USER", &["User"], Text),
    // 1
    field("FILE_VERSION", &["FileVersion"], Text),
    field("DESCRIPTION", &["Description"], Text),
    field("PRODUCT", &["Product"], Text),
    field("COMPANY", &["Company"], Text),
    field("ORIGINAL_FILE_NAME", &["OriginalFileName"], Text),
    field("COMMAND_LINE", &["CommandLine"], Text),
    field("CURRENT_DIRECTORY", &["CurrentDirectory"], Text),
    field("LOGON_GUID", &["LogonGuid"], Guid),
    field("LOGON_ID", &["LogonId"], Text),
    field("TERMINAL_SESSION_ID", &["TerminalSessionId"], Int),
    field("INTEGRITY_LEVEL", &["IntegrityLevel"], Text),
    field("HASHES", &["Hashes"], Text),
    field("PARENT_PROCESS_GUID", &["ParentProcessGuid"], Guid),
    field("PARENT_PROCESS_ID", &["ParentProcessId"], Int),
    field("PARENT_IMAGE", &["ParentImage"], Text),
    field("PARENT_COMMAND_LINE", &["ParentCommandLine"], Text),
    field("PARENT_USER", &["ParentUser"], Text),
    // 2, 11, 15, 23, 26 to 29
    field("TARGET_FILENAME", &["TargetFilename"], Text),
    field("CREATION_UTC_TIME", &["CreationUtcTime"], Text),
    field("PREVIOUS_CREATION_UTC_TIME", &["PreviousCreationUtcTime"], Text),
    field("IS_EXECUTABLE", &["IsExecutable"], Flag),
    field("ARCHIVED", &["Archived"], Flag),
    field("HASH", &["Hash"], Text),
    field("CONTENTS", &["Contents"], Text),
    // 3
    field("PROTOCOL", &["Protocol"], Text),
    field("INITIATED", &["Initiated"], Flag),
    field("SOURCE_IS_IPV6", &["SourceIsIpv6"], Flag),
    field("SOURCE_IP", &["SourceIp"], Text),
    field("SOURCE_HOSTNAME", &["SourceHostname"], Text),
    field("SOURCE_PORT", &["SourcePort"], Int),
    field("SOURCE_PORT_NAME", &["SourcePortName"], Text),
    field("DESTINATION_IS_IPV6", &["DestinationIsIpv6"], Flag),
    field("DESTINATION_IP", &["DestinationIp"], Text),
    field("DESTINATION_HOSTNAME", &["DestinationHostname"], Text),
    field("DESTINATION_PORT", &["DestinationPort"], Int),
    field("DESTINATION_PORT_NAME", &["DestinationPortName"], Text),
    // 4
    field("STATE", &["State"], Text),
    field("VERSION", &["Version"], Text),
    field("SCHEMA_VERSION", &["SchemaVersion"], Text),
    // 6, 7
    field("IMAGE_LOADED", &["ImageLoaded"], Text),
    field("SIGNED", &["Signed"], Flag),
    field("SIGNATURE", &["Signature"], Text),
    field("SIGNATURE_STATUS", &["SignatureStatus"], Text),
    // 8, 10
    field("SOURCE_PROCESS_GUID", &["SourceProcessGuid", "SourceProcessGUID"], Guid),
    field("SOURCE_PROCESS_ID", &["SourceProcessId"], Int),
    field("SOURCE_THREAD_ID", &["SourceThreadId"], Int),
    field("SOURCE_IMAGE", &["SourceImage"], Text),
    field("SOURCE_USER", &["SourceUser"], Text),
    field("TARGET_PROCESS_GUID", &["TargetProcessGuid", "TargetProcessGUID"], Guid),
    field("TARGET_PROCESS_ID", &["TargetProcessId"], Int),
    field("TARGET_IMAGE", &["TargetImage"], Text),
    field("TARGET_USER", &["TargetUser"], Text),
    field("NEW_THREAD_ID", &["NewThreadId"], Int),
    field("START_ADDRESS", &["StartAddress"], Text),
    field("START_MODULE", &["StartModule"], Text),
    field("START_FUNCTION", &["StartFunction"], Text),
    field("GRANTED_ACCESS", &["GrantedAccess"], Text),
    field("CALL_TRACE", &["CallTrace"], Text),
    // 9
    field("DEVICE", &["Device"], Text),
    // 12 to 14, 17, 18
    field("EVENT_TYPE", &["EventType"], Text),
    field("TARGET_OBJECT", &["TargetObject"], Text),
    field("DETAILS", &["Details"], Text),
    field("NEW_NAME", &["NewName"], Text),
    field("PIPE_NAME", &["PipeName"], Text),
    // 16
    field("CONFIGURATION", &["Configuration"], Text),
    field("CONFIGURATION_FILE_HASH", &["ConfigurationFileHash"], Text),
    // 19 to 21
    field("OPERATION", &["Operation"], Text),
    field("EVENT_NAMESPACE", &["EventNamespace"], Text),
    field("NAME", &["Name"], Text),
    field("QUERY", &["Query"], Text),
    field("TYPE", &["Type"], Text),
    field("DESTINATION", &["Destination"], Text),
    field("CONSUMER", &["Consumer"], Text),
    field("FILTER", &["Filter"], Text),
    // 22
    field("QUERY_NAME", &["QueryName"], Text),
    field("QUERY_STATUS", &["QueryStatus"], Text),
    field("QUERY_RESULTS", &["QueryResults"], Text),
    // 24
    field("SESSION", &["Session"], Int),
    field("CLIENT_INFO", &["ClientInfo"], Text),
    // 255
    field("ID", &["ID"], Text),
];

/// One kind of event.
#[derive(Debug)]
pub struct Event {
    /// Its number.
    pub id: u8,
    /// The name in Sysmon's manifest.
    pub name: &'static str,
    /// The fields that it has in schema 4.90, by their usual names.
    pub fields: &'static [&'static str],
}

macro_rules! events {
    ($($id:literal $name:ident: $($field:ident)*;)*) => {
        &[$(Event { id: $id, name: stringify!($name), fields: &[$(stringify!($field)),*] }),*]
    };
}

/// All events, by number.
#[rustfmt::skip]
pub const EVENTS: &[Event] = events! {
    1 ProcessCreate: RuleName UtcTime ProcessGuid ProcessId Image FileVersion Description Product Company OriginalFileName CommandLine CurrentDirectory
        User LogonGuid LogonId TerminalSessionId IntegrityLevel Hashes ParentProcessGuid ParentProcessId ParentImage ParentCommandLine ParentUser;
    2 FileCreateTime: RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime PreviousCreationUtcTime User;
    3 NetworkConnect: RuleName UtcTime ProcessGuid ProcessId Image User Protocol Initiated SourceIsIpv6 SourceIp SourceHostname SourcePort SourcePortName
        DestinationIsIpv6 DestinationIp DestinationHostname DestinationPort DestinationPortName;
    4 ServiceStateChange: UtcTime State Version SchemaVersion;
    5 ProcessTerminate: RuleName UtcTime ProcessGuid ProcessId Image User;
    6 DriverLoad: RuleName UtcTime ImageLoaded Hashes Signed Signature SignatureStatus;
    7 ImageLoad: RuleName UtcTime ProcessGuid ProcessId Image ImageLoaded FileVersion Description Product Company OriginalFileName Hashes Signed Signature
        SignatureStatus User;
    8 CreateRemoteThread: RuleName UtcTime SourceProcessGuid SourceProcessId SourceImage TargetProcessGuid TargetProcessId TargetImage NewThreadId
        StartAddress StartModule StartFunction SourceUser TargetUser;
    9 RawAccessRead: RuleName UtcTime ProcessGuid ProcessId Image Device User;
    10 ProcessAccess: RuleName UtcTime SourceProcessGuid SourceProcessId SourceThreadId SourceImage TargetProcessGuid TargetProcessId TargetImage
        GrantedAccess CallTrace SourceUser TargetUser;
    11 FileCreate: RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime User;
    12 RegistryEventAddDelete: RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject User;
    13 RegistryEventSet: RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject Details User;
    14 RegistryEventRename: RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject NewName User;
    15 FileCreateStreamHash: RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime Hash Contents User;
    16 ServiceConfigurationChange: UtcTime Configuration ConfigurationFileHash;
    17 PipeEventCreated: RuleName EventType UtcTime ProcessGuid ProcessId PipeName Image User;
    18 PipeEventConnected: RuleName EventType UtcTime ProcessGuid ProcessId PipeName Image User;
    19 WmiEventFilter: RuleName EventType UtcTime Operation User EventNamespace Name Query;
    20 WmiEventConsumer: RuleName EventType UtcTime Operation User Name Type Destination;
    21 WmiEventBinding: RuleName EventType UtcTime Operation User Consumer Filter;
    22 DnsQuery: RuleName UtcTime ProcessGuid ProcessId QueryName QueryStatus QueryResults Image User;
    23 FileDelete: RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes IsExecutable Archived;
    24 ClipboardChange: RuleName UtcTime ProcessGuid ProcessId Image Session ClientInfo Hashes Archived User;
    25 ProcessTampering: RuleName UtcTime ProcessGuid ProcessId Image Type User;
    26 FileDeleteDetected: RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes IsExecutable;
    27 FileBlockExecutable: RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes;
    28 FileBlockShredding: RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes IsExecutable;
    29 FileExecutableDetected: RuleName UtcTime ProcessGuid ProcessId User Image TargetFilename Hashes;
    255 Error: UtcTime ID Description;
};

/// The event with this number.
pub fn event(id: i32) -> Option<&'static Event> {
    EVENTS.iter().find(|event| i32::from(event.id) == id)
}

/// The relation, without pseudo columns.
pub fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let envelope = [
            ("EVENT_ID", Type::Int),
            ("EVENT_TIME", Type::Timestamp),
            ("HOST", Type::Varchar),
            ("CHANNEL", Type::Varchar),
            ("PROVIDER", Type::Varchar),
            ("RECORD_ID", Type::BigInt),
            ("SHAPE", Type::Varchar),
            ("FIELDS", Type::map(Type::Varchar, Type::Varchar)),
            ("EVENT_KEY", Type::Varchar),
            ("UTC_TIMESTAMP", Type::Timestamp),
        ];
        let mut columns: Vec<Column> =
            envelope.into_iter().map(|(name, ty)| Column::new(name, ty)).collect();
        columns[HOST].ignore_case = true;
        columns.extend(FIELD.iter().map(|field| {
            let ty = match field.ty {
                FieldType::Text => Type::Varchar,
                FieldType::Int => Type::Int,
                FieldType::Flag => Type::Boolean,
                FieldType::Guid => Type::Guid,
            };
            Column::new(field.column, ty)
        }));
        Schema { columns }
    });
    &SCHEMA
}

/// Index into [`FIELD`] of a column, at compile time.
pub(super) const fn index_of(column: &str) -> usize {
    let mut i = 0;
    while i < FIELD_COUNT {
        if equal(FIELD[i].column.as_bytes(), column.as_bytes()) {
            return i;
        }
        i += 1;
    }
    panic!("no such column")
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snake(name: &str) -> String {
        let mut out = String::new();
        for (i, char) in name.char_indices() {
            let before = name[..i].chars().next_back();
            let starts = char.is_ascii_uppercase()
                && before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if starts {
                out.push('_');
            }
            out.push(char.to_ascii_uppercase());
        }
        out
    }

    #[test]
    fn columns_are_named_by_their_fields() {
        for field in &FIELD {
            for name in field.names {
                assert_eq!(snake(name), field.column);
            }
        }
        assert_eq!(schema().width(), WIDTH);
        let mut names: Vec<_> = schema().columns.iter().map(|column| &column.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), WIDTH, "columns are distinct");
        assert_eq!(schema().position("EVENT_KEY"), Some(EVENT_KEY));
        assert_eq!(schema().position("UTC_TIMESTAMP"), Some(UTC_TIMESTAMP));
    }

    #[test]
    fn events_have_known_fields_and_every_field_has_an_event() {
        let used: std::collections::BTreeSet<_> =
            EVENTS.iter().flat_map(|event| event.fields).collect();
        let known: std::collections::BTreeSet<_> =
            FIELD.iter().map(|field| &field.names[0]).collect();
        assert_eq!(used, known);
        assert!(EVENTS.is_sorted_by_key(|event| event.id));
    }
}
