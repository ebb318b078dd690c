//! The domain: its hosts, their users and the processes that live on them.
//!
//! State is what is alive now: a host holds its running processes and counters, nothing of the past, so a scenario of any
//! length needs the same memory. Three properties matter to whoever reads the events:
//!
//! * A `ProcessGUID` is built as Sysmon builds it: machine id, start in seconds since 1970, a token that counts up with the
//!   boot number on top. What started before the capture has no event 1.
//! * The last two workstations of a domain with six hosts or more are clones: same machine id, same boot second, so
//!   the processes of their boot share GUIDs and only the host tells them apart.
//! * Process ids are used again once their process has ended.

use std::rc::Rc;

use jiff::{Timestamp, civil::DateTime, tz::Offset};

use super::event::{Channel, Text};
use super::programs::{Account, BOOT, Program};
use super::random::{Rng, mix};
use super::tables::{DOCUMENTS, PEOPLE};

/// DNS name of the domain.
pub const DOMAIN: &str = "northlight.example";
/// `NetBIOS` name of the domain.
pub const NETBIOS: &str = "NORTHLIGHT";
/// The machine that collects the events and ships them; never the host of one.
pub const COLLECTOR: &str = "WEC01";

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Domain controller; host 0.
    Controller,
    /// Server; host 1 is the file server.
    Server,
    /// Workstation.
    Workstation,
}

/// A process.
#[derive(Debug)]
pub struct Process {
    /// The 16 bytes of its GUID.
    pub guid: [u8; 16],
    /// Process id.
    pub pid: u32,
    /// The program it runs.
    pub program: &'static Program,
    /// Full path of the image.
    pub image: Text,
    /// Command line.
    pub command_line: Text,
    /// When it started, in ms since 1970 by the host's clock.
    pub started: i64,
    /// False for what the background must leave alone: boot processes and the attacker's.
    pub transient: bool,
}

impl Process {
    /// The GUID as Sysmon prints it: lower case, with braces.
    pub fn guid_text(&self) -> String {
        guid_text(self.guid)
    }
}

/// A machine.
#[derive(Debug)]
pub struct Host {
    /// Its number.
    pub index: usize,
    /// Fully qualified name.
    pub name: String,
    /// Its address.
    pub ip: String,
    /// Its role.
    pub role: Role,
    /// Profile name of its user.
    pub profile: &'static str,
    /// How far its clock is off, in ms.
    pub skew: i64,
    /// Its running processes.
    pub processes: Vec<Rc<Process>>,
    /// Process id of the Sysmon service.
    pub sysmon_pid: u32,
    machine: u32,
    boot: u64,
    booted: i64,
    token: u64,
    records: [u64; 3],
}

impl Host {
    /// The name of an account on this host, as field `User` has it.
    pub fn account(&self, account: Account) -> Text {
        match account {
            Account::System => r"NT AUTHORITY\SYSTEM".into(),
            Account::NetworkService => r"NT AUTHORITY\NETWORK SERVICE".into(),
            Account::LocalService => r"NT AUTHORITY\LOCAL SERVICE".into(),
            Account::User => format!(r"{NETBIOS}\{}", self.profile).into(),
        }
    }

    /// Logon id of an account.
    pub fn logon(&self, account: Account) -> u64 {
        match account {
            Account::System => 0x3e7,
            Account::NetworkService => 0x3e4,
            Account::LocalService => 0x3e5,
            Account::User => 0x3_c21d + self.index as u64 * 0x91,
        }
    }

    /// GUID of an account's logon.
    pub fn logon_guid(&self, account: Account) -> String {
        guid_text(guid(self.machine, self.booted, self.logon(account).swap_bytes() >> 32 << 32))
    }

    /// The running process of that file name, or `-k` or `-s` part of a service's command line, that started last.
    pub fn running(&self, name: &str) -> Option<&Rc<Process>> {
        let service = name.starts_with('-');
        self.processes.iter().rev().find(|process| {
            process.program.name().eq_ignore_ascii_case(name)
                || (service && process.command_line.contains(name))
        })
    }

    /// A process of the boot, by the same names.
    pub fn resident(&self, name: &str) -> Rc<Process> {
        Rc::clone(self.running(name).expect("what every host boots never ends"))
    }

    /// The next record number of a channel.
    pub fn record(&mut self, channel: Channel) -> u64 {
        let record = &mut self.records[channel as usize];
        *record += 1;
        *record
    }

    /// The name without its domain.
    pub fn short(&self) -> &str {
        self.name.split('.').next().unwrap_or(&self.name)
    }

    /// Lets a process run from `started` on (ms, this host's clock).
    pub fn start(
        &mut self,
        program: &'static Program,
        started: i64,
        transient: bool,
        rng: &mut Rng,
    ) -> Rc<Process> {
        self.token += rng.range(1, 7);
        let pid = if program.name() == "System" { 4 } else { self.free_pid(rng) };
        let process = Rc::new(Process {
            guid: guid(self.machine, started, (self.boot << 48) | self.token),
            pid,
            program,
            image: fill(program.image, self, rng),
            command_line: fill(program.command_line, self, rng),
            started,
            transient,
        });
        self.processes.push(Rc::clone(&process));
        process
    }

    /// Ends a process.
    pub fn end(&mut self, process: &Rc<Process>) {
        self.processes.retain(|running| !Rc::ptr_eq(running, process));
    }

    fn free_pid(&self, rng: &mut Rng) -> u32 {
        loop {
            let pid = rng.range(100, 3000) as u32 * 4;
            if self.processes.iter().all(|process| process.pid != pid) {
                return pid;
            }
        }
    }

    fn boot(&mut self, rng: &mut Rng) {
        let (mut started, role) = (self.booted, self.role);
        for program in BOOT.iter().filter(|program| program.place.has(role)) {
            started += rng.range(20, 900) as i64;
            self.start(program, started, false, rng);
        }
        self.sysmon_pid = self.running("Sysmon64.exe").expect("Sysmon runs at boot").pid;
    }
}

/// The domain.
#[derive(Debug)]
pub struct World {
    /// All hosts: the controller, the servers, the workstations.
    pub hosts: Vec<Host>,
}

impl World {
    /// A domain of `count` hosts (at least 3) as it stands at `now` (ms since 1970). Each clock is off by up to `skew` ms.
    pub fn new(count: usize, now: i64, skew: u64, rng: &mut Rng) -> Self {
        let servers = (count / 6).max(1);
        let cloned = mix(rng.next());
        let mut hosts = Vec::with_capacity(count);
        for index in 0..count {
            let (role, label) = match index {
                0 => (Role::Controller, "DC01".to_owned()),
                _ if index <= servers => (
                    Role::Server,
                    if index == 1 { "FS01".into() } else { format!("SRV{index:02}") },
                ),
                _ => (Role::Workstation, format!("WS{:04}", index - servers)),
            };
            let clone = count >= 6 && index + 2 >= count;
            let mut own = Rng::new(if clone { cloned } else { rng.next() }, "host");
            let skew = own.below(2 * skew + 1) as i64 - skew as i64;
            let mut host = Host {
                index,
                name: format!("{label}.{DOMAIN}"),
                ip: format!("10.20.{}.{}", index / 250, index % 250 + 1),
                role,
                profile: PEOPLE[index % PEOPLE.len()],
                skew,
                processes: Vec::new(),
                sysmon_pid: 0,
                machine: own.next() as u32,
                boot: own.range(1, 12),
                booted: now + skew - own.range(3_600_000, 20 * 86_400_000) as i64,
                token: 0,
                records: [
                    own.range(1000, 900_000),
                    own.range(1000, 900_000),
                    own.range(1000, 90_000),
                ],
            };
            host.boot(&mut own);
            hosts.push(host);
        }
        Self { hosts }
    }

    /// Indexes of the workstations.
    pub fn workstations(&self) -> std::ops::Range<usize> {
        let first = self.hosts.iter().position(|host| host.role == Role::Workstation).unwrap_or(0);
        first..self.hosts.len()
    }
}

/// Fills the placeholders of a path or command line.
pub fn fill(template: &'static str, host: &Host, rng: &mut Rng) -> Text {
    if !template.contains('{') {
        return Text::Borrowed(template);
    }
    let mut text = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        rest = &rest[open..];
        let name = &rest[..rest.find('}').map_or(1, |close| close + 1)];
        let (length, value) = match name {
            "{user}" => (name.len(), host.profile.to_owned()),
            "{hex}" => (name.len(), format!("{:08X}", rng.next() as u32)),
            "{number}" => (name.len(), rng.range(100, 9999).to_string()),
            "{document}" => (name.len(), (*rng.pick(DOCUMENTS)).to_owned()),
            _ => (1, "{".to_owned()),
        };
        text.push_str(&value);
        rest = &rest[length..];
    }
    text.push_str(rest);
    text.into()
}

/// The 16 bytes of a GUID in the order in which its text shows them.
fn guid(machine: u32, started: i64, token: u64) -> [u8; 16] {
    let seconds = started.div_euclid(1000) as u32;
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&machine.to_be_bytes());
    bytes[4..6].copy_from_slice(&(seconds as u16).to_be_bytes());
    bytes[6..8].copy_from_slice(&((seconds >> 16) as u16).to_be_bytes());
    bytes[8..].copy_from_slice(&token.to_le_bytes());
    bytes
}

/// A GUID's text, lower case with braces.
fn guid_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(38);
    text.push('{');
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        push_hex(&mut text, *byte);
    }
    text.push('}');
    text
}

/// Appends a byte in lower-case hex.
pub fn push_hex(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Date and time of a number of ms since 1970, in UTC.
pub fn civil(ms: i64) -> DateTime {
    let stamp = Timestamp::from_millisecond(ms)
        .expect("a scenario lies in the years that a timestamp can hold");
    Offset::UTC.to_datetime(stamp)
}

/// `2026-01-15 08:00:00.123`, with `between` between date and time and `end` behind.
pub fn stamp(ms: i64, between: char, end: &str) -> String {
    let time = civil(ms);
    let mut text = String::with_capacity(32);
    let parts = [
        (i32::from(time.year()), 4, '-'),
        (i32::from(time.month()), 2, '-'),
        (i32::from(time.day()), 2, between),
        (i32::from(time.hour()), 2, ':'),
        (i32::from(time.minute()), 2, ':'),
        (i32::from(time.second()), 2, '.'),
    ];
    for (number, width, sign) in parts {
        push_digits(&mut text, number, width);
        text.push(sign);
    }
    push_digits(&mut text, time.subsec_nanosecond() / 1_000_000, 3);
    text.push_str(end);
    text
}

/// Appends a number with leading zeros.
fn push_digits(text: &mut String, number: i32, width: u32) {
    for place in (0..width).rev() {
        text.push(char::from(b'0' + (number / 10_i32.pow(place) % 10) as u8));
    }
}
