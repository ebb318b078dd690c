//! Other tools' names of what an event has, as data.
//!
//! Names are compared in their *plain* form, letters and digits in lower case ([`plain`]), so that
//! `ProcessGuid`, `processGuid`, `process_guid` and `PROCESSGUID` are one name. Only names that
//! differ by more than that are listed here.

/// A part of an event beside its fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head {
    /// The event's number.
    EventId,
    /// The channel's name.
    Channel,
    /// The provider's name.
    Provider,
    /// The provider's GUID.
    ProviderGuid,
    /// The machine on which the event happened.
    Host,
    /// The event's number in its log.
    Record,
    /// When the event was logged.
    Time,
    /// The rendered message.
    Message,
}

/// Number of parts.
pub const HEADS: usize = Head::Message as usize + 1;

/// The plain names of the parts, the best first. With a dot the name counts only directly within
/// an object or element of the name before it.
pub const HEAD_NAMES: &[(Head, &[&str])] = &[
    (Head::EventId, &["eventid", "eventcode", "eventidentifier", "event.code", "id"]),
    (Head::Channel, &["channel", "logname", "eventlog", "log", "source", "logfile", "path"]),
    (
        Head::Provider,
        &["providername", "provider.name", "providerattributes.name", "sourcename", "provider"],
    ),
    (Head::Provider, &["event.provider", "source", "eventsource"]),
    (Head::ProviderGuid, &["providerguid", "provider.guid", "providerattributes.guid"]),
    (Head::ProviderGuid, &["providerid"]),
    (Head::Host, &["computer", "computername", "machinename", "hostname", "hostidentifier"]),
    (Head::Host, &["host", "dvc"]),
    (Head::Record, &["eventrecordid", "recordid", "recordnumber", "recordno"]),
    (
        Head::Time,
        &["systemtime", "timecreated", "datetime", "timegenerated", "dateandtime", "eventtime"],
    ),
    (Head::Time, &["eventrecordedtime"]),
    (Head::Time, &["@timestamp", "timestamp", "date", "time"]),
    (Head::Message, &["message", "rendereddescription", "renderedmessage", "description", "msg"]),
];

/// Objects that speak of who collected an event: what they call a host or a time is theirs.
pub const COLLECTORS: &[&str] = &[
    "agent",
    "beat",
    "cloud",
    "collector",
    "decorations",
    "forwarder",
    "host",
    "log",
    "manager",
    "observer",
    "predecoder",
];

/// Names of objects that some tools put before other names with an underscore:
/// `winlogbeat_event_data_Image`.
pub const PREFIXES: &[&str] = &["winlogbeat", "winlog", "event_data", "eventdata"];

/// Plain names of fields, each with the name that Sysmon uses. They are those of HELK's index,
/// which follow the Open Source Security Events Metadata.
pub const FIELD_ALIASES: &[(&str, &str)] = &[
    ("processpath", "Image"),
    ("processcommandline", "CommandLine"),
    ("processcurrentdirectory", "CurrentDirectory"),
    ("processintegritylevel", "IntegrityLevel"),
    ("processparentguid", "ParentProcessGuid"),
    ("processparentid", "ParentProcessId"),
    ("processparentpath", "ParentImage"),
    ("processparentcommandline", "ParentCommandLine"),
    ("processgrantedaccess", "GrantedAccess"),
    ("processcalltrace", "CallTrace"),
    ("useraccount", "User"),
    ("userlogonguid", "LogonGuid"),
    ("userlogonid", "LogonId"),
    ("usersessionid", "TerminalSessionId"),
    ("filedescription", "Description"),
    ("fileproduct", "Product"),
    ("filecompany", "Company"),
    ("filenameoriginal", "OriginalFileName"),
    ("filename", "TargetFilename"),
    ("filedatecreation", "CreationUtcTime"),
    ("filecreationtime", "CreationUtcTime"),
    ("filepreviousdatecreation", "PreviousCreationUtcTime"),
    ("filepreviouscreationtime", "PreviousCreationUtcTime"),
    ("networkprotocol", "Protocol"),
    ("networkconnectioninitiated", "Initiated"),
    ("networkinitiated", "Initiated"),
    ("srcisipv6", "SourceIsIpv6"),
    ("srcipaddr", "SourceIp"),
    ("srchostname", "SourceHostname"),
    ("srcport", "SourcePort"),
    ("srcportname", "SourcePortName"),
    ("dstisipv6", "DestinationIsIpv6"),
    ("dstipaddr", "DestinationIp"),
    ("dsthostname", "DestinationHostname"),
    ("dstport", "DestinationPort"),
    ("dstportname", "DestinationPortName"),
    ("driverloaded", "ImageLoaded"),
    ("moduleloaded", "ImageLoaded"),
    ("modulesigned", "Signed"),
    ("modulesignature", "Signature"),
    ("modulesignaturestatus", "SignatureStatus"),
    ("targetprocesspath", "TargetImage"),
    ("threadid", "SourceThreadId"),
    ("threadnewid", "NewThreadId"),
    ("threadstartaddress", "StartAddress"),
    ("threadstartmodule", "StartModule"),
    ("threadstartfunction", "StartFunction"),
    ("devicename", "Device"),
    ("registrykeypath", "TargetObject"),
    ("registrykeyvalue", "Details"),
    ("registrykeynewname", "NewName"),
    ("eventoriginaltime", "UtcTime"),
    ("servicestate", "State"),
    ("sysmonversion", "Version"),
    ("sysmonschemaversion", "SchemaVersion"),
    ("sysmonconfiguration", "Configuration"),
    ("wmioperation", "Operation"),
    ("wminamespace", "EventNamespace"),
    ("wmifiltername", "Name"),
    ("wmifilterpath", "Filter"),
    ("wmiquery", "Query"),
    ("wmiconsumername", "Name"),
    ("wmiconsumertype", "Type"),
    ("wmiconsumerdestination", "Destination"),
    ("wmiconsumerpath", "Consumer"),
    ("dnsqueryname", "QueryName"),
    ("dnsquerystatus", "QueryStatus"),
    ("dnsqueryresults", "QueryResults"),
];

/// Plain beginnings of names that have one hash each, as `hash_sha256`, and the field that has all
/// of them.
pub const HASH_ALIASES: &[(&str, &str)] =
    &[("sysmonconfighash", "ConfigurationFileHash"), ("hash", "Hashes")];

/// The algorithms of hashes.
pub const ALGORITHMS: &[&str] = &["SHA1", "MD5", "SHA256", "IMPHASH"];

/// Plain names of fields by which the head of an event may call something else: that of the service
/// that wrote it, its severity, and the like. Such a name alone does not make an event.
pub const AMBIGUOUS: &[&str] = &[
    "consumer",
    "description",
    "destination",
    "details",
    "device",
    "eventtype",
    "filename",
    "filter",
    "hash",
    "id",
    "name",
    "operation",
    "processid",
    "product",
    "protocol",
    "query",
    "session",
    "signature",
    "state",
    "threadid",
    "type",
    "user",
    "version",
];

/// English titles of rendered messages, by which an event is known where its number is lost.
pub const TITLES: &[(&str, u8)] = &[
    ("Process Create", 1),
    ("File creation time changed", 2),
    ("Network connection detected", 3),
    ("Sysmon service state changed", 4),
    ("Process terminated", 5),
    ("Driver loaded", 6),
    ("Image loaded", 7),
    ("CreateRemoteThread detected", 8),
    ("RawAccessRead detected", 9),
    ("Process accessed", 10),
    ("File created", 11),
    ("Registry object added or deleted", 12),
    ("Registry value set", 13),
    ("Registry object renamed", 14),
    ("File stream created", 15),
    ("Sysmon config state changed", 16),
    ("Pipe Created", 17),
    ("Pipe Connected", 18),
    ("WmiEventFilter activity detected", 19),
    ("WmiEventConsumer activity detected", 20),
    ("WmiEventConsumerToFilter activity detected", 21),
    ("Dns query", 22),
    ("File Delete archived", 23),
    ("Clipboard changed", 24),
    ("Process Tampering", 25),
    ("File Delete logged", 26),
    ("File Block Executable", 27),
    ("File Block Shredding", 28),
    ("File Executable Detected", 29),
];

/// The provider's GUID, plain. Names of channels and providers may be translated, this is not.
pub const PROVIDER_GUID: &str = "5770385fc22a43e0bf4c06f5698ffbd9";

/// A name's letters, digits and `@`, in lower case. What stands in brackets behind a name, as in
/// the header `TimeGenerated [UTC]`, is left out.
pub fn plain(name: &str) -> String {
    let name = name.find(" [").map_or(name, |at| &name[..at]);
    let kept = |char: &char| char.is_alphanumeric() || *char == '@';
    name.chars().filter(kept).flat_map(char::to_lowercase).collect()
}
