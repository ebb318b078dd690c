//! Puts Sysmon's names back on fields that Elastic's Sysmon module has renamed to ECS.
//!
//! The module of Winlogbeat 7 (a script) and of 8 (an ingest pipeline) moves most fields out of `event_data`, so far that it may be empty or gone. What is
//! still in `event_data` under its own name wins; ECS fields fill what is absent:
//!
//! | ECS | Sysmon |
//! |---|---|
//! | `process.entity_id`, `.pid`, `.executable` | `ProcessGuid`, `ProcessId`, `Image`; in events 8 and 10 `SourceProcessGuid` …; `executable` in event 20 `Destination` |
//! | `process.thread.id` | `SourceThreadId` |
//! | `process.command_line`, else `.args` joined | `CommandLine` |
//! | `process.working_directory` | `CurrentDirectory` |
//! | `process.parent.*` | `ParentProcessGuid` … |
//! | `process.hash.*`, `file.hash.*`, `hash.*`, `*.pe.imphash` | `Hashes`, in event 15 `Hash`: `SHA1=…,MD5=…,SHA256=…,IMPHASH=…`, upper-case as Sysmon writes |
//! | `process.pe.*`, `file.pe.*` | `FileVersion`, `Description`, `Product`, `Company`, `OriginalFileName` |
//! | `file.code_signature.*` | `Signed`, `Signature`, `SignatureStatus` |
//! | `file.path` | `ImageLoaded` (6, 7), `Device` (9), else `TargetFilename` |
//! | `file.name` | `PipeName` (17, 18) |
//! | `user.domain`, `user.name` | `User` |
//! | `source.*`, `destination.*` | `SourceIp`, `SourcePort`, `SourceHostname` … |
//! | `network.transport`, `.protocol` | `Protocol`, `DestinationPortName` |
//! | `network.direction` | `Initiated` |
//! | `network.type` | `SourceIsIpv6`, `DestinationIsIpv6` |
//! | `dns.question.name`, `registry.path`, `rule.name`, `error.code` | `QueryName`, `TargetObject`, `RuleName`, `ID` |
//! | `sysmon.file.is_executable`, `.archived` | `IsExecutable`, `Archived` |
//! | `sysmon.dns.status` | `QueryStatus`; `SUCCESS` is 0, errors keep the name that the module gave them |
//! | `@timestamp` | `UtcTime`, printed as Sysmon prints it |
//!
//! The original quoting of a command line that was split into `args` is lost: it is joined again by Windows' rules for quoting.

use super::catalogue::{FIELD_COUNT, index_of};
use super::slots::{Part, Slot, Slots, Source};
use crate::format::command_line;
use crate::format::scan::{Kind, Scanner, Token};
use crate::format::time;

const PROCESS_GUID: usize = index_of("PROCESS_GUID");
const SOURCE_PROCESS_GUID: usize = index_of("SOURCE_PROCESS_GUID");
const UTC_TIME: usize = index_of("UTC_TIME");

/// ECS fields of one record.
pub(super) struct Ecs {
    fields: [Slot; FIELD_COUNT],
    /// `event.created`
    pub created: Slot,
    domain: Slot,
    user: Slot,
    args: Slot,
    parent_args: Slot,
    direction: Slot,
    network_type: Slot,
    hashes: [Slot; 4],
}

const HASHES: [&str; 4] = ["SHA1", "MD5", "SHA256", "IMPHASH"];

/// The objects at top level that hold ECS fields.
const OBJECTS: [(Part, &str); 13] = [
    (Part::EcsEvent, "event"),
    (Part::EcsProcess, "process"),
    (Part::EcsSource, "source"),
    (Part::EcsDestination, "destination"),
    (Part::EcsNetwork, "network"),
    (Part::EcsUser, "user"),
    // the hash of the process, where there is one, comes from `process`
    (Part::EcsFile, "file"),
    (Part::EcsHash, "hash"),
    (Part::EcsRule, "rule"),
    (Part::EcsDns, "dns"),
    (Part::EcsRegistry, "registry"),
    (Part::EcsError, "error"),
    (Part::EcsSysmon, "sysmon"),
];

impl Ecs {
    /// The ECS fields of a Winlogbeat record; `None` when its fields were not renamed.
    ///
    /// They were when `event_data` has no GUID of a process but `process.entity_id` does, or when it has neither GUID nor UtcTime, which all events have.
    pub fn detect(slots: &Slots, record: &str, event_id: i32) -> Option<Ecs> {
        let raw = |field: usize| slots.data.0[field].present();
        if raw(PROCESS_GUID) || raw(SOURCE_PROCESS_GUID) {
            return None;
        }
        let absent = Slot::ABSENT;
        let mut ecs = Ecs {
            fields: [absent; FIELD_COUNT],
            created: absent,
            domain: absent,
            user: absent,
            args: absent,
            parent_args: absent,
            direction: absent,
            network_type: absent,
            hashes: [absent; 4],
        };
        let mut path = String::new();
        for (part, name) in OBJECTS {
            let slot = slots.part(part);
            if slot.present() {
                let range = slot.content_range();
                path.push_str(name);
                ecs.collect(&record[range.clone()], range.start, &mut path, event_id);
                path.clear();
            }
        }
        let renamed = ecs.fields[PROCESS_GUID].present()
            || ecs.fields[SOURCE_PROCESS_GUID].present()
            || !raw(UTC_TIME);
        renamed.then_some(ecs)
    }

    /// Notes the leaves of an object that stands at `base`. The walk has checked it, depth included.
    fn collect(&mut self, text: &str, base: usize, path: &mut String, event_id: i32) {
        let mut scanner = Scanner::new(text);
        if scanner.enter_object().is_err() {
            return;
        }
        while let Ok(Some(key)) = scanner.key() {
            let Ok(Token { kind, range }) = scanner.value() else { return };
            let len = path.len();
            path.push('.');
            path.push_str(&text[key]);
            if kind == Kind::Object {
                self.collect(&text[range.clone()], base + range.start, path, event_id);
            } else {
                let token = Token { kind, range: base + range.start..base + range.end };
                if let Some(slot) = self.slot(path, event_id) {
                    *slot = Slot::token(&token, Source::Record, true);
                }
            }
            path.truncate(len);
        }
    }

    fn slot(&mut self, path: &str, event_id: i32) -> Option<&mut Slot> {
        let injects = matches!(event_id, 8 | 10);
        let field = match path {
            "event.created" => return Some(&mut self.created),
            "user.domain" => return Some(&mut self.domain),
            "user.name" => return Some(&mut self.user),
            "process.args" => return Some(&mut self.args),
            "process.parent.args" => return Some(&mut self.parent_args),
            "network.direction" => return Some(&mut self.direction),
            "network.type" => return Some(&mut self.network_type),
            "process.hash.sha1" | "file.hash.sha1" | "hash.sha1" => {
                return Some(&mut self.hashes[0]);
            }
            "process.hash.md5" | "file.hash.md5" | "hash.md5" => return Some(&mut self.hashes[1]),
            "process.hash.sha256" | "file.hash.sha256" | "hash.sha256" => {
                return Some(&mut self.hashes[2]);
            }
            "process.hash.imphash"
            | "process.pe.imphash"
            | "file.hash.imphash"
            | "file.pe.imphash"
            | "hash.imphash" => {
                return Some(&mut self.hashes[3]);
            }
            "process.entity_id" if injects => SOURCE_PROCESS_GUID,
            "process.entity_id" => PROCESS_GUID,
            "process.pid" if injects => const { index_of("SOURCE_PROCESS_ID") },
            "process.pid" => const { index_of("PROCESS_ID") },
            "process.executable" if injects => const { index_of("SOURCE_IMAGE") },
            "process.executable" if event_id == 20 => const { index_of("DESTINATION") },
            "process.executable" => const { index_of("IMAGE") },
            "process.thread.id" if injects => const { index_of("SOURCE_THREAD_ID") },
            "process.command_line" => const { index_of("COMMAND_LINE") },
            "process.working_directory" => const { index_of("CURRENT_DIRECTORY") },
            "process.parent.entity_id" => const { index_of("PARENT_PROCESS_GUID") },
            "process.parent.pid" => const { index_of("PARENT_PROCESS_ID") },
            "process.parent.executable" => const { index_of("PARENT_IMAGE") },
            "process.parent.command_line" => const { index_of("PARENT_COMMAND_LINE") },
            "process.pe.file_version" | "file.pe.file_version" => {
                const { index_of("FILE_VERSION") }
            }
            "process.pe.description" | "file.pe.description" => const { index_of("DESCRIPTION") },
            "process.pe.product" | "file.pe.product" => const { index_of("PRODUCT") },
            "process.pe.company" | "file.pe.company" => const { index_of("COMPANY") },
            "process.pe.original_file_name" | "file.pe.original_file_name" => {
                const { index_of("ORIGINAL_FILE_NAME") }
            }
            "file.code_signature.signed" => const { index_of("SIGNED") },
            "file.code_signature.subject_name" => const { index_of("SIGNATURE") },
            "file.code_signature.status" => const { index_of("SIGNATURE_STATUS") },
            "file.path" => match event_id {
                6 | 7 => const { index_of("IMAGE_LOADED") },
                9 => const { index_of("DEVICE") },
                2 | 11 | 15 | 23 | 26..=29 => const { index_of("TARGET_FILENAME") },
                _ => return None,
            },
            "file.name" if matches!(event_id, 17 | 18) => const { index_of("PIPE_NAME") },
            "source.ip" => const { index_of("SOURCE_IP") },
            "source.port" => const { index_of("SOURCE_PORT") },
            "source.domain" => const { index_of("SOURCE_HOSTNAME") },
            "destination.ip" => const { index_of("DESTINATION_IP") },
            "destination.port" => const { index_of("DESTINATION_PORT") },
            "destination.domain" => const { index_of("DESTINATION_HOSTNAME") },
            "network.transport" => const { index_of("PROTOCOL") },
            "network.protocol" if event_id == 3 => const { index_of("DESTINATION_PORT_NAME") },
            "rule.name" => const { index_of("RULE_NAME") },
            "dns.question.name" => const { index_of("QUERY_NAME") },
            "sysmon.dns.status" => const { index_of("QUERY_STATUS") },
            "sysmon.file.is_executable" => const { index_of("IS_EXECUTABLE") },
            "sysmon.file.archived" => const { index_of("ARCHIVED") },
            "registry.path" => const { index_of("TARGET_OBJECT") },
            "error.code" if event_id == 255 => const { index_of("ID") },
            _ => return None,
        };
        Some(&mut self.fields[field])
    }

    /// Fills the fields that `event_data` does not have.
    pub fn put_back(mut self, slots: &mut Slots, record: &str, event_id: i32) {
        self.rebuild(slots, record, event_id);
        for (raw, ecs) in slots.data.0.iter_mut().zip(self.fields) {
            if !raw.present() {
                *raw = ecs;
            }
        }
    }

    /// Fields that the module took apart.
    fn rebuild(&mut self, slots: &mut Slots, record: &str, event_id: i32) {
        let at_timestamp = slots.part(Part::AtTimestamp);
        self.fields[UTC_TIME] =
            match slots.text(record, at_timestamp).and_then(|text| time::read(text.as_bytes())) {
                Some(read) => {
                    let text = read.at.text();
                    slots.build(std::str::from_utf8(&text).expect("digits are ASCII"))
                }
                None => at_timestamp,
            };
        if self.user.present() {
            let name = slots.text(record, self.user).unwrap_or_default();
            let text = match slots.text(record, self.domain) {
                Some(domain) => format!("{domain}\\{name}"),
                None => name.into_owned(),
            };
            self.fields[const { index_of("USER") }] = slots.build(&text);
        }
        let mut hashes = String::new();
        for (name, slot) in HASHES.iter().zip(self.hashes) {
            if let Some(value) = slots.text(record, slot) {
                let comma = if hashes.is_empty() { "" } else { "," };
                hashes.extend([comma, name, "=", &value.to_ascii_uppercase()]);
            }
        }
        if !hashes.is_empty() {
            let field = if event_id == 15 {
                const { index_of("HASH") }
            } else {
                const { index_of("HASHES") }
            };
            self.fields[field] = slots.build(&hashes);
        }
        for (field, args) in [
            (const { index_of("COMMAND_LINE") }, self.args),
            (const { index_of("PARENT_COMMAND_LINE") }, self.parent_args),
        ] {
            if !self.fields[field].present()
                && let Some(text) = slots.text(record, args)
                && let Ok(args) = serde_json::from_str::<Vec<String>>(&text)
            {
                self.fields[field] = slots.build(&command_line::join(&args));
            }
        }
        let status = &mut self.fields[const { index_of("QUERY_STATUS") }];
        if slots.text(record, *status).as_deref() == Some("SUCCESS") {
            *status = slots.build("0");
        }
        let initiated = match slots.text(record, self.direction).as_deref() {
            Some("outbound" | "egress") => Some("true"),
            Some("inbound" | "ingress") => Some("false"),
            _ => None,
        };
        if let Some(text) = initiated {
            self.fields[const { index_of("INITIATED") }] = slots.build(text);
        }
        let ipv6 = match slots.text(record, self.network_type).as_deref() {
            Some("ipv6") => Some("true"),
            Some("ipv4") => Some("false"),
            _ => None,
        };
        if let Some(text) = ipv6 {
            let slot = slots.build(text);
            self.fields[const { index_of("SOURCE_IS_IPV6") }] = slot;
            self.fields[const { index_of("DESTINATION_IS_IPV6") }] = slot;
        }
    }
}
