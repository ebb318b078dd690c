//! `ecs`: the event in the Elastic Common Schema, as Winlogbeat's Sysmon module makes it of event 3 and, for the process, of event 1.
//!
//! With `agent.type`, `event.module` and `process.entity_id` of Winlogbeat's, Kibana's event analyzer draws the tree of the process. So its spelling is kept: GUIDs upper-case with braces, digests lower-case.
//!
//! | ECS | from |
//! |---|---|
//! | `@timestamp` | EVENT_TIME, when it was logged: UTC_TIME may lie before the process |
//! | `event.id` | EVENT_KEY: the id of the document |
//! | `event.*`, `agent.type`, `ecs.version` | the same for all |
//! | `process.*`, `process.parent.*` | PROCESS_…, IMAGE …, PARENT_…; `name` is the last part of the path |
//! | `process.args` | COMMAND_LINE split as [Windows would](crate::format::command_line); absent when its quotes are open |
//! | `process.hash.*` | HASHES |
//! | `process.Ext.ancestry` | GUIDs of ANCESTORS, parent first; the parent alone if there are none |
//! | `network.transport`, `.protocol` | PROTOCOL, DESTINATION_PORT_NAME |
//! | `network.direction` | INITIATED: `egress` or `ingress`, as seen from the host |
//! | `network.type`, `.community_id` | the addresses, ports and protocol |
//! | `source.*`, `destination.*` | SOURCE_…, DESTINATION_…; what is no address goes to `address` instead of `ip` |
//! | `user.domain`, `.name` | USER |
//! | `related.*` | what of the above is an address, a user, a host or a digest |
//! | `winlog.event_data.*` | what has no place in ECS: INTEGRITY_LEVEL and UTC_TIME, where Winlogbeat leaves them |
//! | `join.state` | KNOWLEDGE |
//! | `join.ancestors`, `.truncated` | programs of ANCESTORS, parent first, or GUIDs where they are not known; true when there are more |
//!
//! What Sysmon writes where it knows nothing (`-`, empty text, the GUID of zeros) is left out, as is every object that would be empty.

use std::borrow::Cow;

use super::community_id::community_id;
use super::connection::{Ancestor, Connection, Field, Stored};
use super::object::Object;
use crate::format::command_line;

/// The version of ECS that Winlogbeat's module writes.
const VERSION: &str = "8.0.0";

/// Digests that ECS knows, by Sysmon's name.
const DIGESTS: [(&str, &str); 4] =
    [("MD5", "md5"), ("SHA1", "sha1"), ("SHA256", "sha256"), ("IMPHASH", "imphash")];

/// Appends the connection.
pub fn encode(connection: Connection<'_>, out: &mut Vec<u8>) {
    let hashes = connection.text(Field::Hashes);
    let digests = digests(hashes.as_deref().unwrap_or_default());
    let user = connection.text(Field::User);
    let (domain, user) = match user.as_deref() {
        Some(user) => user.split_once('\\').unwrap_or(("", user)),
        None => ("", ""),
    };
    Object::write(out, |record| {
        record.known(connection, &[("@timestamp", Field::EventTime)]);
        record.object("ecs", |ecs| ecs.text("version", VERSION));
        record.object("event", |event| {
            event.json("code", "\"3\"");
            event.json("kind", "\"event\"");
            event.json("category", r#"["network"]"#);
            event.json("type", r#"["start","connection","protocol"]"#);
            event.json("action", "\"Network connection\"");
            event.json("provider", "\"Microsoft-Windows-Sysmon\"");
            event.json("module", "\"sysmon\"");
            event.known(connection, &[("id", Field::EventKey)]);
        });
        record.object("agent", |agent| agent.json("type", "\"winlogbeat\""));
        record.object("host", |host| host.known(connection, &[("name", Field::Host)]));
        record.object("process", |object| process(object, connection, &digests));
        record.object("network", |object| network(object, connection));
        record.object("source", |end| {
            endpoint(end, connection, Field::SourceIp, Field::SourcePort, Field::SourceHostname);
        });
        record.object("destination", |end| {
            endpoint(
                end,
                connection,
                Field::DestinationIp,
                Field::DestinationPort,
                Field::DestinationHostname,
            );
        });
        record.object("user", |object| {
            some_text(object, "domain", domain);
            some_text(object, "name", user);
        });
        record.object("related", |object| related(object, connection, user, &digests));
        record.object("rule", |rule| rule.known(connection, &[("name", Field::RuleName)]));
        record.object("winlog", |winlog| {
            winlog.object("event_data", |data| {
                data.known(
                    connection,
                    &[("IntegrityLevel", Field::IntegrityLevel), ("UtcTime", Field::UtcTime)],
                );
            });
        });
        record.object("join", |join| {
            join.known(connection, &[("state", Field::Knowledge)]);
            join.stored_all("ancestors", connection.ancestors().filter_map(Ancestor::name));
            join.known(connection, &[("truncated", Field::Truncated)]);
        });
    });
}

fn process(process: &mut Object<'_>, connection: Connection<'_>, digests: &[(&str, String)]) {
    process.known(
        connection,
        &[
            ("entity_id", Field::ProcessGuid),
            ("pid", Field::ProcessId),
            ("start", Field::Started),
            ("executable", Field::Image),
        ],
    );
    program_name(process, connection.text(Field::Image).as_deref());
    process.known(connection, &[("command_line", Field::CommandLine)]);
    if let Some(args) =
        connection.text(Field::CommandLine).and_then(|line| command_line::split(&line))
    {
        process.texts("args", &args);
    }
    process
        .object("hash", |hash| digests.iter().for_each(|(name, digest)| hash.text(name, digest)));
    process.object("parent", |parent| {
        parent.known(
            connection,
            &[("entity_id", Field::ParentProcessGuid), ("executable", Field::ParentImage)],
        );
        program_name(parent, connection.text(Field::ParentImage).as_deref());
        parent.known(connection, &[("command_line", Field::ParentCommandLine)]);
    });
    process.object("Ext", |ext| {
        let mut ancestry: Vec<Stored<'_>> =
            connection.ancestors().filter_map(|ancestor| ancestor.guid).collect();
        if ancestry.is_empty() {
            ancestry.extend(connection.known(Field::ParentProcessGuid));
        }
        ext.stored_all("ancestry", ancestry.into_iter());
    });
}

fn network(network: &mut Object<'_>, connection: Connection<'_>) {
    let transport = connection.text(Field::Protocol).map(|protocol| protocol.to_lowercase());
    if let Some(transport) = &transport {
        network.text("transport", transport);
    }
    network.known(connection, &[("protocol", Field::DestinationPortName)]);
    if let Some(initiated) = connection.flag(Field::Initiated) {
        network.text("direction", if initiated { "egress" } else { "ingress" });
    }
    let [source, destination] =
        [Field::SourceIp, Field::DestinationIp].map(|field| connection.address(field));
    if let Some(address) = destination.or(source) {
        network.text("type", if address.is_ipv6() { "ipv6" } else { "ipv4" });
    }
    let id = || {
        let source = (source?, connection.port(Field::SourcePort)?);
        let destination = (destination?, connection.port(Field::DestinationPort)?);
        community_id(transport.as_deref()?, source, destination)
    };
    if let Some(id) = id() {
        network.text("community_id", &id);
    }
}

fn endpoint(end: &mut Object<'_>, connection: Connection<'_>, ip: Field, port: Field, name: Field) {
    let member = if connection.address(ip).is_some() { "ip" } else { "address" };
    end.known(connection, &[(member, ip), ("port", port), ("domain", name)]);
}

fn related(
    related: &mut Object<'_>,
    connection: Connection<'_>,
    user: &str,
    digests: &[(&str, String)],
) {
    let addresses = [Field::SourceIp, Field::DestinationIp]
        .map(|field| connection.text(field).filter(|_| connection.address(field).is_some()));
    related.texts("ip", &distinct(addresses));
    related.texts(
        "hosts",
        &distinct(
            [Field::Host, Field::SourceHostname, Field::DestinationHostname]
                .map(|field| connection.text(field)),
        ),
    );
    related
        .texts("user", &distinct([Some(user).filter(|user| !user.is_empty()).map(Cow::Borrowed)]));
    let digests: Vec<&str> = digests.iter().map(|(_, digest)| &digest[..]).collect();
    related.texts("hash", &digests);
}

/// The different ones of a few texts, in their order.
fn distinct<const N: usize>(texts: [Option<Cow<'_, str>>; N]) -> Vec<Cow<'_, str>> {
    let mut kept: Vec<Cow<'_, str>> = Vec::new();
    for text in texts.into_iter().flatten() {
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

/// The last part of a program's path, be it of Windows or Linux.
fn program_name(object: &mut Object<'_>, path: Option<&str>) {
    let name = path.and_then(|path| path.rsplit(['\\', '/']).next());
    some_text(object, "name", name.unwrap_or_default());
}

fn some_text(object: &mut Object<'_>, name: &str, text: &str) {
    if !text.is_empty() {
        object.text(name, text);
    }
}

/// The digests of `SHA1=…,MD5=…`, the first of each kind. One of zeros says that there is none.
fn digests(hashes: &str) -> Vec<(&'static str, String)> {
    let mut digests: Vec<(&str, String)> = Vec::new();
    for (kind, digest) in hashes.split(',').filter_map(|hash| hash.split_once('=')) {
        let Some((_, name)) =
            DIGESTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(kind.trim()))
        else {
            continue;
        };
        let digest = digest.trim();
        let is_digest = digest.bytes().all(|byte| byte.is_ascii_hexdigit())
            && digest.bytes().any(|byte| byte != b'0');
        if is_digest && digests.iter().all(|(known, _)| known != name) {
            digests.push((name, digest.to_ascii_lowercase()));
        }
    }
    digests
}
