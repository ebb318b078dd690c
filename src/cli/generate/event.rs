//! One Windows event as the scenario knows it, before it takes a shape.
//!
//! Fields are a list in the catalogue's order (Sysmon schema 4.90), values are text as Sysmon itself prints them. A shape
//! decides what becomes a JSON number, which name a field gets, and what is left out.

use std::borrow::Cow;

/// A field's value: mostly from the tables, so mostly borrowed.
pub type Text = Cow<'static, str>;

/// The log an event stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Sysmon's own.
    Sysmon,
    /// Windows Security: logons, process audit.
    Security,
    /// Windows System: services.
    System,
}

impl Channel {
    /// The channel's name in the event log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sysmon => "Microsoft-Windows-Sysmon/Operational",
            Self::Security => "Security",
            Self::System => "System",
        }
    }

    /// The name of the provider that writes to it.
    pub fn provider(self) -> &'static str {
        match self {
            Self::Sysmon => "Microsoft-Windows-Sysmon",
            Self::Security => "Microsoft-Windows-Security-Auditing",
            Self::System => "Service Control Manager",
        }
    }

    /// The provider's GUID, with braces.
    pub fn provider_guid(self) -> &'static str {
        match self {
            Self::Sysmon => "{5770385f-c22a-43e0-bf4c-06f5698ffbd9}",
            Self::Security => "{54849625-5478-4994-a5ba-3e3b0328c30d}",
            Self::System => "{555908d1-a6d7-4695-8e1e-26931d2012f4}",
        }
    }
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// The log it stands in.
    pub channel: Channel,
    /// The event id.
    pub id: u16,
    /// Index of the host in the world.
    pub host: usize,
    /// Record number, unique per host and channel.
    pub record: u64,
    /// When the event log took it, in ms since 1970 by the host's clock.
    pub logged: i64,
    /// True for a record that is delivered once more.
    pub copy: bool,
    /// Names and values in the catalogue's order.
    pub fields: Vec<(&'static str, Text)>,
}

impl Event {
    /// An event without fields; the scenario numbers it when it is logged.
    pub fn new(channel: Channel, id: u16, host: usize, logged: i64) -> Self {
        Self { channel, id, host, record: 0, logged, copy: false, fields: Vec::with_capacity(20) }
    }

    /// Adds a field.
    pub fn set(&mut self, name: &'static str, value: impl Into<Text>) -> &mut Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_ref())
    }

    /// True for Sysmon's event `id`.
    pub fn is(&self, id: u16) -> bool {
        self.channel == Channel::Sysmon && self.id == id
    }
}

/// What a field's value is in the event log, as far as shapes differ in printing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A GUID.
    Guid,
    /// An unsigned integer.
    Number,
    /// A boolean.
    Flag,
    /// Anything else.
    Text,
}

/// The kind of a Sysmon field, by name.
pub fn kind(field: &str) -> Kind {
    match field {
        "ProcessGuid" | "ParentProcessGuid" | "LogonGuid" | "SourceProcessGuid"
        | "TargetProcessGuid" | "SourceProcessGUID" | "TargetProcessGUID" => Kind::Guid,
        "ProcessId" | "ParentProcessId" | "SourceProcessId" | "TargetProcessId"
        | "SourceThreadId" | "NewThreadId" | "TerminalSessionId" | "SourcePort"
        | "DestinationPort" | "Session" => Kind::Number,
        "Initiated" | "SourceIsIpv6" | "DestinationIsIpv6" | "IsExecutable" => Kind::Flag,
        _ => Kind::Text,
    }
}

/// True for a field that names a process (a logon has a GUID too).
pub fn names_process(field: &str) -> bool {
    kind(field) == Kind::Guid && field != "LogonGuid"
}

/// The event's title, as its message begins and its task is called.
pub fn title(channel: Channel, id: u16) -> &'static str {
    match (channel, id) {
        (Channel::Sysmon, 1) => "Process Create",
        (Channel::Sysmon, 2) => "File creation time changed",
        (Channel::Sysmon, 3) => "Network connection detected",
        (Channel::Sysmon, 4) => "Sysmon service state changed",
        (Channel::Sysmon, 5) => "Process terminated",
        (Channel::Sysmon, 6) => "Driver loaded",
        (Channel::Sysmon, 7) => "Image loaded",
        (Channel::Sysmon, 8) => "CreateRemoteThread detected",
        (Channel::Sysmon, 9) => "RawAccessRead detected",
        (Channel::Sysmon, 10) => "Process accessed",
        (Channel::Sysmon, 11) => "File created",
        (Channel::Sysmon, 12) => "Registry object added or deleted",
        (Channel::Sysmon, 13) => "Registry value set",
        (Channel::Sysmon, 14) => "Registry object renamed",
        (Channel::Sysmon, 15) => "File stream created",
        (Channel::Sysmon, 16) => "Sysmon config state changed",
        (Channel::Sysmon, 17) => "Pipe Created",
        (Channel::Sysmon, 18) => "Pipe Connected",
        (Channel::Sysmon, 19) => "WmiEventFilter activity detected",
        (Channel::Sysmon, 20) => "WmiEventConsumer activity detected",
        (Channel::Sysmon, 21) => "WmiEventConsumerToFilter activity detected",
        (Channel::Sysmon, 22) => "Dns query",
        (Channel::Sysmon, 23) => "File Delete archived",
        (Channel::Sysmon, 24) => "Clipboard changed",
        (Channel::Sysmon, 25) => "Process Tampering",
        (Channel::Sysmon, 26) => "File Delete logged",
        (Channel::Sysmon, 29) => "File Executable Detected",
        (Channel::Sysmon, 255) => "Error report",
        (Channel::Security, 4624) => "An account was successfully logged on",
        (Channel::Security, 4634) => "An account was logged off",
        (Channel::Security, 4688) => "A new process has been created",
        (Channel::System, 7036) => "A service changed its state",
        _ => "Event",
    }
}

/// The rule of Sysmon's configuration that an event is filtered by; service events have none.
pub fn rule(id: u16) -> Option<&'static str> {
    Some(match id {
        1 => "ProcessCreate",
        2 => "FileCreateTime",
        3 => "NetworkConnect",
        5 => "ProcessTerminate",
        6 => "DriverLoad",
        7 => "ImageLoad",
        8 => "CreateRemoteThread",
        9 => "RawAccessRead",
        10 => "ProcessAccess",
        11 => "FileCreate",
        12..=14 => "RegistryEvent",
        15 => "FileCreateStreamHash",
        17 | 18 => "PipeEvent",
        19..=21 => "WmiEvent",
        22 => "DnsQuery",
        23 => "FileDelete",
        24 => "ClipboardChange",
        25 => "ProcessTampering",
        26 => "FileDeleteDetected",
        29 => "FileExecutableDetected",
        _ => return None,
    })
}
