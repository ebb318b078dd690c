//! An event of Sysmon, before any shipper has given it a shape.

use std::collections::BTreeMap;

pub const CHANNEL: &str = "Microsoft-Windows-Sysmon/Operational";
pub const PROVIDER: &str = "Microsoft-Windows-Sysmon";

/// An event as its log has it: fields by Sysmon's name, verbatim.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    pub id: u32,
    pub host: Option<String>,
    /// Log time, milliseconds since 1970.
    pub time: Option<i64>,
    pub record: Option<u64>,
    pub fields: BTreeMap<String, String>,
}

pub fn is_guid(name: &str) -> bool {
    name.to_lowercase().ends_with("guid")
}

pub fn is_int(name: &str) -> bool {
    name.ends_with("ProcessId")
        || name.ends_with("ThreadId")
        || name.ends_with("SessionId")
        || name.ends_with("Port")
}

pub fn is_flag(name: &str) -> bool {
    matches!(
        name,
        "Initiated" | "SourceIsIpv6" | "DestinationIsIpv6" | "Signed" | "IsExecutable" | "Archived"
    )
}

/// A GUID in any spelling.
pub fn parse_guid(text: &str) -> Option<u128> {
    let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let groups: Vec<&str> = bare.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    (lengths == [8, 4, 4, 4, 12]).then(|| u128::from_str_radix(&groups.concat(), 16).ok())?
}

pub fn print_guid(guid: u128) -> String {
    let digits = format!("{guid:032X}");
    format!(
        "{{{}-{}-{}-{}-{}}}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}

/// `2026-01-15T08:00:00.000Z`, or as Sysmon writes it with other separators.
pub fn print_time(ms: i64, between: char, end: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap();
    format!("{}{between}{}{end}", time.strftime("%Y-%m-%d"), time.strftime("%H:%M:%S%.3f"))
}

fn parse_utc(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = format!("{}Z", text.replace(' ', "T")).parse().ok()?;
    Some(time.as_millisecond())
}

impl Event {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub fn guid(&self, name: &str) -> Option<u128> {
        parse_guid(self.text(name)?)
    }

    pub fn int(&self, name: &str) -> Option<i32> {
        let text = self.text(name)?;
        match text.strip_prefix("0x") {
            Some(digits) => i32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)?.to_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// With a field more.
    pub fn with(mut self, name: &str, text: &str) -> Event {
        self.fields.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Milliseconds of UtcTime.
    pub fn utc(&self) -> Option<i64> {
        parse_utc(self.text("UtcTime")?)
    }

    /// When it happened.
    pub fn at(&self) -> Option<i64> {
        self.time.or_else(|| self.utc())
    }

    /// Its identity, as documented for those who store it.
    pub fn key(&self) -> String {
        let mut bytes = Vec::new();
        let mut push = |text: Option<&str>| match text {
            Some(text) => {
                bytes.extend((text.len() as u32).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            None => bytes.extend([0xFF; 4]),
        };
        let host = self.host.as_ref().map(|host| host.to_lowercase());
        let channel = CHANNEL.to_lowercase();
        push(Some(if self.record.is_some() { "1" } else { "2" }));
        push(host.as_deref());
        push(Some(&channel));
        if let Some(record) = self.record {
            push(Some(&record.to_string()));
            push(self.text("UtcTime"));
            push(Some(&self.id.to_string()));
        } else {
            push(Some(&self.id.to_string()));
            push(self.at().map(|time| time.to_string()).as_deref());
            let mut fields: Vec<(String, String)> =
                self.fields.iter().map(|(name, text)| self.canonical(name, text)).collect();
            fields.sort();
            for (name, text) in fields {
                push(Some(&name));
                push(Some(&text));
            }
        }
        blake3::hash(&bytes).to_hex().as_str()[..32].to_owned()
    }

    /// The column of a field, and its value as the column's type prints it; a value that does
    /// not fit keeps its name.
    pub fn canonical(&self, name: &str, text: &str) -> (String, String) {
        let typed = if is_guid(name) {
            self.guid(name).map(print_guid)
        } else if is_int(name) {
            self.int(name).map(|value| value.to_string())
        } else if is_flag(name) {
            self.flag(name).map(|value| value.to_string())
        } else {
            Some(text.to_owned())
        };
        match typed {
            Some(text) => (column(name), text),
            None => (name.to_owned(), text.to_owned()),
        }
    }
}

/// `SourceProcessGUID` is `SOURCE_PROCESS_GUID`.
pub fn column(name: &str) -> String {
    let mut column = String::new();
    let mut before = 'A';
    for c in name.chars() {
        if c.is_ascii_uppercase() && !before.is_ascii_uppercase() {
            column.push('_');
        }
        column.push(c.to_ascii_uppercase());
        before = c;
    }
    column
}
