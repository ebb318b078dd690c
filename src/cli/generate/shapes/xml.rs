//! Event XML: Windows' own, and that of Sysmon for Linux behind a syslog prefix.
//!
//! The Linux shape carries the Windows scenario: it is for a reader's sake, not a picture of a Linux host.

use std::fmt::Write as _;

use super::super::event::{Channel, Event};
use super::super::world::{Host, civil, stamp};
use super::{thread, version, writer};

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

/// An event of Sysmon for Linux, as syslog has it.
pub fn syslog(event: &Event, host: &Host, out: &mut String) {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let time = civil(event.logged);
    let month = MONTHS[time.month() as usize - 1];
    let _ = write!(
        out,
        "{month} {:2} {:02}:{:02}:{:02} {} sysmon[{}]: ",
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        host.short(),
        host.sysmon_pid
    );
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
    let namespace = if q == '\'' {
        " xmlns='http://schemas.microsoft.com/win/2004/08/events/event'"
    } else {
        ""
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
        escape(out, value);
        out.push_str("</Data>");
    }
    out.push_str("</EventData></Event>");
}

fn escape(out: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'"' => "&quot;",
            _ => "&apos;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}
