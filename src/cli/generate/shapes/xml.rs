//! Event XML: Windows' own, and that of Sysmon for Linux behind a syslog prefix.
//!
//! A forwarder of Windows Event Forwarding appends `RenderingInfo`, the event in the language of
//! its system, so an event has as many lines as its message, and there is a second `Channel`,
//! translated. Tools that print XML for people give every element a line of its own.
//!
//! The Linux shape carries the Windows scenario: it is for a reader's sake, not a picture of a
//! Linux host.

use std::fmt::Write as _;

use super::super::event::{Channel, Event};
use super::super::world::{Host, stamp};
use super::json::{Object, Order};
use super::{lag, message, syslog_time, task, thread, version, writer};

/// An event as Windows renders it, on one line.
pub fn event(event: &Event, host: &Host, out: &mut String) {
    render(
        event,
        host,
        event.channel.provider(),
        event.channel.provider_guid(),
        event.channel.name(),
        '\'',
        out,
    );
}

/// The event's text.
pub fn text(event: &Event, host: &Host) -> String {
    let mut text = String::with_capacity(4096);
    self::event(event, host, &mut text);
    text
}

/// An event that a German forwarder has rendered.
pub fn forwarded(event: &Event, host: &Host, out: &mut String) {
    let mut text = text(event, host);
    text.truncate(text.len() - "</Event>".len());
    out.push_str(&text);
    let channel = match event.channel {
        Channel::Sysmon => "Microsoft-Windows-Sysmon/Betriebsbereit",
        Channel::Security => "Sicherheit",
        Channel::System => "System",
    };
    out.push_str("<RenderingInfo Culture='de-DE'><Message>");
    escape(out, &message(event, "\n"), false);
    out.push_str("</Message><Level>Informationen</Level><Task>");
    escape(out, &task(event), false);
    let _ = write!(
        out,
        "</Task><Opcode>Info</Opcode><Channel>{channel}</Channel><Provider>{}</Provider>\
         <Keywords></Keywords></RenderingInfo></Event>",
        event.channel.provider()
    );
}

/// An event with an element a line, two blanks for each level.
pub fn indented(event: &Event, host: &Host, out: &mut String) {
    let text = text(event, host);
    let mut depth: usize = 0;
    // the text of a field has no `<`, so two tags meet only where no text is between them
    for (number, tag) in text.split('<').skip(1).enumerate() {
        let closes = tag.starts_with('/');
        // the end of an element that holds text, or nothing, stays with its beginning
        let inner = !matches!(tag, "/System>" | "/EventData>" | "/Event>");
        depth -= usize::from(closes && !inner);
        if number > 0 && !(closes && inner) {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
        out.push('<');
        out.push_str(tag);
        depth +=
            usize::from(["System>", "EventData>", "Event "].iter().any(|it| tag.starts_with(it)));
    }
}

/// An event of Sysmon for Linux, as syslog has it.
pub fn syslog(event: &Event, host: &Host, out: &mut String) {
    let pid = host.sysmon_pid;
    let _ = write!(out, "{} {} sysmon[{pid}]: ", syslog_time(event.logged), host.short());
    linux(event, host, out);
}

/// An entry of `journalctl -o json` with an event of Sysmon for Linux; its times are the journal's.
pub fn journal(event: &Event, host: &Host) -> Object {
    let mut message = String::with_capacity(4096);
    linux(event, host, &mut message);
    let mut record = Object::new();
    record
        .text("__REALTIME_TIMESTAMP", &format!("{}417", event.logged + 900))
        .text("_HOSTNAME", host.short())
        .text("_TRANSPORT", "syslog")
        .text("PRIORITY", "6")
        .text("SYSLOG_FACILITY", "1")
        .text("SYSLOG_IDENTIFIER", "sysmon")
        .text("SYSLOG_PID", &host.sysmon_pid.to_string())
        .text("MESSAGE", &message);
    record
}

/// A line of syslog as Filebeat ships it, at a later time.
pub fn filebeat(event: &Event, host: &Host, order: &mut Order) -> Object {
    let mut line = String::with_capacity(4096);
    syslog(event, host, &mut line);
    let mut file = Object::new();
    file.text("path", "/var/log/syslog");
    let mut log = Object::new();
    log.number("offset", event.record * 1741).object("file", &file, order);
    let mut shipper = Object::new();
    shipper.text("type", "filebeat").text("name", host.short()).text("version", "8.17.4");
    let mut record = Object::new();
    record
        .text("@timestamp", &stamp(event.logged + 3000 + lag(event), 'T', "Z"))
        .object("log", &log, order)
        .text("message", &line)
        .raw("input", r#"{"type":"filestream"}"#)
        .object("agent", &shipper, order);
    record
}

/// An event of Sysmon for Linux.
pub fn linux(event: &Event, host: &Host, out: &mut String) {
    let (provider, guid, channel) = match event.channel {
        Channel::Sysmon => {
            ("Linux-Sysmon", "{ff032593-a8d3-4f13-b0d6-01fc615a0f97}", "Linux-Sysmon/Operational")
        }
        other => (other.provider(), other.provider_guid(), other.name()),
    };
    render(event, host, provider, guid, channel, '"', out);
}

fn render(
    event: &Event,
    host: &Host,
    provider: &str,
    guid: &str,
    channel: &str,
    quote: char,
    out: &mut String,
) {
    let mut element = |text: std::fmt::Arguments<'_>| {
        let _ = out.write_fmt(text);
    };
    let q = quote;
    // Windows leaves quotes in a text as they are
    let (namespace, quotes) = if q == '\'' {
        (" xmlns='http://schemas.microsoft.com/win/2004/08/events/event'", false)
    } else {
        ("", true)
    };
    element(format_args!(
        "<Event{namespace}><System><Provider Name={q}{provider}{q} Guid={q}{guid}{q}/>"
    ));
    element(format_args!(
        "<EventID>{}</EventID><Version>{}</Version><Level>4</Level>",
        event.id,
        version(event)
    ));
    element(format_args!(
        "<Task>{}</Task><Opcode>0</Opcode><Keywords>0x8000000000000000</Keywords>",
        event.id
    ));
    element(format_args!("<TimeCreated SystemTime={q}{}{q}/>", stamp(event.logged, 'T', "0000Z")));
    element(format_args!("<EventRecordID>{}</EventRecordID><Correlation/>", event.record));
    element(format_args!(
        "<Execution ProcessID={q}{}{q} ThreadID={q}{}{q}/>",
        writer(event, host),
        thread(event)
    ));
    element(format_args!("<Channel>{channel}</Channel><Computer>{}</Computer>", host.name));
    element(format_args!("<Security UserID={q}S-1-5-18{q}/></System><EventData>"));
    for (name, value) in &event.fields {
        let _ = write!(out, "<Data Name={q}{name}{q}>");
        escape(out, value, quotes);
        out.push_str("</Data>");
    }
    out.push_str("</EventData></Event>");
}

/// Appends a text with its marks as entities, and its quotes too if wanted.
pub fn escape(out: &mut String, value: &str, quotes: bool) {
    for sign in value.chars() {
        match sign {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' if quotes => out.push_str("&quot;"),
            '\'' if quotes => out.push_str("&apos;"),
            _ => out.push(sign),
        }
    }
}
