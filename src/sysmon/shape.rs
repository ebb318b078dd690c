//! The shapes in which shippers write an event.

/// How an event was written. Decided per record:
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Shape {
    /// Winlogbeat 6: `event_id`, `log_name`, `computer_name`, `event_data`.
    Winlogbeat6,
    /// Winlogbeat 7: all under `winlog`, `winlog.event_id` a number.
    Winlogbeat7,
    /// Winlogbeat 8 and 9: as 7, with `winlog.event_id` a string.
    Winlogbeat8,
    /// Winlogbeat with Elastic's Sysmon module: as 7 or 8, but `event_data` holds neither the process's GUID nor UtcTime, which moved to ECS fields.
    Ecs,
    /// NXLog, and Security-Datasets after it: everything at top level, `EventID`, `Channel` or `SourceName`.
    Flat,
    /// An EVTX file of ours to read, as `evtx_dump` prints it.
    Evtx,
    /// JSON as `evtx_dump` prints it: `Event.System` and `Event.EventData`.
    EvtxDump,
    /// Azure's tables: top-level `EventID`, and the fields in `EventData`, text of JSON or XML.
    Azure,
    /// Event XML.
    Xml,
    /// Event XML of Sysmon for Linux.
    Linux,
    /// Wazuh: `data.win.system` and `data.win.eventdata`.
    Wazuh,
    /// Graylog: names of Winlogbeat in one, as `winlogbeat_event_data_Image`.
    Graylog,
    /// Vector's source `windows_event_log`.
    Vector,
    /// Fluent Bit's input `winlog`: values without names, or the rendered message.
    FluentBit,
    /// Velociraptor: `System` and `EventData` at top level.
    Velociraptor,
    /// PowerShell's `Get-WinEvent`: values without names, or the rendered message.
    GetWinEvent,
    /// EvtxECmd: the fields in `Payload`, a text of JSON.
    EvtxEcmd,
    /// osquery's table `windows_events`.
    Osquery,
    /// Azure's table `Event`: `EventLog`, and the fields in `EventData`, a text of XML.
    AzureEvent,
    /// Splunk: `EventCode`, `LogName`, and the rendered message.
    Splunk,
    /// HELK's own index, in the names of the Open Source Security Events Metadata.
    Helk,
    /// Nothing but a rendered message.
    Rendered,
    /// Any other envelope: known by the names of parts and fields alone.
    Named,
}

impl Shape {
    /// Number of shapes.
    pub const COUNT: usize = Self::ALL.len();

    /// All shapes.
    pub const ALL: [Shape; 23] = [
        Shape::Winlogbeat6,
        Shape::Winlogbeat7,
        Shape::Winlogbeat8,
        Shape::Ecs,
        Shape::Flat,
        Shape::Evtx,
        Shape::EvtxDump,
        Shape::Azure,
        Shape::Xml,
        Shape::Linux,
        Shape::Wazuh,
        Shape::Graylog,
        Shape::Vector,
        Shape::FluentBit,
        Shape::Velociraptor,
        Shape::GetWinEvent,
        Shape::EvtxEcmd,
        Shape::Osquery,
        Shape::AzureEvent,
        Shape::Splunk,
        Shape::Helk,
        Shape::Rendered,
        Shape::Named,
    ];

    /// The name in column `SHAPE`.
    pub const fn name(self) -> &'static str {
        match self {
            Shape::Winlogbeat6 => "winlogbeat6",
            Shape::Winlogbeat7 => "winlogbeat7",
            Shape::Winlogbeat8 => "winlogbeat8",
            Shape::Ecs => "ecs",
            Shape::Flat => "flat",
            Shape::Evtx => "evtx",
            Shape::EvtxDump => "evtx_dump",
            Shape::Azure => "azure",
            Shape::Xml => "xml",
            Shape::Linux => "linux",
            Shape::Wazuh => "wazuh",
            Shape::Graylog => "graylog",
            Shape::Vector => "vector",
            Shape::FluentBit => "fluent_bit",
            Shape::Velociraptor => "velociraptor",
            Shape::GetWinEvent => "get_winevent",
            Shape::EvtxEcmd => "evtxecmd",
            Shape::Osquery => "osquery",
            Shape::AzureEvent => "azure_event",
            Shape::Splunk => "splunk",
            Shape::Helk => "helk",
            Shape::Rendered => "rendered",
            Shape::Named => "named",
        }
    }
}

impl Shape {
    /// The tool that writes it, in words.
    pub const fn tool(self) -> &'static str {
        match self {
            Shape::Winlogbeat6 => "Winlogbeat 6",
            Shape::Winlogbeat7 => "Winlogbeat 7",
            Shape::Winlogbeat8 => "Winlogbeat 8 or 9",
            Shape::Ecs => "Winlogbeat with Elastic's Sysmon module",
            Shape::Flat => "NXLog or Security-Datasets",
            Shape::Evtx => "Windows event log file",
            Shape::EvtxDump => "evtx_dump, as JSON",
            Shape::Azure => "Azure, tables with EventData",
            Shape::Xml => "Windows event XML",
            Shape::Linux => "Sysmon for Linux, event XML",
            Shape::Wazuh => "Wazuh",
            Shape::Graylog => "Graylog",
            Shape::Vector => "Vector",
            Shape::FluentBit => "Fluent Bit",
            Shape::Velociraptor => "Velociraptor",
            Shape::GetWinEvent => "PowerShell's Get-WinEvent",
            Shape::EvtxEcmd => "EvtxECmd",
            Shape::Osquery => "osquery",
            Shape::AzureEvent => "Azure, table Event",
            Shape::Splunk => "Splunk",
            Shape::Helk => "HELK's own index",
            Shape::Rendered => "rendered messages",
            Shape::Named => "another tool, read by the names of its keys",
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
