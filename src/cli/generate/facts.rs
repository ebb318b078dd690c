//! Builds events: one function per kind, from a host, a process and what it does.
//!
//! `at` is always the host's own clock in ms, the time at which the event log takes the event. Sysmon's `UtcTime` lies a few
//! ms before it, except for connections and DNS queries, which Sysmon writes seconds later and whose `UtcTime` is sometimes
//! nonsense: now and then it lies before the process even started.

use std::fmt::Write as _;
use std::rc::Rc;

use super::event::{Channel, Event, Text};
use super::programs::Account;
use super::random::{Rng, mix};
use super::tables::{Module, RULES, TRACES};
use super::world::{Host, Process, push_hex, stamp};

/// An end of a connection.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Address.
    pub ip: String,
    /// Port.
    pub port: u16,
    /// Host name, `-` if unknown.
    pub name: Text,
}

/// A connection as one of its hosts sees it; source and destination are the same seen from both.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The end that opened it.
    pub source: Endpoint,
    /// The other end.
    pub destination: Endpoint,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// True on the host that opened it.
    pub initiated: bool,
}

/// Event 1. The child starts when `child.started` says, the log takes it up to 10 ms later.
pub fn create(host: &Host, child: &Process, parent: &Process, at: i64, rng: &mut Rng) -> Event {
    let account = child.program.account;
    let mut event = Event::new(Channel::Sysmon, 1, host.index, at);
    let [description, product, company] = child.program.about;
    event
        .set("RuleName", rule(rng))
        .set("UtcTime", stamp(child.started, ' ', ""))
        .set("ProcessGuid", child.guid_text())
        .set("ProcessId", child.pid.to_string())
        .set("Image", child.image.clone())
        .set("FileVersion", "10.0.22621.4391 (WinBuild.160101.0800)")
        .set("Description", description)
        .set("Product", product)
        .set("Company", company)
        .set("OriginalFileName", child.program.name())
        .set("CommandLine", child.command_line.clone())
        .set("CurrentDirectory", directory(host, account))
        .set("User", host.account(account))
        .set("LogonGuid", host.logon_guid(account))
        .set("LogonId", format!("0x{:x}", host.logon(account)))
        .set("TerminalSessionId", if account == Account::User { "1" } else { "0" })
        .set("IntegrityLevel", if account == Account::User { "Medium" } else { "System" })
        .set("Hashes", hashes(&child.image))
        .set("ParentProcessGuid", parent.guid_text())
        .set("ParentProcessId", parent.pid.to_string())
        .set("ParentImage", parent.image.clone())
        .set("ParentCommandLine", parent.command_line.clone())
        .set("ParentUser", host.account(parent.program.account));
    event
}

/// The GUID of no process.
pub const ZERO_GUID: &str = "{00000000-0000-0000-0000-000000000000}";

/// Event 3.
pub fn connect(host: &Host, process: &Process, flow: &Flow, at: i64, rng: &mut Rng) -> Event {
    let utc = match rng.below(40) {
        // what Sysmon makes of a connection whose time it does not know
        0 => process.started - rng.range(1_000, 86_400_000) as i64,
        _ => at - rng.range(900, 3_100) as i64,
    };
    let mut event = Event::new(Channel::Sysmon, 3, host.index, at);
    let ipv6 = |end: &Endpoint| if end.ip.contains(':') { "true" } else { "false" };
    event
        .set("RuleName", rule(rng))
        .set("UtcTime", stamp(utc, ' ', ""))
        .set("ProcessGuid", process.guid_text())
        .set("ProcessId", process.pid.to_string())
        .set("Image", process.image.clone())
        .set("User", host.account(process.program.account))
        .set("Protocol", flow.protocol)
        .set("Initiated", if flow.initiated { "true" } else { "false" })
        .set("SourceIsIpv6", ipv6(&flow.source))
        .set("SourceIp", flow.source.ip.clone())
        .set("SourceHostname", flow.source.name.clone())
        .set("SourcePort", flow.source.port.to_string())
        .set("SourcePortName", port_name(flow.source.port))
        .set("DestinationIsIpv6", ipv6(&flow.destination))
        .set("DestinationIp", flow.destination.ip.clone())
        .set("DestinationHostname", flow.destination.name.clone())
        .set("DestinationPort", flow.destination.port.to_string())
        .set("DestinationPortName", port_name(flow.destination.port));
    event
}

/// Event 5.
pub fn terminate(host: &Host, process: &Process, at: i64, rng: &mut Rng) -> Event {
    let mut event = subject(5, host, process, at, rng);
    event.set("User", host.account(process.program.account));
    event
}

/// Event 7.
pub fn load(host: &Host, process: &Process, module: &Module, at: i64, rng: &mut Rng) -> Event {
    let [path, description, company, signature] = *module;
    let signed = signature != "-";
    let mut event = subject(7, host, process, at, rng);
    event
        .set("ImageLoaded", path)
        .set("FileVersion", if signed { "10.0.22621.4391 (WinBuild.160101.0800)" } else { "-" })
        .set("Description", description)
        .set("Product", if signed { "Microsoft® Windows® Operating System" } else { "-" })
        .set("Company", company)
        .set("OriginalFileName", path.rsplit('\\').next().unwrap_or(path))
        .set("Hashes", hashes(path))
        .set("Signed", if signed { "true" } else { "false" })
        .set("Signature", signature)
        .set("SignatureStatus", if signed { "Valid" } else { "Unavailable" })
        .set("User", host.account(process.program.account));
    event
}

/// Event 8.
pub fn inject(host: &Host, source: &Process, target: &Process, at: i64, rng: &mut Rng) -> Event {
    let mut event = Event::new(Channel::Sysmon, 8, host.index, at);
    event
        .set("RuleName", rule(rng))
        .set("UtcTime", soon_before(at, rng))
        .set("SourceProcessGuid", source.guid_text())
        .set("SourceProcessId", source.pid.to_string())
        .set("SourceImage", source.image.clone())
        .set("TargetProcessGuid", target.guid_text())
        .set("TargetProcessId", target.pid.to_string())
        .set("TargetImage", target.image.clone())
        .set("NewThreadId", (rng.range(100, 3000) * 4).to_string())
        .set("StartAddress", format!("0x{:016X}", 0x7FFA_0000_0000 + rng.below(1 << 32)))
        .set("StartModule", "-")
        .set("StartFunction", "-")
        .set("SourceUser", host.account(source.program.account))
        .set("TargetUser", host.account(target.program.account));
    event
}

/// Event 10.
pub fn access(
    host: &Host,
    source: &Process,
    target: &Process,
    rights: &'static str,
    at: i64,
    rng: &mut Rng,
) -> Event {
    let mut event = Event::new(Channel::Sysmon, 10, host.index, at);
    event
        .set("RuleName", rule(rng))
        .set("UtcTime", soon_before(at, rng))
        .set("SourceProcessGUID", source.guid_text())
        .set("SourceProcessId", source.pid.to_string())
        .set("SourceThreadId", (rng.range(100, 3000) * 4).to_string())
        .set("SourceImage", source.image.clone())
        .set("TargetProcessGUID", target.guid_text())
        .set("TargetProcessId", target.pid.to_string())
        .set("TargetImage", target.image.clone())
        .set("GrantedAccess", rights)
        .set("CallTrace", *rng.pick(TRACES))
        .set("SourceUser", host.account(source.program.account))
        .set("TargetUser", host.account(target.program.account));
    event
}

/// Events 2, 11, 15: something happens to a file.
pub fn file(id: u16, host: &Host, process: &Process, path: Text, at: i64, rng: &mut Rng) -> Event {
    let mut event = subject(id, host, process, at, rng);
    let hash = hashes(&path);
    event
        .set("TargetFilename", path)
        .set("CreationUtcTime", stamp(at - rng.below(9000) as i64, ' ', ""));
    match id {
        2 => _ = event.set("PreviousCreationUtcTime", stamp(at - 1, ' ', "")),
        15 => _ = event.set("Hash", hash).set("Contents", "[ZoneTransfer]  ZoneId=3"),
        _ => {}
    }
    event.set("User", host.account(process.program.account));
    event
}

/// Events 23, 26, 29: a file with its hashes.
pub fn hashed_file(
    id: u16,
    host: &Host,
    process: &Process,
    path: Text,
    at: i64,
    rng: &mut Rng,
) -> Event {
    let executable = if path.ends_with(".exe") { "true" } else { "false" };
    let hash = hashes(&path);
    let mut event = Event::new(Channel::Sysmon, id, host.index, at);
    event
        .set("RuleName", rule(rng))
        .set("UtcTime", soon_before(at, rng))
        .set("ProcessGuid", process.guid_text())
        .set("ProcessId", process.pid.to_string())
        .set("User", host.account(process.program.account))
        .set("Image", process.image.clone())
        .set("TargetFilename", path)
        .set("Hashes", hash);
    match id {
        23 => _ = event.set("IsExecutable", executable).set("Archived", "true"),
        26 => _ = event.set("IsExecutable", executable),
        _ => {}
    }
    event
}

/// Events 12, 13, 14; `value` is what 13 sets and 14 renames to.
pub fn registry(
    id: u16,
    host: &Host,
    process: &Process,
    key: &'static str,
    value: &'static str,
    at: i64,
    rng: &mut Rng,
) -> Event {
    let action = match id {
        12 => *rng.pick(&["CreateKey", "DeleteKey", "DeleteValue"]),
        13 => "SetValue",
        _ => "RenameKey",
    };
    let mut event = typed(id, action, host, process, at, rng);
    event.set("TargetObject", key);
    match id {
        13 => _ = event.set("Details", value),
        14 => _ = event.set("NewName", value),
        _ => {}
    }
    event.set("User", host.account(process.program.account));
    event
}

/// Events 17 and 18.
pub fn pipe(
    id: u16,
    host: &Host,
    process: &Process,
    name: &'static str,
    at: i64,
    rng: &mut Rng,
) -> Event {
    let action = if id == 17 { "CreatePipe" } else { "ConnectPipe" };
    let mut event = Event::new(Channel::Sysmon, id, host.index, at);
    event
        .set("RuleName", rule(rng))
        .set("EventType", action)
        .set("UtcTime", soon_before(at, rng))
        .set("ProcessGuid", process.guid_text())
        .set("ProcessId", process.pid.to_string())
        .set("PipeName", name)
        .set("Image", process.image.clone())
        .set("User", host.account(process.program.account));
    event
}

/// Event 22; no answer means that the name does not exist.
pub fn query(
    host: &Host,
    process: &Process,
    name: Text,
    answer: Option<&str>,
    at: i64,
    rng: &mut Rng,
) -> Event {
    let mut event = Event::new(Channel::Sysmon, 22, host.index, at);
    event
        .set("RuleName", rule(rng))
        .set("UtcTime", stamp(at - rng.range(300, 2500) as i64, ' ', ""))
        .set("ProcessGuid", process.guid_text())
        .set("ProcessId", process.pid.to_string())
        .set("QueryName", name)
        .set("QueryStatus", if answer.is_some() { "0" } else { "9003" })
        .set(
            "QueryResults",
            answer.map_or(Text::Borrowed("-"), |ip| format!("::ffff:{ip};").into()),
        )
        .set("Image", process.image.clone())
        .set("User", host.account(process.program.account));
    event
}

/// Events 9, 24, 25: the subject and a few constant fields.
pub fn plain(
    id: u16,
    host: &Host,
    process: &Process,
    fields: &[(&'static str, &'static str)],
    at: i64,
    rng: &mut Rng,
) -> Event {
    let mut event = subject(id, host, process, at, rng);
    for (name, value) in fields {
        event.set(name, *value);
    }
    event.set("User", host.account(process.program.account));
    event
}

/// Events 4, 6, 16, 19, 20, 21, 255: about the machine, so they name no process.
pub fn machine(
    id: u16,
    host: &Host,
    fields: &[(&'static str, &'static str)],
    at: i64,
    rng: &mut Rng,
) -> Event {
    let mut event = Event::new(Channel::Sysmon, id, host.index, at);
    if !matches!(id, 4 | 16 | 255) {
        event.set("RuleName", rule(rng));
    }
    if matches!(id, 19..=21) {
        event.set(
            "EventType",
            ["WmiFilterEvent", "WmiConsumerEvent", "WmiBindingEvent"][usize::from(id) - 19],
        );
    }
    event.set("UtcTime", soon_before(at, rng));
    for (name, value) in fields {
        event.set(name, *value);
    }
    event
}

/// A record of another channel.
pub fn foreign(
    host: &Host,
    process: &Rc<Process>,
    service: &'static str,
    at: i64,
    rng: &mut Rng,
) -> Event {
    let account = process.program.account;
    let name = host.account(account);
    let (domain, user) = name.split_once('\\').unwrap_or(("-", &name));
    match rng.below(10) {
        0..4 => {
            let mut event = Event::new(Channel::Security, 4688, host.index, at);
            event
                .set("SubjectUserSid", "S-1-5-18")
                .set("SubjectUserName", format!("{}$", host.short()))
                .set("SubjectDomainName", domain.to_owned())
                .set("SubjectLogonId", "0x3e7")
                .set("NewProcessId", format!("0x{:x}", process.pid))
                .set("NewProcessName", process.image.clone())
                .set("TokenElevationType", "%%1936")
                .set("ProcessId", "0x2bc")
                .set("CommandLine", process.command_line.clone())
                .set("ParentProcessName", r"C:\Windows\System32\services.exe")
                .set("MandatoryLabel", "S-1-16-16384");
            event
        }
        4..8 => {
            let id = *rng.pick(&[4624, 4624, 4634]);
            let mut event = Event::new(Channel::Security, id, host.index, at);
            event
                .set("TargetUserSid", "S-1-5-18")
                .set("TargetUserName", user.to_owned())
                .set("TargetDomainName", domain.to_owned())
                .set("TargetLogonId", format!("0x{:x}", host.logon(account)))
                .set("LogonType", *rng.pick(&["2", "3", "5"]));
            if id == 4624 {
                event
                    .set("AuthenticationPackageName", "Kerberos")
                    .set("LogonGuid", ZERO_GUID)
                    .set("ProcessId", "0x0")
                    .set("ProcessName", "-")
                    .set("IpAddress", "-")
                    .set("IpPort", "-");
            }
            event
        }
        _ => {
            let mut event = Event::new(Channel::System, 7036, host.index, at);
            event.set("param1", service).set("param2", *rng.pick(&["running", "stopped"]));
            event
        }
    }
}

/// The fields that most events begin with.
fn subject(id: u16, host: &Host, process: &Process, at: i64, rng: &mut Rng) -> Event {
    let mut event = Event::new(Channel::Sysmon, id, host.index, at);
    event
        .set("RuleName", rule(rng))
        .set("UtcTime", soon_before(at, rng))
        .set("ProcessGuid", process.guid_text())
        .set("ProcessId", process.pid.to_string())
        .set("Image", process.image.clone());
    event
}

/// The same with Sysmon's `EventType`.
fn typed(
    id: u16,
    action: &'static str,
    host: &Host,
    process: &Process,
    at: i64,
    rng: &mut Rng,
) -> Event {
    let mut event = subject(id, host, process, at, rng);
    event.fields.insert(1, ("EventType", action.into()));
    event
}

fn soon_before(at: i64, rng: &mut Rng) -> String {
    stamp(at - rng.range(1, 12) as i64, ' ', "")
}

fn rule(rng: &mut Rng) -> &'static str {
    if rng.below(12) == 0 { rng.pick::<&str>(RULES) } else { "-" }
}

fn directory(host: &Host, account: Account) -> Text {
    match account {
        Account::User => format!(r"C:\Users\{}\", host.profile).into(),
        _ => r"C:\Windows\system32\".into(),
    }
}

fn port_name(port: u16) -> &'static str {
    match port {
        53 => "domain",
        80 => "http",
        88 => "kerberos",
        135 => "epmap",
        389 => "ldap",
        443 => "https",
        445 => "microsoft-ds",
        _ => "-",
    }
}

/// Hashes of a file: made of its path, so that the same file always has the same.
fn hashes(path: &str) -> String {
    let mut state = path.bytes().fold(0x1F3D_5B79, |state: u64, byte| {
        state.wrapping_mul(0x0100_0000_01B3) ^ u64::from(byte)
    });
    let mut text = String::with_capacity(180);
    for (name, bytes) in [("SHA1", 20), ("MD5", 16), ("SHA256", 32), ("IMPHASH", 16)] {
        if !text.is_empty() {
            text.push(',');
        }
        let _ = write!(text, "{name}=");
        let from = text.len();
        for word in 0..bytes / 4 {
            state = mix(state.wrapping_add(word + bytes));
            for byte in (state as u32).to_be_bytes() {
                push_hex(&mut text, byte);
            }
        }
        text[from..].make_ascii_uppercase();
    }
    text
}
